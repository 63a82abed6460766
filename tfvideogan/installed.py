"""Where the files are that come with the package: flagfiles and an export, which lie beside it in a clone, and in it once installed."""

from pathlib import Path

PACKAGE = Path(__file__).parent
BUNDLED = ("configs", "exports")


def bundled(path: str) -> Path:
    """The place of `path`, such as configs/quickstart.flags, among the files that come with the package."""
    inside = PACKAGE / path
    return inside if inside.exists() else PACKAGE.parent / path


def found(path: str) -> str:
    """A path as it is given where there is something, or else that of the file of this name that comes with the package."""
    if path.split("/")[0] in BUNDLED and not Path(path).exists() and bundled(path).exists():
        return str(bundled(path))
    return path

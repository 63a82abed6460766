"""Lists what there is, one line each: `python -m tfvideogan.list models|datasets|configs|metrics|exports`."""

import ast
import re
import sys
from collections.abc import Callable
from pathlib import Path

from tfvideogan import terminal
from tfvideogan.installed import PACKAGE, bundled

PROGRAMS = ("prepare", "train", "evaluate", "sample", "export", "play", "train_evaluator", "convert", "list")


def text_of(file: Path) -> str:
    """A file of this package."""
    return file.read_text(encoding="utf-8")


def summary(file: Path) -> str:
    """The first sentence of a Python file's docstring, without the command that it may name."""
    text = " ".join((ast.get_docstring(ast.parse(text_of(file))) or "").split())
    return re.split(r": `|\. (?=[A-Z`-])|\.$", text)[0]


def programs() -> dict[str, str]:
    """The verbs of the command `tfvideogan`, and what each does."""
    return {name: summary(PACKAGE / f"{name}.py") for name in PROGRAMS}


def _modules(folder: Path, defines: str) -> dict[str, str]:
    """The files of a folder that define this name, by their own names, with their summaries."""
    return {
        file.stem: summary(file) for file in sorted(folder.glob("*.py")) if re.search(rf"^(def|class) {defines}\b", text_of(file), re.M)
    }


def models() -> dict[str, str]:
    return _modules(PACKAGE / "models", "Model")


def datasets() -> dict[str, str]:
    return _modules(PACKAGE / "data" / "sources", "source")


def configs() -> dict[str, str]:
    """Flagfiles, and the first sentence of each."""
    found = {}
    for file in sorted(bundled("configs").glob("*.flags")):
        comment = " ".join(line.removeprefix("#").strip() for line in text_of(file).splitlines() if line.startswith("#"))
        found[f"configs/{file.name}"] = re.split(r"\.(?: |$)", comment)[0]
    return found


def metrics() -> dict[str, str]:
    """Names for --metrics: the rows of the table that opens evaluation/scores.py. A row without names continues the one above."""
    table = ast.get_docstring(ast.parse(text_of(PACKAGE / "evaluation" / "scores.py"))) or ""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")][2:]
    found: dict[str, str] = {}
    for names, what, *_ in rows:
        key = names or list(found)[-1]
        found[key] = f"{found.get(key, '')} {what}".strip()
    return found


def exports() -> dict[str, str]:
    """Exported modules that come with the package, and the titles of their cards."""
    cards = [file.parent / "README.md" for file in sorted(bundled("exports").glob("*/saved_model.pb"))]
    titles = (next(line for line in text_of(card).splitlines() if line.startswith("# ")) for card in cards)
    return {f"exports/{card.parent.name}": title.lstrip("# ") for card, title in zip(cards, titles, strict=True)}


KINDS: dict[str, Callable[[], dict[str, str]]] = {
    "models": models,
    "datasets": datasets,
    "configs": configs,
    "metrics": metrics,
    "exports": exports,
}


def main(arguments: list[str]) -> int:
    """Prints the lists that are asked for. Returns the exit code."""
    if not arguments or not set(arguments) <= set(KINDS):
        print(f"list: got {' '.join(arguments) or 'nothing'}, expected one of {', '.join(KINDS)}", file=sys.stderr)
        return 2
    for kind in arguments:
        for line in terminal.table(KINDS[kind](), terminal.columns(sys.stdout)):
            print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

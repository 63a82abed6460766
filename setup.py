"""Everything about the package is in pyproject.toml, but for what lies beside it in the repository and comes with a wheel."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

BUNDLED = ("configs", "exports/moving_shapes64")  # found in the package by tfvideogan/installed.py


class BuildWithBundled(build_py):
    """Copies the flagfiles and an export into the built package. An editable install finds them in the clone."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for name in BUNDLED:
                shutil.copytree(Path(__file__).parent / name, Path(self.build_lib) / "tfvideogan" / name, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithBundled})

"""Packages that only some uses need: the extras of pyproject.toml."""

import importlib
from types import ModuleType

from tfvideogan.config import UserError


def package(name: str, extra: str, asked: str) -> ModuleType:
    """A package's module. Raises UserError, with what to install, where it is not.

    Args:
        name: as it is imported.
        extra: of tfvideogan, that brings it.
        asked: the flag that needs it, as it was given.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"{asked}: needs {name.partition('.')[0]} ({error}): pip install tfvideogan[{extra}]") from error

"""Lines as wide as the terminal that shows them; in a file or a pipe, each stays one line."""

import os
import textwrap
from collections.abc import Iterator, Mapping
from typing import TextIO

LEAST = 30  # columns that a text is folded to, however narrow the terminal is


def columns(file: TextIO) -> int | None:
    """Columns of the terminal that a file is; None if it is none, or does not say."""
    try:
        return os.get_terminal_size(file.fileno()).columns or None
    except (OSError, ValueError):
        return None


def table(rows: Mapping[str, str], wide: int | None) -> Iterator[str]:
    """Names with their texts beside them, each folded within its column where there is a width."""
    names = max(map(len, rows), default=0) + 2
    for name, text in rows.items():
        yield f"{name:{names}}" + (f"\n{'':{names}}".join(folded(text, wide - names)) if wide else text)


def folded(text: str, wide: int, indent: str = "") -> list[str]:
    """The text in lines of so many columns, none of its words broken; those after the first begin with the indent."""
    return textwrap.wrap(text, max(wide, LEAST), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)

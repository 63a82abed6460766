"""Which form of a formula is built: the fast one, or within `plain()` the paper's, to count and to compare with."""

import contextlib
from collections.abc import Iterator

_plain = False


def is_plain() -> bool:
    return _plain


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """What is called or traced within it is built as the paper writes it."""
    global _plain
    before, _plain = _plain, True
    try:
        yield
    finally:
        _plain = before

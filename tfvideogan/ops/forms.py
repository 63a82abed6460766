"""Which form of a formula is built: the fast one; within `plain()` the paper's, to count and to compare with; within `portable()`
one that needs no XLA."""

import contextlib
from collections.abc import Iterator

_form = "fast"


def is_plain() -> bool:
    return _form == "plain"


def is_portable() -> bool:
    return _form == "portable"


def plain() -> contextlib.AbstractContextManager[None]:
    """What is called or traced within it is built as the paper writes it."""
    return _within("plain")


def portable() -> contextlib.AbstractContextManager[None]:
    """What is called or traced within it is built of TensorFlow's operations alone: servers may know no XLA, which would also
    compile anew for each number of examples."""
    return _within("portable")


@contextlib.contextmanager
def _within(form: str) -> Iterator[None]:
    global _form
    before, _form = _form, form
    try:
        yield
    finally:
        _form = before

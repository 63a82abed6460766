"""Which form of a formula is built: the fast one; within `uncompiled()` the same without XLA; within `plain()` the paper's, to count
and to compare with; within `portable()` one that needs neither XLA nor a fixed number of examples."""

import contextlib
from collections.abc import Iterator

_form = "fast"


def is_plain() -> bool:
    return _form == "plain"


def is_portable() -> bool:
    return _form == "portable"


def is_compiled() -> bool:
    return _form == "fast"


def uncompiled() -> contextlib.AbstractContextManager[None]:
    """What is called or traced within it is compiled by nobody."""
    return _within("uncompiled")


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

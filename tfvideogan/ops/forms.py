"""Which form of a formula is built: the one that is faster on a CPU, or the plain one, which every other device runs."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

_asked = False


def is_plain() -> bool:
    """Whether the plain formulas are built: within `plain()`, and wherever there is a GPU or TPU, which every strategy then uses."""
    return _asked or any(device.device_type != "CPU" for device in tf.config.list_logical_devices())


def is_asked() -> bool:
    """Whether the plain formulas are asked for, by `plain()`."""
    return _asked


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """What is called or traced within it is built as the paper writes it, of TensorFlow's operations alone: to count, to compare with,
    and for servers, which may know no XLA."""
    global _asked
    before, _asked = _asked, True
    try:
        yield
    finally:
        _asked = before

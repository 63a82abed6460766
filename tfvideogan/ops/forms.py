"""Which form of a formula is built: the one that is faster on a CPU, or the plain one, which every other device runs; and whether XLA
compiles parts of it."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

_plain = _uncompiled = _accelerated = False


def is_plain() -> bool:
    """Whether the plain formulas are built: within `plain()`, and for GPUs and TPUs."""
    return _plain or is_accelerated()


def is_accelerated() -> bool:
    """Whether what is built is for a GPU or TPU: there is one, which every strategy then uses, or it is built within `accelerated()`."""
    return _accelerated or any(device.device_type != "CPU" for device in tf.config.list_logical_devices())


def is_asked() -> bool:
    """Whether the plain formulas are asked for, by `plain()`."""
    return _plain


def is_compiled() -> bool:
    """Whether XLA compiles parts of a graph."""
    return not (_uncompiled or is_plain())


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """What is called or traced within it is built as the paper writes it, of TensorFlow's operations alone: to count, to compare with,
    and for servers, which may know no XLA."""
    global _plain
    before, _plain = _plain, True
    try:
        yield
    finally:
        _plain = before


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """What is called or traced within it is compiled by nobody (--xla=false)."""
    global _uncompiled
    before, _uncompiled = _uncompiled, True
    try:
        yield
    finally:
        _uncompiled = before


@contextlib.contextmanager
def accelerated() -> Iterator[None]:
    """What is traced within it is what a GPU or TPU would run, whether there is one or not: to measure it, or to prove that it can."""
    global _accelerated
    before, _accelerated = _accelerated, True
    try:
        yield
    finally:
        _accelerated = before

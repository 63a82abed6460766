"""Pieces: element-wise functions of large maps, which XLA makes one pass of where the device is a CPU."""

import functools
import math
from collections.abc import Callable

import tensorflow as tf

from tfvideogan.ops import forms

LARGE = 1 << 15  # numbers of one example; below, calling a compiled piece costs what it saves


def compiled(function: Callable, *tensors: tf.Tensor, numbers: int | None = None) -> list[tf.Tensor]:
    """`function(*tensors)`, as one operation that XLA compiles where it is large.

    Args:
        function: of a module, so that it is compiled once for each kind of tensors, however often it is called.
        tensors: what it reads.
        numbers: how many it computes; by default those of one example of the first tensor.
    """
    if not is_compiled(tensors[0], numbers):
        return function(*tensors)
    return _traced(function, *(tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors))(*tensors)


def is_compiled(x: tf.Tensor, numbers: int | None = None) -> bool:
    """Whether `compiled` compiles what reads x first and computes so many numbers."""
    return forms.is_compiled() and (math.prod(x.shape[1:]) if numbers is None else numbers) >= LARGE


def count() -> int:
    """Of the functions that are compiled so far, one for each kind of tensors."""
    return _traced.cache_info().currsize


@functools.cache
def _traced(function: Callable, *kinds: tf.TensorSpec) -> Callable:
    # One tf.function for each kind, for TensorFlow warns of one that is traced for many.
    return tf.function(function, kinds, autograph=False, jit_compile=True)

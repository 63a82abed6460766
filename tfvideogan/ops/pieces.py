"""Pieces: functions of tensors that a graph calls, each traced once for each kind of tensors, and compiled by XLA where that wins."""

import functools
import math
import threading
from collections.abc import Callable

import tensorflow as tf

from tfvideogan.ops import forms

LARGE = 1 << 15  # numbers of one example; below, calling a compiled piece costs what it saves
Pieces = dict[tuple[Callable, str], list[tf.TensorSpec]]  # a piece, on a device, and what it reads
_ahead: Pieces | None = None  # of what is being traced, the pieces to compile


def compiled(function: Callable, *tensors: tf.Tensor) -> list[tf.Tensor]:
    """`once_traced(function, *tensors)`, compiled by XLA if the first tensor is large."""
    return once_traced(function, *tensors, xla=is_large(tensors[0]))


def once_traced(function: Callable, *tensors: tf.Tensor, xla: bool = False) -> list[tf.Tensor]:
    """`function(*tensors)` as one operation of the graph. `function` is of a module: it is traced, and optimised, once for each
    kind of tensors, however often it is called, and compiled by XLA if `xla`: a step of DVD-GAN has
    200 kernels to normalise, of 31 shapes."""
    if forms.is_plain() or forms.is_portable():
        return function(*tensors)
    kinds = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors]
    piece = _traced(function, xla, *kinds)
    results = piece(*tensors)
    if xla and _ahead is not None:
        _ahead[piece, results[0].device] = kinds
    return results


def is_large(x: tf.Tensor, saved: int = 1) -> bool:
    """Whether a piece that reads x is worth compiling. `saved`: how many times as much it saves as the usual one."""
    return not forms.is_plain() and not forms.is_portable() and saved * math.prod(x.shape[1:]) >= LARGE


@functools.cache
def _traced(function: Callable, xla: bool, *kinds: tf.TensorSpec) -> Callable:
    # One tf.function for each kind, for TensorFlow warns of one that is traced for many. Inlined, Grappler would optimise each call.
    return tf.function(function, kinds, autograph=False, jit_compile=xla or None, experimental_attributes={"_noinline": True})


def compiled_ahead(function: Callable) -> Callable:
    """`function`, to be traced: once it is, a thread compiles its pieces, while TensorFlow optimises the graph on one core; else
    they are compiled one after another, when first called (DVD-GAN's XLA pieces: 4.4 s in all, benchmarks/README.md)."""

    @functools.wraps(function)
    def traced(*args):
        global _ahead
        before, _ahead = _ahead, {}
        try:
            results = function(*args)
            threading.Thread(target=_compile, args=[_ahead]).start()
        finally:
            _ahead = before
        return results

    return traced


def _compile(pieces: Pieces) -> None:
    for (piece, device), kinds in pieces.items():
        on_tpu = tf.DeviceSpec.from_string(device).device_type not in (None, "CPU", "GPU")  # which compiles the whole step
        if on_tpu or not all(kind.shape.is_fully_defined() for kind in kinds):
            continue
        if not threading.main_thread().is_alive():
            return  # the process has ended, but for this thread
        # XLA keeps what is called by a graph apart from what is called from Python.
        call = tf.function(lambda *tensors, piece=piece: piece(*tensors), autograph=False).get_concrete_function(*kinds)
        with tf.device(device):
            call(*(tf.zeros(kind.shape, kind.dtype) for kind in kinds))

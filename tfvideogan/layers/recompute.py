"""Activation recomputation: memory for time (Chen et al. 2016, arXiv 1604.06174)."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfvideogan.layers import Mode
from tfvideogan.layers.spectral import SpectralLayer, given
from tfvideogan.ops import forms

Layers = Sequence[keras.layers.Layer | None]


def recomputed(function: Callable[..., tf.Tensor], layers: Layers, *inputs: tf.Tensor, mode: Mode) -> tf.Tensor:
    """`function(layers, *inputs, mode=mode)`, whose gradient computes it again and so keeps nothing but its inputs.

    Spectral normalization is outside of what is computed again: both times see the same kernels, `u` is assigned once.
    tf.recompute_grad is not used: it would compute the kernels' gradients of a player that is not trained.

    Within `forms.plain()` nothing is computed again: what is counted there is what the paper writes.

    Args:
        function: differentiable, without effects in mode "train"; called with the same layers and mode again.
        layers: all that function calls.
        inputs: floating tensors; the first is what all large tensors follow from.
    """
    if mode != "train" or forms.is_asked():
        return function(layers, *inputs, mode=mode)
    found = [part for layer in layers if layer is not None for part in layer._flatten_layers()]
    spectral = [layer for layer in found if isinstance(layer, SpectralLayer)]

    def run(kernels: Sequence[tf.Tensor], inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        with given(dict(zip(spectral, kernels, strict=True))):
            return function(layers, *inputs, mode=mode)

    @tf.custom_gradient
    def forward(*tensors: tf.Tensor):
        kernels, inputs = tensors[: len(spectral)], tensors[len(spectral) :]

        def backward(dy: tf.Tensor, variables: Sequence[tf.Variable] = ()):
            again = [*kernels, inputs[0] + tf.cast(_unknown_zero(dy), inputs[0].dtype), *inputs[1:]]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([*again, *variables])
                y = run(again[: len(spectral)], again[len(spectral) :])
            gradients = tape.gradient(y, [*again, *variables], dy)
            return gradients[: len(again)], gradients[len(again) :]

        return run(kernels, inputs), backward

    return forward(*(layer.normalized_kernel(mode) for layer in spectral), *inputs)


def _unknown_zero(dy: tf.Tensor) -> tf.Tensor:
    """0 (NaN if dy begins with one), once dy is known. What follows from it is not computed before dy, and neither Grappler
    nor XLA, which minds no control dependencies, finds it equal to what was computed without it."""
    return tf.minimum(tf.abs(tf.reshape(dy, [-1])[0]), 0)

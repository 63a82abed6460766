"""Layers as the papers' tables write them, k/s/p: written apart from the library's, to compare with.

They compute in the dtype of what they read; in float64 the library's rounding alone is left between the two.
"""

import math

import numpy as np
import tensorflow as tf

from tfvideogan import models
from tfvideogan.config import Config
from tfvideogan.gan import GAN, layers_of
from tfvideogan.layers.norm import StandingNorm

LEAKY = 0.2


def conv(x: tf.Tensor, layer, stride: int | tuple[int, ...], padding: int | tuple[int, ...]) -> tf.Tensor:
    """Convolution of [N,...,C] with zeros around; stride and padding are those of every axis, or one for each."""
    kernel = tf.cast(layer.kernel.value, x.dtype)
    axes = len(kernel.shape) - 2
    strides, paddings = ([n] * axes if isinstance(n, int) else n for n in (stride, padding))
    x = tf.pad(x, [[0, 0], *([p, p] for p in paddings), [0, 0]])
    y = tf.nn.convolution(x, kernel, list(strides), "VALID", data_format=("NWC", "NHWC", "NDHWC")[axes - 1])
    return y if layer.bias is None else y + tf.cast(layer.bias.value, x.dtype)


def deconv(x: tf.Tensor, layer, stride: int, padding: int) -> tf.Tensor:
    """Transposed convolution: zeros between and around the inputs, then a convolution with the kernel turned round."""
    kernel = tf.cast(layer.kernel.value, x.dtype)  # [...,out,in]
    axes = len(kernel.shape) - 2
    for axis in range(1, axes + 1):
        zeros = tf.zeros_like(x)
        x = tf.concat([tf.expand_dims(x, axis + 1), *[tf.expand_dims(zeros, axis + 1)] * (stride - 1)], axis + 1)
        shape = [*x.shape[:axis], x.shape[axis] * stride, *x.shape[axis + 2 :]]
        x = tf.gather(tf.reshape(x, shape), range(shape[axis] - stride + 1), axis=axis)
    around = [[k - 1 - padding] * 2 for k in kernel.shape[:axes]]
    flipped = tf.einsum("...oi->...io", tf.reverse(kernel, list(range(axes))))
    y = tf.nn.convolution(
        tf.pad(x, [[0, 0], *around, [0, 0]]), flipped, [1] * axes, "VALID", data_format=("NWC", "NHWC", "NDHWC")[axes - 1]
    )
    return y if layer.bias is None else y + tf.cast(layer.bias.value, x.dtype)


def batch_norm(x: tf.Tensor, norm, epsilon: float, training: bool) -> tf.Tensor:
    """Over every axis but the last."""
    if training:
        mean, variance = tf.nn.moments(x, list(range(len(x.shape) - 1)))
    else:
        mean, variance = (tf.cast(statistic[0], x.dtype) for statistic in norm.standing[:2])
    y = (x - mean) / tf.sqrt(variance + epsilon)
    y = y if norm.gain is None else y * tf.cast(norm.gain.value, x.dtype)
    return y if norm.bias is None else y + tf.cast(norm.bias.value, x.dtype)


def leaky(x: tf.Tensor) -> tf.Tensor:
    return tf.where(x > 0, x, LEAKY * x)


def relu(x: tf.Tensor) -> tf.Tensor:
    return tf.where(x > 0, x, 0 * x)


def count(network) -> int:
    return sum(math.prod(weight.shape) for weight in network.trainable_variables)


def scramble(network, seed: int = 0, scale: float = 0.15) -> None:
    """Random weights, gains, biases and standing statistics, so that a part left out shows."""
    draw = np.random.default_rng(seed)
    for weight in network.trainable_variables:
        weight.assign((len(weight.shape) == 1 and "gain" in weight.path) + scale * draw.standard_normal(weight.shape))
    for norm in layers_of(network, StandingNorm):
        mean, variance, batches = norm.standing
        mean.assign(draw.standard_normal(mean.shape) * scale)
        variance.assign(draw.uniform(0.5, 2, variance.shape))
        batches.assign(tf.ones_like(batches))


def scrambled(config: Config, discriminator_scale: float = 0.15) -> GAN:
    """A model of random weights."""
    gan = models.build(config)
    scramble(gan.generator)
    scramble(gan.discriminator, seed=1, scale=discriminator_scale)
    return gan


def clips(frames: int, size: int, n: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).uniform(-1, 1, [n, frames, size, size, 3]), tf.float32)


def seeds_of(n: int) -> tf.Tensor:
    return tf.stack([tf.ones([n], tf.int32), tf.range(n)], 1)


class AdamByHand:
    """Kingma and Ba's, in the form of their section 2: the rate takes both corrections, and epsilon is added to the plain root."""

    def __init__(self, network, config: Config, rate: float):
        self.weights, self.config, self.rate, self.updates = network.trainable_variables, config, rate, 0
        self.m, self.v = ([np.zeros(weight.shape) for weight in self.weights] for _ in range(2))

    def apply(self, gradients: list) -> None:
        c = self.config
        self.updates += 1
        rate = self.rate * np.sqrt(1 - c.beta_2**self.updates) / (1 - c.beta_1**self.updates)
        for number, (weight, gradient) in enumerate(zip(self.weights, gradients, strict=True)):
            g = tf.convert_to_tensor(gradient).numpy().astype(np.float64)
            self.m[number] = c.beta_1 * self.m[number] + (1 - c.beta_1) * g
            self.v[number] = c.beta_2 * self.v[number] + (1 - c.beta_2) * g * g
            weight.assign(weight.numpy() - rate * self.m[number] / (np.sqrt(self.v[number]) + c.adam_epsilon))

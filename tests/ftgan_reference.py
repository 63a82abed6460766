"""FTGAN's networks and losses as its tables write them, in float64 and without the library's layers.

Weights are given by the rows of the tables: a `Row` is a convolution (or linear layer) with a kernel and a bias, and the BN after it
or None. Kernels are [...,in,out] of convolutions, [...,out,in] of transposed ones, [1,in,out] of linear layers.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tests.reference import batch_norm, conv, deconv, leaky, relu

EPSILON = 2e-5  # Chainer's
PENALTY = 0.1  # of a mask's mean
C = 0.1  # of L_tex in the flow nets' loss of the joint training


class Row(NamedTuple):
    """A row of a table: its convolution, and its BN."""

    layer: object
    norm: object | None = None


class Flow(NamedTuple):
    """FlowGAN's generator."""

    linear: Row
    up: list[Row]
    flow: Row
    mask: Row


class Texture(NamedTuple):
    """TextureGAN's generator, by the names of its table."""

    background_linear: Row
    background_up: list[Row]
    background_head: Row
    seed_linear: Row
    seed_up: list[Row]
    e1: Row
    e2: Row
    e3: Row
    e_below: list[Row]  # e4, e5
    d_below: list[Row]  # d1, d2, d3
    mask: Row
    d4: Row
    d5: Row


class Critic(NamedTuple):
    """A discriminator: a first row for each of its inputs, the halvings after, the linear layer."""

    first: list[Row]
    down: list[Row]
    linear: Row


def normed(x: tf.Tensor, row: Row, training: bool) -> tf.Tensor:
    return batch_norm(x, row.norm, EPSILON, training)


def linear(x: tf.Tensor, row: Row) -> tf.Tensor:
    kernel = tf.cast(row.layer.kernel.value, x.dtype)
    return x @ tf.reshape(kernel, [x.shape[1], -1]) + tf.cast(row.layer.bias.value, x.dtype)


def first_map(z: tf.Tensor, row: Row, shape: list[int], activation, training: bool) -> tf.Tensor:
    """The units are normalized one by one, each over the batch, before they become a map."""
    units = activation(normed(linear(z, row), row, training))
    return tf.reshape(units, [-1, *shape, units.shape[1] // int(np.prod(shape))])


def doubled(x: tf.Tensor, rows: list[Row], training: bool) -> tf.Tensor:
    for row in rows:
        x = relu(normed(deconv(x, row.layer, 2, 1), row, training))
    return x


def sigmoid(x: tf.Tensor) -> tf.Tensor:
    return 1 / (1 + tf.exp(-x))


def flow_generator(net: Flow, z: tf.Tensor, frames: int, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """(flow [N,T,H,W,2] in [-1,1], mask [N,T,H,W,1]); frames is T."""
    doublings = len(net.up) + 1
    x = doubled(first_map(z, net.linear, [frames >> doublings, 4, 4], relu, training), net.up, training)
    mask = sigmoid(deconv(x, net.mask.layer, 2, 1))
    return mask * tf.tanh(deconv(x, net.flow.layer, 2, 1)), mask


def texture_generator(net: Texture, z: tf.Tensor, flow: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """(video [N,T,H,W,3] in [-1,1], mask [N,T,H,W,1])."""
    frames, size = flow.shape[1:3]

    def halved(x: tf.Tensor, row: Row) -> tf.Tensor:
        return leaky(normed(conv(x, row.layer, 2, 1), row, training))

    still = doubled(first_map(z, net.background_linear, [4, 4], leaky, training), net.background_up, training)
    still = tf.tanh(deconv(still, net.background_head.layer, 2, 1))
    background = tf.stack([still] * frames, 1)

    seed = first_map(z, net.seed_linear, [frames * 4 // size, 4, 4], leaky, training)
    seed = doubled(seed, net.seed_up, training)

    e1 = leaky(conv(flow, net.e1.layer, 2, 1))
    e2 = tf.concat([halved(e1, net.e2), seed], -1)
    e3 = leaky(normed(conv(e2, net.e3.layer, 1, 1), net.e3, training))
    below = [e3]
    for row in net.e_below:
        below.append(halved(below[-1], row))
    x = below.pop()
    for row in net.d_below:
        x = doubled(x, [row], training)
        x = tf.concat([x, below.pop()], -1) if below else x
    h = x
    mask = sigmoid(deconv(h, net.mask.layer, 2, 1))
    d4 = doubled(tf.concat([h, e1], -1), [net.d4], training)
    foreground = tf.tanh(conv(d4, net.d5.layer, 1, 1))
    return mask * foreground + (1 - mask) * background, mask


def critic(net: Critic, inputs: list[tf.Tensor], training: bool) -> tf.Tensor:
    """Scores [N]."""
    x = tf.concat([leaky(conv(one, row.layer, 2, 1)) for one, row in zip(inputs, net.first, strict=True)], -1)
    for row in net.down:
        x = leaky(normed(conv(x, row.layer, 2, 1), row, training))
    return linear(tf.reshape(x, [x.shape[0], -1]), net.linear)[:, 0]


def softplus(x: tf.Tensor) -> tf.Tensor:
    return tf.math.log(1 + tf.exp(x))


def discriminator_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(softplus(-real)) + tf.reduce_mean(softplus(fake))


def generator_loss(fake: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(softplus(-fake))


def mask_loss(mask: tf.Tensor) -> tf.Tensor:
    return PENALTY * tf.reduce_sum(tf.abs(mask)) / tf.size(mask, tf.int64).numpy()


def adam(weight: np.ndarray, gradient: np.ndarray, rate: float, beta_1: float, beta_2: float, epsilon: float) -> np.ndarray:
    """A weight after Adam's first update."""
    m, v = (1 - beta_1) * gradient, (1 - beta_2) * gradient**2
    return weight - rate * np.sqrt(1 - beta_2) / (1 - beta_1) * m / (np.sqrt(v) + epsilon)

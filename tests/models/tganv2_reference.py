"""TGANv2 once more, from the paper's tables: float64, one tap and one frame at a time, differentiable as often as need be.

Weights are read from the model's layers; nothing else of the library is used.
"""

import itertools

import numpy as np
import tensorflow as tf

EPSILON = 2e-5


def weight(variable) -> tf.Tensor:
    return tf.cast(variable.value, tf.float64)


def taps(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """[N,...,C] by an odd kernel with zeros around: what each tap sees, by a matrix that shifts, then one product."""
    extents = kernel.shape[:-2]
    for k, n in zip(extents, x.shape[1:-1], strict=True):
        shifts = np.stack([np.eye(n, n, i - k // 2) for i in range(k)])  # [k,n,n]
        x = tf.tensordot(x, tf.constant(shifts), [[1], [2]])  # the next axis is then the first
    form = {1: "zcaA,acd->zAd", 2: "zcaAbB,abcd->zABd", 3: "zcaAbBeE,abecd->zABEd"}[len(extents)]
    return tf.einsum(form, x, kernel)


def convolution(x: tf.Tensor, layer) -> tf.Tensor:
    return taps(x, weight(layer.kernel)) + weight(layer.bias)


def relu(x: tf.Tensor) -> tf.Tensor:
    return tf.where(x > 0, x, 0 * x)


def norm(x: tf.Tensor, layer, training: bool) -> tf.Tensor:
    """Over all axes but the last."""
    if training:
        axes = list(range(len(x.shape) - 1))
        mean = tf.reduce_mean(x, axes)
        variance = tf.reduce_mean((x - mean) ** 2, axes)
    else:
        mean, variance = (tf.cast(statistic[0], tf.float64) for statistic in layer.standing[:2])
    return weight(layer.gain) * (x - mean) / tf.sqrt(variance + EPSILON) + weight(layer.bias)


def doubled(x: tf.Tensor) -> tf.Tensor:
    return tf.repeat(tf.repeat(x, 2, 1), 2, 2)


# Generator


def first_map(network, z: tf.Tensor) -> tf.Tensor:
    """fc, reshaped channels first."""
    y = z @ weight(network.linear.kernel)[0] + weight(network.linear.bias)
    channels = network.lstm.recurrent_kernel.shape[2]
    side = round((y.shape[1] // channels) ** 0.5)
    return tf.stack([tf.reshape(y[:, c * side**2 : (c + 1) * side**2], [-1, side, side]) for c in range(channels)], -1)


def lstm(cell, x: tf.Tensor, frames: int) -> list[tf.Tensor]:
    """Reads x, then zeros; every step's h."""
    of_input, bias, of_state = (weight(variable) for variable in (cell.kernel, cell.bias, cell.recurrent_kernel))
    h = c = tf.zeros_like(x)
    width, states = x.shape[-1], []
    for _ in range(frames):
        gates = taps(x, of_input) + bias + taps(h, of_state)
        i, f, o, g = (gates[..., k * width : (k + 1) * width] for k in range(4))
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        h = tf.sigmoid(o) * tf.tanh(c)
        states.append(h)
        x = tf.zeros_like(x)
    return states


def generator_block(block, x: tf.Tensor, training: bool) -> tf.Tensor:
    y = convolution(doubled(relu(norm(x, block.norm1, training))), block.conv1)
    y = convolution(relu(norm(y, block.norm2, training)), block.conv2)
    return y + convolution(doubled(x), block.shortcut)


def head(layer, x: tf.Tensor, training: bool) -> tf.Tensor:
    return tf.tanh(convolution(relu(norm(x, layer.norm, training)), layer.conv))


def by_frame(x: tf.Tensor, n: int) -> tf.Tensor:
    return tf.reshape(x, [n, -1, *x.shape[1:]])


def start(network, z: tf.Tensor, frames: int, training: bool) -> tf.Tensor:
    """The map of the first head, [N*T,...], batch-major."""
    states = tf.stack(lstm(network.lstm, first_map(network, tf.cast(z, tf.float64)), frames), 1)
    x = tf.reshape(states, [-1, *states.shape[2:]])
    for block in network.blocks[:3]:
        x = generator_block(block, x, training)
    return x


def pyramid(network, z: tf.Tensor, offsets: list[int], frames: int, mean: bool = False) -> list[tf.Tensor]:
    """What training shows D: one offset for the whole batch at each place between two levels."""
    n, x = len(z), start(network, z, frames, True)
    videos = [by_frame(head(network.heads[0], x, True), n)]
    for offset, block, render in zip(offsets, network.blocks[3:], network.heads[1:], strict=True):
        clips = by_frame(x, n)
        clips = (clips[:, 0::2] + clips[:, 1::2]) / 2 if mean else clips[:, offset::2]
        x = generator_block(block, tf.reshape(clips, [-1, *clips.shape[2:]]), True)
        videos.append(by_frame(head(render, x, True), n))
    return videos


def dense(network, z: tf.Tensor, frames: int, training: bool) -> tf.Tensor:
    """Every frame at full size, by the last head alone."""
    x = start(network, z, frames, training)
    for block in network.blocks[3:]:
        x = generator_block(block, x, training)
    return by_frame(head(network.heads[-1], x, training), len(z))


# Real clips


def real_pyramid(video: np.ndarray, offsets: np.ndarray) -> list[np.ndarray]:
    """[N,T,H,W,3] and each example's own offsets [N,levels-1]."""
    picked = [[clip] for clip in np.asarray(video, np.float64)]
    for clips, own in zip(picked, offsets, strict=True):
        for offset in own:
            clips.append(clips[-1][offset::2])
    levels = []
    for level in range(offsets.shape[1] + 1):
        k = 2 ** (offsets.shape[1] - level)
        x = np.stack([clips[level] for clips in picked])
        levels.append(np.mean([x[:, :, i::k, j::k] for i in range(k) for j in range(k)], 0))
    return levels


# Discriminator


def pooling(n: int, official: bool) -> np.ndarray:
    """The matrix of `down` along an axis of n: window 2, of an axis of 1 1; a zero on both sides of an odd axis; strides of a window."""
    if n == 1 and not official:
        return np.ones([1, 1])
    window, padding = (1 if n == 1 else 2), n % 2
    outputs = (n + 2 * padding - window) // window + 1
    matrix = np.zeros([outputs, n])
    for k, j in itertools.product(range(outputs), range(window)):
        if 0 <= k * window + j - padding < n:
            matrix[k, k * window + j - padding] = 1 / window
    return matrix


def down(x: tf.Tensor, axes: tuple[int, ...], official: bool) -> tf.Tensor:
    for axis in axes:
        x = tf.experimental.numpy.moveaxis(tf.tensordot(x, tf.constant(pooling(x.shape[axis], official)), [[axis], [1]]), -1, axis)
    return x


def discriminator(network, x: tf.Tensor, official: bool, lengths: list | None = None) -> tf.Tensor:
    """Scores [N] of one level's clips by its D; notes (T, H) after each block in `lengths`."""
    x = tf.cast(x, tf.float64)
    for number, block in enumerate(network.blocks):
        first = number == 0
        axes = (2, 3) if first else (1, 2, 3)
        y = convolution(relu(convolution(x if first else relu(x), block.conv1)), block.conv2)
        if first:
            x = down(y, axes, official) + convolution(down(x, axes, official), block.shortcut)
        else:
            x = down(y, axes, official) + down(convolution(x, block.shortcut), axes, official)
        if lengths is not None:
            lengths.append(tuple(x.shape[1:3]))
    return tf.linalg.matvec(tf.reduce_sum(relu(x), [1, 2, 3]), tf.reshape(weight(network.score.kernel), [-1])) + weight(network.score.bias)


# Losses


def softplus(x: tf.Tensor) -> tf.Tensor:
    return tf.math.log(1 + tf.exp(x))


def generator_loss(networks: list, fakes: list[tf.Tensor], official: bool) -> tf.Tensor:
    """Each level weighs the same."""
    return sum(tf.reduce_mean(softplus(-discriminator(d, x, official))) for d, x in zip(networks, fakes, strict=True)) / len(networks)


def penalty(networks: list, reals: list, official: bool) -> tf.Tensor:
    """The mean over clips of the sum over levels of |ds/dx|^2."""
    total = 0.0
    for network, x in zip(networks, reals, strict=True):
        x = tf.cast(x, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = tf.reduce_sum(discriminator(network, x, official))
        total += tf.reduce_sum(tape.gradient(score, x) ** 2) / x.shape[0]
    return total


def discriminator_loss(networks: list, reals: list, fakes: list[tf.Tensor], official: bool, weight: float) -> tuple[tf.Tensor, tf.Tensor]:
    """The adversarial loss and the weighted penalty."""
    loss = generator_loss(networks, reals, official)  # softplus(-s) of real clips
    for network, x in zip(networks, fakes, strict=True):
        loss += tf.reduce_mean(softplus(discriminator(network, x, official))) / len(networks)
    return loss, weight * penalty(networks, reals, official)

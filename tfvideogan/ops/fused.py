"""Batch normalization and ConvGRU's recurrence: the plain formulas, and beside each one operation with a gradient written by hand, in
fewer passes over the maps.

Element-wise work on large maps is compiled by XLA, piece by piece: sums in float32, products and casts become one pass.
Convolutions, and what goes over replicas, stay outside of the pieces.
"""

import functools
from collections.abc import Sequence

import tensorflow as tf

from tfvideogan.ops import forms, pieces
from tfvideogan.ops.convolution import kernel_gradient
from tfvideogan.ops.pieces import compiled

SLABS = 8  # parts of a map that are added to each other before the sum over pixels: whole vectors, in one pass


# Batch normalization


def normalize(
    x: tf.Tensor, gain: tf.Tensor, shift: tf.Tensor, epsilon: float, per_frame: bool, relu: bool
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """gain * (x - mean) / sqrt(variance + epsilon) + shift, rectified if `relu`, in float32, with moments over all replicas.

    Args:
        x: [N,T,P,C], P pixels.
        gain, shift: [N,C] or [1,C], float32.
        epsilon: added to the variance.
        per_frame: moments for each of the T frames, else over all.

    Returns: [N,T,P,C] in x's dtype; and mean and variance, [T or 1,C], float32, which pass no gradient.
    """
    y, mean, variance = (_normalize_plain if forms.is_plain() else _normalize_fused)(x, gain, shift, epsilon, per_frame, relu)
    return y, tf.stop_gradient(mean), tf.stop_gradient(variance)


def _count(x: tf.Tensor, per_frame: bool) -> tf.Tensor:
    """Pixels that a moment is taken of, on all replicas."""
    return over_replicas(tf.cast(tf.shape(x)[0] * x.shape[2] * (1 if per_frame else x.shape[1]), tf.float32))


def _normalize_plain(x, gain, shift, epsilon, per_frame, relu):
    count = _count(x, per_frame)

    def mean_of(maps: tf.Tensor) -> tf.Tensor:  # [N,T,P,C] -> [T or 1,C]
        return tf.reshape(over_replicas(tf.reduce_sum(maps, [0, 2] if per_frame else [0, 1, 2])), [-1, x.shape[3]]) / count

    maps = tf.cast(x, tf.float32)
    mean = mean_of(maps)
    variance = mean_of(tf.square(maps - mean[:, None]))
    scale = gain[:, None] * tf.math.rsqrt(variance + epsilon)  # [N or 1,T or 1,C]
    return affine(x, scale, shift[:, None] - mean * scale, relu), mean, variance


def _normalize_fused(x, gain, shift, epsilon, per_frame, relu):
    over = [0] if per_frame else [0, 1]

    # Sums over slabs, pixels, then examples: over one inner axis, or leading ones, is several times as fast as over several.
    def total(sums: tf.Tensor) -> list[tf.Tensor]:  # [N,T,2,C], over examples, replicas, and frames: two of [T or 1,C]
        return tf.unstack(tf.reshape(over_replicas(tf.reduce_sum(sums, over)), [-1, 2, x.shape[3]]), axis=1)

    def of_condition(sums: tf.Tensor) -> tf.Tensor:  # of [N,T,C]: the gradient of gain or shift
        return tf.reduce_sum(sums, 1) if gain.shape[0] != 1 else tf.reduce_sum(sums, [0, 1])[None]

    @tf.custom_gradient
    def forward(x: tf.Tensor, gain: tf.Tensor, shift: tf.Tensor):
        gain, shift = tf.expand_dims(gain, 1), tf.expand_dims(shift, 1)  # [N or 1,1,C]
        count = _count(x, per_frame)
        mean, square = (s / count for s in total(tf.reduce_sum(compiled(_squares, x)[0], 2)))
        variance = tf.maximum(square - mean * mean, 0.0)
        inverse = tf.math.rsqrt(variance + epsilon)
        scale = gain * inverse  # [N or 1,T or 1,C]
        y = affine(x, scale, shift - mean * scale, relu)

        def backward(dy: tf.Tensor, *_: tf.Tensor):
            inputs = (dy, y, x) if relu else (dy, x)
            (sums,) = compiled(_products_relu if relu else _products, *inputs)
            d, dx = tf.unstack(tf.reduce_sum(sums, 2), axis=2)  # of dy, and of dy * x
            d_gain = (dx - d * mean) * inverse
            a, b = (s / count for s in total(tf.stack([gain * d, gain * d_gain], 2)))
            slope = -inverse * inverse * b
            offset = -inverse * a - mean * slope
            (to_x,) = compiled(_to_input_relu if relu else _to_input, *inputs, _pixels(scale), _pixels(slope[None]), _pixels(offset[None]))
            return to_x, of_condition(d_gain), of_condition(d)

        return (y, mean, variance), backward

    return forward(x, gain, shift)


def affine(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor, relu: bool) -> tf.Tensor:
    """scale * x + shift of [N,T,P,C], with scale and shift [N or 1,T or 1,C]; in float32, rectified if `relu`; in x's dtype."""
    (y,) = compiled(_affine_relu if relu else _affine, x, _pixels(scale), _pixels(shift))
    return y


def over_replicas(sums: tf.Tensor) -> tf.Tensor:
    """The sum over all replicas."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return sums
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, sums)


def _pixels(x: tf.Tensor) -> tf.Tensor:
    return tf.expand_dims(x, 2)


def _summed(a: tf.Tensor, b: tf.Tensor) -> list[tf.Tensor]:
    """Of [N,T,P,C] float32, [N,T,P/SLABS,2,C]: the sums of a, and of a * b, over slabs of pixels."""
    # Where XLA adds them: TensorFlow would make one AddN of them, which begins with the input that nobody else holds at that moment.
    slabs = SLABS if pieces.is_compiled(a) and a.shape[2] % SLABS == 0 else 1
    return [tf.stack([functools.reduce(tf.add, tf.split(maps, slabs, 2)) for maps in (a, a * b)], 3)]


def _masked(dy: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    return tf.where(y > 0, dy, 0.0)


def _squares(x):
    return _summed(*_floats(x, x))


def _affine(x, scale, shift):
    return [tf.cast(tf.cast(x, tf.float32) * scale + shift, x.dtype)]


def _affine_relu(x, scale, shift):
    return [tf.cast(tf.nn.relu(tf.cast(x, tf.float32) * scale + shift), x.dtype)]


def _products(dy, x):
    return _summed(*_floats(dy, x))


def _products_relu(dy, y, x):
    dy, x = _floats(dy, x)
    return _summed(_masked(dy, y), x)


def _to_input(dy, x, scale, slope, offset):
    return [tf.cast(tf.cast(dy, tf.float32) * scale + tf.cast(x, tf.float32) * slope + offset, x.dtype)]


def _to_input_relu(dy, y, x, scale, slope, offset):
    return [tf.cast(_masked(tf.cast(dy, tf.float32), y) * scale + tf.cast(x, tf.float32) * slope + offset, x.dtype)]


# The recurrence of ConvGRU


def gru(w_ru: tf.Tensor, w_c: tf.Tensor, *reads: tf.Tensor, initial: tf.Tensor | None = None) -> Sequence[tf.Tensor]:
    """The states of a ConvGRU, given what its convolutions read of the input.

        r, u = sigmoid(W_ru * h + reads_ru)      c = relu(W_c * (r . h) + reads_c)      h' = u . h + (1 - u) . c

    Fused, the gradients of the kernels are one convolution over all frames each, where TensorFlow would add one a frame.

    Args:
        w_ru: [3,3,C,2C]. w_c: [3,3,C,C].
        reads: of each frame [N,H,W,3C], for r, u and c.
        initial: h_0 [N,H,W,C]; 0 if None.

    Returns: the state after each frame, [N,H,W,C].
    """
    if forms.is_plain():
        return _gru_plain(w_ru, w_c, tf.zeros_like(reads[0][..., : w_c.shape[2]]) if initial is None else initial, *reads)
    return _gru_fused(w_ru, w_c, *reads) if initial is None else _gru_fused_from(w_ru, w_c, initial, *reads)


def _gru_plain(w_ru: tf.Tensor, w_c: tf.Tensor, h: tf.Tensor, *reads: tf.Tensor) -> list[tf.Tensor]:
    states = []
    for read in reads:
        read_ru, read_c = tf.split(read, [2 * w_c.shape[2], w_c.shape[2]], -1)
        r, u = tf.split(tf.sigmoid(tf.nn.conv2d(h, w_ru, 1, "SAME") + read_ru), 2, -1)
        c = tf.nn.relu(tf.nn.conv2d(r * h, w_c, 1, "SAME") + read_c)
        h = u * h + (1 - u) * c
        states.append(h)
    return states


@tf.custom_gradient
def _gru_fused(w_ru: tf.Tensor, w_c: tf.Tensor, *reads: tf.Tensor):
    h, u, c = compiled(_first, reads[0])  # of h_0 = 0 nothing is to be convolved
    later, backward_later = _gru_steps(w_ru, w_c, h, *reads[1:])

    def backward(*dy: tf.Tensor):
        to_ru, to_c, d_h, d_before, *gradients = backward_later(*dy[1:])
        d_c, d_u = compiled(_back_first, d_h, d_before, dy[0], c, u)
        return to_ru, to_c, tf.concat([tf.zeros_like(d_c), d_u, d_c], -1), *gradients

    return (h, *later), backward


@tf.custom_gradient
def _gru_fused_from(w_ru: tf.Tensor, w_c: tf.Tensor, initial: tf.Tensor, *reads: tf.Tensor):
    states, backward_steps = _gru_steps(w_ru, w_c, initial, *reads)

    def backward(*dy: tf.Tensor):
        to_ru, to_c, d_h, d_before, *gradients = backward_steps(*dy)
        return to_ru, to_c, d_h + d_before, *gradients

    return states, backward


def _gru_steps(w_ru: tf.Tensor, w_c: tf.Tensor, initial: tf.Tensor, *reads: tf.Tensor):
    """The states after `initial`; and what makes of their gradients those of the arguments, of `initial` in two addends."""
    states, steps = [initial], []  # r, u, c and r . h of each frame
    for read in reads:
        h = states[-1]
        reset, r, u = compiled(_gates, tf.nn.conv2d(h, w_ru, 1, "SAME"), read, h)
        h, c = compiled(_update, tf.nn.conv2d(reset, w_c, 1, "SAME"), read, u, h)
        states.append(h)
        steps.append((r, u, c, reset))

    def backward(*dy: tf.Tensor):
        shape, gradients = tf.shape(initial), []  # of reads, from the last on
        d_h, d_before = [tf.zeros_like(initial)] * 2  # the gradient of the state, in two addends
        for before, (r, u, c, _), d in zip(states[-2::-1], steps[::-1], dy[::-1], strict=True):
            d_c, d_u, d_before = compiled(_back_update, d_h, d_before, d, c, u, before)
            d_reset = _back_convolution(d_c, w_c, shape)
            d_r, d_before = compiled(_back_gates, d_reset, before, r, d_before)
            d_ru = tf.concat([d_r, d_u], -1)  # not in the piece: XLA would join bfloat16 as float32, which takes a multiple of the time
            gradients.append(tf.concat([d_ru, d_c], -1))
            d_h = _back_convolution(d_ru, w_ru, shape)
        if not steps:
            return tf.zeros_like(w_ru), tf.zeros_like(w_c), d_h, d_before
        gradients = gradients[::-1]
        all_frames, channels, resets = tf.concat(gradients, 0), w_c.shape[2], [reset for *_, reset in steps]
        to_ru = kernel_gradient(tf.concat(states[:-1], 0), all_frames[..., : 2 * channels], w_ru.shape, [1, 1], "SAME")
        to_c = kernel_gradient(tf.concat(resets, 0), all_frames[..., 2 * channels :], w_c.shape, [1, 1], "SAME")
        return to_ru, to_c, d_h, d_before, *gradients

    return tuple(states[1:]), backward


def _back_convolution(d: tf.Tensor, w: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d_transpose(d, w, shape, 1, "SAME")


def _floats(*tensors: tf.Tensor) -> list[tf.Tensor]:
    return [tf.cast(tensor, tf.float32) for tensor in tensors]


def _as(like: tf.Tensor, *tensors: tf.Tensor) -> list[tf.Tensor]:
    return [tf.cast(tensor, like.dtype) for tensor in tensors]


def _first(read):
    _, u, c = tf.split(tf.cast(read, tf.float32), 3, -1)
    u, c = tf.sigmoid(u), tf.nn.relu(c)
    return _as(read, c - u * c, u, c)


def _gates(convolved, read, h):
    convolved, part, h_ = _floats(convolved, read[..., : convolved.shape[-1]], h)
    r, u = tf.split(tf.sigmoid(convolved + part), 2, -1)
    return _as(h, r * h_, r, u)


def _update(convolved, read, u, h):
    convolved, part, u, h_ = _floats(convolved, read[..., 2 * h.shape[-1] :], u, h)
    c = tf.nn.relu(convolved + part)
    return _as(h, c + u * (h_ - c), c)


def _back_update(d_h, d_before, dy, c, u, before):
    d, d_before, dy, c, u, before = _floats(d_h, d_before, dy, c, u, before)
    d += d_before + dy
    return _as(d_h, tf.where(c > 0, d * (1 - u), 0.0), d * (before - c) * (u * (1 - u)), d * u)


def _back_gates(d_reset, before, r, d_before):
    d, before, r, d_before = _floats(d_reset, before, r, d_before)
    return _as(d_reset, d * before * (r * (1 - r)), d_before + d * r)


def _back_first(d_h, d_before, dy, c, u):
    d, d_before, dy, c, u = _floats(d_h, d_before, dy, c, u)
    d += d_before + dy
    return _as(d_h, tf.where(c > 0, d * (1 - u), 0.0), -d * c * (u * (1 - u)))

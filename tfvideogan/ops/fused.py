"""Fast forms of what layers compute, each one operation with a gradient written by hand: equal to what TensorFlow
derives from the plain formula, which tests/fused_test.py writes down, in fewer passes over the maps.

Element-wise work on large maps is compiled by XLA, piece by piece: sums in float32, products and casts become one pass.
Convolutions, and what goes over replicas, stay outside of the pieces.
"""

from collections.abc import Callable

import tensorflow as tf

from tfvideogan.ops import forms
from tfvideogan.ops.convolution import convolve, convolve_transposed, kernel_gradient
from tfvideogan.ops.pieces import compiled, is_large, once_traced
from tfvideogan.ops.resample import downsample, downsample_time, upsample_nearest
from tfvideogan.ops.video import fold, unfold

SLABS = 8  # parts of a map that are added to each other before the sum over pixels: whole vectors, in one pass


@tf.custom_gradient
def relu(x: tf.Tensor):
    """max(x, 0)."""
    (y,) = _compiled_in_16_bits(_relu, x)
    return y, lambda dy: _compiled_in_16_bits(_relu_gradient, dy, y)[0]


def epilogue(x: tf.Tensor, *addends: tf.Tensor, relu: bool = False) -> tf.Tensor:
    """The end of a convolution: the sum of its output [N,...,C], a bias [C] and a shortcut's output, rectified if `relu`.

    All of it becomes a part of the convolution, but of a transposed one. By oneDNN the ReLU makes 0 of NaN: a path around it must tell.
    """

    def forward(x: tf.Tensor, *addends: tf.Tensor) -> tf.Tensor:
        for addend in addends:  # bias_add and add_n, not +: they become parts even where Grappler knows no shapes
            x = tf.nn.bias_add(x, addend) if len(addend.shape) == 1 else tf.add_n([x, addend])
        return tf.nn.relu(x) if relu else x

    @tf.custom_gradient
    def whole(x: tf.Tensor, *addends: tf.Tensor):
        y = forward(x, *addends)

        def backward(dy: tf.Tensor):
            d = _compiled_in_16_bits(_relu_gradient, dy, y)[0] if relu else dy
            return d, *[_to_bias(d) if len(addend.shape) == 1 else d for addend in addends]

        return y, backward

    return (forward if forms.is_plain() else whole)(x, *addends)


def _to_bias(dy: tf.Tensor) -> tf.Tensor:
    # BiasAddGrad becomes part of oneDNN's gradient of a 2-D kernel. In bfloat16 that costs nothing; in float32 96 maps of 32x32x64 take
    # 33 ms and, apart, 23; of 16x16x128, 21.7 and 19.5 (EPYC).
    if dy.dtype.size == 2:
        return tf.raw_ops.BiasAddGrad(out_backprop=dy)
    return tf.reduce_sum(tf.reshape(dy, [-1, dy.shape[-1]]), 0)


def relu_and_downsample(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """`relu` and `downsample` of [N,H,W,C] or [N,T,H,W,C], whose gradients meet in one pass."""
    if forms.is_plain() or x.shape[-3] % 2 or x.shape[-2] % 2:
        return relu(x), downsample(x)
    if len(x.shape) == 4:
        return _relu_and_pool(x)
    y, half = _relu_and_pool(fold(x))
    return unfold(y, x.shape[1]), downsample_time(unfold(half, x.shape[1]))


@tf.custom_gradient
def _relu_and_pool(x: tf.Tensor):
    y = relu(x)

    def backward(dy: tf.Tensor, d_half: tf.Tensor):
        # Three operations in one pass; frames of 32x32 by 32, 128 of them in bfloat16: 12.8 ms and 4.2.
        return once_traced(_of_relu_and_pool, dy, y, d_half, xla=is_large(y, saved=4))[0]

    return (y, downsample(x)), backward


def _of_relu_and_pool(dy, y, d_half):
    height, width, channels = d_half.shape[1:]
    dy, y = (tf.reshape(tensor, [-1, height, 2, width, 2, channels]) for tensor in (dy, y))
    sums = _masked(tf.cast(dy, tf.float32), y) + tf.cast(d_half, tf.float32)[:, :, None, :, None] / 4
    return [tf.reshape(tf.cast(sums, dy.dtype), [-1, 2 * height, 2 * width, channels])]


def _compiled_in_16_bits(function: Callable, *tensors: tf.Tensor) -> list[tf.Tensor]:
    # TensorFlow's own take twice as long in bfloat16 as in float32 on a CPU; in float32 XLA's are no faster.
    return compiled(function, *tensors) if tensors[0].dtype.size == 2 and is_large(tensors[0]) else function(*tensors)


def _relu(x):
    # Not TensorFlow's relu: fused with a convolution, a bias and a sum it makes 0 of NaN, and hides a loss that is none; and where
    # --recompute reads the sum again, Grappler's remapper ends with an error and fuses nothing.
    return [tf.maximum(x, tf.zeros([], x.dtype))]


def _relu_gradient(dy, y):
    return [tf.raw_ops.ReluGrad(gradients=dy, features=y)]


# Convolution beside a doubling or halving


def upsample_and_convolve(x: tf.Tensor, kernel: tf.Tensor, upsample: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Convolution of stride 1 by a 3x3 kernel of what `upsample` doubles: [N,H,W,C] -> [N,2H,2W,C'].

    Nearest doubling as one transposed convolution of stride 2, whose kernel of extent 4 is the sum of this one, turned round, at
    every shift within a pixel's four copies: four products a pixel for nine.
    """
    if upsample is not upsample_nearest or forms.is_plain():
        return convolve(upsample(x), kernel, [1, 1], "SAME")
    turned = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
    return convolve_transposed(x, _at_both_shifts(turned, 2), [2, 2], "SAME")


def convolve_and_pool(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """`downsample` of a convolution of stride 1 by a kernel of extent 3, 2-D or 3-D: [N,...,C] -> [N,.../2,C'].

    As one convolution of stride 2, whose kernel of extent 4 is the mean of this one at every shift within a pooling window. With its
    gradients, in float32 and bfloat16 (EPYC): 128 maps of 8x8x256 in 0.72 and 0.54 of the time, of 16x16x128 in 0.65 and 0.68, but
    64 of 4x4x256 in 0.88 and 1.10.
    """
    axes = len(kernel.shape) - 2
    if forms.is_plain() or x.shape[-2] <= 4 or any(length % 2 for length in x.shape[1:-1]):
        return downsample(convolve(x, kernel, [1] * axes, "SAME"))
    return convolve(x, _at_both_shifts(kernel, axes) / 2**axes, [2] * axes, "SAME")


def _at_both_shifts(kernel: tf.Tensor, axes: int) -> tf.Tensor:
    """The sum of a kernel and of itself one further, along each of the first axes."""
    shifted = tf.cast(kernel, tf.float32)  # or bfloat16 gradients err by 0.0038 of themselves, not by 0.0033 (plain: 0.0029)
    for axis in range(axes):
        pads = ([[0, 0] if a != axis else pad for a in range(axes + 2)] for pad in ([0, 1], [1, 0]))
        shifted = tf.add_n([tf.pad(shifted, pad) for pad in pads])
    return tf.cast(shifted, kernel.dtype)


# Batch normalisation


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
    over = [0] if per_frame else [0, 1]

    # Sums over slabs, pixels, then examples: over one inner axis, or leading ones, is several times as fast as over several.
    def total(sums: tf.Tensor) -> list[tf.Tensor]:  # [N,T,2,C], over examples, replicas, and frames: two of [T or 1,C]
        return tf.unstack(tf.reshape(over_replicas(tf.reduce_sum(sums, over)), [-1, 2, x.shape[3]]), axis=1)

    def of_condition(sums: tf.Tensor) -> tf.Tensor:  # of [N,T,C]: the gradient of gain or shift
        return tf.reduce_sum(sums, 1) if gain.shape[0] != 1 else tf.reduce_sum(sums, [0, 1])[None]

    @tf.custom_gradient
    def forward(x: tf.Tensor, gain: tf.Tensor, shift: tf.Tensor):
        gain, shift = tf.expand_dims(gain, 1), tf.expand_dims(shift, 1)  # [N or 1,1,C]
        count = over_replicas(tf.cast(tf.shape(x)[0] * x.shape[2] * (1 if per_frame else x.shape[1]), tf.float32))
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

    y, mean, variance = forward(x, gain, shift)
    return y, tf.stop_gradient(mean), tf.stop_gradient(variance)


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
    # Only where it is compiled: TensorFlow's AddN begins with the input that nobody else holds at that moment, XLA's with the first.
    if not is_large(a):
        return [tf.stack([a, a * b], 3)]
    slabs = SLABS if a.shape[2] % SLABS == 0 else 1
    # As a * (1 or b): of one result XLA makes one loop, of two results two that both read the maps.
    one = tf.constant([[True], [False]])
    parts = zip(tf.split(tf.expand_dims(a, 3), slabs, 2), tf.split(tf.expand_dims(b, 3), slabs, 2), strict=True)
    return [tf.add_n([part * tf.where(one, 1.0, other) for part, other in parts])]


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


@tf.custom_gradient
def gru(w_ru: tf.Tensor, w_c: tf.Tensor, *reads: tf.Tensor):
    """The states of a ConvGRU from h_0 = 0, given what its convolutions read of the input.

        r, u = sigmoid(W_ru * h + reads_ru)      c = relu(W_c * (r . h) + reads_c)      h' = u . h + (1 - u) . c

    The gradients of the kernels are one convolution over all frames each, where TensorFlow would add one a frame.

    Args:
        w_ru: [3,3,C,2C]. w_c: [3,3,C,C].
        reads: of each frame [N,H,W,3C], for r, u and c.

    Returns: the state after each frame, [N,H,W,C].
    """
    frames = len(reads)
    h, u, c = compiled(_first, reads[0])
    steps = [(h, None, u, c, None)]  # h, r, u, c and r . h of each frame
    for t in range(1, frames):
        reset, r, u = compiled(_gates, tf.nn.conv2d(h, w_ru, 1, "SAME"), reads[t], h)
        h, c = compiled(_update, tf.nn.conv2d(reset, w_c, 1, "SAME"), reads[t], u, h)
        steps.append((h, r, u, c, reset))
    states, reset_gates, update_gates, candidates, resets = zip(*steps, strict=True)  # tuples of T

    def backward(*dy: tf.Tensor):
        shape = tf.shape(states[0])
        gradients: list[tf.Tensor] = [None] * frames  # of reads
        d_h, d_before = [tf.zeros_like(states[0])] * 2  # the gradient of the state, in two addends
        for t in range(frames - 1, 0, -1):
            d_c, d_u, d_before = compiled(_back_update, d_h, d_before, dy[t], candidates[t], update_gates[t], states[t - 1])
            d_reset = _back_convolution(d_c, w_c, shape)
            d_r, d_before = compiled(_back_gates, d_reset, states[t - 1], reset_gates[t], d_before)
            d_ru = tf.concat([d_r, d_u], -1)  # not in the piece: XLA would join bfloat16 as float32, which takes a multiple of the time
            gradients[t] = tf.concat([d_ru, d_c], -1)
            d_h = _back_convolution(d_ru, w_ru, shape)
        d_c, d_u = compiled(_back_first, d_h, d_before, dy[0], candidates[0], update_gates[0])
        gradients[0] = tf.concat([tf.zeros_like(d_c), d_u, d_c], -1)
        if frames == 1:
            return tf.zeros_like(w_ru), tf.zeros_like(w_c), *gradients
        later = tf.concat(gradients[1:], 0)
        channels = w_c.shape[2]
        to_ru = kernel_gradient(tf.concat(states[:-1], 0), later[..., : 2 * channels], w_ru.shape, [1, 1], "SAME")
        to_c = kernel_gradient(tf.concat(resets[1:], 0), later[..., 2 * channels :], w_c.shape, [1, 1], "SAME")
        return to_ru, to_c, *gradients

    return states, backward


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

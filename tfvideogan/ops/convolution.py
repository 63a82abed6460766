"""Convolution and transposed convolution, what stands beside them, and their gradients, by whichever form is faster.

oneDNN is at its best on maps of 16x16 and more. Onto a smaller map, the gradient of a kernel is a matrix product for each of its taps:
every position's input by every position's gradient. Milliseconds in bfloat16 on two cores with AMX, oneDNN's and so, of kernels that
move by two pixels: 256 to 512 channels onto 4x4 maps of 256 frames, 97 and 18; the same with 4 frames in time, 122 and 17; 128 to
256 onto 8x8 maps, 37 and 19; 64 to 128 onto 16x16 maps, where it is not done, 20 and 38. By one pixel, 256 channels: 48 2x2 maps, 5.4
and 1.1; 128 4x4 maps, 13.9 and 5.2; 128 8x8 maps, 22 and 18, of which a step gains nothing. In float32 it gains on maps half as
long: by two pixels, 4 frames of 256 to 512 channels onto 4x4 maps, 586 and 393, 128 to 256 onto 8x8 maps, 130 and 220; by one,
48 2x2 maps, 3.7 and 2.1, 128 4x4 maps, 13.5 and 14.6.

A kernel as large as its map is a matrix itself: 256 4x4 maps of 512 channels to 60 numbers take 3.7 ms and 1.0, the gradients 4.4 and
1.3 (input), 12.4 and 1.7 (kernel) in bfloat16; 7.6 and 1.9, 7.9 and 2.1, 7.7 and 2.7 in float32.

In 16 bits, oneDNN's gradient of a kernel of three axes reads memory that is not its own (TensorFlow 2.21): with AMX from maps of 64x64 on
of fewer than 8 frames, with AVX-512 of 2 frames; what it finds there are wrong numbers, NaN, or the program's end. So it is taken place
by place in time from the gradient of kernels of two axes, which takes 1.05 to 1.4 times as long.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfvideogan.ops import forms
from tfvideogan.ops.relu import relu_gradient
from tfvideogan.ops.resample import downsample, upsample_nearest

DATA_FORMATS = "NWC", "NHWC", "NDHWC"  # of one to three axes
SMALL = 8  # height and width of a map up to which the gradient of a kernel is taken so; half of that in float32, half if it moves by one


def convolve(x: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], padding: str) -> tf.Tensor:
    """Convolution of [N,...,C] by a kernel [...,C,C'] of one to three axes -> [N,...,C']. Padding is "SAME" or "VALID"."""
    if forms.is_plain() or len(strides) == 1:
        return _forward(x, kernel, strides, padding)
    if len(strides) == 3 and x.shape[1] == strides[0] == 1 and padding == "SAME":  # of one frame: the other taps in time see zeros
        middle = kernel[(kernel.shape[0] - 1) // 2]
        return tf.expand_dims(convolve(tf.squeeze(x, 1), middle, strides[1:], padding), 1)
    if padding == "VALID" and x.shape[1:-1] == kernel.shape[:-2]:
        inputs = math.prod(kernel.shape[:-1])
        y = tf.matmul(tf.reshape(x, [-1, inputs]), tf.reshape(kernel, [inputs, -1]))
        return tf.reshape(y, [-1, *[1] * len(strides), kernel.shape[-1]])
    before = [0] * len(strides) if padding == "SAME" else [k - 1 for k in kernel.shape[:-2]]  # pixels at which no kernel begins
    outputs = [-(-(n - b) // s) for n, b, s in zip(x.shape[1:-1], before, strides, strict=True)]
    if not (_by_products(outputs, strides, x.dtype) or _by_frames(strides, x.dtype)):
        return _forward(x, kernel, strides, padding)
    return _convolved(x, kernel, strides, padding)


def convolve_transposed(x: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], padding: str) -> tf.Tensor:
    """What `convolve`'s gradient does to [N,...,C'], by the kernel [...,C,C'] -> [N,...,C]. "SAME" multiplies every axis by the stride."""
    lengths = [n * s if padding == "SAME" else (n - 1) * s + k for n, s, k in zip(x.shape[1:-1], strides, kernel.shape, strict=False)]
    shape = tf.stack([tf.shape(x)[0], *lengths, kernel.shape[-2]])
    if forms.is_plain() or len(strides) == 1:
        return _to_input(x, kernel, shape, strides, padding)
    if padding == "VALID" and max(x.shape[1:-1]) == 1:
        y = tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), tf.reshape(kernel, [-1, x.shape[-1]]), transpose_b=True)
        return tf.reshape(y, [-1, *lengths, kernel.shape[-2]])
    if not (_by_products(x.shape[1:-1], strides, x.dtype) or _by_frames(strides, x.dtype)):
        return _to_input(x, kernel, shape, strides, padding)
    return tf.ensure_shape(_transposed(x, kernel, shape, strides, padding), [None, *lengths, kernel.shape[-2]])


def kernel_gradient(x: tf.Tensor, dy: tf.Tensor, shape: Sequence[int], strides: Sequence[int], padding: str) -> tf.Tensor:
    """The gradient of a kernel of this shape [...,C,C'], given what was convolved [N,...,C] and its gradient [N,...,C'].

    Axes are two or three.
    """
    pads = [_pads(*of_axis, padding=padding) for of_axis in zip(x.shape[1:-1], dy.shape[1:-1], shape[:-2], strides, strict=True)]
    whole = all(k % s == 0 for k, s in zip(shape[:-2], strides, strict=True)) and all(after >= 0 for _, after in pads)
    if not _by_products(dy.shape[1:-1], strides, dy.dtype) or not whole:
        if _by_frames(strides, dy.dtype):
            return _of_frames(x, dy, shape, strides, padding, pads[0][0])
        native = tf.raw_ops.Conv2DBackpropFilter if len(strides) == 2 else tf.raw_ops.Conv3DBackpropFilterV2
        return native(input=x, filter_sizes=shape, out_backprop=dy, strides=[1, *strides, 1], padding=padding)
    if any(map(any, pads)):
        x = tf.pad(x, [[0, 0], *pads, [0, 0]])
    x, outputs = _blocks(x, strides), dy.shape[1:-1]
    rows, taps = tf.reshape(dy, [-1, dy.shape[-1]]), []
    blocks = [k // s for k, s in zip(shape[:-2], strides, strict=True)]
    for corner in itertools.product(*map(range, blocks)):
        seen = tf.slice(x, [0, *corner, 0], [-1, *outputs, -1])  # by this tap, or block of taps
        taps.append(tf.matmul(tf.reshape(seen, [-1, x.shape[-1]]), rows, transpose_a=True))
    return tf.reshape(_in_order(tf.stack(taps), blocks, strides), shape)


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


def epilogue(x: tf.Tensor, *addends: tf.Tensor, relu: bool = False) -> tf.Tensor:
    """The end of a convolution: the sum of its output [N,...,C], a bias [C] and a shortcut's output, rectified if `relu`.

    All of it becomes a part of the convolution, but of a transposed one. By oneDNN the ReLU makes 0 of NaN: a path around it must tell.
    """
    for addend in addends:  # bias_add and add_n, not +: they become parts even where Grappler knows no shapes
        x = _biased(x, addend) if len(addend.shape) == 1 else tf.add_n([x, addend])
    return _rectified(x) if relu else x


@tf.custom_gradient
def _biased(x: tf.Tensor, bias: tf.Tensor):
    # TensorFlow's gradient adds one by one: in bfloat16, a sum that stops growing (0.99 of that of 98,304 positions is lost), unless it
    # happens to join oneDNN's gradient of the kernel; in float32 it errs by 4e-4 of VGAN's mask, and makes the kernel's slower.
    return tf.nn.bias_add(x, bias), lambda dy: (dy, tf.reduce_sum(tf.reshape(dy, [-1, dy.shape[-1]]), 0))


@tf.custom_gradient
def _rectified(x: tf.Tensor):
    y = tf.nn.relu(x)
    return y, lambda dy: relu_gradient(dy, y)


def _by_products(outputs: Sequence[int], strides: Sequence[int], dtype: tf.DType) -> bool:
    """Whether the gradient of a kernel, onto maps of these lengths, is taken as matrix products."""
    return max(outputs[-2:]) <= SMALL // (1 if dtype.size == 2 else 2) // (1 if max(strides) > 1 else 2)


def _by_frames(strides: Sequence[int], dtype: tf.DType) -> bool:
    """Whether the gradient of a kernel is taken from those of kernels of two axes, as oneDNN's of three is wrong."""
    return len(strides) == 3 and dtype.size == 2


def _convolved(x: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], padding: str) -> tf.Tensor:
    @tf.custom_gradient
    def forward(x: tf.Tensor, kernel: tf.Tensor):
        def backward(dy: tf.Tensor):
            return _transposed(dy, kernel, tf.shape(x), strides, padding), kernel_gradient(x, dy, kernel.shape, strides, padding)

        return _forward(x, kernel, strides, padding), backward

    return forward(x, kernel)


def _transposed(dy: tf.Tensor, kernel: tf.Tensor, shape: tf.Tensor, strides: Sequence[int], padding: str) -> tf.Tensor:
    """What `_convolved`'s gradient does. Each has the other for its gradient, so that second derivatives are taken in this way too."""

    @tf.custom_gradient
    def forward(dy: tf.Tensor, kernel: tf.Tensor):
        def backward(dx: tf.Tensor):
            return _convolved(dx, kernel, strides, padding), kernel_gradient(dx, dy, kernel.shape, strides, padding)

        return _to_input(dy, kernel, shape, strides, padding), backward

    return forward(dy, kernel)


def _of_frames(x: tf.Tensor, dy: tf.Tensor, shape: Sequence[int], strides: Sequence[int], padding: str, before: int) -> tf.Tensor:
    """`kernel_gradient` of three axes: for each place in time that of a kernel of two, over all frames that it meets."""
    taps = []
    for tap in range(shape[0]):
        offset = tap - before  # output t meets frame strides[0] * t + offset
        first, last = max(0, -(offset // strides[0])), min(dy.shape[1], -((offset - x.shape[1]) // strides[0]))
        start = strides[0] * first + offset
        if first >= last:
            taps.append(tf.zeros(shape[1:], dy.dtype))
            continue
        met = x[:, start : start + strides[0] * (last - first - 1) + 1 : strides[0]]
        frames, gradients = (tf.reshape(a, [-1, *a.shape[2:]]) for a in (met, dy[:, first:last]))
        taps.append(
            tf.raw_ops.Conv2DBackpropFilter(
                input=frames, filter_sizes=shape[1:], out_backprop=gradients, strides=[1, *strides[1:], 1], padding=padding
            )
        )
    return tf.stack(taps)


def _forward(x: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], padding: str) -> tf.Tensor:
    convolution = (tf.nn.conv1d, tf.nn.conv2d, tf.nn.conv3d)[len(strides) - 1]
    return convolution(x, kernel, [1, *strides, 1], padding, DATA_FORMATS[len(strides) - 1])


def _to_input(dy: tf.Tensor, kernel: tf.Tensor, shape: tf.Tensor, strides: Sequence[int], padding: str) -> tf.Tensor:
    transposed = (tf.nn.conv1d_transpose, tf.nn.conv2d_transpose, tf.nn.conv3d_transpose)[len(strides) - 1]
    return transposed(dy, kernel, shape, [1, *strides, 1], padding, DATA_FORMATS[len(strides) - 1])


def _pads(length: int, outputs: int, extent: int, stride: int, padding: str) -> tuple[int, int]:
    """Zeros before and after an axis, so that the last kernel ends with it; less than none where it ends before."""
    missing = (outputs - 1) * stride + extent - length
    before = missing // 2 if padding == "SAME" and missing > 0 else 0
    return before, missing - before


def _blocks(x: tf.Tensor, strides: Sequence[int]) -> tf.Tensor:
    """Blocks of `strides` become channels: [N,s*L,...,C] -> [N,L,...,s*...*C], the first axis' place in its block outermost."""
    lengths = [length // stride for length, stride in zip(x.shape[1:-1], strides, strict=True)]
    channels, inner = x.shape[-1], 1
    for axis in reversed(range(len(strides))):  # one at a time: TensorFlow transposes two runs of axes fast, more slowly
        x = tf.reshape(x, [-1, lengths[axis], strides[axis], inner, channels])
        x = tf.transpose(x, [0, 1, 3, 2, 4]) if strides[axis] > 1 and inner > 1 else x
        channels, inner = channels * strides[axis], inner * lengths[axis]
    return tf.reshape(x, [-1, *lengths, channels])


def _in_order(taps: tf.Tensor, blocks: Sequence[int], strides: Sequence[int]) -> tf.Tensor:
    """[b1*b2*..,s1*s2*..*C,C'] -> the same numbers in the order of [b1,s1,b2,s2,..,C,C']."""
    before = 1
    for axis in range(len(blocks) - 1):
        before *= blocks[axis]
        later, stride = math.prod(blocks[axis + 1 :]), strides[axis]
        if stride > 1:
            taps = tf.transpose(tf.reshape(taps, [before, later, stride, -1]), [0, 2, 1, 3])
        before *= stride
    return taps


def _at_both_shifts(kernel: tf.Tensor, axes: int) -> tf.Tensor:
    """The sum of a kernel and of itself one further, along each of the first axes."""
    shifted = tf.cast(kernel, tf.float32)  # or bfloat16 gradients err by 0.0038 of themselves, not by 0.0033 (plain: 0.0029)
    for axis in range(axes):
        pads = ([[0, 0] if a != axis else pad for a in range(axes + 2)] for pad in ([0, 1], [1, 0]))
        shifted = tf.add_n([tf.pad(shifted, pad) for pad in pads])
    return tf.cast(shifted, kernel.dtype)

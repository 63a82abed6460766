"""Doubling and halving of maps, per frame [N,H,W,C] or per clip [N,T,H,W,C]."""

import numpy as np
import tensorflow as tf

from tfvideogan.ops import forms
from tfvideogan.ops.video import fold, unfold


@tf.custom_gradient
def upsample_nearest(x: tf.Tensor) -> tuple[tf.Tensor, object]:
    """[N,H,W,C] -> [N,2H,2W,C], each pixel four times. Its gradient, the sum over the four, is 4 * average pooling:
    exact, and faster than the op TensorFlow registers."""
    up = tf.compat.v1.image.resize_nearest_neighbor(x, [2 * x.shape[1], 2 * x.shape[2]])
    return up, lambda g: 4 * tf.nn.avg_pool2d(g, 2, 2, "VALID")


def upsample_bilinear(x: tf.Tensor) -> tf.Tensor:
    """[N,H,W,C] -> [N,2H,2W,C], bilinear between pixel centers, edges repeated; in the input's dtype.

    Fast, two products with a fixed matrix. Not `tf.image.resize`: it leaves bfloat16, takes 1.4 times as long there on a CPU, and leaves
    out a part of second derivatives without a word.
    """
    height, width, channels = x.shape[1:]
    if forms.is_plain():
        return _doubled(_doubled(x, 1), 2)
    rows = tf.matmul(_interpolation(height, x.dtype), tf.reshape(x, [-1, height, width * channels]))  # [N,2H,W*C]
    columns = tf.matmul(_interpolation(width, x.dtype), tf.reshape(rows, [-1, width, channels]))  # [N*2H,2W,C]
    return tf.reshape(columns, [-1, 2 * height, 2 * width, channels])


def _doubled(x: tf.Tensor, axis: int) -> tf.Tensor:
    """Along an axis, pixel i becomes 3/4 x[i] + 1/4 x[i-1] and 3/4 x[i] + 1/4 x[i+1]."""
    length = x.shape[axis]
    (first, later), (earlier, last) = tf.split(x, [1, length - 1], axis), tf.split(x, [length - 1, 1], axis)
    before, after = tf.concat([first, earlier], axis), tf.concat([later, last], axis)
    lengths = [*x.shape[1:axis], 2 * length, *x.shape[axis + 1 :]]
    return tf.reshape(tf.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1), [-1, *lengths])


def _interpolation(size: int, dtype: tf.DType) -> tf.Tensor:
    """[2*size,size]: what `_doubled` does to a row of pixels."""
    eye = np.eye(size, dtype=np.float32)
    before, after = eye[[0, *range(size - 1)]], eye[[*range(1, size), size - 1]]
    return tf.constant((0.75 * np.repeat(eye, 2, 0) + 0.25 * np.stack([before, after], 1).reshape(2 * size, size)), dtype)


UPSAMPLING = {"bilinear": upsample_bilinear, "nearest": upsample_nearest}


def downsample(x: tf.Tensor) -> tf.Tensor:
    """2x2 average pooling of [N,H,W,C], or 2x2x2 of [N,T,H,W,C], where an odd last frame is averaged alone."""
    if len(x.shape) == 4:
        return tf.nn.avg_pool2d(x, 2, 2, "VALID")
    # Space, then time: TensorFlow has no float16 avg_pool3d for CPUs.
    return downsample_time(unfold(downsample(fold(x)), x.shape[1]))


def downsample_time(x: tf.Tensor) -> tf.Tensor:
    """Means of two frames each of [N,T,H,W,C], an odd last one alone."""
    if x.shape[1] % 2:
        x = tf.concat([x, x[:, -1:]], 1)
    frames, height, width, channels = x.shape[1:]
    pairs = tf.nn.avg_pool2d(tf.reshape(x, [-1, frames, height * width, channels]), [2, 1], [2, 1], "VALID")
    return tf.reshape(pairs, [-1, frames // 2, height, width, channels])


def downsample_padded(x: tf.Tensor, official: bool) -> tf.Tensor:
    """2x2x2 average pooling of [N,T,H,W,C], where an odd axis gets a zero before its first pixel, which counts in the mean.

    n becomes n / 2 or (n + 1) / 2. An axis of 1 is left alone; if `official` it becomes 3, zeros before and after, as TGANv2's code
    has it (padding 1 of any odd axis, windows of at most its length).
    """
    lengths = x.shape[1:-1]
    pads = [(n % 2, 1) if n == 1 and official else (n % 2 if n > 1 else 0, 0) for n in lengths]
    if any(map(any, pads)):
        x = tf.pad(x, [[0, 0], *pads, [0, 0]])
    windows = [min(n, 2) for n in lengths[1:]]
    x = unfold(tf.nn.avg_pool2d(fold(x), windows, windows, "VALID"), x.shape[1])
    return downsample_time(x) if lengths[0] > 1 else x


def average_pool_overlapping(x: tf.Tensor) -> tf.Tensor:
    """[N,H,W,C] -> [N,ceil(H/2),ceil(W/2),C]: means of 3x3 windows around every other pixel, at borders of those within the picture."""
    counts = [_windows(length) for length in x.shape[1:3]]
    share = tf.constant(9.0 / np.multiply.outer(*counts)[..., None], x.dtype)
    return tf.nn.avg_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID") * share


def _windows(length: int) -> np.ndarray:
    """Pixels of an axis within each window of 3 around its pixels 0, 2, 4, ..."""
    centers = np.arange(0, length, 2)
    return np.minimum(centers + 1, length - 1) - np.maximum(centers - 1, 0) + 1

"""Doubling and halving of maps, per frame [N,H,W,C] or per clip [N,T,H,W,C]."""

import tensorflow as tf


@tf.custom_gradient
def upsample_nearest(x: tf.Tensor) -> tuple[tf.Tensor, object]:
    """[N,H,W,C] -> [N,2H,2W,C], each pixel four times. Its gradient, the sum over the four, is 4 * average pooling:
    exact, and faster than the op TensorFlow registers."""
    up = tf.compat.v1.image.resize_nearest_neighbor(x, [2 * x.shape[1], 2 * x.shape[2]])
    return up, lambda g: 4 * tf.nn.avg_pool2d(g, 2, 2, "VALID")


def upsample_bilinear(x: tf.Tensor) -> tf.Tensor:
    """[N,H,W,C] -> [N,2H,2W,C], bilinear between pixel centres, edges repeated; in the input's dtype.

    Along each axis the two new pixels of x[i] are (3 x[i] + x[i-1]) / 4 and (3 x[i] + x[i+1]) / 4.
    """
    for axis in (1, 2):
        size, ends = x.shape[axis], [slice(None)] * 4

        def part(start, stop, axis=axis, x=x, ends=ends):
            return x[tuple(slice(start, stop) if a == axis else e for a, e in enumerate(ends))]

        before = tf.concat([part(0, 1), part(0, size - 1)], axis)
        after = tf.concat([part(1, size), part(size - 1, size)], axis)
        pair = tf.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
        shape = [-1, *x.shape[1:]]
        shape[axis] = 2 * size
        x = tf.reshape(pair, shape)
    return x


UPSAMPLING = {"bilinear": upsample_bilinear, "nearest": upsample_nearest}


def downsample(x: tf.Tensor) -> tf.Tensor:
    """2x2 average pooling of [N,H,W,C], or 2x2x2 of [N,T,H,W,C], where an odd last frame is averaged alone."""
    if len(x.shape) == 4:
        return tf.nn.avg_pool2d(x, 2, 2, "VALID")
    return tf.nn.avg_pool3d(x, 2, 2, "SAME")

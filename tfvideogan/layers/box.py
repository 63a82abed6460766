"""Boxes cut out of frames, as those of faces, at places that are computed; shapes stay static, and gradients pass."""

import tensorflow as tf


def windows(frames: tf.Tensor, center: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Which rows and columns of frames [N,H,W,C] a box of this size around a center, int32 [N,2], has, moved into the frame:
    [N,size,H] and [N,size,W] of 0 and 1."""
    lengths = frames.shape[1:3]
    first = tf.clip_by_value(center - size // 2, 0, tf.constant([length - size for length in lengths]))
    rows, columns = (tf.one_hot(first[:, axis, None] + tf.range(size), length) for axis, length in enumerate(lengths))
    return rows, columns


def cut(frames: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """The part of frames [N,H,W,C] in a box: [N,size,size,C]."""
    return tf.einsum("nsh,nhwc,ntw->nstc", rows, frames, columns)

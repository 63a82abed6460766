"""The clip contract: ranges and shapes.

A clip is [T,H,W,3]. Inside the library it is float32 in [-1,1]; on disk and at the export door it is uint8, or
float32 in [0,1]. The two doors are `from_uint8` and `to_unit` / `to_uint8`.
"""

import tensorflow as tf


def from_uint8(video: tf.Tensor) -> tf.Tensor:
    """uint8 0..255 -> float32 [-1,1], any shape."""
    return tf.cast(video, tf.float32) / 127.5 - 1.0


def to_unit(video: tf.Tensor) -> tf.Tensor:
    """float [-1,1] -> float32 [0,1], any shape; values outside are clipped."""
    return tf.clip_by_value(tf.cast(video, tf.float32) * 0.5 + 0.5, 0.0, 1.0)


def from_unit(video: tf.Tensor) -> tf.Tensor:
    """float [0,1] -> float32 [-1,1], any shape."""
    return tf.cast(video, tf.float32) * 2.0 - 1.0


def to_uint8(video: tf.Tensor) -> tf.Tensor:
    """float [-1,1] -> uint8 0..255, any shape, rounded to nearest."""
    return tf.cast(tf.round(to_unit(video) * 255.0), tf.uint8)


def fold(video: tf.Tensor) -> tf.Tensor:
    """[N,T,...] -> [N*T,...]: frames become examples, clip after clip. All axes but N are static."""
    return tf.reshape(video, [-1, *video.shape[2:]])


def unfold(frames: tf.Tensor, length: int) -> tf.Tensor:
    """[N*T,...] -> [N,T,...] with T = length: the inverse of `fold`."""
    return tf.reshape(frames, [-1, length, *frames.shape[1:]])

"""Optical flow as prepared data sets hold it, and along a clip of frames that are apart.

Stored with each frame of a video is the flow to the frame before it (layers/warp.py has the convention), as a picture of 8 bits:
red is dx and green is dy, 128 + 127 flow / limit, so that no motion is 128 exactly; blue is 128. What is clipped and rounded away: flows
beyond the limit, and limit / 254 of a pixel.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfvideogan.layers.warp import warp

ZERO, STEPS = 128, 127  # of the 8 bits: the level of no motion, and levels from there to the limit


def to_pictures(flow: np.ndarray, limit: float) -> np.ndarray:
    """float32 [...,2] in pixels -> uint8 [...,3]. Longer than `limit` pixels along an axis is clipped."""
    levels = ZERO + np.rint(STEPS * np.clip(flow / limit, -1.0, 1.0))
    return np.concatenate([levels, np.full_like(levels[..., :1], ZERO)], -1).astype(np.uint8)


def from_pictures(pictures: tf.Tensor, limit: tf.Tensor) -> tf.Tensor:
    """uint8 [...,3] -> float32 [...,2] in pixels."""
    return (tf.cast(pictures[..., :2], tf.float32) - ZERO) * (limit / STEPS)


def along(indices: tf.Tensor, read: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """The flow of a clip, from each of its frames to the one before it in the clip.

    Where frames of the video lie between, their flows are followed from one to the next, which adds up what the estimates are wrong by.
    The first frame's goes as far back in time as the second's, and where the video has not so many frames before it, on at the same
    speed. A frame that is shown again has not moved.

    Args:
        indices: int32 [T], T static: the numbers of the clip's frames in its video, not falling.
        read: maps numbers, int32 [T], to the stored flows of these frames, float32 [T,h,w,2].

    Returns: float32 [T,h,w,2] in pixels.
    """
    steps = indices[1:] - indices[:-1]
    steps = tf.concat([steps[:1] if indices.shape[0] > 1 else tf.ones_like(indices), steps], 0)
    there = tf.minimum(steps, tf.maximum(indices, 1))  # the first frame of a video has a stored flow too

    def follow(step: tf.Tensor, flow: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        further = warp(read(tf.maximum(indices - step, 0)), flow)
        return step + 1, tf.ensure_shape(flow + tf.where((step < there)[:, None, None, None], further, 0.0), flow.shape)

    _, flow = tf.while_loop(lambda step, flow: step < tf.reduce_max(there), follow, [tf.constant(1), read(indices)])
    scale = tf.math.divide_no_nan(tf.cast(steps, tf.float32), tf.cast(there, tf.float32))
    return flow * scale[:, None, None, None]

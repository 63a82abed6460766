"""Backward warp by optical flow, and the one convention of flow in this library.

A flow is (dx, dy) in pixels, x to the right and y down. It lies on the pixels of the later frame: flow[t] at a pixel of frame t
tells how far from there its content stood in frame t-1, so that

    frame[t] = warp(frame[t-1], flow[t])

away from what comes out of hiding and from the border. This is vid2vid's (its reference is the flow from frame t to frame t-1),
and keeps a clip and its flow aligned pixel by pixel. Content that goes to the right has a negative dx.
"""

import tensorflow as tf


def warp(frames: tf.Tensor, flow: tf.Tensor) -> tf.Tensor:
    """Samples frames at p + flow(p) for each pixel p, bilinearly; beyond the border the nearest pixel of the border goes on.

    Zero flow returns the frames bit by bit. Gradients go to frames and flow, twice too; at whole pixels the flow's is that of the
    side to the right, or below.

    Args:
        frames: [N,H,W,C].
        flow: [N,H,W,2], (dx, dy) in pixels, float.

    Returns: [N,H,W,C] in the frames' dtype, computed in float32 (float64 of float64 frames).
    """
    channels = frames.shape[-1]
    height, width = (frames.shape[axis] or tf.shape(frames)[axis] for axis in (1, 2))
    dtype = tf.float64 if frames.dtype == tf.float64 else tf.float32
    dx, dy = tf.unstack(tf.cast(flow, dtype), axis=-1)
    left, right, of_right = _neighbors(tf.range(width, dtype=dtype) + dx, width)
    top, bottom, of_bottom = _neighbors(tf.range(height, dtype=dtype)[:, None] + dy, height)
    pixels = tf.reshape(tf.cast(frames, dtype), [-1, height * width, channels])

    def row(y: tf.Tensor) -> tf.Tensor:
        a, b = (tf.gather(pixels, tf.reshape(y * width + x, [-1, height * width]), axis=1, batch_dims=1) for x in (left, right))
        return _between(a, b, tf.reshape(of_right, [-1, height * width, 1]))

    warped = _between(row(top), row(bottom), tf.reshape(of_bottom, [-1, height * width, 1]))
    return tf.cast(tf.reshape(warped, [-1, height, width, channels]), frames.dtype)


def _neighbors(position: tf.Tensor, length: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The indices before and after positions on an axis, clamped to it, and how far from the first to the second they are."""
    position = tf.clip_by_value(position, 0.0, tf.cast(length - 1, position.dtype))
    # Clipped again: of NaN the index is anything, and NaN must come out of the weight, not of memory elsewhere.
    before = tf.clip_by_value(tf.cast(tf.floor(position), tf.int32), 0, length - 1)
    return before, tf.minimum(before + 1, length - 1), position - tf.cast(before, position.dtype)


def _between(a: tf.Tensor, b: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """a and b mixed by b's share; exactly a where that is 0."""
    return a + share * (b - a)

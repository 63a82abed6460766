"""Optical flow drawn as colors, to be looked at."""

import math

import tensorflow as tf


def flow_to_color(flow: tf.Tensor, limit: float) -> tf.Tensor:
    """The color wheel: hue is the direction, saturation the length, value 1; so that what does not move is white.

    Right is red, down yellow-green (90 degrees), left cyan, up violet (270 degrees).

    Args:
        flow: [...,2], (dx, dy), x to the right and y down; of any float dtype.
        limit: the length of full color, above 0; longer ones look the same.

    Returns: uint8 RGB [...,3].
    """
    dx, dy = tf.unstack(tf.cast(flow, tf.float32), axis=-1)
    hue = tf.math.floormod(tf.atan2(dy, dx) / (2 * math.pi), 1.0)
    saturation = tf.minimum(tf.sqrt(dx * dx + dy * dy) / limit, 1.0)
    rgb = tf.image.hsv_to_rgb(tf.stack([hue, saturation, tf.ones_like(hue)], -1))
    return tf.cast(tf.round(255.0 * rgb), tf.uint8)

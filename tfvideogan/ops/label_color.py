"""What a translation reads, drawn as colors to be looked at."""

import tensorflow as tf

from tfvideogan.ops.flow_color import flow_to_color
from tfvideogan.ops.video import to_uint8

TURN = 0.618034  # of the hue, from a number to the next: the golden ratio, by which no few numbers come back to one hue
LEVELS = ((0.75, 0.95), (0.5, 0.7), (0.9, 0.6), (0.3, 1.0))  # saturation and value, in turn


def label_to_color(labels: tf.Tensor) -> tf.Tensor:
    """A color for each number from 1 on, the same wherever it occurs; 0 is dark gray. Integers [...] -> uint8 RGB [...,3]."""
    labels = tf.cast(labels, tf.int32)
    hue = tf.math.floormod(tf.cast(labels, tf.float32) * TURN, 1.0)
    saturation, value = tf.unstack(tf.gather(tf.constant(LEVELS), labels % len(LEVELS)), axis=-1)
    rgb = tf.image.hsv_to_rgb(tf.stack([hue, saturation, value], -1))
    rgb = tf.where(labels[..., None] == 0, tf.fill([3], 0.2), rgb)
    return tf.cast(tf.round(255.0 * rgb), tf.uint8)


def source_to_color(source: tf.Tensor) -> tf.Tensor:
    """A source as a picture, uint8 [N,T,H,W,3]: labels [N,T,H,W] in colors, and channels [N,T,H,W,C] in [-1,1] as they are if they are
    three, else the first one in gray."""
    if source.dtype.is_integer:
        return label_to_color(source)
    return to_uint8(source if source.shape[-1] == 3 else tf.repeat(source[..., :1], 3, -1))


def read_to_color(batch: dict[str, tf.Tensor]) -> tuple[str, tf.Tensor]:
    """The name of what a translation reads of a batch, "source" or else "flow", and that as a picture, uint8 [N,T,H,W,3]; a flow of an
    eighth of the width has full color."""
    if "source" in batch:
        return "source", source_to_color(batch["source"])
    return "flow", flow_to_color(batch["flow"], batch["flow"].shape[3] / 8)

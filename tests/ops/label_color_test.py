"""Sources drawn as colors."""

import numpy as np
import tensorflow as tf

from tfvideogan.ops.flow_color import flow_to_color
from tfvideogan.ops.label_color import label_to_color, read_to_color, source_to_color


def test_every_label_has_a_color_of_its_own_wherever_it_is():
    colors = label_to_color(tf.range(40)).numpy().astype(int)
    apart = np.abs(colors[:, None] - colors).max(-1) + 255 * np.eye(40, dtype=int)
    assert apart.min() >= 12 and colors[0].tolist() == [51, 51, 51]  # dark gray
    again = label_to_color(tf.constant([[3, 0], [7, 3]], tf.int64)).numpy()
    np.testing.assert_array_equal(again, colors[[[3, 0], [7, 3]]])
    # Label 1: a hue of .618 of the circle (blue), a saturation of .5, a value of .7: 178.5 and 89.25 of 255.
    assert colors[1].tolist() == [89, 115, 178]


def test_a_source_is_drawn_by_what_it_is():
    labels = tf.constant(np.arange(8).reshape(1, 2, 2, 2), tf.int32)
    np.testing.assert_array_equal(source_to_color(labels), label_to_color(labels))
    colors = tf.constant(np.random.default_rng(0).uniform(-1, 1, [1, 2, 2, 2, 3]), tf.float32)
    np.testing.assert_array_equal(source_to_color(colors), np.round(127.5 * colors.numpy() + 127.5).astype(np.uint8))
    drawn = source_to_color(tf.repeat(colors, 2, -1)).numpy()
    assert drawn.shape == (1, 2, 2, 2, 3) and (drawn == drawn[..., :1]).all()
    np.testing.assert_array_equal(drawn[..., 0], source_to_color(colors).numpy()[..., 0])


def test_what_is_read_is_the_source_or_else_the_flow():
    labels, flow = tf.ones([1, 2, 4, 8], tf.int32), tf.random.stateless_normal([1, 2, 4, 8, 2], [0, 1])
    name, drawn = read_to_color({"source": labels, "flow": flow})
    assert name == "source" and np.array_equal(drawn, source_to_color(labels))
    name, drawn = read_to_color({"flow": flow})
    assert name == "flow" and np.array_equal(drawn, flow_to_color(flow, 1.0))  # an eighth of 8 pixels

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan.ops.flow_color import flow_to_color


@pytest.mark.parametrize(
    "flow, color",
    [
        ((0, 0), (255, 255, 255)),
        ((4, 0), (255, 0, 0)),  # right, 0 degrees
        ((0, 4), (128, 255, 0)),  # down, 90
        ((-4, 0), (0, 255, 255)),  # left, 180
        ((0, -4), (128, 0, 255)),  # up, 270
        ((2, 2 * 3**0.5), (255, 255, 0)),  # 60
        ((-2, 2 * 3**0.5), (0, 255, 0)),  # 120
        ((2, 0), (255, 128, 128)),  # half as fast
        ((1, 0), (255, 191, 191)),
        ((400, 0), (255, 0, 0)),  # beyond the limit
        ((0, -400), (128, 0, 255)),
    ],
)
def test_colors_by_hand(flow, color):
    np.testing.assert_array_equal(flow_to_color(tf.constant(flow, tf.float32), 4.0), color)


def test_every_axis_is_kept_and_half_precision_taken():
    flow = tf.random.stateless_normal([2, 3, 4, 5, 2], [0, 0])
    colors = flow_to_color(flow, 2.0)
    assert colors.shape == (2, 3, 4, 5, 3) and colors.dtype == tf.uint8
    np.testing.assert_array_equal(colors[1, 2, 3, 4], flow_to_color(flow[1, 2, 3, 4], 2.0))
    low = tf.cast(flow, tf.bfloat16)
    np.testing.assert_array_equal(flow_to_color(low, 2.0), flow_to_color(tf.cast(low, tf.float32), 2.0))

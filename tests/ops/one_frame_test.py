"""A 3-D convolution of clips of one frame, which is a 2-D one."""

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan.ops import forms
from tfvideogan.ops.convolution import convolve


@pytest.mark.parametrize("size", [3, 12])  # by matrix products, and by oneDNN
@pytest.mark.parametrize("strides", [[1, 1, 1], [1, 2, 2]])
@pytest.mark.parametrize("extent", [1, 2, 3, 4])
def test_of_one_frame_one_tap_in_time_sees_anything(extent, strides, size):
    x = tf.random.stateless_normal([2, 1, size, size, 3], [0, 0])
    kernel = tf.random.stateless_normal([extent, 3, 3, 3, 4], [0, 1])

    def run() -> list[tf.Tensor]:
        """What it gives, and gradients of it and of its gradient's square."""
        with tf.GradientTape(persistent=True) as outer:
            outer.watch([x, kernel])
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = convolve(x, kernel, strides, "SAME")
                score = tf.reduce_sum(y**3)
            penalty = tf.reduce_sum(inner.gradient(score, x) ** 2)
        return [y, *outer.gradient(score, [x, kernel]), *outer.gradient(penalty, [x, kernel])]

    fast = run()
    with forms.plain():
        plain = run()
    assert fast[0].shape == plain[0].shape
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max())

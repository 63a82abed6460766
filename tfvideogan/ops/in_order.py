"""Sums whose order is fixed.

A tensor that three and more operations read has a gradient that TensorFlow adds up in one AddN, and of additions in a row it makes one; an
AddN begins with the input that nobody else holds at that moment.
"""

import tensorflow as tf


def add(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """a + b, which is not made one with the sums that a and b are."""
    return tf.reduce_sum(tf.stack([a, b]), 0)


def copies(x: tf.Tensor, count: int) -> list[tf.Tensor]:
    """The tensor `count` times, for as many readers; their gradients are added in this order."""

    @tf.custom_gradient
    def forward(x: tf.Tensor):
        return [tf.identity(x) for _ in range(count)], lambda *gradients: tf.reduce_sum(tf.stack(gradients), 0)

    return forward(x)

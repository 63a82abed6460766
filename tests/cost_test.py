"""The counters of `train --dry_run`, on a graph small enough for the head."""

import tensorflow as tf

from tfvideogan import cost


def test_what_nobody_reads_is_not_counted():
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [2, 4, 4, 3])
        w = tf.zeros([3, 3, 3, 5])
        with tf.GradientTape() as tape:
            tape.watch(w)
            y = tf.nn.conv2d(x, w, 1, "SAME")
        (gradient,) = tape.gradient(y, [w])
        tf.nn.conv2d(x, w, 2, "SAME")
        needed = cost._needed(graph, [gradient])
        needed_by_both = cost._needed(graph, [y, gradient])
    convolution = 2 * (2 * 4 * 4 * 5) * (3 * 3 * 3)  # two for each product and sum, outputs, kernel
    assert sum(cost._flops(operation) for operation in needed) == convolution  # the gradient of w does not need y
    assert sum(cost._flops(operation) for operation in needed_by_both) == 2 * convolution

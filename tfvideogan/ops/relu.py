"""ReLU, and ReLU beside pooling."""

import tensorflow as tf

from tfvideogan.ops.pieces import compiled


@tf.custom_gradient
def relu(x: tf.Tensor):
    """max(x, 0); NaN stays NaN.

    Not TensorFlow's: fused with a convolution, a bias and a sum it makes 0 of NaN, and hides a loss that is none; and where --recompute
    reads the sum again, Grappler's remapper ends with an error and fuses nothing.
    """
    (y,) = in_16_bits(_maximum, x)
    return y, lambda dy: relu_gradient(dy, y)


def relu_gradient(dy: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """The gradient of a ReLU's input, given that of its output y."""
    return in_16_bits(_gradient, dy, y)[0]


def in_16_bits(function, *tensors: tf.Tensor) -> list[tf.Tensor]:
    # TensorFlow's own take twice as long in bfloat16 as in float32 on a CPU; in float32 XLA's are no faster.
    return compiled(function, *tensors) if tensors[0].dtype.size == 2 else function(*tensors)


def _maximum(x):
    return [tf.maximum(x, tf.zeros([], x.dtype))]


def _gradient(dy, y):
    return [tf.raw_ops.ReluGrad(gradients=dy, features=y)]

"""Instance normalization: each map of each picture by its own moments, in training and after."""

import keras
import tensorflow as tf

from tfvideogan.layers import Mode
from tfvideogan.layers.conv import Initializer


class InstanceNorm(keras.layers.Layer):
    """(x - mean) / sqrt(variance + epsilon) of each picture and channel, over height and width (Ulyanov et al. 2016).

    Computes in float32 whatever the input's dtype.

    Args:
        channels: C.
        epsilon: added to the variance.
        gain: initializer of a gain, to which belongs a shift that starts at 0; None for neither.
    """

    def __init__(self, channels: int, epsilon: float, gain: Initializer | None):
        super().__init__(dtype="float32", autocast=False)
        self.epsilon = epsilon
        self.gain = None if gain is None else self.add_weight(name="gain", shape=[channels], initializer=gain)
        self.shift = None if gain is None else self.add_weight(name="shift", shape=[channels], initializer="zeros")
        self.built = True

    def call(self, x: tf.Tensor, mode: Mode = "sample") -> tf.Tensor:
        """[N,H,W,C] -> the same shape and dtype. The mode changes nothing; it is that of norms which keep statistics."""
        y = standardize(tf.cast(x, tf.float32), self.epsilon)
        if self.gain is not None and self.shift is not None:
            y = y * self.gain.value + self.shift.value
        return tf.cast(y, x.dtype)


def standardize(x: tf.Tensor, epsilon: float) -> tf.Tensor:
    """[N,H,W,C] with mean 0 and variance v / (v + epsilon) over height and width."""

    # By hand: a third of the memory of TensorFlow's own gradient, and no sum of three parts, whose order may change.
    @tf.custom_gradient
    def forward(x: tf.Tensor):
        mean = tf.reduce_mean(x, [1, 2], keepdims=True)
        centered = x - mean
        inverse = tf.math.rsqrt(tf.reduce_mean(tf.square(centered), [1, 2], keepdims=True) + epsilon)
        y = centered * inverse

        def backward(dy: tf.Tensor) -> tf.Tensor:
            along = tf.reduce_mean(dy * y, [1, 2], keepdims=True)
            return inverse * (dy - tf.reduce_mean(dy, [1, 2], keepdims=True) - y * along)

        return y, backward

    return forward(x)

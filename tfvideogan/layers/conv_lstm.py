"""Convolutional LSTM that is started by a map and then runs on its own (Shi et al. 2015, arXiv 1506.04214, without peepholes)."""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfvideogan.ops.convolution import convolve


class ConvLSTM(keras.layers.Layer):
    """ConvLSTM of TGANv2: 3x3 convolutions, h_0 = c_0 = 0. The first step reads x, the later ones zeros.

        i, f, o = sigmoid(W_i,f,o * x + U_i,f,o * h + b_i,f,o)      g = tanh(W_g * x + U_g * h + b_g)
        c' = f . c + i . g                                          h' = o . tanh(c')

    [i, f, o, g] stand side by side in the weights; all biases start at 0, the forget gate's too. c is float32 whatever the policy.

    Args:
        channels: width C of the input and of the state.
        initializer: makes the initializer of a kernel, called once for each: one that is used twice draws the same numbers twice.
    """

    def __init__(self, channels: int, initializer: Callable[[], keras.initializers.Initializer]):
        super().__init__()
        shape = [3, 3, channels, 4 * channels]
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=initializer())
        self.bias = self.add_weight(name="bias", shape=[4 * channels], initializer="zeros")
        self.recurrent_kernel = self.add_weight(name="recurrent_kernel", shape=shape, initializer=initializer())
        self.built = True

    def call(self, x: tf.Tensor, frames: int) -> tf.Tensor:
        """[N,H,W,C] -> the states h after each of `frames` steps, [N,T,H,W,C] in x's dtype."""
        kernel, bias, recurrent_kernel = (tf.cast(w, x.dtype) for w in (self.kernel, self.bias, self.recurrent_kernel))
        gates = convolve(x, kernel, [1, 1], "SAME") + bias
        states: list[tf.Tensor] = []
        cell = None
        for _ in range(frames):
            if states:  # of zeros, W leaves the bias
                gates = convolve(states[-1], recurrent_kernel, [1, 1], "SAME") + bias
            i, f, o, g = tf.split(tf.cast(gates, tf.float32), 4, -1)
            new = tf.sigmoid(i) * tf.tanh(g)
            cell = new if cell is None else tf.sigmoid(f) * cell + new
            states.append(tf.cast(tf.sigmoid(o) * tf.tanh(cell), x.dtype))
        return tf.stack(states, 1)

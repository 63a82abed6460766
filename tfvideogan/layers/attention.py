"""Self-attention over the pixels of a map."""

import keras
import tensorflow as tf

from tfvideogan.layers import Mode
from tfvideogan.layers.spectral import SpectralConv
from tfvideogan.ops.convolution import convolve


class SelfAttention(keras.layers.Layer):
    """BigGAN's non-local block: y = x + gamma * o(softmax(theta phi^T) g), all maps 1x1 and spectrally normalized.

    phi and g are max-pooled 2x2; theta and phi have C/8 channels, g has C/2; gamma starts at 0.
    """

    def __init__(self, channels: int):
        super().__init__()
        narrow, half = max(channels // 8, 1), max(channels // 2, 1)
        self.theta, self.phi = (SpectralConv(channels, narrow, (1, 1), bias=False) for _ in range(2))
        self.g = SpectralConv(channels, half, (1, 1), bias=False)
        self.out = SpectralConv(half, channels, (1, 1), bias=False)
        self.gamma = self.add_weight(name="gamma", shape=(), initializer="zeros")
        self.built = True

    def call(self, x: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N,H,W,C] -> [N,H,W,C]; H and W even."""
        height, width, _ = x.shape[1:]

        def pixels(y: tf.Tensor) -> tf.Tensor:  # [N,h,w,c] -> [N,h*w,c]
            return tf.reshape(y, [-1, y.shape[1] * y.shape[2], y.shape[3]])

        # By one convolution, or x's gradient would be an AddN of four: its order depends on the moment.
        kernels = [convolution.normalized_kernel(mode) for convolution in (self.theta, self.phi, self.g)]
        theta, phi, g = tf.split(convolve(x, tf.concat(kernels, -1), [1, 1], "SAME"), [kernel.shape[-1] for kernel in kernels], -1)
        theta = pixels(theta)
        phi, g = (pixels(tf.nn.max_pool2d(y, 2, 2, "VALID")) for y in (phi, g))
        weights = tf.nn.softmax(tf.matmul(theta, phi, transpose_b=True))  # [N,HW,HW/4]
        attended = tf.reshape(tf.matmul(weights, g), [-1, height, width, g.shape[-1]])
        return x + tf.cast(self.gamma, x.dtype) * self.out(attended, mode=mode)

"""Convolutional GRU over the frames of a clip."""

import keras
import tensorflow as tf

from tfvideogan.layers import Mode
from tfvideogan.layers.spectral import SpectralConv
from tfvideogan.ops import fused
from tfvideogan.ops.convolution import convolve, epilogue
from tfvideogan.ops.video import fold, unfold


class ConvGRU(keras.layers.Layer):
    """ConvGRU of DVD-GAN (and DGMR): 3x3 convolutions, sigmoid gates, ReLU candidate.

        r = sigmoid(W_r * [h; x] + b_r)        u = sigmoid(W_u * [h; x] + b_u)
        c = relu(W_c * [r . h; x] + b_c)       h' = u . h + (1 - u) . c

    u keeps the OLD state. Each kernel is normalized on its own, over both of its inputs.
    The part of the three convolutions that reads x is computed for all frames at once, before the recurrence.

    Args:
        channels: width C of the input and of the state.
        frames: T, the steps to unroll.
    """

    def __init__(self, channels: int, frames: int):
        super().__init__()
        self.channels, self.frames = channels, frames
        self.reset_gate, self.update_gate, self.candidate = (SpectralConv(2 * channels, channels, (3, 3)) for _ in range(3))
        self.built = True

    def call(self, x: tf.Tensor, initial: tf.Tensor | None = None, *, mode: Mode) -> tf.Tensor:
        """[N,T,H,W,C], or [N,1,H,W,C] where every step reads the same -> the states [N,T,H,W,C]. `initial`: h_0 [N,H,W,C]; 0 if None."""
        convolutions = (self.reset_gate, self.update_gate, self.candidate)
        kernels = [convolution.normalized_kernel(mode) for convolution in convolutions]  # [3,3,2C,C], inputs [h; x]
        (h_r, x_r), (h_u, x_u), (h_c, x_c) = (tf.split(kernel, 2, axis=2) for kernel in kernels)
        bias = tf.concat([convolution.bias.value for convolution in convolutions if convolution.bias is not None], 0)
        reads = convolve(fold(x), tf.concat([x_r, x_u, x_c], -1), [1, 1], "SAME")
        reads = unfold(epilogue(reads, tf.cast(bias, x.dtype)), x.shape[1])
        if x.shape[1] != self.frames:  # by an operation, or the reads' gradients would meet in an AddN: its order depends on the moment
            reads = tf.repeat(reads, self.frames, 1)
        reads = tf.unstack(reads, axis=1)  # T of [N,H,W,3C]
        return tf.stack(fused.gru(tf.concat([h_r, h_u], -1), h_c, *reads, initial=initial), 1)

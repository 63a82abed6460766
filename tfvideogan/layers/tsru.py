"""Recurrent units that move their state before they renew it: TSRU of TrIVD-GAN-FP (Luc et al. 2020, arXiv 2003.04035)."""

import keras
import tensorflow as tf

from tfvideogan.layers import Mode
from tfvideogan.layers.spectral import SpectralConv
from tfvideogan.layers.warp import warp
from tfvideogan.ops.convolution import convolve, epilogue
from tfvideogan.ops.video import fold, unfold

VARIANTS = ("tsru_c", "tsru_p", "tsru_s")


class TSRU(keras.layers.Layer):
    """Transformation-based spatial recurrent unit, in the place of a ConvGRU. The state is warped by a flow made of state and input:

                         flow = f([h; x])        m = warp(h, flow)        h' = u . m + (1 - u) . c
        tsru_c (chained):    c = relu(W_c * [m; x] + b_c)      u = sigmoid(W_u * [h; x] + b_u)
        tsru_p (parallel):   c = relu(W_c * [h; x] + b_c)      u = sigmoid(W_u * [h; x] + b_u)
        tsru_s (sequential): c = relu(W_c * [m; x] + b_c)      u = sigmoid(W_u * [m; c] + b_u)

    f is W_flow * relu(W_hidden * [h; x] + b_hidden) + b_flow, in pixels of the map; all convolutions are 3x3, each kernel normalized on
    its own. What f is, and that the warp is bilinear, is a choice of this file's: the equations leave it open.
    The part of the convolutions that reads x is computed for all frames at once, before the recurrence.

    Args:
        channels: width C of the input and of the state.
        frames: T, the steps to unroll.
        variant: one of VARIANTS.
    """

    def __init__(self, channels: int, frames: int, variant: str):
        super().__init__()
        self.channels, self.frames, self.variant = channels, frames, variant
        self.hidden, self.update_gate, self.candidate = (SpectralConv(2 * channels, channels, (3, 3)) for _ in range(3))
        self.flow = SpectralConv(channels, 2, (3, 3))
        self.built = True

    def call(self, x: tf.Tensor, initial: tf.Tensor | None = None, *, mode: Mode) -> tf.Tensor:
        """[N,T,H,W,C], or [N,1,H,W,C] where every step reads the same -> the states [N,T,H,W,C]. `initial`: h_0 [N,H,W,C]; 0 if None."""
        # Halves of the kernels: of the state, or what became of it, and of x; of u's of tsru_s, of m and of c.
        halves = [tf.split(layer.normalized_kernel(mode), 2, axis=2) for layer in (self.hidden, self.update_gate, self.candidate)]
        (h_f, x_f), (h_u, x_u), (h_c, x_c) = halves
        flow_kernel = self.flow.normalized_kernel(mode)
        reads, before_warp, after_warp = {"f": x_f, "c": x_c}, [h_f], [h_c]
        if self.variant == "tsru_s":
            after_warp = [h_c, h_u]
        else:
            reads["u"] = x_u
            before_warp = [h_f, h_u]
        if self.variant == "tsru_p":
            before_warp, after_warp = [h_f, h_u, h_c], []
        x_reads = unfold(self._convolve(fold(x), tf.concat(list(reads.values()), -1)), x.shape[1])
        if x.shape[1] != self.frames:  # by an operation, as in ConvGRU
            x_reads = tf.repeat(x_reads, self.frames, 1)
        layers = {"f": self.hidden, "u": self.update_gate, "c": self.candidate, "flow": self.flow}
        bias = {name: tf.cast(layer.bias.value, x.dtype) for name, layer in layers.items() if layer.bias is not None}
        h = tf.zeros_like(x[:, 0]) if initial is None else initial
        of_h, of_m, states = tf.concat(before_warp, -1), tf.concat(after_warp, -1) if after_warp else None, []
        for read in tf.unstack(x_reads, axis=1):
            of_x = dict(zip(reads, tf.split(read, len(reads), -1), strict=True))
            by_h = tf.split(self._convolve(h, of_h), len(before_warp), -1)
            flow = self._convolve(epilogue(by_h[0] + of_x["f"], bias["f"], relu=True), flow_kernel) + bias["flow"]
            m = warp(h, flow)
            by_m = [] if of_m is None else tf.split(self._convolve(m, of_m), len(after_warp), -1)
            c = epilogue((by_h[2] if of_m is None else by_m[0]) + of_x["c"], bias["c"], relu=True)
            to_u = by_m[1] + self._convolve(c, x_u) if self.variant == "tsru_s" else by_h[1] + of_x["u"]
            u = tf.sigmoid(to_u + bias["u"])
            states.append(u * m + (1 - u) * c)
            h = tf.identity(states[-1])  # with three readers, gradients would meet in an AddN: its order depends on the moment
        return tf.stack(states, 1)

    @staticmethod
    def _convolve(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return convolve(x, kernel, [1, 1], "SAME")

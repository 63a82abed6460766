"""Batch normalization with standing statistics: plain, and class-conditional."""

import contextlib
import math
from collections.abc import Iterable, Iterator

import keras
import tensorflow as tf

from tfvideogan.layers import Mode
from tfvideogan.layers.spectral import SpectralDense
from tfvideogan.ops import fused

EPSILON = 1e-5  # BigGAN


@contextlib.contextmanager
def standing_at(norms: Iterable["StandingNorm"], rows: tf.Tensor, last: bool = False) -> Iterator[None]:
    """What is traced within it reads the norms' standing statistics with these weights of their rows [K], or, in mode
    "calibrate", writes to the row whose weight is 1. With `last`, every frame reads those of the last frame index: it comes later."""
    for norm in norms:
        norm.rows, norm.last = rows, last
    try:
        yield
    finally:
        for norm in norms:
            norm.rows, norm.last = None, False


class StandingNorm(keras.layers.Layer):
    """What the batch normalizations share: moments over all replicas, and standing statistics.

    There are no moving averages: sampling uses standing statistics, the mean of the moments over the "calibrate" passes
    since `reset` (BigGAN, appendix C.1). Computes in float32 whatever the input's dtype.

    Args:
        channels: C.
        frames: T. Moments are taken for each frame index if `per_frame`, else over all frames.
    """

    def __init__(self, channels: int, frames: int, per_frame: bool):
        super().__init__(dtype="float32", autocast=False)
        self.frames, self.per_frame = frames, per_frame
        self.moments = [frames if per_frame else 1, channels]
        self.rows: tf.Tensor | None = None  # see standing_at, as the next
        self.last = False
        self.tabulate(1)

    @staticmethod
    def _statistic(shape: list[int]) -> tf.Variable:
        return tf.Variable(tf.zeros(shape), trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)

    def tabulate(self, rows: int) -> None:
        """Makes room for standing statistics of several kinds of latents, a row each, and forgets what there was."""
        # Set past Keras' tracking: standing statistics belong to the sampler, whose number of frames may be another
        # than that of training, and so not into a checkpoint.
        shapes = [rows, *self.moments], [rows, *self.moments], [rows]
        object.__setattr__(self, "standing", [self._statistic(shape) for shape in shapes])

    def reset(self) -> None:
        """Forgets the standing statistics."""
        for statistic in self.standing:
            statistic.assign(tf.zeros_like(statistic))

    def normalize(self, x: tf.Tensor, gain: tf.Tensor, shift: tf.Tensor, epsilon: float, mode: Mode, relu: bool) -> tf.Tensor:
        """gain * (x - mean) / sqrt(variance + epsilon) + shift of [N,T,P,C], with gain and shift [N or 1,C]; rectified if `relu`."""
        if mode == "sample":
            mean, variance = (self._interpolated(statistic) for statistic in self.standing[:2])
            scale = gain[:, None] * tf.math.rsqrt(variance + epsilon)  # [N or 1,T or 1,C]
            return fused.affine(x, scale, shift[:, None] - mean * scale, relu)
        y, mean, variance = fused.normalize(x, gain, shift, epsilon, self.per_frame, relu)
        self.observe(mean, variance, mode)
        return y

    def observe(self, mean: tf.Tensor, variance: tf.Tensor, mode: Mode) -> None:
        """Keeps what is to be kept of a pass's moments [T or 1,C]: those of calibration."""
        if mode == "calibrate":
            rows = tf.ones([1]) if self.rows is None else self.rows
            count = self.standing[2].assign_add(rows)
            share = tf.reshape(tf.math.divide_no_nan(rows, count), [-1, 1, 1])
            for standing, moment in zip(self.standing, (mean, variance), strict=False):
                standing.assign_add(share * (moment - standing))

    def _interpolated(self, statistic: tf.Variable) -> tf.Tensor:
        if self.rows is None or statistic.shape[0] == 1:
            found = statistic[0]
        else:
            found = tf.tensordot(self.rows, tf.convert_to_tensor(statistic), 1)
        return found[-1:] if self.last else found


class BatchNorm(StandingNorm):
    """Batch normalization over all axes but the last: y = gain * x_hat + bias.

    Args:
        channels: C.
        epsilon: added to the variance.
        bias: whether there is one; it starts at 0.
        gain: initializer of the gain; None for no gain.
    """

    def __init__(self, channels: int, epsilon: float, bias: bool = True, gain: str | keras.initializers.Initializer | None = "ones"):
        super().__init__(channels, frames=1, per_frame=False)
        self.epsilon = epsilon
        self.gain = None if gain is None else self.add_weight(name="gain", shape=[channels], initializer=gain)
        self.bias = self.add_weight(name="bias", shape=[channels], initializer="zeros") if bias else None
        self.built = True

    def call(self, x: tf.Tensor, mode: Mode, relu: bool = False) -> tf.Tensor:
        """[N,...,C] -> the same shape and dtype, rectified if `relu`."""
        channels = x.shape[-1]
        gain = tf.ones([1, channels]) if self.gain is None else self.gain.value[None]
        shift = tf.zeros([1, channels]) if self.bias is None else self.bias.value[None]
        pixels = tf.reshape(x, [-1, 1, math.prod(x.shape[1:-1]), channels])
        return tf.reshape(self.normalize(pixels, gain, shift, self.epsilon, mode, relu), [-1, *x.shape[1:]])


class ConditionalBatchNorm(StandingNorm):
    """Batch normalization whose gain and bias are linear in a condition: y = (1 + L_g(c)) * x_hat + L_b(c).

    Moments are taken over (examples, H, W) of each frame index, so that no frame sees another's statistics, or over
    all frames.

    Args:
        channels: C.
        condition: width of the condition.
        frames: T, the frames folded into the batch axis.
        per_frame: one set of moments for each frame index, else one for all.
    """

    def __init__(self, channels: int, condition: int, frames: int, per_frame: bool):
        super().__init__(channels, frames, per_frame)
        self.gain = SpectralDense(condition, channels, bias=False, dtype="float32")
        self.shift = SpectralDense(condition, channels, bias=False, dtype="float32")
        self.built = True

    def call(self, x: tf.Tensor, condition: tf.Tensor, mode: Mode, relu: bool = False) -> tf.Tensor:
        """[N*T,H,W,C] frames, clip after clip, and [N,condition] -> [N*T,H,W,C] in x's dtype, rectified if `relu`."""
        height, width, channels = x.shape[1:]
        # 1 + gain: a zero gain must leave the normalized input unchanged.
        gain, shift = 1.0 + self.gain(condition, mode=mode), self.shift(condition, mode=mode)
        frames = tf.reshape(x, [-1, self.frames, height * width, channels])
        return tf.reshape(self.normalize(frames, gain, shift, EPSILON, mode, relu), [-1, height, width, channels])

"""Batch normalisation with standing statistics: plain, and class-conditional."""

import math

import keras
import tensorflow as tf

from tfvideogan.layers import Mode
from tfvideogan.layers.spectral import SpectralDense

EPSILON = 1e-5  # BigGAN


class StandingNorm(keras.layers.Layer):
    """What the batch normalisations share: moments over all replicas, and standing statistics.

    There are no moving averages: sampling uses standing statistics, the mean of the moments over the "calibrate" passes
    since `reset` (BigGAN, appendix C.1). Computes in float32 whatever the input's dtype.

    Args:
        channels: C.
        frames: T, the frames that are told apart; moments are taken for each of them if `per_frame`, else over all.
    """

    def __init__(self, channels: int, frames: int, per_frame: bool):
        super().__init__(dtype="float32", autocast=False)
        self.frames, self.per_frame = frames, per_frame
        shape = [frames if per_frame else 1, channels]
        # Set past Keras' tracking: standing statistics belong to the sampler, whose number of frames may be another
        # than that of training, and so not into a checkpoint.
        object.__setattr__(self, "standing", [self._statistic(shape), self._statistic(shape), self._statistic([])])

    @staticmethod
    def _statistic(shape: list[int]) -> tf.Variable:
        return tf.Variable(tf.zeros(shape), trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)

    def reset(self) -> None:
        """Forgets the standing statistics."""
        for statistic in self.standing:
            statistic.assign(tf.zeros_like(statistic))

    def statistics(self, x: tf.Tensor, mode: Mode) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and variance [T or 1, C] to normalise [N,T,P,C] by."""
        if mode == "sample":
            return self.standing[0], self.standing[1]
        mean, variance = self._moments(x)
        if mode == "calibrate":
            count = self.standing[2].assign_add(1.0)
            for standing, moment in zip(self.standing, (mean, variance), strict=False):
                standing.assign_add((moment - standing) / count)
        return mean, variance

    def _moments(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and variance [T or 1, C] of [N,T,P,C], over all replicas."""
        over = [0] if self.per_frame else [0, 1]
        sums = [tf.reshape(tf.reduce_sum(s, over), [-1, x.shape[-1]]) for s in _sums(x)]
        count = tf.cast(tf.size(x) // (x.shape[-1] * (self.frames if self.per_frame else 1)), tf.float32)
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            *sums, count = replica.all_reduce(tf.distribute.ReduceOp.SUM, [*sums, count])
        mean = sums[0] / count
        return mean, tf.maximum(sums[1] / count - mean * mean, 0.0)


class BatchNorm(StandingNorm):
    """Batch normalisation over all axes but the last: y = gain * x_hat + bias.

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
        mean, variance = self.statistics(tf.reshape(x, [-1, 1, math.prod(x.shape[1:-1]), x.shape[-1]]), mode)
        scale = tf.math.rsqrt(variance[0] + self.epsilon)
        scale = scale if self.gain is None else self.gain.value * scale
        shift = -mean[0] * scale if self.bias is None else self.bias.value - mean[0] * scale
        return _affine(x, scale, shift, relu)


class ConditionalBatchNorm(StandingNorm):
    """Batch normalisation whose gain and bias are linear in a condition: y = (1 + L_g(c)) * x_hat + L_b(c).

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
        x = tf.reshape(x, [-1, self.frames, height * width, channels])
        mean, variance = self.statistics(x, mode)
        # 1 + gain: a zero gain must leave the normalised input unchanged.
        scale = (1.0 + self.gain(condition, mode=mode))[:, None] * tf.math.rsqrt(variance + EPSILON)  # [N,T or 1,C]
        shift = self.shift(condition, mode=mode)[:, None] - mean * scale
        return tf.reshape(_affine(x, scale[:, :, None], shift[:, :, None], relu), [-1, height, width, channels])


def _sums(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sums of x and of its squares over H*W, in float32: [N,T,H*W,C] -> [N,T,C] each."""
    # Over H,W first: reduce_sum over one inner axis is several times faster than a general reduction.
    x = tf.cast(x, tf.float32)
    return tf.reduce_sum(x, 2), tf.reduce_sum(x * x, 2)


def _affine(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor, relu: bool) -> tf.Tensor:
    """scale * x + shift, rectified if `relu`, computed in float32; in x's dtype."""
    y = tf.cast(x, tf.float32) * scale + shift
    return tf.cast(tf.nn.relu(y) if relu else y, x.dtype)

"""Latent distributions: how the numbers a generator starts from are drawn, truncated and interpolated."""

from abc import ABC, abstractmethod

import numpy as np
import tensorflow as tf

from tfvideogan.ops import noise


class Distribution(ABC):
    """The distribution of a latent, whose numbers are independent of each other. Attributes: name: for cards and protocols."""

    name: str

    @abstractmethod
    def draw(self, seeds: tf.Tensor, width: int) -> tf.Tensor:
        """Latents, float32 [N,width], from seeds [N,2] int32."""

    def truncate(self, z: tf.Tensor, truncation: tf.Tensor) -> tf.Tensor:
        """Latents nearer to 0, the middle: scaled by `truncation`, 1 for none. z: [N,width]."""
        return truncation * z

    @abstractmethod
    def interpolate(self, a: tf.Tensor, b: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        """From a, at t = 0, to b, at t = 1; between independent draws every t gives a latent of this distribution.

        Args:
            a, b: latents [...,width], not truncated: truncation comes after.
            t: between 0 and 1, of a shape that broadcasts against them, as [steps,1].
        Returns: float32, of the shape they broadcast to.
        """


class Normal(Distribution):
    """N(0,1)."""

    name = "N(0,1)"

    def draw(self, seeds: tf.Tensor, width: int) -> tf.Tensor:
        return noise.normal(seeds, [width])

    def interpolate(self, a: tf.Tensor, b: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        """Along the quarter of a circle (independent draws are nearly at right angles): the squares of the weights add up to 1.
        On the straight line the variance would fall to a half."""
        first, last = _weights(t)
        return first * a + last * b


class Uniform(Distribution):
    """Uniform on [-1,1]."""

    name = "U[-1,1]"

    def draw(self, seeds: tf.Tensor, width: int) -> tf.Tensor:
        return 2.0 * noise.uniform(seeds, [width]) - 1.0

    def interpolate(self, a: tf.Tensor, b: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        """As `Normal`, between the normal numbers of the same quantiles, and back: u = erf(x / sqrt 2), whose root cancels."""
        first, last = _weights(t)
        between = tf.math.erf(first * _quantile(a) + last * _quantile(b))
        return tf.where(last == 0, a, tf.where(first == 0, b, between))  # there and back is not exact


NORMAL, UNIFORM = Normal(), Uniform()


def _weights(t: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """cos and sin of a quarter turn: 1 and 0 at t = 0, 0 and 1 at t = 1, exactly (a float32's cosine of pi / 2 is not 0)."""
    t = tf.convert_to_tensor(t, tf.float32)
    return tf.sin(np.pi / 2 * (1 - t)), tf.sin(np.pi / 2 * t)


def _quantile(u: tf.Tensor) -> tf.Tensor:
    """x / sqrt 2 for the normal number x of u's quantile; finite at the ends of [-1,1] too."""
    inside = 1 - np.finfo(np.float32).eps
    return tf.math.erfinv(tf.clip_by_value(u, -inside, inside))

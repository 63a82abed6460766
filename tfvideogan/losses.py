"""Adversarial losses: pure functions of scores [N], or maps of them [N,h,w,1], float32. Each returns a scalar, the mean over the batch.
And distances of features.
"""

from collections.abc import Sequence

import tensorflow as tf


def hinge_discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """E[relu(1 - D(x))] + E[relu(1 + D(G(z)))] (Lim and Ye 2017; DVD-GAN 3)."""
    return tf.reduce_mean(tf.nn.relu(1.0 - real)) + tf.reduce_mean(tf.nn.relu(1.0 + fake))


def hinge_generator(fake: tf.Tensor) -> tf.Tensor:
    """-E[D(G(z))]."""
    return -tf.reduce_mean(fake)


def wasserstein_discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """E[D(G(z))] - E[D(x)], for a D held 1-Lipschitz (Arjovsky et al. 2017, equation 2); -E[D(G(z))] is G's."""
    return tf.reduce_mean(fake) - tf.reduce_mean(real)


def wasserstein_generator(fake: tf.Tensor) -> tf.Tensor:
    """-E[D(G(z))]."""
    return -tf.reduce_mean(fake)


def logistic_discriminator(real: tf.Tensor, fake: tf.Tensor, real_target: float = 1.0) -> tf.Tensor:
    """E[-log sigmoid(D(x))] + E[-log(1 - sigmoid(D(G(z))))] (Goodfellow et al. 2014).

    A `real_target` t below 1 is one-sided label smoothing (Salimans et al. 2016): the first term is then the cross-entropy
    with t, E[-t log sigmoid(D(x)) - (1 - t) log(1 - sigmoid(D(x)))].
    """
    smoothing = (1.0 - real_target) * tf.reduce_mean(real)  # softplus(x) - softplus(-x) = x
    return tf.reduce_mean(tf.nn.softplus(-real)) + smoothing + tf.reduce_mean(tf.nn.softplus(fake))


def logistic_generator(fake: tf.Tensor) -> tf.Tensor:
    """E[-log sigmoid(D(G(z)))], the non-saturating form."""
    return tf.reduce_mean(tf.nn.softplus(-fake))


def lecam(real: tf.Tensor, fake: tf.Tensor, average_real: tf.Tensor, average_fake: tf.Tensor) -> tf.Tensor:
    """E[(D(x) - a_F)^2] + E[(D(G(z)) - a_R)^2], with moving averages of either side's scores (Tseng et al. 2021, section 3.2)."""
    return tf.reduce_mean(tf.square(real - average_fake)) + tf.reduce_mean(tf.square(fake - average_real))


def least_squares(scores: tf.Tensor, target: float, weight: tf.Tensor | None = None) -> tf.Tensor:
    """E[(D - target)^2] (Mao et al. 2017, LSGAN): D's terms have target 1 for real and 0 for fake, G's has 1. Each example's times
    its weight [N]."""
    return _mean(tf.square(scores - target), weight)


def mean_distance(a: tf.Tensor, b: tf.Tensor, weight: tf.Tensor | None = None) -> tf.Tensor:
    """E|a - b|, in float32; each example's times its weight [N]."""
    return _mean(tf.abs(tf.cast(a, tf.float32) - tf.cast(b, tf.float32)), weight)


def _mean(x: tf.Tensor, weight: tf.Tensor | None) -> tf.Tensor:
    return tf.reduce_mean(x if weight is None else x * tf.reshape(weight, [-1] + [1] * (len(x.shape) - 1)))


def feature_matching(
    real: Sequence[Sequence[tf.Tensor]], fake: Sequence[Sequence[tf.Tensor]], weight: tf.Tensor | None = None
) -> tf.Tensor:
    """Mean distance of D's maps of real and generated pictures (pix2pixHD, equation 4; its code's weights).

    The sum over layers but the last, times 4 / (layers - 1), is averaged over scales; the real maps' gradient is not taken.

    Args:
        real, fake: maps of every layer of every scale, scores last.
        weight: of each example [N].
    """
    scales = []
    for of_real, of_fake in zip(real, fake, strict=True):
        terms = [mean_distance(tf.stop_gradient(r), f, weight) for r, f in zip(of_real[:-1], of_fake[:-1], strict=True)]
        scales.append(tf.add_n(terms) * (4.0 / len(terms)))
    return tf.add_n(scales) / len(scales)

"""Adversarial losses: pure functions of scores [N], float32. Each returns a scalar, the mean over the batch."""

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

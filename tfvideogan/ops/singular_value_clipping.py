"""Singular value clipping: what keeps a discriminator 1-Lipschitz in TGAN (Saito et al. 2017, section 3.3, Table 2).

Unlike spectral normalization it acts on the weights themselves, after an update, and leaves every singular value below the
limit as it is.
"""

import tensorflow as tf


def clip_singular_values(kernel: tf.Tensor, limit: float = 1.0) -> tf.Tensor:
    """The kernel with its singular values cut at `limit`, as a matrix [inputs, outputs]: [..., out] -> the same shape and dtype.

    W - W U diag(1 - limit / s) U^T over the s above the limit, where U diag(s^2) U^T = W^T W is the Gram matrix of the outputs:
    equal to U min(s, limit) V^T of an SVD, at the cost of an eigendecomposition [out, out]. A kernel within the limit comes
    back bit for bit.

    Computes in float64: squaring halves the digits, and GPUs may multiply float32 matrices with ten bits. XLA's eigh on a
    CPU stops early: the result is within 3e-5 of the SVD's while s < 30, within 2e-2 at s = 1000.

    Cost at TGAN's sizes, all five kernels of D, the largest [4,4,4,256,512]: 1.1 to 1.4 CPU seconds, every 5 steps of 1.2
    TFLOP; NumPy's SVD takes 12.9.
    """
    matrix = tf.cast(tf.reshape(kernel, [-1, kernel.shape[-1]]), tf.float64)
    gram = tf.matmul(matrix, matrix, transpose_a=True)
    gram = tf.where(tf.reduce_all(tf.math.is_finite(gram)), gram, tf.zeros_like(gram))  # of NaN, eigh raises; the loop mends it
    squares, vectors = tf.linalg.eigh(gram)
    excess = 1.0 - limit / tf.sqrt(tf.maximum(squares, limit * limit))  # 0 for s <= limit
    surplus = tf.matmul(tf.matmul(matrix, vectors) * excess, vectors, transpose_b=True)
    return tf.reshape(tf.cast(matrix - surplus, kernel.dtype), kernel.shape)


def clip_gain(gain: tf.Tensor, variance: tf.Tensor, epsilon: float, least: float = 0.01) -> tf.Tensor:
    """Gains [C] of a batch normalization clipped into [least * sigma, sigma], sigma = sqrt(variance + epsilon), so that it
    stretches nothing. The paper wants them above 0; `least` is that of the authors' code."""
    sigma = tf.sqrt(variance + epsilon)
    return tf.clip_by_value(gain, least * sigma, sigma)

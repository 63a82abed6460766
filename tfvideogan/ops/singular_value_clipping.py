"""Singular value clipping: what keeps a discriminator 1-Lipschitz in TGAN (Saito et al. 2017, section 3.3, Table 2).

Unlike spectral normalization it acts on the weights themselves, after an update, and leaves every singular value below the
limit as it is.
"""

import tensorflow as tf

from tfvideogan.ops import forms

# Odd polynomials a x + b x^3 + c x^5 that bring singular values to 1: the first triples small ones, and takes (0, 1] into [0, 1.21]; the
# second is Newton-Schulz's of fifth order, which from [0.6, 1.21] gets to 1 - 1e-7 in four.
GROW, POLISH = (3.4445, -4.7750, 2.0315), (1.875, -1.25, 0.375)
POLISHES = 4
# Of singular values from the limit to 20,000 times it, less the fourth root of the outputs; of eigenvalues to 4e-7 of the largest.
POLAR_GROWS, SIGN_GROWS = 8, 12
PIECE = -(1 << 16)  # the sign, exponent and first 7 bits of a float32's fraction: what bfloat16 and TF32 hold exactly


def clip_singular_values(kernel: tf.Tensor, limit: float = 1.0) -> tf.Tensor:
    """The kernel with its singular values cut at `limit`, as a matrix [inputs, outputs]: [..., out] -> the same shape and dtype.

    Equal to U min(s, limit) V^T of an SVD. A kernel within the limit comes back bit for bit.

    Cost at TGAN's sizes, all five kernels of D, the largest [4,4,4,256,512]: 1.1 to 1.4 CPU seconds, every 5 steps of 1.2
    TFLOP; NumPy's SVD takes 12.9.
    """
    matrix = tf.reshape(kernel, [-1, kernel.shape[-1]])
    clipped = (clipped_by_products if forms.is_accelerated() else clipped_by_eigh)(matrix, limit)
    return tf.reshape(tf.cast(clipped, kernel.dtype), kernel.shape)


def clipped_by_eigh(matrix: tf.Tensor, limit: float) -> tf.Tensor:
    """W - W U diag(1 - limit / s) U^T over the s above the limit, where U diag(s^2) U^T = W^T W is the Gram matrix of the outputs: an
    eigendecomposition [out, out] in place of an SVD. [in, out] -> float64.

    Computes in float64: squaring halves the digits. XLA's eigh on a CPU stops early: the result is within 3e-5 of the SVD's while
    s < 30, within 2e-2 at s = 1000.
    """
    matrix = tf.cast(matrix, tf.float64)
    gram = tf.matmul(matrix, matrix, transpose_a=True)
    gram = tf.where(tf.reduce_all(tf.math.is_finite(gram)), gram, tf.zeros_like(gram))  # of NaN, eigh raises; the loop mends it
    squares, vectors = tf.linalg.eigh(gram)
    excess = 1.0 - limit / tf.sqrt(tf.maximum(squares, limit * limit))  # 0 for s <= limit
    return matrix - tf.matmul(tf.matmul(matrix, vectors) * excess, vectors, transpose_b=True)


def clipped_by_products(matrix: tf.Tensor, limit: float) -> tf.Tensor:
    """W - O max(H - limit I, 0), where W = O H is the polar decomposition: of matrix products in float32 alone, as GPUs and TPUs
    have them. [in, out] -> float32.

    With W = U s V^T: O = U V^T, H = V s V^T. max(M, 0) = M (I + sign(M)) / 2, and the sign of a symmetric matrix is its polar factor.
    O need not be found for the s below the limit, however small: what is cut off is 0 there. W itself is multiplied, not its Gram
    matrix, so that no digit is lost to squares: the result is within 1e-6 of the largest s. A kernel above the limit by less than
    that may stay as it is.
    """
    matrix = tf.cast(matrix, tf.float32)
    if matrix.shape[-1] == 1:  # its one singular value is its length; and XLA makes of such products others, of 16 bits
        return matrix * (limit / tf.maximum(tf.norm(matrix), limit))
    unit = tf.eye(matrix.shape[-1])
    orthogonal = polar_factor(matrix, POLAR_GROWS)
    above = product(orthogonal, matrix, transpose_a=True) - limit * unit
    above = (above + tf.transpose(above)) / 2
    sign = polar_factor(above, SIGN_GROWS)
    surplus = product(orthogonal, (above + product(above, sign)) / 2)
    count = tf.linalg.trace(unit + sign) / 2  # of singular values above the limit
    return tf.where(count > 0.5, matrix - surplus, matrix)


def polar_factor(matrix: tf.Tensor, grows: int) -> tf.Tensor:
    """U V^T of W = U s V^T, for the s above some 3.4^-grows of the largest; of smaller s, something between 0 and U V^T. [m, n] float32."""
    gram = product(matrix, matrix, transpose_a=True)
    norm = tf.sqrt(tf.norm(gram))  # at least the largest s, and at most n^(1/4) of it
    x = matrix / tf.maximum(norm, 1e-30)
    for a, b, c in [GROW] * grows + [POLISH] * POLISHES:
        gram = product(x, x, transpose_a=True)
        x = a * x + product(x, b * gram + c * product(gram, gram))
    return x


def product(a: tf.Tensor, b: tf.Tensor, transpose_a: bool = False) -> tf.Tensor:
    """The matrix product to float32's digits, also where matrices are multiplied with fewer: GPUs take 10 bits of a fraction (TF32), TPUs
    7. Each number is a sum of three of 8 bits, whose products are exact; those of the smallest parts are left out."""
    a0, a1, a2 = _pieces(a)
    b0, b1, b2 = _pieces(b)
    pairs = [(a0, b2), (a1, b1), (a2, b0), (a0, b1), (a1, b0), (a0, b0)]  # the smallest first
    total = tf.matmul(*pairs[0], transpose_a=transpose_a)
    for pair in pairs[1:]:
        total += tf.matmul(*pair, transpose_a=transpose_a)
    return total


def _pieces(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Three addends of x, each of 8 bits. By their bits: a cast to bfloat16 and back XLA leaves out."""
    first = _first_bits(x)
    second = _first_bits(x - first)
    return first, second, x - first - second


def _first_bits(x: tf.Tensor) -> tf.Tensor:
    return tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(x, tf.int32), PIECE), tf.float32)


def clip_gain(gain: tf.Tensor, variance: tf.Tensor, epsilon: float, least: float = 0.01) -> tf.Tensor:
    """Gains [C] of a batch normalization clipped into [least * sigma, sigma], sigma = sqrt(variance + epsilon), so that it
    stretches nothing. The paper wants them above 0; `least` is that of the authors' code."""
    sigma = tf.sqrt(variance + epsilon)
    return tf.clip_by_value(gain, least * sigma, sigma)

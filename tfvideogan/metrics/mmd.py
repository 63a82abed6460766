"""Maximum mean discrepancy (Gretton et al. 2012, JMLR 13, eq. 3), and two kernels for it."""

from collections.abc import Callable

import numpy as np

from tfvideogan.metrics.arrays import BLOCK, distances_by_block, pair_of_sets

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]


def mmd(real: np.ndarray, fake: np.ndarray, kernel: Kernel) -> float:
    """Unbiased estimate of the squared MMD of two sets; 0 is best, and two sets of one distribution scatter around it.

    Args:
        real: [N,F].
        fake: [M,F].
        kernel: maps [n,F], [m,F] to [n,m], as `cubic` and `gaussian(...)` do.
    Raises: ValueError for fewer than two clips in a set, or values not finite.
    """
    real, fake = pair_of_sets(real, fake, least=2)
    return _mean_of_pairs(real, kernel) + _mean_of_pairs(fake, kernel) - 2 * _sum(real, fake, kernel) / (len(real) * len(fake))


def cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(x.y / F + 1)^3: KID's kernel (Binkowski et al. 2018, arXiv:1801.01401, 4)."""
    k = x @ y.T / x.shape[1] + 1
    return k * k * k  # NumPy's ** 3 takes three times as long


def gaussian(bandwidth: float) -> Kernel:
    """exp(-|x - y|^2 / (2 bandwidth^2)). Raises: ValueError for a bandwidth of 0 or less."""
    if not bandwidth > 0:
        raise ValueError(f"bandwidth={bandwidth}: expected more than 0; are all features the same?")

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.exp(np.concatenate([squares for _, squares in distances_by_block(x, y)]) / (-2 * bandwidth**2))

    return kernel


def root_mean_square_distance(real: np.ndarray) -> float:
    """Of all pairs of a set [N,F], each with itself too: a bandwidth that knows the features' scale.

    It is the root of twice the trace of the covariance (over N), for sum_ij |x_i - x_j|^2 = 2 N sum_i |x_i - mean|^2.
    """
    return float(np.sqrt(2 * np.var(np.asarray(real, np.float64), axis=0).sum()))


def _mean_of_pairs(x: np.ndarray, kernel: Kernel) -> float:
    """Mean of k(x_i, x_j) over i != j."""
    diagonal = sum(float(np.trace(kernel(part, part))) for part in _blocks(x, 64))
    return (_sum(x, x, kernel) - diagonal) / (len(x) * (len(x) - 1))


def _sum(x: np.ndarray, y: np.ndarray, kernel: Kernel) -> float:
    return sum(float(kernel(part, y).sum()) for part in _blocks(x, BLOCK))


def _blocks(x: np.ndarray, size: int) -> list[np.ndarray]:
    return [x[start : start + size] for start in range(0, len(x), size)]

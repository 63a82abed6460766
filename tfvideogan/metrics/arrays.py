"""What the metrics share: looking at their arrays before they count, log-probabilities, distances of all pairs."""

from collections.abc import Iterator

import numpy as np

BLOCK = 1024  # rows of a matrix of all pairs that are in memory at a time: 80 MB beside 10,000 columns
ROUNDING = 1e-12  # a squared distance below this share of |x|^2 + |y|^2 is what rounding leaves of 0


def vectors(name: str, array: np.ndarray, least: int = 1) -> np.ndarray:
    """The array as float64 [N,F]. Raises: ValueError, naming it, for another shape, fewer than `least` rows, or values not finite."""
    array = np.asarray(array, np.float64)
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(f"{name} of shape {list(array.shape)}: expected [N,F], one row a clip")
    if len(array) < least:
        raise ValueError(f"{name} of {len(array)} clips: expected at least {least}")
    bad = int(np.sum(~np.isfinite(array).all(1)))
    if bad:
        raise ValueError(f"{name}: {bad} of {len(array)} rows hold NaN or infinity")
    return array


def pair_of_sets(real: np.ndarray, fake: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of vectors as float64 [N,F] and [M,F]. Raises: ValueError as `vectors`, and for widths that differ."""
    real, fake = vectors("real", real, least), vectors("fake", fake, least)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"real has {real.shape[1]} features and fake {fake.shape[1]}: expected as many")
    return real, fake


def log_probabilities(name: str, logits: np.ndarray) -> np.ndarray:
    """Log-softmax of logits [N,C], float64. It stays finite where a probability would underflow to 0."""
    logits = vectors(name, logits)
    logits = logits - logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def log_marginal(log_p: np.ndarray) -> np.ndarray:
    """Log of the mean of probabilities given by their logs: [N,C] -> [C]."""
    top = log_p.max(0)
    return top + np.log(np.mean(np.exp(log_p - top), 0))


def distances_by_block(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances of all pairs, a block of rows at a time: (rows of x, [rows,M]). x: [N,F]. y: [M,F].

    Equal vectors have a distance of exactly 0.
    """
    origin = x[:1]  # far from 0, the difference of squares below would lose digits
    x, y = x - origin, y - origin
    of_y = np.sum(y * y, 1)
    for start in range(0, len(x), BLOCK):
        rows = slice(start, min(start + BLOCK, len(x)))
        lengths = np.sum(x[rows] ** 2, 1)[:, None] + of_y
        squares = lengths - 2 * x[rows] @ y.T
        yield rows, np.where(squares > ROUNDING * lengths, squares, 0.0)


def kth_neighbor(x: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of each row of x to its k-th nearest other row: [N,F] -> [N]. Raises: ValueError unless 1 <= k < N."""
    if not 1 <= k < len(x):
        raise ValueError(f"k={k} nearest neighbors among {len(x)} clips: expected 1 to {len(x) - 1}")
    # In sorted order the row itself, at distance 0, is number 0.
    return np.concatenate([np.partition(squares, k, axis=1)[:, k] for _, squares in distances_by_block(x, x)])

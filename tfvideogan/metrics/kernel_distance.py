"""Kernel distance, KID (Binkowski et al. 2018, arXiv:1801.01401): the unbiased squared MMD under the cubic kernel."""

import numpy as np

from tfvideogan.metrics.arrays import pair_of_sets
from tfvideogan.metrics.mmd import cubic, mmd


def kernel_distance(real: np.ndarray, fake: np.ndarray, subset_size: int, subsets: int, seed: int) -> tuple[float, float]:
    """Mean and standard deviation (ddof 0) of the unbiased squared MMD over random subsets; 0 is best, and it may be below.

    Unlike the Frechet distance its expectation does not depend on the numbers of clips. 100 subsets of 1,000 are usual. The
    deviation is that of one subset, not the error of the mean.

    Args:
        real: [N,F].
        fake: [M,F].
        subset_size: clips in a subset, drawn from each set without replacement.
        subsets: how many.
        seed: of the draws.
    Raises: ValueError for subsets larger than a set or of fewer than two clips, or values not finite.
    """
    real, fake = pair_of_sets(real, fake, least=2)
    smaller = min(len(real), len(fake))
    if not 2 <= subset_size <= smaller:
        raise ValueError(f"subset_size={subset_size}: expected 2 to {smaller}, the clips of the smaller set")
    if subsets < 1:
        raise ValueError(f"subsets={subsets}: expected at least 1")
    draw = np.random.default_rng(seed)

    def subset(x: np.ndarray) -> np.ndarray:
        return x[draw.choice(len(x), subset_size, replace=False, shuffle=False)]

    distances = [mmd(subset(real), subset(fake), cubic) for _ in range(subsets)]
    return float(np.mean(distances)), float(np.std(distances))

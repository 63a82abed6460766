"""Density and coverage (Naeem et al. 2020, arXiv:2002.09797): precision and recall that outliers do not inflate."""

import numpy as np

from tfvideogan.metrics.arrays import distances_by_block, kth_neighbor, pair_of_sets


def density_coverage(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float]:
    """Density (quality): real balls that hold a fake clip, divided by k, averaged over the fake clips; about 1 for the same
    distribution, and it may be above. Coverage (variety): share of the real balls that hold a fake clip, 0 to 1.

    A ball reaches from a real clip to its k-th nearest other one (the paper: k = 5; its section 3 chooses k so that equal
    distributions of 10,000 clips are covered to more than 0.95).

    Args:
        real: [N,F].
        fake: [M,F].
        k: the neighbor that a ball reaches to.
    Raises: ValueError for k or fewer real clips, or values not finite.
    """
    real, fake = pair_of_sets(real, fake, least=1)
    radii = kth_neighbor(real, k)
    held, covered = 0, 0
    for rows, squares in distances_by_block(real, fake):
        inside = squares <= radii[rows, None]
        held += int(inside.sum())
        covered += int(inside.any(1).sum())
    return held / (k * len(fake)), covered / len(real)

"""Precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991): how much of each set lies in the other's manifold."""

import numpy as np

from tfvideogan.metrics.arrays import distances_by_block, kth_neighbor, pair_of_sets


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float]:
    """Share of fake clips in the real manifold (quality), and of real clips in the fake one (variety), 0 to 1, higher is better.

    A manifold is the union of balls around its clips that reach to the k-th nearest other one (the paper: k = 3, and as many
    real as fake clips, 50,000 of each).

    Args:
        real: [N,F].
        fake: [M,F].
        k: the neighbor that a ball reaches to.
    Raises: ValueError for a set of k or fewer clips, or values not finite.
    """
    real, fake = pair_of_sets(real, fake, least=2)
    real_radii, fake_radii = kth_neighbor(real, k), kth_neighbor(fake, k)
    in_real, in_fake = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    for rows, squares in distances_by_block(real, fake):  # [rows,M]
        in_real |= np.any(squares <= real_radii[rows, None], 0)
        in_fake[rows] = np.any(squares <= fake_radii, 1)
    return float(in_real.mean()), float(in_fake.mean())

"""Frechet distance of features (Heusel et al. 2017, arXiv:1706.08500), by TF-GAN: |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2))."""

import numpy as np

from tfvideogan.metrics import tfgan


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Distance of two Gaussians with the means and covariances (over N - 1) of two sets of features; 0 is best.

    The finite samples add about c / N: compare only distances of the same numbers of clips.

    Args:
        real: [N,F].
        fake: [M,F].
    Raises: ValueError for fewer than two clips in a set, which have no covariance.
    """
    if min(len(real), len(fake)) < 2:
        raise ValueError(f"{len(real)} real and {len(fake)} generated clips: want at least 2 of each, for a covariance")
    distance = tfgan.load().eval.frechet_classifier_distance_from_activations
    # Rounding leaves about -1e-6 for a set and itself.
    return max(0.0, float(distance(np.asarray(real, np.float64), np.asarray(fake, np.float64))))

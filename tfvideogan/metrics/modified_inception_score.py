"""Modified inception score, m-IS (Gurumurthy et al. 2017, DeLiGAN, arXiv:1706.02071, 5): the variety within the classes."""

import numpy as np

from tfvideogan.metrics.arrays import log_probabilities


def modified_inception_score(logits: np.ndarray, labels: np.ndarray) -> float:
    """exp(E_i E_j KL(p(y|x_i) || p(y|x_j))) over the pairs i != j of one class, averaged over the classes; 1 is no variety.

    Where the inception score is fooled by one clip repeated in each class, this one is 1. It has no upper bound.

    Args:
        logits: [N,C], of a classifier.
        labels: [N] int, the classes the clips were made as. A class of fewer than two clips has no pairs, and is left out.
    Raises: ValueError if every class is, if the lengths differ, or for values not finite.
    """
    log_p, labels = log_probabilities("logits", logits), np.asarray(labels)
    if labels.shape != (len(log_p),):
        raise ValueError(f"labels of shape {list(labels.shape)}: expected [{len(log_p)}], one a clip")
    names, counts = np.unique(labels, return_counts=True)
    if counts.max() < 2:
        raise ValueError(f"{len(names)} classes of one clip each: expected at least 2 clips of a class")
    return float(np.mean([np.exp(_mean_divergence(log_p[labels == name])) for name in names[counts > 1]]))


def _mean_divergence(log_p: np.ndarray) -> float:
    """Mean KL(p_i || p_j) over all i != j: in O(N C), as the sum over i and j of p_i (log p_i - log p_j) falls apart."""
    p, n = np.exp(log_p), len(log_p)
    of_all = np.mean(np.sum(p * log_p, 1)) - p.mean(0) @ log_p.mean(0)  # holds the pairs i = j, which are 0
    return max(0.0, of_all * n / (n - 1))

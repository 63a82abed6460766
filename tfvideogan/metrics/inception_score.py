"""Inception score (Salimans et al. 2016, arXiv:1606.03498): exp(E KL(p(y|x) || p(y))), by TF-GAN."""

import numpy as np

from tfvideogan.metrics import tfgan
from tfvideogan.metrics.arrays import vectors


def inception_score(logits: np.ndarray, splits: int) -> tuple[float, float]:
    """Scores clips by a classifier's logits; between 1 and the number of classes C, higher is better.

    Fewer clips in a split score lower: compare only scores of the same number of clips and splits. Blind to a class that is
    one clip only (see `modified_inception_score`), and to the real clips.

    Args:
        logits: [N,C].
        splits: parts, of consecutive clips, that are scored alone.
    Returns: mean and standard deviation (ddof 0) over the splits.
    Raises: ValueError for fewer clips than splits, or values not finite.
    """
    logits = vectors("logits", logits)
    if not 1 <= splits <= len(logits):
        raise ValueError(f"splits={splits}: expected 1 to {len(logits)}, the number of clips")
    # TF-GAN takes log p(y): a class no clip has any probability of (exp(-745) is 0) would give 0 * log 0 = nan.
    logits = np.maximum(logits, logits.max(axis=1, keepdims=True) - 700.0)
    score = tfgan.load().eval.classifier_score_from_logits
    scores = [float(score(part)) for part in np.array_split(logits, splits)]
    return float(np.mean(scores)), float(np.std(scores))

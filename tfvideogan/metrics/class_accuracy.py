"""Class accuracy, which MoCoGAN (arXiv:1707.04993, 4) calls the motion control score, MCS: how often a classifier sees the
class that the generator was asked for."""

import numpy as np

from tfvideogan.metrics.arrays import vectors


def class_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Share of clips, 0 to 1, whose largest logit is their label's. logits: [N,C]. labels: [N] int.

    Raises: ValueError for lengths that differ, or values not finite.
    """
    logits, labels = vectors("logits", logits), np.asarray(labels)
    if labels.shape != (len(logits),):
        raise ValueError(f"labels of shape {list(labels.shape)}: expected [{len(logits)}], one a clip")
    return float(np.mean(np.argmax(logits, axis=1) == labels))

"""Class accuracy: how often a classifier sees the class that the generator was asked for."""

import numpy as np


def class_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Share of clips, 0 to 1, whose largest logit is their label's. logits: [N,C]. labels: [N] int."""
    return float(np.mean(np.argmax(logits, axis=1) == np.asarray(labels)))

"""Bootstrap (Efron 1979): the uncertainty of a score from the clips at hand."""

from collections.abc import Callable

import numpy as np


def standard_error(score: Callable[..., float], *samples: np.ndarray, seed: int, resamples: int = 20) -> float:
    """Standard deviation (ddof 1) of `score(*samples)` over sets of clips drawn anew, with replacement.

    Args:
        score: a number from arrays of clips.
        samples: arrays of [N,...], each resampled on its own: what belongs to one clip must be in one array.
        seed: of the draws.
        resamples: 20 give the error to about 16 %, 1 / sqrt(2 * 19).
    """
    draw = np.random.default_rng(seed)
    scores = [score(*(sample[draw.integers(len(sample), size=len(sample))] for sample in samples)) for _ in range(resamples)]
    return float(np.std(scores, ddof=1))

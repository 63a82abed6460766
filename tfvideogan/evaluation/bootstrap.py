"""How far a score would be off with other clips of the same kind: from the clips at hand."""

from collections.abc import Callable, Sequence

import numpy as np

Score = Callable[..., float | Sequence[float] | np.ndarray]


def standard_error(score: Score, *samples: np.ndarray, seed: int, resamples: int = 20) -> np.ndarray:
    """Bootstrap (Efron 1979): standard deviation (ddof 1) of `score(*samples)` over sets drawn anew, with replacement.

    Args:
        score: a number, or several, from arrays of clips.
        samples: arrays of [N,...], each resampled on its own: what belongs to one clip must be in one array.
        seed: of the draws.
        resamples: 20 give the error to about 16 %, 1 / sqrt(2 * 19).
    Returns: [] or [K], as the score.
    """
    draw = np.random.default_rng(seed)
    scores = [score(*(sample[draw.integers(len(sample), size=len(sample))] for sample in samples)) for _ in range(resamples)]
    return np.std(np.array(scores), axis=0, ddof=1)


def group_standard_error(score: Score, *samples: np.ndarray, seed: int, groups: int = 8) -> np.ndarray:
    """Standard error of the mean of `score(*samples)` over disjoint groups of clips, drawn at random.

    For scores that a clip drawn twice would falsify, as those of nearest neighbors or of pairs of clips, and for slow ones: all
    groups take no longer than the score itself. 8 groups give the error to about 27 %, 1 / sqrt(2 * 7).

    Args, Returns: as `standard_error`. Raises: ValueError for fewer than 2 clips a group.
    """
    smallest = min(len(sample) for sample in samples) // groups
    if groups < 2 or smallest < 2:
        raise ValueError(f"{groups} groups of {smallest} clips: expected at least 2 of at least 2")
    draw = np.random.default_rng(seed)
    parts = [np.array_split(sample[draw.permutation(len(sample))], groups) for sample in samples]
    scores = [score(*group) for group in zip(*parts, strict=True)]
    return np.std(np.array(scores), axis=0, ddof=1) / np.sqrt(groups)

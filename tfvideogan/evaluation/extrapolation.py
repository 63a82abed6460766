"""What a score would be for endlessly many clips (Chong and Forsyth 2020, arXiv:1911.07023)."""

from collections.abc import Callable

import numpy as np

LEAST_SHARE = 0.25  # of the clips, in the smallest part


def extrapolate(score: Callable[..., float], *samples: np.ndarray, points: int, seed: int) -> float:
    """The value at 1/N = 0 of a line through scores of random parts of the sets, from a quarter of the clips to all.

    For scores whose bias goes as 1/N, as the Frechet distance's (FID-infinity) and the inception score's do; for the Frechet
    distance the smallest part should still hold more clips than features. It scatters more than the score itself, and may be
    below 0 where the truth is 0.

    Args:
        score: a number from arrays of clips.
        samples: arrays of [N,...]; all parts of one point have the same number of clips.
        points: parts, evenly over 1/N.
        seed: of the draws.
    Raises: ValueError for fewer than 8 clips in a set, or fewer than two points.
    """
    clips = min(len(sample) for sample in samples)
    if clips < 8 or points < 2:
        raise ValueError(f"{points} points of up to {clips} clips: expected at least 2 of at least 8")
    draw = np.random.default_rng(seed)
    sizes = np.round(1 / np.linspace(1 / clips, 1 / (LEAST_SHARE * clips), points)).astype(int)
    scores = [score(*(sample[draw.choice(len(sample), size, replace=False)] for sample in samples)) for size in sizes]
    _, at_zero = np.polyfit(1 / sizes, scores, 1)
    return float(at_zero)

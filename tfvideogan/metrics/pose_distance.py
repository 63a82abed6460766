"""Pose distance: is the person in a translated video in the pose that was asked for? Chan et al. 2019 (arXiv 1808.07371), 4.

Poses are estimated again, of the translated video and of the true one, by the same network: what it is wrong by in both is not told apart.
Points that only one of the two shows have no distance; how many of them are missed is a number of its own.
"""

import numpy as np


def pose_distance(real: np.ndarray, fake: np.ndarray, unit: float) -> np.ndarray:
    """Mean distance of the key points that both show, over all frames.

    Args:
        real, fake: [N,T,K,3], x and y in pixels and a confidence, 0 for what is not seen.
        unit: pixels that distances are told in: 1, as the paper's, or the height of a frame, so that other sizes compare.
    Returns: [N]; NaN of a clip without a point that both show.
    Raises: ValueError for shapes that differ or are none of key points, values not finite, and a unit that is not positive.
    """
    real, fake = _checked(real, fake)
    if not unit > 0:
        raise ValueError(f"a unit of {unit:g} pixels: expected more than 0")
    both = (real[..., 2] > 0) & (fake[..., 2] > 0)
    distances = np.where(both, np.linalg.norm(real[..., :2] - fake[..., :2], axis=-1), 0.0)
    count = both.sum((1, 2))
    return np.where(count, distances.sum((1, 2)) / np.maximum(count, 1) / unit, np.nan)


def missed_points(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Key points of a frame that the real video shows and the other does not, their mean number over the frames, [N].

    Arguments and errors as of `pose_distance`.
    """
    real, fake = _checked(real, fake)
    return ((real[..., 2] > 0) & (fake[..., 2] <= 0)).sum(2).mean(1)


def _checked(real: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    if real.shape != fake.shape or real.ndim != 4 or real.shape[-1] != 3:
        raise ValueError(f"key points of shapes {list(real.shape)} and {list(fake.shape)}: expected the same, [N,T,K,3]")
    if not (np.isfinite(real).all() and np.isfinite(fake).all()):
        raise ValueError("key points: expected finite values")
    return real, fake

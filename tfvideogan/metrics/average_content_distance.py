"""Average content distance, ACD (Tulyakov et al. 2018, MoCoGAN, arXiv:1707.04993, 4): how much the content of a clip drifts."""

import numpy as np


def average_content_distance(features: np.ndarray) -> np.ndarray:
    """Mean Euclidean distance |f_s - f_t| over the T (T - 1) / 2 pairs of frames of each clip; 0 is content that never changes.

    Args:
        features: [N,T,F], what of a frame is its content: for moving shapes the mean colour, for faces OpenFace's features.
    Returns: [N]; MoCoGAN reports the mean over 256 clips of 16 frames.
    Raises: ValueError for fewer than two frames, or values not finite.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 3 or features.shape[1] < 2:
        raise ValueError(f"features of shape {list(features.shape)}: want [N,T,F] of at least 2 frames")
    if not np.isfinite(features).all():
        raise ValueError("features hold NaN or infinity: want finite values")
    first, second = np.triu_indices(features.shape[1], 1)
    return np.linalg.norm(features[:, first] - features[:, second], axis=-1).mean(1)


def mean_colour(video: np.ndarray) -> np.ndarray:
    """MoCoGAN's content of a frame of shapes: clips [N,T,H,W,3] in [-1,1] -> the frames' mean colours [N,T,3], 0 to 255."""
    return 127.5 * (np.mean(video, axis=(2, 3), dtype=np.float64) + 1)

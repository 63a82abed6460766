"""Peak signal-to-noise ratio of clips, frame by frame."""

import numpy as np


def psnr(x: np.ndarray, y: np.ndarray, data_range: float) -> np.ndarray:
    """10 log10(data_range^2 / mean squared error) of each frame, averaged over the frames, in decibels.

    Args:
        x, y: clips [N,T,H,W,C].
        data_range: largest less smallest value a pixel can have: 2 for clips in [-1,1].
    Returns: [N]; infinity where a frame is the same in both.
    Raises: ValueError for shapes that differ, or values not finite.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 5 or x.shape != y.shape:
        raise ValueError(f"clips of shapes {list(x.shape)} and {list(y.shape)}: want the same, [N,T,H,W,C]")
    error = np.mean((x - y) ** 2, axis=(2, 3, 4))
    if not np.isfinite(error).all():
        raise ValueError("clips hold NaN or infinity: want finite values")
    with np.errstate(divide="ignore"):
        return np.mean(10 * np.log10(data_range**2 / error), axis=1)

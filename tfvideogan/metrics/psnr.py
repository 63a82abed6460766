"""Peak signal-to-noise ratio of clips."""

import numpy as np

MOST = 60.0  # decibels: libvmaf's limit for 8 bits, 6 x 8 + 12; one pixel value of 15 is then wrong by 1 of 255


def psnr(x: np.ndarray, y: np.ndarray, data_range: float) -> np.ndarray:
    """10 log10(data_range^2 / mean squared error over all pixels of a clip), in decibels, at most 60.

    The error is pooled over the clip: a mean of the frames' ratios would be infinite where one frame is given, as in prediction.
    Equal clips, whose ratio is infinite, have 60, so that they leave the mean of a set finite.

    Args:
        x, y: clips [N,T,H,W,C].
        data_range: largest less smallest value a pixel can have: 2 for clips in [-1,1].
    Returns: [N].
    Raises: ValueError for shapes that differ, or values not finite.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 5 or x.shape != y.shape:
        raise ValueError(f"clips of shapes {list(x.shape)} and {list(y.shape)}: expected the same, [N,T,H,W,C]")
    error = np.mean((x - y) ** 2, axis=(1, 2, 3, 4))
    if not np.isfinite(error).all():
        raise ValueError("clips hold NaN or infinity: expected finite values")
    return 10 * np.log10(data_range**2 / np.maximum(error, data_range**2 / 10 ** (MOST / 10)))

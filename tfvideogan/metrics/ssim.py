"""Structural similarity (Wang et al. 2004, IEEE TIP 13(4)): of clips, frame by frame."""

import numpy as np

WINDOW, SIGMA = 11, 1.5  # pixels (Wang et al., III.C)
K1, K2 = 0.01, 0.03


def ssim(x: np.ndarray, y: np.ndarray, data_range: float) -> np.ndarray:
    """Mean over windows, channels and frames of (2 mx my + C1)(2 sxy + C2) / ((mx^2 + my^2 + C1)(sx^2 + sy^2 + C2)); 1: equal.

    Windows are Gaussian, 11 x 11, and lie wholly in the frame.

    Args:
        x, y: clips [N,T,H,W,C].
        data_range: largest less smallest value a pixel can have: 2 for clips in [-1,1].
    Returns: [N], between -1 and 1.
    Raises: ValueError for shapes that differ, frames of fewer than 11 pixels a side, or values not finite.
    """
    x, y = _clips(x), _clips(y)
    if x.shape != y.shape or min(x.shape[2:4]) < WINDOW:
        raise ValueError(f"clips of shapes {list(x.shape)} and {list(y.shape)}: expected the same, of at least {WINDOW} pixels a side")
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    x, y = np.moveaxis(x, -1, 2), np.moveaxis(y, -1, 2)  # [N,T,C,H,W]
    down, across = _windows(x.shape[3]), _windows(x.shape[4]).T

    def mean(image: np.ndarray) -> np.ndarray:
        return down @ image @ across

    mx, my = mean(x), mean(y)
    luminance = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
    structure = (2 * (mean(x * y) - mx * my) + c2) / (mean(x * x) - mx**2 + mean(y * y) - my**2 + c2)
    return np.mean(luminance * structure, axis=(1, 2, 3, 4))


def _windows(size: int) -> np.ndarray:
    """Gaussian windows at every place of a line of pixels, as a matrix [size - 10,size]."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-(offsets**2) / (2 * SIGMA**2))
    places = np.arange(size - WINDOW + 1)[:, None]
    matrix = np.zeros([len(places), size])
    matrix[places, places + np.arange(WINDOW)] = window / window.sum()
    return matrix


def _clips(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, np.float64)
    if x.ndim != 5 or not np.isfinite(x).all():
        raise ValueError(f"clips of shape {list(x.shape)}: expected [N,T,H,W,C], with finite values")
    return x

"""Temporal warp error: does a translated video move as its source does? Lai et al. 2018 (arXiv 1808.00449), 4.2, E_warp.

Flicker, which no score of single frames notices, raises it. A video that never changes has a low one where little moves: read it beside a
score of the frames, and beside the error of the real video, which is not 0 either.
"""

import numpy as np

DOUBT = 0.02  # vid2vid's: squared difference of colors in [-1,1], summed over channels, from which on a flow is not trusted


def warp_error(video: np.ndarray, flow: np.ndarray, trusted: np.ndarray, data_range: float) -> np.ndarray:
    """Mean of ((v[t] - warp(v[t-1], flow[t])) / data_range)^2 over the pixels that are trusted, all channels and all frames but the first.

    The paper sums over channels and takes the mean of frames' means; here every trusted pixel of a clip counts the same.

    Args:
        video: the translated clips [N,T,H,W,C], T of at least 2.
        flow: of the source, [N,T,H,W,2], (dx, dy) in pixels from each frame to the one before; the first frame's is not read.
        trusted: bool [N,T,H,W], as `trusted_pixels` of the source gives it.
        data_range: largest less smallest value a pixel can have: 2 for clips in [-1,1].
    Returns: [N], of pixels in [0,1]; NaN of a clip of which nothing is trusted.
    Raises: ValueError for shapes that do not fit, or values not finite.
    """
    error = np.mean(_changes(video, flow) ** 2, -1) / data_range**2  # [N,T-1,H,W]
    if np.shape(trusted) != np.shape(video)[:4]:
        raise ValueError(f"trusted of shape {list(np.shape(trusted))}: expected {list(np.shape(video)[:4])}, as the clips")
    seen = np.asarray(trusted, bool)[:, 1:]
    count = seen.sum((1, 2, 3))
    return np.where(count, (error * seen).sum((1, 2, 3)) / np.maximum(count, 1), np.nan)


def trusted_pixels(video: np.ndarray, flow: np.ndarray, data_range: float) -> np.ndarray:
    """Where a flow is that of a video: bool [N,T,H,W], false in the first frame.

    Where the pixel that it leads to has the same color, but for DOUBT, and lies in the frame (vid2vid's confidence, arXiv 1808.06601: it
    leaves out what comes out of hiding, where the check of a flow by the opposite one would too).

    Args:
        video: the clips that the flow is of, [N,T,H,W,C].
        flow, data_range: as for `warp_error`.
    """
    changes = _changes(video, flow)
    height, width = changes.shape[2:4]
    x, y = _places(np.asarray(flow, np.float64)[:, 1:])
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    same = np.sum((2 * changes / data_range) ** 2, -1) < DOUBT
    return np.concatenate([np.zeros_like(inside[:, :1]), inside & same], 1)


def warped(frames: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Frames [...,H,W,C] at p + flow(p), bilinearly; beyond the border the nearest pixel of the border goes on. flow: [...,H,W,2]."""
    height, width = frames.shape[-3:-1]
    x, y = (np.clip(place, 0, length - 1) for place, length in zip(_places(flow), (width, height), strict=True))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    of_right, of_bottom = (x - left)[..., None], (y - top)[..., None]
    pixels = frames.reshape([*frames.shape[:-3], height * width, frames.shape[-1]])

    def at(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        index = (row * width + column).reshape([*frames.shape[:-3], height * width, 1])
        return np.take_along_axis(pixels, index, -2).reshape(frames.shape)

    upper, lower = ((1 - of_right) * at(row, left) + of_right * at(row, right) for row in (top, bottom))
    return (1 - of_bottom) * upper + of_bottom * lower


def _places(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns and rows that a flow [...,H,W,2] leads to."""
    height, width = flow.shape[-3:-1]
    return np.arange(width) + flow[..., 0], np.arange(height)[:, None] + flow[..., 1]


def _changes(video: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """What each frame but the first differs by from the one before, warped: [N,T-1,H,W,C]."""
    video, flow = np.asarray(video, np.float64), np.asarray(flow, np.float64)
    if video.ndim != 5 or flow.shape != (*video.shape[:4], 2) or video.shape[1] < 2:
        raise ValueError(
            f"clips of shape {list(video.shape)} and flow of {list(flow.shape)}: expected [N,T,H,W,C] and [N,T,H,W,2], T of at least 2"
        )
    if not (np.isfinite(video).all() and np.isfinite(flow[:, 1:]).all()):
        raise ValueError("clips or flow hold NaN or infinity: expected finite values")
    return video[:, 1:] - warped(video[:, :-1], flow[:, 1:])

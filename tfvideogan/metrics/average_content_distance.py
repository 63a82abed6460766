"""Average content distance, ACD (Tulyakov et al. 2018, MoCoGAN, arXiv:1707.04993, 4): how much the content of a clip drifts.

For its shape-motion clips the paper takes as a frame's content "the average color of the generated shape in each frame": Table 1 is
`shape_color`'s. `frame_color`, the mean of the whole frame, needs no shape; there the background waters the drift down.
"""

import numpy as np

CONTRAST = 64.0  # of 0 to 255, in some channel: shape_motion's shapes are 140 and more from their background


def average_content_distance(features: np.ndarray) -> np.ndarray:
    """Mean Euclidean distance |f_s - f_t| over the T (T - 1) / 2 pairs of frames of each clip; 0 is content that never changes.

    Args:
        features: [N,T,F], what of a frame is its content: `shape_color`, `frame_color`, or for faces OpenFace's features.
    Returns: [N]; MoCoGAN reports the mean over 256 clips of 16 frames.
    Raises: ValueError for fewer than two frames, or values not finite.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 3 or features.shape[1] < 2:
        raise ValueError(f"features of shape {list(features.shape)}: expected [N,T,F] of at least 2 frames")
    if not np.isfinite(features).all():
        raise ValueError("features hold NaN or infinity: expected finite values")
    first, second = np.triu_indices(features.shape[1], 1)
    return np.linalg.norm(features[:, first] - features[:, second], axis=-1).mean(1)


def frame_color(video: np.ndarray) -> np.ndarray:
    """Clips [N,T,H,W,3] in [-1,1] -> the mean colors of whole frames [N,T,3], 0 to 255."""
    return np.asarray(127.5 * (np.mean(video, axis=(2, 3), dtype=np.float64) + 1))


def shape_color(video: np.ndarray) -> np.ndarray:
    """The mean color of the shape in each frame, on a background of one color: by background subtraction.

    The background is the clip's median color, as long as the shapes cover less than half of it; the shape is what stands out
    from that by CONTRAST in some channel, without the pixels at its edge, which are blends, unless it is all edge. A frame
    without a shape has the background's color: a shape that vanishes has drifted.

    Args:
        video: clips [N,T,H,W,3] in [-1,1].
    Returns: [N,T,3], 0 to 255.
    """
    pixels = 127.5 * (np.asarray(video, np.float32) + 1)
    background = np.median(pixels, axis=(1, 2, 3), keepdims=True)  # [N,1,1,1,3]
    shape = np.any(np.abs(pixels - background) >= CONTRAST, axis=-1)  # [N,T,H,W]
    inside = _without_edge(shape)
    seen = np.where(np.any(inside, axis=(2, 3), keepdims=True), inside, shape)[..., None]
    count = np.sum(seen, axis=(2, 3))  # [N,T,1]
    total = np.sum(pixels, axis=(2, 3), dtype=np.float64, where=seen)
    return np.where(count > 0, total / np.maximum(count, 1), background[:, 0, 0])


def _without_edge(shape: np.ndarray) -> np.ndarray:
    """The pixels of masks [N,T,H,W] whose neighbors above, below, left and right are in the mask too, as far as there are any."""
    around = np.pad(shape, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=True)
    return shape & around[:, :, :-2, 1:-1] & around[:, :, 2:, 1:-1] & around[:, :, 1:-1, :-2] & around[:, :, 1:-1, 2:]

"""Optical flow estimated from frames, by OpenCV (the extra `[flow]`) or by any SavedModel."""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfvideogan.config import UserError

METHODS = ("dis", "farneback")
DIS_SIDE = 12  # pixels, OpenCV's least
# pyramid scale .5, 3 levels, windows of 15 pixels, 3 iterations, polynomials over 5 pixels with sigma 1.2: OpenCV's own example
FARNEBACK = (0.5, 3, 15, 3, 5, 1.2, 0)

Pair = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (frame, the one before), uint8 [h,w,3] -> the flow between, [h,w,2]


def estimate(frames: np.ndarray, method: str) -> np.ndarray:
    """The flow of a clip, from each frame to the one before, as layers/warp.py has it.

    The first frame's, of which nothing is to be seen, is the second's: as if it had moved so before. A single frame's is zero.

    Args:
        frames: uint8 [T,h,w,3].
        method: dis (Kroeger et al. 2016, medium preset), farneback (2003), or the folder of a SavedModel, whose `serving_default`
            maps "first" and "second", float32 [N,h,w,3] in [0,1], to "flow", [N,h,w,2] in pixels from the first to the second.

    Returns: float32 [T,h,w,2] in pixels.
    Raises: UserError where OpenCV is missing, for a method that is neither, for frames that are too small for DIS, and for a SavedModel
        that does not take such frames or gives another shape; ValueError for flow that is not finite.
    """
    if method == "dis" and max(frames.shape[1:3]) < DIS_SIDE:
        raise UserError(f"--flow=dis: got frames of {frames.shape[2]}x{frames.shape[1]}, expected a side of at least {DIS_SIDE} pixels")
    pair = _opencv(method) if method in METHODS else _module(method)
    if len(frames) == 1:
        return np.zeros([1, *frames.shape[1:3], 2], np.float32)
    flows = [pair(frame, before) for before, frame in zip(frames, frames[1:], strict=False)]
    return np.stack([flows[0], *flows]).astype(np.float32)


def _opencv(method: str) -> Pair:
    try:
        import cv2
    except ImportError as error:
        raise UserError(f"--flow={method}: OpenCV is not installed; pip install tfvideogan[flow]") from error
    cv2.setNumThreads(1)  # what DIS finds depends on how many threads share a frame
    if method == "dis":
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        return lambda *pair: dis.calc(*(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in pair), None)
    return lambda *pair: cv2.calcOpticalFlowFarneback(*(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in pair), None, *FARNEBACK)


@functools.lru_cache(maxsize=1)
def _module(path: str) -> Pair:
    wanted = f"{', '.join(METHODS)}, or a SavedModel from first and second to flow"
    try:
        module = tf.saved_model.load(path)
        signature = module.signatures["serving_default"]
    except (OSError, LookupError, ValueError, tf.errors.OpError) as error:  # by what of it is gone or cut short
        raise UserError(f"--flow={path}: got no such estimator, expected {wanted}") from error
    names = set(signature.structured_input_signature[1]), set(signature.structured_outputs)
    if names != ({"first", "second"}, {"flow"}):
        raise UserError(f"--flow={path}: got a SavedModel from {sorted(names[0])} to {sorted(names[1])}, expected {wanted}")

    def pair(frame: np.ndarray, before: np.ndarray) -> np.ndarray:
        first, second = (tf.constant(one[None], tf.float32) / 255.0 for one in (frame, before))
        size = f"{frame.shape[1]}x{frame.shape[0]}"
        try:
            flow = module.signatures["serving_default"](first=first, second=second)["flow"].numpy()
        except (TypeError, ValueError, tf.errors.OpError) as error:  # by what of its signature is another
            raise UserError(f"--flow={path}: cannot take frames of {size}: {str(error).splitlines()[0]}; expected {wanted}") from error
        if flow.shape != (1, *frame.shape[:2], 2):
            raise UserError(f"--flow={path}: got flow of shape {list(flow.shape)} of frames of {size}, expected [1,h,w,2]")
        if not np.isfinite(flow).all():
            raise ValueError(f"--flow={path}: got flow that is not finite")
        return flow[0]

    return pair

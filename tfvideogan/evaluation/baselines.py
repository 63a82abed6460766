"""What a generator that reads videos is held against: frames made of the same inputs by a rule, without learning."""

from collections.abc import Callable, Mapping

import numpy as np

Inputs = Mapping[str, np.ndarray]
Baseline = Callable[[Inputs, int], np.ndarray]  # (what the generator reads, by name, pictures in [-1,1]; F) -> [N,F,H,W,3] in [-1,1]


def copy_last(inputs: Inputs, frames: int) -> np.ndarray:
    """The last of "first_frames" [N,C,H,W,3], again and again."""
    return np.repeat(inputs["first_frames"][:, -1:], frames, 1)


def linear(inputs: Inputs, frames: int) -> np.ndarray:
    """Every pixel goes on as it changed between the last two of "first_frames" [N,C,H,W,3], C of at least 2, within [-1,1]."""
    before, last = inputs["first_frames"][:, -2, None], inputs["first_frames"][:, -1, None]
    ahead = np.arange(1, frames + 1, dtype=last.dtype).reshape([1, -1, 1, 1, 1])
    return np.clip(last + ahead * (last - before), -1.0, 1.0)


def copy_source(inputs: Inputs, frames: int) -> np.ndarray:
    """The last frames of "source" [N,T,H,W,3] as they are."""
    return inputs["source"][:, -frames:]


def of_prediction(given_frames: int) -> dict[str, Baseline]:
    """Those of a prediction from so many frames, by name. A line needs two."""
    return {"copy_last": copy_last, **({"linear": linear} if given_frames > 1 else {})}

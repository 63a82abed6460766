"""Facts: what a video is, before its frames are decoded."""

from dataclasses import dataclass, field

import numpy as np

MOST_PIXELS = 1 << 25  # of a frame; one of 8K, 7680x4320, has a little less
MOST_ASPECT = 32  # long side by short: `fit` would make gigabytes of a line of pixels
NONE = np.zeros([0], np.int64)


@dataclass(frozen=True)
class Facts:
    """What a video is.

    Attributes:
        height, width: of an upright frame.
        times: float32 [T], seconds from the first frame, rising.
        matrix: (a, b, c, d): pixel (x, y) of the file is shown at (a x + c y, b x + d y), but for an offset.
        stamps: int64 [T], rising, the times by which FFmpeg knows the frames; empty where these do not tell them apart.
        by_dts: they are times of decoding, for the file's times of showing are none or wrong, as in AVI.
        keys: (number, time to seek to) of the frames that decoding can start from, besides the first.
        checksums: uint32 [T] of the frames as decoded from the start; empty where the codec itself promises that each frame
            after a key frame is the same wherever decoding started.
        files: of the frames, for a folder of pictures.
    """

    height: int
    width: int
    times: np.ndarray
    matrix: tuple[int, int, int, int] = (1, 0, 0, 1)
    stamps: np.ndarray = field(default_factory=lambda: NONE)
    by_dts: bool = False
    keys: tuple[tuple[int, int], ...] = ()
    checksums: np.ndarray = field(default_factory=lambda: NONE)
    files: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        return len(self.times)

    @property
    def is_lying(self) -> bool:
        """Whether rows of the file are columns on the screen."""
        across, down, _, _ = self.matrix
        return abs(down) > abs(across)


def check_size(height: int, width: int) -> None:
    """Raises ValueError for frames that are no frames of a video."""
    if height * width > MOST_PIXELS or max(height, width) > MOST_ASPECT * max(min(height, width), 1):
        raise ValueError(f"frames of {width}x{height}: expected at most {MOST_PIXELS} pixels, and sides of at most {MOST_ASPECT} to 1")

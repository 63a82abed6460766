"""From a file to frames: video files, pictures that hold a video, folders of frames.

videos.py decodes video files, pictures.py pictures. Frames are uint8 RGB [h,w,3], upright as a player or viewer shows them.
"""

import functools
import hashlib
import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from types import ModuleType

import av
import numpy as np
import tensorflow as tf

from tfvideogan.data import paths, pictures, videos
from tfvideogan.data.facts import MOST_PIXELS as MOST_PIXELS  # part of what this file promises
from tfvideogan.data.facts import Facts

VIDEOS = (
    *(".avi", ".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".gif", ".apng"),
    *(".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".vob", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".ogm", ".ogg"),
    *(".dv", ".mxf", ".nut", ".y4m", ".divx", ".rm", ".rmvb", ".mjpeg", ".mjpg", ".ivf", ".h264", ".264", ".h265", ".265", ".hevc"),
)
PICTURES = pictures.SUFFIXES
SUFFIXES = VIDEOS + PICTURES  # a picture file is a strip, or an animation
RESIZE = "bilinear, antialiased"
PICTURE_FPS = pictures.FPS


def probe(path: str) -> Facts:
    """Looks at a video, so that its frames can be told and found. Raises ValueError, with the reason, if it is none."""
    if paths.is_folder(path):
        return pictures.probe_folder(path)
    if not paths.is_file(path):
        raise ValueError("no file")
    with paths.opened(path) as file:
        if not file.read(1):
            raise ValueError("empty file")
    return pictures.probe(path) if paths.suffix(path) in PICTURES else videos.probe(path)


def digest(path: str) -> str:
    """sha256 of a file, or of a folder's files by their names."""
    found = hashlib.sha256()
    for file in [paths.join(path, name) for name in pictures.names(path)] if paths.is_folder(path) else [path]:
        with paths.opened(file) as opened:
            while block := opened.read(1 << 20):
                found.update(block)
    return found.hexdigest()


def read(path: str, indices: Sequence[int], facts: Facts) -> np.ndarray:
    """The frames of these rising numbers, uint8 [T,h,w,3].

    Where a file is damaged, or is no longer what it was, the last frame before stands in, or the first after. It is
    told once. Raises ValueError where none can be read.
    """
    kept: dict[int, np.ndarray] = {}
    try:
        for number, frame in _reader(path, facts).read(path, indices, facts):
            kept[number] = frame
    except (av.FFmpegError, ValueError, OSError, tf.errors.OpError) as error:
        reason = f"{path}: {' '.join((getattr(error, 'strerror', None) or str(error)).split())}"
        if not kept:
            raise ValueError(reason) from error
        warn_once(f"{reason}; another frame stands in")
    return np.stack([kept[max((number for number in kept if number <= index), default=min(kept))] for index in indices])


def stream(path: str, facts: Facts) -> Iterator[np.ndarray]:
    """Every frame in turn. Raises ValueError where the file is damaged."""
    return _reader(path, facts).stream(path, facts)


def rate(path: str, facts: Facts) -> Fraction:
    """Frames a second, as the file says it."""
    return Fraction(PICTURE_FPS) if _reader(path, facts) is pictures else videos.rate(path)


def _reader(path: str, facts: Facts) -> ModuleType:
    return pictures if facts.files or paths.suffix(path) in PICTURES else videos


@functools.cache
def warn_once(message: str) -> None:
    """Once a file, not once a clip."""
    logging.warning(message)

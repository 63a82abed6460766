"""From a file to frames: video files, pictures that hold a video as a strip of square frames, folders of frames.

PyAV decodes videos, Pillow pictures. Frames are uint8 RGB [h,w,3], turned upright where the file says how it was held.
"""

import functools
import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import av
import numpy as np
import tensorflow as tf
from PIL import Image

from tfvideogan.data import paths

VIDEOS = (".avi", ".mp4", ".mov", ".mkv", ".webm", ".gif")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
SUFFIXES = VIDEOS + PICTURES  # a picture file is a strip
RESIZE = "bilinear, antialiased"
MOST_PIXELS = 1 << 25  # of a frame; one of 8K, 7680x4320, has a little less
MOST_ASPECT = 32  # long side by short: `fit` would make gigabytes of a line of pixels
PICTURE_FPS = 25  # strips and folders of frames say no times; MoCoGAN's are of 25 frames a second


@dataclass(frozen=True)
class Facts:
    """What a video is, before it is decoded.

    Attributes:
        height, width: of an upright frame.
        times: float32 [T], seconds from the first frame, rising.
        keys: (number, pts) of the frames that decoding can start from; none but the first for pictures.
    """

    height: int
    width: int
    times: np.ndarray
    keys: tuple[tuple[int, int], ...] = ()

    @property
    def frames(self) -> int:
        return len(self.times)


def probe(path: str) -> Facts:
    """Looks at a video: its first frame is decoded, the others are counted. Raises ValueError, with the reason, if it is none."""
    if tf.io.gfile.isdir(path):
        return _probe_pictures(path)
    if tf.io.gfile.stat(path).length == 0:
        raise ValueError("empty file")
    return _probe_strip(path) if paths.suffix(path) in PICTURES else _probe_video(path)


def digest(path: str) -> str:
    """sha256 of a file, or of a folder's files by their names."""
    found = hashlib.sha256()
    for file in _pictures(path) if tf.io.gfile.isdir(path) else [path]:
        with paths.opened(file) as opened:
            while block := opened.read(1 << 20):
                found.update(block)
    return found.hexdigest()


def read(path: str, indices: Sequence[int], facts: Facts) -> np.ndarray:
    """The frames of these rising numbers, uint8 [T,h,w,3]. Decodes from the key frame before the first to the last one.

    Where a file is damaged or holds fewer frames than it promised, the last frame before stands in.
    """
    if tf.io.gfile.isdir(path):
        files = _pictures(path)
        return np.stack([_picture(files[index]) for index in indices])
    if paths.suffix(path) in PICTURES:
        return _split(_picture(path))[list(indices)]
    key = max((key for key in facts.keys if key[0] <= indices[0]), default=None)
    kept, frame, number = {}, None, 0
    with _open(path) as container:
        try:
            for number, frame in _frames(container, key):
                if number in indices:
                    kept[number] = _upright(frame, facts)
                if number >= indices[-1]:
                    break
        except av.FFmpegError as error:
            _warn(f"{path}: damaged after frame {number}; that one stands in for what follows ({error})")
    if frame is None:
        raise ValueError(f"{path}: no frame decodes")
    last = _upright(frame, facts)
    return np.stack([kept.get(index, last) for index in indices])


def stream(path: str, facts: Facts) -> Iterator[np.ndarray]:
    """Every frame in turn. Raises ValueError where the file is damaged."""
    if tf.io.gfile.isdir(path):
        yield from map(_picture, _pictures(path))
    elif paths.suffix(path) in PICTURES:
        yield from _split(_picture(path))
    else:
        decoded = 0
        with _open(path) as container:
            try:
                for _, frame in _frames(container, None):
                    yield _upright(frame, facts)
                    decoded += 1
            except av.FFmpegError as error:
                raise ValueError(f"damaged after {decoded} of its {facts.frames} frames: {error.strerror}") from error


def _check_size(height: int, width: int) -> None:
    if height * width > MOST_PIXELS or max(height, width) > MOST_ASPECT * max(min(height, width), 1):
        raise ValueError(f"frames of {width}x{height}: want at most {MOST_PIXELS} pixels, and sides of at most {MOST_ASPECT} to 1")


def _open(path: str):
    """The container of a video, a context manager."""
    return av.open(paths.opened(path) if "://" in path else path)


def _stream(container) -> av.video.stream.VideoStream:
    """The first video stream that is no cover picture of a piece of music. Raises ValueError if there is none that can be decoded."""
    for found in container.streams.video:
        if not found.disposition & av.stream.Disposition.attached_pic:
            if found.codec_context is None:
                raise ValueError("cannot be decoded: its codec is not known")
            _check_size(found.height, found.width)
            found.codec_context.options = {"max_pixels": str(MOST_PIXELS)}  # frames may be larger than the header says
            return found
    raise ValueError("no video stream")


def _frames(container, key: tuple[int, int] | None) -> Iterator[tuple[int, av.VideoFrame]]:
    """(number, frame) from a key frame on; from the first where seeking does not find that key frame."""
    video = _stream(container)
    if key and key[0] > 0:
        container.seek(key[1], stream=video)
        frames = container.decode(video)
        frame = next(frames, None)
        if frame is not None and frame.pts == key[1]:
            yield key[0], frame
            yield from enumerate(frames, key[0] + 1)
            return
        container.seek(0)
    yield from enumerate(container.decode(video))


def _upright(frame: av.VideoFrame, facts: Facts) -> np.ndarray:
    turns = round(frame.rotation / 90) % 4
    height, width = (facts.width, facts.height) if turns % 2 else (facts.height, facts.width)
    return np.rot90(frame.to_ndarray(format="rgb24", height=height, width=width), turns)  # both counterclockwise


@functools.cache  # once a file, not once a clip
def _warn(message: str) -> None:
    logging.warning(message)


def _probe_video(path: str) -> Facts:
    try:
        with _open(path) as container:
            first = next(container.decode(_stream(container)), None)  # a file whose first frame decodes is taken to be a video
            if first is None:
                raise ValueError("no frame decodes")
        with _open(path) as container:
            video = _stream(container)
            promised, base, rate = video.frames, video.time_base, video.average_rate
            packets = [
                (packet.pts if packet.pts is not None else packet.dts, packet.is_keyframe)
                for packet in container.demux(video)
                if packet.size and not packet.is_discard
            ]
    except (av.FFmpegError, OSError, tf.errors.OpError) as error:
        raise ValueError(f"cannot be decoded: {getattr(error, 'strerror', None) or error}") from error
    if len(packets) < 0.99 * promised - 1:  # the header of an edited file may be one off
        raise ValueError(f"truncated: {len(packets)} of its {promised} frames are there")
    height, width = (first.width, first.height) if round(first.rotation / 90) % 2 else (first.height, first.width)
    if any(pts is None for pts, _ in packets):
        return Facts(height, width, np.arange(len(packets), dtype=np.float32) / np.float32(rate or PICTURE_FPS))
    shown = sorted(packets)  # packets come in the order of decoding, frames in that of their times
    times = np.array([float((pts - shown[0][0]) * base) for pts, _ in shown], np.float32)
    return Facts(height, width, times, tuple((number, pts) for number, (pts, is_key) in enumerate(shown) if is_key))


def _probe_strip(path: str) -> Facts:
    height, width = _size(path)
    short, long = sorted((height, width))
    if long % short or long == short:
        raise ValueError(f"a picture of {width}x{height}: want a strip of square frames, its long side a multiple of the short one")
    return Facts(short, short, np.arange(long // short, dtype=np.float32) / PICTURE_FPS)


def _probe_pictures(path: str) -> Facts:
    files = _pictures(path)
    if not files:
        raise ValueError(f"no frames ({' '.join(PICTURES)})")
    first = _size(files[0])
    _check_size(*first)
    for file in files:
        if _size(file) != first:
            raise ValueError(f"frames of several sizes: the first is {first[1]}x{first[0]}, not so {file.rpartition('/')[2]}")
    return Facts(*first, np.arange(len(files), dtype=np.float32) / PICTURE_FPS)


def _pictures(folder: str) -> list[str]:
    """The frames of a folder in the order of the numbers in their names: 2.png before 10.png."""
    names = [name for name in paths.children(folder) if paths.suffix(name) in PICTURES and paths.is_utf8(name)]
    order = sorted(names, key=lambda name: [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)])
    return [paths.join(folder, name) for name in order]


def _size(path: str) -> tuple[int, int]:
    """(height, width), of a picture's header. Raises ValueError if it is none."""
    with paths.opened(path) as file:
        try:
            width, height = Image.open(file).size
        except Image.DecompressionBombError as error:
            raise ValueError(f"too large: {error}") from error
        except (OSError, SyntaxError) as error:
            raise ValueError(f"cannot be decoded: {path.rpartition('/')[2]} is no picture") from error
    return height, width


def _picture(path: str) -> np.ndarray:
    with paths.opened(path) as file:
        try:
            return np.asarray(Image.open(file).convert("RGB"))
        except (OSError, SyntaxError) as error:
            raise ValueError(f"damaged: {path.rpartition('/')[2]} does not decode ({error})") from error


def _split(strip: np.ndarray) -> np.ndarray:
    """A strip, wide or tall, as frames: uint8 [h,w,3] -> [T,s,s,3]."""
    height, width, _ = strip.shape
    side = min(height, width)
    if height > width:
        return strip.reshape([-1, side, side, 3])
    return strip.reshape([side, -1, side, 3]).swapaxes(0, 1)

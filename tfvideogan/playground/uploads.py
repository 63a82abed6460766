"""Videos from a browser, which may be anything: held to limits before they are decoded by the library's own guarded decoder."""

import dataclasses
import tempfile
from pathlib import Path

import av
import numpy as np
import tensorflow as tf
from PIL import Image

from tfvideogan.config import Clips, UserError
from tfvideogan.data import clips, decode, pictures
from tfvideogan.data.facts import check_size
from tfvideogan.ops.video import from_uint8

MOST_BYTES = 64 << 20
MOST_FRAMES = 3600  # two minutes at 30 frames a second
MOST_SECONDS = 120.0
# Containers that hold their frames themselves. FFmpeg goes by content, not by name, and would open what a playlist names.
CONTAINERS = "mov,mp4,matroska,webm,avi,gif,apng,mpeg,mpegvideo,mpegts,asf,flv,ogg,dv,mxf,nut,yuv4mpegpipe,rm,mjpeg,ivf,h264,hevc"
MOST_PIXELS = 1 << 31  # of all frames together: half a minute of 1080p


def clip(content: bytes, name: str, config: Clips, frames: int) -> tf.Tensor:
    """The middle of a video, as the data set's clips are cut and shaped; a shorter one stays at its last frame.

    Args:
        content: of the file.
        name: of the file, of which only the ending is looked at.
        config: of the generator: size, stride or fps.
        frames: of the clip.

    Returns: float32 [1,frames,H,W,3] in [-1,1].
    Raises: UserError for what is no video, and for one above the limits.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in decode.SUFFIXES:
        raise UserError(f"upload: got a file ending in {suffix[:12] or 'nothing'!r}, expected one of {' '.join(decode.SUFFIXES)}")
    if len(content) > MOST_BYTES:
        raise UserError(f"upload: got {len(content)} bytes, expected at most {MOST_BYTES}")
    of_clips = {one.name: getattr(config, one.name) for one in dataclasses.fields(Clips)}
    config = Clips(**of_clips | {"frames": frames})  # a model's own Config may refuse so few
    with tempfile.TemporaryDirectory(prefix="tfvideogan_") as folder:
        path = f"{folder}/upload{suffix}"  # never the name that was given
        Path(path).write_bytes(content)
        try:
            video = _still(path, frames) if suffix in decode.PICTURES and _is_still(path) else _moving(path, config)
        except (ValueError, OSError, EOFError, tf.errors.OpError, av.FFmpegError) as error:
            raise UserError(f"upload: {' '.join(str(error).replace(folder, '').split())}") from error
        return from_uint8(clips.shape(config, tf.constant(video), tf.constant([0, 0]), training=False))[None]


def _is_still(path: str) -> bool:
    """Whether a picture is no animation. Raises ValueError for what is above the limits, or no picture."""
    try:
        with Image.open(path) as image:
            frames = pictures.pages(image)
            _check(frames, image.height, image.width, 0.0)
            return frames == 1
    except Image.DecompressionBombError as error:
        raise ValueError(f"too large: {error}") from error
    except (OSError, SyntaxError) as error:
        raise ValueError("no picture that can be decoded") from error


def _still(path: str, frames: int) -> np.ndarray:
    """A picture as a video that stands still: uint8 [T,h,w,3]."""
    picture = pictures.picture(path)
    check_size(*picture.shape[:2])
    return np.repeat(picture[None], frames, 0)


def _moving(path: str, config: Clips) -> np.ndarray:
    """The frames of a clip of a video, uint8 [T,h,w,3]."""
    if Path(path).suffix in decode.VIDEOS:
        _check_packets(path)
    facts = decode.probe(path)
    _check(facts.frames, facts.height, facts.width, float(facts.times[-1]))
    long_enough = facts.times[-1] >= clips.seconds_needed(config) if config.fps else facts.frames > (config.frames - 1) * config.stride
    if long_enough:
        indices = clips.cut(config, tf.constant(facts.times), tf.constant([0, 0]), training=False).numpy()
    else:
        indices = np.minimum(np.arange(config.frames), facts.frames - 1)
    return decode.read(path, indices.tolist(), facts)


def _check_packets(path: str) -> None:
    """Raises ValueError for a video above the limits by what its packets and header say, with nothing of it decoded."""
    with av.open(path, options={"format_whitelist": CONTAINERS}) as container:
        if not container.streams.video:
            raise ValueError("no video stream")
        video = container.streams.video[0]
        for number, packet in enumerate(container.demux(video)):
            seconds = float((packet.pts - (video.start_time or 0)) * packet.time_base) if packet.pts is not None else 0.0
            _check(number, video.height, video.width, seconds)


def _check(frames: int, height: int, width: int, seconds: float) -> None:
    """Raises ValueError for a video above the limits."""
    if frames > MOST_FRAMES or seconds > MOST_SECONDS:
        raise ValueError(f"got more than {MOST_FRAMES} frames or {MOST_SECONDS:g} s, expected a shorter video")
    check_size(height, width)
    if frames * height * width > MOST_PIXELS:
        raise ValueError(f"got {frames} frames of {width}x{height}, expected at most {MOST_PIXELS} pixels in all")

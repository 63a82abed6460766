"""Video files as a Source: which of them can be used, and the frames a clip needs of them. PyAV decodes."""

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import tensorflow as tf
from absl import logging
from tqdm import tqdm

from tfvideogan.config import Config, UserError
from tfvideogan.data.source import Source

SUFFIXES = (".avi", ".mp4", ".mov", ".mkv", ".webm", ".gif")
RESIZE = "bilinear, antialiased"
NAMED = 20  # rejected files that get a line of their own
CACHE_BYTES = 1 << 30  # a data set that decodes to less stays in memory
START, STRIDE, FLIP = range(1000, 1003)  # streams of an example's seed


def probe(path: Path) -> tuple[int, int, int]:
    """(frames, height, width) of a file's first video stream; frames are counted by its packets.

    Raises ValueError, with the reason, if it does not decode.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            first = next(container.decode(stream))  # a file whose first frame decodes is taken to be a video
        with av.open(str(path)) as container:
            frames = sum(packet.size > 0 for packet in container.demux(video=0))
    except (av.FFmpegError, IndexError, StopIteration, OSError) as error:
        raise ValueError({IndexError: "no video stream", StopIteration: "no frame"}.get(type(error), f"cannot be decoded: {error}")) from error
    return frames, first.height, first.width


def read_frames(path: str, indices: Sequence[int] | None) -> np.ndarray:
    """The frames of these rising numbers (None: all of them), uint8 [T,H,W,3]. Decodes to the last one, keeps only these.

    Where a file has fewer frames than its packets promised, its last frame stands in.
    """
    wanted, kept, frame = None if indices is None else set(indices), {}, None
    with av.open(path) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if wanted is None or number in wanted:
                kept[number] = frame.to_ndarray(format="rgb24")
            if indices is not None and number == indices[-1]:
                break
    last = frame.to_ndarray(format="rgb24") if indices is not None and len(kept) < len(indices) else None
    return np.stack([kept.get(number, last) for number in (kept if indices is None else indices)])


def video_source(config: Config, labels: Sequence[str], files: Sequence[tuple[Path, int]]) -> Source:
    """Clips of these (file, label): frames, size, strides and flip as the config says.

    Training takes a random stretch at a random stride, mirrored half of the time if config.flip; else the middle at
    config.stride. Frames are resized (short side, antialiased) and cropped to their centre. Files that cannot be
    decoded or are too short are named, counted and left out. Raises UserError if none is left, of any class.
    """
    usable = _usable(config, labels, files)
    paths = tf.constant([str(path) for path, *_ in usable])
    numbers = tf.constant([label for _, label, *_ in usable], tf.int32)
    lengths = tf.constant([length for *_, (length, _, _) in usable], tf.int32)
    in_memory = sum(frames * height * width * 3 for *_, (frames, height, width) in usable) <= CACHE_BYTES
    whole = functools.lru_cache(maxsize=None)(functools.partial(read_frames, indices=None))

    def read(path: bytes, indices: np.ndarray) -> np.ndarray:
        if not in_memory:
            return read_frames(path.decode(), indices.tolist())
        video = whole(path.decode())
        return video[np.minimum(indices, len(video) - 1)]

    def clip(index: tf.Tensor, seed: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        def draw(stream: int, limit: tf.Tensor) -> tf.Tensor:
            """An integer from [0, limit)."""
            return tf.random.stateless_uniform([], tf.random.experimental.stateless_fold_in(seed, stream), maxval=limit, dtype=tf.int32)

        length, stride = lengths[index], tf.constant(config.stride)
        if training and config.max_stride > config.stride:
            most = tf.minimum(config.max_stride, (length - 1) // max(config.frames - 1, 1))
            stride += draw(STRIDE, most - config.stride + 1)
        room = length - (config.frames - 1) * stride  # starts there are
        start = draw(START, room) if training else (room - 1) // 2
        video = tf.numpy_function(read, [paths[index], start + stride * tf.range(config.frames)], tf.uint8, stateful=False)
        video = fit(video, config.frames, config.size)
        if training and config.flip:
            video = tf.cond(draw(FLIP, tf.constant(2)) == 1, lambda: video[:, :, ::-1], lambda: video)
        return video, numbers[index]

    return Source(tuple(labels), len(usable), clip)


def fit(video: tf.Tensor, frames: int, size: int) -> tf.Tensor:
    """uint8 [frames,h,w,3] -> uint8 [frames,size,size,3]: the short side resized with antialiasing, then the centre."""
    video = tf.ensure_shape(video, [frames, None, None, 3])
    height, width = tf.shape(video)[1], tf.shape(video)[2]
    short = tf.minimum(height, width)

    def resize() -> tf.Tensor:
        to = tf.cast(tf.round(tf.stack([height, width]) * size / short), tf.int32)
        return tf.cast(tf.round(tf.clip_by_value(tf.image.resize(video, to, "bilinear", antialias=True), 0, 255)), tf.uint8)

    video = tf.cond(short == size, lambda: video, resize)
    top, left = (tf.shape(video)[1] - size) // 2, (tf.shape(video)[2] - size) // 2
    return tf.ensure_shape(video[:, top : top + size, left : left + size], [frames, size, size, 3])


def _usable(config: Config, labels: Sequence[str], files: Sequence[tuple[Path, int]]) -> list[tuple[Path, int, tuple[int, int, int]]]:
    """The files a clip can be cut from, with what `probe` says. Logs the others; UserError if that leaves too little."""
    needed = (config.frames - 1) * config.stride + 1

    def examine(file: tuple[Path, int]) -> tuple[Path, int, tuple[int, int, int] | str]:
        try:
            return (*file, probe(file[0]))
        except ValueError as error:
            return (*file, str(error))

    with ThreadPoolExecutor() as pool:
        examined = list(tqdm(pool.map(examine, files), "looking at videos", len(files), unit="file", disable=len(files) < 500))
    longest = max((found[0] for *_, found in examined if not isinstance(found, str)), default=0)
    usable = [file for file in examined if not isinstance(file[2], str) and file[2][0] >= needed]
    rejected = [(path, found if isinstance(found, str) else f"{found[0]} frames") for path, _, found in examined]
    rejected = [(path, reason) for (path, reason), file in zip(rejected, examined, strict=True) if file not in usable]
    for path, reason in rejected[:NAMED]:
        logging.warning("left out %s: %s", path, reason)
    if rejected:
        logging.warning("left out %d of %d videos: cannot be decoded, or shorter than the %d frames of a clip", len(rejected), len(files), needed)
    where = f"--data_dir={config.data_dir}"
    if not longest:
        raise UserError(f"{where}: none of its {len(files)} videos can be read; the first, {rejected[0][0].name}: {rejected[0][1]}")
    if not usable:
        raise UserError(
            f"--frames={config.frames} at --stride={config.stride} needs {needed} frames; the longest video in {where} has {longest}"
        )
    empty = sorted({label for _, label in files} - {label for _, label, _ in usable})
    if empty:
        raise UserError(f"{where}: no video of class {labels[empty[0]]!r} can be used; mend or remove it")
    return usable

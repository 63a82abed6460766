"""Video files as a Source: which of them can be used, and the frames a clip needs of them. PyAV decodes."""

import functools
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import tensorflow as tf
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
        raise ValueError(
            {IndexError: "no video stream", StopIteration: "no frame"}.get(type(error), f"cannot be decoded: {error}")
        ) from error
    return frames, first.height, first.width


def read_frames(path: str, indices: Sequence[int] | None) -> np.ndarray:
    """The frames of these rising numbers (None: all of them), uint8 [T,H,W,3]. Decodes to the last one, keeps only these.

    Where a file has fewer frames than its packets promised, or is damaged, the last frame before stands in.
    """
    kept, frame = {}, None
    with av.open(path) as container:
        try:
            for number, frame in enumerate(container.decode(video=0)):
                if indices is None or number in indices:
                    kept[number] = frame.to_ndarray(format="rgb24")
                if indices is not None and number == indices[-1]:
                    break
        except av.InvalidDataError as error:
            _warn(f"{path}: damaged after frame {number}; that one stands in for what follows ({error})")
    last = frame.to_ndarray(format="rgb24")
    return np.stack([kept.get(number, last) for number in (kept if indices is None else indices)])


@functools.cache  # once a file, not once a clip
def _warn(message: str) -> None:
    logging.warning(message)


def video_source(config: Config, labels: Sequence[str], files: Sequence[tuple[Path, int]], cache_bytes: int = CACHE_BYTES) -> Source:
    """Clips of these (file, label): frames, size, strides and flip as the config says.

    Training takes a random stretch at a random stride, mirrored half of the time if config.flip; else the middle at
    config.stride. Frames are resized (short side, antialiased) and cropped to their centre. Files that cannot be
    decoded or are too short are named, counted and left out. Videos that decode to no more than cache_bytes together stay in
    memory. Raises UserError if none is left, of any class.
    """
    usable = _usable(config, labels, files)
    paths = tf.constant([str(path) for path, *_ in usable])
    numbers = tf.constant([label for _, label, *_ in usable], tf.int32)
    lengths = tf.constant([length for *_, (length, _, _) in usable], tf.int32)
    in_memory = sum(frames * height * width * 3 for *_, (frames, height, width) in usable) <= cache_bytes
    whole = functools.lru_cache(maxsize=None)(functools.partial(read_frames, indices=None))

    def read(path: bytes, indices: np.ndarray) -> np.ndarray:
        if not in_memory:
            return read_frames(path.decode(), indices.tolist())
        video = whole(path.decode())
        return video[np.minimum(indices, len(video) - 1)]

    def clip(index: tf.Tensor, seed: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        indices = cut(config, lengths[index], seed, training)
        video = tf.numpy_function(read, [paths[index], indices], tf.uint8, stateful=False)
        return shape(config, video, seed, training), numbers[index]

    return Source(tuple(labels), len(usable), clip)


def cut(config: Config, length: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
    """The numbers of a clip's frames, int32 [T], in a video of `length` frames; its last frame stands in for missing ones."""
    steps, stride = config.frames - 1, tf.constant(config.stride)
    if training and config.max_stride > config.stride:
        most = tf.clip_by_value((length - 1) // max(steps, 1), config.stride, config.max_stride)
        stride += _draw(seed, STRIDE, most - config.stride + 1)
    starts = tf.maximum(length - steps * stride, 1)
    start = _draw(seed, START, starts) if training else (starts - 1) // 2
    return tf.minimum(start + stride * tf.range(config.frames), length - 1)


def shape(config: Config, video: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
    """uint8 [T,h,w,3] -> uint8 [T,size,size,3]: resized and cropped, and in training mirrored half of the time if config.flip."""
    video = fit(video, config.frames, config.size)
    if training and config.flip:
        video = tf.cond(_draw(seed, FLIP, tf.constant(2)) == 1, lambda: video[:, :, ::-1], lambda: video)
    return video


def _draw(seed: tf.Tensor, stream: int, limit: tf.Tensor) -> tf.Tensor:
    """An integer from [0, limit), int32 []."""
    return tf.random.stateless_uniform([], tf.random.experimental.stateless_fold_in(seed, stream), maxval=limit, dtype=tf.int32)


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

    def examine(file: tuple[Path, int]) -> tuple[int, int, int] | str:
        try:
            return probe(file[0])
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        found = list(tqdm(pool.map(examine, files), "looking at videos", len(files), unit="file", disable=len(files) < 500))
    usable, rejected, longest = [], [], 0
    for (path, label), what in zip(files, found, strict=True):
        if isinstance(what, str):
            rejected.append((path, what))
            continue
        longest = max(longest, what[0])
        if what[0] >= needed:
            usable.append((path, label, what))
        else:
            rejected.append((path, f"{what[0]} frames, where a clip needs {needed}"))
    for path, reason in rejected[:NAMED]:
        logging.warning("left out %s: %s", path, reason)
    if rejected:
        logging.warning("left out %d of %d videos, which cannot be decoded or are too short", len(rejected), len(files))
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

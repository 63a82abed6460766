"""Listing: the videos of a data set as they lie, with their labels and splits. Read as they are, or prepared first.

A file like folder.py says what is there (`listing(config, variant) -> Listing`); what can be used of it is found here.
"""

import functools
import itertools
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfvideogan.config import Clips, RunFailed, UserError
from tfvideogan.data import decode
from tfvideogan.data.clips import cut, seconds_needed, shape
from tfvideogan.data.decode import Facts
from tfvideogan.data.source import Source

SPLITS = ("train", "validation", "test", "train+validation", "train+test", "train+validation+test")
SPLIT_OF = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
NAMED = 20  # rejected files that get a line of their own
CACHE_BYTES = 1 << 30  # a data set that decodes to less stays in memory


def held_out_pattern(held_out: str) -> re.Pattern[str]:
    """That of --held_out. Raises UserError for what is no regular expression."""
    try:
        return re.compile(held_out)
    except re.error as error:
        raise UserError(f"--held_out={held_out}: no regular expression ({error})") from error


def require_held_out(held_out: str, names: Sequence[str]) -> None:
    """Raises UserError if --held_out is given and found in none of the names: all would be trained on, against what was asked for."""
    if held_out and names and not any(map(held_out_pattern(held_out).search, names)):
        raise UserError(f"--held_out={held_out}: found in none of {len(names)} names, the first {names[0]}; expected it in some")


@dataclass(frozen=True)
class Video:
    """One video.

    Attributes:
        name: what lists, records and messages call it: its path below the data set's folder.
        path: what opens it: a video file, a strip, or a folder of frames.
        label: number of its class.
        split: train, validation or test.
        most_seconds: a longer file is not what the list means; 0 if the list does not say.
    """

    name: str
    path: str
    label: int
    split: str
    most_seconds: float = 0.0


@dataclass(frozen=True)
class Rejected:
    """What a data set lists and cannot be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """What a data set has.

    Attributes:
        labels: names of the classes, in the order of their numbers.
        videos: each once.
        rejected: what was listed, or lies there, and is no video of the data set.
        others: what lies there and is not taken for a video: notes, lists, archives.
        splits: that it tells apart; empty where every video is in every split.
        probe, digest, stream: how its videos are looked at, compared and decoded; as `decode`'s functions of these names.
    """

    labels: tuple[str, ...]
    videos: tuple[Video, ...]
    rejected: tuple[Rejected, ...] = ()
    others: tuple[Rejected, ...] = ()
    splits: tuple[str, ...] = ()
    probe: Callable[[str], Facts] = decode.probe
    digest: Callable[[str], str] = decode.digest
    stream: Callable[[str, Facts], Iterator[np.ndarray]] = decode.stream


def examine(listing: Listing, video: Video) -> Facts | str:
    """What a video is, or why it cannot be used."""
    try:
        facts = listing.probe(video.path)
    except (ValueError, OSError, tf.errors.OpError) as error:
        return " ".join(str(error).split())
    length = float(facts.times[-1])
    if video.most_seconds and length > video.most_seconds:
        return f"{length:.0f} s long, where the list says at most {video.most_seconds:.0f}: not cut to its clip?"
    return facts


def files_source(config: Clips, listing: Listing, split: str, keep: bool = True) -> Source:
    """Clips of a listing's videos of a split, cut and shaped as the config says (see clips.py).

    Videos that cannot be decoded or are too short are named, counted and left out; where one cannot be read later, another of
    its class stands in. All together stay in memory if they decode to no more than CACHE_BYTES and `keep` is set. Raises
    UserError if none is left, of any class that has videos in the split.
    """
    videos = [video for video in listing.videos if video.split in split.split("+")]
    if not videos:
        raise UserError(f"--split={split}: --data_dir={config.data_dir} has no such videos")
    usable = _usable(config, listing, videos)
    files = [video.path for video, _ in usable]
    facts = [facts for _, facts in usable]
    numbers = tf.constant([video.label for video, _ in usable], tf.int32)
    in_memory = keep and sum(one.frames * one.height * one.width * 3 for one in facts) <= CACHE_BYTES

    @functools.cache
    def whole(index: int) -> np.ndarray:
        return decode.read(files[index], range(facts[index].frames), facts[index])

    def times(index: np.int64) -> np.ndarray:
        return facts[index].times

    def read(index: np.int64, indices: np.ndarray) -> np.ndarray:
        label = usable[index][0].label
        for other in itertools.chain(range(index, len(usable)), range(index)):
            if usable[other][0].label != label:
                continue
            at = np.minimum(indices, facts[other].frames - 1)
            try:
                return whole(other)[at] if in_memory else decode.read(files[other], at.tolist(), facts[other])
            except ValueError as error:
                decode.warn_once(f"cannot be read any more, another video of its class stands in: {error}")
        raise RunFailed(f"--data_dir={config.data_dir}: no video of class {listing.labels[label]!r} can be read any more")

    def clip(index: tf.Tensor, seed: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        when = tf.ensure_shape(tf.numpy_function(times, [index], tf.float32, stateful=False), [None])
        video = tf.numpy_function(read, [index, cut(config, when, seed, training)], tf.uint8, stateful=False)
        return {"video": shape(config, video, seed, training), "label": numbers[index]}

    looks = tuple(f"{video.name}\t{one.frames} frames of {one.width}x{one.height}" for video, one in usable)
    return Source(listing.labels, len(usable), clip, files=looks)


def _usable(config: Clips, listing: Listing, videos: list[Video]) -> list[tuple[Video, Facts]]:
    """The videos a clip can be cut from. Logs the others; UserError if that leaves too little."""
    needed = (config.frames - 1) * config.stride + 1

    def too_short(facts: Facts) -> str:
        if config.fps:
            wanted, length = seconds_needed(config), float(facts.times[-1])
            return f"{length:.2f} s, where a clip needs {wanted:.2f}" if length < wanted - 1e-3 else ""
        return f"{facts.frames} frames, where a clip needs {needed}" if facts.frames < needed else ""

    with ThreadPoolExecutor() as pool:
        looked = pool.map(functools.partial(examine, listing), videos)
        found = list(tqdm(looked, "looking at videos", len(videos), unit="file", disable=len(videos) < 500))
    reasons = [facts if isinstance(facts, str) else too_short(facts) for facts in found]
    rejected = [Rejected(video.name, reason) for video, reason in zip(videos, reasons, strict=True) if reason]
    usable = [(video, facts) for video, facts, reason in zip(videos, found, reasons, strict=True) if not reason]
    warn([*listing.rejected, *rejected], len(videos) + len(listing.rejected))
    tell(listing.others)
    where, decodable = f"--data_dir={config.data_dir}", [facts for facts in found if isinstance(facts, Facts)]
    if not decodable:
        raise UserError(f"{where}: none of its {len(videos)} videos can be read; the first, {rejected[0].name}: {rejected[0].reason}")
    if not usable and config.fps:
        longest = max(float(facts.times[-1]) for facts in decodable)
        raise UserError(
            f"--frames={config.frames} at --fps={config.fps:g} needs {seconds_needed(config):.2f} s; "
            f"the longest video in {where} has {longest:.2f}"
        )
    if not usable:
        longest = max(facts.frames for facts in decodable)
        raise UserError(
            f"--frames={config.frames} at --stride={config.stride} needs {needed} frames; the longest video in {where} has {longest}"
        )
    empty = sorted({video.label for video in videos} - {video.label for video, _ in usable})
    if empty:
        raise UserError(f"{where}: no video of class {listing.labels[empty[0]]!r} can be used; mend or remove it")
    return usable


def warn(rejected: list[Rejected], total: int) -> None:
    """Names what was left out, up to a limit, and counts it."""
    for one in rejected[:NAMED]:
        logging.warning("left out %s: %s", one.name, one.reason)
    if rejected:
        logging.warning("left out %d of %d videos, which cannot be used", len(rejected), total)


def tell(others: Sequence[Rejected]) -> None:
    """Counts what looks like no video and names it, up to a limit: a line for each reason."""
    for reason in dict.fromkeys(one.reason for one in others):
        names = [one.name for one in others if one.reason == reason]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        logging.warning("not read, %s: %s%s", reason, ", ".join(names[:NAMED]), more)

"""Pairs of folders: `--dataset=pairs --data_dir=DIR` reads what a model translates in DIR/source, and what it is to look like in DIR/video.

Of `--dataset=pairs/labels` the sources are gray pictures of labels' numbers, "source" int32 [T,H,W]; and DIR/instances, where there is one,
holds as many of the numbers of instances, below 256. Of `--dataset=pairs/densepose`, DIR/densepose holds DensePose's pictures, with the
number of a body's part, up to 24, in the last of three channels: before the colors of the source, "source" has these, the number spread
over the range, uint8 [T,H,W,6]. "flow" is OpenCV's, by DIS, of the clip as it is cut.

Either folder holds pictures, the frames of one film in the order of the numbers in their names; or films, each a video file or a folder
of frames. Pairs have one name, but for the ending, and one size. Clips begin at every frame from which enough follow. A clip and its
source are cut at the same place; sources, which may be of labels, are resized without mixing colors.

DIR/faces.csv, where there is one, is for models that read "face", the row and column of a face's center, int32 [T,2]. Its first line is
"frame,top,bottom,left,right"; each other is of a frame, by its name without the ending (of a film: FILM/NUMBER, from 0 on), and the
box of its face in pixels of the frame as it lies.

With --held_out, the films, or the frames of the one film, that the regular expression is found in are split test, the others train; no
clip reaches from one split into the other.
"""

import csv
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
import tensorflow as tf

from tfvideogan.config import Clips, RunFailed, UserError
from tfvideogan.data import decode, paths, pictures
from tfvideogan.data.clips import shape
from tfvideogan.data.facts import Facts
from tfvideogan.data.optical_flow import estimate
from tfvideogan.data.source import Source
from tfvideogan.data.sources import folder
from tfvideogan.data.sources.listing import Rejected, held_out_pattern, require_held_out, tell

SOURCE, VIDEO, FACES = "source", "video", "faces.csv"
LABELS, DENSEPOSE = "labels", "densepose"  # the variants
BESIDE = {LABELS: "instances", DENSEPOSE: "densepose"}  # their folders of what lies beside a source
PARTS = 24  # of a body, that DensePose tells apart
BOX = "top", "bottom", "left", "right"


@dataclass(frozen=True)
class Film:
    """A film and its source.

    Attributes:
        source, video: what opens them.
        of_source, of_video: what `decode.probe` says of them.
        frames: names of the frames.
        beside: what opens what lies beside the source, instances or parts of bodies, if there are some.
        of_beside: what `decode.probe` says of it.
    """

    source: str
    video: str
    of_source: Facts
    of_video: Facts
    frames: tuple[str, ...]
    beside: str
    of_beside: Facts | None


Entry = Callable[[tf.Tensor, tf.Tensor, bool], tf.Tensor]


class OfFrames(Protocol):
    """A film whose frames have names."""

    @property
    def frames(self) -> tuple[str, ...]: ...


Filmed = TypeVar("Filmed", bound=OfFrames)


def source(config: Clips, variant: str, split: str) -> Source:
    """Clips of every start. Raises UserError for what is missing, does not match or is too short, and for options it has no part in."""
    if variant not in ("", *BESIDE) or config.fps:
        raise UserError(
            f"--dataset={config.dataset} --fps={config.fps:g}: expected pairs, pairs/labels or pairs/densepose, without frames a second"
        )
    found, span = films(config, BESIDE.get(variant, "")), (config.frames - 1) * config.stride + 1
    starts = starts_in(config, found, split, span)

    def read(number: np.int64) -> tuple[np.ndarray, np.ndarray]:
        film, first = starts[number]
        indices = range(first, first + span, config.stride)
        return frames_of(film.source, indices, film.of_source), frames_of(film.video, indices, film.of_video)

    def clip(index: tf.Tensor, seed: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        given, shown = tf.numpy_function(read, [index], [tf.uint8, tf.uint8], stateful=False)
        video = shape(config, shown, seed, training)  # both by the same draws
        given = shape(config, given, seed, training, nearest=True)
        if variant == LABELS:
            given = numbers_in(given)
        elif variant == DENSEPOSE:
            given = tf.concat([parts_spread(beside(index, seed, training)), given], -1)
        return {"source": given, "video": video, "label": tf.constant(0)}

    def beside(index: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
        def read(number: np.int64) -> np.ndarray:
            film, first = starts[number]
            assert film.of_beside is not None
            return frames_of(film.beside, range(first, first + span, config.stride), film.of_beside)

        given = tf.numpy_function(read, [index], tf.uint8, stateful=False)
        return shape(config, given, seed, training, nearest=True)

    def instances(index: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
        return numbers_in(beside(index, seed, training))

    more: dict[str, Entry] = {"flow": estimated_flow(clip)}
    if variant == LABELS and all(film.of_beside for film in found):
        more["instances"] = instances
    if tf.io.gfile.exists(paths.join(config.data_dir, FACES)):
        more["face"] = faces(config, starts)
    looks = [(film.video.removeprefix(paths.join(config.data_dir, "")), film.of_video) for film in found]
    files = tuple(f"{name}\t{facts.frames} frames of {facts.width}x{facts.height}" for name, facts in looks)
    return Source(("film",), len(starts), clip, more, files=files)


def frames_of(path: str, indices: Sequence[int], facts: Facts) -> np.ndarray:
    """As `decode.read`. Raises RunFailed where none of the frames can be read any more."""
    try:
        return decode.read(path, indices, facts)
    except ValueError as error:
        raise RunFailed(f"cannot be read any more: {error}") from error


def estimated_flow(clip: Callable[[tf.Tensor, tf.Tensor, bool], dict[str, tf.Tensor]]) -> Entry:
    """The function of the entry "flow": OpenCV's, by DIS, of the clip as it is cut."""

    def flow(index: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
        video = clip(index, seed, training)["video"]
        return tf.ensure_shape(tf.numpy_function(partial(estimate, method="dis"), [video], tf.float32), [*video.shape[:3], 2])

    return flow


def numbers_in(pictures: tf.Tensor) -> tf.Tensor:
    """Those of gray pictures uint8 [T,H,W,3]: int32 [T,H,W]."""
    return tf.cast(pictures[..., 0], tf.int32)


def parts_spread(pictures: tf.Tensor) -> tf.Tensor:
    """DensePose's pictures uint8 [T,H,W,3], with the numbers of parts from 0 to 255 in place of 24."""
    number = tf.minimum(tf.cast(pictures[..., 2:], tf.int32), PARTS) * 255 // PARTS
    return tf.concat([pictures[..., :2], tf.cast(number, tf.uint8)], -1)


def films(config: Clips, beside: str) -> list[Film]:
    """The pairs of a folder, with what lies in its folder `beside`. Raises UserError where a name has no counterpart, or a pair differs in
    size or length."""
    root = config.data_dir
    for name in (SOURCE, VIDEO):
        if not root or not paths.is_folder(paths.join(root, name)):
            raise UserError(f"--data_dir={root}: got no folder {name}, expected source and video")
    if pictures.names(paths.join(root, VIDEO)):
        return [_film(root, "", "", beside)]
    by_stem = [films_in(root, part) for part in (SOURCE, VIDEO)]
    alone = sorted(by_stem[0].keys() ^ by_stem[1].keys())
    if alone or not by_stem[0]:
        raise UserError(
            f"--data_dir={root}: got {alone[0] if alone else 'nothing'} in one of source and video, expected every film in both"
        )
    return [_film(root, by_stem[0][name], by_stem[1][name], beside) for name in sorted(by_stem[1])]


def films_in(root: str, part: str) -> dict[str, str]:
    """The films of a folder by their names without the ending; tells what else lies there. Raises UserError for two of one name."""
    place = paths.join(root, part)
    found: dict[str, str] = {}
    others: list[Rejected] = []
    for name in paths.children(place):
        reason = folder.why_no_video(place, name)
        if reason:
            others.append(Rejected(paths.shown(f"{part}/{name}"), reason))
        elif stem(name) in found:
            raise UserError(f"--data_dir={root}: got {found[stem(name)]} and {name} in {part}, expected one film of a name")
        else:
            found[stem(name)] = name
    tell(others)
    return found


def stem(name: str) -> str:
    """A film's or frame's name without its ending."""
    return name.removesuffix(paths.suffix(name)) if paths.suffix(name) in decode.SUFFIXES else name


def _film(root: str, source_name: str, video_name: str, beside: str) -> Film:
    shown = video_name or VIDEO
    source, video = paths.join(root, SOURCE, source_name).rstrip("/"), paths.join(root, VIDEO, video_name).rstrip("/")
    of_video = _probed(root, shown, video)
    of_source = _like(root, shown, SOURCE, source, of_video)
    there = paths.join(root, beside, source_name).rstrip("/") if beside else ""
    exists = bool(there) and tf.io.gfile.exists(there)
    if beside == BESIDE[DENSEPOSE] and not exists:
        raise UserError(f"--dataset=pairs/densepose: got no {there}, expected DensePose's pictures of {source}")
    of_beside = _like(root, shown, beside, there, of_video) if exists else None
    names = tuple(map(stem, of_video.files)) or tuple(str(number) for number in range(of_video.frames))
    names = tuple(f"{stem(video_name)}/{name}" if video_name else name for name in names)
    return Film(source, video, of_source, of_video, names, there, of_beside)


def _like(root: str, shown: str, part: str, path: str, of_video: Facts) -> Facts:
    """What lies beside a film. Raises UserError where it is not of its size, its number of frames, and their names."""
    facts = _probed(root, shown, path)
    looks = [f"{one.frames} frames of {one.width}x{one.height}" for one in (facts, of_video)]
    if looks[0] != looks[1]:
        raise UserError(f"--data_dir={root}: {shown} and its {part}: got {' and '.join(looks)}, expected the same")
    for one, other in zip(map(stem, facts.files), map(stem, of_video.files), strict=bool(facts.files and of_video.files)):
        if one != other:
            raise UserError(f"--data_dir={root}: got frame {other} beside {part} {one}, expected frames of the same names")
    return facts


def _probed(root: str, shown: str, path: str) -> Facts:
    """What a film, or what lies beside it, is, after a word on what lies among its frames. Raises UserError where it is none."""
    try:
        facts = decode.probe(path)
    except (ValueError, OSError, tf.errors.OpError) as error:
        raise UserError(f"--data_dir={root}: {shown}: {' '.join(str(error).split())}") from error
    tell(folder.beside_frames(root, path.removeprefix(paths.join(root, ""))))
    return facts


def starts_in(config: Clips, found: Sequence[Filmed], split: str, span: int) -> list[tuple[Filmed, int]]:
    """The films, and numbers of their frames from which `span` frames of the split follow. Raises UserError where there are none."""
    require_held_out(config.held_out, [name for film in found for name in film.frames])
    starts = [(film, first) for film in found for first in beginnings(config, film.frames, split, span)]
    if not starts:
        longest = max(len(film.frames) for film in found)
        raise UserError(f"--frames={config.frames} --split={split}: got no {span} frames in a row, of films of {longest} and fewer")
    return starts


def beginnings(config: Clips, frames: Sequence[str], split: str, span: int) -> Iterator[int]:
    """The numbers of a film's frames, of these names, from which `span` frames of the split follow."""
    held_out = held_out_pattern(config.held_out)
    splits = [("test" if held_out.search(name) else "train") if config.held_out else split for name in frames]
    first = 0
    for of_run, run in itertools.groupby(splits):
        length = len(list(run))
        if of_run in split.split("+") or of_run == split:
            yield from range(first, first + length - span + 1)
        first += length


def faces(config: Clips, starts: list[tuple[Film, int]]) -> Entry:
    """The function of the entry "face". Raises UserError for frames without a box, and where pictures are cut at random."""
    file = paths.join(config.data_dir, FACES)
    rows = csv.DictReader(io.StringIO(paths.read_text(file)))
    try:
        boxes = {row["frame"]: [float(row[side]) for side in BOX] for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file}: expected lines of frame,{','.join(BOX)} ({error})") from error
    lacking = sorted({name for film, _ in starts for name in film.frames} - boxes.keys())
    if lacking:
        raise UserError(f"{file}: got no line of frame {lacking[0]}, expected one for each frame")
    if config.flip or config.random_crop:
        raise UserError("--flip or --random_crop: expected neither, with faces.csv")

    def centers(number: np.int64) -> np.ndarray:
        film, first = starts[number]
        size, shown = np.array([film.of_video.height, film.of_video.width]), np.array(config.frame_size)
        scale = max(*(shown / size), config.short_side / min(size))
        left_over = (np.round(size * scale) - shown) // 2
        names = film.frames[first : first + (config.frames - 1) * config.stride + 1 : config.stride]
        middles = np.array([np.reshape(boxes[name], [2, 2]).mean(1) for name in names])
        return np.round(middles * scale - left_over).astype(np.int32)

    def face(index: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(centers, [index], tf.int32, stateful=False), [config.frames, 2])

    return face

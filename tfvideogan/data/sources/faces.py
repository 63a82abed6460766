"""Faces and their key points: `--dataset=faces --data_dir=DIR` reads DIR/video, films of a face each, and DIR/source/FILM/*.txt, of each
frame 68 lines of "x,y" in its pixels (`data/face_maps.py`); or DIR/video with the frames of one film, and DIR/source/*.txt.

A clip is the square around the face as it is in the film's first frame; "source" uint8 [T,H,W,15] is drawn from the points. "flow" is
OpenCV's, by DIS. Mirrored clips have mirrored maps, in the same order. --held_out is as of pairs.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfvideogan.config import Clips, UserError
from tfvideogan.data import decode, face_maps, paths, pictures
from tfvideogan.data.clips import mirror
from tfvideogan.data.facts import Facts
from tfvideogan.data.source import Source
from tfvideogan.data.sources.pairs import SOURCE, VIDEO, estimated_flow, films_in, frames_of, starts_in, stem


@dataclass(frozen=True)
class Film:
    """A film of a face.

    Attributes:
        path: what opens it.
        facts: what `decode.probe` says of it.
        frames: names of the frames.
        points: the key points of each, float32 [frames,68,2].
    """

    path: str
    facts: Facts
    frames: tuple[str, ...]
    points: np.ndarray


def source(config: Clips, variant: str, split: str) -> Source:
    """Clips of every start. Raises UserError for what is missing, does not match or is too short, and for options it has no part in."""
    if variant or config.fps or config.random_crop or config.short_side:
        raise UserError(
            f"--dataset={config.dataset} --fps={config.fps:g} --random_crop={config.random_crop} --short_side={config.short_side}: "
            "expected faces alone, which are cut out by their key points"
        )
    config.require_square("dataset")
    face_maps.opencv()  # or it is missed when clips are read
    found, span = films(config), (config.frames - 1) * config.stride + 1
    starts = starts_in(config, found, split, span)

    def read(number: np.int64) -> tuple[np.ndarray, np.ndarray]:
        film, first = starts[number]
        indices = range(first, first + span, config.stride)
        top, left, side = face_maps.box(film.points[0], film.facts.height, film.facts.width)
        frames = face_maps.cut(frames_of(film.path, indices, film.facts), (top, left, side), config.size)
        points = (film.points[list(indices)] - [left, top]) * (config.size / side)
        return np.stack([face_maps.draw(*one) for one in zip(points, frames, strict=True)]), frames

    def clip(index: tf.Tensor, seed: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        drawn = tf.numpy_function(read, [index], [tf.uint8, tf.uint8], stateful=False)
        shapes = ([config.frames, config.size, config.size, channels] for channels in (face_maps.MAPS, 3))
        given, video = (mirror(config, tf.ensure_shape(x, shape), seed, training) for x, shape in zip(drawn, shapes, strict=True))
        return {"source": given, "video": video, "label": tf.constant(0)}

    return Source(("face",), len(starts), clip, {"flow": estimated_flow(clip)})


def films(config: Clips) -> list[Film]:
    """The films of a folder, with their key points. Raises UserError where these do not belong to their frames, or cannot be read."""
    root = config.data_dir
    for name in (SOURCE, VIDEO):
        if not root or not paths.is_folder(paths.join(root, name)):
            raise UserError(f"--data_dir={root}: got no folder {name}, expected source, of key points, and video")
    if pictures.names(paths.join(root, VIDEO)):
        return [_film(root, "")]
    names = films_in(root, VIDEO).values()
    if not names:
        raise UserError(f"--data_dir={root}: got nothing in video, expected films")
    return [_film(root, name) for name in sorted(names)]


def _film(root: str, name: str) -> Film:
    path, folder = (paths.join(root, part, one).rstrip("/") for part, one in ((VIDEO, name), (SOURCE, stem(name))))
    try:
        facts = decode.probe(path)
    except ValueError as error:
        raise UserError(f"--data_dir={root}: {name or VIDEO}: {error}") from error
    files = pictures.in_order(file for file in paths.children(folder) if file.endswith(".txt")) if paths.is_folder(folder) else []
    if len(files) != facts.frames:
        raise UserError(f"--data_dir={root}: got {len(files)} files of key points in {folder} and {facts.frames} frames, expected as many")
    for file, frame in zip(files, facts.files, strict=False):  # a video file's frames have no names
        if file.removesuffix(".txt") != stem(frame):
            raise UserError(f"--data_dir={root}: got key points {file} beside frame {frame}, expected the same names")
    points = []
    for file in files:
        try:
            points.append(face_maps.read_points(paths.read_text(paths.join(folder, file))))
        except ValueError as error:
            raise UserError(f"{paths.join(folder, file)}: {error}") from error
    names = [stem(file) for file in facts.files] or [str(number) for number in range(facts.frames)]
    return Film(path, facts, tuple(f"{stem(name)}/{one}" if name else one for one in names), np.stack(points))

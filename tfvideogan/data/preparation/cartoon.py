"""Prepares photos, cartoons, and cartoons with smoothed edges, for `--dataset=cartoon` (CartoonGAN, 3.1).

Reads VIDEOS/photos and VIDEOS/cartoons, pictures and videos at any depth; of a video a frame every so many seconds. Writes each
as a PNG of the size asked for, and for each cartoon a smoothed one. What is there already is not made again.
"""

import dataclasses
import itertools
import json
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from absl import logging
from tqdm import tqdm

from tfvideogan.config import RunFailed, UserError
from tfvideogan.data import decode, paths, pictures
from tfvideogan.data.clips import crop, fit
from tfvideogan.data.preparation.preparing import REJECTED_FILE, SETTINGS_FILE, Settings, is_complete, write_lines
from tfvideogan.data.sources.cartoon import CARTOONS, PHOTOS, SMOOTHED
from tfvideogan.data.sources.listing import Rejected, tell, warn
from tfvideogan.files import write_whole

PREVIEW, SHOWN = "preview.png", 8  # cartoons, and smoothed ones below
THRESHOLDS = 100, 200  # Canny's (values of public code; the paper gives none)
EXTENT, DEVIATION = 5, 1.1  # pixels: of the dilation and of the Gaussian
BLOCK = 16  # frames of a video held at once


def edge_smoothed(picture: np.ndarray) -> np.ndarray:
    """A cartoon without clear edges: around Canny's edges, dilated, it is blurred. uint8 [h,w,3] -> the same shape.

    Raises UserError where OpenCV is missing.
    """
    try:
        import cv2
    except ImportError as error:
        raise UserError("--dataset=cartoon: OpenCV is not installed; pip install tfvideogan[cartoon]") from error
    edges = cv2.Canny(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), *THRESHOLDS)
    around = cv2.dilate(edges, np.ones([EXTENT, EXTENT], np.uint8))
    blurred = cv2.GaussianBlur(picture, (EXTENT, EXTENT), DEVIATION)  # borders mirrored
    return np.where(around[..., None] != 0, blurred, picture)


def prepare(settings: Settings) -> None:
    """Writes the pictures. Raises UserError for folders that are missing or empty, other settings, and too many that cannot be used."""
    is_complete(settings)  # refuses a folder of other settings
    edge_smoothed(np.zeros([8, 8, 3], np.uint8))  # before anything is written: is OpenCV there?
    files = {name: listing(settings, name) for name in (PHOTOS, CARTOONS)}
    tf.io.gfile.makedirs(settings.output)
    write_whole(paths.join(settings.output, SETTINGS_FILE), json.dumps(settings.contents(), indent=1) + "\n")
    rejected, total = [], sum(map(len, files.values()))
    for name, found in files.items():
        first: dict[str, str] = {}  # file of each written name
        for file in tqdm(found, name, unit="file"):
            try:
                if first.setdefault(stem_of(file), file) != file:
                    raise ValueError(f"written as {stem_of(file)}, as {first[stem_of(file)]} is; expected another name")
                copy(settings, name, file)
            except (ValueError, OSError, tf.errors.OpError) as error:
                rejected.append(Rejected(f"{name}/{file}", " ".join(str(error).split())))
    warn(rejected, total)
    write_lines(paths.join(settings.output, REJECTED_FILE), [dataclasses.asdict(one) for one in rejected])
    if len(rejected) > settings.max_rejected * total:
        raise UserError(
            f"--videos={settings.videos}: {len(rejected)} of {total} files cannot be used, the first {rejected[0].name}: "
            f"{rejected[0].reason}; expected at most --max_rejected={settings.max_rejected:g} of them"
        )
    for name in pictures.names(paths.join(settings.output, CARTOONS)):
        target = paths.join(settings.output, SMOOTHED, name)
        if not tf.io.gfile.exists(target):
            write_picture(target, edge_smoothed(pictures.picture(paths.join(settings.output, CARTOONS, name))))
    if settings.preview:
        write_preview(settings.output)
    counts = {name: len(pictures.names(paths.join(settings.output, name))) for name in (PHOTOS, CARTOONS, SMOOTHED)}
    logging.info("%s: %s", settings.output, ", ".join(f"{count} {name}" for name, count in counts.items()))


def listing(settings: Settings, name: str) -> list[str]:
    """Pictures and videos below a folder; tells what else lies there. Raises UserError if there are none."""
    folder = paths.join(settings.videos, name)
    found = list(paths.files_below(folder)) if paths.is_folder(folder) else []
    files = [file for file in found if paths.suffix(file) in decode.SUFFIXES and paths.is_plain(file)]
    tell([Rejected(paths.shown(f"{name}/{file}"), paths.looks(file)) for file in found if file not in set(files)])
    if not files:
        raise UserError(f"--videos={settings.videos}: got no picture or video in {name}, expected some there, photos and cartoons")
    return files


def stem_of(file: str) -> str:
    """What the names of a file's pictures begin with."""
    return file.replace("/", "_").replace(".", "_")


def copy(settings: Settings, name: str, file: str) -> None:
    """Writes what a file holds, but for what is there. Raises ValueError if it cannot be decoded."""
    path, stem = paths.join(settings.videos, name, file), stem_of(file)

    def target(suffix: str) -> str:
        return paths.join(settings.output, name, f"{stem}{suffix}.png")

    if paths.suffix(file) in decode.PICTURES:
        if not tf.io.gfile.exists(target("")):
            write_picture(target(""), resized(pictures.picture(path), settings))
        return
    facts = decode.probe(path)
    ticks = np.arange(0.0, float(facts.times[-1]) + 1e-3, settings.every_seconds)
    wanted = sorted({int(i) for i in np.searchsorted(facts.times, ticks + 1e-3, side="right") - 1})
    missing = [number for number in wanted if not tf.io.gfile.exists(target(f"_{number:06d}"))]
    for block in blocks(missing):
        for number, frame in zip(block, decode.read(path, block, facts), strict=True):
            write_picture(target(f"_{number:06d}"), resized(frame, settings))


def blocks(numbers: Sequence[int]) -> Iterator[list[int]]:
    """The numbers, BLOCK at a time."""
    rest = iter(numbers)
    while block := list(itertools.islice(rest, BLOCK)):
        yield block


def resized(picture: np.ndarray, settings: Settings) -> np.ndarray:
    """uint8 [h,w,3] with a short side of --size; its center square with --crop."""
    video = fit(tf.constant(picture[None]), settings.size, settings.size)
    return (crop(video, settings.size, settings.size) if settings.crop else video)[0].numpy()


def write_picture(path: str, picture: np.ndarray) -> None:
    """Raises RunFailed if it cannot be written: no picture is rejected for that."""
    try:
        write_whole(path, tf.io.encode_png(picture).numpy())
    except OSError as error:
        raise RunFailed(f"{error}. What is prepared is kept: start the same command again to go on.") from error


def write_preview(output: str) -> None:
    """Some cartoons, and below each its smoothed one."""
    names = pictures.names(paths.join(output, CARTOONS))[:SHOWN]
    columns = [np.concatenate([pictures.picture(paths.join(output, kind, name)) for kind in (CARTOONS, SMOOTHED)]) for name in names]
    height = max(len(column) for column in columns)
    write_picture(paths.join(output, PREVIEW), np.concatenate([np.pad(c, [(0, height - len(c)), (0, 2), (0, 0)]) for c in columns], axis=1))

"""Draws clips from a trained generator into a picture anyone can open:
`python -m tfvideogan.sample --workdir=DIR | --module=EXPORT --output=F.gif|F.mp4|F.png|DIR [--labels=..] [--num_videos=N] [--seed=N]
[--truncation=F] [--frames=N] [--rollout=feed_back|unroll] [--interpolate_frames=N] [--fix=content|motion] [--source=FILE|DIR]`.

--frames draws clips longer or shorter than those of training, --fix clips that share a row's content or its motion: both from
models that can. One row a label; a GIF and an MP4 play the clips side by side, a PNG is a contact sheet with one clip a row; an
output without an ending is a folder of PNG, one a frame.

A --source is translated into an MP4 frame by frame by a generator that goes on from its state; of labels, gray pictures of their numbers,
with those of instances in DIR/source and DIR/instances.

Longer clips are drawn and written part by part, in memory that does not grow (`generation/rollout.py`). A prediction is fed its own
last frames, or with --rollout=unroll goes on from its network's state, as recurrent models of synthesis do.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import flags, logging

from tfvideogan import data, models
from tfvideogan.cli import define_generator_flags, define_path, launch, open_generator, require_frames_of
from tfvideogan.config import Config, UserError
from tfvideogan.data import decode, paths
from tfvideogan.data import pictures as stills
from tfvideogan.data.sources import folder
from tfvideogan.data.sources.listing import files_source
from tfvideogan.generation import films, pictures
from tfvideogan.generation.module import Generator, specs_of
from tfvideogan.generation.sampler import fixed_sampler

define_generator_flags()
OUTPUT = define_path("output", None, "File to write: .gif, .mp4 or .png; or a folder for PNG, one a frame.")
LABELS = flags.DEFINE_list("labels", [], "Class names or numbers, one row each; all of them (12 at most) if not given.")
NUM_VIDEOS = flags.DEFINE_integer("num_videos", 4, "Clips of each label.")
TRUNCATION = flags.DEFINE_float("truncation", 1.0, "Scale of z; below 1 trades variety for fidelity.")
INTERPOLATE_FRAMES = flags.DEFINE_integer("interpolate_frames", 1, "Frames for each one of training, between which z is interpolated.")
PLAY_FPS = flags.DEFINE_float("play_fps", 8.0, "Frames a second of the GIF or MP4.")
FIX = flags.DEFINE_enum("fix", None, ["content", "motion"], "What the clips of a row share; free, the same seed gives each its own.")
ROLLOUT = flags.DEFINE_enum(
    "rollout",
    "feed_back",
    ["feed_back", "unroll"],
    "How a prediction goes on beyond the frames of training: fed its own, or from its state.",
)
SOURCE = define_path("source", None, "Video, or folder of videos, for a generator that reads them; the data set's test clips if not given.")
MAX_ROWS = 12


def main(config: Config) -> None:
    if not OUTPUT.value:
        raise UserError("--output is missing: expected a file ending in .gif, .mp4 or .png, or a folder")
    if SOURCE.value and flags.FLAGS.workdir and models.find(config.model).Model.free_size:
        if translate_at_its_size(config, SOURCE.value, OUTPUT.value):
            return
    if Path(OUTPUT.value).suffix not in ("", ".gif", ".mp4", ".png"):
        raise UserError(f"--output={OUTPUT.value}: expected .gif, .mp4 or .png, or a folder, without an ending")
    if NUM_VIDEOS.value < 1:
        raise UserError(f"--num_videos={NUM_VIDEOS.value}: expected at least 1")
    if INTERPOLATE_FRAMES.value < 1:
        raise UserError(f"--interpolate_frames={INTERPOLATE_FRAMES.value}: expected at least 1")
    generator, frames = open_of_frames(config, flags.FLAGS.frames)
    if SOURCE.value and generator.kind == "synthesis":
        raise UserError(f"--source={SOURCE.value}: {generator.name} reads no videos; expected --labels")
    if FIX.value and not hasattr(generator.source, fixed_sampler(FIX.value)):
        raise UserError(f"--fix={FIX.value}: the latent of {generator.name} has no part for it")
    if SOURCE.value and generator.streams and Path(OUTPUT.value).suffix == ".mp4":
        made = translate_in_turn(generator, SOURCE.value, OUTPUT.value)
        logging.info("wrote %d frames to %s", made, OUTPUT.value)
        return
    rows, names = from_labels(generator, frames) if generator.kind == "synthesis" else from_videos(generator, frames)
    drawn = (np.round(np.concatenate(parts) * 255).astype(np.uint8) for parts in zip(*rows, strict=True))
    first = next(drawn)
    length = frames or first.shape[1]
    with pictures.opened(OUTPUT.value, length, PLAY_FPS.value, columns=NUM_VIDEOS.value, row_names=names) as add:
        for pixels in itertools.chain([first], drawn):
            add(pixels)
    logging.info("wrote %d clips of %d frames of %s to %s", len(first), length, generator.name, OUTPUT.value)


def translate_at_its_size(config: Config, source: str, output: str) -> bool:
    """Translates --source frame by frame, if it is a film or pictures and --output can hold them. Returns whether it is.

    Raises: UserError where it cannot be decoded.
    """

    def generator_at(height: int, width: int) -> Generator:
        return open_generator(dataclasses.replace(config, frames=1, size=height, width=width, short_side=0))

    translator = films.Translator(generator_at, models.find(config.model).Model.free_size)
    if not paths.is_folder(source) and not tf.io.gfile.exists(source):
        raise UserError(f"--source={source}: no such file or folder")
    names = stills.names(source) if paths.is_folder(source) else []
    if names and not paths.suffix(output):
        for name in names:
            films.translate_picture(translator, paths.join(source, name), paths.join(output, f"{name.rpartition('.')[0]}.png"))
        logging.info("wrote %d pictures to %s", len(names), output)
    elif paths.suffix(source) in decode.PICTURES and paths.suffix(output) == ".png":
        films.translate_picture(translator, source, output)
        logging.info("wrote %s", output)
    elif (names or not paths.is_folder(source)) and paths.suffix(output) == ".mp4":
        frames = films.translate(partial(map, translator), source, output)
        logging.info("wrote %d frames to %s", frames, output)
    else:
        return False
    return True


def translate_in_turn(generator: Generator, source: str, output: str) -> int:
    """Translates --source, a film, a folder of frames, or one with these in `source` and `instances`, and returns their number.

    Raises: UserError where it cannot be decoded, or is not what the generator reads.
    """
    within = paths.join(source, "source")
    beside = paths.join(source, "instances")
    instances = None
    try:
        if paths.is_folder(beside):
            instances = decode.stream(beside, decode.probe(beside))
    except ValueError as error:
        raise UserError(f"--source={source}: instances: {error}") from error
    return films.translate(films.Stream(generator, instances), within if tf.io.gfile.exists(within) else source, output)


def open_of_frames(config: Config, frames: int) -> tuple[Generator, int]:
    """The generator of --workdir or --module, and the frames of a clip that it is to go on to, beyond its own; 0: none.

    Raises: UserError for frames that it cannot make.
    """
    truncations = tuple(sorted({TRUNCATION.value, 1.0}))
    other_network = frames < config.frames or FIX.value or INTERPOLATE_FRAMES.value > 1
    if flags.FLAGS.workdir and frames != config.frames and other_network:  # made for as many frames, which some models can be
        return open_generator(dataclasses.replace(config, frames=frames), INTERPOLATE_FRAMES.value, truncations), 0
    generator = open_generator(config, INTERPOLATE_FRAMES.value, truncations)
    config = generator.config
    if frames == config.frames or flags.FLAGS.module and not flags.FLAGS["frames"].present:
        return generator, 0
    if generator.streams:
        return generator, frames
    if other_network or not generator.goes_on():
        require_frames_of(generator, frames)
        raise UserError(f"--frames={frames}: {generator.name} holds a {config.model} of {config.frames} frames, which makes no others")
    if not generator.goes_on(ROLLOUT.value == "unroll"):
        raise UserError(f"--rollout={ROLLOUT.value}: expected feed_back, as {generator.name} has no state to go on from")
    return generator, frames


def from_labels(generator: Generator, frames: int) -> tuple[list[Iterator[np.ndarray]], list[str]]:
    """Rows of --num_videos clips of each of --labels, whose parts [n,t,H,W,3] in [0,1] come one by one, and the labels' names.

    `frames`: those that clips go on to; 0: their own.
    """
    rows = label_numbers(LABELS.value, generator.labels)
    draw = getattr(generator.source, fixed_sampler(FIX.value) if FIX.value else "sample")

    def parts(row: int, label: int) -> Iterator[np.ndarray]:
        asked, seed = tf.fill([NUM_VIDEOS.value], label), tf.constant([generator.config.seed, row], tf.int32)
        if frames:
            yield from generator.parts({"label": asked}, seed, TRUNCATION.value, frames)
        else:
            yield draw(asked, seed, tf.constant(TRUNCATION.value)).numpy()

    return [parts(row, label) for row, label in enumerate(rows)], [generator.labels[label] for label in rows]


def from_videos(generator: Generator, frames: int) -> tuple[list[Iterator[np.ndarray]], list[str]]:
    """As `from_labels`, rows of --num_videos (with other latents) of each of the first videos of --source, or of the data set."""
    in_turn = frames > 0 and generator.streams
    config = dataclasses.replace(generator.config, frames=frames) if in_turn else generator.config
    if SOURCE.value:
        given = dataclasses.replace(config, data_dir=SOURCE.value)
        dataset = data.of_source(files_source(given, folder.at(SOURCE.value), folder.SPLITS[-1], keep=False), config.seed)
    else:
        dataset = models.dataset(config, "test")

    def parts(row: int, batch: data.Batch) -> Iterator[np.ndarray]:
        many = {name: tf.repeat(value, NUM_VIDEOS.value, 0) for name, value in batch.items()}
        if SOURCE.value and generator.kind == "translation":
            many = {"source": many["video"]}  # what is given is to be translated
            lacking = sorted({spec.name for spec in specs_of(generator.source.translate)} - many.keys())
            if lacking:
                raise UserError(f"--source={SOURCE.value}: {generator.name} reads {lacking[0]} too, expected a data set that has it")
        seed = tf.constant([config.seed, row], tf.int32)
        if in_turn:
            yield generator.in_turn(many).numpy()
        elif frames:
            yield from generator.parts(many, seed, TRUNCATION.value, frames, ROLLOUT.value == "unroll")
        else:
            yield generator.draw(many, seed, TRUNCATION.value).numpy()

    return [parts(row, batch) for row, batch in enumerate(dataset.once(1).take(MAX_ROWS))], []


def label_numbers(asked: list[str], labels: tuple[str, ...]) -> list[int]:
    """Numbers of labels given by name or number. Raises UserError for one the model does not have."""
    if not asked:
        return list(range(min(len(labels), MAX_ROWS)))
    numbers = []
    for label in asked:
        number = labels.index(label) if label in labels else int(label) if label.isdecimal() else -1
        if not 0 <= number < len(labels):
            raise UserError(f"--labels={label}: expected names or numbers among 0 {labels[0]} ... {len(labels) - 1} {labels[-1]}")
        numbers.append(number)
    return numbers


if __name__ == "__main__":
    launch(main, saved=("workdir", "module"), kept=("frames",), output_files=("output",))

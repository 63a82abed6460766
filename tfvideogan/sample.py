"""Draws clips from a trained generator into a picture anyone can open:
`python -m tfvideogan.sample --workdir=DIR | --module=EXPORT --output=F.gif|F.mp4|F.png|DIR [--labels=..] [--num_videos=N] [--seed=N]
[--truncation=F] [--frames=N] [--interpolate_frames=N] [--fix=content|motion] [--source=FILE|DIR]`.

--frames draws clips longer or shorter than those of training, --fix clips that share a row's content or its motion: both from
models that can. One row a label; a GIF and an MP4 play the clips side by side, a PNG is a contact sheet with one clip a row.
"""

import dataclasses

import numpy as np
import tensorflow as tf
from absl import flags, logging

from tfvideogan import data, models
from tfvideogan.cli import define_generator_flags, launch, open_generator
from tfvideogan.config import Config, UserError
from tfvideogan.data import decode, paths
from tfvideogan.data import pictures as stills
from tfvideogan.data.sources import folder
from tfvideogan.data.sources.listing import files_source
from tfvideogan.generation import films, pictures
from tfvideogan.generation.module import Generator
from tfvideogan.generation.sampler import fixed_sampler

define_generator_flags()
OUTPUT = flags.DEFINE_string("output", None, "File to write: .gif, .mp4 or .png; of a folder of pictures that are translated, a folder.")
LABELS = flags.DEFINE_list("labels", [], "Class names or numbers, one row each; all of them (12 at most) if not given.")
NUM_VIDEOS = flags.DEFINE_integer("num_videos", 4, "Clips of each label.")
TRUNCATION = flags.DEFINE_float("truncation", 1.0, "Scale of z; below 1 trades variety for fidelity.")
INTERPOLATE_FRAMES = flags.DEFINE_integer("interpolate_frames", 1, "Frames for each one of training, between which z is interpolated.")
PLAY_FPS = flags.DEFINE_float("play_fps", 8.0, "Frames a second of the GIF or MP4.")
FIX = flags.DEFINE_enum("fix", None, ["content", "motion"], "What the clips of a row share; free, the same seed gives each its own.")
SOURCE = flags.DEFINE_string(
    "source", None, "Video, or folder of videos, for a generator that reads them; the data set's test clips if not given."
)
MAX_ROWS = 12


def main(config: Config) -> None:
    if not OUTPUT.value:
        raise UserError("--output is missing: want a file ending in .gif, .mp4 or .png")
    if SOURCE.value and flags.FLAGS.workdir and models.find(config.model).Model.free_size:
        if translate_at_its_size(config, SOURCE.value, OUTPUT.value):
            return
    if OUTPUT.value.rpartition(".")[2] not in ("gif", "mp4", "png"):
        raise UserError(f"--output={OUTPUT.value}: want .gif, .mp4 or .png")
    if NUM_VIDEOS.value < 1:
        raise UserError(f"--num_videos={NUM_VIDEOS.value}: want at least 1")
    if INTERPOLATE_FRAMES.value < 1:
        raise UserError(f"--interpolate_frames={INTERPOLATE_FRAMES.value}: want at least 1")
    generator = open_generator(config, INTERPOLATE_FRAMES.value, tuple(sorted({TRUNCATION.value, 1.0})))
    if SOURCE.value and generator.kind == "synthesis":
        raise UserError(f"--source={SOURCE.value}: {generator.name} reads no videos; expected --labels")
    if FIX.value and not hasattr(generator.source, fixed_sampler(FIX.value)):
        raise UserError(f"--fix={FIX.value}: the latent of {generator.name} has no part for it")
    clips, names = from_labels(generator) if generator.kind == "synthesis" else from_videos(generator)
    pixels = np.round(clips * 255).astype(np.uint8)
    pictures.write(OUTPUT.value, pixels, PLAY_FPS.value, columns=NUM_VIDEOS.value, row_names=names)
    logging.info("wrote %d clips of %s to %s", len(pixels), generator.name, OUTPUT.value)


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
        frames = films.translate(translator, source, output)
        logging.info("wrote %d frames to %s", frames, output)
    else:
        return False
    return True


def from_labels(generator: Generator) -> tuple[np.ndarray, list[str]]:
    """Clips [N,T,H,W,3] in [0,1], --num_videos of each of --labels, and the labels' names."""
    rows = label_numbers(LABELS.value, generator.labels)
    draw = getattr(generator.source, fixed_sampler(FIX.value) if FIX.value else "sample")
    clips = []
    for row, label in enumerate(rows):  # row by row: memory does not grow with the number of labels
        seed = tf.constant([generator.config.seed, row], tf.int32)
        clips.append(draw(tf.fill([NUM_VIDEOS.value], label), seed, tf.constant(TRUNCATION.value)).numpy())
    return np.concatenate(clips), [generator.labels[label] for label in rows]


def from_videos(generator: Generator) -> tuple[np.ndarray, list[str]]:
    """Clips [N,T,H,W,3] in [0,1], --num_videos (with other latents) of each of the first videos of --source, or of the data set."""
    config = generator.config
    if SOURCE.value:
        given = dataclasses.replace(config, data_dir=SOURCE.value)
        dataset = data.of_source(files_source(given, folder.at(SOURCE.value), folder.SPLITS[-1], keep=False), config.seed)
    else:
        dataset = models.dataset(config, "test")
    clips = []
    for row, batch in enumerate(dataset.once(1).take(MAX_ROWS)):
        many = {name: tf.repeat(value, NUM_VIDEOS.value, 0) for name, value in batch.items()}
        clips.append(generator.draw(many, tf.constant([config.seed, row], tf.int32), TRUNCATION.value).numpy())
    return np.concatenate(clips), []


def label_numbers(asked: list[str], labels: tuple[str, ...]) -> list[int]:
    """Numbers of labels given by name or number. Raises UserError for one the model does not have."""
    if not asked:
        return list(range(min(len(labels), MAX_ROWS)))
    numbers = []
    for label in asked:
        number = labels.index(label) if label in labels else int(label) if label.isdecimal() else -1
        if not 0 <= number < len(labels):
            raise UserError(f"--labels={label}: want names or numbers among 0 {labels[0]} ... {len(labels) - 1} {labels[-1]}")
        numbers.append(number)
    return numbers


if __name__ == "__main__":
    launch(main, saved=("workdir", "module"), output_files=("output",))

"""Whether memory stays flat while a clip goes on and on: `python -m benchmarks.rollout --model=dvdgan --size=64 --channels=8 ...
[--lengths=100,1000,10000] [--videos=1] [--unrolled] --output=F.mp4|F.gif|DIR`.

Draws clips of the longest of these lengths part by part, from the untrained network of a Config, and writes them as they come. At each
length prints a row in Markdown: memory that the process holds, the most it held so far, and the seconds. Then compares the first frames
with those of the short clip, bit by bit.
"""

import dataclasses
import resource
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import flags

from tfvideogan import data, models
from tfvideogan.cli import launch
from tfvideogan.config import Config
from tfvideogan.generation import pictures
from tfvideogan.generation.module import Generator
from tfvideogan.generation.sampler import Sampler
from tfvideogan.training.run_folder import given_batches

LENGTHS = flags.DEFINE_list("lengths", ["100", "1000", "10000"], "Frames at which memory is read.")
VIDEOS = flags.DEFINE_integer("videos", 1, "Clips, side by side.")
UNROLLED = flags.DEFINE_boolean("unrolled", False, "A prediction goes on from its state, and is not fed its own frames.")
OUTPUT = flags.DEFINE_string("output", None, "What is written.", required=True)
PAGE = resource.getpagesize() / 2**20


def main(config: Config) -> None:
    labels = data.load(config, config.split).labels
    config = dataclasses.replace(config, classes=config.classes or len(labels))
    sampler = Sampler(models.build(config))
    sampler.calibrate(given_batches(sampler, config))
    generator, lengths = Generator("untrained", config, labels, 0, sampler), [int(length) for length in LENGTHS.value]
    batch = {name: t[: VIDEOS.value] for name, t in next(iter(models.dataset(config, config.split).batches(VIDEOS.value))).items()}
    seed, start = tf.constant([config.seed, 0]), time.perf_counter()
    short, seen, begun = generator.draw(batch, seed, 1.0).numpy(), 0, []
    print(f"{config.model}, {VIDEOS.value} of {config.size}x{config.size}, {config.frames} frames in training, {Path(OUTPUT.value).name}")
    print("| frames | MiB | at most | seconds |\n|---|---|---|---|")
    with pictures.opened(OUTPUT.value, max(lengths), 8, VIDEOS.value) as add:
        for part in generator.parts(batch, seed, 1.0, max(lengths), UNROLLED.value):
            add(np.round(part * 255).astype(np.uint8))
            begun += [part] if seen < config.frames else []
            before, seen = seen, seen + part.shape[1]
            if any(before < length <= seen for length in lengths):
                print(f"| {seen:,} | {held():.0f} | {most():.0f} | {time.perf_counter() - start:.0f} |", flush=True)
    first = np.concatenate(begun, 1)[:, : config.frames]
    print(f"the first {config.frames} frames are {'those' if np.array_equal(first, short) else 'NOT those'} of the short clip, bit by bit")


def held() -> float:
    """Resident memory of this process, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def most() -> float:
    """The most it ever was."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    launch(main)

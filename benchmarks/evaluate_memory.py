"""Whether memory grows with the clips that are judged: `python benchmarks/evaluate_memory.py --clips=2000` and `--clips=20000`.

Streams made-up clips of 64x64x16 through the shipped evaluator as `evaluate` does, pixels and all, and prints the peak resident
memory of the process before and after.
"""

import resource
import time

import numpy as np
import tensorflow as tf
from absl import app, flags

from tfvideogan.evaluation.clips import look
from tfvideogan.evaluators import classifier

CLIPS = flags.DEFINE_integer("clips", 2000, "Clips that are streamed.")
SIZE = flags.DEFINE_integer("size", 64, "Pixels a side.")
LENGTH = flags.DEFINE_integer("frames", 16, "Frames of a clip.")
BATCH = 64


def main(_: list[str]) -> None:
    evaluator = classifier.load("moving_shapes")

    noise = tf.random.stateless_uniform([BATCH, LENGTH.value, SIZE.value, SIZE.value, 3], [0, 0], -1, 1)

    def batches():
        for start in range(0, CLIPS.value, BATCH):
            yield tf.roll(noise, start, 2), np.arange(start, start + BATCH) % 12  # a new tensor each, made in no time

    evaluator(next(batches())[0])
    before, start = peak(), time.perf_counter()
    clips = look(batches(), evaluator, CLIPS.value, True, "made-up")
    kept = sum(array.nbytes for array in vars(clips).values()) / 2**20
    print(
        f"{len(clips)} clips of {SIZE.value}x{SIZE.value}x{LENGTH.value}: peak {peak():.0f} MiB, {before:.0f} MiB after the first batch; "
        f"{kept:.0f} MiB kept of {len(clips) * LENGTH.value * SIZE.value**2 * 12 / 2**20:.0f}; {time.perf_counter() - start:.0f} s"
    )


def peak() -> float:
    """Peak resident memory of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    app.run(main)

"""How fast clips are judged: `python benchmarks/metrics.py [--clips=2048,10000] [--width=128] [--size=64] [--frames=16] [--batches=20]`.

Prints clips a second of feature extraction by the shipped evaluator, and seconds of each metric, once and with its standard error,
on made-up features and frames.
"""

import time

import numpy as np
import tensorflow as tf
from absl import app, flags

from tfvideogan.evaluation.clips import FRAMES, PAIRS, Clips
from tfvideogan.evaluation.scores import OF_SETS, scores
from tfvideogan.evaluators import classifier

CLIPS = flags.DEFINE_list("clips", ["2048", "10000"], "Clips in each set.")
WIDTH = flags.DEFINE_integer("width", 128, "Features; Inception's are 2048.")
SIZE = flags.DEFINE_integer("size", 64, "Pixels a side.")
LENGTH = flags.DEFINE_integer("frames", 16, "Frames of a clip.")
BATCHES = flags.DEFINE_integer("batches", 20, "Batches of 64 clips that are timed.")
SKIP = flags.DEFINE_list("skip", [], "Metrics to leave out.")
ERRORS = flags.DEFINE_boolean("errors", True, "Time the standard errors too.")


def main(_: list[str]) -> None:
    print(f"feature extraction: {extraction():.0f} clips/s of {SIZE.value}x{SIZE.value}x{LENGTH.value}, {WIDTH.value} features below")
    for clips in map(int, CLIPS.value):
        real, fake = (made_up(clips, seed) for seed in (0, 1))
        table = scores(real, fake, seed=0)
        print(f"{clips} clips      seconds   with error", flush=True)
        for metric in OF_SETS:
            if metric in SKIP.value:
                continue
            score = table[metric]
            start = time.perf_counter()
            score.function(*score.samples)
            once = time.perf_counter() - start
            if ERRORS.value:
                score.error(score.function, *score.samples, seed=0)
            print(f"{metric:18s} {once:8.3f} {time.perf_counter() - start:12.3f}", flush=True)


def extraction() -> float:
    """Clips a second of the shipped evaluator, after a batch to warm up."""
    evaluator = classifier.load("moving_shapes")
    video = tf.random.stateless_uniform([64, LENGTH.value, SIZE.value, SIZE.value, 3], [0, 0], -1, 1)
    evaluator(video)
    start = time.perf_counter()
    for _ in range(BATCHES.value):
        evaluator(video)
    return 64 * BATCHES.value / (time.perf_counter() - start)


def made_up(clips: int, seed: int) -> Clips:
    draw = np.random.default_rng(seed)
    return Clips(
        features=draw.normal(size=[clips, WIDTH.value]).astype(np.float32),
        logits=3 * draw.normal(size=[clips, 12]).astype(np.float32),
        labels=np.arange(clips, dtype=np.int32) % 12,
        shape_drift=draw.uniform(size=clips),
        frame_drift=draw.uniform(size=clips),
        ssim=draw.uniform(size=min(clips // 2, PAIRS)),
        psnr=draw.uniform(size=min(clips // 2, PAIRS)),
        frames=draw.integers(256, size=[min(clips, FRAMES), SIZE.value, SIZE.value, 3], dtype=np.uint8),
        shown=np.zeros([0], np.uint8),
        shown_labels=np.zeros([0], np.int32),
    )


if __name__ == "__main__":
    app.run(main)

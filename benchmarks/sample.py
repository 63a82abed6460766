"""How fast an exported module draws clips: `python -m benchmarks.sample [--module=DIR] [--batch_sizes=1,8,32] [--videos=256]`.

Prints ONE JSON line. For each batch size: videos/s of `sample`, in all and for each core, and of the same generator's forward pass in
training (float32, weights untrained), which has moments to take of the batch and a power iteration to make. The two take turns, so
that what else the machine does slows both. Before that, at the largest batch size: peak resident memory after --videos videos,
and after 2, 4 and 8 times as many, none of which is kept.
"""

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable

import tensorflow as tf
import tensorflow_hub as hub
from absl import app, flags

from tfvideogan import models
from tfvideogan.cli import parse
from tfvideogan.config import Config

MODULE = flags.DEFINE_string("module", "exports/moving_shapes64", "Folder of an exported module.")
BATCH_SIZES = flags.DEFINE_list("batch_sizes", ["1", "8", "32"], "Videos of a call.")
VIDEOS = flags.DEFINE_integer("videos", 256, "Videos after which memory is read; it is read again after 2, 4 and 8 times as many.")
CALLS = flags.DEFINE_integer("calls", 5, "Timed calls of each kind, after one that is not timed.", lower_bound=5)


def main(_: list[str]) -> None:
    config = parse([sys.argv[0], f"--module={MODULE.value}", "--precision=float32"], ("module",), None)
    module = hub.load(MODULE.value)
    sizes = [int(size) for size in BATCH_SIZES.value]

    def draw(videos: int, call: int) -> None:
        label = tf.range(videos) % max(config.classes, 1)
        module.sample(label, tf.constant([config.seed, call]), tf.constant(1.0)).numpy()

    memory, drawn = {}, 0
    for videos in (VIDEOS.value << double for double in range(4)):
        while drawn < videos:
            draw(max(sizes), drawn)
            drawn += max(sizes)
        memory[drawn] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    cores = len(os.sched_getaffinity(0))
    result = {"module": MODULE.value, "model": config.model, "size": config.size, "frames": config.frames, "cores": cores}
    result["peak_rss_mb_after_videos"] = memory
    result["batch_sizes"] = {size: speeds(lambda call, n=size: draw(n, call), forward(config, size), size, cores) for size in sizes}
    print(json.dumps(result))


def forward(config: Config, videos: int) -> Callable[[int], None]:
    """The generator's pass over a training batch, traced."""
    gan = models.build(config)
    label = tf.range(videos) % max(config.classes, 1)

    @tf.function(autograph=False)
    def train(seed: tf.Tensor) -> tf.Tensor:
        return gan.generator(**gan.inputs({"seed": seed, "label": label}), mode="train")

    return lambda call: train(tf.stack([tf.fill([videos], call), tf.range(videos)], 1)).numpy()


def speeds(draw: Callable[[int], None], train: Callable[[int], None], videos: int, cores: int) -> dict[str, object]:
    """Videos a second of both: median, min and max over the calls; and how many times training's the sampling is."""
    took: dict[str, list[float]] = {"sampling": [], "training_forward": []}
    for call in range(CALLS.value + 1):
        for seconds, one in zip(took.values(), (draw, train), strict=True):
            start = time.perf_counter()
            one(call)
            seconds.append(time.perf_counter() - start)
    found: dict[str, object] = {}
    for name, seconds in took.items():
        rates = [videos / one for one in seconds[1:]]
        found[name] = {"median": round(statistics.median(rates), 2), "min": round(min(rates), 2), "max": round(max(rates), 2)}
    medians = [found[name]["median"] for name in took]
    return {**found, "sampling_per_core": round(medians[0] / cores, 2), "ratio": round(medians[0] / medians[1], 2)}


if __name__ == "__main__":
    app.run(main)

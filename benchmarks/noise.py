"""What an example's draws cost: `python -m benchmarks.noise`, some seconds.

Beside the library's draws, TensorFlow's own generator (Philox), asked for one seed after another, as nothing draws for several. CPU
time, medians of calls: other processes change it less.
"""

import statistics
import time
from collections.abc import Callable

import tensorflow as tf
from absl import app

from benchmarks.scaling import table
from tfvideogan.ops import noise

CALLS = 15
LATENTS = 512, 120  # seeds, numbers of each: a step's latents at the paper's batch
MAPS = 16, 16, 32, 32, 16  # of which D's noise takes a draw for every number


def one_by_one(seeds: tf.Tensor, numbers: int) -> tf.Tensor:
    spec = tf.TensorSpec([numbers], tf.float32)
    return tf.map_fn(lambda seed: tf.random.stateless_normal([numbers], seed), seeds, fn_output_signature=spec)


def milliseconds(function: Callable, *inputs: tf.Tensor) -> str:
    """Of CPU time, in a graph: the median, least and most."""
    call, times = tf.function(function, autograph=False), []
    call(*inputs)
    for _ in range(CALLS):
        began = time.process_time()
        call(*inputs).numpy()
        times.append(1e3 * (time.process_time() - began))
    return f"{statistics.median(times):.1f} ({min(times):.1f} to {max(times):.1f})"


def main(_: list[str]) -> None:
    seeds = tf.stack([tf.zeros([LATENTS[0]], tf.int32), tf.range(LATENTS[0])], 1)
    maps = tf.zeros(MAPS, tf.bfloat16)
    numbers = maps.shape.num_elements() // MAPS[0]
    rows = [
        ["512 latents of 120", lambda: milliseconds(lambda s: noise.normal(s, [LATENTS[1]]), seeds)],
        ["the same, TensorFlow's, one by one", lambda: milliseconds(lambda s: one_by_one(s, LATENTS[1]), seeds)],
        ["noise added to 16 maps of 16x32x32x16, bfloat16", lambda: milliseconds(lambda x, s: noise.added(x, s, 0.1), maps, seeds[:16])],
        ["the same, TensorFlow's, one by one", lambda: milliseconds(lambda s: one_by_one(s, numbers), seeds[:16])],
    ]
    table(["draw", "ms of CPU time"], ([name, measure()] for name, measure in rows))


if __name__ == "__main__":
    app.run(main)

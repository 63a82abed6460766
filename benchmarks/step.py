"""The training step of a model, timed: `python -m benchmarks.step --model=dvdgan --size=64 --frames=12 --channels=16 --batch_size=8 ...`.

Prints ONE JSON line. `--timed_steps` steps are timed after two that are not. Only ratios within one run mean anything: `utilisation`
is the FLOP/s of their median over the best that convolutions reach right after them; `utilisation_in_turn` is of as many further
steps, each held against the convolutions just before and after it, for the machine's own speed may change by a quarter in a minute.
With `--replicas` an operation has a replica's share of the threads, and the convolutions run side by side in as many parts
(a divisor of 96).
"""

import dataclasses
import json
import resource
import statistics
import time
from collections.abc import Callable

import tensorflow as tf
from absl import flags

from tfvideogan import data, models
from tfvideogan.cli import launch
from tfvideogan.config import Config
from tfvideogan.gan import GAN
from tfvideogan.training import cost
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.step import Step, make_step
from tfvideogan.training.strategy import make_strategy

THREADS = flags.DEFINE_integer("threads", 2, "Operations that run side by side, and threads of one; of a replica's, its share.")
TIMED_STEPS = flags.DEFINE_integer("timed_steps", 5, "Steps to time.")
REPLICAS = flags.DEFINE_integer("replicas", 1, "Logical CPU replicas.")
DETERMINISTIC = flags.DEFINE_boolean("deterministic", False, "As of tfvideogan.train.", allow_override=True)
# Maps and widths of 3x3 convolutions, the fastest of which is the ceiling; of the size that video GANs have.
CEILING_SHAPES = [(96, 64, 64), (96, 32, 128), (96, 16, 256)]  # frames, map, channels


def main(config: Config) -> None:
    began = time.perf_counter()
    if DETERMINISTIC.value:
        tf.config.experimental.enable_op_determinism()
    config, gan, step, drawn = prepared(config)
    built = time.perf_counter()
    for update in step.functions[:2]:
        update.get_concrete_function(drawn[0])
    traced = time.perf_counter()
    run(step, drawn)
    first = time.perf_counter() - traced
    run(step, drawn)
    seconds = []
    for _ in range(TIMED_STEPS.value):
        start = time.perf_counter()
        run(step, drawn)
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert all(function.experimental_get_tracing_count() == 1 for function in step.functions), "the step was traced again"
    flops = cost.step_flops(config)
    ceiling = convolution_ceiling(config.precision)
    median = statistics.median(seconds)
    convolve, in_turn = convolutions(config.precision), []
    for _ in range(TIMED_STEPS.value):
        before, start = convolve(), time.perf_counter()
        run(step, drawn)
        in_turn.append(flops / (time.perf_counter() - start) / (before + convolve()) * 2 / 1e9)
    result = {
        "model": config.model, "precision": config.precision, "threads": THREADS.value, "replicas": REPLICAS.value,
        "deterministic": DETERMINISTIC.value,
        "size": config.size, "frames": config.frames, "channels": config.channels, "batch_size": config.batch_size,
        "accumulate_steps": config.accumulate_steps,
        "params": {n: sum(int(tf.size(v)) for v in getattr(gan, n).trainable_variables) for n in ("generator", "discriminator")},
        "seconds": [round(s, 3) for s in seconds], "min": round(min(seconds), 3), "median": round(median, 3),
        "videos_per_s": round(config.batch_size / median, 2), "flops": flops, "ceiling_gflops": round(ceiling),
        "utilisation": round(flops / median / ceiling / 1e9, 3),
        "utilisation_in_turn": {name: round(f(in_turn), 3) for name, f in (("median", statistics.median), ("min", min), ("max", max))},
        "build_seconds": round(built - began, 1),
        "trace_seconds": round(traced - built, 1), "first_step_seconds": round(first, 1), "peak_rss_mb": round(peak),
    }  # fmt: skip
    print(json.dumps(result))


def prepared(config: Config) -> tuple[Config, GAN, Step, list]:
    """The Config with its classes, the model, its training step, and batches: the same clips each time, what is timed is the step."""
    tf.config.threading.set_intra_op_parallelism_threads(THREADS.value)  # of which make_strategy gives a replica its share
    tf.config.threading.set_inter_op_parallelism_threads(THREADS.value)
    strategy = make_strategy("mirrored" if REPLICAS.value > 1 else "one", REPLICAS.value)
    dataset = data.load(config, "train")
    config = dataclasses.replace(config, classes=config.classes or len(dataset.labels))
    with strategy.scope():
        gan = models.build(config)
        count = tf.Variable(0, dtype=tf.int64, trainable=False)
        count = tf.Variable(0, dtype=tf.int64, trainable=False)
        optimizers = make_optimizers(gan, count)
    batches = distributed(dataset, config, strategy)
    return config, gan, make_step(gan, optimizers, count, strategy), [next(batches) for _ in range(config.d_steps)]


def distributed(dataset: data.Dataset, config: Config, strategy: tf.distribute.Strategy):
    replicas = strategy.num_replicas_in_sync
    return iter(strategy.distribute_datasets_from_function(lambda _: dataset.batches(config.batch_size, replicas=replicas)))


def run(step: Step, drawn: list) -> None:
    for value in step(drawn).values():
        value.numpy()  # waits for it


def convolution_ceiling(precision: str) -> float:
    """The most GFLOP/s of five passes of `convolutions`."""
    rate = convolutions(precision)
    return max(rate() for _ in range(5))


def convolutions(precision: str) -> Callable[[], float]:
    """A function that runs 3x3 convolutions of CEILING_SHAPES, forward and with both gradients, and gives the best one's GFLOP/s."""
    dtype = tf.float32 if precision == "float32" else tf.bfloat16

    @tf.function(autograph=False)
    def pass_both_ways(x: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
        waited = []  # a number of each result
        for part in tf.split(x, REPLICAS.value):
            y = tf.nn.conv2d(part, w, 1, "SAME")
            to_x = tf.raw_ops.Conv2DBackpropInput(input_sizes=tf.shape(part), filter=w, out_backprop=y, strides=[1] * 4, padding="SAME")
            to_w = tf.raw_ops.Conv2DBackpropFilter(input=part, filter_sizes=tf.shape(w), out_backprop=y, strides=[1] * 4, padding="SAME")
            waited += [to_x[0, 0, 0, 0], to_w[0, 0, 0, 0]]
        return tf.add_n(waited)

    inputs = []
    for frames, size, channels in CEILING_SHAPES:
        x = tf.cast(tf.random.stateless_normal([frames, size, size, channels], [0, 1]), dtype)
        w = tf.cast(tf.random.stateless_normal([3, 3, channels, channels], [0, 2]) / channels, dtype)
        pass_both_ways(x, w)
        inputs.append((x, w))

    def rate() -> float:
        rates = []
        for (x, w), (frames, size, channels) in zip(inputs, CEILING_SHAPES, strict=True):
            start = time.perf_counter()
            pass_both_ways(x, w).numpy()
            rates.append(3 * 2 * 9 * frames * size**2 * channels**2 / (time.perf_counter() - start) / 1e9)
        return max(rates)

    return rate


if __name__ == "__main__":
    launch(main)

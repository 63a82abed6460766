"""The training step of a model, timed: `python -m benchmarks.step --model=dvdgan --size=64 --frames=12 --channels=16 --batch_size=8 ...`.

Prints ONE JSON line. Only ratios within one run mean anything: `utilisation` is the step's FLOP/s over the best that
convolutions reach in the same process. `--timed_steps` steps are timed after two that are not.
"""

import dataclasses
import json
import resource
import statistics
import time
from collections.abc import Callable

import tensorflow as tf
from absl import flags

from tfvideogan import cost, data, models
from tfvideogan.config import Config
from tfvideogan.gan import GAN
from tfvideogan.run import launch
from tfvideogan.step import make_optimizers, make_step
from tfvideogan.train import make_strategy

THREADS = flags.DEFINE_integer("threads", 2, "Threads within an operation, and between operations.")
TIMED_STEPS = flags.DEFINE_integer("timed_steps", 5, "Steps to time.")
REPLICAS = flags.DEFINE_integer("replicas", 1, "Logical CPU replicas.")
# Maps and widths of 3x3 convolutions, the fastest of which is the ceiling; of the size that video GANs have.
CEILING_SHAPES = [(96, 64, 64), (96, 32, 128), (96, 16, 256)]  # frames, map, channels


def main(config: Config) -> None:
    began = time.perf_counter()
    config, gan, function, drawn = prepared(config)
    built = time.perf_counter()
    function.get_concrete_function(drawn)
    traced = time.perf_counter()
    run(function, drawn)
    first = time.perf_counter() - traced
    run(function, drawn)
    seconds = []
    for _ in range(TIMED_STEPS.value):
        start = time.perf_counter()
        run(function, drawn)
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert function.experimental_get_tracing_count() == 1, "the step was traced again"
    flops = cost.step_flops(config)
    ceiling = convolution_ceiling(config.precision)
    median = statistics.median(seconds)
    result = {
        "model": config.model, "precision": config.precision, "threads": THREADS.value, "replicas": REPLICAS.value,
        "size": config.size, "frames": config.frames, "channels": config.channels, "batch_size": config.batch_size,
        "accumulate_steps": config.accumulate_steps,
        "params": {n: sum(int(tf.size(v)) for v in getattr(gan, n).trainable_variables) for n in ("generator", "discriminator")},
        "seconds": [round(s, 3) for s in seconds], "min": round(min(seconds), 3), "median": round(median, 3),
        "videos_per_s": round(config.batch_size / median, 2), "flops": flops, "ceiling_gflops": round(ceiling),
        "utilisation": round(flops / median / ceiling / 1e9, 3), "build_seconds": round(built - began, 1),
        "trace_seconds": round(traced - built, 1), "first_step_seconds": round(first, 1), "peak_rss_mb": round(peak),
    }  # fmt: skip
    print(json.dumps(result))


def prepared(config: Config) -> tuple[Config, GAN, Callable, list]:
    """The Config with its classes, the model, its training step, and batches: the same clips each time, what is timed is the step."""
    tf.config.threading.set_intra_op_parallelism_threads(THREADS.value)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS.value)
    strategy = make_strategy("mirrored" if REPLICAS.value > 1 else "one", REPLICAS.value)
    dataset = data.load(config, "train")
    config = dataclasses.replace(config, classes=config.classes or len(dataset.labels))
    with strategy.scope():
        gan = models.build(config)
        optimizers = make_optimizers(config)
        optimizers["d_optimizer"].build(gan.discriminator.trainable_variables)
        optimizers["g_optimizer"].build(gan.generator.trainable_variables)
        count = tf.Variable(0, dtype=tf.int64, trainable=False)
    function = tf.function(make_step(gan, optimizers, count, strategy), autograph=False)
    batches = distributed(dataset, config, strategy)
    return config, gan, function, [next(batches) for _ in range(config.d_steps)]


def distributed(dataset: data.Dataset, config: Config, strategy: tf.distribute.Strategy):
    replicas = strategy.num_replicas_in_sync
    return iter(strategy.distribute_datasets_from_function(lambda _: dataset.batches(config.batch_size, replicas=replicas)))


def run(function, drawn: list) -> None:
    for value in function(drawn).values():
        value.numpy()  # waits for it


def convolution_ceiling(precision: str) -> float:
    """GFLOP/s of the best 3x3 convolution, forward and both gradients, of CEILING_SHAPES."""
    dtype = tf.float32 if precision == "float32" else tf.bfloat16
    best = 0.0
    for frames, size, channels in CEILING_SHAPES:
        x = tf.cast(tf.random.stateless_normal([frames, size, size, channels], [0, 1]), dtype)
        w = tf.cast(tf.random.stateless_normal([3, 3, channels, channels], [0, 2]) / channels, dtype)

        @tf.function(autograph=False)
        def pass_both_ways(x: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
            y = tf.nn.conv2d(x, w, 1, "SAME")
            to_x = tf.raw_ops.Conv2DBackpropInput(input_sizes=tf.shape(x), filter=w, out_backprop=y, strides=[1] * 4, padding="SAME")
            to_w = tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=tf.shape(w), out_backprop=y, strides=[1] * 4, padding="SAME")
            return tf.cast(to_x[0, 0, 0, 0], tf.float32) + tf.cast(to_w[0, 0, 0, 0], tf.float32)

        times = []
        for _ in range(5):
            start = time.perf_counter()
            pass_both_ways(x, w).numpy()
            times.append(time.perf_counter() - start)
        best = max(best, 3 * 2 * 9 * frames * size**2 * channels**2 / min(times) / 1e9)
    return best


if __name__ == "__main__":
    launch(main)

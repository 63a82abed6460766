"""Peak memory of a training step, as `train --dry_run` tells it and as it is: `python -m benchmarks.memory`, some minutes.

Measured are the live bytes of TensorFlow's own allocator, its counting one, which is made to serve the CPU: variables, batches,
activations, gradients and workspace, not Python's memory, nor what is lost between blocks. What the process held before
the step beside the variables and the batches (the weights' first values, constants) is left out. Each case has a process of its own:
the most of three steps, after one that compiles.
"""

import json
import os
import subprocess
import sys

import tensorflow as tf
from absl import app

from benchmarks.scaling import table
from benchmarks.step import run
from tfvideogan import data, models
from tfvideogan.cli import launch
from tfvideogan.config import Config
from tfvideogan.gan import Batch
from tfvideogan.training import cost
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.step import Step, make_step

os.environ["TF_CPU_ALLOCATOR_USE_BFC"] = "true"  # before TensorFlow takes any memory

COMMON = ["--size=64", "--classes=12"]
CASES = [
    case.split()
    for case in (
        "--model=dvdgan --frames=12 --channels=8 --batch_size=8 --precision=mixed_bfloat16",
        "--model=dvdgan --frames=12 --channels=8 --batch_size=8 --precision=mixed_bfloat16 --recompute",
        "--model=dvdgan --frames=24 --channels=8 --batch_size=4 --precision=float32",
        "--model=dvdgan --frames=24 --channels=8 --batch_size=4 --precision=float32 --recompute",
        "--model=mocogan --frames=16 --channels=16 --batch_size=16 --precision=float32",
        "--model=mocogan --frames=16 --channels=16 --batch_size=16 --precision=mixed_bfloat16",
        "--model=tgan --frames=16 --channels=16 --batch_size=16 --precision=float32",
        "--model=vgan --frames=32 --channels=16 --batch_size=16 --precision=float32",
    )
]


def one(config: Config) -> None:
    """Prints the bytes predicted and measured, as JSON."""
    use_two_threads()
    step, drawn = prepared(config)
    grown = max(growth(step, drawn) for _ in range(3))
    counted = cost.measure(config)
    print(json.dumps({"predicted": counted.peak, "measured": counted.variables + bytes_of(drawn) + grown}))


def use_two_threads() -> None:
    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(2)


def prepared(config: Config) -> tuple[Step, list[Batch]]:
    """A training step that has run once, and its batches."""
    gan, count = models.build(config), tf.Variable(0, dtype=tf.int64, trainable=False)
    step = make_step(gan, make_optimizers(gan, count), count, tf.distribute.get_strategy())
    drawn = list(data.load(config, "train").batches(config.batch_size).take(config.d_steps))
    run(step, drawn)
    return step, drawn


def growth(step: Step, drawn: list[Batch]) -> int:
    """Bytes that a step takes at its peak beside what was held before."""
    memory = tf.config.experimental
    memory.reset_memory_stats("CPU:0")
    before = memory.get_memory_info("CPU:0")["current"]
    run(step, drawn)
    return memory.get_memory_info("CPU:0")["peak"] - before


def bytes_of(drawn: list[Batch]) -> int:
    return sum(tensor.shape.num_elements() * tensor.dtype.size for batch in drawn for tensor in batch.values())


def main(_: list[str]) -> None:
    table(["step", "predicted, MiB", "measured, MiB", "predicted / measured"], (measured(case) for case in CASES))


def measured(case: list[str]) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.memory", "--one", *COMMON, *case]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    mib = {name: value / 2**20 for name, value in found.items()}
    return [" ".join(case).replace("--", ""), *(f"{value:,.0f}" for value in mib.values()), f"{mib['predicted'] / mib['measured']:.2f}"]


if __name__ == "__main__":
    if "--one" in sys.argv:
        sys.argv.remove("--one")
        launch(one)
    else:
        app.run(main)

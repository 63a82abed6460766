"""What TGANv2's sub-sampling of frames saves: `python -m benchmarks.sparse --model=tganv2 --channels=16 --lstm_channels=256
--batch_size=2 [--sizes=64,128,192] [--steps_each=3] [--nomeasured]`.

Training as the paper has it, each level of half of the frames of the one below, beside dense training: the same networks, of which G
renders every frame at every level up to the full size, and every level's D scores all frames. For each size prints, in Markdown, the
peak of a step as `train --dry_run` predicts it, as TensorFlow's allocator counts it (see `benchmarks.memory`), and the seconds of a
step: sparse and dense steps take turns in one process, and the ratio is the median of each dense step's to that of the sparse one before
it. --nomeasured runs nothing, and prints what is read off the graphs alone.
"""

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Iterator
from unittest import mock

import tensorflow as tf
from absl import flags

from benchmarks.memory import bytes_of, growth, prepared, use_two_threads
from benchmarks.step import run
from tfvideogan.cli import launch
from tfvideogan.config import Config, UserError
from tfvideogan.gan import Batch
from tfvideogan.models import tganv2
from tfvideogan.ops.video import fold, unfold
from tfvideogan.training import cost
from tfvideogan.training.step import Step

SIZES = flags.DEFINE_list("sizes", ["64", "128", "192"], "Pixels a side.")
STEPS_EACH = flags.DEFINE_integer("steps_each", 3, "Steps of each way that are timed.")
MEASURED = flags.DEFINE_boolean("measured", True, "Steps are run; else their costs are read off the graphs.")


def every_frame(video: tf.Tensor, offsets: tf.Tensor) -> list[tf.Tensor]:
    """In the place of `tganv2.real_pyramid`: the levels of all frames [N,T,H,W,3] -> [N,T,h,h,3]."""
    sides = [2 ** (offsets.shape[1] - level) for level in range(offsets.shape[1] + 1)]
    return [unfold(tf.nn.avg_pool2d(fold(video), side, side, "VALID"), video.shape[1]) for side in sides]


@contextlib.contextmanager
def dense() -> Iterator[None]:
    """What is built and traced within it leaves no frame out."""
    with mock.patch.object(tganv2.Generator, "halved", lambda self, x, offset: x), mock.patch.object(tganv2, "real_pyramid", every_frame):
        yield


WAYS = {"sparse": contextlib.nullcontext, "dense": dense}
RATIO = "dense / sparse"


def main(config: Config) -> None:
    if not isinstance(config, tganv2.Config):
        raise UserError(f"--model={config.model}: expected tganv2")
    use_two_threads()
    print(f"ch {config.channels}, ConvLSTM {config.lstm_channels}, {config.batch_size} clips of {config.frames} frames, {config.precision}")
    columns = (
        "size",
        "way",
        "TFLOP",
        "predicted peak, MiB",
        "of it variables",
        "measured peak, MiB",
        "beside variables and batches",
        "seconds",
    )
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for size in map(int, SIZES.value):
        compare(dataclasses.replace(config, size=size, short_side=0))


def compare(config: Config) -> None:
    """Prints the rows of one size, and the ratios."""
    counted, built = {}, {}
    for name, way in WAYS.items():
        with way():
            counted[name] = cost.measure(config)
            if MEASURED.value:
                built[name] = prepared(config)  # runs a step, which traces it
    measured: dict[str, list[str]] = {name: ["", "", ""] for name in (*WAYS, RATIO)}
    if MEASURED.value:
        grown = {name: max(growth(*step) for _ in range(2)) for name, step in built.items()}
        whole = {name: counted[name].variables + bytes_of(drawn) + grown[name] for name, (_, drawn) in built.items()}
        turns = [{name: timed(*step) for name, step in built.items()} for _ in range(STEPS_EACH.value)]
        for name in WAYS:
            measured[name] = [mib(whole[name]), mib(grown[name]), f"{statistics.median(turn[name] for turn in turns):.2f}"]
        slower = [turn["dense"] / turn["sparse"] for turn in turns]
        spread = f"{statistics.median(slower):.2f} ({min(slower):.2f} to {max(slower):.2f})"
        measured[RATIO] = [ratio(whole), ratio(grown), spread]
    for name, found in counted.items():
        row = str(config.size), name, f"{found.flops / 1e12:.3f}", mib(found.peak), mib(found.variables), *measured[name]
        print("| " + " | ".join(row) + " |")
    flops, peaks = ({name: getattr(found, what) for name, found in counted.items()} for what in ("flops", "peak"))
    print("| " + " | ".join((str(config.size), RATIO, ratio(flops), ratio(peaks), "", *measured[RATIO])) + " |", flush=True)


def mib(value: int) -> str:
    return f"{value / 2**20:,.0f}"


def ratio(values: dict[str, int]) -> str:
    return f"{values['dense'] / values['sparse']:.2f}"


def timed(step: Step, drawn: list[Batch]) -> float:
    start = time.perf_counter()
    run(step, drawn)
    return time.perf_counter() - start


if __name__ == "__main__":
    launch(main)

"""What the paper's runs need: `python -m benchmarks.scaling [--rows=12x64,48x64]`, and `--check` for what its formulas are worth.

Reads configs/kinetics600_ROW.flags and prints tables in Markdown: FLOPs, memory of a replica, input, all-reduce, checkpoint, and
days on named accelerators at a stated utilisation. Nothing is computed at that size, and no time here is a measured one: a step
is traced at its full width, for 2 and for 4 clips, and every count is a base and so much a clip (some minutes for all rows).
--check holds each formula against a measurement on this machine, at a size it can run.
"""

import dataclasses
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from absl import app, flags

from tfvideogan import data, models
from tfvideogan.config import Config, from_flags
from tfvideogan.gan import layers_of
from tfvideogan.layers.norm import StandingNorm
from tfvideogan.models import dvdgan
from tfvideogan.training import cost
from tfvideogan.training.cost import Cost
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.run_folder import Run
from tfvideogan.training.step import make_step

ROWS = flags.DEFINE_list("rows", ["12x64", "12x128", "12x256", "48x64", "48x128"], "Rows of the paper's Table 1.")
CHECK = flags.DEFINE_boolean("check", False, "Print predictions beside measurements at small size, and stop.")
PRECISION = "mixed_bfloat16"  # the peaks below are bfloat16's
REPLICAS = (32, 128, 512)  # the paper's runs: 32 to 512 (DVD-GAN 4)
UTILISATION = (0.3, 0.5)  # stated, not measured
GIB, MB = 2**30, 1e6
FLOAT, BYTE = 4, 1


@dataclasses.dataclass(frozen=True)
class Accelerator:
    """One replica's device: the vendor's peak of dense bfloat16 products in TFLOP/s, and memory in GiB."""

    name: str
    tflops: float
    gib: float


# NVIDIA counts memory in 10^9 bytes, Google in 2^30.
ACCELERATORS = (
    Accelerator("TPU v3, a core", 123 / 2, 32 / 2),  # a chip has two: cloud.google.com/tpu/docs/v3
    Accelerator("TPU v4, a chip", 275, 32),  # cloud.google.com/tpu/docs/v4
    Accelerator("TPU v5e, a chip", 197, 16),  # cloud.google.com/tpu/docs/v5e
    Accelerator("A100 SXM 80 GB", 312, 80e9 / GIB),  # NVIDIA's A100 datasheet
    Accelerator("H100 SXM 80 GB", 989, 80e9 / GIB),  # NVIDIA's H100 datasheet, half of the figure "with sparsity"
)
ROOMS = ACCELERATORS[0], ACCELERATORS[1], ACCELERATORS[-1]  # 16, 32 and 74.5 GiB


@dataclasses.dataclass(frozen=True)
class Line:
    """A count that is `base`, and `clip` more for each clip of a replica's batch."""

    base: int
    clip: int

    def at(self, clips: int) -> int:
        return self.base + self.clip * clips


def line(two: int, four: int) -> Line:
    """The Line through the counts of 2 and of 4 clips. Raises ValueError if there is none in whole numbers."""
    clip, rest = divmod(four - two, 2)
    if rest:
        raise ValueError(f"{two} for 2 clips and {four} for 4: no whole number a clip")
    return Line(two - 2 * clip, clip)


@dataclasses.dataclass(frozen=True)
class Needs:
    """Of a run: its Config, and a replica's Cost without what depends on the batch, which stands beside it as Lines.

    Attributes:
        flops: of a step, in the paper's form. The base is spectral norm's, which every replica computes.
        activations: bytes.
        norms: numbers in the moments of each of the generator's batch normalisations, mean or variance.
    """

    config: Config
    cost: Cost
    flops: Line
    activations: Line
    norms: list[int]


def read(flagfile: Path) -> dvdgan.Config:
    """The Config of a flagfile of numbers and words, in PRECISION. Not by run.parse: flags are defined once in a process."""
    values = from_flags("\n".join(line for line in flagfile.read_text().splitlines() if line.startswith("--")))
    kinds = {field.name: field.type for field in dataclasses.fields(dvdgan.Config)}
    return dvdgan.Config(**{name: kinds[name](value) for name, value in {**values, "precision": PRECISION}.items()})


def needs(config: Config) -> Needs:
    """Traces the step for 2 and for 4 clips, as the paper writes it and as it is run."""
    two, four = (dataclasses.replace(config, batch_size=clips) for clips in (2, 4))
    run = cost.measure(two), cost.measure(four)
    flops = line(cost.step_flops(two), cost.step_flops(four))
    with tf.Graph().as_default():
        norms = [math.prod(norm.standing[0].shape) for norm in layers_of(models.build(config).generator, StandingNorm)]
    return Needs(config, run[0], flops, line(run[0].activations, run[1].activations), norms)


def clip_bytes(config: Config, number: int) -> int:
    """Of the pixels of a clip, a channel of one in so many bytes."""
    return config.frames * config.size**2 * 3 * number


def reduced_bytes(d_steps: int, generator: int, discriminator: int, norms: list[int]) -> int:
    """What a replica gives to all-reduce in a step: D's gradients in each D step, G's in the G step, and G's batch normalisation:
    a count, a sum and a sum of squares in every pass of G, two sums in its gradient."""
    moments = (d_steps + 1) * (2 * sum(norms) + len(norms)) + 2 * sum(norms)
    return FLOAT * (d_steps * discriminator + generator + moments)


def ring(volume: float, replicas: int) -> float:
    """Bytes that a replica sends, and receives, to all-reduce `volume` bytes in a ring: each part goes round twice, but for its owner."""
    return volume * 2 * (replicas - 1) / replicas


def seconds(flops: float, tflops: float, utilisation: float) -> float:
    """Of a step of so many FLOPs on a replica."""
    return flops / (tflops * 1e12 * utilisation)


def days(step_seconds: float, steps: int) -> float:
    return step_seconds * steps / 86400


def room(run: Needs, accelerator: Accelerator) -> int:
    """Clips whose activations fit beside the state, if nothing else took memory."""
    return max(int(accelerator.gib * GIB - run.cost.state - run.activations.base) // run.activations.clip, 0)


def main(_: list[str]) -> None:
    if CHECK.value:
        table(["formula", "predicted", "measured", "measured / predicted"], checks())
        return
    runs = {}
    for row in ROWS.value:
        runs[row] = needs(read(Path(f"configs/kinetics600_{row}.flags")))
        print(f"{row} is traced", file=sys.stderr)
    print("A step, whatever it runs on:\n")
    names = [
        "row",
        "G",
        "D",
        "TFLOP a clip",
        "PFLOP a step",
        "all-reduce, MB",
        "of it BN, MB",
        "input, MB of uint8",
        "of float32",
        "checkpoint, GiB",
    ]
    table(names, ([row, *step_cells(run)] for row, run in runs.items()))
    print("\nGiB in a replica, state + activations:\n")
    shares = [f"{count} replicas" for count in REPLICAS]
    rooms = [f"clips in {one.gib:.1f} GiB" for one in ROOMS]
    table(["row", "state", *shares, *rooms], ([row, *memory_cells(run)] for row, run in runs.items()))
    print(f"\nDays, at utilisation {UTILISATION[1]} to {UTILISATION[0]}; — where the memory above is more than there is:\n")
    table(["row", "accelerator", *shares], ([row, one.name, *time_cells(run, one)] for row, run in runs.items() for one in ACCELERATORS))
    print(f"\nA second at utilisation {UTILISATION[1]}, on {REPLICAS[1]} replicas:\n")
    names = ["row", "accelerator", "steps", "clips read", "MB of uint8", "MB of float32", "all-reduce, GB sent by a replica"]
    table(names, ([row, one.name, *rate_cells(run, one)] for row, run in runs.items() for one in ACCELERATORS))
    print(f"\nThe paper's longest run, 96 hours on {REPLICAS[2]} replicas, taken to be this one:\n")
    names = ["row", "ZFLOP", "TFLOP/s of a replica", "of a TPU v3 core's peak"]
    table(names, ([row, *paper_cells(run)] for row, run in runs.items()))


def table(names: list[str], rows: Iterator[list[str]]) -> None:
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)
    for cells in rows:
        print(f"| {' | '.join(cells)} |", flush=True)


def step_cells(run: Needs) -> list[str]:
    config, one = run.config, run.cost
    clips = config.d_steps * config.batch_size
    return [
        f"{one.generator / 1e6:.1f} M",
        f"{one.discriminator / 1e6:.1f} M",
        f"{run.flops.clip / 1e12:.2f}",
        f"{run.flops.at(config.batch_size) / 1e15:.2f}",
        f"{reduced_bytes(config.d_steps, one.generator, one.discriminator, run.norms) / MB:,.0f}",
        f"{reduced_bytes(config.d_steps, 0, 0, run.norms) / MB:.1f}",
        *(f"{clips * clip_bytes(config, number) / MB:,.0f}" for number in (BYTE, FLOAT)),
        f"{one.variables / GIB:.2f}",
    ]


def memory_cells(run: Needs) -> list[str]:
    held = (run.activations.at(run.config.batch_size // count) for count in REPLICAS)
    totals = (f"{(run.cost.state + kept) / GIB:.1f}" for kept in held)
    return [f"{run.cost.state / GIB:.1f}", *totals, *(str(room(run, one)) for one in ROOMS)]


def time_cells(run: Needs, accelerator: Accelerator) -> list[str]:
    cells = []
    for clips in (run.config.batch_size // count for count in REPLICAS):
        took = (days(seconds(run.flops.at(clips), accelerator.tflops, part), run.config.steps) for part in reversed(UTILISATION))
        cells.append(" to ".join(f"{one:.1f}" for one in took) if clips <= room(run, accelerator) else "—")
    return cells


def rate_cells(run: Needs, accelerator: Accelerator) -> list[str]:
    config, count = run.config, REPLICAS[1]
    steps = 1 / seconds(run.flops.at(config.batch_size // count), accelerator.tflops, UTILISATION[1])
    clips = steps * config.d_steps * config.batch_size
    sent = ring(reduced_bytes(config.d_steps, run.cost.generator, run.cost.discriminator, run.norms), count)
    pixels = [f"{clips * clip_bytes(config, number) / MB:,.0f}" for number in (BYTE, FLOAT)]
    return [f"{steps:.2f}", f"{clips:,.0f}", *pixels, f"{sent * steps / 1e9:.1f}"]


def paper_cells(run: Needs) -> list[str]:
    count = REPLICAS[2]
    replica = run.flops.at(run.config.batch_size // count) * run.config.steps
    rate = replica / (96 * 3600) / 1e12
    return [f"{replica * count / 1e21:.1f}", f"{rate:.0f}", f"{rate / ACCELERATORS[0].tflops:.2f}"]


# Checks

SMALL = dvdgan.Config(
    dataset="moving_shapes/plain",
    size=64,
    frames=8,
    k=4,
    stride=1,
    channels=8,
    classes=12,
    batch_size=8,
    ema_start_step=0,
    precision=PRECISION,
)
FEW, MANY = 4, 16  # clips of the steps that are run


def checks() -> Iterator[list[str]]:
    """Rows of the table: what, predicted, measured, ratio."""
    replicas = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(replicas, [tf.config.LogicalDeviceConfiguration()] * 2)
    run = needs(SMALL)
    eight = SMALL.batch_size
    yield compared("FLOPs of 8 clips, from 2 and 4", run.flops.at(eight), cost.step_flops(SMALL))
    yield compared("activations of 8 clips, from 2 and 4, bytes", run.activations.at(eight), cost.measure(SMALL).activations)
    gan, count = models.build(SMALL), tf.Variable(0, dtype=tf.int64, trainable=False)
    optimizers = make_optimizers(gan, count)
    held = [variable.numpy().nbytes for part in (gan, *optimizers.values()) for variable in part.variables]
    yield compared("variables, bytes", run.cost.variables, sum(held))
    with tempfile.TemporaryDirectory() as folder:
        Run(folder, SMALL, gan, ("a",), optimizers).save()
        yield compared("checkpoint, bytes", run.cost.variables, sum(file.stat().st_size for file in Path(folder).rglob("ckpt-*")))
    dataset = data.load(SMALL, "train")
    video = next(iter(dataset.batches(eight)))["video"].numpy()
    yield compared("batch of float32, bytes", eight * clip_bytes(SMALL, FLOAT), video.nbytes)
    clip, _ = dataset.source.clip(tf.constant(0, tf.int64), tf.constant([0, 0]), True)
    yield compared("clip of uint8, bytes", clip_bytes(SMALL, BYTE), clip.numpy().nbytes)
    predicted = reduced_bytes(SMALL.d_steps, run.cost.generator, run.cost.discriminator, run.norms)
    yield compared("all-reduce of a replica, bytes", predicted, given_to_all_reduce(SMALL))
    yield from steps_run(dataclasses.replace(SMALL, channels=16))


def compared(what: str, predicted: float, measured: float) -> list[str]:
    return [
        what,
        f"{predicted:,.4g}" if predicted < 1e4 else f"{predicted:,.0f}",
        f"{measured:,.4g}" if measured < 1e4 else f"{measured:,.0f}",
        f"{measured / predicted:.4f}",
    ]


def given_to_all_reduce(config: Config) -> float:
    """Bytes that one of two replicas, logical CPU devices, gives to all-reduce in a step, noted while its updates are traced."""
    strategy = tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices("CPU")])
    given: list[int] = []
    all_reduce = tf.distribute.ReplicaContext.all_reduce

    def noted(
        context: tf.distribute.ReplicaContext, op: tf.distribute.ReduceOp, value: list[tf.Tensor], options: None = None
    ) -> list[tf.Tensor]:
        given.append(sum(math.prod(tensor.shape) * tensor.dtype.size for tensor in tf.nest.flatten(value)))
        return all_reduce(context, op, value, options)

    with strategy.scope():
        gan, count = models.build(config), tf.Variable(0, dtype=tf.int64, trainable=False)
        optimizers = make_optimizers(gan, count)
        step = make_step(gan, optimizers, count, strategy)
    dataset = data.load(config, "train")
    batch = next(iter(strategy.distribute_datasets_from_function(lambda _: dataset.batches(config.batch_size, replicas=2))))
    tf.distribute.ReplicaContext.all_reduce = noted
    try:
        step.functions[0].get_concrete_function(batch)
        of_d = sum(given)
        step.functions[1].get_concrete_function(batch)
    finally:
        tf.distribute.ReplicaContext.all_reduce = all_reduce
    return (config.d_steps * of_d + sum(given) - of_d) / 2


def steps_run(config: Config) -> Iterator[list[str]]:
    """Memory and seconds of MANY clips, from those of FEW, each in a process of its own."""
    configs = [dataclasses.replace(config, batch_size=clips) for clips in (FEW, MANY)]
    run = needs(config)
    held = [printed(one, "benchmarks.memory", "--one")["measured"] for one in configs]
    yield compared(f"activations of {MANY - FEW} clips more, MiB", run.activations.clip * (MANY - FEW) / 2**20, (held[1] - held[0]) / 2**20)
    few, many = (printed(one, "benchmarks.step", "--timed_steps=3") for one in configs)
    utilisation = run.flops.at(FEW) / few["median"] / few["ceiling_gflops"] / 1e9
    predicted = seconds(run.flops.at(MANY), many["ceiling_gflops"] / 1e3, utilisation)
    yield compared(f"seconds of {MANY} clips, at the utilisation of {FEW} ({utilisation:.2f})", predicted, many["median"])


def printed(config: Config, program: str, argument: str) -> dict:
    """What a program prints of a Config, which is JSON."""
    command = [sys.executable, "-m", program, argument]
    command += [f"--{field.name}={getattr(config, field.name)}" for field in dataclasses.fields(config) if field.type is not bool]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


if __name__ == "__main__":
    app.run(main)

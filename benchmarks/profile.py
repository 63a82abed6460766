"""What a training step spends its time on, operation by operation: `python -m benchmarks.profile --model=mocogan --size=64 ...`.

Takes the flags of benchmarks.step. Prints two tables in Markdown, of kinds of operations and of the --longest operations by their
shapes: milliseconds of a step, calls, and GFLOP/s, beside the ceiling of benchmarks.step. Two threads run operations side by side, each
of which may use both, so that the times of all operations add up to more than the step's.
"""

import collections
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from absl import flags
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks.scaling import table
from benchmarks.step import convolution_ceiling, prepared, run
from tfvideogan.cli import launch
from tfvideogan.config import Config
from tfvideogan.training import cost

LONGEST = flags.DEFINE_integer("longest", 25, "Rows of each table.")
STEPS = 5  # TGAN clips singular values in one of five
WHOLE = ("__inference", " __inference", "PartitionedCall", "StatefulPartitionedCall", "While", "_XlaRun")  # what other rows are parts of
COMPILED = "CpuExecutable::ExecuteAsyncOnStream"


def main(config: Config) -> None:
    config, _, step, drawn = prepared(config)
    updates = [update.get_concrete_function(drawn[0]).graph for update in step.functions[:2]]
    for _ in range(3):
        run(step, drawn)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder, tf.profiler.experimental.ProfilerOptions(host_tracer_level=2, python_tracer_level=0))
        start = time.perf_counter()
        for _ in range(STEPS):
            run(step, drawn)
        seconds = (time.perf_counter() - start) / STEPS
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    operations = {operation.name: operation for update in updates for graph in graphs(update) for operation in graph.get_operations()}
    kinds, shapes = collections.defaultdict(lambda: [0.0, 0.0, 0.0]), collections.defaultdict(lambda: [0.0, 0.0, 0.0])
    for name, kind, milliseconds in events(space):
        operation = operations.get(name)
        flops = cost._flops(operation) if operation is not None else 0
        shape = "" if operation is None or not operation.outputs else " ".join(str(t.shape) for t in [*operation.inputs][:2])
        for counted in (kinds[kind], shapes[f"{kind} {shape}"]):
            for i, value in enumerate((milliseconds, 1, flops)):
                counted[i] += value / STEPS
    ceiling = convolution_ceiling(config.precision)
    print(f"\n{config.model}, {config.precision}: {seconds:.2f} s a step while profiled; convolutions reach {ceiling:,.0f} GFLOP/s\n")
    for title, counted in (("operation", kinds), ("operation and its first two inputs", shapes)):
        longest = sorted(counted.items(), key=lambda item: -item[1][0])[: LONGEST.value]
        table([title, "ms", "calls", "GFLOP/s"], ([name, *cells(*numbers)] for name, numbers in longest))
        print()


def cells(milliseconds: float, calls: float, flops: float) -> list[str]:
    return [f"{milliseconds:,.1f}", f"{calls:,.0f}", f"{flops / milliseconds / 1e6:,.0f}" if flops else ""]


def graphs(graph: tf.Graph) -> Iterator[tf.Graph]:
    """A graph and those of the functions it calls."""
    yield graph
    for function in graph._functions.values():
        if hasattr(function, "graph"):
            yield from graphs(function.graph)


def events(space: xplane_pb2.XSpace) -> Iterator[tuple[str, str, float]]:
    """(name, kind, milliseconds) of every operation, with XLA's pieces as one kind."""
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name, milliseconds = plane.event_metadata[event.metadata_id].name, event.duration_ps / 1e9
                if name.startswith(COMPILED):
                    yield "", "compiled pieces", milliseconds
                elif ":" in name and "::" not in name:
                    operation, _, kind = name.rpartition(":")
                    if not operation.startswith(WHOLE) and not kind.startswith(WHOLE):
                        yield operation, kind.partition("#")[0], milliseconds


if __name__ == "__main__":
    launch(main)

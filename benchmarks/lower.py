"""A whole training step lowered to HLO, for a machine that has XLA (through JAX) but no TensorFlow.

    python -m benchmarks.lower --model=mocogan --size=64 --frames=16 --channels=32 --batch_size=32 ... --output=DIR
    python benchmarks/run_lowered.py DIR [STEPS]        there; it needs jax alone

The step is D's updates, G's and the average, of any model, phase and precision, as the flags of `train` say. DIR gets `step.hlo`;
`inputs.npz`, its parameters in order: the batches' entries, then the variables; and `step.json`: the Config, and the step's scalars as
TensorFlow computes them from the same inputs. `--values=false` leaves out the last two, which may be large: it is then timed with random
values.
"""

import contextlib
import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import flags

from tfvideogan import models
from tfvideogan.cli import define_path, launch
from tfvideogan.config import Config, UserError
from tfvideogan.ops import forms
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.step import make_step

define_path("output", None, "Folder that the step is written to.")
FORMS = flags.DEFINE_enum(
    "forms", "plain", ["plain", "cpu"], "The formulas as accelerators run them, or the forms that are faster on a CPU."
)
VALUES = flags.DEFINE_boolean("values", True, "Write the inputs' values, and the scalars that TensorFlow computes from them.")


def main(config: Config) -> None:
    if not flags.FLAGS.output:
        raise UserError("--output is missing: expected a folder for the step")
    folder = Path(flags.FLAGS.output)
    folder.mkdir(parents=True, exist_ok=True)
    dataset = models.dataset(config, config.split)
    config = dataclasses.replace(config, classes=config.classes or len(dataset.labels))
    batches = list(itertools.islice(dataset.batches(config.batch_size), config.d_steps))
    with forms.plain() if FORMS.value == "plain" else contextlib.nullcontext():
        gan = models.build(config)
        count = tf.Variable(0, dtype=tf.int64, trainable=False)
        optimizers = make_optimizers(gan, count)
        step = make_step(gan, optimizers, count, tf.distribute.get_strategy(), flat=True)
        function = tf.function(step, autograph=False, jit_compile=True)
        hlo = function.experimental_get_compiler_ir(batches)(stage="hlo_serialized")
        (folder / "step.hlo").write_bytes(hlo)
        print(f"{config.model}: {len(hlo):,} bytes of HLO")
        if VALUES.value:
            kept = [*gan.variables, *(variable for optimizer in optimizers.values() for variable in optimizer.variables)]
            lazy = [] if gan.lazy_r1 is None else [gan.lazy_r1]
            variables = [*(variable.value for variable in kept), count, *gan.adaptive.values(), *lazy]
            write_values(folder, config, function, batches, variables)


def write_values(
    folder: Path, config: Config, function: tf.types.experimental.PolymorphicFunction, batches: list, variables: list[tf.Variable]
) -> None:
    """Writes a step's inputs, and what it gives for them: the variables are then one step on."""
    held = {id(variable.handle): variable for variable in variables}
    captured = function.get_concrete_function(batches).captured_inputs
    inputs = [*tf.nest.flatten(batches), *(held.get(id(one), one) for one in captured)]
    np.savez(folder / "inputs.npz", **{f"{i:05d}": value.numpy() for i, value in enumerate(inputs)})
    scalars = {name: float(value) for name, value in sorted(function(batches).items())}  # in the order of the results
    (folder / "step.json").write_text(json.dumps({"config": dataclasses.asdict(config), "scalars": scalars}, indent=1))


if __name__ == "__main__":
    launch(main, output_folders=("output",))

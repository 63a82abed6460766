"""Makes a run of published weights: `python -m tfvideogan.convert MODEL --weights=FOLDER --output=RUN [--size=N ...]`.

For models whose file reads the layout of such weights (`assign_published`). The run can be sampled, exported, evaluated,
and trained further; its flags are the model's defaults but for those given.
"""

import dataclasses
import sys

import tensorflow as tf
from absl import logging

from tfvideogan import models
from tfvideogan.cli import define_path, launch
from tfvideogan.config import Config, UserError
from tfvideogan.generation.module import refuse_existing
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.run_folder import Run

WEIGHTS = define_path("weights", None, "Folder of the published weights.")
OUTPUT = define_path("output", None, "Folder of the new run.")


def main(config: Config) -> None:
    if not WEIGHTS.value or not OUTPUT.value:
        raise UserError(f"--{'output' if WEIGHTS.value else 'weights'} is missing: expected a folder")
    convert(config, WEIGHTS.value, OUTPUT.value)
    logging.info("wrote %s, a run of %s at step 0, from %s", OUTPUT.value, config.model, WEIGHTS.value)


def convert(config: Config, weights: str, output: str) -> None:
    """Writes a run at step 0 whose generator has the published weights of a folder.

    Raises: UserError for a model without any, for weights of another layout, and if `output` is there.
    """
    assign = getattr(models.find(config.model), "assign_published", None)
    if assign is None:
        known = [name for name in models.names() if hasattr(models.find(name), "assign_published")]
        raise UserError(f"{config.model}: expected a model with published weights: {', '.join(known)}")
    refuse_existing(output, overwrite=False)
    config = dataclasses.replace(config, classes=max(config.classes, 1))
    gan, step = models.build(config), tf.Variable(0, dtype=tf.int64, trainable=False)
    assign(gan, weights)
    run = Run(output, config, gan, tuple(f"class {i}" for i in range(config.classes)), make_optimizers(gan, step), step)
    run.claim()
    run.save()


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        sys.argv[1] = f"--model={sys.argv[1]}"
    launch(main, output_folders=("output",))

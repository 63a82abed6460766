"""Trains a video GAN: `python -m tfvideogan.train --flagfile=configs/X.flags --workdir=DIR [--steps=N ...]`.

Starts a run or goes on with it: a run that was killed and started again equals one that never stopped, bit for bit.
`--dry_run` prints the Config, the networks and the cost of a step, and stops; with `--device_memory_gib`, what fits into a device.
"""

import dataclasses
from pathlib import Path

import tensorflow as tf
from absl import flags, logging

from tfvideogan import data, models
from tfvideogan.cli import define_strategy_flags, launch
from tfvideogan.config import Config, UserError
from tfvideogan.data.service import served_by
from tfvideogan.generation import module
from tfvideogan.training import cost, fitting, profiler
from tfvideogan.training.loop import train
from tfvideogan.training.run_folder import EXPORT, from_run
from tfvideogan.training.strategy import compiles_whole, is_chief, make_strategy

define_strategy_flags()
DRY_RUN = flags.DEFINE_boolean("dry_run", False, "Print the Config, the networks and the cost of a step, and stop.")
DATA_SERVICE = flags.DEFINE_string(
    "data_service", "", "HOST:PORT of a tf.data service's dispatcher, whose workers then read the clips of --dataset=prepared."
)
DEVICE_MEMORY = flags.DEFINE_float(
    "device_memory_gib", 0.0, "With --dry_run: the memory of a device; tells which part of the batch fits, on one device and on eight."
)
PROFILE = flags.DEFINE_string("profile_steps", "", "FIRST:LAST, as 10:15: steps whose profile is written for TensorBoard's profile plugin.")
DETERMINISTIC = flags.DEFINE_boolean("deterministic", False, "Every operation gives the same bits in every run, on GPUs too; slower.")


def main(config: Config) -> None:
    if DRY_RUN.value:
        config = config if config.classes else _with_classes(config, data.load(config, config.split))
        print(cost.report(config))
        if DEVICE_MEMORY.value:
            print(fitting.report(config, DEVICE_MEMORY.value))
        return
    profiled = profiler.steps_of(PROFILE.value)
    workdir = flags.FLAGS.workdir
    if not workdir:
        raise UserError("--workdir is missing: expected a folder for the run")
    if DETERMINISTIC.value:
        tf.config.experimental.enable_op_determinism()
    strategy = make_strategy(flags.FLAGS.strategy, flags.FLAGS.cpu_replicas)
    dataset = models.dataset(config, config.split)
    config = _with_classes(config, dataset)
    if DATA_SERVICE.value:
        dataset = served_by(dataset, DATA_SERVICE.value)
    train(config, dataset, workdir, strategy, whole=compiles_whole(flags.FLAGS.xla, strategy), profiled=profiled)
    if is_chief(strategy):
        logging.info("writing the generator to %s/%s, which can take minutes", workdir, EXPORT)
        module.write(
            from_run(workdir, config, best=False, truncations=module.EXPORT_TRUNCATIONS), str(Path(workdir) / EXPORT), overwrite=True
        )
        logging.info("done: %s/%s is the generator, %s/samples show it", workdir, EXPORT, workdir)


def _with_classes(config: Config, dataset: data.Dataset) -> Config:
    if config.classes not in (0, len(dataset.labels)):
        raise UserError(f"--classes={config.classes}: {config.dataset} has {len(dataset.labels)}; leave it 0 to take that")
    return dataclasses.replace(config, classes=len(dataset.labels))


if __name__ == "__main__":
    launch(main, in_cluster=True, output_folders=("workdir",))

"""Trains a video GAN: `python -m tfvideogan.train --flagfile=configs/X.flags --workdir=DIR [--steps=N ...]`.

Starts a run or goes on with it: a run that was killed and started again equals one that never stopped, bit for bit.
`--dry_run` prints the Config, the networks and the cost of a step, and stops.
"""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from absl import flags, logging

from tfvideogan import cost, data, models, module
from tfvideogan.config import Config, UserError
from tfvideogan.gan import Batch
from tfvideogan.run import EXPORT, Run, launch
from tfvideogan.step import make_optimizers, make_step
from tfvideogan.strategy import define_flags, is_chief, make_strategy
from tfvideogan.watch import Watch

define_flags()
DRY_RUN = flags.DEFINE_boolean("dry_run", False, "Print the Config, the networks and the cost of a step, and stop.")


def main(config: Config) -> None:
    if DRY_RUN.value:
        print(cost.report(config if config.classes else _with_classes(config, data.load(config, config.split))))
        return
    workdir = flags.FLAGS.workdir
    if not workdir:
        raise UserError("--workdir is missing: want a folder for the run")
    strategy = make_strategy(flags.FLAGS.strategy, flags.FLAGS.cpu_replicas)
    dataset = data.load(config, config.split)
    config = _with_classes(config, dataset)
    train(config, dataset, workdir, strategy)
    if is_chief(strategy):
        module.write(module.from_run(workdir, config, best=False), str(Path(workdir) / EXPORT), overwrite=True)
        logging.info("done: %s/%s is the generator, %s/samples show it", workdir, EXPORT, workdir)


def _with_classes(config: Config, dataset: data.Dataset) -> Config:
    if config.classes not in (0, len(dataset.labels)):
        raise UserError(f"--classes={config.classes}: {config.dataset} has {len(dataset.labels)}; leave it 0 to take that")
    return dataclasses.replace(config, classes=len(dataset.labels))


def train(config: Config, dataset: data.Dataset, workdir: str, strategy: tf.distribute.Strategy) -> None:
    """The one loop. Runs to `config.steps`, from the newest checkpoint in `workdir` if there is one."""
    with strategy.scope():
        gan = models.build(config)
        optimizers = make_optimizers(config)
        optimizers["d_optimizer"].build(gan.discriminator.trainable_variables)
        optimizers["g_optimizer"].build(gan.generator.trainable_variables)
        run = Run(workdir, config, gan, dataset.labels, optimizers)
    chief = is_chief(strategy)
    if chief:
        run.claim()
    if run.restore():
        logging.info("resuming %s at step %d", workdir, run.done())
    if chief:
        run.forget_later_records()
    step_function = tf.function(make_step(gan, optimizers, run.step, strategy), autograph=False)
    batches = distribute(dataset, config, strategy, run.done())
    watch = Watch(run, chief)
    if chief and config.evaluate_every_steps and run.done() == 0:
        watch.evaluate(0)  # the untrained generator: what later scores are to be held against

    done, waited, seconds = 0, 0.0, 0.0  # since the last log line
    for step in range(run.done() + 1, config.steps + 1):
        start = time.perf_counter()
        drawn = [next(batches) for _ in range(config.d_steps)]
        waited += time.perf_counter() - start
        scalars = step_function(drawn)
        last = run.done() == config.steps  # waits for the device, so that the time is the step's
        seconds, done = seconds + time.perf_counter() - start, done + 1
        if step % config.log_every_steps == 0 or last:
            watch.log(step, {name: float(value) for name, value in scalars.items()}, done, waited, seconds)
            done, waited, seconds = 0, 0.0, 0.0
        if not chief:
            continue
        if step % config.sample_every_steps == 0 or last:
            watch.sample(step)
        if config.evaluate_every_steps and (step % config.evaluate_every_steps == 0 or last):
            watch.evaluate(step)
        if step % config.checkpoint_every_steps == 0 or last:
            run.save()


def distribute(dataset: data.Dataset, config: Config, strategy: tf.distribute.Strategy, step: int) -> Iterator[Batch]:
    """The endless batches of a run from its step on, each spread over the replicas."""

    def worker_batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
        workers = context.num_input_pipelines
        return dataset.batches(
            config.batch_size,
            start=step * config.d_steps,
            worker=context.input_pipeline_id,
            workers=workers,
            replicas=context.num_replicas_in_sync // workers,
        )

    return iter(strategy.distribute_datasets_from_function(worker_batches))


if __name__ == "__main__":
    launch(main)

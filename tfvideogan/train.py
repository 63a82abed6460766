"""Trains a video GAN: `python -m tfvideogan.train --flagfile=configs/X.flags --workdir=DIR [--steps=N ...]`.

Starts a run or goes on with it: a run that was killed and started again equals one that never stopped, bit for bit.
`--dry_run` prints the Config, the networks and the cost of a step, and stops.
"""

import dataclasses
import json
import os
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
from tfvideogan.watch import Watch

STRATEGY = flags.DEFINE_enum(
    "strategy", "auto", ["auto", "one", "mirrored", "multiworker", "tpu"], "How tf.distribute spreads the global batch."
)
CPU_REPLICAS = flags.DEFINE_integer(
    "cpu_replicas", 1, "Splits the CPU into this many devices, to try --strategy=mirrored without accelerators."
)
DRY_RUN = flags.DEFINE_boolean("dry_run", False, "Print the Config, the networks and the cost of a step, and stop.")


def main(config: Config) -> None:
    if DRY_RUN.value:
        print(cost.report(config if config.classes else _with_classes(config, data.load(config, config.split))))
        return
    workdir = flags.FLAGS.workdir
    if not workdir:
        raise UserError("--workdir is missing: want a folder for the run")
    strategy = make_strategy(STRATEGY.value, CPU_REPLICAS.value)
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


def make_strategy(name: str, cpu_replicas: int) -> tf.distribute.Strategy:
    """The tf.distribute strategy of a --strategy word. Call before anything else touches a device.

    auto: tpu if TPU_NAME is set, multiworker if TF_CONFIG names a cluster, mirrored if there are several GPUs, else one.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if cpu_replicas > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * cpu_replicas)
    cluster = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster")
    if name == "auto":
        name = (
            "tpu"
            if os.environ.get("TPU_NAME")
            else "multiworker"
            if cluster
            else "mirrored"
            if len(gpus) > 1 or cpu_replicas > 1
            else "one"
        )
    if name == "tpu":
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(os.environ.get("TPU_NAME", "local"))
        except (ValueError, tf.errors.OpError) as error:
            raise UserError("--strategy=tpu: found no TPU; set TPU_NAME, or use --strategy=auto") from error
        return tf.distribute.TPUStrategy(resolver)
    if name == "multiworker":
        if not cluster:
            raise UserError("--strategy=multiworker: the environment variable TF_CONFIG names no cluster")
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(None if gpus else [device.name for device in tf.config.list_logical_devices("CPU")])
    return tf.distribute.OneDeviceStrategy("GPU:0" if gpus else "CPU:0")


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the files."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.task_type or resolver.task_type == "chief" or resolver.task_id == 0


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

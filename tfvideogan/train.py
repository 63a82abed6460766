"""Trains a video GAN: `python -m tfvideogan.train --flagfile=configs/X.flags --workdir=DIR [--steps=N ...]`.

Starts a run or goes on with it: a run that was killed and started again equals one that never stopped, bit for bit.
`--dry_run` prints the Config, the networks and the cost of a step, and stops.
"""

import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf
from absl import flags, logging

from tfvideogan import data, models
from tfvideogan.config import Config, UserError
from tfvideogan.gan import GAN, GENERATOR_STEP, Batch
from tfvideogan.layers import noise
from tfvideogan.run import Run, launch
from tfvideogan.watch import Watch

STRATEGY = flags.DEFINE_enum(
    "strategy", "auto", ["auto", "one", "mirrored", "multiworker", "tpu"], "How tf.distribute spreads the global batch."
)
CPU_REPLICAS = flags.DEFINE_integer(
    "cpu_replicas", 1, "Splits the CPU into this many devices, to try --strategy=mirrored without accelerators."
)
DRY_RUN = flags.DEFINE_boolean("dry_run", False, "Print the Config, the networks and the cost of a step, and stop.")

Step = Callable[[list[Batch]], dict[str, tf.Tensor]]


def main(config: Config) -> None:
    if DRY_RUN.value:
        from tfvideogan import cost  # traces the step in a graph of its own; training does without

        print(cost.report(config if config.classes else _with_classes(config, data.load(config, config.split))))
        return
    workdir = flags.FLAGS.workdir
    if not workdir:
        raise UserError("--workdir is missing: want a folder for the run")
    strategy = make_strategy(STRATEGY.value, CPU_REPLICAS.value)
    dataset = data.load(config, config.split)
    train(_with_classes(config, dataset), dataset, workdir, strategy)


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


def make_optimizers(config: Config) -> dict[str, keras.optimizers.Optimizer]:
    """Adam for each player; under float16 with loss scaling."""

    def adam(learning_rate: float) -> keras.optimizers.Optimizer:
        optimizer = keras.optimizers.Adam(learning_rate, beta_1=config.beta_1, beta_2=config.beta_2, epsilon=config.adam_epsilon)
        return keras.optimizers.LossScaleOptimizer(optimizer) if config.precision == "mixed_float16" else optimizer

    return {"d_optimizer": adam(config.d_learning_rate), "g_optimizer": adam(config.g_learning_rate)}


def make_step(gan: GAN, optimizers: dict[str, keras.optimizers.Optimizer], step: tf.Variable, strategy: tf.distribute.Strategy) -> Step:
    """The training step: `d_steps` discriminator updates, each with its own batch, one generator update, the average.

    The same function for every model, strategy and precision; compiles with XLA.

    Returns:
        A function of the list of `d_steps` (distributed) batches, to be wrapped in tf.function. Returns named scalars:
        the loss terms, what the model watches, and the gradients' global norms (of a replica's own gradient, averaged).
    """
    config, replicas = gan.config, strategy.num_replicas_in_sync

    def update(
        loss: Callable, batch: Batch, network: keras.Model, optimizer: keras.optimizers.Optimizer, player: str
    ) -> dict[str, tf.Tensor]:
        weights = [weight.value for weight in network.trainable_variables]
        # Only the player's weights are watched: the other network is run, not recorded.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            terms, watched = loss(batch)
            total = optimizer.scale_loss(tf.add_n(list(terms.values())) / replicas)  # the optimizer sums over replicas
        gradients = tape.gradient(total, weights)
        norm = tf.linalg.global_norm(gradients) * (replicas * total_scale(optimizer))
        optimizer.apply(gradients, network.trainable_variables)
        return {**terms, **watched, f"{player}_gradient_norm": norm}

    def total_scale(optimizer: keras.optimizers.Optimizer) -> tf.Tensor | float:
        return 1.0 / optimizer.dynamic_scale.value if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else 1.0

    def replica_step(batches: list[Batch]) -> dict[str, tf.Tensor]:
        for batch in batches:
            scalars = update(gan.discriminator_loss, batch, gan.discriminator, optimizers["d_optimizer"], "d")
        batch = {**batches[-1], "seed": noise.fork(batches[-1]["seed"], GENERATOR_STEP)}
        return scalars | update(gan.generator_loss, batch, gan.generator, optimizers["g_optimizer"], "g")

    def average(ema: tf.Variable, weight: tf.Tensor, decay: tf.Tensor) -> None:
        ema.assign(decay * ema + (1.0 - decay) * weight)

    def train_step(batches: list[Batch]) -> dict[str, tf.Tensor]:
        scalars = strategy.run(replica_step, args=(batches,))
        step.assign_add(1)
        decay = tf.where(step > config.ema_start_step, config.ema_decay, 0.0)  # before, the average is a copy
        for ema, weight, averaged in gan.ema_pairs():
            strategy.extended.update(ema, average, args=(weight, decay if averaged else 0.0), group=False)
        return {name: strategy.reduce("MEAN", value, axis=None) for name, value in scalars.items()}

    return train_step


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
        logging.info("resuming %s at step %d", workdir, int(run.step))
    if chief:
        run.forget_later_records()
    step_function = tf.function(make_step(gan, optimizers, run.step, strategy))
    batches = distribute(dataset, config, strategy, int(run.step))
    watch = Watch(run, chief)

    done, waited, seconds = 0, 0.0, 0.0  # since the last log line
    for step in range(int(run.step) + 1, config.steps + 1):
        start = time.perf_counter()
        drawn = [next(batches) for _ in range(config.d_steps)]
        waited += time.perf_counter() - start
        scalars = step_function(drawn)
        now, last = int(run.step), step == config.steps  # reading the step waits for the device
        seconds, done = seconds + time.perf_counter() - start, done + 1
        assert now == step
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

"""The one training loop, for every model."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from absl import logging

from tfvideogan import data, models
from tfvideogan.config import Config, RunFailed, UserError
from tfvideogan.gan import Batch
from tfvideogan.training.monitoring import Monitoring
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.profiler import Profiler
from tfvideogan.training.run_folder import LOGS, Run, newest_first, refuse_fewer_steps
from tfvideogan.training.signals import Signals, Stopped
from tfvideogan.training.step import make_step
from tfvideogan.training.strategy import is_chief


def train(
    config: Config,
    dataset: data.Dataset,
    workdir: str,
    strategy: tf.distribute.Strategy,
    whole: bool = False,
    profiled: range = range(0),
) -> None:
    """The one loop. Runs to `config.steps`, from the newest checkpoint in `workdir` if there is one.

    Args:
        config: classes resolved.
        dataset: the clips to learn from.
        workdir: the run's folder.
        strategy: spreads the global batch.
        whole: XLA compiles each update whole.
        profiled: the steps that are written down for TensorBoard's profiler.

    Raises:
        RunFailed: the disk is full, losses stay non-finite, or a worker is lost; what was saved stands.
        SystemExit: SIGTERM or SIGINT came; everything is saved.
        UserError: the replicas cannot share the batch or be compiled as one, the run has more steps, or the folder is another
            run's; nothing is written.
    """
    config.require_parts(strategy.num_replicas_in_sync)
    if whole and strategy.num_replicas_in_sync > 1 and not isinstance(strategy, tf.distribute.TPUStrategy):
        raise UserError(f"--xla=true: got {strategy.num_replicas_in_sync} replicas, expected one, or --xla=auto")
    refuse_fewer_steps(workdir, config.steps)
    with strategy.scope():
        gan = models.build(config)
        count = tf.Variable(0, dtype=tf.int64, trainable=False)
        optimizers = make_optimizers(gan, count)
        run = Run(workdir, config, gan, dataset.labels, optimizers, count)
    chief = is_chief(strategy)
    if config.init_from and not newest_first(workdir):
        folders = [config.init_from] if Path(config.init_from).is_dir() else config.init_from.split(",")
        for folder in folders:
            run.begin_from(folder)
    if chief:
        run.claim(dataset.source.files)
    signals = Signals()
    saved = -1  # step of the newest checkpoint that is whole
    if run.restore():
        saved = run.done()
        logging.info("resuming %s at step %d", workdir, saved)
    if chief:
        run.forget_later_records()
    one_step = make_step(gan, optimizers, run.step, strategy, whole=whole)
    batches = distribute(dataset, config, strategy, run.next_batch())
    watch = Monitoring(run, chief, signals, strategy.num_replicas_in_sync)

    step, rollbacks, first = run.done(), 0, True
    ahead = range(max(profiled.start, step + 1), min(profiled.stop, config.steps + 1))  # the last step ends the profile
    profiler = Profiler(ahead if chief else range(0), run.path / LOGS)
    done, waited, seconds = 0, 0.0, 0.0  # since the last log line
    while True:
        if chief and run.unwatched():
            with contextlib.suppress(Stopped):  # then it is made when the run goes on
                watch.due(step)
                run.watched.assign(step)
        stop = anywhere(strategy, signals.received)
        if step > saved and (stop or step % config.checkpoint_every_steps == 0 or step >= config.steps):
            if chief:
                run.save()
            saved, rollbacks = step, 0
        if stop:
            logging.info("stopped at step %d: start the same command again to go on", step)
            signals.leave()
        if step >= config.steps:
            return

        start = time.perf_counter()
        with profiler.at(step + 1):
            drawn = [next(batches) for _ in range(config.d_steps)]
            waited += time.perf_counter() - start
            scalars = {name: float(value) for name, value in together(strategy, one_step, drawn).items()}  # waits for the device
        signals.defer = True  # until now, everything was saved
        seconds, done, step = seconds + time.perf_counter() - start, done + 1, step + 1
        if first:
            watch.compiled(time.perf_counter() - start, one_step.traces(), whole)
            first = False
        wrong = non_finite(scalars, config.precision)
        if wrong:
            rollbacks += 1
            if rollbacks > config.max_rollbacks:
                raise RunFailed(
                    f"step {step}: {wrong} not finite, though the run went back to step {saved} {config.max_rollbacks} times "
                    "and took other clips. Lower --g_learning_rate and --d_learning_rate, or take --precision=float32, and start again."
                )
            watch.warn(step, f"{wrong} not finite: back to step {saved}, past the clips of this step")
            batches = distribute(dataset, config, strategy, run.roll_back())
            step, done, waited, seconds = saved, 0, 0.0, 0.0
        elif step % config.log_every_steps == 0 or step >= config.steps:
            watch.log(step, scalars, done, waited, seconds)
            done, waited, seconds = 0, 0.0, 0.0


def non_finite(scalars: dict[str, float], precision: str) -> str:
    """Names of the scalars that are not finite; empty if all are."""
    # With float16, a gradient that overflows is how the loss scale is found: the optimizer leaves such a step out.
    names = [name for name in scalars if precision != "mixed_float16" or not name.endswith("gradient_norm")]
    return ", ".join(name for name in names if not math.isfinite(scalars[name]))


def anywhere(strategy: tf.distribute.Strategy, flag: int) -> bool:
    """Whether the flag is set in any worker; all are told the same."""
    if strategy.extended._in_multi_worker_mode():
        flag = together(strategy, lambda value: strategy.reduce("SUM", strategy.run(lambda: value), axis=None), tf.constant(flag))
    return bool(flag)


def together(strategy: tf.distribute.Strategy, function: Callable, argument: object) -> Any:
    """Calls a function that all workers call. Raises RunFailed if one of them is gone."""
    try:
        return function(argument)
    except tf.errors.OpError as error:
        if not strategy.extended._in_multi_worker_mode():
            raise
        raise RunFailed(
            f"a worker is gone: {str(error).splitlines()[0]}. "
            "Start all workers again with the same command: they go on from the last checkpoint."
        ) from error


def distribute(dataset: data.Dataset, config: Config, strategy: tf.distribute.Strategy, first: int) -> Iterator[Batch]:
    """The endless batches of a run from global batch `first` on, each spread over the replicas."""

    def worker_batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
        workers = context.num_input_pipelines
        return dataset.batches(
            config.batch_size,
            start=first,
            worker=context.input_pipeline_id,
            workers=workers,
            replicas=context.num_replicas_in_sync // workers,
        )

    return iter(strategy.distribute_datasets_from_function(worker_batches))

"""The run folder: what everything that is needed to repeat, evaluate or export a run is kept in."""

import dataclasses
import fcntl
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf
from absl import logging

from tfvideogan import models
from tfvideogan.config import FLAGS_FILE, Config, RunFailed, UserError, from_flags, to_flags
from tfvideogan.files import read_lines, reason, require_writable, write_whole
from tfvideogan.gan import GAN
from tfvideogan.generation.module import LABELS_FILE, Generator
from tfvideogan.generation.sampler import Sampler
from tfvideogan.training import checkpoints

METRICS, LOCK, VIDEOS = "metrics.jsonl", ".lock", "videos.tsv"
CHECKPOINTS, LOGS, SAMPLES, EXPORT = "checkpoints", "logs", "samples", "export"


def newest_first(workdir: str | Path, best: bool = False) -> list[Path]:
    """Prefixes of the checkpoints in a run folder, newest first."""
    return checkpoints.found(Path(workdir) / CHECKPOINTS / ("best" if best else ""))


def flags_of(workdir: str | Path) -> dict[str, str]:
    """The settings of the run in a folder, by field. Raises UserError if its run.flags is gone, empty, or no text."""
    file = Path(workdir) / FLAGS_FILE
    try:
        found = from_flags(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({error}); expected the run's settings: put a copy of it there") from error
    if "model" not in found:
        raise UserError(f"{file}: got no --model in it; expected the run's settings: put a copy of it there")
    return found


def refuse_fewer_steps(workdir: str, steps: int) -> None:
    """Raises UserError if the run in a folder has done more steps than it is asked for."""
    done = max(map(checkpoints.step_of, newest_first(workdir)), default=0)
    if steps < done:
        raise UserError(f"--steps={steps}: the run in {workdir} has done {done}; expected at least that")


class Run:
    """The folder of a run, and the checkpoint of what is trained in it.

    Args:
        workdir: the folder; made by `claim`.
        config: the run's Config, classes resolved.
        gan: the model.
        labels: names of the classes.
        optimizers: "d_optimizer" and "g_optimizer", built; none for the programs that come after training.
        step: counts the generator's steps; made here if None.

    Attributes:
        variables: all that a checkpoint holds, by name.
    """

    def __init__(
        self,
        workdir: str,
        config: Config,
        gan: GAN,
        labels: tuple[str, ...],
        optimizers: dict[str, keras.optimizers.Optimizer] | None = None,
        step: tf.Variable | None = None,
    ):
        self.path, self.config, self.gan, self.labels = Path(workdir), config, gan, labels
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False) if step is None else step
        self.best = tf.Variable(float("inf"), dtype=tf.float32, trainable=False)  # lowest FID so far
        self.watched = tf.Variable(-1, dtype=tf.int64, trainable=False)  # last step whose samples and scores, if due, are made
        self.skipped = tf.Variable(0, dtype=tf.int64, trainable=False)  # global batches left out after non-finite losses
        parts = {"generator": checkpoints.paths(gan.generator), "ema_generator": checkpoints.paths(gan.ema_generator)}
        if optimizers:  # after training D has no part: clips may have more frames than those it learned to tell apart
            parts["discriminator"] = checkpoints.paths(gan.discriminator)
            parts["d_optimizer"] = checkpoints.of_optimizer(optimizers["d_optimizer"], gan.discriminator)
            parts["g_optimizer"] = checkpoints.of_optimizer(optimizers["g_optimizer"], gan.generator)
            parts["adaptive"] = gan.adaptive
        self.variables = {"step": self.step, "best": self.best, "watched": self.watched, "skipped": self.skipped}
        self.variables |= {f"{name}/{path}": variable for name, part in parts.items() for path, variable in part.items()}

    def done(self) -> int:
        """Generator steps done. Reading it waits for the device."""
        return int(self.step.numpy())

    def next_batch(self) -> int:
        """Number of the global batch that the next step begins with."""
        return self.done() * self.config.d_steps + int(self.skipped.numpy())

    def roll_back(self) -> int:
        """Restores the newest checkpoint, to go on past the clips of the present step. Returns the number of the next batch."""
        first = self.next_batch()
        self.restore()
        self.skipped.assign(first - self.done() * self.config.d_steps)
        return first

    def unwatched(self) -> bool:
        """Whether samples and scores of this step, if due, are still to be made."""
        return int(self.watched.numpy()) < self.done()

    def claim(self, files: Sequence[str] = ()) -> None:
        """Makes the folder this run's, or checks that it is, and keeps other trainers out while this process lives.

        Args:
            files: what the run's clips are of, as `source.Source` says. What changed since the run was last started is named in a warning.

        Raises: UserError if it holds a run of other networks or classes, cannot be written to, or another trainer is at work in it.
        """
        for name in ("", CHECKPOINTS, f"{CHECKPOINTS}/best", LOGS, SAMPLES):
            require_writable("workdir", self.path / name, folder=True)
        for name in (FLAGS_FILE, LABELS_FILE, VIDEOS, METRICS, LOCK):
            require_writable("workdir", self.path / name, folder=False)
        self._lock()
        file = self.path / FLAGS_FILE
        self._refuse_other_classes()
        if newest_first(self.path) or file.is_file() and file.stat().st_size:
            before, now = flags_of(self.path), from_flags(to_flags(self.config))
            fixed = {field.name for field in dataclasses.fields(self.config) if field.metadata["fixed"]}
            changed = {name: f"--{name}={now[name]} (was {before[name]})" for name in now if before.get(name, now[name]) != now[name]}
            refused = [text for name, text in changed.items() if name in fixed]
            if refused:
                raise UserError(f"--workdir={self.path}: {', '.join(refused)} cannot change in a run; expected another --workdir")
            for text in changed.values():
                logging.warning("resuming with %s", text)
        write_whole(file, to_flags(self.config))
        write_whole(self.path / LABELS_FILE, "".join(f"{label}\n" for label in self.labels))
        self._warn_of_other_videos(files)
        write_whole(self.path / VIDEOS, "".join(f"{line}\n" for line in files))

    def _refuse_other_classes(self) -> None:
        """Raises UserError if the run learned other classes before."""
        file = self.path / LABELS_FILE
        before = tuple(read_lines(file)) if file.is_file() else self.labels
        if before == self.labels:
            return
        new, gone = set(self.labels) - set(before), set(before) - set(self.labels)
        told = [f"{what} {some(names)}" for what, names in (("new:", new), ("gone:", gone)) if names] or ["they are in another order"]
        raise UserError(
            f"--workdir={self.path}: the run has {len(before)} classes, --data_dir={self.config.data_dir} has {len(self.labels)}; "
            f"{'; '.join(told)}. Classes cannot change in a run; expected another --workdir"
        )

    def _warn_of_other_videos(self, files: Sequence[str]) -> None:
        """Names what came, went, or changed among the files of the data set since the run was last started."""
        file = self.path / VIDEOS
        if not file.is_file():
            return
        given = "".join(f"{line}\n" for line in files).split("\n")[:-1]  # as they are written and read: names may have line breaks
        before, now = (dict(line.rpartition("\t")[::2] for line in lines) for lines in (read_lines(file), given))
        found = {
            "new": now.keys() - before.keys(),
            "gone": before.keys() - now.keys(),
            "changed": {name for name in now.keys() & before.keys() if now[name] != before[name]},
        }
        told = [f"{len(names)} {what} ({some(names)})" for what, names in found.items() if names]
        if told:
            logging.warning("resuming with other clips, so not as if it had not stopped: of the data set's files %s", ", ".join(told))

    def _lock(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self._locked = open(self.path / LOCK, "a+")  # held open: the system lets go of the lock when the process ends, however it ends
        try:
            fcntl.flock(self._locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._locked.seek(0)
            raise UserError(f"--workdir={self.path}: process {self._locked.read().strip() or '?'} is training in it") from error
        self._locked.truncate(0)
        self._locked.write(f"{os.getpid()}")
        self._locked.flush()
        for folder in (self.path / CHECKPOINTS, self.path / CHECKPOINTS / "best"):
            checkpoints.remove_unfinished(folder)
        for left in self.path.glob(f".{EXPORT}.*"):  # of a process that was killed while it wrote
            shutil.rmtree(left)

    def restore(self, best: bool = False) -> bool:
        """Restores the newest (or the best) checkpoint that is whole. Returns whether there was one.

        TensorFlow checks the sums that it keeps of every tensor and of the index. A damaged checkpoint is named in the log,
        and the one before it is used. One that goes while it is read, as a trainer drops old ones, is not damaged: there is a newer one.

        Raises: UserError if all are damaged, or hold other variables than the model has.
        """
        damaged: list[Path] = []
        while left := [prefix for prefix in newest_first(self.path, best) if prefix not in damaged]:
            prefix = left[0]
            try:
                there = checkpoints.shapes(prefix)
                self._refuse_others(prefix, there)
                values = checkpoints.read(prefix, list(self.variables))
            except UserError:
                raise
            except Exception as error:  # the reader's finding comes as OpError, ValueError, IndexError, by the kind of damage
                if prefix in newest_first(self.path, best):
                    logging.warning("%s is damaged and left out: %s", prefix, str(error).splitlines()[0])
                    damaged.append(prefix)
                continue
            for name, variable in self.variables.items():
                variable.assign(values[name])
            return True
        if damaged:
            raise UserError(f"--workdir={self.path}: every checkpoint is damaged: {', '.join(prefix.name for prefix in damaged)}")
        return False

    def _refuse_others(self, prefix: Path, there: dict[str, list[int]]) -> None:
        """Raises UserError if a checkpoint's variables, of those parts that this run has, are others than the run's."""
        parts = {name.partition("/")[0] for name in self.variables}
        faults = {
            "lacks": self.variables.keys() - there.keys(),
            "has, and the model has not,": {name for name in there.keys() - self.variables.keys() if name.partition("/")[0] in parts},
            "has in another shape": {n for n, v in self.variables.items() if n in there and list(v.shape) != list(there[n])},
        }
        if any(faults.values()):
            told = "; ".join(f"it {fault} {some(names)}" for fault, names in faults.items() if names)
            raise UserError(f"{prefix}: does not hold the variables of this {self.config.model}: {told}")

    def begin_from(self, folder: str) -> None:
        """Takes the weights of the newest checkpoint of another run, where path and shape match, and logs which it did not take.

        Raises: UserError if there is no checkpoint that can be read, or nothing matches; nothing is written.
        """
        prefixes = newest_first(folder)
        if not prefixes:
            raise UserError(f"--init_from={folder}: expected the folder of a run, got no checkpoint")
        networks = ("generator/", "ema_generator/", "discriminator/")
        weights = {name: variable for name, variable in self.variables.items() if name.startswith(networks)}
        try:
            there = checkpoints.shapes(prefixes[0])
            taken = [name for name, variable in weights.items() if there.get(name) == list(variable.shape)]
            values = checkpoints.read(prefixes[0], taken)
        except Exception as error:  # see `restore`
            raise UserError(f"--init_from={folder}: {prefixes[0].name} is damaged: {str(error).splitlines()[0]}") from error
        if not taken:
            raise UserError(f"--init_from={folder}: no variable there has path and shape of one of this {self.config.model}")
        for name in taken:
            weights[name].assign(values[name])
        left, unused = weights.keys() - taken, {name for name in there if name.startswith(networks)} - set(taken)
        logging.info("%d of %d variables from %s of %s", len(taken), len(weights), prefixes[0].name, folder)
        for what, names in (("keep their first values", left), ("of that run are not used", unused)):
            if names:
                logging.info("%d variables %s: %s", len(names), what, ", ".join(sorted(names)))

    def save(self) -> None:
        """Writes the checkpoint of this step, and drops old ones. Raises RunFailed if it cannot be written."""
        self._save(self.path / CHECKPOINTS, self.config.keep_checkpoints)

    def save_best(self, value: float) -> None:
        """Keeps this step as the best one if its FID is the lowest so far."""
        if value < float(self.best.numpy()):
            self.best.assign(value)
            self._save(self.path / CHECKPOINTS / "best", keep=1)

    def _save(self, folder: Path, keep: int) -> None:
        step = self.done()
        try:
            checkpoints.save(folder, step, self.variables, keep)
        except (tf.errors.OpError, OSError) as error:
            kept = ", ".join(prefix.name for prefix in newest_first(self.path)) or "none"
            raise RunFailed(
                f"{folder}: cannot write the checkpoint of step {step}: {reason(error)}. "
                f"Kept: {kept}. Make room, and start the same command again."
            ) from error

    def forget_later_records(self) -> None:
        """Drops the measurements that are about to be made again: those after the restored state."""
        file, watched = self.path / METRICS, int(self.watched.numpy())
        if file.is_file():
            write_whole(file, "".join(f"{json.dumps(record)}\n" for record in read_records(self.path) if record["step"] <= watched))


def some(names: set[str], shown: int = 3) -> str:
    """The first of these names, and how many there are more."""
    more = len(names) - shown
    return ", ".join(sorted(names)[:shown]) + (f" and {more} more" if more > 0 else "")


def append_records(workdir: str | Path, step: int, records: list[dict]) -> None:
    """Appends measurements to a run's metrics.jsonl, one JSON object a line."""
    Path(workdir).mkdir(parents=True, exist_ok=True)
    with open(Path(workdir) / METRICS, "ab+") as file:
        file.seek(-min(file.tell(), 1), os.SEEK_END)
        begun = file.read(1) not in (b"", b"\n")  # a line that a full disk cut off: what is added begins a line of its own
        lines = [json.dumps({"step": step, **record}) + "\n" for record in records]
        file.write("".join(["\n" * begun, *lines]).encode())


def read_records(workdir: str | Path) -> list[dict]:
    """The measurements in a run's metrics.jsonl. What is none, as the line that a killed process was at, is left out with a word."""
    file, records = Path(workdir) / METRICS, []
    lines = file.read_bytes().split(b"\n") if file.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line) if line else None
            if record is not None:
                records.append({"step": record["step"], **record})
        except (ValueError, LookupError, TypeError):
            logging.warning("%s: line %d is no measurement and left out", file, number)
    return records


def open_run(workdir: str, config: Config, best: bool = False, precision: str = "float32") -> Run:
    """The run in a folder, restored, to compute in this precision: what evaluate, sample and export start from.

    Raises UserError if the folder holds no checkpoint, or if config.frames is not the run's and its model cannot change it.
    """
    missing = f"--workdir={workdir}: holds no {'best checkpoint: train with --evaluate_every_steps' if best else 'checkpoint: train first'}"
    if not newest_first(workdir, best):
        raise UserError(missing)
    frames = int(flags_of(workdir).get("frames", config.frames))
    if config.frames != frames and not models.find(config.model).Model.free_frames:
        raise UserError(f"--frames={config.frames}: {workdir} holds a {config.model} of {frames} frames, which makes no others")
    labels = tuple(read_lines(Path(workdir) / LABELS_FILE))
    run = Run(workdir, config, models.build(dataclasses.replace(config, precision=precision)), labels)
    if not run.restore(best):  # gone since it was looked for
        raise UserError(missing)
    return run


def from_run(
    workdir: str,
    config: Config,
    best: bool,
    interpolate_frames: int = 1,
    precision: str = "float32",
    truncations: tuple[float, ...] = (1.0,),
) -> Generator:
    """The averaged weights of a run's newest (or best) checkpoint, with standing statistics for these truncations, computing in
    this precision. A generator that reads videos computes them from the run's data set, which must be there."""
    run = open_run(workdir, config, best, precision)
    sampler = Sampler(run.gan, interpolate_frames=interpolate_frames, truncations=truncations)
    sampler.calibrate(given_batches(sampler, run.config))
    return Generator(workdir, run.config, run.labels, run.done(), sampler, scores_of(workdir, run.done()))


def scores_of(workdir: str | Path, step: int) -> tuple[dict, ...]:
    """Records of the evaluations at a step: of those of one metric by one protocol the last."""
    last = {(record["metric"], json.dumps(record["protocol"])): record for record in read_records(workdir) if record["step"] == step}
    return tuple(last.values())


def given_batches(sampler: Sampler, config: Config) -> tf.data.Dataset | None:
    """The batches behind the standing statistics of a generator that has some and reads videos; None for others."""
    return models.dataset(config, config.split).batches(config.calibration_clips) if sampler.reads_clips else None

"""Flags <-> Config, the run folder, and the one way every program starts and fails.

`--model` is found first, also inside a flagfile; then each field of that model's Config becomes a flag with its type,
default and help. A run folder keeps every field in `run.flags`, so the programs that come after training need only
the folder, and a later change of a default cannot change an old run.
"""

import dataclasses
import fcntl
import json
import logging as stdlib_logging
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from absl import flags, logging

from tfvideogan import models
from tfvideogan.config import Config, RunFailed, UserError
from tfvideogan.gan import GAN

FLAGS = flags.FLAGS
DEFINE = {bool: flags.DEFINE_boolean, int: flags.DEFINE_integer, float: flags.DEFINE_float, str: flags.DEFINE_string}
FLAGS_FILE, LABELS_FILE, METRICS, LOCK = "run.flags", "labels.txt", "metrics.jsonl", ".lock"
CHECKPOINTS, LOGS, SAMPLES, EXPORT = "checkpoints", "logs", "samples", "export"

flags.DEFINE_string("workdir", None, "Folder of the run.")


def launch(main: Callable[[Config], None], saved: tuple[str, ...] = (), kind: type[Config] | None = None) -> None:
    """Runs a program: `main` gets the Config of the command line.

    Exits with 0; with 2 after one line on stderr for a mistake of the user's (UserError or a wrong flag); with 1 after one
    line for a run that could not go on (RunFailed).

    Args:
        main: the program.
        saved: flags that name a folder whose run.flags the Config starts from; the command line overrides it.
        kind: the Config class; that of --model if None.
    """
    program = Path(sys.argv[0]).stem
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    # TensorFlow tells of every file it saves, and of signatures in lines of thousands of characters.
    logging.get_absl_handler().addFilter(lambda record: record.levelno > stdlib_logging.INFO or "/tensorflow/" not in record.pathname)
    stdlib_logging.getLogger("tensorflow").setLevel(stdlib_logging.WARNING)
    try:
        main(parse(sys.argv, saved, kind))
    except (UserError, RunFailed, flags.Error) as error:
        print(f"{program}: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1 if isinstance(error, RunFailed) else 2)
    except tf.errors.OpError as error:  # what is raised while clips are read comes with TensorFlow's traceback around it
        told = re.search(r"RunFailed: (.*)", str(error))
        if told is None:
            raise
        print(f"{program}: {told.group(1)}", file=sys.stderr)
        sys.exit(1)


def parse(argv: list[str], saved: tuple[str, ...], kind: type[Config] | None) -> Config:
    """The Config of a command line. Raises UserError or flags.Error, with a one-line message."""
    arguments = FLAGS.read_flags_from_files(argv[1:])
    for name in saved:
        folder = _peek(arguments, name)
        if folder and (Path(folder) / FLAGS_FILE).is_file():
            arguments = FLAGS.read_flags_from_files([f"--flagfile={folder}/{FLAGS_FILE}"]) + arguments
        elif folder and not Path(folder).is_dir():
            raise UserError(f"--{name}={folder}: no such folder")
    kind = kind or models.find(_peek(arguments, "model") or Config.model).Config
    for field in dataclasses.fields(kind):
        DEFINE[field.type](field.name, field.default, field.metadata["help"])
    for module, defined in FLAGS.flags_by_module_dict().items():
        for flag in defined if module.startswith("tfvideogan.") else []:  # for --help: all of this package's flags
            FLAGS.register_key_flag_for_module(argv[0], flag)
    if {"--help", "-help", "--helpfull", "-h"} & set(arguments):
        print(f"Flags of {Path(argv[0]).stem}:\n{FLAGS.main_module_help()}")
        sys.exit(0)
    rest = FLAGS([argv[0], *arguments])[1:]
    if rest:
        raise UserError(f"{rest[0]}: not a flag; flags are written --name=value")
    return kind(**{field.name: FLAGS[field.name].value for field in dataclasses.fields(kind)})


def _peek(arguments: list[str], name: str) -> str:
    """The last value given for a flag, before flags are parsed; empty if there is none."""
    value = ""
    for argument, after in zip(arguments, [*arguments[1:], ""], strict=True):
        flag, equals, given = argument.lstrip("-").partition("=")
        if argument.startswith("-") and flag == name:
            value = given if equals else after
    return value


def write_atomically(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def to_flags(config: Config) -> str:
    """Every field as a line of a flagfile."""
    lines = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        lines.append(f"--{field.name}={str(value).lower() if field.type is bool else value}\n")
    return "".join(lines)


def from_flags(text: str) -> dict[str, str]:
    """What `to_flags` wrote, by field."""
    return dict(line[2:].split("=", 1) for line in text.splitlines())


def checkpoints(workdir: str | Path, best: bool = False) -> list[Path]:
    """Prefixes of the checkpoints in a run folder, newest first, as their files say: TensorFlow's own list of them may be damaged."""
    files = (Path(workdir) / CHECKPOINTS / ("best" if best else "")).glob("ckpt-*.*")
    prefixes = {file.with_suffix("") for file in files if file.with_suffix("").name[5:].isdigit()}
    return sorted(prefixes, key=lambda prefix: int(prefix.name[5:]), reverse=True)


class Run:
    """The folder of a run, and the checkpoint of what is trained in it.

    Args:
        workdir: the folder; made by `claim`.
        config: the run's Config, classes resolved.
        gan: the model.
        labels: names of the classes.
        optimizers: the optimizers by name, none for the programs that come after training.
    """

    def __init__(self, workdir: str, config: Config, gan: GAN, labels: tuple[str, ...], optimizers: dict[str, tf.Module] | None = None):
        self.path, self.config, self.gan, self.labels = Path(workdir), config, gan, labels
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.best = tf.Variable(float("inf"), dtype=tf.float32, trainable=False)  # lowest FID so far
        self.watched = tf.Variable(-1, dtype=tf.int64, trainable=False)  # last step whose samples and scores, if due, are made
        self.skipped = tf.Variable(0, dtype=tf.int64, trainable=False)  # global batches left out after non-finite losses
        parts = {"generator": gan.generator, "ema_generator": gan.ema_generator}
        if optimizers:  # after training D has no part: clips may have more frames than those it learned to judge
            parts |= {"discriminator": gan.discriminator, **optimizers}
        # Variables by their order: of layers that stand in a list, Keras' own tracking leaves some out.
        variables = {name: [variable.value for variable in part.variables] for name, part in parts.items()}
        self.checkpoint = tf.train.Checkpoint(step=self.step, best=self.best, watched=self.watched, skipped=self.skipped, **variables)
        folder = self.path / CHECKPOINTS
        self.newest = tf.train.CheckpointManager(self.checkpoint, str(folder), max_to_keep=config.keep_checkpoints)
        self.lowest = tf.train.CheckpointManager(self.checkpoint, str(folder / "best"), max_to_keep=1)

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

    def claim(self) -> None:
        """Makes the folder this run's, or checks that it is, and keeps other trainers out while this process lives.

        Raises: UserError if it holds a run of other networks, or another trainer is at work in it.
        """
        self._lock()
        file = self.path / FLAGS_FILE
        if file.is_file():
            before, now = from_flags(file.read_text()), from_flags(to_flags(self.config))
            network = {field.name for field in dataclasses.fields(self.config) if field.metadata["network"]}
            changed = [f"--{name}={now[name]} (was {before.get(name)})" for name in now if now[name] != before.get(name)]
            refused = [text for text in changed if text[2:].split("=")[0] in network]
            if refused:
                raise UserError(f"--workdir={self.path} holds a run of other networks: {', '.join(refused)}. Give another --workdir.")
            for text in changed:
                logging.warning("resuming with %s", text)
        write_atomically(file, to_flags(self.config))
        write_atomically(self.path / LABELS_FILE, "".join(f"{label}\n" for label in self.labels))

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
        for left in [*self.path.glob("checkpoints/**/*_temp*"), *self.path.glob(".export.*"), *self.path.glob("*.tmp")]:
            shutil.rmtree(left) if left.is_dir() else left.unlink()  # of a process that was killed while it wrote

    def restore(self, best: bool = False) -> bool:
        """Restores the newest (or the best) checkpoint that is whole. Returns whether there was one.

        TensorFlow checks the sums that it keeps of every tensor and of the index. A damaged checkpoint is named in the log,
        and the one before it is used.

        Raises: UserError if all are damaged, or lack variables.
        """
        prefixes = checkpoints(self.path, best)
        for prefix in prefixes:
            try:
                status = self.checkpoint.restore(str(prefix)).expect_partial()  # programs after training leave the optimizers
                status.assert_existing_objects_matched()
            except AssertionError as error:
                raise UserError(f"{prefix}: does not hold all of {self.config.model}'s variables; written by another version?") from error
            except Exception as error:  # the reader's finding comes as OpError, ValueError, IndexError, by the kind of damage
                logging.warning("%s is damaged and left out: %s", prefix, str(error).splitlines()[0])
                continue
            return True
        if prefixes:
            raise UserError(f"--workdir={self.path}: every checkpoint is damaged: {', '.join(prefix.name for prefix in prefixes)}")
        return False

    def save(self) -> None:
        """Writes the checkpoint of this step, and drops old ones. Raises RunFailed if it cannot be written."""
        self._save(self.newest)

    def save_best(self, value: float) -> None:
        """Keeps this step as the best one if its FID is the lowest so far."""
        if value < float(self.best.numpy()):
            self.best.assign(value)
            self._save(self.lowest)

    def _save(self, manager: tf.train.CheckpointManager) -> None:
        step = self.done()
        try:
            manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            for file in Path(manager.directory).glob(f"ckpt-{step}*"):
                shutil.rmtree(file) if file.is_dir() else file.unlink()
            kept = ", ".join(prefix.name for prefix in checkpoints(self.path)) or "none"
            raise RunFailed(
                f"{manager.directory}: cannot write the checkpoint of step {step}: {str(error).splitlines()[0]}. "
                f"Kept: {kept}. Make room, and start the same command again."
            ) from error

    def forget_later_records(self) -> None:
        """Drops the measurements that are about to be made again: those after the restored state."""
        file, watched = self.path / METRICS, int(self.watched.numpy())
        if file.is_file():
            lines = file.read_text().splitlines(keepends=True)
            write_atomically(file, "".join(line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= watched))


def append_records(workdir: str | Path, step: int, records: list[dict]) -> None:
    """Appends measurements to a run's metrics.jsonl, one JSON object a line."""
    with open(Path(workdir) / METRICS, "a") as file:
        file.writelines(json.dumps({"step": step, **record}) + "\n" for record in records)


def open_run(workdir: str, config: Config, best: bool = False, precision: str = "float32") -> Run:
    """The run in a folder, restored, to compute in this precision: what evaluate, sample and export start from.

    Raises UserError if the folder holds no checkpoint, or if config.frames is not the run's and its model cannot change it.
    """
    if not checkpoints(workdir, best):
        raise UserError(
            f"--workdir={workdir}: holds no {'best checkpoint: train with --evaluate_every_steps' if best else 'checkpoint: train first'}"
        )
    frames = int(from_flags((Path(workdir) / FLAGS_FILE).read_text())["frames"])
    if config.frames != frames and not models.find(config.model).Model.free_frames:
        raise UserError(f"--frames={config.frames}: {workdir} holds a {config.model} of {frames} frames, which makes no others")
    labels = tuple((Path(workdir) / LABELS_FILE).read_text().splitlines())
    run = Run(workdir, config, models.build(dataclasses.replace(config, precision=precision)), labels)
    run.restore(best)
    return run

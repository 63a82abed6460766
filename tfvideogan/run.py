"""Flags <-> Config, the run folder, and the one way every program starts and fails.

`--model` is found first, also inside a flagfile; then each field of that model's Config becomes a flag with its type,
default and help. A run folder keeps every field in `run.flags`, so the programs that come after training need only
the folder, and a later change of a default cannot change an old run.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from absl import flags, logging

from tfvideogan import models
from tfvideogan.config import Config, UserError
from tfvideogan.gan import GAN

FLAGS = flags.FLAGS
DEFINE = {bool: flags.DEFINE_boolean, int: flags.DEFINE_integer, float: flags.DEFINE_float, str: flags.DEFINE_string}
FLAGS_FILE, LABELS_FILE, METRICS = "run.flags", "labels.txt", "metrics.jsonl"
CHECKPOINTS, LOGS, SAMPLES, EXPORT = "checkpoints", "logs", "samples", "export"

flags.DEFINE_string("workdir", None, "Folder of the run.")


def launch(main: Callable[[Config], None], saved: tuple[str, ...] = (), kind: type[Config] | None = None) -> None:
    """Runs a program: `main` gets the Config of the command line.

    Exits with 0, or with 2 after one line on stderr for a mistake of the user's (UserError or a wrong flag).

    Args:
        main: the program.
        saved: flags that name a folder whose run.flags the Config starts from; the command line overrides it.
        kind: the Config class; that of --model if None.
    """
    program = Path(sys.argv[0]).stem
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    try:
        main(parse(sys.argv, saved, kind))
    except (UserError, flags.Error) as error:
        print(f"{program}: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


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
        parts = {"generator": gan.generator, "ema_generator": gan.ema_generator, "discriminator": gan.discriminator, **(optimizers or {})}
        # Variables by their order: of layers that stand in a list, Keras' own tracking leaves some out.
        variables = {name: [variable.value for variable in part.variables] for name, part in parts.items()}
        self.checkpoint = tf.train.Checkpoint(step=self.step, best=self.best, **variables)
        folder = self.path / CHECKPOINTS
        self.newest = tf.train.CheckpointManager(self.checkpoint, str(folder), max_to_keep=config.keep_checkpoints)
        self.lowest = tf.train.CheckpointManager(self.checkpoint, str(folder / "best"), max_to_keep=1)

    def done(self) -> int:
        """Generator steps done. Reading it waits for the device."""
        return int(self.step.numpy())

    def claim(self) -> None:
        """Makes the folder this run's, or checks that it is: UserError if it holds a run of other networks."""
        file = self.path / FLAGS_FILE
        if file.is_file():
            before = dict(line[2:].split("=", 1) for line in file.read_text().splitlines())
            now = dict(line[2:].split("=", 1) for line in to_flags(self.config).splitlines())
            network = {field.name for field in dataclasses.fields(self.config) if field.metadata["network"]}
            changed = [f"--{name}={now[name]} (was {before.get(name)})" for name in now if now[name] != before.get(name)]
            refused = [text for text in changed if text[2:].split("=")[0] in network]
            if refused:
                raise UserError(f"--workdir={self.path} holds a run of other networks: {', '.join(refused)}. Give another --workdir.")
            for text in changed:
                logging.warning("resuming with %s", text)
        write_atomically(file, to_flags(self.config))
        write_atomically(self.path / LABELS_FILE, "".join(f"{label}\n" for label in self.labels))

    def restore(self, best: bool = False) -> bool:
        """Restores the newest (or the best) checkpoint. Returns whether there was one."""
        path = (self.lowest if best else self.newest).latest_checkpoint
        if path is None:
            return False
        status = self.checkpoint.restore(path).expect_partial()  # programs after training leave the optimizers
        try:
            status.assert_existing_objects_matched()
        except AssertionError as error:
            raise UserError(f"{path}: does not hold all of {self.config.model}'s variables; written by another version?") from error
        return True

    def save(self) -> None:
        self.newest.save(checkpoint_number=self.done())

    def save_best(self, value: float) -> None:
        """Keeps this step as the best one if its FID is the lowest so far."""
        if value < float(self.best.numpy()):
            self.best.assign(value)
            self.lowest.save(checkpoint_number=self.done())

    def forget_later_records(self) -> None:
        """Drops the measurements of steps after the restored one: they are about to be made again."""
        file = self.path / METRICS
        if file.is_file():
            lines = file.read_text().splitlines(keepends=True)
            write_atomically(file, "".join(line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= self.done()))


def append_records(workdir: str | Path, step: int, records: list[dict]) -> None:
    """Appends measurements to a run's metrics.jsonl, one JSON object a line."""
    with open(Path(workdir) / METRICS, "a") as file:
        file.writelines(json.dumps({"step": step, **record}) + "\n" for record in records)


def open_run(workdir: str, config: Config, best: bool = False) -> Run:
    """The run in a folder, restored, in float32: what evaluate, sample and export start from.

    Raises UserError if the folder holds no checkpoint.
    """
    folder = Path(workdir) / CHECKPOINTS
    if tf.train.latest_checkpoint(str(folder / "best" if best else folder)) is None:
        raise UserError(
            f"--workdir={workdir}: holds no {'best checkpoint: train with --evaluate_every_steps' if best else 'checkpoint: train first'}"
        )
    labels = tuple((Path(workdir) / LABELS_FILE).read_text().splitlines())
    run = Run(workdir, config, models.build(dataclasses.replace(config, precision="float32")), labels)
    run.restore(best)
    return run

"""Flags <-> Config, and the one way every program starts and fails.

`--model` is found first, also inside a flagfile; then each field of that model's Config becomes a flag with its type,
default and help. A run folder keeps every field in `run.flags`, so the programs that come after training need only
the folder, and a later change of a default cannot change an old run.
"""

import contextlib
import dataclasses
import logging as stdlib_logging
import math
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import tensorflow as tf
from absl import flags, logging

from tfvideogan import models
from tfvideogan.config import FLAGS_FILE, Config, RunFailed, UserError
from tfvideogan.data.paths import NOT_PLAIN, is_plain
from tfvideogan.files import reason, require_writable
from tfvideogan.generation import hugging_face
from tfvideogan.generation.module import Generator, from_module
from tfvideogan.installed import found
from tfvideogan.ops import forms
from tfvideogan.training.run_folder import flags_of, from_run
from tfvideogan.training.strategy import leave_cluster, set_up_devices

Settings = TypeVar("Settings")  # the dataclass whose fields are a program's flags
FLAGS = flags.FLAGS
MARK = "\ufeff"  # the byte order mark
# What TensorFlow raises where a file cannot be read or written.
OF_FILES = (tf.errors.NotFoundError, tf.errors.DataLossError, tf.errors.PermissionDeniedError, tf.errors.ResourceExhaustedError)
DEFINE: dict[Any, Callable] = {bool: flags.DEFINE_boolean, int: flags.DEFINE_integer, float: flags.DEFINE_float, str: flags.DEFINE_string}


class Terminated(KeyboardInterrupt):
    """SIGTERM came: it ends a program as Ctrl-C does."""


class Lines(stdlib_logging.Formatter):
    """Lines of the log as "I1129 16:43:40 text": the first letter of the level, then the day and the time."""

    def __init__(self):
        super().__init__("%(asctime)s %(message)s", "%m%d %H:%M:%S")

    def format(self, record: stdlib_logging.LogRecord) -> str:
        return record.levelname[0] + super().format(record)


def is_for_users(record: stdlib_logging.LogRecord) -> bool:
    """Of TensorFlow and its data sets errors alone: they tell of every file they save, and warn of what their own code does."""
    return record.levelno >= stdlib_logging.ERROR or not re.search("/tensorflow(_datasets)?/", record.pathname)


class PathParser(flags.ArgumentParser):
    """A path's ~ stands for the home folder, also where the shell leaves it, as in --workdir=~/run. It must be UTF-8, as TensorFlow
    takes no other, and of one line, or a run could not write it down."""

    syntactic_help = "a path"

    def parse(self, argument: str) -> str:
        path = self.whole(argument)
        if not is_plain(path):
            raise ValueError(f"{NOT_PLAIN}; rename the folder, or link to it")
        return path

    def whole(self, argument: str) -> str:
        return os.path.expanduser(argument)

    def flag_type(self) -> str:
        return "path"


class WholePathParser(PathParser):
    """A path that is there is kept whole, in a list with commas and in KIND:PLACE too: so it is found from another folder, later."""

    def __init__(self, default: str):
        self.default = default

    def whole(self, argument: str) -> str:
        path = os.path.expanduser(argument)
        if argument == self.default or "://" in argument:
            return argument
        if os.path.exists(path):
            return os.path.abspath(path)
        for separator in ",:":
            if separator in argument:
                return separator.join(map(self.whole, argument.split(separator)))
        return path


def define_path(name: str, default: str | None, help: str, parser: PathParser | None = None) -> flags.FlagHolder:
    """A flag that names a file or folder. Several programs have one of the same name, and tests import several."""
    return flags.DEFINE(parser or PathParser(), name, default, help, serializer=flags.ArgumentSerializer(), allow_override=True)


define_path("workdir", None, "Folder of the run.")
flags.DEFINE_enum(
    "xla",
    "auto",
    ["auto", "true", "false"],
    "What XLA compiles. auto: in train on one GPU every update whole, on a CPU the parts that gain by it; true: every update whole; false: "
    "nothing.",
)
flags.DEFINE_boolean("tf32", True, "Multiply float32 on GPUs with 10 bits of the fraction (TF32), which is faster; false: with all 23.")


def launch(
    main: Callable[[Settings], None],
    saved: tuple[str, ...] = (),
    kind: type[Settings] | None = None,
    kept: tuple[str, ...] = (),
    in_cluster: bool = False,
    output_folders: tuple[str, ...] = (),
    output_files: tuple[str, ...] = (),
) -> None:
    """Runs a program: `main` gets the Config of the command line.

    Exits with 0; with 2 after one line on stderr for a mistake of the user's (UserError or a wrong flag); with 1 after one
    line for a run that could not go on (RunFailed), a file that could not be read or written (OSError), or what does not fit into
    memory; with 128 and the number of the signal after one line for SIGINT and SIGTERM.

    Args:
        main: the program.
        saved: flags that name a folder whose run.flags the Config starts from; the command line overrides it.
        kind: the Config class; that of --model if None.
        kept: fields that stay as the folder has them, whatever the command line says: `main` reads their flags itself.
        in_cluster: whether it may be one process of several, by TF_CONFIG.
        output_folders, output_files: flags that say where it writes, which is tried before it begins; a file without an ending is a folder.
    """
    program = Path(sys.argv[0]).stem
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    logging.get_absl_handler().setFormatter(Lines())
    logging.get_absl_handler().addFilter(is_for_users)
    stdlib_logging.getLogger("tensorflow").setLevel(stdlib_logging.ERROR)
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        config = parse(sys.argv, saved, kind, kept)
        if not in_cluster:
            leave_cluster(program)
        set_up_devices(bool(FLAGS["tf32"].value))
        for name in (*output_folders, *output_files):
            place: Any = FLAGS[name].value
            if place:
                require_writable(name, place, folder=name in output_folders or not Path(place).suffix)
        with forms.uncompiled() if FLAGS["xla"].value == "false" else contextlib.nullcontext():
            main(config)
        print(end="", flush=True)
    except (UserError, flags.Error) as error:
        _end(program, error, 2)
    except Terminated:
        _end(program, "stopped by SIGTERM", 128 + signal.SIGTERM)
    except KeyboardInterrupt:
        _end(program, "interrupted", 128 + signal.SIGINT)
    except (RunFailed, OSError) as error:
        _end(program, error, 1)
    except MemoryError as error:
        _end(program, f"not enough memory: {error}", 1)
    except tf.errors.OpError as error:  # what is raised while clips are read comes with TensorFlow's traceback around it
        told = re.search(r"RunFailed: (.*)", str(error))
        if told is None and not isinstance(error, OF_FILES):
            raise
        _end(program, told.group(1) if told else reason(error), 1)
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
    raise Terminated


def _end(program: str, error: Exception | str, code: int) -> None:
    print(f"{program}: {' '.join(str(error).split())}", file=sys.stderr)
    try:
        print(end="", flush=True)
    except OSError:  # a full disk, or a pipe that nobody reads: Python would try again as it ends, and tell of it in lines of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def parse(argv: list[str], saved: tuple[str, ...], kind: type[Settings] | None, kept: tuple[str, ...] = ()) -> Settings:
    """The Config of a command line. Raises UserError or flags.Error, with a one-line message."""
    arguments, before = _from_files(with_bundled_flagfiles(argv[1:])), {}
    for name in saved:
        folder = place_of(os.path.expanduser(_peek(arguments, name)))
        file = Path(folder) / FLAGS_FILE
        if folder and file.is_file():
            before = flags_of(folder)
            arguments = [f"--{field}={value}" for field, value in before.items()] + arguments
        elif folder and not Path(folder).is_dir() and not (name == "module" and "://" in folder):  # TF-Hub takes addresses
            raise UserError(f"--{name}={folder}: no such folder")
    made: Any = kind or models.find(_peek(arguments, "model") or Config.model).Config
    fields: tuple[dataclasses.Field, ...] = dataclasses.fields(made)
    for field in fields:
        default: Any = field.default
        if field.metadata["path"]:
            define_path(field.name, default, field.metadata["help"], WholePathParser(default))
        else:
            DEFINE[field.type](field.name, default, field.metadata["help"])
    for module, defined in FLAGS.flags_by_module_dict().items():
        for flag in defined if module.startswith("tfvideogan.") else []:  # for --help: all of this package's flags
            FLAGS.register_key_flag_for_module(argv[0], flag)
    if {"--help", "-help", "--helpfull", "-h"} & set(arguments):
        print(f"Flags of {Path(argv[0]).stem}:\n{FLAGS.main_module_help()}", flush=True)
        sys.exit(0)
    rest = FLAGS([argv[0], *arguments])[1:]
    if rest:
        raise UserError(f"{rest[0]}: not a flag; flags are written --name=value")
    values = {field.name: FLAGS[field.name].value for field in fields}
    values |= {field.name: FLAGS[field.name].parser.parse(before[field.name]) for field in fields if field.name in {*kept} & {*before}}
    return made(**values)


def _from_files(arguments: list[str], within: tuple[str, ...] = ()) -> list[str]:
    """The arguments with those in --flagfile's files, which may begin with a byte order mark. Raises UserError for one that is no text.

    Args:
        within: the first lines of the files with a mark that these arguments are in: one that leads back to itself is left out, as absl
            leaves it out of files without a mark.
    """
    try:
        read = FLAGS.read_flags_from_files(arguments)
    except UnicodeDecodeError as error:
        files = [argument for argument in arguments if "flagfile" in argument]
        raise UserError(f"{' '.join(files)}: got no text in UTF-8 ({error}), expected a flag a line") from error
    lines = []
    for argument in read:
        if argument.startswith(MARK):
            line = argument.removeprefix(MARK).strip()
            lines += _from_files([line], (*within, line)) if line and not line.startswith(("#", "//")) and line not in within else []
        else:
            lines.append(argument)
    return lines


def with_bundled_flagfiles(arguments: list[str]) -> list[str]:
    """The arguments, where a flagfile that is not there is the one of this name that comes with the package."""
    paths = [argument.partition("=")[2] if argument.startswith("--flagfile=") else None for argument in arguments]
    return [argument if path is None else f"--flagfile={found(path)}" for argument, path in zip(arguments, paths, strict=True)]


def _peek(arguments: list[str], name: str) -> str:
    """The last value given for a flag, before flags are parsed; empty if there is none."""
    value = ""
    for argument, after in zip(arguments, [*arguments[1:], ""], strict=True):
        flag, equals, given = argument.lstrip("-").partition("=")
        if argument.startswith("-") and flag == name:
            value = given if equals else after
    return value


def define_strategy_flags() -> None:
    """--strategy and --cpu_replicas, for the programs that call `make_strategy`."""
    flags.DEFINE_enum("strategy", "auto", ["auto", "one", "mirrored", "multiworker", "tpu"], "How tf.distribute spreads the global batch.")
    flags.DEFINE_integer("cpu_replicas", 1, "Splits the CPU, and its threads, into this many devices.", lower_bound=1)


def define_generator_flags() -> None:
    """--module and --checkpoint, for the programs that call `open_generator`."""
    define_path("module", None, "Folder of an exported module, hf://USER/NAME or a TF-Hub handle, in place of --workdir.")
    flags.DEFINE_enum("checkpoint", "newest", ["newest", "best"], "Which checkpoint of --workdir.", allow_override=True)


def place_of(path: str) -> str:
    """The folder that --workdir or --module names: as it lies, of the package, or fetched from the Hugging Face Hub."""
    return hugging_face.downloaded(path) if hugging_face.is_handle(path) else found(path)


def open_generator(config: Config, interpolate_frames: int = 1, truncations: tuple[float, ...] = (1.0,)) -> Generator:
    """The generator that --workdir or --module names. Raises UserError if there is none, or if it cannot interpolate frames.

    A module has the frames it has, whatever config.frames.
    """
    workdir, module = flags.FLAGS.workdir, flags.FLAGS.module
    for truncation in truncations:
        if not math.isfinite(truncation):
            raise UserError(f"--truncation={truncation}: expected a finite number")
    if bool(workdir) == bool(module):
        raise UserError("which generator? expected one of --workdir=DIR and --module=EXPORT")
    if module and interpolate_frames > 1:
        raise UserError(f"--interpolate_frames={interpolate_frames}: expected --workdir, an exported module has the frames it has")
    if workdir:
        return from_run(workdir, config, flags.FLAGS.checkpoint == "best", interpolate_frames, truncations=truncations)
    return from_module(found(module), config)


def require_frames_of(generator: Generator, frames: int) -> None:
    """Raises UserError if --frames was given and is not that of an exported module, for a program that needs it to be."""
    if flags.FLAGS.module and flags.FLAGS["frames"].present and frames != generator.config.frames:
        raise UserError(f"--frames={frames}: expected --workdir, an exported module has the {generator.config.frames} frames it has")

"""Paths, local or with a scheme (gs://, and s3://, hdfs://, az:// with the extra `[io]`): all go through tf.io.gfile."""

import ctypes
import io
import logging
import os
import sys
from collections.abc import Iterator
from typing import IO

import tensorflow as tf

NOT_PLAIN = "its name is not UTF-8, or has a line break"
SCHEMES = ("s3", "hdfs", "viewfs", "az", "oss", "http", "https")  # TF-IO's; TensorFlow itself knows gs


def enable_schemes(path: str) -> None:
    """Registers TF-IO's file systems if the path has a scheme that needs them and TF-IO is installed."""
    if path.partition("://")[0] not in SCHEMES or "tensorflow_io" in sys.modules:
        return
    try:
        import tensorflow_io  # noqa: F401  (importing it registers them)
    except ImportError:
        return  # what opens the path says that its scheme is not implemented
    # TF-IO 0.37.1 aborts when a process that used s3:// ends (tensorflow/io issue 2039): the process ends, with its own exit
    # code, before that. The file system is used first, so that its end is registered, and with it runs, after ours.
    tf.io.gfile.exists(path)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc.on_exit(libc._exit, None)


def children(folder: str) -> list[str]:
    """Names in a folder, sorted, without hidden ones. Those that are not UTF-8 have surrogates in place of bytes."""
    names = tf.io.gfile.listdir(folder) if "://" in folder else os.listdir(folder)  # gfile raises where a name is not UTF-8
    return sorted(name.rstrip("/") for name in names if not name.startswith("."))


def is_plain(name: str) -> bool:
    """Whether a name can be passed on, as TensorFlow and FFmpeg take UTF-8 only, and be written down as a line."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return not {"\n", "\r"} & set(name)


def shown(name: str) -> str:
    """A name as it can be printed and written: in one line of UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode().replace("\n", r"\n").replace("\r", r"\r")


def looks(name: str) -> str:
    """What a file that is not read looks like, as a reason: by its name, or its ending."""
    if not is_plain(name):
        return NOT_PLAIN
    return f"files ending in {suffix(name)}" if suffix(name) else "files without an ending"


def join(folder: str, *names: str) -> str:
    return "/".join([folder.rstrip("/") or "/", *names])


def suffix(path: str) -> str:
    """The ending, in lower case, with its dot."""
    return os.path.splitext(path)[1].lower()


def is_folder(path: str) -> bool:
    return tf.io.gfile.isdir(path) if "://" in path else os.path.isdir(path)  # gfile raises where the path is not UTF-8


def is_file(path: str) -> bool:
    """Whether it can be read as often as one likes: not a pipe, which would wait for a writer."""
    return "://" in path or not os.path.exists(path) or os.path.isfile(path)


def files_below(folder: str, prefix: str = "", above: tuple[str, ...] = ()) -> Iterator[str]:
    """Names of all files below a folder, relative to it, sorted, without hidden ones. A link back to a folder above is not followed;
    a folder below that cannot be read is named in a warning."""
    above += (folder if "://" in folder else os.path.realpath(folder),)
    try:
        names = children(folder)
    except PermissionError as error:
        if not prefix:
            raise
        logging.warning("left out %s: cannot be read (%s)", prefix, error.strerror)
        return
    for name in names:
        path = join(folder, name)
        if not is_folder(path):
            yield prefix + name
        elif "://" in path or os.path.realpath(path) not in above:
            yield from files_below(path, f"{prefix}{name}/", above)


def opened(path: str) -> IO[bytes]:
    """A file to read from; a remote one is fetched whole."""
    if "://" not in path:
        return open(path, "rb")
    with tf.io.gfile.GFile(path, "rb") as file:
        return io.BytesIO(file.read())


def read_text(path: str) -> str:
    """A text file, without a byte order mark. Raises UnicodeDecodeError where it is not UTF-8."""
    with opened(path) as file:
        return file.read().decode("utf-8-sig")

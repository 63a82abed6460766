"""Files are written whole or not at all, here or on a remote file system."""

import contextlib
import errno
import io
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from typing import BinaryIO

import tensorflow as tf

from tfvideogan.config import UserError

PATTERNS = "*?[]\\"
GRAPH = re.compile(r"\{\{.*?\}\}\s*|\[\[.*?\]\]|\s*\[Op:.*", re.DOTALL)  # what TensorFlow tells of its graph


def reason(error: Exception) -> str:
    """Why something failed, in a line without TensorFlow's graph."""
    return " ".join(GRAPH.sub("", str(getattr(error, "message", error))).split())


def write_whole(path: str | os.PathLike, content: bytes | str, unique: bool = False) -> None:
    """Writes a file, and the folders above it. What a killed writer leaves, `path`.tmp, is overwritten by the next; one that fails, as
    of a full disk, leaves nothing.

    Args:
        path: of the file.
        content: bytes, or text, which is written as UTF-8.
        unique: others may write the same content at the same time.

    Raises: OSError if it cannot be written.
    """
    path = os.fspath(path)
    temporary = _temporary(path, unique)
    try:
        tf.io.gfile.makedirs(os.path.dirname(path) or ".")
        with tf.io.gfile.GFile(temporary, "wb") as file:
            file.write(content)
        tf.io.gfile.rename(temporary, path, overwrite=True)
    except tf.errors.OpError as error:
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.remove(temporary)
        raise OSError(f"{path}: cannot be written: {error.message}") from error


def read_lines(path: str | os.PathLike) -> list[str]:
    """The lines of a text file in UTF-8, as this package writes them: names in them may have what Unicode calls a line break.

    Raises: OSError if it cannot be read, UnicodeDecodeError if it is no UTF-8.
    """
    with open(path, encoding="utf-8", newline="\n") as file:
        return file.read().split("\n")[:-1]


def require_writable(flag: str, path: str | os.PathLike, folder: bool) -> None:
    """Raises UserError if a file, or the files of a folder, cannot be written at a local path: asked before hours of work, not after.

    Nothing is left behind: a nameless file is made in the folder, or in the nearest one above it that is there.
    """
    path = os.fspath(path)
    if "://" in path:
        return
    try:
        try:
            os.stat(path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR) or os.path.islink(path):
                raise
        if os.path.exists(path) and os.path.isdir(path) != folder:
            raise IsADirectoryError(errno.EISDIR, "is a folder") if not folder else NotADirectoryError(errno.ENOTDIR, "is a file")
        if not folder and os.path.exists(path) and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        place = os.path.abspath(path) if folder else os.path.dirname(os.path.abspath(path))
        while not os.path.lexists(place):
            place = os.path.dirname(place)
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        what = "a folder that can be written to" if folder else "a file that can be written"
        raise UserError(f"--{flag}={path}: {error.strerror or error}; expected {what}") from error


@contextlib.contextmanager
def whole_file(path: str | os.PathLike, unique: bool = False) -> Iterator[BinaryIO]:
    """A file to write to bit by bit, which is at `path` once the context ends without an error: a remote one is in memory until then.

    Args:
        path, unique: as of `write_whole`.

    Raises: OSError if it cannot be written.
    """
    path = os.fspath(path)
    if "://" in path:
        held = io.BytesIO()
        yield held
        write_whole(path, held.getvalue(), unique)
        return
    temporary = _temporary(path, unique)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    try:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _temporary(path: str, unique: bool) -> str:
    return f"{path}.{uuid.uuid4().hex}.tmp" if unique else f"{path}.tmp"


@contextlib.contextmanager
def without_patterns(path: str | os.PathLike) -> Iterator[str]:
    """Another path of a folder, a file, or the files that begin with `path.`, for as long as the context, without TensorFlow's patterns.

    TensorFlow's readers of checkpoints take `*`, `?`, `[`, `]` and a backslash in a path for a pattern, and find nothing.
    """
    path = os.fspath(path)
    if not set(PATTERNS) & set(path):
        yield path
        return
    folder, name = os.path.split(os.path.abspath(path))
    with tempfile.TemporaryDirectory(prefix="tfvideogan_") as temporary:
        for file in os.listdir(folder):
            if file == name or file.startswith(f"{name}."):
                os.symlink(os.path.join(folder, file), os.path.join(temporary, f"path{file.removeprefix(name)}"))
        yield os.path.join(temporary, "path")

"""A fingerprint of the files behind a data set: it changes when any of them does."""

import csv
import hashlib
import io
import os
from collections.abc import Iterator

import tensorflow as tf
from absl import logging

from tfvideogan.data import paths
from tfvideogan.data.decode import SUFFIXES

REMOTE = "://"


def of_files(root: str) -> str | None:
    """A hash of the names and states of all files that a data set's folder or file leads to.

    That is what lies in the folder, behind links too; of a CSV file the folder it is in, and the files it names, wherever they are.
    Of a local file the state is size, times of change of content and of status, and inode, of a remote one size and time.

    Args:
        root: local, or with a scheme; empty: there are no files.
    Returns: None where it is in doubt: something cannot be looked at, or a remote file has no time.
    """
    digest = hashlib.sha256()
    try:
        for entry in _entries(os.path.expanduser(root)) if root else ():
            digest.update(entry + b"\n")
    except (_InDoubt, OSError, UnicodeError, csv.Error, tf.errors.OpError) as error:
        logging.warning("features of %s are not kept: %s", root, error)
        return None
    return digest.hexdigest()


class _InDoubt(Exception):
    """Why it cannot be told whether a file changed."""


def _entries(root: str) -> Iterator[bytes]:
    """Names and states of all files that `root` leads to."""
    is_table = paths.suffix(root) == ".csv"
    tables = []
    for path, entry in _walk(os.path.dirname(root) or "." if is_table else root):  # videos lie beside a CSV file, or below
        yield entry
        tables += [path] if paths.suffix(path) == ".csv" else []
    for table in tables:
        for named in _named(table):
            for _, entry in _walk(named):
                yield entry


def _walk(path: str) -> Iterator[tuple[str, bytes]]:
    """(path, name and state) of a file, or of everything below a folder."""
    if REMOTE in path:
        paths.enable_schemes(path)
        return _below_remote(path) if tf.io.gfile.isdir(path) else _remote(path)
    return _below_local(path) if os.path.isdir(path) else _local(path)


def _below_local(root: str) -> Iterator[tuple[str, bytes]]:
    """As `_walk`; each folder once, however it is linked."""

    def refuse(error: OSError) -> None:
        raise _InDoubt(f"{error.filename} cannot be looked at ({error.strerror})")

    seen = set()
    for folder, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        yield folder, os.fsencode(folder)
        for name in sorted(files):
            yield from _local(os.path.join(folder, name))


def _local(path: str) -> Iterator[tuple[str, bytes]]:
    if os.path.islink(path) and not os.path.exists(path):
        yield path, os.fsencode(f"{path}\0{os.readlink(path)}")  # leads nowhere
        return
    status = os.stat(path)
    state = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_dev} {status.st_ino}"
    yield path, os.fsencode(f"{path}\0{state}")


def _below_remote(root: str) -> Iterator[tuple[str, bytes]]:
    for name in paths.children(root):
        path = paths.join(root, name)
        yield from _below_remote(path) if tf.io.gfile.isdir(path) else _remote(path)


def _remote(path: str) -> Iterator[tuple[str, bytes]]:
    status = tf.io.gfile.stat(path)
    if not status.mtime_nsec > 0:
        raise _InDoubt(f"{path} does not say when it was changed")
    yield path, f"{path}\0{status.length} {status.mtime_nsec}".encode()


def _named(table: str) -> Iterator[str]:
    """Videos and folders that a CSV file names, by a path of their own or from where it lies."""
    for row in csv.reader(io.StringIO(paths.read_text(table), newline="")):
        for cell in row:
            if "/" not in cell and paths.suffix(cell) not in SUFFIXES:
                continue
            for path in (os.path.expanduser(cell), paths.join(os.path.dirname(table) or ".", cell)):
                if tf.io.gfile.exists(path):
                    yield path

"""What was once kept of a set of clips, on disk: a second look at the same real clips costs nothing."""

import dataclasses
import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import logging

import tfvideogan
from tfvideogan.evaluation.clips import Clips


def default_folder() -> str:
    """$XDG_CACHE_HOME/tfvideogan, or ~/.cache/tfvideogan."""
    return str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tfvideogan")


def remember(folder: str, settings: dict, make: Callable[[], Clips]) -> Clips:
    """What is kept of a set of clips with these settings: from `folder`, or made and put there.

    The name is a hash of the settings, of the files in settings["data_dir"] (paths, sizes, times of change), and of the code
    that reads and judges clips, so that a change of any is noticed. A file that cannot be read is made anew.

    Args:
        folder: of the cache; empty: keep nothing.
        settings: all that the clips, and what is kept of them, depend on.
        make: looks at the clips.
    """
    if not folder:
        return make()
    told = {**settings, "files": _files(settings.get("data_dir", "")), "code": _code()}
    path = Path(folder) / f"{hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]}.npz"
    names = [field.name for field in dataclasses.fields(Clips)]
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as file:
                clips = Clips(**{name: file[name] for name in names})
            logging.info("%d clips' features from %s", len(clips), path)
            return clips
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            logging.warning("%s cannot be read (%s) and is made anew", path, error)
    clips = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        np.savez(file, settings=json.dumps(settings), **{name: getattr(clips, name) for name in names})
    os.replace(temporary, path)
    return clips


def _files(folder: str) -> str:
    """A hash of the names, sizes and times of change of all files in a folder."""
    if not folder:
        return ""
    digest = hashlib.sha256()
    for file in sorted(Path(folder).rglob("*")):
        if file.is_file():
            status = file.stat()
            digest.update(f"{file.relative_to(folder)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _code() -> str:
    """A hash of the code that makes, reads and judges clips."""
    root, digest = Path(tfvideogan.__file__).parent, hashlib.sha256()
    folders = ("data", "evaluation", "evaluators", "metrics")
    for file in sorted([root / "ops" / "video.py", *(file for folder in folders for file in (root / folder).rglob("*.py"))]):
        digest.update(file.read_bytes())
    return digest.hexdigest()

"""What was once kept of a set of clips, on disk: a second look at the same real clips costs nothing."""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import logging

import tfvideogan
from tfvideogan.evaluation import fingerprint
from tfvideogan.evaluation.clips import Clips
from tfvideogan.files import whole_file

READERS = ("tensorflow", "numpy", "av", "pillow")  # packages that decode and resize


def default_folder() -> str:
    """$XDG_CACHE_HOME/tfvideogan, or ~/.cache/tfvideogan; empty, which keeps nothing, where there is no home."""
    try:
        return str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tfvideogan")
    except RuntimeError:
        return ""


def remember(folder: str, settings: dict, make: Callable[[], Clips]) -> Clips:
    """What is kept of a set of clips with these settings: from `folder`, or made and put there.

    The name is a hash of the settings, of all files that settings["data_dir"] leads to (see `fingerprint`), of the code that reads
    and evaluates clips, and of the packages' versions, so that a change of any is noticed. Where it is in doubt what is read, or
    that it stayed the same, clips are made and not kept. A file that cannot be read is made anew; one that cannot be written is
    left out, with a word.

    Args:
        folder: of the cache; empty: keep nothing.
        settings: all that the clips, and what is kept of them, depend on.
        make: looks at the clips.
    """
    files = fingerprint.of_files(settings.get("data_dir", "")) if folder else None
    if files is None:
        return make()
    versions = {name: importlib.metadata.version(name) for name in READERS}
    told = {**settings, "files": files, "code": _code(), "versions": versions}
    path = Path(folder) / f"{hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]}.npz"
    names = [field.name for field in dataclasses.fields(Clips)]
    if os.path.isfile(path):  # Path.is_file raises where it may not look
        try:
            with np.load(path, allow_pickle=False) as file:
                clips = Clips(**{name: file[name] for name in names})
            logging.info("%d clips' features from %s", len(clips), path)
            return clips
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            logging.warning("%s cannot be read (%s) and is made anew", path, error)
    clips = make()
    if fingerprint.of_files(settings.get("data_dir", "")) != files:
        logging.warning("%s changed while it was looked at: features are not kept", settings["data_dir"])
        return clips
    try:
        with whole_file(path, unique=True) as file:
            np.savez(file, settings=json.dumps(settings), **{name: getattr(clips, name) for name in names})
    except OSError as error:
        logging.warning("--cache_dir=%s: features are not kept (%s)", folder, error)
    return clips


def _code() -> str:
    """A hash of the code that makes, reads and evaluates clips."""
    root, digest = Path(tfvideogan.__file__).parent, hashlib.sha256()
    folders = ("data", "evaluation", "evaluators", "metrics")
    for file in sorted([root / "ops" / "video.py", *(file for folder in folders for file in (root / folder).rglob("*.py"))]):
        digest.update(file.read_bytes())
    return digest.hexdigest()

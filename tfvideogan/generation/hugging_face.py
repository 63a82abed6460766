"""Exported modules on the Hugging Face Hub, by handles hf://USER/NAME, through huggingface_hub and the token it keeps."""

import functools
import re
from pathlib import Path

from tfvideogan.config import UserError
from tfvideogan.generation import optional

SCHEME = "hf://"
MODULE_FILES = ["saved_model.pb", "fingerprint.pb", "variables/*", "assets/*", "run.flags", "README.md"]  # nothing else is fetched


def is_handle(path: str) -> bool:
    """Whether it names a repository of the Hub."""
    return path.startswith(SCHEME)


def repository(handle: str, flag: str) -> str:
    """USER/NAME of a handle. Raises UserError for what is none."""
    name = handle.removeprefix(SCHEME)
    if not is_handle(handle) or not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name, re.ASCII):
        raise UserError(f"--{flag}={handle}: expected hf://USER/NAME")
    return name


@functools.cache
def downloaded(handle: str) -> str:
    """The folder of a module, fetched if it has changed since. Raises UserError if there is none, or it cannot be reached."""
    name, asked = repository(handle, "module"), f"--module={handle}"
    hub = optional.package("huggingface_hub", "hf", asked)
    try:
        return hub.snapshot_download(name, allow_patterns=MODULE_FILES)
    except (OSError, ValueError) as error:  # huggingface_hub's own are among these
        raise UserError(f"{asked}: cannot be fetched: {error}") from error


def require_uploads(handle: str) -> None:
    """Raises UserError, before work is done, if `upload` cannot be asked for."""
    repository(handle, "upload")
    optional.package("huggingface_hub", "hf", f"--upload={handle}")


def upload(folder: str | Path, handle: str) -> str:
    """Puts a folder's files into a repository, made if it is not there, in one commit. Returns its address.

    Raises: UserError if it is refused, as without a token.
    """
    name, asked = repository(handle, "upload"), f"--upload={handle}"
    hub = optional.package("huggingface_hub", "hf", asked)
    try:
        hub.create_repo(name, exist_ok=True)
        hub.upload_folder(repo_id=name, folder_path=str(folder), commit_message="Exported with tfvideogan")
    except (OSError, ValueError) as error:
        raise UserError(f"{asked}: refused: {error}") from error
    return f"https://huggingface.co/{name}"

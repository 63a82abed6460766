"""Published weights: where a spec `KIND:PLACE` finds them, what their checksum covers, and how they fill a network.

A place is a file, the prefix of a TensorFlow checkpoint (or a folder with one), the folder of a SavedModel with
`variables` (those of TensorFlow 1 and TF-Hub's have them), or a TF-Hub handle. Nothing but a handle is ever downloaded.
"""

import glob
import hashlib
import logging
import zipfile
from collections.abc import Mapping, Set
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

from tfvideogan.config import UserError
from tfvideogan.evaluators.classifier import Evaluator, Network
from tfvideogan.files import without_patterns

LOG = logging.getLogger(__name__)
NAMED = 3  # variables an error names


class Published(Evaluator):
    """An evaluator whose network and weights others published. Knows no names of its classes: `labels` is empty.

    Args:
        spec: what it was loaded from, for errors.
        name: suffix of the scores' names.
        sha256: of its weights.
        network: what it runs.
        frames: lengths T of the clips it takes; None is any length.
        batch: clips that go through the network at a time.
        protocol: what a reader of scores must know.
    """

    def __init__(self, spec: str, name: str, sha256: str, network: Network, frames: range | None, batch: int, protocol: dict[str, object]):
        super().__init__(name, sha256, (), network)
        self.protocol = protocol
        self.spec, self.network, self.frames, self.batch = spec, network, frames, batch

    def __call__(self, video: tf.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """[N,T,H,W,3] in [-1,1] -> features [N,...,F], logits [N,...,C]. Raises: UserError for clips of a length it does not take."""
        length = video.shape[1]
        if self.frames is not None and length not in self.frames:
            expected = f"exactly {self.frames[0]}" if len(self.frames) == 1 else f"at least {self.frames[0]}"
            raise UserError(f"--evaluator={self.spec} takes clips of {expected} frames, not of --frames={length}")
        features, logits = [], []
        for start in range(0, len(video), self.batch):
            found = super().__call__(video[start : start + self.batch])
            features.append(found[0])
            logits.append(found[1])
        return np.concatenate(features), np.concatenate(logits)


def find(spec: str, sha256: str, hint: str, beside: tuple[str, ...] = ()) -> tuple[Path, str]:
    """The weights of `KIND:PLACE`, and their checksum: what `cat FILES | sha256sum` prints.

    FILES are the file itself; of a checkpoint `PREFIX.data-*`; of a SavedModel `saved_model.pb variables/variables.data-*`;
    then those named in `beside`.

    Args:
        spec: KIND:PLACE.
        sha256: the checksum they must have; empty takes any.
        hint: what to get and where to put it, for the error.
        beside: files that must lie in the same folder.
    Raises: UserError if there are none, or others.
    """
    place = spec.partition(":")[2]
    if not place:
        raise UserError(f"--evaluator={spec}: got no place of weights; {hint}")
    path = _resolve(spec, place, hint) if "://" in place else Path(place).expanduser()
    prefixes = [index.with_suffix("") for index in path.glob("*.index")] if path.is_dir() else []
    if len(prefixes) == 1 and not (path / "saved_model.pb").is_file():
        path = prefixes[0]
    files = _files(path)
    files += [path.with_name(name) for name in beside] if files else []
    if not files or not all(file.is_file() for file in files):
        raise UserError(f"--evaluator={spec}: no weights there; {hint}")
    found = _sha256(files)
    if sha256 and found != sha256.lower():
        raise UserError(f"--evaluator={spec}: the sha256 of {' '.join(file.name for file in files)} is {found}, not {sha256}")
    return path, found


def tensors(spec: str, path: Path) -> dict[str, np.ndarray]:
    """Every variable of a checkpoint, SavedModel or .npz file by its name. Raises UserError if it cannot be read."""
    try:
        if path.is_dir():
            with without_patterns(path) as folder:
                return {variable.name.split(":")[0]: variable.numpy() for variable in hub.load(folder).variables}
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        with without_patterns(path) as prefix:
            reader = tf.train.load_checkpoint(prefix)
            return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except (OSError, EOFError, ValueError, RuntimeError, AttributeError, zipfile.BadZipFile, tf.errors.OpError) as error:
        raise UserError(f"--evaluator={spec}: {path.name} is damaged or holds no weights: {line(error)}") from error


def fill(spec: str, variables: Mapping[str, keras.Variable], found: Mapping[str, np.ndarray]) -> None:
    """Assigns every variable the value of its name. Shapes are equal up to axes of length 1.

    Raises: UserError if a variable is missing, of another shape, or left over; nothing is assigned then.
    """
    shapes = {name: [side for side in variable.shape if side != 1] for name, variable in variables.items()}
    common = variables.keys() & found.keys()
    faults = {
        "missing": variables.keys() - found.keys(),
        "left over": found.keys() - variables.keys(),
        "of another shape": {name for name in common if shapes[name] != [side for side in found[name].shape if side != 1]},
    }
    if any(faults.values()):
        listed = "; ".join(f"{len(names)} {fault} ({_some(names)})" for fault, names in faults.items() if names)
        raise UserError(f"--evaluator={spec}: got other weights, expected {len(variables)} variables: {listed}")
    for name, variable in variables.items():
        variable.assign(found[name].reshape(variable.shape))


def _resolve(spec: str, handle: str, hint: str) -> Path:
    LOG.warning("%s is downloaded by TF-Hub, unless it is in its cache (TFHUB_CACHE_DIR)", handle)
    try:
        return Path(hub.resolve(handle))
    except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
        raise UserError(f"--evaluator={spec}: TF-Hub cannot fetch it ({line(error)}); {hint}") from error


def _files(path: Path) -> list[Path]:
    if (path / "saved_model.pb").is_file():
        return [path / "saved_model.pb", *sorted(path.glob("variables/variables.data-*"))]
    return [path] if path.is_file() else sorted(path.parent.glob(f"{glob.escape(path.name)}.data-*"))


def _sha256(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _some(names: Set[str]) -> str:
    return ", ".join(sorted(names)[:NAMED]) + (", ..." if len(names) > NAMED else "")


def line(error: Exception) -> str:
    """The first line of what an error says, for a message of one line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]

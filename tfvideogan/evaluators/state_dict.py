"""PyTorch's saved state dicts, read without PyTorch: tensors by name, and nothing that such a file could make Python run.

Two layouts are in use. Since PyTorch 1.6 a file is a zip archive, with a pickle `data.pkl` and a file of bytes `data/KEY` for each
storage. Before that it is five pickles one after the other, of which the fourth is the dict and the fifth the storages' keys in order;
then comes each storage's length as int64 and its bytes. A tensor is a view of a storage: an offset, a shape and strides.
"""

import collections
import io
import math
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the older layout
TYPES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4"}
TYPES |= {"ByteStorage": "|u1", "BoolStorage": "|b1"}


class Storage:
    """Numbers that tensors are views of; `values` comes later in the older layout."""

    def __init__(self, dtype: str):
        self.dtype, self.values = np.dtype(dtype), np.zeros([0], dtype)


class View:
    """A tensor: where it lies in its storage."""

    def __init__(self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object):
        self.storage, self.offset, self.shape, self.strides = storage, offset, tuple(shape), tuple(strides)

    def array(self) -> np.ndarray:
        """A copy. Raises ValueError where the storage ends before the view does."""
        values, size = self.storage.values, self.storage.dtype.itemsize
        last = self.offset + sum((length - 1) * stride for length, stride in zip(self.shape, self.strides, strict=True))
        if math.prod(self.shape) and not (0 <= self.offset <= last < len(values) and min(self.strides, default=0) >= 0):
            raise ValueError(f"a tensor of shape {list(self.shape)} lies outside of its storage of {len(values)} numbers")
        strides = [stride * size for stride in self.strides]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, strides).copy()


class Reader(pickle.Unpickler):
    """Knows the few names that a state dict is made of."""

    def __init__(self, file: io.BytesIO | Any, storage: Callable[[str, str], Storage]):
        super().__init__(file, encoding="utf-8")
        self.storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in TYPES:
            return TYPES[name]
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return View
        if module == "torch._utils" and name == "_rebuild_parameter":
            return lambda view, *_: view
        raise pickle.UnpicklingError(f"it holds {module}.{name}, expected a state dict of tensors")

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, *_ = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"it refers to {kind!r}, expected storages")
        return self.storage(str(key), dtype)


def read(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict by name; what else is in it is left out.

    Raises: OSError, or ValueError (of one line) for what is no state dict in either layout.
    """
    try:
        found = _of_archive(path) if zipfile.is_zipfile(path) else _of_pickles(path)
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, AttributeError, IndexError, zipfile.BadZipFile) as error:
        raise ValueError(f"no state dict of PyTorch: {' '.join(str(error).split()) or type(error).__name__}") from error
    if not isinstance(found, dict):
        raise ValueError(f"no state dict of PyTorch: it holds one {type(found).__name__}")
    return {str(name): view.array() for name, view in found.items() if isinstance(view, View)}


def _of_archive(path: Path) -> Any:
    storages: dict[str, Storage] = {}
    with zipfile.ZipFile(path) as archive:
        (pickled,) = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        folder = pickled.removesuffix("data.pkl")

        def storage(key: str, dtype: str) -> Storage:
            if key not in storages:
                storages[key] = Storage(dtype)
                storages[key].values = np.frombuffer(archive.read(f"{folder}data/{key}"), storages[key].dtype)
            return storages[key]

        return Reader(io.BytesIO(archive.read(pickled)), storage).load()


def _of_pickles(path: Path) -> Any:
    storages: dict[str, Storage] = {}

    def storage(key: str, dtype: str) -> Storage:
        return storages.setdefault(key, Storage(dtype))

    with path.open("rb") as file:
        if Reader(file, storage).load() != MAGIC:
            raise pickle.UnpicklingError("its first number is another")
        for _ in ("the layout's version", "the writer's sizes of numbers"):
            Reader(file, storage).load()
        found = Reader(file, storage).load()
        for key in Reader(file, storage).load():
            length = int.from_bytes(file.read(8), "little")
            storages[key].values = np.frombuffer(file.read(length * storages[key].dtype.itemsize), storages[key].dtype)
        return found

"""State dicts in both layouts of PyTorch, written here as it writes them: views of shared storages, and what no file may do."""

import collections
import io
import os
import pickle
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tfvideogan.evaluators import state_dict

DRAW = np.random.default_rng(0)
NAMES = {np.dtype("<f4"): "FloatStorage", np.dtype("<f8"): "DoubleStorage", np.dtype("<i8"): "LongStorage"}


class Tensor:
    """A view of the numbers of a storage. Pickled as PyTorch does it."""

    def __init__(self, storage: np.ndarray, offset: int, shape: tuple, strides: tuple, parameter: bool = False):
        self.storage, self.parameter = storage, parameter
        self.told = offset, shape, strides

    def __reduce__(self):
        torch = sys.modules["torch"], sys.modules["torch._utils"]
        if self.parameter:
            return torch[1]._rebuild_parameter, (Tensor(self.storage, *self.told), True, collections.OrderedDict())
        return torch[1]._rebuild_tensor_v2, (Held(self.storage), *self.told, False, collections.OrderedDict())


class Held:
    def __init__(self, storage: np.ndarray):
        self.storage = storage


@pytest.fixture
def torch(monkeypatch):
    """As much of PyTorch's names as pickle looks up."""

    def named(name: str, module: str) -> type:
        return type(name, (), {"__module__": module})

    for module, names in (("torch", [*NAMES.values()]), ("torch._utils", ["_rebuild_tensor_v2", "_rebuild_parameter"])):
        made = types.ModuleType(module)
        for name in names:
            setattr(made, name, named(name, module))
        monkeypatch.setitem(sys.modules, module, made)
    return sys.modules["torch"]


class Writer(pickle.Pickler):
    def __init__(self, file, old: bool):
        super().__init__(file, protocol=2)
        self.old, self.storages = old, []

    def persistent_id(self, item):
        if not isinstance(item, Held):
            return None
        place = next((i for i, storage in enumerate(self.storages) if storage is item.storage), len(self.storages))
        if place == len(self.storages):
            self.storages.append(item.storage)
        kind = getattr(sys.modules["torch"], NAMES[item.storage.dtype])
        return ("storage", kind, f"{place + 40}", "cpu", item.storage.size, *([None] if self.old else []))


def save(path: Path, content: object, old: bool) -> None:
    pickled = io.BytesIO()
    writer = Writer(pickled, old)
    writer.dump(content)
    if not old:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("alex/data.pkl", pickled.getvalue())
            archive.writestr("alex/version", "3\n")
            for number, storage in enumerate(writer.storages):
                archive.writestr(f"alex/data/{number + 40}", storage.tobytes())
        return
    with path.open("wb") as file:
        for header in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(header, file, 2)
        file.write(pickled.getvalue())
        pickle.dump([f"{number + 40}" for number in range(len(writer.storages))], file, 2)
        for storage in writer.storages:
            file.write(storage.size.to_bytes(8, "little") + storage.tobytes())


@pytest.mark.parametrize("old", [True, False])
def test_tensors_are_views_of_storages(tmp_path, torch, old):
    shared, counts = DRAW.normal(size=30).astype("<f4"), np.arange(3, dtype="<i8")
    content = collections.OrderedDict(
        whole=Tensor(shared, 0, (5, 6), (6, 1)),
        later=Tensor(shared, 4, (2, 3), (3, 1), parameter=True),
        turned=Tensor(shared, 2, (3, 4), (1, 6)),
        counts=Tensor(counts, 1, (2,), (1,)),
        number=Tensor(counts, 2, (), ()),
        note="left out",
    )
    content._metadata = collections.OrderedDict({"": {"version": 1}})
    save(tmp_path / "alex.pth", content, old)
    found = state_dict.read(tmp_path / "alex.pth")
    assert list(found) == ["whole", "later", "turned", "counts", "number"]
    np.testing.assert_array_equal(found["whole"], shared.reshape(5, 6))
    np.testing.assert_array_equal(found["later"], shared[4:10].reshape(2, 3))
    np.testing.assert_array_equal(found["turned"], shared[2:26].reshape(4, 6).T[:3])
    assert found["counts"].tolist() == [1, 2] and found["number"] == 2 and found["whole"].dtype == np.float32


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("old", [True, False])
def test_a_file_runs_nothing(tmp_path, torch, old, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "alex.pth", {"weight": Harm()}, old)
    with pytest.raises(ValueError, match="mkdir, expected a state dict of tensors"):
        state_dict.read(tmp_path / "alex.pth")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("old", [True, False])
def test_what_is_no_state_dict_is_said_to_be_none(tmp_path, torch, old):
    numbers = np.zeros(4, "<f4")
    for number, (content, told) in enumerate(
        (
            ([1, 2], "it holds one list"),
            ({"weight": Tensor(numbers, 0, (5,), (1,))}, "outside of its storage of 4 numbers"),
            ({"weight": Tensor(numbers, -1, (2,), (1,))}, "outside of its storage"),
        )
    ):
        file = tmp_path / f"{number}.pth"
        save(file, content, old)
        with pytest.raises(ValueError, match=told):
            state_dict.read(file)
    for number, damaged in enumerate((b"", b"not a pickle", file.read_bytes()[:60])):
        (tmp_path / f"damaged{number}").write_bytes(damaged)
        with pytest.raises(ValueError, match="no state dict of PyTorch"):
            state_dict.read(tmp_path / f"damaged{number}")

"""Modules on the Hugging Face Hub, against a stand-in for huggingface_hub: nothing is sent anywhere."""

import inspect
import json
import shutil
import sys
import types
from pathlib import Path

import pytest

from tfvideogan.config import Config, UserError
from tfvideogan.generation import hugging_face
from tfvideogan.generation.card_header import header
from tfvideogan.generation.module import from_module
from tfvideogan.installed import bundled

EXPORT = bundled("exports/moving_shapes64")


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """Folder of the repositories of a stand-in, which refuses those of "other"."""

    def checked(name: str) -> Path:
        if name.startswith("other/"):
            raise OSError(f"401 Client Error for {name}:\n\nInvalid username or password.")
        return tmp_path / "hub" / name

    def create_repo(name: str, exist_ok: bool) -> None:
        checked(name).mkdir(parents=True, exist_ok=exist_ok)

    def upload_folder(repo_id: str, folder_path: str, commit_message: str) -> None:
        shutil.copytree(folder_path, checked(repo_id), dirs_exist_ok=True)

    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        place = tmp_path / "cache" / name
        for pattern in allow_patterns:
            for file in checked(name).glob(pattern):
                to = place / file.relative_to(checked(name))
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, to)
        return str(place)

    stand_in = types.ModuleType("huggingface_hub")
    vars(stand_in).update(create_repo=create_repo, upload_folder=upload_folder, snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", stand_in)
    hugging_face.downloaded.cache_clear()
    yield tmp_path / "hub"
    hugging_face.downloaded.cache_clear()


def test_a_module_comes_back_from_the_hub_without_what_is_not_its_own(hub):
    assert hugging_face.upload(EXPORT, "hf://me/shapes") == "https://huggingface.co/me/shapes"
    (hub / "me/shapes/setup.py").write_text("print('not ours')")
    generator = from_module("hf://me/shapes", Config())
    assert generator.name == "hf://me/shapes" and len(generator.labels) == 12 and generator.config.frames == 8
    fetched = Path(hugging_face.downloaded("hf://me/shapes"))
    assert (fetched / "run.flags").read_text() == (EXPORT / "run.flags").read_text() and not (fetched / "setup.py").exists()


def test_what_the_hub_refuses_is_one_line(hub):
    with pytest.raises(UserError, match="--upload=hf://other/shapes: refused: 401 Client Error"):
        hugging_face.upload(EXPORT, "hf://other/shapes")
    with pytest.raises(UserError, match="--module=hf://other/shapes: cannot be fetched: 401 Client Error"):
        from_module("hf://other/shapes", Config())


@pytest.mark.parametrize("handle", ["hf://shapes", "hf://me/shapes/more", "hf://../shapes", "me/shapes", "hf://me/a b", "hf:///shapes"])
def test_a_handle_is_of_a_user_and_a_name(hub, handle):
    with pytest.raises(UserError, match="expected hf://USER/NAME"):
        hugging_face.require_uploads(handle)


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"--upload=hf://me/shapes: needs huggingface_hub .*pip install tfvideogan\[hf\]"):
        hugging_face.require_uploads("hf://me/shapes")


def test_the_stand_in_takes_what_huggingface_hub_takes(hub):
    stand_in = sys.modules.pop("huggingface_hub")
    try:
        real = pytest.importorskip("huggingface_hub")
        for name in ("create_repo", "upload_folder", "snapshot_download"):
            asked, there = (inspect.signature(getattr(module, name)).parameters for module in (stand_in, real))
            first = next(iter(there))
            assert {("repo_id" if number == 0 and first == "repo_id" else key) for number, key in enumerate(asked)} <= set(there), name
        errors = real.errors
        assert issubclass(errors.HfHubHTTPError, OSError) and issubclass(errors.HFValidationError, ValueError)
        assert issubclass(errors.LocalEntryNotFoundError, OSError) and issubclass(errors.LocalTokenNotFoundError, OSError)
    finally:
        sys.modules["huggingface_hub"] = stand_in


def test_the_cards_head_is_a_hugging_face_model_card():
    real = pytest.importorskip("huggingface_hub")
    protocol = {"dataset": "moving_shapes/plain", "split": "train"}
    scores = [
        {"metric": "fid/moving_shapes", "value": value, "stderr": 0.5, "protocol": {**protocol, "truncation": truncation}}
        for value, truncation in ((8.25, 1.0), (float("nan"), 1.0), (7.5, 0.25))
    ]
    text = header(Config(dataset='a "quoted": #name'), "prediction", scores) + "\n# title\n"
    data = real.ModelCard(text).data
    assert data.license == "other" and data.library_name == "tfvideogan" and "video-prediction" in data.tags
    result, truncated = data.eval_results
    assert (truncated.metric_name, truncated.metric_value) == ("fid/moving_shapes, truncation 0.25", 7.5)
    assert (result.metric_type, result.metric_name, result.metric_value) == ("fid", "fid/moving_shapes", 8.25)
    assert result.dataset_type == "moving_shapes/plain" and data.model_name == 'dvdgan on a "quoted": #name'


def test_the_shipped_exports_card_has_a_head():
    text = (EXPORT / "README.md").read_text()
    assert text.startswith("---\nlicense: other\n") and "\n---\n\n# dvdgan on moving_shapes/plain" in text
    assert json.loads(text.partition("    - ")[2].splitlines()[0])["type"] == "is"

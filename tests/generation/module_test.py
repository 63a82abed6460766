"""Exported modules of which something is gone."""

from pathlib import Path

import pytest
import tensorflow as tf

from tests.conftest import small
from tfvideogan import models
from tfvideogan.config import UserError
from tfvideogan.export import call_of
from tfvideogan.generation import module
from tfvideogan.generation.module import Generator
from tfvideogan.generation.sampler import Sampler


def cut(file: Path, bytes_left: int) -> None:
    file.write_bytes(file.read_bytes()[:bytes_left])


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: next(folder.glob("variables/*.data-*")).unlink(),
        lambda folder: cut(next(folder.glob("variables/*.data-*")), 100),
        lambda folder: cut(folder / "variables" / "variables.index", 100),
        lambda folder: cut(folder / "saved_model.pb", 100),
        lambda folder: (folder / "assets" / "labels.txt").unlink(),
        lambda folder: (folder / "assets" / "labels.txt").write_bytes(b"caf\xe9\n"),
    ],
)
def test_a_module_of_which_a_part_is_gone_is_refused_in_one_line(damage, tmp_path):
    (tmp_path / "labels.txt").write_text("a\n")
    saved = tf.Module()
    saved.weights, saved.labels = tf.Variable(tf.ones([1000])), tf.saved_model.Asset(str(tmp_path / "labels.txt"))
    serve = tf.function(lambda z: {"video": tf.zeros([1, 8, 32, 32, 3]) * z}, input_signature=[tf.TensorSpec([])])
    tf.saved_model.save(saved, str(tmp_path / "module"), signatures=serve.get_concrete_function())
    damage(tmp_path / "module")
    with pytest.raises(UserError, match=rf"--module={tmp_path}/module: no exported video generator: "):
        module.from_module(str(tmp_path / "module"), small("vgan"))


def test_overwrite_replaces_exports_alone(tmp_path):
    for name in (
        "module/variables/a",
        "module/saved_model.pb",
        "page/about.json",
        "run/run.flags",
        "run/export/saved_model.pb",
        "a.tflite",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "empty").mkdir()
    for name in ("module", "page", "run/export", "a.tflite", "empty", "new"):
        module.refuse_existing(str(tmp_path / name), overwrite=True)
    for place in (tmp_path / "run", tmp_path):
        with pytest.raises(UserError, match=f"^--output={place}: holds no export, which --overwrite would replace; expected a new folder"):
            module.refuse_existing(str(place), overwrite=True)


@pytest.mark.parametrize(
    "config, call",
    [
        (small("vgan"), "sample(label, seed, truncation)"),
        (small("dvdgan_fp"), "predict(first_frames, seed, truncation)"),
        (small("ftgan", phase="texture"), "translate(flow)"),
    ],
)
def test_an_export_says_how_its_generator_is_called(config, call):
    assert call_of(Generator("some/run", config, ("a",), 8, Sampler(models.build(config)))) == call

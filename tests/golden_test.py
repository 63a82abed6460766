"""Checkpoints and exports that an earlier version wrote are read, and draw what they drew then.

`python -m tests.golden` writes those of a model that has none. If a checkpoint of earlier versions is given up on purpose, its
archive is removed and written anew; an export never is: users have them.
"""

import dataclasses
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan import models
from tfvideogan.config import Config, from_flags
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.run_folder import Run

FOLDER = Path(__file__).parent / "golden"
ROUNDING = 5e-3  # of pixels in [-1,1], from one CPU to another: moments of two clips magnify it


def given(specs: Iterable[tf.TensorSpec]) -> dict[str, tf.Tensor]:
    """Two examples of what a generator reads: numbers in (-1,1) for tensors of floats, 0 and 1 for labels; free sizes are 16."""

    def example(spec: tf.TensorSpec) -> tf.Tensor:
        shape = [2, *(size or 16 for size in spec.shape[1:])]
        numbers = tf.reshape(tf.range(int(np.prod(shape))), shape)
        return tf.sin(tf.cast(numbers, tf.float32)) if spec.dtype.is_floating else numbers % 2

    return {spec.name: example(spec) for spec in specs}


def config_of(flags: dict[str, str]) -> Config:
    """A Config from the flags of a run, where those are given that it has."""
    kind = models.find(flags["model"]).Config
    read = {bool: lambda text: text == "true", int: int, float: float, str: str}
    fields = {field.name: type(field.default) for field in dataclasses.fields(kind)}
    return kind(**{name: read[fields[name]](text) for name, text in flags.items() if name in fields})


def drawn_by_run(folder: Path) -> tuple[Run, np.ndarray]:
    """A run's checkpoint, read with its optimizers, and the clips of its averaged generator with a batch's own moments."""
    config = config_of(from_flags((folder / "run.flags").read_text()))
    gan = models.build(config)
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    run = Run(str(folder), config, gan, (), make_optimizers(gan, step), step)
    run.restore()
    return run, gan.ema_generator(**given(gan.input_specs.values()), mode="train").numpy()


def served_by(folder: Path, inputs: dict[str, tf.Tensor]) -> np.ndarray:
    """The clips of an export's signature."""
    module = tf.saved_model.load(str(folder))  # held: its variables go with it
    return module.signatures["serving_default"](**inputs)["video"].numpy()


@pytest.fixture(params=sorted(file.name.removesuffix(".tar.xz") for file in FOLDER.glob("*.tar.xz")))
def written(request, tmp_path) -> Path:
    with tarfile.open(FOLDER / f"{request.param}.tar.xz") as file:
        file.extractall(tmp_path, filter="data")
    return tmp_path / request.param


def test_an_earlier_versions_checkpoint_is_read_and_its_generator_draws_the_same(written):
    run, drawn = drawn_by_run(written)
    assert run.done() == 1
    np.testing.assert_allclose(drawn, np.load(written / "drawn.npz")["run"], atol=ROUNDING)


@pytest.mark.slow_for("dvdgan", "dvdgan_fp", "vid2vid")
def test_an_earlier_versions_export_is_loaded_and_serves_the_same(written):
    module = tf.saved_model.load(str(written / "export"))
    inputs = given(module.signatures["serving_default"].structured_input_signature[1].values())
    np.testing.assert_allclose(served_by(written / "export", inputs), np.load(written / "drawn.npz")["export"], atol=ROUNDING)

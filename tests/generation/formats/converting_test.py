"""Other formats: what they draw, that nothing else is left behind, and what is said of a module that they cannot hold."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tests.models_test import batch_of
from tfvideogan import models
from tfvideogan.config import Config, UserError
from tfvideogan.generation import module
from tfvideogan.generation.formats import converting, tflite
from tfvideogan.generation.sampler import Sampler

CONVERTERS = {"tflite": "tensorflow", "onnx": "tf2onnx", "keras": "keras"}


class Tiny(tf.Module):
    """A module of one multiplication: z [N,3], label [N] -> [N,2,4,4,3]."""

    def __init__(self, labels: Path):
        super().__init__()
        self.labels, self.step = tf.saved_model.Asset(str(labels)), tf.Variable(7)
        self.kernel = tf.Variable(np.linspace(-1, 1, 3 * 96).reshape([3, 96]), dtype=tf.float32)
        self.lacking = ""

    def generate(self, z: tf.Tensor, label: tf.Tensor) -> dict[str, tf.Tensor]:
        check = tf.debugging.Assert(tf.reduce_all(label < 2), ["label: got", label])
        with tf.control_dependencies([check]):
            y = tf.matmul(z, self.kernel) + tf.cast(label, tf.float32)[:, None]
        if self.lacking:
            y += getattr(tf.math, self.lacking)(y)
        return {"video": tf.reshape(tf.sigmoid(y), [-1, 2, 4, 4, 3])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([2], tf.int32), tf.TensorSpec([], tf.float32)])
    def sample(self, label: tf.Tensor, seed: tf.Tensor, truncation: tf.Tensor) -> tf.Tensor:
        z = truncation * tf.random.stateless_normal([tf.size(label), 3], seed)
        return self.generate(z, label)["video"]


def saved(folder: Path, lacking: str = "") -> module.Generator:
    """A tiny exported module, of whose operations TFLite may lack one."""
    (folder / "labels.txt").write_text("left\nright\n")
    tiny = Tiny(folder / "labels.txt")
    tiny.lacking = lacking
    generate = tf.function(tiny.generate, input_signature=[tf.TensorSpec([None, 3], name="z"), tf.TensorSpec([None], tf.int32, "label")])
    tf.saved_model.save(tiny, str(folder / "module"), signatures=generate)
    return module.from_module(str(folder / "module"), Config())


@pytest.mark.parametrize("format", CONVERTERS)
def test_a_converted_module_draws_the_same_clips(format, tmp_path):
    pytest.importorskip(CONVERTERS[format])
    generator, output = saved(tmp_path), tmp_path / "new" / f"clips.{format}"
    assert converting.write(generator, format, str(output)) < 1e-6
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    run = converting.FORMATS[format].load(output)
    given = {"z": np.float32([[0.1, 0.2, -0.3]]), "label": np.int32([1])}
    want = 1 / (1 + np.exp(-(given["z"] @ np.linspace(-1, 1, 3 * 96).reshape([3, 96]) + 1)))
    np.testing.assert_allclose(run(given).ravel(), want[0], atol=1e-6)


@pytest.mark.parametrize("function, operation", [("bessel_i0e", "BesselI0e"), ("digamma", "Digamma")])
def test_a_module_that_cannot_be_converted_gets_one_line(function, operation, tmp_path, capfd):
    generator = saved(tmp_path, lacking=function)
    with pytest.raises(UserError, match=rf"^--format=tflite: .*module cannot be converted: TFLite has no {operation}$"):
        converting.write(generator, "tflite", str(tmp_path / "new" / "clips.tflite"))
    assert not any((tmp_path / "new").iterdir()) and operation not in capfd.readouterr().err


def test_what_draws_other_clips_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(tflite, "load", lambda path: lambda inputs: np.full([1, 2, 4, 4, 3], np.nan, np.float32))
    with pytest.raises(UserError, match="--format=tflite: got clips that differ by nan, expected at most 0.001; nothing is written"):
        converting.write(saved(tmp_path), "tflite", str(tmp_path / "clips.tflite"))
    assert not (tmp_path / "clips.tflite").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dvdgan", "mocogan", "vgan", "dvdgan_fp", "cartoongan"])
def test_every_kind_of_generator_is_converted(name, tmp_path):
    config = small(name)
    gan = models.build(config)
    for number, weight in enumerate(gan.ema_generator.trainable_variables):  # away from their beginning, where some draw one color
        weight.assign_add(0.05 * tf.random.stateless_normal(weight.shape, [number, 1]))
    # As an exported one's: with other statistics activations grow, and what a compiler rounds otherwise turns black to white.
    batches = (batch_of(config, config.calibration_clips, first) for first in itertools.count(0, config.calibration_clips))
    sampler = Sampler(gan).calibrate(batches)
    labels = tuple(map(str, range(config.classes)))
    module.write(module.Generator(name, config, labels, 0, sampler), str(tmp_path / "module"), overwrite=False)
    generator = module.from_module(str(tmp_path / "module"), config)
    for format, package in CONVERTERS.items():
        if (name, format) == ("dvdgan_fp", "tflite"):
            continue  # see tflite.py: refused, as its clips differ
        if format != "onnx" or pytest.importorskip(package):
            assert converting.write(generator, format, str(tmp_path / f"clips.{format}")) <= converting.TOLERANCE
            clips = [converting.FORMATS[format].load(tmp_path / f"clips.{format}")(converting.Source(generator).example(n)) for n in (0, 1)]
            assert np.abs(clips[0] - clips[1]).max() > 1e-3

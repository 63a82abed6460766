"""What the user's keras.json and environment say of Keras changes nothing."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvideogan
from tests.conftest import small
from tfvideogan import models
from tfvideogan.evaluators import c3d, classifier, i3d

SETTINGS = {  # keras.json, and the environment
    "jax": ({"backend": "jax", "floatx": "float16"}, {"KERAS_BACKEND": "jax"}),
    "nonsense": ({"floatx": "bfloat16", "epsilon": "small", "image_data_format": "none"}, {"KERAS_BACKEND": "theano"}),
}
SHOW = """
import os, tfvideogan, keras
print(keras.backend.backend(), keras.config.floatx(), keras.config.image_data_format(), keras.config.epsilon(), os.environ["KERAS_BACKEND"])
"""


@pytest.mark.parametrize("name", SETTINGS)
def test_keras_has_its_own_defaults_on_tensorflow(name, tmp_path):
    file, environment = SETTINGS[name]
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(file))
    environment = {**os.environ, **environment, "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, timeout=90)
    assert done.stdout.split() == ["tensorflow", "float32", "channels_last", "1e-07", environment["KERAS_BACKEND"]], done.stderr[-2000:]
    assert [path.name for path in (tmp_path / ".keras").iterdir()] == ["keras.json"]


def test_keras_that_was_imported_on_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ImportError, match="Keras was imported on jax, expected tensorflow"):
        tfvideogan._import_keras()


@pytest.fixture
def other_settings():
    """As of one who imported Keras first, with settings of his own."""
    keras.config.set_image_data_format("channels_first")
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def test_evaluators_state_the_layout_and_type_that_they_compute_in(other_settings):
    noise = tf.random.stateless_uniform([1, 9, 40, 40, 3], [0, 0], -1, 1)
    shapes = classifier.load("moving_shapes")
    found = shapes(noise)
    assert [part.shape for part in found] == [(1, 128), (1, 12)] and {part.dtype for part in found} == {np.dtype("float32")}
    for network in (i3d.I3D(400, True)._network, c3d.C3D(101, lambda video: video)._network):
        shapes = [layer.output.shape for layer in network.layers if len(layer.output.shape) == 5]
        assert shapes[0][-1] == 3 and all(shape[2] == shape[3] for shape in shapes)  # square frames between time and channels
        assert {layer.output.dtype for layer in network.layers} == {"float32"}


@pytest.mark.parametrize("name", ["vgan", "mocogan"])
def test_models_compute_in_their_precision(name, other_settings):
    gan = models.build(small(name))
    specs = gan.input_specs
    video = gan.generator(**{key: tf.zeros([1, *spec.shape[1:]], spec.dtype) for key, spec in specs.items()}, mode="train")
    assert video.dtype == tf.float32 and {variable.dtype for variable in gan.generator.trainable_variables} == {"float32"}

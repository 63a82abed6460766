"""Inception by its signature, and how evaluators are chosen."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import refusal
from tfvideogan.evaluators import c3d, classifier, i3d
from tfvideogan.evaluators.load import load


class StandIn(tf.Module):
    """Of the signature of TF-GAN's module: channel sums of each frame's corners, in the published shapes."""

    def __init__(self, **outputs: int):
        super().__init__()
        self.scale, self.outputs = tf.Variable(2.0), outputs

    @tf.function(input_signature=[tf.TensorSpec([None, 299, 299, 3])])
    def __call__(self, frames):
        corner = tf.reduce_sum(frames[:, 0, 0], -1, keepdims=True) * self.scale
        found = {name: tf.tile(corner, [1, width]) * tf.range(1.0, width + 1) for name, width in self.outputs.items()}
        return {name: value[:, None, None] if name == "pool_3" else value for name, value in found.items()}


@pytest.fixture(scope="module")
def inception(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("inception")
    tf.saved_model.save(StandIn(pool_3=2048, logits=1008), str(folder))
    return f"inception:{folder}"


def test_inception_sees_each_frame_of_each_clip(inception):
    evaluator = load(inception)
    video = np.random.default_rng(0).uniform(-1, 1, [5, 3, 20, 30, 3]).astype(np.float32)  # more clips than a batch of 4
    features, logits = evaluator(tf.constant(video))
    assert features.shape == (5, 3, 2048) and logits.shape == (5, 3, 1008)
    corner = 2 * video[:, :, 0, 0].sum(-1, keepdims=True)
    np.testing.assert_allclose(features, corner * np.arange(1, 2049), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(logits, corner * np.arange(1, 1009), rtol=1e-4, atol=1e-2)
    assert (evaluator.name, evaluator.labels, len(evaluator.sha256)) == ("inception", (), 64)


def test_inception_sees_299_pixels_resized_as_tensorflow_1_did(inception):
    halves = tf.constant([-1.0, 1.0])[None, None, None, :, None] * tf.ones([1, 2, 2, 1, 3])  # two columns
    seen = load(inception).network.look(halves)
    assert seen.shape == (1, 2, 299, 299, 3)
    np.testing.assert_allclose(seen[0, 1, 9, :, 2], np.minimum(np.arange(299) * 2 / 299, 1) * 2 - 1, atol=1e-5)


def test_other_modules_are_refused(tmp_path, inception):
    assert "https://tfhub.dev/tensorflow/tfgan/eval/inception/1" in refusal(load, f"inception:{tmp_path}/none")
    tf.saved_model.save(StandIn(logits=1008), str(tmp_path / "half"))
    assert "gives logits, not pool_3; expected inception:FOLDER" in refusal(load, f"inception:{tmp_path}/half")
    tf.saved_model.save(tf.Module(), str(tmp_path / "empty"))
    assert "cannot be called with frames" in refusal(load, f"inception:{tmp_path}/empty")
    assert "the sha256 of saved_model.pb variables.data-00000-of-00001 is" in refusal(load, inception, "0" * 64)
    assert load(inception, load(inception).sha256).name == "inception"


def test_specs_choose_evaluators(tmp_path, monkeypatch):
    classifier.save(tmp_path / "mine.npz", classifier.VideoClassifier(2), ("a", "b"))
    assert load("moving_shapes").name == "moving_shapes"
    mine = load(str(tmp_path / "mine.npz"))
    assert (mine.name, mine.labels) == ("mine", ("a", "b"))
    assert load(str(tmp_path / "mine.npz"), mine.sha256.upper()).sha256 == mine.sha256
    assert "mine.npz: its sha256 is" in refusal(load, str(tmp_path / "mine.npz"), "0" * 64)
    for kind, module in (("i3d", i3d), ("c3d", c3d), ("c3d_tgan", c3d)):
        assert module.WANTED in refusal(load, f"{kind}:{tmp_path}/none") and module.WANTED in refusal(load, kind)


def test_unknown_specs_name_the_known_ones():
    assert (
        "no evaluator 'i3f'; expected i3d:PLACE, i3d_float:PLACE, c3d:PLACE, c3d_tgan:PLACE, inception:PLACE, or an .npz file"
        in refusal(load, "i3f:/x")
    )
    assert "expected moving_shapes or an .npz file" in refusal(load, "moving_shape")

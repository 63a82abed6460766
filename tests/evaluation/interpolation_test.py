"""Interpolation sheets, of a module whose clips show what it was asked for, and of a real one, exported or not."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub

from tests.conftest import small
from tfvideogan import models
from tfvideogan.evaluation.interpolation import interpolate, names
from tfvideogan.generation.sampler import Sampler
from tfvideogan.ops.latent import NORMAL, UNIFORM


class Shown(tf.Module):
    """Clips [N,1,1,1,3] whose colour is z's two numbers and the label."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="z"), tf.TensorSpec([None], tf.int32, "label")])
    def generate(self, z, label):
        return tf.concat([z, tf.cast(label, tf.float32)[:, None]], 1)[:, None, None, None]


class Blending(Shown):
    @tf.function(input_signature=[tf.TensorSpec([None, 2]), tf.TensorSpec([None, 4])])
    def blend(self, z, weights):
        return tf.concat([z, tf.reduce_sum(weights * [0.0, 10.0, 20.0, 40.0], 1, keepdims=True)], 1)[:, None, None, None]


def rows(module, pairs, steps=5, seed=3, truncation=1.0, distribution=NORMAL):
    return [row[:, 0, 0, 0] for row in interpolate(module, distribution, pairs, steps, seed, truncation)]


@pytest.mark.parametrize("distribution", [NORMAL, UNIFORM], ids=lambda distribution: distribution.name)
def test_latents_go_by_their_distribution_and_the_label_changes_at_the_middle(distribution):
    within, across = rows(Shown(), [(2, 2), (0, 1)], distribution=distribution)
    for number, row in enumerate((within, across)):
        first, last = distribution.draw(tf.constant([[3, 2 * number], [3, 2 * number + 1]]), 2)
        np.testing.assert_array_equal(row[[0, 4], :2], [first, last])
        np.testing.assert_allclose(row[1:4, :2], distribution.interpolate(first, last, [[0.25], [0.5], [0.75]]), atol=1e-6)
        assert np.abs(row[4, :2] - row[0, :2]).min() > 0.01
    assert within[:, 2].tolist() == [2] * 5 and across[:, 2].tolist() == [0, 0, 1, 1, 1]
    assert not np.allclose(within[:, :2], across[:, :2])


def test_embeddings_are_blended_where_the_module_can():
    within, across = rows(Blending(), [(3, 3), (1, 3)])
    assert within[:, 2].tolist() == [3] * 5  # by `generate`
    assert across[:, 2].tolist() == pytest.approx([10, 17.5, 25, 32.5, 40])


def test_rows_follow_from_seed_number_and_truncation():
    first = rows(Shown(), [(0, 0), (1, 1)])
    np.testing.assert_array_equal(rows(Shown(), [(2, 2), (1, 1)])[1], first[1])
    assert not np.array_equal(rows(Shown(), [(0, 0)], seed=4)[0], first[0])
    np.testing.assert_allclose(rows(Shown(), [(0, 0)], truncation=0.5)[0][:, :2], first[0][:, :2] / 2, atol=1e-6)


def test_rows_are_named_and_have_two_ends():
    assert names([(0, 0), (0, 1)], ["bend", "jack"]) == ["bend", "bend to jack"]
    with pytest.raises(ValueError, match="steps=1: expected at least 2"):
        next(interpolate(Shown(), NORMAL, [(0, 0)], 1, 0, 1.0))


@pytest.fixture(scope="module")
def module() -> Sampler:
    return Sampler(models.build(small("dvdgan", classes=3))).calibrate()


def test_dvdgan_blends_its_embeddings(module):
    z = tf.random.stateless_normal([2, 8], [0, 1])
    one_hot = tf.one_hot([2, 0], 3)
    np.testing.assert_allclose(module.blend(z, one_hot), module.generate(z, tf.constant([2, 0])), atol=1e-6)
    half = module.blend(z, (one_hot + one_hot[::-1]) / 2).numpy()
    assert np.abs(half - module.blend(z, one_hot).numpy()).max() > 1e-4


@pytest.mark.slow
def test_an_exported_dvdgan_gives_the_same_rows(module, tmp_path):
    tf.saved_model.save(module, str(tmp_path))
    pairs = [(0, 0), (0, 2)]
    for ours, theirs in zip(
        interpolate(module, NORMAL, pairs, 3, 0, 1.0), interpolate(hub.load(str(tmp_path)), NORMAL, pairs, 3, 0, 1.0), strict=True
    ):
        assert ours.shape == (3, 4, 32, 32, 3)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)

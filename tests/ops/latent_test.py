"""Latent distributions: draws, truncation, and what lies between two draws."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan.ops.latent import NORMAL, UNIFORM, Distribution

DRAWS, WIDTH = 100, 200
SEEDS = tf.stack([tf.range(2 * DRAWS), tf.fill([2 * DRAWS], 7)], 1)
BOTH = pytest.mark.parametrize("distribution", [NORMAL, UNIFORM], ids=lambda distribution: distribution.name)


def cumulative(distribution: Distribution, x: np.ndarray) -> np.ndarray:
    """P(X <= x)."""
    return (1 + np.clip(x, -1, 1)) / 2 if distribution is UNIFORM else np.array([(1 + math.erf(v / math.sqrt(2))) / 2 for v in x])


def farthest(distribution: Distribution, sample: np.ndarray) -> float:
    """Kolmogorov's distance of a sample from a distribution; above 1.95 / sqrt(N) once in a thousand samples."""
    steps = np.arange(sample.size + 1) / sample.size
    found = cumulative(distribution, np.sort(sample.ravel()))
    return max(np.abs(found - steps[1:]).max(), np.abs(found - steps[:-1]).max())


@BOTH
def test_draws_have_the_distribution_and_belong_to_their_seeds(distribution):
    z = distribution.draw(SEEDS, WIDTH).numpy()
    assert z.shape == (2 * DRAWS, WIDTH) and z.dtype == np.float32
    assert farthest(distribution, z) < 1.95 / z.size**0.5
    np.testing.assert_array_equal(distribution.draw(SEEDS[5:7], WIDTH), z[5:7])


@BOTH
@pytest.mark.parametrize("t", [0.1, 0.5, 0.8])
def test_what_lies_between_two_draws_has_the_distribution_again(distribution, t):
    a, b = np.split(distribution.draw(SEEDS, WIDTH).numpy(), 2)
    between = distribution.interpolate(a, b, t).numpy()
    assert farthest(distribution, between) < 1.95 / between.size**0.5
    assert farthest(distribution, (1 - t) * a + t * b) > 1.95 / between.size**0.5  # the straight line's has not


@BOTH
def test_the_ends_are_the_draws_themselves(distribution):
    a, b = np.split(distribution.draw(SEEDS[:6], WIDTH).numpy(), 2)
    np.testing.assert_array_equal(distribution.interpolate(a, b, 0.0), a)
    np.testing.assert_array_equal(distribution.interpolate(a, b, 1.0), b)


@BOTH
def test_steps_of_a_row_are_even_and_go_one_way(distribution):
    a, b = np.split(distribution.draw(SEEDS[:2], WIDTH).numpy(), 2)
    t = np.linspace(0, 1, 9, dtype=np.float32)[:, None]
    row = distribution.interpolate(a, b, t).numpy()
    assert row.shape == (9, WIDTH)
    alone = np.concatenate([distribution.interpolate(a, b, one[0]) for one in t])
    np.testing.assert_array_equal(row, alone)
    np.testing.assert_allclose(distribution.interpolate(b, a, t), row[::-1], atol=1e-6)


def test_between_two_normal_numbers_by_hand():
    # A third of a quarter turn: cos 30 = 0.866, sin 30 = 1/2.
    assert NORMAL.interpolate([2.0], [4.0], 1 / 3).numpy() == pytest.approx([3**0.5 + 2])


def test_between_two_uniform_numbers_by_hand():
    # 0 is the middle of both distributions; erf(1) = 0.8427 is at x = sqrt 2, half way sqrt 2 sin 45 = 1: erf(1 / sqrt 2) = 0.6827.
    assert UNIFORM.interpolate([0.0], [math.erf(1)], 0.5).numpy() == pytest.approx([0.68268949], abs=1e-6)
    ends = UNIFORM.interpolate(np.float32([-1, 1, -1]), np.float32([1, 1, -1]), 0.5).numpy()
    assert ends == pytest.approx([0, 1, -1], abs=1e-6)


@BOTH
def test_truncation_scales(distribution):
    z = distribution.draw(SEEDS[:3], WIDTH).numpy()
    np.testing.assert_allclose(distribution.truncate(z, tf.constant(0.25)), z / 4)
    np.testing.assert_array_equal(distribution.truncate(z, 1.0), z)

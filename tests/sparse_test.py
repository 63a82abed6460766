"""Dense training of TGANv2, which benchmarks/sparse.py measures beside the paper's."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import sparse
from tests.conftest import small
from tests.reference import clips, seeds_of
from tfvideogan import models
from tfvideogan.models import tganv2


def test_dense_levels_have_every_frame_and_the_sparse_ones_are_among_them():
    video, offsets = clips(4, 32, 2), tf.constant([[1], [0]])
    levels, sampled = sparse.every_frame(video, offsets), tganv2.real_pyramid(video, offsets)
    assert [tuple(level.shape) for level in levels] == [(2, 4, 16, 16, 3), (2, 4, 32, 32, 3)]
    np.testing.assert_array_equal(levels[0], sampled[0])
    np.testing.assert_array_equal(levels[1], video)
    np.testing.assert_array_equal(sampled[1], [video[0, 1::2], video[1, ::2]])


def test_dense_networks_are_the_sparse_ones_and_only_within():
    gan = models.build(small("tganv2"))
    batch = {"video": clips(4, 32, 2), "seed": seeds_of(2)}
    with sparse.dense():
        fakes = gan.fakes(batch)
        terms, _ = gan.discriminator_loss(batch)
    assert [tuple(level.shape) for level in fakes] == [(2, 4, 16, 16, 3), (2, 4, 32, 32, 3)]
    np.testing.assert_allclose(fakes[-1], gan.generator(**gan.inputs(batch), mode="train"), atol=1e-6)  # what is sampled
    sparsely, _ = gan.discriminator_loss(batch)
    assert [level.shape[1] for level in gan.fakes(batch)] == [4, 2]
    assert float(terms["d_loss"]) != pytest.approx(float(sparsely["d_loss"]), rel=1e-6)

"""The optimizers against their formulas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tfvideogan.training.optimizers import make_optimizer


@pytest.mark.parametrize("beta_1", [0.0, 0.5])
def test_adam_is_that_of_keras(beta_1):
    config = small("dvdgan", beta_1=beta_1)
    ours, theirs = make_optimizer(config, 0.01), keras.optimizers.Adam(0.01, beta_1, config.beta_2, config.adam_epsilon)
    weights = [[keras.Variable(np.ones([3, 4], np.float32)), keras.Variable(np.zeros([5], np.float32))] for _ in range(2)]
    for optimizer, of_one in zip((ours, theirs), weights, strict=True):
        optimizer.build(of_one)
    for step in range(4):
        gradients = [tf.random.stateless_normal(weight.shape, [step, i]) for i, weight in enumerate(weights[0])]
        gradients[0] = tf.IndexedSlices(gradients[0][:2], [2, 0], [3, 4]) if step == 2 else gradients[0]  # of a gather
        for optimizer, of_one in zip((ours, theirs), weights, strict=True):
            optimizer.apply([tf.convert_to_tensor(g) if optimizer is theirs else g for g in gradients], of_one)
    for a, b in zip(weights[0] + ours.variables, weights[1] + theirs.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)

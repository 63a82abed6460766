"""The optimizers against their formulas."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tfvideogan.training.optimizers import make_optimizer


@pytest.mark.parametrize("beta_1", [0.0, 0.5])
def test_adam_is_that_of_keras(beta_1):
    config = small("dvdgan", beta_1=beta_1)
    ours = make_optimizer(config, [0.02] * 2, lambda: tf.constant(0.5))
    theirs = keras.optimizers.Adam(0.01, beta_1, config.beta_2, config.adam_epsilon)
    weights = [[keras.Variable(np.ones([3, 4], np.float32)), keras.Variable(np.zeros([5], np.float32))] for _ in range(2)]
    for optimizer, of_one in zip((ours, theirs), weights, strict=True):
        optimizer.build(of_one)
    for step in range(4):
        gradients = [tf.random.stateless_normal(weight.shape, [step, i]) for i, weight in enumerate(weights[0])]
        gradients[0] = tf.IndexedSlices(gradients[0][:2], [2, 0], [3, 4]) if step == 2 else gradients[0]  # of a gather
        for optimizer, of_one in zip((ours, theirs), weights, strict=True):
            optimizer.apply([tf.convert_to_tensor(g) if optimizer is theirs else g for g in gradients], of_one)
    theirs = {"momentum": theirs._momentums, "velocity": theirs._velocities}
    for kept, name in ((weights[0], None), *((ours.slots[name], name) for name in theirs)):
        for a, b in zip(kept, theirs[name] if name else weights[1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


FLOAT16 = """
import tensorflow as tf
from tests.conftest import small
from tfvideogan.training.optimizers import make_optimizer
from tfvideogan.training.strategy import make_strategy
import keras, numpy as np

strategy = make_strategy("mirrored", 2)
with strategy.scope():
    weights = [keras.Variable(np.ones([2], np.float32)), keras.Variable(np.ones([3], np.float32))]
    optimizer = make_optimizer(small("dvdgan", precision="mixed_float16"), [0.1] * 2, lambda: tf.constant(1.0))
    optimizer.build(weights)


@tf.function
def step(replica, weight):
    def update():
        context = tf.distribute.get_replica_context()
        here = tf.where(context.replica_id_in_sync_group == replica, float("inf"), 1.0)
        gradients = [tf.fill(w.shape, here if i == weight else 1.0) * optimizer.dynamic_scale.value for i, w in enumerate(weights)]
        optimizer.apply(gradients, weights)

    strategy.run(update)


scale = 2.0**15
for replica in (0, 1):
    for weight in (0, 1):
        before = [w.numpy() for w in weights]
        step(replica, weight)
        scale /= 2
        assert float(optimizer.dynamic_scale.numpy()) == scale, (replica, weight)
        assert int(optimizer.iterations.numpy()) == 0
        assert all(np.array_equal(a, b.numpy()) for a, b in zip(before, weights, strict=True)), (replica, weight)
step(-1, 0)
assert int(optimizer.iterations.numpy()) == 1 and all(np.all(w.numpy() < 0.95) for w in weights)
for w in [*weights, *(v for slot in optimizer.slots.values() for v in slot)]:
    copies = [value.numpy() for value in strategy.experimental_local_results(w.value)]
    assert len(copies) == 2 and np.array_equal(*copies) and np.all(np.isfinite(copies))
"""


def test_an_overflow_in_any_replica_leaves_the_step_out_in_all():
    done = subprocess.run([sys.executable, "-c", FLOAT16], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-3000:]

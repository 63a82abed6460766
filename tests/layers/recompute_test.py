"""Activation recomputation: the same numbers in less memory."""

import dataclasses
import functools
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tests.models_test import batches_of, optimized, step_of, unsteady_sums
from tfvideogan import models
from tfvideogan.layers import recompute
from tfvideogan.layers.spectral import SpectralDense
from tfvideogan.ops import forms


class Square:
    """Two spectral layers and their product: a function that would keep them both."""

    def __init__(self):
        self.layers = SpectralDense(3, 4, bias=True), None, SpectralDense(4, 4, bias=True)
        self.calls = 0

    def __call__(self, layers, x, scale, mode):
        self.calls += 1
        first, _, second = layers
        y = first(x, mode=mode)
        return tf.square(second(y, mode=mode)) * scale

    def gradients(self, recomputed: bool) -> list[np.ndarray]:
        """Value and gradients, in a graph as training has it; only the second layer's weights are watched, as of one player."""
        call = functools.partial(recompute.recomputed, self) if recomputed else self
        x, scale = tf.random.stateless_normal([5, 3], [0, 1]), tf.constant(2.0)
        weights = [weight.value for weight in self.layers[2].trainable_variables]

        @tf.function(autograph=False)
        def run(x: tf.Tensor, scale: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([x, scale, *weights])
                y = call(self.layers, x, scale, mode="train")
            return [y, *tape.gradient(y, [x, scale, *weights])]

        return [value.numpy() for value in run(x, scale)]


def test_values_and_gradients_are_the_same_and_u_is_assigned_once():
    function = Square()
    before = [layer.u.numpy() for layer in function.layers if layer]
    found = []
    for recomputed in (False, True):
        for layer, u in zip((layer for layer in function.layers if layer), before, strict=True):
            layer.u.assign(u)
        found.append(function.gradients(recomputed) + [layer.u.numpy() for layer in function.layers if layer])
    assert function.calls == 3  # once, and once more in the gradient
    for plain, again in zip(*found, strict=True):
        np.testing.assert_array_equal(again, plain)
    assert not np.array_equal(found[1][-1], before[-1])


@pytest.mark.parametrize("form, calls", [(forms.accelerated, 2), (forms.plain, 1)])
def test_gpus_compute_again_too_and_what_is_counted_does_not(form, calls):
    function = Square()
    with form():
        function.gradients(recomputed=True)
    assert function.calls == calls


def test_no_other_mode_is_touched(monkeypatch):
    monkeypatch.setattr(tf, "custom_gradient", None)
    function, x = Square(), tf.ones([5, 3])
    for mode in ("sample", "calibrate"):
        np.testing.assert_array_equal(
            recompute.recomputed(function, function.layers, x, tf.constant(2.0), mode=mode),
            function(function.layers, x, tf.constant(2.0), mode=mode),
        )


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_training_is_the_same_bit_for_bit(precision):
    config = small("dvdgan", precision=precision, d_steps=1)
    found = []
    for again in (False, True):
        gan = models.build(dataclasses.replace(config, recompute=again))
        step = tf.function(step_of(gan, flat=True), autograph=False)
        graphs = optimized(step, batches_of(config))
        scalars = [step(batches_of(config)) for _ in range(2)]
        found.append((scalars, [variable.numpy() for variable in gan.variables], convolutions(graphs)))
        assert not [name for graph in graphs for name in unsteady_sums(graph)]
        assert any(node.op == "_FusedConv2D" for graph in graphs for node in graph.node)  # Grappler's remapper has not given up
    (plain, weights, made), (recomputed, same, more) = found
    for one, other in zip(plain, recomputed, strict=True):
        assert {name: float(value) for name, value in one.items()} == {name: float(value) for name, value in other.items()}
    for one, other in zip(weights, same, strict=True):  # u vectors among them
        np.testing.assert_array_equal(other, one)
    assert more > 1.1 * made  # Grappler has not merged the second computation with the first


def convolutions(graphs: list[tf.compat.v1.GraphDef]) -> int:
    return sum("Conv" in node.op and "Backprop" not in node.op for graph in graphs for node in graph.node)


TWO_REPLICAS = """
import numpy as np, tensorflow as tf
from tests.conftest import small
from tests.models_test import batch_of
from tfvideogan import models
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.step import make_step
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
found = []
for recompute in (False, True):
    with strategy.scope():
        gan = models.build(small("dvdgan", recompute=recompute, d_steps=1))
        count = tf.Variable(0, dtype=tf.int64, trainable=False)
        count = tf.Variable(0, dtype=tf.int64, trainable=False)
        optimizers = make_optimizers(gan, count)
    step = make_step(gan, optimizers, count, strategy)
    batch = strategy.experimental_distribute_values_from_function(
        lambda context: batch_of(gan.config, 2, first=2 * context.replica_id_in_sync_group))
    scalars = [step([batch]) for _ in range(2)]
    found.append([float(value) for value in scalars[-1].values()] + [variable.numpy() for variable in gan.variables])
for plain, again in zip(*found, strict=True):
    np.testing.assert_array_equal(again, plain)
"""


@pytest.mark.slow
def test_two_replicas_train_the_same_bit_for_bit():
    subprocess.run([sys.executable, "-c", TWO_REPLICAS], check=True)

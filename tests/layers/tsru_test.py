"""TSRU against the equations of its docstring, written out in float64."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.models.dvdgan_reference import Pass, convolve, relu
from tests.models.dvdgan_test import assert_gradients, prepare
from tfvideogan.layers.tsru import TSRU, VARIANTS


def moved(h: tf.Tensor, flow: tf.Tensor) -> tf.Tensor:
    """h [N,1,H,W,C] at p + flow(p), by hat functions over all pixels; positions beyond the border are its own."""
    height, width = h.shape[2:4]
    across, down = (
        tf.maximum(0.0, 1 - tf.abs(tf.clip_by_value(at + flow[..., axis], 0.0, size - 1.0)[..., None] - tf.range(size, dtype=tf.float64)))
        for axis, size, at in (
            (0, width, tf.range(width, dtype=tf.float64)),
            (1, height, tf.range(height, dtype=tf.float64)[:, None]),
        )
    )
    return tf.einsum("nthwy,nthwx,ntyxc->nthwc", down, across, h)


def by_hand(layer: TSRU, x: tf.Tensor, h: tf.Tensor, run: Pass) -> tf.Tensor:
    """x [N,T,H,W,C], h [N,1,H,W,C] in float64 -> [N,T,H,W,C]."""

    def sigmoid(y: tf.Tensor) -> tf.Tensor:
        return 1 / (1 + tf.exp(-y))

    states = []
    for now in tf.split(x, x.shape[1], 1):
        h_x = tf.concat([h, now], -1)
        m = moved(h, convolve(relu(convolve(h_x, layer.hidden, run)), layer.flow, run))
        m_x = tf.concat([m, now], -1)
        c = relu(convolve(h_x if layer.variant == "tsru_p" else m_x, layer.candidate, run))
        u = sigmoid(convolve(tf.concat([m, c], -1) if layer.variant == "tsru_s" else h_x, layer.update_gate, run))
        h = u * m + (1 - u) * c
        states.append(h)
    return tf.concat(states, 1)


@pytest.mark.parametrize("variant, same, started", [*((v, False, True) for v in VARIANTS), ("tsru_c", True, False)])
def test_states_and_gradients_are_those_of_the_equations(variant, same, started):
    layer, draw = TSRU(3, 3, variant), np.random.default_rng(1)
    prepare(layer, 2)
    layer.flow.bias.assign([0.7, -1.6])  # pixels: content comes from elsewhere, and from beyond the border
    x = tf.constant(draw.standard_normal([2, 1 if same else 3, 4, 5, 3]), tf.float32)
    initial = tf.constant(np.abs(draw.standard_normal([2, 4, 5, 3])), tf.float32)
    direction = draw.standard_normal([2, 3, 4, 5, 3])
    weights = [weight.value for weight in layer.trainable_variables]
    sources, run = [x, *([initial] if started else []), *weights], Pass("train")
    with tf.GradientTape() as tape:
        tape.watch([x, initial])
        precise = tf.repeat(tf.cast(x, tf.float64), 3, 1) if same else tf.cast(x, tf.float64)
        start = tf.cast(initial, tf.float64)[:, None]
        expected = by_hand(layer, precise, start if started else 0 * start, run)
        objective = tf.reduce_sum(expected * direction)
    expected_gradients = tape.gradient(objective, sources)
    with tf.GradientTape() as tape:
        tape.watch([x, initial])
        states = layer(x, initial if started else None, mode="train")
        objective = tf.reduce_sum(states * tf.cast(direction, tf.float32))
    np.testing.assert_allclose(states, expected, atol=1e-5)
    assert np.std(expected) > 0.1
    names = ["x", *(["initial"] if started else []), *(weight.path for weight in layer.trainable_variables)]
    assert_gradients(tape.gradient(objective, sources), expected_gradients, names, 1e-3)
    for part in (layer.hidden, layer.flow, layer.update_gate, layer.candidate):
        np.testing.assert_allclose(part.u[0], run.u[id(part)], atol=1e-6)  # one power iteration, not one a step


def test_variants_differ():
    x, states = tf.random.stateless_normal([1, 3, 4, 4, 2], [0, 1]), []
    for variant in VARIANTS:
        layer = TSRU(2, 3, variant)
        prepare(layer, 0)
        states.append(layer(x, mode="sample"))
    for a, b in itertools.combinations(states, 2):
        assert np.abs(a - b).max() > 1e-3


def test_a_state_that_is_kept_goes_where_the_flow_says():
    """u = 1 and a flow of one pixel: every step moves the state by one."""
    layer = TSRU(1, 2, "tsru_c")
    layer.hidden.bias.assign([-100.0])  # rectified to 0: the flow is its bias
    layer.flow.bias.assign([1.0, 0.0])
    layer.update_gate.bias.assign([100.0])
    first = tf.reshape(tf.constant([1.0, 2, 3, 4]), [1, 1, 4, 1])
    states = layer(tf.zeros([1, 1, 1, 4, 1]), first, mode="sample")
    assert states[0, :, 0, :, 0].numpy().tolist() == [[2, 3, 4, 4], [3, 4, 4, 4]]


def test_it_goes_on_from_a_state():
    layer, shorter, x = TSRU(4, 5, "tsru_c"), TSRU(4, 3, "tsru_c"), tf.random.stateless_normal([2, 5, 3, 3, 4], [0, 1])
    prepare(layer, 0)
    for mine, other in zip(shorter.variables, layer.variables, strict=True):
        mine.assign(other)
    states = layer(x, mode="sample")
    np.testing.assert_allclose(shorter(x[:, 2:], states[:, 1], mode="sample"), states[:, 2:], atol=1e-5)

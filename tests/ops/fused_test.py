"""The fast forms against the plain formulas: values and gradients, compiled and not, on one replica and on two."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tests.ops.sides import both, random
from tfvideogan import models
from tfvideogan.generation import module
from tfvideogan.generation.sampler import CHUNK, Sampler, in_chunks
from tfvideogan.ops import forms, fused, pieces, relu


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def limit(request, monkeypatch):
    monkeypatch.setattr(pieces, "LARGE", 1 if request.param == "compiled" else 1 << 60)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_relu_is_itself(dtype):
    x = random(2, 3, 5)
    fast, plain = both(
        lambda x: tf.cast(relu.relu(tf.cast(x, dtype)), tf.float32), lambda x: tf.nn.relu(tf.cast(tf.cast(x, dtype), tf.float32)), [x]
    )
    np.testing.assert_array_equal(fast[0], plain[0])
    np.testing.assert_array_equal(fast[1], tf.cast(tf.cast(plain[1], dtype), tf.float32))


def plain_norm(x, gain, shift, per_frame, relu):
    mean, variance = tf.nn.moments(x, [0, 2] if per_frame else [0, 1, 2], keepdims=True)
    y = tf.nn.batch_normalization(x, mean, variance, shift[:, None, None], gain[:, None, None], 1e-5)
    return tf.nn.relu(y) if relu else y


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("per_frame", [True, False])
@pytest.mark.parametrize(("conditions", "pixels"), [(3, 16), (1, 9)])
def test_normalize_is_its_formula(relu, per_frame, conditions, pixels):
    inputs = [2 + random(3, 4, pixels, 5), 1 + random(conditions, 5, seed=1), random(conditions, 5, seed=2)]
    fast, plain = both(
        lambda x, gain, shift: fused.normalize(x, gain, shift, 1e-5, per_frame, relu)[0],
        lambda x, gain, shift: plain_norm(x, gain, shift, per_frame, relu),
        inputs,
    )
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4, rtol=1e-4)


def test_normalize_in_bfloat16_keeps_its_moments_in_float32():
    x = tf.cast(30 + random(3, 4, 64, 5), tf.bfloat16)
    ones, zeros = tf.ones([1, 5]), tf.zeros([1, 5])
    y, mean, variance = fused.normalize(x, ones, zeros, 1e-5, False, False)
    expected = tf.nn.moments(tf.cast(x, tf.float32), [0, 1, 2])
    np.testing.assert_allclose(mean[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(variance[0], expected[1], rtol=1e-3)
    assert y.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(y, tf.float32), plain_norm(tf.cast(x, tf.float32), ones, zeros, False, False), atol=0.02)


def plain_gru(w_ru, w_c, *reads, initial=None):
    h, states = tf.zeros_like(reads[0][..., : w_c.shape[-1]]) if initial is None else initial, []
    for read in reads:
        read_ru, read_c = tf.split(read, [2 * w_c.shape[-1], w_c.shape[-1]], -1)
        r, u = tf.split(tf.sigmoid(tf.nn.conv2d(h, w_ru, 1, "SAME") + read_ru), 2, -1)
        c = tf.nn.relu(tf.nn.conv2d(r * h, w_c, 1, "SAME") + read_c)
        h = u * h + (1 - u) * c
        states.append(h)
    return tf.stack(states)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_gru_is_its_equations(frames):
    channels = 4
    inputs = [random(3, 3, channels, 2 * channels, seed=1) / 4, random(3, 3, channels, channels, seed=2) / 4]
    inputs += [random(2, 6, 6, 3 * channels, seed=3 + t) for t in range(frames)]
    fast, plain = both(lambda *inputs: tf.stack(fused.gru(*inputs)), plain_gru, inputs)
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3, rtol=1e-3)
    inputs.append(random(2, 6, 6, channels, seed=20))
    from_state = [lambda *inputs, f=f: tf.stack(f(*inputs[:-1], initial=inputs[-1])) for f in (fused.gru, plain_gru)]
    fast, plain = both(*from_state, inputs)
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3, rtol=1e-3)


TWO_REPLICAS = """
import sys, numpy as np, tensorflow as tf
from tfvideogan.ops import fused, pieces
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
pieces.LARGE = int(sys.argv[1])
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
x, gain, shift, weight = (tf.random.stateless_normal(s, [i, 7]) for i, s in enumerate([[4, 3, 16, 5], [4, 5], [4, 5], [4, 3, 16, 5]]))

def gradients(*inputs):
    *inputs, weight = inputs
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y, mean, variance = fused.normalize(*inputs, 1e-5, True, True)
        loss = tf.reduce_sum(y * weight)
    return y, mean, variance, *tape.gradient(loss, inputs)

@tf.function(autograph=False)
def spread():
    halves = [strategy.experimental_distribute_values_from_function(
        lambda context: tf.split(value, 2)[context.replica_id_in_sync_group]) for value in (x, gain, shift, weight)]
    return [strategy.experimental_local_results(value) for value in strategy.run(gradients, halves)]

for one, parts in zip(gradients(x, gain, shift, weight), spread()):
    two = parts[0] if one.shape == parts[0].shape else tf.concat(parts, 0)
    np.testing.assert_allclose(two, one, atol=1e-4)
"""


def test_two_replicas_normalize_as_one():
    subprocess.run([sys.executable, "-c", TWO_REPLICAS, str(pieces.LARGE)], check=True)


@pytest.mark.parametrize("limit", ["compiled"], indirect=True)
def test_what_is_served_holds_nothing_compiled(limit, tmp_path):
    config = small("vgan")
    sampler = Sampler(models.build(config)).calibrate()
    module.write(module.Generator("", config, ("a",), 0, sampler), str(tmp_path / "module"), overwrite=False)
    loaded = tf.saved_model.load(tmp_path / "module")
    served, drawn = loaded.signatures["serving_default"], loaded.generate.concrete_functions[0]
    assert not compiled_in(served.graph)
    assert compiled_in(drawn.graph)
    z = tf.random.stateless_normal([3, config.latent], [1, 2])
    np.testing.assert_allclose(served(z=z)["video"], loaded.generate(z), atol=1e-5)


def compiled_in(graph):
    called = [value.func.name for node in graph.as_graph_def().node for value in node.attr.values() if value.HasField("func")]
    for name in called:  # which grows
        function = graph._get_function(name).cached_definition
        if function.attr["_XlaMustCompile"].b:
            return True
        called += [value.func.name for node in function.node_def for value in node.attr.values() if value.HasField("func")]
    return False


def test_any_number_of_examples_in_chunks():
    sizes, rows = [], tf.constant([0.5, 0.5])

    @tf.function(autograph=False)
    def double(inputs, rows):
        sizes.append(inputs["x"].shape[0])
        return 2 * tf.reduce_sum(rows) * inputs["x"] + tf.cast(inputs["i"], tf.float32)[:, None]

    kinds = {"x": tf.TensorSpec([None, 3]), "i": tf.TensorSpec([None], tf.int32)}
    chunked = tf.function(lambda inputs: in_chunks(double, inputs, rows), [kinds], autograph=False)
    for n in (0, 1, 4, 5, 8, 9, 13, 20):
        x, i = tf.random.stateless_normal([n, 3], [0, n]), tf.range(n)
        np.testing.assert_array_equal(chunked({"x": x, "i": i}), 2 * x + tf.cast(i, tf.float32)[:, None])
    assert sizes == [CHUNK, 1]  # what is compiled within it is compiled for two


def test_relu_lets_nan_through():
    assert np.isnan(relu.relu(tf.fill([2, 3], np.nan))).all()


@pytest.mark.parametrize("devices", [["CPU"], ["CPU", "GPU"], ["CPU", "TPU"]])
def test_the_plain_formulas_are_built_where_there_is_another_device_than_cpus(devices, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda: [tf.config.LogicalDevice(f"/device:{kind}:0", kind) for kind in devices])
    graph = tf.function(lambda x: relu.relu(x), autograph=False).get_concrete_function(tf.TensorSpec([2, 300, 300], tf.bfloat16)).graph
    assert compiled_in(graph) is (devices == ["CPU"] and pieces.LARGE == 1)
    assert forms.is_plain() is (len(devices) > 1) and not forms.is_asked()
    with forms.plain():
        assert forms.is_plain() and forms.is_asked()

"""The fast forms against the plain formulas: values and gradients, compiled and not, on one replica and on two."""

import functools
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tfvideogan import models
from tfvideogan.generation import module
from tfvideogan.generation.sampler import CHUNK, Sampler, in_chunks
from tfvideogan.layers.spectral import spectral_normalize
from tfvideogan.ops import convolution, forms, fused, pieces
from tfvideogan.ops.resample import UPSAMPLING, downsample


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def limit(request, monkeypatch):
    monkeypatch.setattr(pieces, "LARGE", 1 if request.param == "compiled" else 1 << 60)


def random(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.random.stateless_normal(shape, [seed, 7])


def both(fast: Callable, plain: Callable, inputs: list[tf.Tensor]) -> list[list[np.ndarray]]:
    """Values and gradients of two functions, in a graph as training has it."""

    def run(function: Callable, *inputs: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = function(*inputs)
            loss = tf.reduce_sum(y * random(*y.shape, seed=9))
        return [y, *tape.gradient(loss, inputs)]

    return [[value.numpy() for value in tf.function(functools.partial(run, one), autograph=False)(*inputs)] for one in (fast, plain)]


@pytest.mark.parametrize("shape", [(2, 20, 20), (2, 6, 8), (2, 4, 4), (2, 17, 18), (1, 4, 20, 24), (1, 4, 8, 6), (1, 3, 20, 24)])
def test_convolve_and_pool_is_both_in_turn(shape):
    x, kernel = random(*shape, 3), random(*[3] * (len(shape) - 1), 3, 4, seed=1)
    fast, plain = both(fused.convolve_and_pool, lambda x, kernel: downsample(tf.nn.convolution(x, kernel, 1, "SAME")), [x, kernel])
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("upsampling", UPSAMPLING)
@pytest.mark.parametrize("shape", [(2, 9, 10), (2, 10, 9), (2, 3, 4)])
def test_upsample_and_convolve_is_both_in_turn(shape, upsampling):
    x, kernel = random(*shape, 3), random(3, 3, 3, 4, seed=1)
    fast, plain = both(
        lambda x, kernel: fused.upsample_and_convolve(x, kernel, UPSAMPLING[upsampling]),
        lambda x, kernel: tf.nn.conv2d(tf.image.resize(x, [2 * x.shape[1], 2 * x.shape[2]], upsampling), kernel, 1, "SAME"),
        [x, kernel],
    )
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(
    "merged",
    [fused.convolve_and_pool, functools.partial(fused.upsample_and_convolve, upsample=UPSAMPLING["nearest"])],
    ids=["pool", "double"],
)
def test_merged_kernels_round_their_gradients_little_more_than_plain_ones(merged):
    x, kernel = random(16, 8, 8, 32), random(3, 3, 32, 32, seed=1) / 17

    def gradient(dtype: tf.DType) -> np.ndarray:
        def run(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(kernel)
                y = tf.cast(merged(x, kernel), tf.float32)
                loss = tf.reduce_sum(y * random(*y.shape, seed=9))
            return tf.cast(tape.gradient(loss, kernel), tf.float32)

        return tf.function(run, autograph=False)(tf.cast(x, dtype), tf.cast(kernel, dtype)).numpy()

    exact, fast = gradient(tf.float32), gradient(tf.bfloat16)
    with forms.plain():
        plain = gradient(tf.bfloat16)
    assert np.linalg.norm(fast - exact) < 1.25 * np.linalg.norm(plain - exact)


@pytest.mark.parametrize(("size", "upsampling", "merged"), [(4, "nearest", True), (9, "bilinear", False)])
def test_nearest_doubling_is_part_of_the_convolution(size, upsampling, merged):
    graph = tf.function(lambda x, kernel: fused.upsample_and_convolve(x, kernel, UPSAMPLING[upsampling])).get_concrete_function(
        tf.TensorSpec([2, size, size, 3]), tf.TensorSpec([3, 3, 3, 4])
    )
    operations = {operation.type for operation in graph.graph.get_operations()}
    assert ("Conv2DBackpropInput" in operations) is merged
    assert ("Conv2D" in operations) is not merged


def test_relu_and_downsample_let_nan_through():
    for y in fused.relu_and_downsample(tf.fill([1, 2, 2, 3], np.nan)):
        assert np.isnan(y).all()


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("shape", [(2, 4, 6), (2, 5, 6), (2, 4, 4, 6), (2, 3, 4, 6)])
def test_relu_and_downsample_are_themselves(shape, dtype):
    def joined(y: tf.Tensor, half: tf.Tensor) -> tf.Tensor:
        return tf.concat([tf.reshape(tf.cast(t, tf.float32), [-1]) for t in (y, half)], 0)

    fast, plain = both(
        lambda x: joined(*fused.relu_and_downsample(tf.cast(x, dtype))), lambda x: joined(tf.nn.relu(x), downsample(x)), [random(*shape, 3)]
    )
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6 if dtype == tf.float32 else 0.03)


@pytest.mark.parametrize(
    ("shape", "kernel", "strides", "padding"),
    [
        ((2, 2, 2), (3, 3), (1, 1), "SAME"),
        ((2, 2, 2), (1, 1), (1, 1), "SAME"),
        ((2, 3, 2, 2), (3, 3, 3), (1, 1, 1), "SAME"),
        ((2, 3, 4, 4), (3, 4, 4), (1, 1, 1), "VALID"),
        ((2, 4, 6), (4, 6), (2, 2), "VALID"),
        ((2, 8, 8), (3, 3), (1, 1), "SAME"),
        ((2, 8, 8), (4, 4), (2, 2), "SAME"),
        ((2, 7, 5), (3, 3), (1, 1), "SAME"),
        ((2, 9, 9), (4, 4), (2, 2), "VALID"),  # the last row is seen by no kernel
        ((2, 9, 9), (3, 3), (2, 2), "SAME"),
        ((2, 4, 4), (4, 4), (1, 1), "VALID"),
        ((2, 20, 20), (3, 3), (1, 1), "SAME"),
        ((2, 6, 8, 8), (4, 4, 4), (2, 2, 2), "SAME"),
        ((2, 7, 10, 10), (4, 4, 4), (1, 2, 2), "VALID"),
        ((2, 7, 6, 6), (3, 4, 4), (1, 2, 2), "VALID"),
        ((2, 4, 4, 6), (2, 2, 4), (2, 1, 2), "SAME"),
        ((2, 3, 4, 4), (3, 3, 3), (1, 1, 1), "SAME"),
        ((2, 2, 6, 6), (3, 3, 3), (1, 1, 1), "SAME"),
    ],
)
def test_convolutions_have_their_gradients(shape, kernel, strides, padding):
    x, w = random(*shape, 3), random(*kernel, 3, 4, seed=1)
    fast, plain = both(
        lambda x, w: convolution.convolve(x, w, strides, padding), lambda x, w: tf.nn.convolution(x, w, strides, padding), [x, w]
    )
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3, rtol=1e-4)
    y = random(*fast[0].shape, seed=2)
    fast, plain = both(
        lambda y, w: convolution.convolve_transposed(y, w, strides, padding),
        lambda y, w: tf.nn.conv_transpose(y, w, transposed_shape(y, w, strides, padding), strides, padding),
        [y, w],
    )
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
@pytest.mark.parametrize(("kernel", "strides"), [((3, 3, 3), (1, 1, 1)), ((3, 4, 4), (1, 2, 2)), ((4, 4, 4), (2, 2, 2))])
def test_kernels_have_their_gradients_of_few_frames_in_bfloat16(frames, kernel, strides):
    x, w = random(2, frames, 20, 20, 3), random(*kernel, 3, 4, seed=1)

    def gradient(dtype: tf.DType) -> np.ndarray:
        def run(x: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(w)
                y = tf.cast(convolution.convolve(tf.cast(x, dtype), tf.cast(w, dtype), strides, "SAME"), tf.float32)
                loss = tf.reduce_sum(y * random(*y.shape, seed=9))
            return tape.gradient(loss, w)

        return tf.function(run, autograph=False)(x, w).numpy()

    exact = gradient(tf.float32)
    for _ in range(5):
        dirt = [tf.fill([length], np.float32(np.nan)) for length in range(1000, 200_000, 7000)]  # what is read must have been written
        del dirt
        np.testing.assert_allclose(gradient(tf.bfloat16), exact, atol=0.02 * np.abs(exact).max())


def transposed_shape(y, w, strides, padding):
    lengths = [n * s if padding == "SAME" else (n - 1) * s + k for n, s, k in zip(y.shape[1:-1], strides, w.shape, strict=False)]
    return [y.shape[0], *lengths, w.shape[-2]]


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_relu_is_itself(dtype):
    x = random(2, 3, 5)
    fast, plain = both(
        lambda x: tf.cast(fused.relu(tf.cast(x, dtype)), tf.float32), lambda x: tf.nn.relu(tf.cast(tf.cast(x, dtype), tf.float32)), [x]
    )
    np.testing.assert_array_equal(fast[0], plain[0])
    np.testing.assert_array_equal(fast[1], tf.cast(tf.cast(plain[1], dtype), tf.float32))


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("shortcut", [True, False])
def test_an_epilogue_is_its_formula(shortcut, relu, dtype):
    x, w, addends = random(2, 6, 6, 5), random(3, 3, 5, 4, seed=1), [random(4, seed=2), random(2, 6, 6, 4, seed=3)][: 1 + shortcut]

    def in_dtype(end: Callable) -> Callable:
        def run(x, w, *addends):
            x, w, *addends = (tf.cast(tensor, dtype) for tensor in (x, w, *addends))
            return tf.cast(end(tf.nn.conv2d(x, w, 1, "SAME"), *addends), tf.float32)

        return run

    def plain(y, bias, *shortcut):
        y = tf.add_n([tf.nn.bias_add(y, bias), *shortcut])
        return tf.nn.relu(y) if relu else y

    fast = functools.partial(fused.epilogue, relu=relu)
    for a, b in zip(*both(in_dtype(fast), in_dtype(plain), [x, w, *addends]), strict=True):
        assert np.linalg.norm(a - b) < (1e-5 if dtype == tf.float32 else 0.01) * np.linalg.norm(b)


def gradient_operations(function: Callable, *inputs: tf.Tensor) -> set[str]:
    """Kinds of operations of a function and its gradients."""

    def run(*inputs: tf.Tensor):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = function(*inputs)
        return tape.gradient(y, inputs)

    graph = tf.function(run, autograph=False).get_concrete_function(*inputs).graph
    return {operation.type for operation in graph.get_operations()}


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_a_bias_has_its_gradient_apart_from_the_kernels_in_float32(dtype):
    found = gradient_operations(fused.epilogue, tf.zeros([2, 6, 6, 4], dtype), tf.zeros([4], dtype))
    assert ("BiasAddGrad" in found) is (dtype == tf.bfloat16)


@pytest.mark.parametrize(("size", "merged"), [(4, False), (8, True), (16, True)])
def test_pooling_is_part_of_the_convolution_but_on_4x4_maps(size, merged):
    found = gradient_operations(fused.convolve_and_pool, tf.zeros([2, size, size, 3]), tf.zeros([3, 3, 3, 4]))
    assert ("AvgPool" in found) is not merged


@pytest.mark.parametrize("shape", [(3, 3, 5, 7), (3, 3, 3, 2, 4), (6, 5)])
def test_spectral_normalization_is_its_formula(shape):
    def normalized(kernel: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
        kernel, following = spectral_normalize(kernel, u)
        return tf.concat([tf.reshape(kernel, [-1]), following[0]], 0)

    def plain(kernel: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
        with forms.plain():
            return normalized(kernel, u)

    u = random(1, shape[-1], seed=1)
    for a, b in zip(*both(lambda kernel: normalized(kernel, u), lambda kernel: plain(kernel, u), [random(*shape)]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


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


def plain_gru(w_ru, w_c, *reads):
    h, states = tf.zeros_like(reads[0][..., : w_c.shape[-1]]), []
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


TWO_REPLICAS = """
import sys, numpy as np, tensorflow as tf
from tfvideogan.layers import convolution, fused, pieces
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
    config = small("dvdgan")
    sampler = Sampler(models.build(config)).calibrate()
    module.write(module.Generator("", config, ("a",), 0, sampler), str(tmp_path / "module"), overwrite=False)
    loaded = tf.saved_model.load(tmp_path / "module")
    served, drawn = loaded.signatures["serving_default"], loaded.generate.concrete_functions[0]
    assert not compiled_in(served.graph)
    assert compiled_in(drawn.graph)
    z, label = tf.random.stateless_normal([3, config.latent], [1, 2]), tf.range(3)
    np.testing.assert_allclose(served(z=z, label=label)["video"], loaded.generate(z, label), atol=1e-5)


def compiled_in(graph):
    called = [value.func.name for node in graph.as_graph_def().node for value in node.attr.values() if value.HasField("func")]
    for name in called:  # which grows
        function = graph._get_function(name).cached_definition
        if function.attr["_XlaMustCompile"].b:
            return True
        called += [value.func.name for node in function.node_def for value in node.attr.values() if value.HasField("func")]
    return False


def test_any_number_of_examples_in_chunks():
    sizes = []

    @tf.function(autograph=False)
    def double(x, i):
        sizes.append(x.shape[0])
        return 2 * x + tf.cast(i, tf.float32)[:, None]

    chunked = tf.function(lambda x, i: in_chunks(double, x, i), [tf.TensorSpec([None, 3]), tf.TensorSpec([None], tf.int32)])
    for n in (0, 1, 4, 5, 8, 9, 13, 20):
        x, i = tf.random.stateless_normal([n, 3], [0, n]), tf.range(n)
        np.testing.assert_array_equal(chunked(x, i), 2 * x + tf.cast(i, tf.float32)[:, None])
    assert sizes == [CHUNK, 1]  # what is compiled within it is compiled for two

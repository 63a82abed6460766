"""Convolutions, and what stands beside them, against the plain formulas: values and gradients."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.ops.sides import both, random
from tfvideogan.layers.conv import Conv
from tfvideogan.ops import convolution, forms, pieces
from tfvideogan.ops.resample import UPSAMPLING, downsample


@pytest.mark.parametrize("shape", [(2, 20, 20), (2, 6, 8), (2, 4, 4), (2, 17, 18), (1, 4, 20, 24), (1, 4, 8, 6), (1, 3, 20, 24)])
def test_convolve_and_pool_is_both_in_turn(shape):
    x, kernel = random(*shape, 3), random(*[3] * (len(shape) - 1), 3, 4, seed=1)
    fast, plain = both(convolution.convolve_and_pool, lambda x, kernel: downsample(tf.nn.convolution(x, kernel, 1, "SAME")), [x, kernel])
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("upsampling", UPSAMPLING)
@pytest.mark.parametrize("shape", [(2, 9, 10), (2, 10, 9), (2, 3, 4)])
def test_upsample_and_convolve_is_both_in_turn(shape, upsampling):
    x, kernel = random(*shape, 3), random(3, 3, 3, 4, seed=1)
    fast, plain = both(
        lambda x, kernel: convolution.upsample_and_convolve(x, kernel, UPSAMPLING[upsampling]),
        lambda x, kernel: tf.nn.conv2d(tf.image.resize(x, [2 * x.shape[1], 2 * x.shape[2]], upsampling), kernel, 1, "SAME"),
        [x, kernel],
    )
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3, rtol=1e-4)


# oneDNN's own in bfloat16 is wrong of the first three, by 0.6 or NaN, where the CPU has AMX.
LARGE = [
    ((3, 4, 64, 64, 24), (3, 3, 3), (1, 1, 1), "SAME"),
    ((3, 2, 72, 64, 32), (1, 3, 3), (1, 1, 1), "SAME"),
    ((2, 4, 128, 128, 32), (4, 4, 4), (2, 2, 2), "SAME"),
    ((3, 7, 20, 24, 5), (4, 3, 2), (2, 1, 2), "SAME"),
    ((3, 7, 20, 24, 5), (4, 3, 2), (3, 2, 1), "VALID"),
    ((3, 2, 20, 24, 5), (5, 3, 3), (1, 1, 1), "SAME"),
]


CPU = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
# Without AVX-512 TensorFlow's convolutions in bfloat16 are Eigen's, which also sum in it: .032, where oneDNN's are within .003.
TOLERANCE = 0.05 if "avx2" in CPU and "avx512" not in CPU else 0.02


@pytest.mark.parametrize("shape, extent, strides, padding", LARGE)
@pytest.mark.parametrize("transposed", [False, True])
def test_gradients_of_three_axes_in_16_bits_are_those_in_32(shape, extent, strides, padding, transposed):
    n, *lengths, channels = shape
    if transposed:  # it is onto maps of these lengths, from ones as short as the strides make them
        lengths = [-(-length // stride) for length, stride in zip(lengths, strides, strict=True)]
    convolve = convolution.convolve_transposed if transposed else convolution.convolve
    x, kernel = random(n, *lengths, channels), random(*extent, *([32, channels] if transposed else [channels, 32]), seed=1) / 30

    @tf.function(autograph=False)
    def run(x: tf.Tensor, kernel: tf.Tensor) -> list[tf.Tensor]:
        """Both first derivatives, and those of a penalty on the first of them."""
        with tf.GradientTape() as outer:
            outer.watch([x, kernel])
            with tf.GradientTape() as tape:
                tape.watch([x, kernel])
                y = tf.cast(convolve(x, kernel, strides, padding), tf.float32)
                loss = tf.reduce_sum(tf.square(y)) / 100.0
            first = tape.gradient(loss, [x, kernel])
            penalty = tf.reduce_sum(tf.square(tf.cast(first[0], tf.float32)))
        return [tf.cast(part, tf.float32) for part in [*first, *outer.gradient(penalty, [x, kernel])]]

    expected = run(x, kernel)
    for _ in range(2):
        found = run(tf.cast(x, tf.bfloat16), tf.cast(kernel, tf.bfloat16))
        for a, b in zip(found, expected, strict=True):
            assert np.linalg.norm(a - b) < TOLERANCE * np.linalg.norm(b)


@pytest.mark.parametrize(
    "merged",
    [convolution.convolve_and_pool, functools.partial(convolution.upsample_and_convolve, upsample=UPSAMPLING["nearest"])],
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
    graph = tf.function(lambda x, kernel: convolution.upsample_and_convolve(x, kernel, UPSAMPLING[upsampling])).get_concrete_function(
        tf.TensorSpec([2, size, size, 3]), tf.TensorSpec([3, 3, 3, 4])
    )
    operations = {operation.type for operation in graph.graph.get_operations()}
    assert ("Conv2DBackpropInput" in operations) is merged
    assert ("Conv2D" in operations) is not merged


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
        np.testing.assert_allclose(
            gradient(tf.bfloat16), exact, atol=0.08 * np.abs(exact).max()
        )  # 0.052 without AVX-512, where TensorFlow sums in bfloat16


def transposed_shape(y, w, strides, padding):
    lengths = [n * s if padding == "SAME" else (n - 1) * s + k for n, s, k in zip(y.shape[1:-1], strides, w.shape, strict=False)]
    return [y.shape[0], *lengths, w.shape[-2]]


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("shortcut", [True, False])
def test_an_epilogue_is_its_formula(shortcut, relu, dtype, monkeypatch):
    monkeypatch.setattr(pieces, "LARGE", 1)
    x, w, addends = random(2, 6, 6, 5), random(3, 3, 5, 4, seed=1), [random(4, seed=2), random(2, 6, 6, 4, seed=3)][: 1 + shortcut]

    def in_dtype(end: Callable) -> Callable:
        def run(x, w, *addends):
            x, w, *addends = (tf.cast(tensor, dtype) for tensor in (x, w, *addends))
            return tf.cast(end(tf.nn.conv2d(x, w, 1, "SAME"), *addends), tf.float32)

        return run

    def plain(y, bias, *shortcut):
        y = tf.add_n([tf.nn.bias_add(y, bias), *shortcut])
        return tf.nn.relu(y) if relu else y

    fast = functools.partial(convolution.epilogue, relu=relu)
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
@pytest.mark.parametrize("channels", [1, 4])
def test_a_bias_has_its_gradient_of_many_positions(channels, dtype):
    """TensorFlow's own loses nearly all of it in bfloat16, and of one channel 4e-4 in float32."""
    d = tf.cast(tf.random.stateless_uniform([8, 256, 256, channels], [1, 2]), dtype)
    x, bias = tf.zeros(d.shape, dtype), tf.zeros([channels], dtype)
    with tf.GradientTape() as tape:
        tape.watch(bias)
        y = convolution.epilogue(x, bias)
    exact = tf.cast(d, tf.float32).numpy().astype(np.float64).sum((0, 1, 2))
    np.testing.assert_allclose(tf.cast(tape.gradient(y, bias, d), tf.float32), exact, rtol=5e-5 if dtype == tf.float32 else 2**-8)


def test_layers_ignore_keras_data_format():
    import keras

    layer, x = Conv(3, 4, [3, 3], 2, "SAME", True, "orthogonal"), random(2, 6, 8, 3)
    expected = layer(x)
    keras.config.set_image_data_format("channels_first")
    try:
        np.testing.assert_array_equal(layer(x), expected)
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize(("size", "merged"), [(4, False), (8, True), (16, True)])
def test_pooling_is_part_of_the_convolution_but_on_4x4_maps(size, merged):
    found = gradient_operations(convolution.convolve_and_pool, tf.zeros([2, size, size, 3]), tf.zeros([3, 3, 3, 4]))
    assert ("AvgPool" in found) is not merged

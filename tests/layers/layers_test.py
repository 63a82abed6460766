"""Layers against formulas and hand numbers."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tfvideogan.layers.attention import SelfAttention
from tfvideogan.layers.conv import Conv, ConvTranspose
from tfvideogan.layers.conv_gru import ConvGRU
from tfvideogan.layers.norm import EPSILON, BatchNorm, ConditionalBatchNorm
from tfvideogan.layers.residual import DiscriminatorBlock, GeneratorBlock
from tfvideogan.layers.spectral import SpectralConv, SpectralDense, SpectralEmbedding, spectral_normalize
from tfvideogan.ops import forms
from tfvideogan.ops.resample import downsample, upsample_bilinear, upsample_nearest
from tfvideogan.ops.singular_value_clipping import clip_gain, clip_singular_values, clipped_by_eigh, clipped_by_products, product


def random(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.random.stateless_normal(shape, [seed, 1])


def settle(layer, steps: int = 60):
    """Runs the power iteration of a spectral layer to its fixed point."""
    for _ in range(steps):
        layer.normalized_kernel("train")
    return layer


# Spectral normalisation


def test_sigma_of_a_matrix_of_ones_is_its_size():
    normalized, _ = spectral_normalize(tf.ones([2, 2]), random(1, 2))
    np.testing.assert_allclose(normalized, np.full([2, 2], 0.5), atol=1e-6)  # largest singular value 2


def test_power_iteration_finds_the_largest_singular_value():
    layer = SpectralConv(5, 7, (3, 3))
    layer.kernel.assign(random(3, 3, 5, 7))
    sigma = np.linalg.svd(layer.kernel.numpy().reshape(-1, 7), compute_uv=False)[0]
    np.testing.assert_allclose(settle(layer, 200).normalized_kernel("sample"), layer.kernel.numpy() / sigma, rtol=1e-4, atol=1e-6)


def test_only_training_keeps_the_power_iteration():
    layer = SpectralDense(4, 3, bias=False)
    layer.kernel.assign(random(4, 3))
    before = layer.u.numpy()
    for mode in ("calibrate", "sample"):
        layer.normalized_kernel(mode)
        np.testing.assert_array_equal(layer.u.numpy(), before)
    layer.normalized_kernel("train")
    assert not np.array_equal(layer.u.numpy(), before)


def test_gradient_through_sigma_is_orthogonal_to_the_weight():
    # f(w / sigma(w)) does not change along w, so its gradient has no part along w. Without the gradient of sigma it has.
    layer = SpectralDense(6, 5, bias=False)
    layer.kernel.assign(random(6, 5))
    settle(layer)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(random(3, 6, seed=2), mode="sample")) * random(3, 5, seed=3))
    gradient = tape.gradient(loss, layer.kernel.value).numpy()
    cosine = np.sum(gradient * layer.kernel.numpy()) / np.linalg.norm(gradient) / np.linalg.norm(layer.kernel.numpy())
    assert abs(cosine) < 1e-5


def test_gradient_through_sigma_is_the_numerical_one():
    layer = SpectralDense(4, 3, bias=False)
    layer.kernel.assign(random(4, 3))
    settle(layer, 300)
    x, weights = random(2, 4, seed=2), random(2, 3, seed=3)

    def loss(kernel: np.ndarray) -> float:
        return float(np.sum(x.numpy() @ (kernel / np.linalg.svd(kernel, compute_uv=False)[0]) * weights.numpy()))

    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer(x, mode="sample") * weights)
    gradient = tape.gradient(value, layer.kernel.value).numpy()
    kernel, numerical = layer.kernel.numpy().astype(np.float64), np.zeros([4, 3])
    for index in np.ndindex(4, 3):
        step = np.zeros([4, 3])
        step[index] = 1e-5
        numerical[index] = (loss(kernel + step) - loss(kernel - step)) / 2e-5
    np.testing.assert_allclose(gradient, numerical, atol=1e-3)


def test_kernels_start_orthogonal():
    kernel = SpectralConv(4, 8, (3, 3)).kernel.numpy().reshape(-1, 8)
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(8), atol=1e-5)


def test_embedding_gives_rows_of_the_normalised_table():
    layer = settle(SpectralEmbedding(5, 3))
    np.testing.assert_allclose(layer(tf.constant([4, 0]), mode="sample"), layer.normalized_kernel("sample").numpy()[[4, 0]])


# Conditional batch normalisation

N, T, C, CONDITION = 3, 4, 5, 6


def norm(per_frame: bool = True) -> ConditionalBatchNorm:
    return ConditionalBatchNorm(C, CONDITION, T, per_frame)


def by_hand(x: np.ndarray, per_frame: bool) -> np.ndarray:
    """Plain batch normalisation of [N*T,H,W,C]."""
    x = x.reshape(N, T, *x.shape[1:]).astype(np.float64)
    axes = (0, 2, 3) if per_frame else (0, 1, 2, 3)
    y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + EPSILON)
    return y.reshape(-1, *x.shape[2:])


@pytest.mark.parametrize("per_frame", [True, False])
def test_a_new_norm_without_condition_is_plain_bn(per_frame):
    # The orthogonal start of gain and bias leaves plain BN only where the condition is zero...
    x = 3 + 2 * random(N * T, 2, 2, C)
    y = norm(per_frame)(x, tf.zeros([N, CONDITION]), mode="train")
    np.testing.assert_allclose(y, by_hand(x.numpy(), per_frame), atol=1e-5)


def test_a_new_norm_is_plain_bn_on_average_over_conditions():
    # ... and on average over z ~ N(0,I): the gain is 1 and the bias 0 then.
    layer, conditions = norm(), random(20_000, CONDITION)
    assert abs(float(tf.reduce_mean(layer.gain(conditions, mode="sample")))) < 0.02
    assert abs(float(tf.reduce_mean(layer.shift(conditions, mode="sample")))) < 0.02


def test_gain_and_bias_follow_the_condition_of_their_own_example():
    layer, condition = norm(), random(N, CONDITION, seed=4)
    x = random(N * T, 2, 2, C)
    gain, bias = (layer_(condition, mode="sample").numpy() for layer_ in (layer.gain, layer.shift))
    expected = by_hand(x.numpy(), True) * np.repeat(1 + gain, T, 0)[:, None, None] + np.repeat(bias, T, 0)[:, None, None]
    np.testing.assert_allclose(layer(x, condition, mode="train"), expected, atol=1e-4)


def test_per_frame_statistics_do_not_mix_time_steps():
    x = random(N * T, 2, 2, C).numpy()
    changed = x.reshape(N, T, 2, 2, C).copy()
    changed[:, 1] += 5 * np.arange(N).reshape(N, 1, 1, 1)  # another distribution for frame 1 alone
    same = [0, 2, 3]
    for per_frame, equal in ((True, True), (False, False)):
        layer = norm(per_frame)
        a, b = (layer(tf.constant(v.reshape(-1, 2, 2, C)), tf.zeros([N, CONDITION]), mode="train").numpy() for v in (x, changed))
        a, b = (v.reshape(N, T, 2, 2, C)[:, same] for v in (a, b))
        assert np.allclose(a, b) == equal


def test_standing_statistics_are_the_average_of_the_calibration_batches():
    layer, batches = norm(), [random(N * T, 2, 2, C, seed=s) for s in range(3)]
    for batch in batches:
        layer(batch, tf.zeros([N, CONDITION]), mode="calibrate")
    moments = [(x.numpy().reshape(N, T, 2, 2, C).mean((0, 2, 3)), x.numpy().reshape(N, T, 2, 2, C).var((0, 2, 3))) for x in batches]
    np.testing.assert_allclose(layer.standing[0][0], np.mean([m for m, _ in moments], 0), atol=1e-5)
    np.testing.assert_allclose(layer.standing[1][0], np.mean([v for _, v in moments], 0), atol=1e-5)
    alone = layer(batches[0][:T], tf.zeros([1, CONDITION]), mode="sample")
    together = layer(batches[0], tf.zeros([N, CONDITION]), mode="sample")
    np.testing.assert_allclose(alone, together[:T], atol=1e-6)  # a sample does not depend on its batch
    layer.reset()
    assert not np.any(layer.standing[1].numpy())


# Plain batch normalisation


def test_plain_norm_is_its_formula_over_all_axes_but_the_last():
    layer = BatchNorm(2, 0.5, bias=True)
    x = tf.constant([[[1.0, 10.0], [3.0, 10.0]]])  # mean 2, variance 1; and no variance
    np.testing.assert_allclose(layer(x, mode="train")[0], [[-1 / np.sqrt(1.5), 0], [1 / np.sqrt(1.5), 0]], atol=1e-6)
    layer.gain.assign([2.0, 3.0])
    layer.bias.assign([1.0, 5.0])
    np.testing.assert_allclose(layer(x, mode="train")[0, 0], [1 - 2 / np.sqrt(1.5), 5], atol=1e-6)
    np.testing.assert_allclose(layer(x, mode="train", relu=True)[0, 0], [0, 5], atol=1e-6)


def test_plain_norm_samples_by_the_average_of_its_calibration():
    layer = BatchNorm(1, 1e-5, bias=False)
    for x in ([[0.0], [2.0]], [[5.0], [9.0]]):  # means 1 and 7, variances 1 and 4
        layer(tf.constant(x), mode="calibrate")
    layer(tf.constant([[100.0], [200.0]]), mode="train")  # leaves no trace
    np.testing.assert_allclose(layer(tf.constant([[4.0], [5.0]]), mode="sample"), [[0], [1 / np.sqrt(2.5 + 1e-5)]], rtol=1e-6)
    assert layer.bias is None and len(layer.trainable_variables) == 1
    layer.reset()
    assert [float(tf.reduce_sum(statistic)) for statistic in layer.standing] == [0, 0, 0]


# Plain convolutions


def test_transposed_convolution_lays_kernels_side_by_side():
    layer = ConvTranspose(1, 1, [4], 2, "SAME", bias=True, initializer="zeros")
    layer.kernel.assign(tf.reshape([1.0, 2.0, 3.0, 4.0], [4, 1, 1]))
    layer.bias.assign([10.0])
    # Copies of the kernel, 10 and 1 times, two apart; one is cut at each end: [1 2 3 4 . .] * 10 + [. . 1 2 3 4].
    np.testing.assert_array_equal(layer(tf.constant([[[10.0], [1.0]]]))[0, :, 0], [30, 41, 52, 13])
    wide = ConvTranspose(1, 1, [4], 1, "VALID", bias=False, initializer="zeros")
    wide.kernel.assign(layer.kernel)
    np.testing.assert_array_equal(wide(tf.constant([[[10.0]]]))[0, :, 0], [10, 20, 30, 40])


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kernel, stride, padding", [(4, 2, 1), (3, 1, 1), (2, 1, 0)])
def test_convolutions_are_those_of_the_tables(axes, kernel, stride, padding):
    x, word = random(2, *[4, 6, 8][:axes], 3), "SAME" if padding else "VALID"
    for kind, expected in ((Conv, reference.conv), (ConvTranspose, reference.deconv)):
        layer = kind(3, 5, [kernel] * axes, stride, word, bias=True, initializer="glorot_normal")
        layer.bias.assign(random(5, seed=2))
        np.testing.assert_allclose(layer(x), expected(x, layer, stride, padding), atol=1e-5)


# Singular value clipping


def with_spectrum(values: list[float], rows: int = 40) -> tf.Tensor:
    """A kernel [2,rows/2,1,C] of these singular values."""
    u, v = (np.linalg.qr(random(n, len(values), seed=n).numpy().astype(np.float64))[0] for n in (rows, len(values)))
    return tf.constant((u * values @ v.T).reshape(2, rows // 2, 1, -1), tf.float32)


SPECTRA = [[30, 5, 2, 1.01, 1.0001, 0.9999, 0.5, 1e-3], [4.0], [3, 2, 0, 0], [2, 2, 2, 0.5]]


@pytest.mark.parametrize("form", [contextlib.nullcontext, forms.accelerated])
@pytest.mark.parametrize(
    "values, compiled", [*((s, compiled) for s in SPECTRA for compiled in (False, True)), ([1e3, 1.2, 0.8, 0.1], False)]
)
def test_clipping_is_that_of_the_singular_value_decomposition(values, compiled, form):
    kernel = with_spectrum(values)
    with form():
        clipped = tf.function(clip_singular_values, jit_compile=compiled)(kernel).numpy()
    u, s, v = np.linalg.svd(kernel.numpy().astype(np.float64).reshape(40, -1), full_matrices=False)
    np.testing.assert_allclose(clipped.reshape(40, -1), u * np.minimum(s, 1) @ v, atol=1e-6 * max(values))
    after = np.linalg.svd(clipped.astype(np.float64).reshape(40, -1), compute_uv=False)
    assert after[0] <= 1 + max(1e-4, 3e-7 * max(values))
    np.testing.assert_allclose(after, np.sort(np.minimum(values, 1.0))[::-1], atol=1e-6 * max(values))  # those below 1 as they were


@pytest.mark.parametrize("form", [contextlib.nullcontext, forms.accelerated])
def test_a_kernel_within_the_limit_comes_back_bit_for_bit(form):
    kernel = with_spectrum([0.999, 0.5, 0.5, 0.1, 0.0])
    with form():
        np.testing.assert_array_equal(clip_singular_values(kernel), kernel)
        assert not np.array_equal(clip_singular_values(kernel, 0.4), kernel)
        assert not np.any(clip_singular_values(tf.zeros([4, 4, 3, 5])))
        assert np.any(np.isnan(clip_singular_values(tf.fill([2, 3], float("nan")))))  # no error: the loop rolls such a step back


@pytest.mark.parametrize("form", [contextlib.nullcontext, forms.accelerated])
def test_a_wide_kernel_is_clipped_too(form):
    kernel = random(1, 1, 3, 8)  # fewer inputs than outputs: five singular values of the Gram matrix are 0
    u, s, v = np.linalg.svd(kernel.numpy()[0, 0], full_matrices=False)
    with form():
        np.testing.assert_allclose(clip_singular_values(kernel)[0, 0], u * np.minimum(s, 1) @ v, atol=1e-5)


def test_a_wide_spectrum_is_clipped_by_matrix_products_as_by_an_eigendecomposition():
    kernel = with_spectrum(list(np.geomspace(20, 1e-3, 64)), rows=512)
    u, s, v = np.linalg.svd(kernel.numpy().astype(np.float64).reshape(512, -1), full_matrices=False)
    for function in (clipped_by_products, clipped_by_eigh):
        np.testing.assert_allclose(function(tf.reshape(kernel, [512, -1]), 2.0), u * np.minimum(s, 2) @ v, atol=5e-6)


def test_products_are_of_float32_where_the_hardware_multiplies_bfloat16(monkeypatch):
    # Sums in float32 of products of 8 bits each: a TPU. The plain product is off by 4e-3 there.
    a, b = random(40, 30, seed=1), random(40, 20, seed=2)
    exact = a.numpy().astype(np.float64).T @ b.numpy().astype(np.float64)
    matmul = tf.matmul

    def short(a: tf.Tensor, b: tf.Tensor, **how: bool) -> tf.Tensor:
        return matmul(*(tf.cast(tf.cast(x, tf.bfloat16), tf.float32) for x in (a, b)), **how)

    monkeypatch.setattr(tf, "matmul", short)
    assert np.abs(tf.matmul(a, b, transpose_a=True) - exact).max() > 1e-3
    np.testing.assert_allclose(product(a, b, transpose_a=True), exact, atol=1e-5)


def test_gains_are_clipped_into_the_deviation():
    variance = tf.constant([4.0, 4.0, 4.0, 0.0])
    np.testing.assert_allclose(clip_gain(tf.constant([9.0, -1.0, 1.5, 1.0]), variance, 1e-4), [2, 0.02, 1.5, 0.01], rtol=1e-4)


# ConvGRU


def gru_by_hand(layer: ConvGRU, x: np.ndarray, initial: np.ndarray | float = 0.0) -> np.ndarray:
    """The four equations of the docstring, one convolution at a time."""

    def conv(layer_, y):
        return tf.nn.conv2d(y, layer_.normalized_kernel("sample"), 1, "SAME") + layer_.bias.value

    h, states = tf.zeros_like(x[:, 0]) + initial, []
    for t in range(x.shape[1]):
        hx = tf.concat([h, x[:, t]], -1)
        r, u = tf.sigmoid(conv(layer.reset_gate, hx)), tf.sigmoid(conv(layer.update_gate, hx))
        c = tf.nn.relu(conv(layer.candidate, tf.concat([r * h, x[:, t]], -1)))
        h = u * h + (1 - u) * c
        states.append(h)
    return tf.stack(states, 1).numpy()


def gru(channels: int, frames: int) -> ConvGRU:
    layer = ConvGRU(channels, frames)
    for i, gate in enumerate((layer.reset_gate, layer.update_gate, layer.candidate)):
        gate.bias.assign(random(channels, seed=i))
    return layer


def test_conv_gru_is_its_equations():
    layer, x = gru(4, 5), random(2, 5, 3, 3, 4)
    np.testing.assert_allclose(layer(x, mode="sample"), gru_by_hand(layer, x), atol=1e-5)


def test_conv_gru_reads_one_frame_at_every_step():
    layer, x = gru(4, 5), random(2, 1, 3, 3, 4)
    np.testing.assert_allclose(layer(x, mode="sample"), gru_by_hand(layer, tf.repeat(x, 5, 1)), atol=1e-5)


def test_conv_gru_goes_on_from_a_state():
    layer, x = gru(4, 5), random(2, 5, 3, 3, 4)
    states = gru_by_hand(layer, x)
    np.testing.assert_allclose(layer(x, states[:, -1], mode="sample"), gru_by_hand(layer, x, states[:, -1]), atol=1e-5)
    later = ConvGRU(4, 3)
    for mine, other in zip(later.variables, layer.variables, strict=True):
        mine.assign(other)
    np.testing.assert_allclose(later(x[:, 2:], states[:, 1], mode="sample"), states[:, 2:], atol=1e-5)


def test_update_gate_keeps_the_old_state():
    layer, x = gru(2, 4), random(1, 4, 3, 3, 2)
    layer.update_gate.bias.assign([50.0, 50.0])  # u = 1: the state stays what it was, zero
    np.testing.assert_allclose(layer(x, mode="sample"), np.zeros([1, 4, 3, 3, 2]), atol=1e-6)
    layer.update_gate.bias.assign([-50.0, -50.0])  # u = 0: the state is the candidate, which is a ReLU's
    assert np.min(layer(x, mode="sample")) >= 0 and np.max(layer(x, mode="sample")) > 1  # tanh would stay below 1


def test_conv_gru_has_the_same_weights_at_every_step():
    short, long, x = gru(3, 4), gru(3, 8), random(1, 8, 3, 3, 3)
    for a, b in zip(short.variables, long.variables, strict=True):
        b.assign(a)
    np.testing.assert_allclose(long(x, mode="sample")[:, :4], short(x[:, :4], mode="sample"), atol=1e-6)


# Resampling, blocks, attention


@pytest.mark.parametrize("form", [contextlib.nullcontext, forms.plain])
def test_nearest_and_bilinear_are_those_of_tf_image(form):
    x = random(2, 4, 6, 3)
    with form():
        np.testing.assert_allclose(upsample_nearest(x), tf.image.resize(x, [8, 12], "nearest"))
        np.testing.assert_allclose(upsample_bilinear(x), tf.image.resize(x, [8, 12], "bilinear"), atol=1e-6)
        np.testing.assert_array_equal(upsample_bilinear(x[:, :1, :1]), tf.repeat(tf.repeat(x[:, :1, :1], 2, 1), 2, 2))


def test_gradient_of_nearest_is_the_sum_over_the_four_copies():
    x, weights = random(1, 2, 2, 1), random(1, 4, 4, 1, seed=5)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(upsample_nearest(x) * weights)
    expected = weights.numpy().reshape(1, 2, 2, 2, 2, 1).sum((2, 4))
    np.testing.assert_allclose(tape.gradient(loss, x), expected, atol=1e-6)


def test_downsample_averages_cubes_and_an_odd_last_frame_alone():
    x = random(1, 3, 2, 2, 1)
    np.testing.assert_allclose(downsample(x)[0, :, 0, 0, 0], [x[0, :2].numpy().mean(), x[0, 2].numpy().mean()], atol=1e-6)


def test_identity_shortcut_only_where_nothing_changes():
    def plain(channels):
        return ConditionalBatchNorm(channels, CONDITION, T, True)

    assert GeneratorBlock(4, 4, plain, upsample=None).shortcut is None
    assert GeneratorBlock(4, 4, plain, upsample=upsample_nearest).shortcut is not None
    assert DiscriminatorBlock(4, 4, (3, 3), first=False, down=False).shortcut is None
    assert DiscriminatorBlock(4, 4, (3, 3), first=False, down=True).shortcut is not None


def test_attention_starts_as_identity_and_then_sees_the_whole_map():
    layer, x = SelfAttention(8), random(1, 4, 4, 8)
    np.testing.assert_array_equal(layer(x, mode="sample"), x)
    layer.gamma.assign(1.0)
    far = tf.tensor_scatter_nd_add(x, [[0, 3, 3, 0]], [9.0])
    assert np.abs(layer(far, mode="sample") - layer(x, mode="sample"))[0, 0, 0].max() > 1e-4

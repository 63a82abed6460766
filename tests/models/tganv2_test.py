"""TGANv2 against its paper and its authors' tables."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tests.models import tganv2_reference as reference
from tests.models.mocogan_test import adam_by_hand
from tests.reference import clips, count, scramble, seeds_of
from tfvideogan import models
from tfvideogan.config import UserError
from tfvideogan.gan import GENERATOR_STEP, layers_of
from tfvideogan.generation.sampler import Sampler
from tfvideogan.layers.conv import Conv
from tfvideogan.layers.conv_lstm import ConvLSTM
from tfvideogan.models import tganv2
from tfvideogan.ops import noise
from tfvideogan.ops.resample import downsample_padded
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.step import make_step

ONE, THREE = {"levels": 1, "size": 16}, {"levels": 3, "frames": 8}  # 16x16; 8x8, 16x16 and 32x32


def batch_of(config: tganv2.Config, n: int) -> dict[str, tf.Tensor]:
    return {"video": clips(config.frames, config.size, n), "label": tf.zeros([n], tf.int32), "seed": seeds_of(n)}


def built(**changes) -> tganv2.Model:
    """Weights with which scores are of some ones and penalties of some hundreds: both then tell."""
    gan = models.build(small("tganv2", **changes))
    scramble(gan.generator)
    scramble(gan.discriminator, seed=1, scale=0.35)
    return gan


@pytest.fixture(scope="module")
def gan() -> tganv2.Model:
    return built()


def relative(gradients: list, expected: list) -> list[float]:
    """How far each is from what is expected, as a part of that."""
    pairs = [(np.asarray(tf.convert_to_tensor(a), np.float64), np.asarray(b)) for a, b in zip(gradients, expected, strict=True)]
    return [float(np.linalg.norm(a - b) / (np.linalg.norm(b) + 1e-6)) for a, b in pairs]


# The tables


def test_the_authors_values_are_the_default():
    config = tganv2.Config()
    assert (config.frames, config.size, config.stride, config.batch_size, config.steps, config.d_steps) == (16, 192, 1, 128, 100_000, 1)
    assert (config.latent, config.lstm_channels, config.channels, config.levels, config.subsample) == (256, 1024, 64, 4, "pick")
    assert (config.optimizer, config.g_learning_rate, config.d_learning_rate) == ("adam", 1e-4, 1e-4)
    assert (config.beta_1, config.beta_2, config.adam_epsilon) == (0.0, 0.9, 8e-8)
    assert (config.learning_rate_schedule, config.decay_start_step) == ("linear", 0)
    assert (config.r1_weight, config.weight_decay, config.ema_decay, config.official_pooling) == (16.0, 0.0, 0.0, False)


def test_parameter_counts_are_the_official_ones():
    def g_block(i: int, o: int) -> int:  # two BN, two 3x3 and a 1x1 convolution
        return 2 * i + 9 * i * o + o + 2 * o + 9 * o * o + o + i * o + o

    def head(i: int) -> int:
        return 2 * i + 9 * i * 3 + 3

    def g(first: int) -> int:
        linear, lstm = 256 * 1024 * first**2 + 1024 * first**2, 2 * 9 * 1024 * 4096 + 4096
        start = linear + lstm + g_block(1024, 512) + g_block(512, 256) + g_block(256, 128) + head(128)
        return start + g_block(128, 64) + head(64) + g_block(64, 32) + head(32) + g_block(32, 32) + head(32)

    def d_block(i: int, hidden: int, o: int) -> int:
        return 27 * i * hidden + hidden + 27 * hidden * o + o + i * o + o

    rest = [(64, 64, 128), (128, 128, 256), (256, 256, 512), (512, 512, 1024)]
    blocks = [d_block(3, 64, 64), *(d_block(*widths) for widths in rest)]
    assert blocks == [116_160, 340_288, 1_360_512, 5_440_768, 21_760_512]
    d = sum(blocks) + 1024 + 1
    assert (g(3), g(4), g(1), d) == (88_032_460, 89_874_636, 85_927_116, 29_019_265)
    with tf.Graph().as_default():  # nothing allocated
        generator, discriminator = tganv2.Generator(tganv2.Config()), tganv2.Discriminator(tganv2.Config())
        assert (count(generator), count(discriminator)) == (g(3), 4 * d) == (88_032_460, 116_077_060)
        assert [count(block) for block in generator.blocks[:2]] == [7_606_784, 1_902_848]
        assert [count(level) for level in discriminator.levels] == [d] * 4
        assert count(tganv2.Generator(tganv2.Config(size=256))) == g(4)
        assert count(tganv2.Generator(tganv2.Config(size=64))) == g(1)
        assert count(tganv2.Discriminator(tganv2.Config(size=64, levels=2))) == 2 * d
        cpu = tganv2.Generator(tganv2.Config(size=256, lstm_channels=64, channels=8))  # widths 64, 32, 16, 8, 4, 4
        assert count(cpu) == 677_860


@pytest.mark.parametrize(
    "size, levels, shapes",
    [
        (192, 4, [(16, 24), (8, 48), (4, 96), (2, 192)]),
        (64, 4, [(16, 8), (8, 16), (4, 32), (2, 64)]),
        (64, 2, [(16, 32), (8, 64)]),
        (64, 1, [(16, 64)]),
    ],
)
def test_levels_have_half_of_the_frames_and_twice_the_size(size, levels, shapes):
    with tf.Graph().as_default():
        generator = tganv2.Generator(tganv2.Config(size=size, levels=levels, channels=2, lstm_channels=2))
        z, offsets = tf.zeros([2, 256]), tf.zeros([levels - 1], tf.int32)
        fake = generator.pyramid(z, offsets, mode="train")
        real = tganv2.real_pyramid(tf.zeros([2, 16, size, size, 3]), tf.zeros([2, levels - 1], tf.int32))
        for videos in (fake, real):
            assert [video.shape for video in videos] == [(2, t, h, h, 3) for t, h in shapes]
        assert generator(z, mode="sample").shape == (2, 16, size, size, 3)


OFFICIAL = {  # (T, H) after each block, of UCF-101's four levels
    1: [(16, 12), (8, 6), (4, 3), (2, 2), (1, 1)],
    2: [(8, 24), (4, 12), (2, 6), (1, 3), (3, 2)],
    3: [(4, 48), (2, 24), (1, 12), (3, 6), (2, 3)],
    4: [(2, 96), (1, 48), (3, 24), (2, 12), (1, 6)],
}
ALONE = {  # the same, where an axis of 1 stays 1
    1: [(16, 12), (8, 6), (4, 3), (2, 2), (1, 1)],
    2: [(8, 24), (4, 12), (2, 6), (1, 3), (1, 2)],
    3: [(4, 48), (2, 24), (1, 12), (1, 6), (1, 3)],
    4: [(2, 96), (1, 48), (1, 24), (1, 12), (1, 6)],
}


@pytest.mark.parametrize("official, table", [(True, OFFICIAL), (False, ALONE)])
def test_discriminators_halve_clips_as_the_table_says(official, table):
    with tf.Graph().as_default():
        config = tganv2.Config(channels=2, lstm_channels=2, official_pooling=official)
        discriminator, lengths = tganv2.Discriminator(config), {}
        for level, network in enumerate(discriminator.levels):
            x, lengths[level + 1] = tf.zeros([1, 16 // 2**level, 24 * 2**level, 24 * 2**level, 3]), []
            for block in network.blocks:
                x = block(x)
                lengths[level + 1].append((x.shape[1], x.shape[2]))
                assert x.shape[2] == x.shape[3]
        assert lengths == table


@pytest.mark.parametrize("official", [True, False])
@pytest.mark.parametrize("shape", [(2, 4, 6), (1, 3, 2), (3, 1, 5), (1, 1, 1)])
def test_an_odd_axis_is_pooled_with_a_zero(shape, official):
    x = tf.constant(np.random.default_rng(0).standard_normal([2, *shape, 3]), tf.float32)
    np.testing.assert_allclose(downsample_padded(x, official), reference.down(tf.cast(x, tf.float64), (1, 2, 3), official), atol=1e-6)


def test_means_that_can_be_checked_in_the_head():
    def along_time(values: list[float], official: bool) -> list[float]:
        return downsample_padded(tf.reshape(tf.constant(values), [1, -1, 1, 1, 1]), official)[0, :, 0, 0, 0].numpy().tolist()

    # H and W of 1 become 3 too, officially: the middle is kept.
    assert along_time([2.0, 4.0, 6.0], False) == [1.0, 5.0] and along_time([2.0, 4.0], False) == [3.0] and along_time([7.0], False) == [7.0]
    assert downsample_padded(tf.fill([1, 1, 2, 2, 1], 7.0), True)[0, :, 0, 0, 0].numpy().tolist() == [0.0, 7.0, 0.0]


def test_first_weights():
    gan = models.build(small("tganv2", channels=16, lstm_channels=48, latent=64, levels=3, size=32))
    g, d = gan.generator, gan.discriminator.levels[0]

    def check(kernel, variance: float, uniform: bool) -> None:
        values = kernel.numpy()
        assert values.var() == pytest.approx(variance, rel=0.12)
        most = np.abs(values).max() / np.sqrt(variance)
        assert most <= np.sqrt(3) + 1e-3 if uniform else most > 2.8  # of a truncated normal nothing beyond 2.3

    check(g.linear.kernel, 1 / 64, uniform=False)
    check(g.lstm.kernel, 1 / (9 * 48), uniform=False)
    check(g.lstm.recurrent_kernel, 1 / (9 * 48), uniform=False)
    check(g.heads[0].conv.kernel, 1 / (9 * 32), uniform=False)
    check(g.blocks[0].conv1.kernel, 2 / (9 * (48 + 128) / 2), uniform=True)
    check(g.blocks[0].shortcut.kernel, 1 / ((48 + 128) / 2), uniform=True)
    check(d.blocks[1].conv2.kernel, 2 / (27 * (16 + 32) / 2), uniform=True)
    check(d.blocks[2].shortcut.kernel, 1 / ((32 + 64) / 2), uniform=True)
    check(d.score.kernel, 1 / ((256 + 1) / 2), uniform=True)
    assert not np.array_equal(g.lstm.kernel, g.lstm.recurrent_kernel)  # of one shape: the same law, not the same numbers
    assert not np.array_equal(d.blocks[0].conv1.kernel, gan.discriminator.levels[1].blocks[0].conv1.kernel)
    assert not any(np.any(bias) for bias in [g.lstm.bias, *(layer.bias for layer in layers_of(gan, Conv))])


def test_z_is_uniform(gan):
    z = gan.latents(seeds_of(2000)).numpy()
    assert -1 <= z.min() < -0.99 and 0.99 < z.max() <= 1
    assert abs(z.mean()) < 0.02 and z.var() == pytest.approx(1 / 3, rel=0.03)


# ConvLSTM


def test_lstm_keeps_its_cell_where_it_forgets_nothing():
    cell = ConvLSTM(2, lambda: "zeros")
    cell.bias.assign([0, 0, 50, 50, 50, 50, 1, 1])  # i = .5, f = 1, o = 1, g = tanh(1): c grows by .5 tanh(1) at each step
    states = cell(tf.zeros([1, 3, 3, 2]), frames=3)
    for step in range(3):
        np.testing.assert_allclose(states[0, step], np.full([3, 3, 2], np.tanh((step + 1) * 0.5 * np.tanh(1))), atol=1e-6)


def test_lstm_reads_its_input_at_the_first_step_alone():
    cell = ConvLSTM(1, lambda: "zeros")
    kernel = np.zeros([3, 3, 1, 4], np.float32)
    kernel[1, 1, 0, 3] = 1.0  # g reads x; f = .5 then halves the cell, for zeros bring nothing
    cell.kernel.assign(kernel)
    states = cell(tf.fill([1, 2, 2, 1], 0.7), frames=3)[0, :, 0, 0, 0]
    np.testing.assert_allclose(states, [0.5 * np.tanh(0.5 * np.tanh(0.7) * 0.5**t) for t in range(3)], atol=1e-6)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("mixed_bfloat16", 0.06)])
def test_lstm_computes_its_equations(dtype, tolerance):
    tf.keras.config.set_dtype_policy(dtype)
    cell = ConvLSTM(3, lambda: "zeros")
    tf.keras.config.set_dtype_policy("float32")
    scramble(cell, scale=0.5)
    x = tf.constant(np.random.default_rng(0).standard_normal([2, 3, 3, 3]), tf.float32)
    weights = [variable.value for variable in (cell.kernel, cell.bias, cell.recurrent_kernel)]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        states, expected = cell(x, frames=4), tf.stack(reference.lstm(cell, tf.cast(x, tf.float64), 4), 1)
        sums = [tf.reduce_sum(tf.cast(y, tf.float64) * np.arange(1, 5)[:, None, None, None]) for y in (states, expected)]
    np.testing.assert_allclose(tf.cast(states, tf.float64), expected, atol=tolerance)
    assert max(relative(*(tape.gradient(total, [x, *weights]) for total in sums))) < tolerance


# The generator


def weighted(videos: list) -> tf.Tensor:
    """A sum of all numbers, each with a weight of its own."""
    rng = np.random.default_rng(0)
    return tf.add_n([tf.reduce_sum(tf.cast(video, tf.float64) * rng.standard_normal(video.shape)) for video in videos])


@pytest.mark.parametrize("offsets", [(0, 1), (1, 0)])
@pytest.mark.parametrize("subsample", ["pick", "mean"])
def test_training_shows_the_levels_of_the_table(subsample, offsets):
    gan = built(**THREE, subsample=subsample)
    z, network = gan.latents(seeds_of(2)), gan.generator
    weights = [weight.value for weight in network.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        videos = network.pyramid(z, tf.constant(offsets), mode="train")
        expected = reference.pyramid(network, z, list(offsets), 8, mean=subsample == "mean")
        sums = weighted(videos), weighted(expected)
    for video, value in zip(videos, expected, strict=True):
        assert video.dtype == tf.float32 and np.ptp(video) > 0.5
        np.testing.assert_allclose(video, value, atol=2e-4)
    found, wanted = (tape.gradient(total, weights) for total in sums)
    norms = [float(tf.norm(gradient)) for gradient in wanted]
    for error, norm, weight in zip(relative(found, wanted), norms, network.trainable_variables, strict=True):
        assert error < 1e-2 or norm < 1e-6 * max(norms), weight.path  # biases before BN have none


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("changes", [THREE, {"levels": 1}, {"levels": 2, "size": 64}])
def test_samples_are_all_frames_at_full_size_by_the_last_head(changes, training):
    gan = built(**changes)
    z, frames = gan.latents(seeds_of(2)), gan.config.frames
    video = gan.generator(z, mode="train" if training else "sample")
    assert video.shape == (2, frames, gan.config.size, gan.config.size, 3) and np.ptp(video) > 0.2
    np.testing.assert_allclose(video, reference.dense(gan.generator, z, frames, training), atol=1e-4)
    scramble(gan.generator.heads[0] if gan.config.levels > 1 else gan.discriminator, seed=5)  # not read
    np.testing.assert_array_equal(gan.generator(z, mode="train" if training else "sample"), video)


def test_dense_is_sparse_with_factor_one(monkeypatch):
    gan = built(**THREE)
    z = gan.latents(seeds_of(2))
    monkeypatch.setattr(gan.generator, "halved", lambda x, offset: x)
    for mode in ("train", "sample"):
        videos = gan.generator.pyramid(z, tf.constant([0, 0]), mode=mode)
        np.testing.assert_allclose(gan.generator(z, mode=mode), videos[-1], atol=1e-5)


@pytest.mark.parametrize("offsets, picked", [((0, 0), [0, 4]), ((1, 0), [1, 5]), ((0, 1), [2, 6]), ((1, 1), [3, 7])])
def test_frames_of_a_level_are_some_of_those_of_the_level_below(offsets, picked):
    # With standing statistics no frame sees another, so that the sparse clip is made of frames of the dense one.
    gan = built(**THREE)
    z = gan.latents(seeds_of(2))
    sparse = gan.generator.pyramid(z, tf.constant(offsets), mode="sample")[-1]
    dense = gan.generator(z, mode="sample").numpy()
    np.testing.assert_allclose(sparse, dense[:, picked], atol=1e-5)


def test_gradients_flow_through_the_picked_frames_alone(gan):
    x = tf.random.stateless_normal([2, 4, 3, 3, 5], [0, 0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = gan.generator.halved(x, tf.constant(1))
    np.testing.assert_array_equal(y, x[:, 1::2])
    gradient = tape.gradient(y, x).numpy()
    assert not np.any(gradient[:, 0::2]) and np.all(gradient[:, 1::2] == 1)


def test_standing_statistics_are_those_of_dense_clips():
    gan = models.build(small("tganv2", latent=32, levels=1, batch_size=32, standing_batches=4))
    Sampler(gan, ema=False).calibrate()
    z = gan.latents(seeds_of(64))
    train, sample = (gan.generator(z, mode=mode).numpy() for mode in ("train", "sample"))
    assert np.abs(train - sample).mean() < 0.1 * np.abs(train).mean()
    assert np.corrcoef(train.ravel(), sample.ravel())[0, 1] > 0.99


# Real clips and offsets


def test_real_levels_are_frames_of_the_level_below_with_pixels_averaged():
    video, offsets = clips(8, 16, 4), tf.constant([[0, 0], [1, 0], [0, 1], [1, 1]])
    levels = tganv2.real_pyramid(video, offsets)
    assert [level.shape for level in levels] == [(4, 8, 4, 4, 3), (4, 4, 8, 8, 3), (4, 2, 16, 16, 3)]
    for level, expected in zip(levels, reference.real_pyramid(video, offsets.numpy()), strict=True):
        np.testing.assert_allclose(level, expected, atol=1e-6)
    for clip, picked in enumerate([[0, 4], [1, 5], [2, 6], [3, 7]]):  # at full size
        np.testing.assert_array_equal(levels[2][clip], tf.gather(video[clip], picked))


def seeds_of_batch(config: tganv2.Config, number: int, step: int = 0) -> tf.Tensor:
    """As data/__init__.py numbers the examples of a run of seed 3."""
    index = tf.range(number * config.batch_size, (number + 1) * config.batch_size)
    return noise.fork(tf.stack([tf.fill([config.batch_size], 3), index], 1), step)


def test_generated_clips_of_a_batch_share_their_offsets_whatever_part_is_drawn():
    gan = built(**THREE, batch_size=6)
    draws = []
    for number in range(200):
        seeds = seeds_of_batch(gan.config, number)
        whole = gan.fake_offsets(seeds).numpy()
        assert whole.shape == (2,)
        if number < 10:
            for part in (seeds[:2], seeds[2:4], seeds[1::3], seeds[::-1]):
                np.testing.assert_array_equal(gan.fake_offsets(part), whole)
        draws.append(whole)
    of_g = [gan.fake_offsets(seeds_of_batch(gan.config, number, GENERATOR_STEP)).numpy() for number in range(200)]
    both = np.concatenate([draws, of_g], 1)  # of D's step and of G's
    np.testing.assert_array_equal(np.unique(both), [0, 1])
    np.testing.assert_allclose(both.mean(0), np.full(4, 0.5), atol=0.12)
    assert np.abs(np.corrcoef(both.T) - np.eye(4)).max() < 0.25


def test_real_clips_have_offsets_of_their_own():
    gan = built(**THREE, batch_size=6)
    seeds = seeds_of(600)
    offsets = gan.real_offsets(seeds).numpy()
    assert offsets.shape == (600, 2)
    np.testing.assert_array_equal(gan.real_offsets(seeds[100:110]), offsets[100:110])  # whatever batch it stands in
    np.testing.assert_allclose(offsets.mean(0), [0.5, 0.5], atol=0.07)
    assert abs(np.corrcoef(offsets.T)[0, 1]) < 0.13
    assert all(np.ptp(offsets[i : i + 12, 0]) == 1 for i in range(0, 120, 12))  # not one for a batch


# The discriminators


@pytest.mark.parametrize("official", [True, False])
def test_discriminators_compute_the_table(official):
    gan = built(**THREE, official_pooling=official)
    real = tganv2.real_pyramid(clips(8, 32, 2), tf.constant([[0, 1], [1, 0]]))
    scores = gan.discriminator(real, mode="train")
    assert scores.shape == (3, 2) and scores.dtype == tf.float32 and np.ptp(scores) > 0.5
    for level, network in enumerate(gan.discriminator.levels):  # each judges its own level
        lengths = []
        expected = reference.discriminator(network, real[level], official, lengths)
        np.testing.assert_allclose(scores[level], expected, rtol=1e-5, atol=1e-4)
        assert lengths[-1][0] == (3 - level if official else 1)  # of 8, 4 and 2 frames; an axis of 1 becomes 3, then 2, then 1
    np.testing.assert_array_equal(gan.discriminator(real, mode="sample"), scores)


# Losses


def test_each_level_weighs_the_same(gan, monkeypatch):
    batch, scores = batch_of(gan.config, 2), iter([tf.constant([[1.0, 2.0], [3.0, -4.0]]), tf.constant([[0.5, 0.0], [-1.0, 2.0]])] * 2)
    real = list(np.array([1.0, 2.0, 3.0, -4.0])), list(np.array([0.5, 0.0, -1.0, 2.0]))
    monkeypatch.setattr(gan, "discriminator", lambda videos, mode: next(scores) + 0.0 * tf.add_n([tf.reduce_sum(v) for v in videos]))
    softplus = [np.log1p(np.exp(values)) for values in (-np.array(real[0]), np.array(real[1]))]
    terms, watched = gan.discriminator_loss(batch)
    assert float(terms["d_loss"]) == pytest.approx(softplus[0].mean() + softplus[1].mean()) and float(terms["d_penalty"]) == 0
    assert [float(tf.reduce_mean(watched[name])) for name in ("score_real", "score_fake")] == pytest.approx([0.5, 0.375])
    terms, _ = gan.generator_loss(batch)
    assert float(terms["g_loss"]) == pytest.approx(softplus[0].mean())


@pytest.mark.parametrize("n", [1, 3])
def test_the_penalty_of_a_linear_discriminator_is_its_weights_squared(gan, n, monkeypatch):
    shapes = [(4, 16, 16, 3), (2, 32, 32, 3)]
    weights = [tf.random.stateless_normal(shape, [0, i]) for i, shape in enumerate(shapes)]

    def linear(videos: list[tf.Tensor], mode: str) -> tf.Tensor:
        return tf.stack([tf.einsum("nthwc,thwc->n", video, w) for video, w in zip(videos, weights, strict=True)])

    monkeypatch.setattr(gan, "discriminator", linear)
    terms, _ = gan.discriminator_loss(batch_of(gan.config, n))
    squares = sum(np.sum(np.square(w)) for w in weights)
    assert float(terms["d_penalty"]) == pytest.approx(16.0 * squares, rel=1e-5)  # however many clips


def losses_and_gradients(gan: tganv2.Model, batch: dict) -> tuple[dict, list, list]:
    """Terms of D, and the gradients of the loss and the penalty by D's weights that both depend on."""
    weights = judged_weights(gan)

    @tf.function(autograph=False)
    def run() -> tuple[dict, list, list]:
        with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
            tape.watch(weights)
            terms, _ = gan.discriminator_loss(batch)
        return terms, *(tape.gradient(terms[name], weights) for name in ("d_loss", "d_penalty"))

    return run()


def judged_weights(gan: tganv2.Model) -> list[tf.Variable]:
    """D's kernels: on its biases the penalty depends only by the signs that ReLU sees."""
    return [layer.kernel.value for layer in layers_of(gan.discriminator, Conv)]


def reference_losses(gan: tganv2.Model, batch: dict) -> tuple[tf.Tensor, tf.Tensor]:
    z = gan.inputs(batch)["z"]
    real = reference.real_pyramid(batch["video"], gan.real_offsets(batch["seed"]).numpy())
    fake = reference.pyramid(gan.generator, z, list(gan.fake_offsets(batch["seed"]).numpy()), gan.config.frames)
    config = gan.config
    return reference.discriminator_loss(gan.discriminator.levels, real, fake, config.official_pooling, config.r1_weight)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("official", [False, True])
def test_the_penalty_and_its_gradient_are_those_of_the_reference(official, precision):
    gan = built(**ONE, official_pooling=official, precision=precision)
    batch = batch_of(gan.config, 2)
    terms, of_loss, of_penalty = losses_and_gradients(gan, batch)
    with tf.GradientTape(persistent=True) as tape:
        loss, penalty = reference_losses(gan, batch)
    weights = judged_weights(gan)
    assert float(penalty) > 10 * float(loss) > 10  # numbers that tell
    exact = precision == "float32"
    assert float(terms["d_loss"]) == pytest.approx(float(loss), rel=1e-5 if exact else 0.05)
    assert float(terms["d_penalty"]) == pytest.approx(float(penalty), rel=1e-5 if exact else 0.15)
    for found, value in ((of_loss, loss), (of_penalty, penalty)):
        expected = tape.gradient(value, weights)
        assert all(float(tf.norm(gradient)) > 0 for gradient in expected)
        if exact:
            assert max(relative(found, expected)) < 1e-4
        else:  # ReLU sees other signs here and there
            a, b = (np.concatenate([np.ravel(gradient) for gradient in side]).astype(np.float64) for side in (found, expected))
            assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.96 and np.linalg.norm(a) == pytest.approx(np.linalg.norm(b), rel=0.2)


def test_the_penaltys_gradient_is_the_slope_of_the_penalty():
    # Of the reference's, in float64: between steps this small no ReLU changes sides, at which the penalty jumps.
    gan = built(**ONE)
    batch, weights = batch_of(gan.config, 2), judged_weights(gan)
    _, _, gradient = losses_and_gradients(gan, batch)
    real = reference.real_pyramid(batch["video"], gan.real_offsets(batch["seed"]).numpy())
    before, rng = [weight.numpy() for weight in weights], np.random.default_rng(0)
    for directions in (gradient, [rng.standard_normal(weight.shape).astype(np.float32) for weight in before]):
        penalties, places = [], []
        for far in (1e-5, -1e-5):
            for weight, start, direction in zip(weights, before, directions, strict=True):
                weight.assign(start + far * np.linalg.norm(start) / np.linalg.norm(direction) * direction)
            penalties.append(16.0 * float(reference.penalty(gan.discriminator.levels, real, official=False)))
            places.append([weight.numpy().astype(np.float64) for weight in weights])
        slope = sum(np.sum(g * (a - b)) for g, a, b in zip(gradient, *places, strict=True))
        assert abs(slope) > 1e-6 * penalties[0]
        assert penalties[0] - penalties[1] == pytest.approx(slope, rel=5e-3)


# The step


@pytest.mark.parametrize(
    "changes",
    [{}, pytest.param({"subsample": "mean", "official_pooling": True}, marks=pytest.mark.slow)],
    ids=["default", "mean, official"],
)
def test_a_step_is_the_one_computed_by_hand(changes):
    # An epsilon of the gradients' size, so that the update tells the size of a gradient and not its sign alone.
    changes = dict(**changes, adam_epsilon=10.0, beta_1=0.5, d_learning_rate=0.05, g_learning_rate=0.2)
    gan, twin = built(**changes), built(**changes)
    config, batch = gan.config, batch_of(gan.config, 3)
    count = tf.Variable(0, dtype=tf.int64, trainable=False)
    optimizers = make_optimizers(gan, count)
    scalars = make_step(gan, optimizers, count, tf.distribute.get_strategy())([batch])

    def fakes(batch: dict) -> list[tf.Tensor]:
        offsets = list(twin.fake_offsets(batch["seed"]).numpy())
        return reference.pyramid(twin.generator, twin.inputs(batch)["z"], offsets, config.frames, mean=config.subsample == "mean")

    levels, official = twin.discriminator.levels, config.official_pooling
    real = reference.real_pyramid(batch["video"], twin.real_offsets(batch["seed"]).numpy())
    with tf.GradientTape() as tape:
        loss, penalty = reference.discriminator_loss(levels, real, fakes(batch), official, 16.0)
        total = loss + penalty
    weights = twin.discriminator.trainable_variables
    expected = adam_by_hand(weights, tape.gradient(total, [w.value for w in weights]), config, 0.05)
    assert float(scalars["d_loss"]) == pytest.approx(float(loss), rel=1e-5)
    assert float(scalars["d_penalty"]) == pytest.approx(float(penalty), rel=1e-5)
    for value, weight in zip(expected, gan.discriminator.trainable_variables, strict=True):
        np.testing.assert_allclose(weight, value, rtol=1e-3, atol=2e-5)

    for own, other in zip(twin.discriminator.trainable_variables, gan.discriminator.trainable_variables, strict=True):
        own.assign(other)  # G is judged by the D after its update
    batch = {**batch, "seed": noise.fork(batch["seed"], GENERATOR_STEP)}
    with tf.GradientTape() as tape:
        g_loss = reference.generator_loss(levels, fakes(batch), official)
    weights = twin.generator.trainable_variables
    expected = adam_by_hand(weights, tape.gradient(g_loss, [w.value for w in weights]), config, 0.2)
    assert float(scalars["g_loss"]) == pytest.approx(float(g_loss), rel=1e-5)
    for value, weight in zip(expected, gan.generator.trainable_variables, strict=True):
        np.testing.assert_allclose(weight, value, rtol=1e-3, atol=2e-4)


# Options


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"levels": 0}, "--levels=0: expected 1 to 4"),
        ({"levels": 5, "frames": 16, "size": 128}, "--levels=5: expected 1 to 4"),
        ({"size": 40}, "--size=40: expected a multiple of 16 with --levels=2"),
        ({"size": 32, "levels": 4}, "--size=32: expected a multiple of 64 with --levels=4"),
        ({"frames": 5}, "--frames=5: expected a multiple of 2 with --levels=2"),
        ({"channels": 3}, "--channels=3: expected an even number"),
        ({"subsample": "none"}, "--subsample=none: expected one of pick, mean"),
        ({"r1_weight": -1.0}, "--r1_weight=-1.0: expected 0 or more"),
        ({"lstm_channels": 0}, "--lstm_channels=0: expected at least 1"),
    ],
)
def test_config_refuses_what_cannot_be_built(changes, message):
    with pytest.raises(UserError, match=message):
        small("tganv2", **changes)


def test_the_penaltys_weight_is_a_field():
    config = dataclasses.replace(small("tganv2"), r1_weight=0.0)
    gan = models.build(config)
    assert float(gan.discriminator_loss(batch_of(config, 2))[0]["d_penalty"]) == 0

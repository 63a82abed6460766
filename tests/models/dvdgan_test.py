"""DVD-GAN against its paper."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tfvideogan import gan as gan_module
from tfvideogan import losses, models
from tfvideogan.config import UserError
from tfvideogan.gan import layers_of
from tfvideogan.generation.sampler import Sampler
from tfvideogan.layers.attention import SelfAttention
from tfvideogan.layers.spectral import SpectralLayer
from tfvideogan.models import dvdgan
from tfvideogan.ops import noise


@pytest.fixture(scope="module")
def gan() -> dvdgan.Model:
    return models.build(small("dvdgan"))


def clips(config: dvdgan.Config, n: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Made-up videos, labels and seeds."""
    seeds = tf.stack([tf.ones([n], tf.int32), tf.range(n)], 1)
    return tf.tanh(noise.normal(seeds, [config.frames, config.size, config.size, 3])), tf.range(n) % config.classes, seeds


def count(network) -> int:
    return sum(math.prod(weight.shape) for weight in network.trainable_variables)


# Parameter counts, derived from the table of the paper's notes and not from the code.


def generator_parameters(width: list[int], condition: int, embedding: int, classes: int) -> int:
    def norm(c):
        return 2 * condition * c  # gain and bias, without biases of their own

    def conv(i, o, k):
        return i * o * k * k + o

    total = classes * embedding + condition * 16 * width[0] + 16 * width[0]
    for i, o in zip(width, width[1:], strict=False):
        total += 3 * conv(2 * i, i, 3)  # ConvGRU: r, u, c read [h; x]
        total += norm(i) + conv(i, i, 3) + norm(i) + conv(i, i, 3)  # identity shortcut
        total += norm(i) + conv(i, o, 3) + norm(o) + conv(o, o, 3) + conv(i, o, 1)
    return total + norm(width[-1]) + conv(width[-1], 3, 3)


def trunk_parameters(width: list[int], volumetric: int, classes: int) -> int:
    total, i = 0, 3
    for block, o in enumerate(width):
        k = 27 if block < volumetric else 9
        total += k * i * o + o + k * o * o + o
        total += i * o + o if block < len(width) - 1 else 0  # the last block keeps width and size: identity shortcut
        i = o
    return total + i + 1 + classes * i


@pytest.mark.parametrize(
    "size, g_list, d_list", [(64, [8, 8, 8, 4, 2], [2, 4, 8, 16, 16]), (128, [8, 8, 8, 4, 2, 1], [1, 2, 4, 8, 16, 16])]
)
def test_parameter_counts_are_those_of_the_table(size, g_list, d_list):
    config = dvdgan.Config(size=size, channels=4, classes=101)
    built = models.build(config)
    assert count(built.generator) == generator_parameters([4 * m for m in g_list], 240, 120, 101)
    assert count(built.discriminator.spatial) == trunk_parameters([4 * m for m in d_list], 0, 101)
    assert count(built.discriminator.temporal) == trunk_parameters([4 * m for m in d_list], 2, 101)


def test_paper_scale_counts():
    # ch 128 at 64x64: some 305 M parameters, most of them in the ConvGRUs; D_S some 159 M and D_T 167 M with a 1x1 shortcut
    # of 4.2 M in the last block, which BigGAN's code, and this one, leaves out.
    g = generator_parameters([128 * m for m in (8, 8, 8, 4, 2)], 240, 120, 600)
    assert g == pytest.approx(305e6, rel=0.02)
    shortcut = 2048 * 2048 + 2048
    assert trunk_parameters([128 * m for m in (2, 4, 8, 16, 16)], 0, 600) + shortcut == pytest.approx(159e6, rel=0.02)
    assert trunk_parameters([128 * m for m in (2, 4, 8, 16, 16)], 2, 600) + shortcut == pytest.approx(167e6, rel=0.02)


def test_the_paper_is_the_default():
    config = dvdgan.Config()
    assert (config.batch_size, config.d_steps, config.k, config.latent, config.embedding) == (512, 2, 8, 120, 120)
    assert (config.g_learning_rate, config.d_learning_rate, config.beta_1, config.beta_2) == (1e-4, 5e-4, 0.0, 0.999)
    assert (config.ema_decay, config.ema_start_step, config.phi, config.upsampling) == (0.9999, 20_000, "2x2", "bilinear")
    assert (config.g_attention, config.d_attention, config.fake_labels) == (0, 0, "data")
    assert (config.bn_statistics, config.orthogonal_regularization) == ("per_frame", 0.0)


def test_every_kernel_is_spectrally_normalised_but_the_class_embedding(gan):
    for network, exceptions in ((gan.generator, [gan.generator.embedding]), (gan.discriminator, [])):
        normalised = {id(layer.kernel) for layer in layers_of(network, SpectralLayer)}
        for weight in network.trainable_variables:
            if len(weight.shape) > 1:
                assert id(weight) in normalised or any(weight is exception for exception in exceptions), weight.path


# Generator


def test_conditioning_rows_stay_with_their_example(gan):
    # Each clip of a batch is the clip its z and label give alone; the well-known port tiles the condition time-major.
    Sampler(gan, ema=False).calibrate()
    z, label = tf.random.stateless_normal([3, gan.latent_width], [0, 0]), tf.constant([5, 0, 7])
    together = gan.generator(z, label, mode="sample")
    for i in range(3):
        alone = gan.generator(z[i : i + 1], label[i : i + 1], mode="sample")
        np.testing.assert_allclose(together[i], alone[0], atol=1e-5)
    assert not np.allclose(together[0], gan.generator(z[:1], label[1:2], mode="sample")[0], atol=1e-3)


def test_twice_the_frames_from_the_same_weights(gan):
    config = dataclasses.replace(gan.config, frames=2 * gan.config.frames, bn_statistics="all_frames")
    short, long = (models.build(c).generator for c in (dataclasses.replace(gan.config, bn_statistics="all_frames"), config))
    for a, b in zip(short.variables, long.variables, strict=True):
        assert a.shape == b.shape
        b.assign(a)
    z, label = tf.random.stateless_normal([2, gan.latent_width], [0, 0]), tf.constant([1, 2])
    short_norms, long_norms = (layers_of(g, type(g.norm)) for g in (short, long))
    for norm in short_norms + long_norms:
        norm.standing[1].assign(tf.ones_like(norm.standing[1]))
    np.testing.assert_allclose(long(z, label, mode="sample")[:, : gan.config.frames], short(z, label, mode="sample"), atol=1e-5)


@pytest.mark.parametrize("upsampling", ["bilinear", "nearest"])
@pytest.mark.parametrize("size", [32, 64])
def test_generator_builds_each_size_and_upsampling(size, upsampling):
    config = small("dvdgan", size=size, upsampling=upsampling, frames=2, g_attention=16)
    built = models.build(config)
    assert built.generator(tf.zeros([1, 8]), tf.constant([0]), mode="train").shape == (1, 2, size, size, 3)


# Discriminator


def test_one_score_for_each_video(gan):
    video, label, seeds = clips(gan.config, 3)
    scores = gan.discriminator(video, label, seeds, mode="sample")
    assert {name: score.shape for name, score in scores.items()} == {"spatial": (3,), "temporal": (3,)}
    for i in range(3):
        alone = gan.discriminator(video[i : i + 1], label[i : i + 1], seeds[i : i + 1], mode="sample")
        for name in scores:
            np.testing.assert_allclose(scores[name][i], alone[name][0], rtol=1e-4, atol=1e-4)


def test_what_is_no_number_in_a_clip_reaches_its_scores(gan):
    # oneDNN's convolutions with a ReLU make 0 of NaN.
    video, label, seeds = clips(gan.config, 4)
    video = tf.where(tf.reshape(tf.range(4) == 1, [4, 1, 1, 1, 1]), math.nan, video)
    for score in tf.function(lambda *inputs: gan.discriminator(*inputs, mode="sample"), autograph=False)(video, label, seeds).values():
        np.testing.assert_array_equal(np.isnan(score), [False, True, False, False])


def test_spatial_score_is_the_sum_over_its_frames(gan):
    video, label, _ = clips(gan.config, 2)
    spatial = gan.discriminator.spatial
    one_by_one = [spatial(video[:, t : t + 1], label, mode="sample") for t in range(2)]
    np.testing.assert_allclose(spatial(video[:, :2], label, mode="sample"), tf.add_n(one_by_one), rtol=1e-4, atol=1e-4)


def test_hinge_is_taken_of_the_sum():
    # Two frames score 2 and -2. Of their sum, 0, the hinge is 1; the mean of the frames' hinges would be (0 + 3) / 2.
    summed = tf.reduce_sum(tf.constant([[2.0, -2.0]]), 1)
    assert float(losses.hinge_discriminator(summed, tf.constant([-5.0]))) == 1.0
    assert float(losses.hinge_discriminator(tf.constant([3.0, 0.5]), tf.constant([-0.5, 1.0]))) == pytest.approx(0.25 + 1.25)
    assert float(losses.hinge_generator(tf.constant([1.0, 3.0]))) == -2.0


def test_losses_hinge_the_summed_scores(gan, monkeypatch):
    seen = {}
    monkeypatch.setattr(dvdgan, "hinge_discriminator", lambda real, fake: seen.setdefault(len(seen), (real, fake)) and tf.constant(0.0))
    video, label, seeds = clips(gan.config, 3)
    gan.discriminator_loss({"video": video, "label": label, "seed": seeds})
    assert [tuple(score.shape) for pair in seen.values() for score in pair] == [(3,)] * 4  # D_S and D_T, real and fake


def test_k_frames_are_drawn_without_replacement_and_evenly():
    config = small("dvdgan", frames=6, k=3)
    frames = tf.range(6, dtype=tf.float32)[None, :, None, None, None] * tf.ones([300, 1, 4, 4, 3])
    built = models.build(config)
    seen = {}
    built.discriminator.spatial = lambda video, label, mode: seen.setdefault("video", video)
    built.discriminator.temporal = lambda video, label, mode: tf.zeros([300])
    seeds = tf.stack([tf.zeros([300], tf.int32), tf.range(300)], 1)
    built.discriminator(frames, tf.zeros([300], tf.int32), seeds, mode="sample")
    drawn = seen["video"][:, :, 0, 0, 0].numpy()
    assert drawn.shape == (300, 3) and all(len(set(row)) == 3 for row in drawn)
    np.testing.assert_allclose(np.bincount(drawn.astype(int).ravel(), minlength=6) / 300, np.full(6, 0.5), atol=0.1)


@pytest.mark.parametrize("phi, size", [("4x4", 8), ("2x2", 16), ("identity", 32), ("crop", 16)])
def test_phi(phi, size):
    config = small("dvdgan", phi=phi)
    video, label, seeds = clips(config, 2)
    discriminator = models.build(config).discriminator
    seen = discriminator._phi(video, tf.constant([[0.0, 0.99], [0.5, 0.25]]))
    assert seen.shape == (2, config.frames, size, size, 3)
    if phi == "crop":
        np.testing.assert_array_equal(seen[0], video[0, :, 0:16, 16:32])  # 0 and all of the 16 pixels of room
        np.testing.assert_array_equal(seen[1], video[1, :, 8:24, 4:20])
    elif phi != "identity":
        factor = 32 // size
        np.testing.assert_allclose(seen[0, 0, 0, 0], tf.reduce_mean(video[0, 0, :factor, :factor], [0, 1]), atol=1e-6)
    assert discriminator(video, label, seeds, mode="sample")["temporal"].shape == (2,)


def test_temporal_discriminator_halves_time_twice(gan):
    video, label, _ = clips(gan.config, 1)
    block = gan.discriminator.temporal.blocks
    x = block[1](block[0](video[:, :, :16, :16], mode="sample"), mode="sample")
    assert x.shape == (1, 1, 4, 4, 8)  # T 4 -> 1, 16x16 -> 4x4


# Options


def test_orthogonal_regularisation_is_zero_for_orthogonal_kernels_and_counts_others():
    built = models.build(small("dvdgan", orthogonal_regularization=1.0))
    for layer in layers_of(built.generator, SpectralLayer):
        layer.kernel.assign(tf.zeros_like(layer.kernel.value))
    assert float(built._non_orthogonality()) == 0.0
    built.generator.to_rgb.kernel.assign(tf.ones_like(built.generator.to_rgb.kernel.value))  # 36 rows of 3 ones: gram is 36
    rows = math.prod(built.generator.to_rgb.kernel.shape[:-1])
    assert float(built._non_orthogonality()) == pytest.approx(6 * rows**2)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"size": 48}, r"--size=48: dvdgan builds 32, 64, 128 or 256"),
        ({"k": 5}, r"--k=5: D_S draws k different frames, want 1 to --frames=4"),
        ({"phi": "3x3"}, r"--phi=3x3: want one of 4x4, 2x2, identity, crop"),
        ({"upsampling": "cubic"}, r"--upsampling=cubic: want one of bilinear, nearest"),
        ({"bn_statistics": "none"}, r"--bn_statistics=none"),
        ({"g_attention": 24}, r"--g_attention=24: got no map size inside the network, expected 0 or one of 8, 16"),
        ({"d_attention": 32}, r"--d_attention=32: got no map size inside the network, expected 0 or one of 8, 16"),
        ({"fake_labels": "real"}, r"--fake_labels=real: want one of data, drawn"),
        ({"batch_size": 0}, r"--batch_size=0: want at least 1"),
        ({"latent": -1}, r"--latent=-1: want at least 1"),
        ({"embedding": 0}, r"--embedding=0: want at least 1"),
        ({"g_learning_rate": float("nan")}, r"--g_learning_rate=nan: want a finite number"),
        ({"beta_2": 1.0}, r"--beta_2=1: want at least 0 and less than 1"),
        ({"precision": "half"}, r"--precision=half: want one of float32, mixed_bfloat16, mixed_float16"),
    ],
)
def test_config_refuses_what_cannot_be_built(changes, message):
    with pytest.raises(UserError, match=message):
        small("dvdgan", **changes)


@pytest.mark.parametrize(
    "changes, widths",
    [
        ({"g_attention": 16}, ([8], [], [])),  # ch 2: G's map of 16x16 is 4 * 2 wide, after its second stage
        ({"d_attention": 16}, ([], [4], [])),  # D_T reads 16x16, and its first block leaves 8x8
        ({"d_attention": 8}, ([], [8], [4])),
        ({"d_attention": 16, "phi": "identity"}, ([], [4], [4])),
        ({"g_attention": 8, "d_attention": 16}, ([16], [4], [])),
    ],
)
def test_attention_stands_where_it_was_asked_for_and_nowhere_else(changes, widths):
    built = models.build(small("dvdgan", **changes))
    networks = built.generator, built.discriminator.spatial, built.discriminator.temporal
    assert tuple([layer.out.kernel.shape[-1] for layer in layers_of(network, SelfAttention)] for network in networks) == widths
    sides = {}
    for name, network in zip("gst", networks, strict=True):
        for attention in layers_of(network, SelfAttention):
            call = attention.call
            attention.call = lambda x, mode, name=name, call=call: sides.setdefault(name, x.shape[1]) and call(x, mode=mode)
    video, label, seeds = clips(built.config, 2)
    built.generator(built.latents(seeds), label, mode="train")
    built.discriminator(video, label, seeds, mode="train")
    asked = {"g": built.config.g_attention, "s": built.config.d_attention, "t": built.config.d_attention}
    assert sides == {name: asked[name] for name, width in zip("gst", widths, strict=True) if width}


def test_generated_clips_have_the_labels_of_the_real_ones_or_drawn_ones(monkeypatch):
    label, seeds = tf.fill([1200], 3), tf.stack([tf.ones([1200], tf.int32), tf.range(1200)], 1)
    of_data, drawn = (models.build(small("dvdgan", fake_labels=law)) for law in ("data", "drawn"))
    np.testing.assert_array_equal(of_data.inputs({"label": label, "seed": seeds})[1], label)
    batch = {"label": label, "seed": seeds}
    np.testing.assert_array_equal(drawn.inputs(batch)[0], of_data.inputs(batch)[0])  # the latents are the same
    labels = drawn.inputs(batch)[1]
    assert labels.dtype == tf.int32
    np.testing.assert_allclose(np.bincount(labels, minlength=12) / 1200, np.full(12, 1 / 12), atol=0.03)
    other = drawn.inputs({"label": label, "seed": noise.fork(seeds, gan_module.GENERATOR_STEP)})[1]
    assert np.mean(np.equal(labels, other)) < 0.2  # G's step draws anew

    seen = []
    for network in (drawn.generator, drawn.discriminator):

        def call(x, label, *rest, mode, real=network.call):
            seen.append(label.numpy())
            return real(x, label, *rest, mode=mode)

        monkeypatch.setattr(network, "call", call)
    video, label, seeds = clips(drawn.config, 4)
    batch = {"video": video, "label": label, "seed": seeds}
    expected = drawn.inputs(batch)[1].numpy()
    assert not np.array_equal(expected, label)
    drawn.discriminator_loss(batch)
    drawn.generator_loss(batch)
    for got, wanted in zip(seen, [expected, np.concatenate([label, expected]), expected, expected], strict=True):
        np.testing.assert_array_equal(got, wanted)  # G, then D of real and fake; G, then D of fake


def test_streams_of_an_examples_seed_are_different():
    uses = [gan_module.LATENT, gan_module.REAL_FRAMES, gan_module.FAKE_FRAMES, dvdgan.DRAWN_LABELS]
    streams = uses + [use + gan_module.GENERATOR_STEP for use in uses]
    assert len(set(streams)) == len(streams) and max(streams) < 1000  # from 1000 on they are the data's

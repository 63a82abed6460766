"""TGAN against its paper."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tests.reference import batch_norm, clips, conv, count, deconv, leaky, relu, scrambled, seeds_of
from tfvideogan import gan as gan_module
from tfvideogan import losses, models
from tfvideogan.config import UserError
from tfvideogan.gan import layers_of
from tfvideogan.generation.sampler import Sampler
from tfvideogan.layers.conv import Conv
from tfvideogan.models import tgan
from tfvideogan.ops import noise
from tfvideogan.training.optimizers import RMSProp, make_optimizers
from tfvideogan.training.step import make_step

EPSILON = 2e-5


def batch_of(config: tgan.Config, n: int) -> dict[str, tf.Tensor]:
    return {"video": clips(config.frames, config.size, n), "label": tf.range(n) % max(config.classes, 1), "seed": seeds_of(n)}


def built(**changes) -> tgan.Model:
    return scrambled(small("tgan", **changes))


# Table 1


def test_the_paper_is_the_default():
    config = tgan.Config()
    assert (config.frames, config.size, config.channels, config.latent, config.batch_size, config.d_steps) == (16, 64, 64, 100, 32, 1)
    assert (config.optimizer, config.rmsprop_decay, config.rmsprop_epsilon) == ("rmsprop", 0.99, 1e-8)
    assert (config.g_learning_rate, config.d_learning_rate, config.steps, config.ema_decay) == (5e-5, 5e-5, 100_000, 0.0)
    assert (config.loss, config.clip_every_steps, config.initializer, config.conditional) == ("wgan_svc", 5, "he", False)


def test_parameter_counts_are_those_of_the_table():
    # G0: kernels and biases, gains of BN. Lengths 1, 2, 4, 8, 16.
    g0 = (100 * 512 + 512) + (4 * 512 * 256 + 256) + (4 * 256 * 128 + 128) + (4 * 128 * 128 + 128) + (4 * 128 * 100 + 100)
    g0 += 512 + 256 + 128 + 128
    # G1: two maps to 256x4x4 with BN over all 4096 elements, 512 -> 256 -> 128 -> 64 -> 32 -> 3.
    g1 = 2 * 100 * 4096 + 2 * 2 * 4096 + 16 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 32) + 2 * (256 + 128 + 64 + 32) + 9 * 32 * 3 + 3
    d = 64 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + (64 + 128 + 256 + 512) + (128 + 256 + 512) + 16 * 512 + 1
    assert (g0, g1, d) == (825_444, 3_622_691, 11_032_385)
    with tf.Graph().as_default():
        gan = models.build(tgan.Config(classes=101))
        assert (count(gan.generator.temporal), count(gan.generator.image), count(gan.discriminator)) == (g0, g1, d)
        gan = models.build(tgan.Config(classes=101, conditional=True))
        assert count(gan.generator.temporal) == g0 + 101 * 512  # the label beside z0
        assert count(gan.generator.image) == g1 + 101 * 4096 + 2 * 4096 + 16 * 256 * 256  # a third map
        assert count(gan.discriminator) == d + 64 * 101 * 64  # 101 channels beside the colors


def reference_generator(network: tgan.Generator, z: tf.Tensor, v: tf.Tensor | None, training: bool) -> tf.Tensor:
    """Table 1, frame by frame."""
    g0, g1 = network.temporal, network.image
    x = (z if v is None else tf.concat([z, v], 1))[:, None]
    for i, norm in enumerate(g0.norms):
        x = relu(batch_norm(deconv(x, g0.convolutions[i], *((1, 0) if i == 0 else (2, 1))), norm, EPSILON, training))
    z1 = tf.tanh(deconv(x, g0.convolutions[-1], 2, 1))
    frames = z1.shape[1]
    maps = []
    for source, linear, norm in zip([z, z1, v], g1.linears, g1.linear_norms, strict=False):
        rows = tf.reshape(source if len(source.shape) == 3 else tf.stack([source] * frames, 1), [-1, source.shape[-1]])  # [N*T,C]
        flat = relu(batch_norm(tf.matmul(rows, tf.cast(linear.kernel.value[0], z.dtype)), norm, EPSILON, training))
        maps.append(tf.reshape(flat, [-1, 4, 4, flat.shape[1] // 16]))
    x = tf.concat(maps, -1)
    for convolution, norm in zip(g1.convolutions, g1.norms, strict=True):
        x = relu(batch_norm(deconv(x, convolution, 2, 1), norm, EPSILON, training))
    return tf.reshape(tf.tanh(deconv(x, g1.to_rgb, 1, 1)), [z.shape[0], frames, *x.shape[1:3], 3])


def reference_discriminator(network: tgan.Discriminator, video: tf.Tensor, v: tf.Tensor | None, training: bool, added: float = 0.0):
    x = video
    if v is not None:
        x = tf.concat([x, tf.ones([*x.shape[:4], 1], x.dtype) * v[:, None, None, None]], -1)
    for convolution, norm in zip(network.convolutions, network.norms, strict=True):
        x = conv(x, convolution, 2, 1)
        x = leaky(added + (x if norm is None else batch_norm(x, norm, EPSILON, training)))
    return tf.reduce_sum(tf.stack([conv(x[:, t], network.score, 1, 0) for t in range(x.shape[1])]), [0, 2, 3, 4])


@pytest.mark.parametrize("changes", [{"size": 64, "frames": 16}, {"size": 64, "frames": 16, "conditional": True}, {"frames": 16}])
@pytest.mark.parametrize("training", [True, False])
def test_networks_compute_the_table(changes, training):
    gan = built(**changes, channels=4, classes=3)
    mode = "train" if training else "sample"
    batch = batch_of(gan.config, 6)
    z, v = gan.latents(batch["seed"]), tf.one_hot(batch["label"], 3, dtype=tf.float64) if gan.config.conditional else None
    video = gan.generator(**gan.inputs(batch), mode=mode)
    np.testing.assert_allclose(video, reference_generator(gan.generator, tf.cast(z, tf.float64), v, training), atol=1e-5)
    score = gan.discriminator(batch["video"], batch["label"], batch["seed"], mode=mode)
    expected = reference_discriminator(gan.discriminator, tf.cast(batch["video"], tf.float64), v, training)
    np.testing.assert_allclose(score, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(video) > 0.2 and np.ptp(score) > 0.05  # numbers that could differ


def test_widths_are_those_of_the_table():
    gan = models.build(small("tgan", size=64, frames=16, channels=64, latent=100))
    assert [layer.kernel.shape[-2:] for layer in gan.generator.temporal.convolutions] == [
        (512, 100), (256, 512), (128, 256), (128, 128), (100, 128)]  # fmt: skip
    assert [layer.kernel.shape for layer in gan.generator.image.convolutions] == [
        (4, 4, 256, 512), (4, 4, 128, 256), (4, 4, 64, 128), (4, 4, 32, 64)]  # fmt: skip
    assert [layer.kernel.shape[-2:] for layer in gan.discriminator.convolutions] == [(3, 64), (64, 128), (128, 256), (256, 512)]


def test_z0_is_uniform():
    z = models.build(small("tgan")).latents(seeds_of(2000)).numpy()
    assert z.min() >= -1 and z.max() <= 1 and z.min() < -0.99 and z.max() > 0.99
    assert abs(z.mean()) < 0.02 and z.var() == pytest.approx(1 / 3, rel=0.03)


@pytest.mark.parametrize("initializer, variance", [("he", 2.0), ("lecun", 1.0), ("uniform", None)])
def test_first_weights(initializer, variance):
    gan = models.build(small("tgan", channels=32, latent=64, initializer=initializer))
    for kernel, fan_in in (
        (gan.generator.temporal.convolutions[1].kernel, 4 * 128),  # a transposed convolution's, as Chainer counts it: its outputs
        (gan.discriminator.convolutions[1].kernel, 64 * 32),
    ):
        assert kernel.numpy().var() == pytest.approx(variance / fan_in if variance else 0.02**2 / 12, rel=0.05)
    for layer in (gan.generator.image.convolutions[0], gan.generator.image.linears[0]):
        assert np.abs(layer.kernel).max() <= 0.01 and layer.kernel.numpy().var() == pytest.approx(0.02**2 / 12, rel=0.05)
    first, second = gan.generator.image.linears  # of one shape: the same law, not the same numbers
    assert not np.array_equal(first.kernel, second.kernel)


# Losses


def test_losses():
    real, fake = tf.constant([3.0, 1.0]), tf.constant([0.5, -0.5])
    assert float(losses.wasserstein_discriminator(real, fake)) == -2.0 and float(losses.wasserstein_generator(real)) == -2.0
    zero = tf.zeros([4])
    assert float(losses.logistic_discriminator(zero, zero)) == pytest.approx(2 * np.log(2))
    assert float(losses.logistic_discriminator(tf.constant([50.0]), tf.constant([-50.0]))) == pytest.approx(0)
    assert float(losses.logistic_generator(tf.constant([-50.0]))) == pytest.approx(50) and float(losses.logistic_generator(zero)) > 0.69


@pytest.mark.parametrize("loss", ["wgan_svc", "vanilla"])
def test_the_players_losses_are_those_of_the_scores(loss, monkeypatch):
    gan = built(loss=loss)
    monkeypatch.setattr(noise, "added", lambda x, seeds, deviation: x)
    batch = batch_of(gan.config, 3)
    fake = gan.generator(**gan.inputs(batch), mode="train")
    real_score, fake_score = (reference_discriminator(gan.discriminator, video, None, True).numpy() for video in (batch["video"], fake))
    d, g = (sum(float(term) for term in player(batch)[0].values()) for player in (gan.discriminator_loss, gan.generator_loss))
    if loss == "vanilla":
        sigmoid = [1 / (1 + np.exp(-score)) for score in (real_score, fake_score)]
        assert d == pytest.approx(-np.log(sigmoid[0]).mean() - np.log(1 - sigmoid[1]).mean(), rel=1e-4)
        assert g == pytest.approx(-np.log(sigmoid[1]).mean(), rel=1e-4)
    else:
        assert d == pytest.approx(fake_score.mean() - real_score.mean(), rel=1e-4) and g == pytest.approx(-fake_score.mean(), rel=1e-4)


def test_noise_of_the_vanilla_gan(monkeypatch):
    gan = built(loss="vanilla")
    batch, keys = batch_of(gan.config, 2), []
    call = (batch["video"], batch["label"], batch["seed"])
    noisy = gan.discriminator(*call, mode="train").numpy()
    assert not np.allclose(noisy, gan.discriminator(batch["video"], batch["label"], batch["seed"] + 1, mode="train"), atol=1e-4)
    np.testing.assert_allclose(
        gan.discriminator(*call, mode="sample"),
        reference_discriminator(gan.discriminator, batch["video"], None, False),
        rtol=1e-4,
        atol=1e-5,
    )  # none when it does not train
    monkeypatch.setattr(noise, "added", lambda x, seeds, deviation: keys.append(seeds.numpy().tobytes()) or x + deviation)
    expected = reference_discriminator(gan.discriminator, batch["video"], None, True, added=0.3)  # before each LeakyReLU
    np.testing.assert_allclose(gan.discriminator(*call, mode="train"), expected, rtol=1e-4, atol=1e-5)
    gan.discriminator_loss(batch)
    gan.generator_loss({**batch, "seed": noise.fork(batch["seed"], gan_module.GENERATOR_STEP)})
    assert len(keys) == len(set(keys)) == 4 * 3  # three layers; every pass draws anew


# Clipping


def spectrum(kernel) -> np.ndarray:
    return np.linalg.svd(np.reshape(kernel, [-1, kernel.shape[-1]]).astype(np.float64), compute_uv=False)


def step_of(gan):
    count = tf.Variable(0, dtype=tf.int64, trainable=False)
    optimizers = make_optimizers(gan, count)
    return make_step(gan, optimizers, count, tf.distribute.get_strategy())


def test_singular_values_are_clipped_every_fifth_step_and_then_only_those_above_one():
    gan = built(d_learning_rate=1e-3, g_learning_rate=1e-3, clip_every_steps=5)
    step, batch = step_of(gan), batch_of(gan.config, 4)
    kernels = [layer.kernel for layer in layers_of(gan.discriminator, Conv)]
    assert len(kernels) == 4
    for number in range(1, 11):
        step([batch])
        largest = max(spectrum(kernel)[0] for kernel in kernels)
        if number % 5 == 0:
            assert largest <= 1 + 1e-4
            for norm in gan.discriminator.norms[1:]:
                sigma = np.sqrt(norm.variance + EPSILON)
                # the G step has moved the variance since: by a tenth at most towards the new one
                assert np.all(norm.gain <= 1.2 * sigma) and np.all(norm.gain > 0)
        else:
            assert largest > 1.001


def test_gains_are_clipped_into_the_deviation():
    gan = built(d_learning_rate=0.0, g_learning_rate=0.0, clip_every_steps=1)
    norm = gan.discriminator.norms[1]
    norm.gain.assign([-3.0, 1e-6, 0.5, 9.0])
    norm.variance.assign([4.0, 4.0, 4.0, 4.0])
    seen = {}
    for weight, constraint, reads in gan.discriminator_constraints(tf.constant(1, tf.int64)):
        seen[weight.ref()] = constraint(weight, *reads)
    sigma = np.sqrt(4.0 + EPSILON)
    np.testing.assert_allclose(seen[norm.gain.value.ref()], [0.01 * sigma, 0.01 * sigma, 0.5, sigma], rtol=1e-6)
    assert len(seen) == 4 + 2  # every kernel and gain, no bias


def test_moving_variance_follows_the_passes_in_training():
    gan = built()
    batch = batch_of(gan.config, 3)
    x = leaky(conv(batch["video"], gan.discriminator.convolutions[0], 2, 1))
    variance = np.var(conv(x, gan.discriminator.convolutions[1], 2, 1), axis=(0, 1, 2, 3))
    gan.discriminator(batch["video"], batch["label"], batch["seed"], mode="sample")
    np.testing.assert_array_equal(gan.discriminator.norms[1].variance, np.ones(4))
    gan.discriminator(batch["video"], batch["label"], batch["seed"], mode="train")
    np.testing.assert_allclose(gan.discriminator.norms[1].variance, 0.9 + 0.1 * variance, rtol=1e-4)


def test_weight_clipping():
    gan = built(loss="wgan_clip", d_learning_rate=1e-3)
    before = [weight.numpy() for weight in gan.generator.trainable_variables]
    step_of(gan)([batch_of(gan.config, 4)])
    largest = [float(np.abs(weight).max()) for weight in gan.discriminator.trainable_variables]
    assert max(largest) <= np.float32(0.01) and min(largest) > 0  # gains and biases too
    assert max(np.abs(weight).max() for weight in before) > 0.1  # and G is left alone
    assert max(np.abs(weight).max() for weight in gan.generator.trainable_variables) > 0.1


def test_the_vanilla_gan_is_not_clipped():
    assert not list(built(loss="vanilla").discriminator_constraints(tf.constant(5, tf.int64)))


# The step


def test_rmsprop_adds_epsilon_to_the_root():
    weight = tf.keras.Variable([1.0, 1.0, 1.0])
    optimizer = RMSProp([0.1], lambda: tf.constant(1.0), 0.99, 1e-8)
    optimizer.build([weight])
    square, expected = np.zeros(3), np.ones(3)
    for gradient in ([1.0, 1e-6, 0.0], [-2.0, 1e-6, 0.0]):
        optimizer.apply([tf.constant(gradient)], [weight])
        square = 0.99 * square + 0.01 * np.square(gradient)
        expected = expected - 0.1 * np.array(gradient) / (np.sqrt(square) + 1e-8)
        np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-6)
    assert weight.numpy()[1] < 0.2  # small gradients count: under the root, 1e-8 would have left it at 0.998


def test_one_step_by_hand():
    # epsilon 0.1: biases before BN have no gradient but rounding, which 1e-8 would blow up to whole steps.
    gan = built(rmsprop_epsilon=0.1, d_learning_rate=2.0, g_learning_rate=1.0, clip_every_steps=1, channels=4)
    batch = batch_of(gan.config, 6)
    twin = models.build(gan.config)
    for ours, theirs in zip(twin.variables, gan.variables, strict=True):
        ours.assign(theirs)
    before = {network: [weight.numpy() for weight in network.trainable_variables] for network in (gan.discriminator, gan.generator)}
    step_of(gan)([batch])

    def rmsprop(weights, gradients, learning_rate):
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.assign_sub(learning_rate * gradient / (np.sqrt(0.01 * np.square(gradient)) + 0.1))

    d, g = ([v.value for v in network.trainable_variables] for network in (twin.discriminator, twin.generator))

    def latents(seeds):
        return tf.cast(twin.latents(seeds), tf.float64)

    videos = [tf.cast(batch["video"], tf.float64), reference_generator(twin.generator, latents(batch["seed"]), None, True)]
    variances = moments_of_bn(twin.discriminator, videos)
    with tf.GradientTape() as tape:
        scores = [reference_discriminator(twin.discriminator, video, None, True) for video in videos]
        loss = tf.reduce_mean(scores[1]) - tf.reduce_mean(scores[0])
    rmsprop(d, tape.gradient(loss, d), 2.0)
    clipped = 0
    for layer in [*twin.discriminator.convolutions, twin.discriminator.score]:
        u, s, v = np.linalg.svd(np.reshape(layer.kernel, [-1, layer.kernel.shape[-1]]).astype(np.float64).T, full_matrices=False)
        clipped += np.sum(s > 1)
        layer.kernel.assign(((u * np.minimum(s, 1)) @ v).T.reshape(layer.kernel.shape))
    assert clipped > 4
    for norm, (real, made) in zip(twin.discriminator.norms[1:], variances, strict=True):
        sigma = np.sqrt(0.9 * (0.9 * 1 + 0.1 * real) + 0.1 * made + EPSILON)
        norm.gain.assign(np.clip(norm.gain, 0.01 * sigma, sigma))
    seeds = noise.fork(batch["seed"], gan_module.GENERATOR_STEP)
    with tf.GradientTape() as tape:
        video = reference_generator(twin.generator, latents(seeds), None, True)
        loss = -tf.reduce_mean(reference_discriminator(twin.discriminator, video, None, True))
    rmsprop(g, tape.gradient(loss, g), 1.0)
    for network, other in ((gan.discriminator, twin.discriminator), (gan.generator, twin.generator)):
        for ours, theirs in zip(network.trainable_variables, other.trainable_variables, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4, err_msg=ours.path)
    for network, first in before.items():
        moved = [np.abs(weight.numpy() - old).max() for weight, old in zip(network.trainable_variables, first, strict=True)]
        assert np.mean(np.array(moved) > 0.01) > 0.6  # by far more than the tolerance


def moments_of_bn(network: tgan.Discriminator, videos: list[tf.Tensor]) -> list[list[np.ndarray]]:
    """Variances before each BN, of each of the videos."""
    found = [[] for _ in network.norms[1:]]
    for x in videos:
        for number, (convolution, norm) in enumerate(zip(network.convolutions, network.norms, strict=True)):
            x = conv(x, convolution, 2, 1)
            if norm is not None:
                found[number - 1].append(np.var(x, axis=(0, 1, 2, 3)))
                x = batch_norm(x, norm, EPSILON, True)
            x = leaky(x)
    return found


# Sampling


def test_interpolated_latents_lie_on_the_line():
    z = tf.constant([[[0.0], [1.0], [3.0]]])
    np.testing.assert_allclose(tgan.interpolate(z, 2)[0, :, 0], [0, 0.5, 1, 2, 3])
    np.testing.assert_allclose(tgan.interpolate(z, 4)[0, :, 0], [0, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3])


def test_interpolated_frames_are_the_image_generators():
    gan = built()
    z = gan.latents(seeds_of(2))
    video = gan.interpolate(gan.generator, {"z": z}, 2)
    z1 = gan.generator.temporal(z, mode="sample")
    middle = gan.generator.image([z[:, None], (z1[:, 2:3] + z1[:, 3:4]) / 2], mode="sample")
    assert video.shape == (2, 15, 32, 32, 3)
    np.testing.assert_allclose(video[:, 5], middle[:, 0], atol=1e-5)


def test_the_conditional_gan_hears_the_label_and_the_other_does_not():
    for conditional in (False, True):
        gan = built(conditional=conditional, classes=3)
        seeds, video = seeds_of(2), clips(8, 32, 2)
        clip = [
            gan.generator(**gan.inputs({"seed": seeds, "label": tf.constant(label)}), mode="sample").numpy() for label in ([0, 1], [0, 2])
        ]
        score = [gan.discriminator(video, tf.constant(label), seeds, mode="sample").numpy() for label in ([0, 1], [0, 2])]
        for one, other in (clip, score):
            np.testing.assert_allclose(one[0], other[0], atol=1e-5)
            assert np.allclose(one[1], other[1], atol=1e-3) != conditional


def test_samples_are_of_the_weights_themselves():
    gan = models.build(small("tgan", ema_start_step=0))
    gan = models.build(dataclasses.replace(gan.config, ema_decay=tgan.Config().ema_decay))
    step_of(gan)([batch_of(gan.config, 4)])
    z = gan.latents(seeds_of(1))
    assert all(np.array_equal(a, b) for a, b in zip(gan.ema_generator.variables, gan.generator.variables, strict=True))
    assert Sampler(gan).calibrate().generate(z).shape == (1, 8, 32, 32, 3)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"size": 48}, r"--size=48: expected 32 or 64 for --model=tgan"),
        ({"frames": 12}, r"--frames=12: expected one of 8, 16, 32, 64, 128 at --size=32"),
        ({"frames": 8, "size": 64}, r"--frames=8: expected one of 16, 32, 64, 128 at --size=64"),
        ({"channels": 3}, r"--channels=3: expected an even number"),
        ({"loss": "hinge"}, r"--loss=hinge: expected one of wgan_svc, wgan_clip, vanilla"),
        ({"initializer": "zeros"}, r"--initializer=zeros: expected one of he, lecun, uniform"),
        ({"clip_every_steps": 0}, r"--clip_every_steps=0: expected at least 1"),
        ({"latent": -1}, r"--latent=-1: expected at least 1"),
        ({"optimizer": "sgd"}, r"--optimizer=sgd: expected one of adam, rmsprop"),
    ],
)
def test_config_refuses_what_cannot_be_built(changes, message):
    with pytest.raises(UserError, match=message):
        small("tgan", **changes)

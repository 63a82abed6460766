"""VGAN against its paper and its authors' tables."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tests.reference import AdamByHand, batch_norm, clips, conv, count, deconv, leaky, relu, scrambled, seeds_of
from tfvideogan import gan as gan_module
from tfvideogan import models
from tfvideogan.config import UserError
from tfvideogan.generation.sampler import Sampler
from tfvideogan.models import vgan
from tfvideogan.ops import noise
from tfvideogan.ops.video import to_unit
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.step import make_step


def batch_of(config: vgan.Config, n: int) -> dict[str, tf.Tensor]:
    return {"video": clips(config.frames, config.size, n), "label": tf.zeros([n], tf.int32), "seed": seeds_of(n)}


def built(**changes) -> vgan.Model:
    return scrambled(small("vgan", **changes))


# The tables


def test_the_paper_is_the_default():
    config = vgan.Config()
    assert (config.frames, config.size, config.channels, config.latent, config.batch_size) == (32, 64, 64, 100, 64)
    assert (config.optimizer, config.g_learning_rate, config.d_learning_rate, config.d_steps) == ("adam", 2e-4, 2e-4, 1)
    assert (config.beta_1, config.beta_2, config.adam_epsilon, config.ema_decay) == (0.5, 0.999, 1e-8, 0.0)
    assert (config.streams, config.conditional, config.mask_penalty, config.first_frame_weight) == (2, False, 0.1, 10.0)


def layer(inputs: int, outputs: int, kernel: int, norm: bool = True) -> int:
    """Kernel and bias, and BN's gain and bias."""
    return kernel * inputs * outputs + outputs + 2 * outputs * norm


def test_parameter_counts_are_those_of_the_tables():
    chain = ((512, 256), (256, 128), (128, 64))
    foreground = layer(100, 512, 32) + sum(layer(i, o, 64) for i, o in chain) + layer(64, 3, 64, norm=False)
    background = layer(100, 512, 16) + sum(layer(i, o, 16) for i, o in chain) + layer(64, 3, 16, norm=False)
    mask = layer(64, 1, 64, norm=False)
    d = layer(3, 64, 64, norm=False) + sum(layer(i, o, 64) for o, i in chain) + layer(512, 2, 32, norm=False)
    assert (foreground, foreground + mask + background, background, d) == (12_663_619, 16_245_383, 3_577_667, 11_057_858)
    chain = ((1024, 512), (512, 256), (256, 128))
    encoder = layer(3, 128, 16, norm=False) + sum(layer(i, o, 16) for o, i in chain)
    conditional = encoder + sum(layer(i, o, 16) for i, o in chain) + layer(128, 3, 16, norm=False)
    conditional += layer(1024, 1024, 2) + sum(layer(i, o, 64) for i, o in chain) + layer(128, 3, 64, norm=False)
    conditional += layer(128, 1, 64, norm=False)
    conditional_d = layer(3, 128, 64, norm=False) + sum(layer(i, o, 64) for o, i in chain) + layer(1024, 2, 32, norm=False)
    assert (conditional, conditional_d) == (68_216_455, 44_135_810)
    with tf.Graph().as_default():  # nothing allocated
        gan = models.build(vgan.Config())
        assert (count(gan.generator), count(gan.discriminator)) == (foreground + mask + background, d)
        assert count(gan.generator.background) == background
        assert count(models.build(vgan.Config(streams=1)).generator) == foreground
        gan = models.build(vgan.Config(conditional=True, channels=128))
        assert (count(gan.generator), count(gan.discriminator)) == (conditional, conditional_d)


def test_first_weights():
    gan = models.build(small("vgan", channels=32, latent=32))
    kernel, norm = gan.generator.foreground.convolutions[1].kernel.numpy(), gan.generator.foreground.norms[0]
    assert kernel.std() == pytest.approx(0.01, rel=0.02) and abs(kernel.mean()) < 1e-4
    assert norm.gain.numpy().mean() == pytest.approx(1, abs=0.01) and norm.gain.numpy().std() == pytest.approx(0.02, rel=0.3)
    assert not np.any(norm.bias) and not np.any(gan.discriminator.logits.bias)
    first, second = gan.generator.foreground.norms[1], gan.generator.background.norms[1]
    assert not np.array_equal(first.gain, second.gain)  # of one shape: the same law, not the same numbers


def reference_up(stream: vgan.Stream, x: tf.Tensor, first: tuple[int, int] | None, training: bool) -> list[tf.Tensor]:
    for number, (convolution, norm) in enumerate(zip(stream.convolutions, stream.norms, strict=True)):
        k = (1, 0) if first and number == 0 else (2, 1)
        x = relu(batch_norm(deconv(x, convolution, *k), norm, 1e-5, training))
    return [deconv(x, head, 2, 1) for head in stream.heads]


def reference_down(body: vgan.Down, x: tf.Tensor, slope, training: bool) -> tf.Tensor:
    for convolution, norm in zip(body.convolutions, body.norms, strict=True):
        x = conv(x, convolution, 2, 1)
        x = slope(x if norm is None else batch_norm(x, norm, 1e-3, training))
    return x


def reference_generator(network: vgan.Generator, z: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor | None]:
    if network.encoder is not None:
        side = int((z.shape[1] // 3) ** 0.5)
        x, first = reference_down(network.encoder, tf.reshape(z, [-1, side, side, 3]), relu, training), None
    else:
        x, first = tf.reshape(z, [-1, 1, 1, z.shape[1]]), (1, 0)
    foreground, *mask = reference_up(network.foreground, x[:, None], (1, 0), training)
    if not mask:
        return tf.tanh(foreground), None
    m = 1 / (1 + tf.exp(-mask[0]))
    (background,) = reference_up(network.background, x, first, training)
    still = tf.stack([tf.tanh(background)] * foreground.shape[1], 1)
    return m * tf.tanh(foreground) + (1 - m) * still, m


@pytest.mark.parametrize(
    "changes",
    [{"size": 64, "frames": 32}, {"size": 64, "frames": 32, "streams": 1}, {"size": 64, "frames": 32, "conditional": True}, {"frames": 8}],
)
@pytest.mark.parametrize("training", [True, False])
def test_networks_compute_the_tables(changes, training):
    gan = built(**changes, channels=4)
    mode = "train" if training else "sample"
    batch = batch_of(gan.config, 4)
    inputs, video = gan.inputs(batch), tf.cast(batch["video"], tf.float64)
    read = next(iter(inputs.values()))
    expected, expected_mask = reference_generator(gan.generator, tf.cast(tf.reshape(read, [4, -1]), tf.float64), training)
    clip, mask = gan.generator.with_mask(mode, **inputs)
    np.testing.assert_allclose(clip, expected, atol=1e-5)
    np.testing.assert_array_equal(gan.generator(**inputs, mode=mode), clip)
    np.testing.assert_allclose(mask, np.ones(mask.shape) if expected_mask is None else expected_mask, atol=1e-5)
    logits = gan.discriminator(batch["video"], mode=mode)
    expected = conv(reference_down(gan.discriminator.body, video, leaky, training), gan.discriminator.logits, 1, 0)
    np.testing.assert_allclose(logits, tf.reshape(expected, [4, 2]), rtol=1e-5, atol=1e-5)
    assert np.ptp(clip) > 0.2 and np.ptp(logits) > 0.05  # numbers that could differ


def test_background_is_still_where_the_mask_is_shut_and_the_foreground_moves_where_it_is_open():
    gan = built()
    z = gan.latents(seeds_of(2))
    head = gan.generator.foreground.heads[1]
    head.kernel.assign(tf.zeros_like(head.kernel))
    for bias, still in ((-30.0, True), (30.0, False)):
        head.bias.assign([bias])
        video, mask = gan.generator.with_mask("sample", z=z)
        assert np.allclose(mask, 0.0 if still else 1.0) and np.allclose(video, video[:, :1], atol=1e-6) == still
        assert np.ptp(video[0, 0]) > 0.03  # a picture


# Losses


def test_losses_are_the_cross_entropies_the_mask_and_the_first_frame():
    for changes in ({}, {"streams": 1}, {"conditional": True}):
        gan = built(**changes)
        batch = batch_of(gan.config, 4)
        clip, mask = gan.generator.with_mask("train", **gan.inputs(batch))

        def log_softmax(video, gan=gan):
            logits = gan.discriminator(video, mode="train").numpy().astype(np.float64)
            return logits - np.log(np.exp(logits).sum(1, keepdims=True))

        real, fake = log_softmax(batch["video"]), log_softmax(clip)
        terms, _ = gan.discriminator_loss(batch)
        assert float(terms["d_real"]) == pytest.approx(-real[:, 0].mean(), rel=1e-4)
        assert float(terms["d_fake"]) == pytest.approx(-fake[:, 1].mean(), rel=1e-4)
        terms, _ = gan.generator_loss(batch)
        assert float(terms.pop("g_loss")) == pytest.approx(-fake[:, 0].mean(), rel=1e-4)
        if "conditional" in changes:
            distance = np.abs(clip[:, 0] - batch["video"][:, 0]).mean()
            assert float(terms.pop("g_first_frame")) == pytest.approx(10 * distance, rel=1e-4)
        elif not changes:
            assert float(terms.pop("g_mask")) == pytest.approx(0.1 * np.mean(mask), rel=1e-4)
        assert not terms


# The step


@pytest.mark.parametrize("changes", [{}, {"streams": 1}, {"conditional": True}], ids=["two", "one", "conditional"])
def test_a_step_is_the_one_computed_by_hand(changes):
    # An epsilon of the gradients' size, so that the update tells the size of a gradient and not its sign alone.
    changes = dict(adam_epsilon=0.1, beta_2=0.9, d_learning_rate=0.05, g_learning_rate=0.05, channels=4) | changes
    gan, twin = built(**changes, mask_penalty=3.0), built(**changes)
    config, batch = gan.config, batch_of(gan.config, 4)
    count = tf.Variable(0, dtype=tf.int64, trainable=False)
    optimizers = make_optimizers(gan, count)
    step = make_step(gan, optimizers, count, tf.distribute.get_strategy(), flat=True)
    before = {network: [weight.numpy() for weight in network.trainable_variables] for network in (gan.discriminator, gan.generator)}
    scalars = step([batch])

    def fakes(batch: dict) -> tuple[tf.Tensor, tf.Tensor | None]:
        (read,) = twin.inputs(batch).values()
        return reference_generator(twin.generator, tf.cast(tf.reshape(read, [4, -1]), tf.float64), True)

    def mean_log(video: tf.Tensor, kind: int) -> tf.Tensor:
        """Of the probability of a class: 0 is real, 1 is generated."""
        logits = conv(reference_down(twin.discriminator.body, video, leaky, True), twin.discriminator.logits, 1, 0)
        p = tf.exp(tf.reshape(logits, [-1, 2]))
        return tf.reduce_mean(tf.math.log(p[:, kind] / (p[:, 0] + p[:, 1])))

    def update(network, rate: float, loss: tf.Tensor, tape: tf.GradientTape) -> None:
        weights = [weight.value for weight in network.trainable_variables]
        AdamByHand(network, config, rate).apply(tape.gradient(loss, weights))

    real = tf.cast(batch["video"], tf.float64)
    fake, _ = fakes(batch)
    with tf.GradientTape() as tape:
        d_loss = -mean_log(real, 0) - mean_log(fake, 1)  # each normalized by its own moments
    update(twin.discriminator, 0.05, d_loss, tape)
    batch = {**batch, "seed": noise.fork(batch["seed"], gan_module.GENERATOR_STEP)}
    with tf.GradientTape() as tape:
        fake, mask = fakes(batch)
        terms = {"g_loss": -mean_log(fake, 0)}  # of the D after its update
        if config.conditional:
            terms["g_first_frame"] = 10 * tf.reduce_mean(tf.abs(fake[:, 0] - real[:, 0]))
        elif config.streams == 2:
            terms["g_mask"] = 3 * tf.reduce_mean(mask)
        g_loss = tf.add_n(list(terms.values()))
    update(twin.generator, 0.05, g_loss, tape)

    assert float(scalars["d_real"]) + float(scalars["d_fake"]) == pytest.approx(float(d_loss), rel=1e-4)
    assert {name for name in scalars if name in ("g_loss", "g_mask", "g_first_frame")} == set(terms)
    for name, term in terms.items():
        assert float(scalars[name]) == pytest.approx(float(term), rel=1e-4)
    for network, expected in ((gan.discriminator, twin.discriminator), (gan.generator, twin.generator)):
        moved = []
        for ours, theirs, first in zip(network.trainable_variables, expected.trainable_variables, before[network], strict=True):
            moved.append(np.abs(theirs.numpy() - first).max())
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=0.03 * moved[-1] + 1e-5, err_msg=ours.path)
        assert np.mean(np.array(moved) > 1e-3) > 0.5  # by far more than the tolerance


# The conditional model


def test_the_conditional_model_reads_first_frames_and_keeps_none():
    gan = models.build(small("vgan", conditional=True))
    assert list(gan.input_specs) == ["first_frames"] and gan.input_specs["first_frames"].shape == [None, 1, 32, 32, 3]
    assert sum(int(tf.size(v)) for v in gan.generator.variables) == sum(int(tf.size(v)) for v in gan.generator.trainable_variables)
    given = [batch_of(gan.config, 4)] * gan.config.standing_batches
    sampler = Sampler(gan).calibrate(given)
    frames = to_unit(given[0]["video"][:2, :1])
    video, ahead = sampler.generate(frames), sampler.predict(frames, tf.constant([0, 0]), tf.constant(0.5))
    assert video.shape == (2, gan.config.frames, 32, 32, 3) and not np.allclose(*video)
    np.testing.assert_array_equal(ahead, video[:, 1:])  # a given frame is never truncated
    inside = gan.ema_generator(first_frames=given[0]["video"][:2, :1], mode="sample")
    np.testing.assert_allclose(video, to_unit(inside), atol=1e-5)  # [0,1] at the door is [-1,1] inside
    with pytest.raises(UserError, match="got no data set"):
        Sampler(gan).calibrate()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"size": 48}, r"--size=48: expected 32 or 64 for --model=vgan"),
        ({"frames": 12}, r"--frames=12: expected a multiple of 8 at --size=32"),
        ({"streams": 3}, r"--streams=3: expected 1 or 2"),
        ({"latent": -1}, r"--latent=-1: expected at least 1"),
        ({"streams": 1, "conditional": True}, r"--streams=1: expected 2 with --conditional"),
    ],
)
def test_config_refuses_what_cannot_be_built(changes, message):
    with pytest.raises(UserError, match=message):
        small("vgan", **changes)

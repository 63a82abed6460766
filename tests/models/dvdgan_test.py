"""DVD-GAN against its paper."""

import dataclasses
import functools
import math

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tests.models import dvdgan_reference as reference
from tests.models.dvdgan_reference import D_ATTENTION, G_ATTENTION, Pass
from tests.reference import AdamByHand, clips, count, scramble, scrambled, seeds_of
from tfvideogan import gan as gan_module
from tfvideogan import losses, models
from tfvideogan.config import UserError
from tfvideogan.gan import layers_of
from tfvideogan.generation.sampler import Sampler
from tfvideogan.layers.attention import SelfAttention
from tfvideogan.layers.norm import StandingNorm
from tfvideogan.layers.spectral import SpectralLayer
from tfvideogan.models import dvdgan
from tfvideogan.ops import noise
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.step import make_step


@pytest.fixture(scope="module")
def gan() -> dvdgan.Model:
    return models.build(small("dvdgan"))


def batch_of(config: dvdgan.Config, n: int, seed: int = 0) -> dict[str, tf.Tensor]:
    label = (seed + tf.range(n)) % config.classes
    return {"video": clips(config.frames, config.size, n, seed), "label": label, "seed": seeds_of(n) + seed}


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


def test_every_kernel_is_spectrally_normalized_but_the_class_embedding(gan):
    for network, exceptions in ((gan.generator, [gan.generator.embedding]), (gan.discriminator, [])):
        normalized = {id(layer.kernel) for layer in layers_of(network, SpectralLayer)}
        for weight in network.trainable_variables:
            if len(weight.shape) > 1:
                assert id(weight) in normalized or any(weight is exception for exception in exceptions), weight.path


# The networks, computed anew from the paper


def prepare(network, seed: int) -> None:
    """Random weights, and u that is on its way to the singular vector, so that a pass's power iteration shows."""
    scramble(network, seed)
    draw = np.random.default_rng(seed)
    for layer in layers_of(network, SpectralLayer):
        layer.u.assign(draw.standard_normal(layer.u.shape))
        for _ in range(2):
            run = Pass("train")
            reference.spectral(layer, run)
            layer.u.assign(run.u[id(layer)][None])


@functools.cache
def prepared(kind: type, config: dvdgan.Config):
    network = kind(config)
    prepare(network, 0)
    return network


def assert_gradients(found: list, expected: list, names: list[str], tolerance: float) -> None:
    """Of one objective; what is left between the two is float32's rounding, which a bias before a norm has for a gradient.

    It can also turn a ReLU on or off: that has been seen to move a gradient by a hundredth, in float32 of the reference too.
    """
    largest = max(np.abs(gradient).max() for gradient in expected)
    for value, gradient, name in zip(found, expected, names, strict=True):
        margin = tolerance * np.abs(gradient).max() + 3e-6 * largest
        np.testing.assert_allclose(tf.convert_to_tensor(value), gradient, rtol=0, atol=margin, err_msg=name)


def assert_u(network, before: dict[int, np.ndarray], run: Pass) -> None:
    """A pass in training keeps its power iteration, and another leaves u as it is."""
    for layer in layers_of(network, SpectralLayer):
        expected = run.u[id(layer)] if run.mode == "train" else before[id(layer)]
        np.testing.assert_allclose(layer.u[0], expected, atol=1e-6)


def u_of(network) -> dict[int, np.ndarray]:
    return {id(layer): layer.u.numpy()[0] for layer in layers_of(network, SpectralLayer)}


@pytest.mark.parametrize("mode", ["train", "sample"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"upsampling": "nearest", "bn_statistics": "all_frames", "classes": 1, G_ATTENTION: 8},
        {"frames": 3, "classes": 3, "channels": 3, G_ATTENTION: 16},
        pytest.param({"size": 64, "frames": 2}, marks=pytest.mark.slow),
    ],
    ids=["bilinear", "nearest", "mixture", "large"],
)
def test_generator_computes_figure_2(changes, mode):
    config = small("dvdgan", **changes)
    network, draw, n = prepared(dvdgan.Generator, config), np.random.default_rng(3), 3
    z, label = tf.constant(draw.standard_normal([n, config.latent]), tf.float32), tf.constant([0, 1, 5]) % config.classes
    classes = tf.one_hot(label, config.classes)
    if mixed := config.classes == 3:  # in place of labels
        classes = label = tf.constant([[0.5, 0.5, 0.0], [0.1, -0.3, 1.2], [0.0, 0.0, 1.0]])
    direction = draw.standard_normal([n, config.frames, config.size, config.size, 3])
    weights, before, run = [weight.value for weight in network.trainable_variables], u_of(network), Pass(mode)
    inputs = [z, classes] if mixed else [z]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        expected = reference.generator(network, config, tf.cast(z, tf.float64), tf.cast(classes, tf.float64), run)
        objective = tf.reduce_sum(expected * direction)
    expected_gradients = tape.gradient(objective, [*inputs, *weights])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        video = network(z, label, mode=mode)
        objective = tf.reduce_sum(video * tf.cast(direction, tf.float32))
    np.testing.assert_allclose(video, expected, atol=1e-4)
    assert np.std(expected) > 0.2 and np.mean(np.abs(expected) > 0.95) < 0.5  # numbers that could differ
    names = ["z", "classes"][: len(inputs)] + [weight.path for weight in network.trainable_variables]
    assert_gradients(tape.gradient(objective, [*inputs, *weights]), expected_gradients, names, 0.03)
    assert_u(network, before, run)


def drawn(discriminator, label: tf.Tensor, seeds: tf.Tensor, config: dvdgan.Config) -> tuple[np.ndarray, np.ndarray]:
    """Frames that D_S is shown [N,k], and first row and column of the crop that D_T is shown [N,2]: of clips whose pixels tell
    their place."""
    places = tf.stack(tf.meshgrid(*(tf.range(float(n)) for n in (config.frames, config.size, config.size)), indexing="ij"), -1)
    video, seen = tf.stack([places] * len(label)), {}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("spatial", "temporal"):
            patch.setattr(discriminator, name, lambda video, label, mode, name=name: seen.setdefault(name, video.numpy())[:, 0, 0, 0, 0])
        discriminator(video, label, seeds, mode="sample")
    index, corner = seen["spatial"][:, :, 0, 0, 0].astype(int), seen["temporal"][:, 0, 0, 0, 1:].astype(int)
    assert index.shape == (len(label), config.k) and all(len(set(row)) == config.k for row in index)
    return index, corner


@pytest.mark.parametrize("mode", ["train", "sample"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"phi": "4x4", "k": 1, "classes": 1, D_ATTENTION: 8},
        {"phi": "identity", "k": 4, D_ATTENTION: 16},
        {"phi": "crop", "k": 3, "frames": 5, "classes": 3, D_ATTENTION: 8},
        pytest.param({"size": 64, "frames": 6}, marks=pytest.mark.slow),
    ],
    ids=["2x2", "4x4", "identity", "crop", "large"],
)
def test_discriminators_compute_figure_2(changes, mode):
    config = small("dvdgan", **changes)
    network, batch = prepared(dvdgan.Discriminator, config), batch_of(config, 3)
    video, label, seeds = batch.values()
    label = (5 * label) % config.classes  # 0, 5, 10
    index, corner = drawn(network, label, seeds, config)
    direction, before, run = np.array([1.0, -2.0, 3.0]), u_of(network), Pass(mode)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(video)
        precise = tf.cast(video, tf.float64)
        expected = {
            "spatial": reference.spatial(network, config, precise, label, index, run),
            "temporal": reference.temporal(network, config, precise, label, corner, run),
        }
        objective = {name: tf.reduce_sum(score * direction) for name, score in expected.items()}
    with tf.GradientTape(persistent=True) as own:
        own.watch(video)
        scores = network(video, label, seeds, mode=mode)
        own_objective = {name: tf.reduce_sum(scores[name] * tf.cast(direction, tf.float32)) for name in expected}
    assert set(scores) == set(expected)
    for name, score in expected.items():
        np.testing.assert_allclose(scores[name], score, rtol=1e-5, atol=1e-5 * np.abs(score).max())
        assert np.ptp(score) > 1e-3 * np.abs(score).max()  # numbers that could differ
        trunk = getattr(network, name)
        sources = [video, *(weight.value for weight in trunk.trainable_variables)]
        names = ["video", *(weight.path for weight in trunk.trainable_variables)]
        assert_gradients(own.gradient(own_objective[name], sources), tape.gradient(objective[name], sources), names, 0.01)
    assert_u(network, before, run)


def test_standing_statistics_are_the_mean_moments_of_batches():
    config = small("dvdgan", frames=2, standing_batches=2)
    gan = scrambled(config)
    before = u_of(gan.generator)
    Sampler(gan, ema=False).calibrate()
    moments = []
    for batch in range(2):
        index = tf.range(4 * batch, 4 * (batch + 1))
        z = tf.cast(gan.latents(tf.stack([0 * index + config.seed, -1 - index], 1)), tf.float64)
        run = Pass("calibrate")
        reference.generator(gan.generator, config, z, tf.one_hot(index % 12, 12, dtype=tf.float64), run)
        moments.append(run.moments)
    assert_u(gan.generator, before, run)
    for norm in layers_of(gan.generator, StandingNorm):
        for standing, expected in zip(norm.standing, zip(*(m[id(norm)] for m in moments), strict=True), strict=False):
            assert standing.shape[:2] == (1, 2)  # one truncation, two frames
            np.testing.assert_allclose(standing[0], np.mean(expected, axis=0), rtol=1e-4, atol=1e-5)


# The step


def keep_u(network, run: Pass) -> None:
    for layer in layers_of(network, SpectralLayer):
        layer.u.assign(run.u[id(layer)][None])


def non_orthogonality(network) -> tf.Tensor:
    """BigGAN's equation 3: the squares off the diagonal of W^T W, of every layer's W [inputs,outputs]."""
    total = 0.0
    for layer in layers_of(network, SpectralLayer):
        w = tf.reshape(reference.double(layer.kernel), [-1, layer.kernel.shape[-1]])
        gram = tf.transpose(w) @ w
        total += tf.reduce_sum(gram * gram) - tf.reduce_sum(tf.linalg.diag_part(gram) ** 2)
    return total


@pytest.mark.parametrize(
    "steps, compiled, changes",
    [(1, False, {"frames": 2, "k": 1, "ema_start_step": 0}), pytest.param(2, True, {"ema_start_step": 1}, marks=pytest.mark.slow)],
    ids=["one", "two"],
)
def test_steps_are_those_computed_by_hand(steps, compiled, changes):
    # Betas and epsilon at which an update tells the size of a gradient, and remembers those before it.
    changes = changes | dict(adam_epsilon=0.1, beta_1=0.5, beta_2=0.9, g_learning_rate=0.01, d_learning_rate=0.01)
    changes |= dict(classes=3, d_steps=2, ema_decay=0.75, orthogonal_regularization=0.01, fake_labels="drawn")
    take_steps_by_hand(small("dvdgan", **changes), steps, compiled)


def take_steps_by_hand(config: dvdgan.Config, steps: int, compiled: bool) -> None:
    """Compares weights, averages and losses after steps of the model with those of the reference."""
    gan, (g, d) = models.build(config), (kind(config) for kind in models.find(config.model).Model.networks)
    for seed, networks in enumerate(((gan.generator, g), (gan.discriminator, d))):
        for network in networks:
            prepare(network, seed)
    first = {network: [weight.numpy() for weight in network.variables] for network in (gan.generator, gan.ema_generator, gan.discriminator)}
    averages = first[gan.ema_generator]
    count = tf.Variable(0, dtype=tf.int64, trainable=False)
    optimizers = make_optimizers(gan, count)
    step = make_step(gan, optimizers, count, tf.distribute.get_strategy(), flat=not compiled)
    d_adam, g_adam = AdamByHand(d, config, config.d_learning_rate), AdamByHand(g, config, config.g_learning_rate)

    def fakes(batch: dict, run: Pass) -> tuple[tf.Tensor, tf.Tensor]:
        inputs = gan.inputs(batch)
        z, label = tf.cast(inputs["z"], tf.float64), inputs["label"]
        classes = tf.one_hot(label, config.classes, dtype=tf.float64)
        if "first_frames" not in inputs:
            return reference.generator(g, config, z, classes, run), label
        return reference.predictor(g, config, z, tf.cast(inputs["first_frames"], tf.float64), classes, run), label

    def scores(batch: dict, video: tf.Tensor, label: tf.Tensor, stream: int, run: Pass) -> list[tf.Tensor]:
        video, (index, corner) = tf.cast(video, tf.float64), drawn(d, label, noise.fork(batch["seed"], stream), config)
        return [
            reference.spatial(d, config, video, label, index, run),
            reference.temporal(d, config, video, label, corner, run),
        ]

    for number in range(1, steps + 1):
        batches = [batch_of(config, 4, seed=10 * (number - 1) + i) for i in range(2)]
        scalars = step(batches)
        for batch in batches:
            g_run, d_run = Pass("train"), Pass("train")
            fake, label = fakes(batch, g_run)
            with tf.GradientTape() as tape:
                real_scores = scores(batch, batch["video"], batch["label"], gan_module.REAL_FRAMES, d_run)
                fake_scores = scores(batch, fake, label, gan_module.FAKE_FRAMES, d_run)
                margins = [1 - score for score in real_scores] + [1 + score for score in fake_scores]
                d_loss = tf.add_n([tf.reduce_mean(tf.maximum(margin, 0)) for margin in margins])
            assert np.any(tf.stack(margins) < 0) and np.all(np.any(tf.stack(margins) > 0, axis=1))  # on both sides of the hinge
            d_adam.apply(tape.gradient(d_loss, [weight.value for weight in d.trainable_variables]))
            keep_u(g, g_run)
            keep_u(d, d_run)
        batch = {**batches[-1], "seed": noise.fork(batches[-1]["seed"], gan_module.GENERATOR_STEP)}
        g_run, d_run = Pass("train"), Pass("train")
        with tf.GradientTape() as tape:
            fake, label = fakes(batch, g_run)
            g_loss = -tf.add_n([tf.reduce_mean(score) for score in scores(batch, fake, label, gan_module.FAKE_FRAMES, d_run)])
            regularization = config.orthogonal_regularization * non_orthogonality(g)
            total = g_loss + regularization
        g_adam.apply(tape.gradient(total, [weight.value for weight in g.trainable_variables]))
        keep_u(g, g_run)
        keep_u(d, d_run)
        decay = 0.75 if number > config.ema_start_step else 0.0
        averages = [
            decay * average + (1 - decay) * weight.numpy() if weight.trainable else weight.numpy()
            for average, weight in zip(averages, g.variables, strict=True)
        ]
        by_hand = {("d_spatial", "d_temporal"): d_loss, ("g_spatial", "g_temporal"): g_loss, ("g_orthogonal",): regularization}
        for names, expected in by_hand.items():
            assert sum(float(scalars[name]) for name in names) == pytest.approx(float(expected), rel=1e-4, abs=1e-4)
    for network, expected in ((gan.generator, g.variables), (gan.ema_generator, averages), (gan.discriminator, d.variables)):
        moved = []
        for weight, value, before in zip(network.variables, expected, first[network], strict=True):
            moved.append(np.abs(np.asarray(value) - before).max())
            np.testing.assert_allclose(weight, value, rtol=0, atol=0.03 * moved[-1] + 1e-5, err_msg=weight.path)
        assert np.mean(np.array(moved) > 1e-3) > 0.5  # by far more than the tolerance


# Generator


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


# Discriminator


def test_what_is_no_number_in_a_clip_reaches_its_scores(gan):
    # oneDNN's convolutions with a ReLU make 0 of NaN.
    batch = batch_of(gan.config, 4)
    video = tf.where(tf.reshape(tf.range(4) == 1, [4, 1, 1, 1, 1]), math.nan, batch["video"])
    scores = tf.function(lambda *inputs: gan.discriminator(*inputs, mode="sample"), autograph=False)(video, batch["label"], batch["seed"])
    for score in scores.values():
        np.testing.assert_array_equal(np.isnan(score), [False, True, False, False])


def test_hinge_is_taken_of_the_sum():
    # Two frames score 2 and -2. Of their sum, 0, the hinge is 1; the mean of the frames' hinges would be (0 + 3) / 2.
    summed = tf.reduce_sum(tf.constant([[2.0, -2.0]]), 1)
    assert float(losses.hinge_discriminator(summed, tf.constant([-5.0]))) == 1.0
    assert float(losses.hinge_discriminator(tf.constant([3.0, 0.5]), tf.constant([-0.5, 1.0]))) == pytest.approx(0.25 + 1.25)
    assert float(losses.hinge_generator(tf.constant([1.0, 3.0]))) == -2.0


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


# Options


def test_orthogonal_regularization_is_zero_for_orthogonal_kernels_and_counts_others():
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
        ({"size": 48}, r"--size=48: expected 32, 64, 128 or 256 for --model=dvdgan"),
        ({"k": 5}, r"--k=5: expected 1 to 4, as D_S draws k different frames of those that G makes"),
        ({"phi": "3x3"}, r"--phi=3x3: expected one of 4x4, 2x2, identity, crop"),
        ({"upsampling": "cubic"}, r"--upsampling=cubic: expected one of bilinear, nearest"),
        ({"bn_statistics": "none"}, r"--bn_statistics=none"),
        ({"g_attention": 24}, r"--g_attention=24: got no size of a map in the network, expected 0 or one of 8, 16"),
        ({"d_attention": 32}, r"--d_attention=32: got no size of a map in the network, expected 0 or one of 8, 16"),
        ({"fake_labels": "real"}, r"--fake_labels=real: expected one of data, drawn"),
        ({"batch_size": 0}, r"--batch_size=0: expected at least 1"),
        ({"latent": -1}, r"--latent=-1: expected at least 1"),
        ({"embedding": 0}, r"--embedding=0: expected at least 1"),
        ({"g_learning_rate": float("nan")}, r"--g_learning_rate=nan: expected a finite number"),
        ({"beta_2": 1.0}, r"--beta_2=1: expected at least 0 and less than 1"),
        ({"precision": "half"}, r"--precision=half: expected one of float32, mixed_bfloat16, mixed_float16"),
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
    video, label, seeds = batch_of(built.config, 2).values()
    built.generator(built.latents(seeds), label, mode="train")
    built.discriminator(video, label, seeds, mode="train")
    asked = {"g": built.config.g_attention, "s": built.config.d_attention, "t": built.config.d_attention}
    assert sides == {name: asked[name] for name, width in zip("gst", widths, strict=True) if width}


def test_generated_clips_have_the_labels_of_the_real_ones_or_drawn_ones(monkeypatch):
    label, seeds = tf.fill([1200], 3), tf.stack([tf.ones([1200], tf.int32), tf.range(1200)], 1)
    of_data, drawn = (models.build(small("dvdgan", fake_labels=law)) for law in ("data", "drawn"))
    np.testing.assert_array_equal(of_data.inputs({"label": label, "seed": seeds})["label"], label)
    batch = {"label": label, "seed": seeds}
    np.testing.assert_array_equal(drawn.inputs(batch)["z"], of_data.inputs(batch)["z"])  # the latents are the same
    labels = drawn.inputs(batch)["label"]
    assert labels.dtype == tf.int32
    np.testing.assert_allclose(np.bincount(labels, minlength=12) / 1200, np.full(12, 1 / 12), atol=0.03)
    other = drawn.inputs({"label": label, "seed": noise.fork(seeds, gan_module.GENERATOR_STEP)})["label"]
    assert np.mean(np.equal(labels, other)) < 0.2  # G's step draws anew

    seen = []
    for network in (drawn.generator, drawn.discriminator):

        def call(*rest, mode, real=network.call, **named):
            seen.append((named["label"] if named else rest[1]).numpy())
            return real(*rest, mode=mode, **named)

        monkeypatch.setattr(network, "call", call)
    batch = batch_of(drawn.config, 4)
    label = batch["label"]
    expected = drawn.inputs(batch)["label"].numpy()
    assert not np.array_equal(expected, label)
    drawn.discriminator_loss(batch)
    drawn.generator_loss(batch)
    for got, wanted in zip(seen, [expected, np.concatenate([label, expected]), expected, expected], strict=True):
        np.testing.assert_array_equal(got, wanted)  # G, then D of real and fake; G, then D of fake


def test_streams_of_an_examples_seed_are_different():
    uses = [gan_module.LATENT, gan_module.REAL_FRAMES, gan_module.FAKE_FRAMES, dvdgan.DRAWN_LABELS]
    streams = uses + [use + gan_module.GENERATOR_STEP for use in uses]
    assert len(set(streams)) == len(streams) and max(streams) < 1000  # from 1000 on they are the data's

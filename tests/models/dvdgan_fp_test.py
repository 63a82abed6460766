"""DVD-GAN-FP against its paper."""

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tests.models import dvdgan_reference as reference
from tests.models.dvdgan_reference import Pass
from tests.models.dvdgan_test import assert_gradients, assert_u, batch_of, drawn, prepare, prepared, take_steps_by_hand, u_of
from tests.reference import clips, count, seeds_of
from tfvideogan import gan as gan_module
from tfvideogan import models
from tfvideogan.config import UserError
from tfvideogan.generation.sampler import Sampler
from tfvideogan.layers.conv_gru import ConvGRU
from tfvideogan.layers.residual import DiscriminatorBlock
from tfvideogan.layers.tsru import TSRU
from tfvideogan.models import dvdgan, dvdgan_fp
from tfvideogan.ops import forms, noise

GIVEN = 2  # frames of the least config, which makes 3 more


@pytest.fixture(scope="module")
def gan() -> dvdgan_fp.Model:
    """Its weights are random, so that a part left out shows; no test may change them."""
    built = models.build(small("dvdgan_fp", standing_batches=1))
    for seed, network in enumerate((built.generator, built.discriminator)):
        prepare(network, seed)
    for average, weight, _ in built.ema_pairs():
        average.assign(weight)
    return built


def drawn_inputs(gan: dvdgan_fp.Model, n: int, seed: int = 0) -> tuple[tf.Tensor, tf.Tensor]:
    """Latents, and given frames in [-1,1]."""
    config = gan.config
    return tf.random.stateless_normal([n, config.latent], [seed, 1]), clips(config.given_frames, config.size, n, seed)


# Parameter counts, derived from the sheet's tables and not from the code.


def conv(i: int, o: int, k: int) -> int:
    return i * o * k * k + o


def encoder_parameters(d_widths: list[int], state_widths: list[int], given: int) -> tuple[int, int]:
    """(body, 3x3 convolutions), of D's blocks that halve and the ConvGRUs of their sizes, from the largest map on."""
    body = sum(conv(i, o, 3) + conv(o, o, 3) + conv(i, o, 1) for i, o in zip([3, *d_widths], d_widths, strict=False))
    return body, sum(conv(given * o, state, 3) for o, state in zip(d_widths, state_widths, strict=True))


# size, ch, C, D's widths and the states' as multiples of ch, the encoder's body and all of it
TABLE = [
    (64, 128, 5, [2, 4, 8, 16], [4, 8, 8, 8], 77_679_360, 248_731_904),
    (64, 128, 1, [2, 4, 8, 16], [4, 8, 8, 8], 77_679_360, 111_892_736),
    (64, 16, 5, [2, 4, 8, 16], [4, 8, 8, 8], 1_215_840, 3_888_928),
    (64, 16, 1, [2, 4, 8, 16], [4, 8, 8, 8], 1_215_840, 1_750_816),
    (32, 16, 2, [2, 4, 8], [4, 8, 8], 297_568, 777_120),
]


class Sizes(list):
    """In place of `add_weight`: makes none, and keeps the numbers of their elements."""

    def __call__(self, name: str, shape, trainable: bool = True, **rest: object) -> None:
        if trainable:
            self.append(math.prod(shape))


@pytest.mark.parametrize("size, ch, given, d_widths, state_widths, body, encoder", TABLE)
def test_the_encoders_parameters_are_those_of_the_table(size, ch, given, d_widths, state_widths, body, encoder, monkeypatch):
    by_hand = encoder_parameters([ch * m for m in d_widths], [ch * m for m in state_widths], given)
    assert by_hand == (body, encoder - body)
    monkeypatch.setattr(keras.layers.Layer, "add_weight", made := Sizes())
    network = dvdgan_fp.Encoder(dvdgan_fp.Config(size=size, channels=ch, given_frames=given))
    assert sum(made) == encoder and len(network.blocks) == len(d_widths)


def test_the_papers_generator_and_discriminators_have_the_parameters_of_the_table(monkeypatch):
    for ch, g, d_s, d_t in ((128, 305_332_859 + 248_731_904, 153_185_025, 161_456_385), (16, 5_932_219 + 3_888_928, 2_396_513, 2_527_265)):
        counts = []
        config = dvdgan_fp.Config(channels=ch, classes=600)  # which it does not read
        for network in (
            lambda c: dvdgan_fp.Generator(c),
            lambda c: dvdgan.Trunk(c, 0, 64),
            lambda c: dvdgan.Trunk(c, dvdgan.VOLUMETRIC_BLOCKS, 32),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(keras.layers.Layer, "add_weight", made := Sizes())
                network(config)
            counts.append(sum(made))
        assert counts == [g, d_s, d_t]


def test_no_weight_is_counted_in_vain(gan):
    body, to_states = encoder_parameters([4, 8, 16], [8, 16, 16], GIVEN)
    assert count(gan.generator.encoder) == body + to_states
    assert count(gan.generator) == count(dvdgan.Generator(small("dvdgan", classes=1, frames=3))) + body + to_states


def test_the_paper_is_the_default():
    config = dvdgan_fp.Config()
    assert (config.given_frames, config.generated_frames, config.size, config.stride, config.k) == (5, 11, 64, 1, 8)
    assert (config.batch_size, config.d_steps, config.g_learning_rate, config.d_learning_rate) == (512, 2, 1e-4, 5e-4)
    assert (config.steps, config.ema_decay, config.ema_start_step, config.conditional) == (1_000_000, 0.9999, 20_000, False)


# The networks, computed anew from the paper


@pytest.mark.parametrize("mode", ["train", "sample"])
@pytest.mark.parametrize("changes", [{}, {"frames": 6, "given_frames": 3, "channels": 1}], ids=["two", "three"])
def test_encoder_computes_the_initial_states(changes, mode):
    config = small("dvdgan_fp", **changes)
    network, draw, n = prepared(dvdgan_fp.Encoder, config), np.random.default_rng(3), 3
    frames = clips(config.given_frames, config.size, n)
    weights, before, run = [weight.value for weight in network.trainable_variables], u_of(network), Pass(mode)
    with tf.GradientTape() as tape:
        tape.watch(frames)
        expected = [state[:, 0] for state in reference.encoder(network, tf.cast(frames, tf.float64), run)]
        directions = [draw.standard_normal(state.shape) for state in expected]
        objective = tf.add_n([tf.reduce_sum(state * direction) for state, direction in zip(expected, directions, strict=True)])
    expected_gradients = tape.gradient(objective, [frames, *weights])
    with tf.GradientTape() as tape:
        tape.watch(frames)
        states = network(frames, mode=mode)
        terms = [tf.reduce_sum(state * tf.cast(direction, tf.float32)) for state, direction in zip(states, directions, strict=True)]
        objective = tf.add_n(terms)
    ch = config.channels
    assert [tuple(state.shape) for state in states] == [(n, 4, 4, 8 * ch), (n, 8, 8, 8 * ch), (n, 16, 16, 4 * ch)]
    for state, value in zip(states, expected, strict=True):
        np.testing.assert_allclose(state, value, rtol=0, atol=1e-4 * np.abs(value).max())
        assert 0.1 < np.mean(np.equal(value, 0)) < 0.9 and np.min(value) == 0  # rectified, and numbers that could differ
    names = ["frames", *(weight.path for weight in network.trainable_variables)]
    assert_gradients(tape.gradient(objective, [frames, *weights]), expected_gradients, names, 0.01)
    assert_u(network, before, run)


@pytest.mark.parametrize("mode", ["train", pytest.param("sample", marks=pytest.mark.slow)])
def test_generator_continues_the_given_frames_from_the_encoders_states(mode):
    config = small("dvdgan_fp", classes=3, conditional=True)
    network, draw, n = prepared(dvdgan_fp.Generator, config), np.random.default_rng(3), 3
    z, frames = tf.constant(draw.standard_normal([n, config.latent]), tf.float32), clips(GIVEN, config.size, n)
    label, direction = tf.constant([0, 1, 2]), draw.standard_normal([n, config.frames, config.size, config.size, 3])
    inputs, weights = [z, frames], [weight.value for weight in network.trainable_variables]
    before, run = u_of(network), Pass(mode)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        precise = [tf.cast(x, tf.float64) for x in inputs]
        expected = reference.predictor(network, config, *precise, tf.one_hot(label, 3, dtype=tf.float64), run)
        objective = tf.reduce_sum(expected * direction)
    expected_gradients = tape.gradient(objective, [*inputs, *weights])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        video = network(z, frames, mode=mode, label=label)
        objective = tf.reduce_sum(video * tf.cast(direction, tf.float32))
    np.testing.assert_array_equal(video[:, :GIVEN], frames)
    np.testing.assert_allclose(video, expected, atol=1e-4)
    assert np.std(expected[:, GIVEN:]) > 0.2 and np.mean(np.abs(expected[:, GIVEN:]) > 0.95) < 0.5  # numbers that could differ
    names = ["z", "frames", *(weight.path for weight in network.trainable_variables)]
    assert_gradients(tape.gradient(objective, [*inputs, *weights]), expected_gradients, names, 0.03)
    assert_u(network, before, run)


def without_encoder(generator: dvdgan.Generator) -> list[keras.Variable]:
    encoder = {id(variable) for variable in generator.encoder.variables} if isinstance(generator, dvdgan_fp.Generator) else ()
    return [variable for variable in generator.variables if id(variable) not in encoder]


def test_with_states_of_zero_it_is_dvdgan(gan, monkeypatch):
    plain = dvdgan.Generator(small("dvdgan", classes=1, frames=gan.config.generated_frames))
    prepare(plain, 0)
    mine = without_encoder(gan.generator)
    for variable, value in zip(plain.variables, mine, strict=True):
        variable.assign(value)
    encode = gan.generator.encoder.call
    monkeypatch.setattr(gan.generator.encoder, "call", lambda frames, mode: [0 * state for state in encode(frames, mode)])
    z, frames = drawn_inputs(gan, 3)
    results = []
    for network, arguments in ((gan.generator, (z, frames)), (plain, (z, tf.zeros([3], tf.int32)))):
        weights = [weight for weight in without_encoder(network) if weight.trainable]
        with tf.GradientTape() as tape:
            video = network(*arguments, mode="calibrate")[:, -gan.config.generated_frames :]
            objective = tf.reduce_sum(video * clips(gan.config.generated_frames, 32, 3, seed=5))
        results.append((video, tape.gradient(objective, [weight.value for weight in weights]), [weight.path for weight in weights]))
    (video, gradients, _), (expected, expected_gradients, names) = results
    np.testing.assert_array_equal(video, expected)
    assert_gradients(gradients, [tf.convert_to_tensor(gradient) for gradient in expected_gradients], names, 1e-4)


# What it reads


def test_given_frames_exchanged_are_another_beginning_and_each_is_read(gan):
    z, frames = drawn_inputs(gan, 2)
    states = gan.generator.encoder(frames, mode="sample")
    others = [frames[:, ::-1], *(tf.concat([frames[:, :i], 0 * frames[:, i : i + 1], frames[:, i + 1 :]], 1) for i in range(GIVEN))]
    for other in others:
        for state, changed in zip(states, gan.generator.encoder(other, mode="sample"), strict=True):
            assert np.abs(state - changed).max() > 0.01 * np.abs(state).max()
        continuation, changed = (gan.generator(z, given, mode="sample")[:, GIVEN:] for given in (frames, other))
        assert np.abs(continuation - changed).max() > 0.01


def test_a_beginning_has_many_futures(gan):
    z, frames = drawn_inputs(gan, 2)
    one, other = (gan.generator(latent, frames, mode="sample") for latent in (z, z[::-1]))
    np.testing.assert_array_equal(one[:, :GIVEN], other[:, :GIVEN])
    assert np.abs(one[:, GIVEN:] - other[:, GIVEN:]).max() > 0.01


def shown(gan: dvdgan_fp.Model, monkeypatch, loss, batch: dict) -> dict[str, np.ndarray]:
    """What D_S and D_T are shown in a loss."""
    seen = {}
    for name in ("spatial", "temporal"):

        def call(video, label, mode, name=name):
            seen[name] = video.numpy()
            return tf.reduce_mean(video, [1, 2, 3, 4])

        monkeypatch.setattr(gan.discriminator, name, call)
    loss(batch)
    return seen


def test_d_s_is_shown_frames_of_the_continuation_and_d_t_the_given_ones_too(gan, monkeypatch):
    config, n = gan.config, 60
    real, fake = (tf.reshape(start + tf.range(5.0), [1, 5, 1, 1, 1]) * tf.ones([n, 1, 32, 32, 3]) for start in (0.0, 10.0))
    monkeypatch.setattr(gan.generator, "call", lambda z, first_frames, mode: tf.concat([first_frames, fake[:, GIVEN:]], 1))
    batch = {"video": real, "seed": seeds_of(n)}
    for loss, parts in ((gan.discriminator_loss, [0, 10]), (gan.generator_loss, [10])):
        seen = shown(gan, monkeypatch, loss, batch)
        for first, frames, clip in zip(parts, np.split(seen["spatial"], len(parts)), np.split(seen["temporal"], len(parts)), strict=True):
            times = frames[..., 0, 0, 0].astype(int) - first
            assert times.shape == (n, config.k) and all(len(set(row)) == config.k for row in times)  # without replacement
            np.testing.assert_allclose(np.bincount(times.ravel(), minlength=5) / n, [0, 0, 2 / 3, 2 / 3, 2 / 3], atol=0.2)
            assert len(set(map(tuple, times))) > 1  # of each example its own
            np.testing.assert_array_equal(clip[:, :, 0, 0, 0], [[0, 1, *(first + np.arange(2, 5))]] * n)
            assert clip.shape[2:4] == (16, 16)


def test_frames_of_d_s_follow_from_the_examples_seed(gan, monkeypatch):
    batch = {"video": clips(5, 32, 4), "seed": seeds_of(4)}
    others = {**batch, "seed": noise.fork(batch["seed"], gan_module.GENERATOR_STEP)}
    first, again, other = (shown(gan, monkeypatch, gan.discriminator_loss, b)["spatial"][:4] for b in (batch, batch, others))  # real ones
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_encoder_is_gs_alone_and_learns_from_both_of_its_terms(gan):
    encoder = {id(weight) for weight in gan.generator.encoder.trainable_variables}
    assert encoder <= {id(weight) for weight in gan.generator.trainable_variables}
    assert not encoder & {id(weight) for weight in gan.discriminator.variables}
    weights = [weight.value for weight in gan.generator.encoder.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        terms, _ = gan.generator_loss({"video": clips(5, 32, 4), "seed": seeds_of(4)})
    for term in terms.values():
        for weight, gradient in zip(gan.generator.encoder.trainable_variables, tape.gradient(term, weights), strict=True):
            assert np.abs(gradient).max() > 0, weight.path


def test_no_block_of_the_encoder_is_one_of_ds(gan):
    blocks = [layer for layer in gan.generator._flatten_layers() if isinstance(layer, DiscriminatorBlock)]
    others = [layer for layer in gan.discriminator._flatten_layers() if isinstance(layer, DiscriminatorBlock)]
    assert len(blocks) == 3 and not {id(block) for block in blocks} & {id(block) for block in others}


# TrIVD-GAN's options


def test_the_recurrent_unit_is_the_one_asked_for():
    for recurrent, variant in (("gru", None), ("tsru", "tsru_c"), ("tsru_p", "tsru_p"), ("tsru_s", "tsru_s")):
        units = dvdgan_fp.Generator(small("dvdgan_fp", recurrent=recurrent)).grus
        assert [type(unit) for unit in units] == [TSRU if variant else ConvGRU] * 3
        assert {getattr(unit, "variant", None) for unit in units} == {variant}
    with pytest.raises(UserError, match="^--recurrent=lstm: expected one of gru, tsru, tsru_p, tsru_s"):
        small("dvdgan_fp", recurrent="lstm")


def test_with_tsru_a_clip_in_parts_is_the_long_one():
    built = models.build(small("dvdgan_fp", recurrent="tsru", d_inputs="crops"))
    network = prepared(dvdgan_fp.Generator, built.config)
    z, frames = drawn_inputs(built, 2)
    batch = {"video": clips(5, 32, 4), "seed": seeds_of(4)}
    for terms, _ in (built.discriminator_loss(batch), built.generator_loss(batch)):
        assert all(np.isfinite(term) for term in terms.values())
    states = network.encoder(frames, mode="sample")
    first, last = network.unroll(z, None, states)
    second, _ = network.unroll(z, None, last)
    np.testing.assert_allclose(tf.concat([frames, first], 1), network(z, frames, mode="sample"), atol=1e-6)
    assert np.abs(second - first).max() > 0.01


def test_d_inputs_of_crops_are_halved_frames_and_crops_of_clips():
    config = small("dvdgan_fp", d_inputs="crops")
    assert small("dvdgan_fp").views == {"spatial": "identity", "temporal": "2x2"}
    network = prepared(dvdgan.Discriminator, config)
    video, seeds, run = clips(5, 32, 3), seeds_of(3), Pass("train")
    label, precise = tf.zeros([3], tf.int32), tf.cast(video, tf.float64)
    index, corner = drawn(network, label, seeds, config)
    halved = reference.average(reference.average(precise, 2), 3)
    expected = {
        "spatial": reference.spatial(network, config, halved, label, index, run),
        "temporal": reference.temporal(network, dataclasses.replace(config, phi="crop"), precise, label, corner, run),
    }
    scores = network(video, None, seeds, mode="train")
    for name, score in expected.items():
        np.testing.assert_allclose(scores[name], score, rtol=1e-5, atol=1e-5 * np.abs(score).max())
        assert np.ptp(score) > 1e-3 * np.abs(score).max()
    with pytest.raises(UserError, match="^--d_inputs=halves: expected one of frames, crops"):
        small("dvdgan_fp", d_inputs="halves")


# The step


def test_a_step_is_the_one_computed_by_hand():
    changes = dict(frames=3, given_frames=1, k=1, classes=3, conditional=True, batch_size=4, adam_epsilon=0.1, beta_1=0.5, beta_2=0.9)
    changes |= dict(g_learning_rate=0.01, d_learning_rate=0.01, d_steps=1, ema_decay=0.75, ema_start_step=0)
    take_steps_by_hand(small("dvdgan_fp", orthogonal_regularization=0.01, fake_labels="drawn", **changes), steps=1, compiled=False)


@pytest.mark.slow
def test_what_is_computed_again_gives_the_same_gradient():
    results = []
    for recompute in (False, True):
        built = models.build(small("dvdgan_fp", recompute=recompute))
        weights = [weight.value for weight in built.generator.trainable_variables]
        with tf.GradientTape() as tape:
            terms, _ = built.generator_loss({"video": clips(5, 32, 4), "seed": seeds_of(4)})
            total = tf.add_n(list(terms.values()))
        results.append((total, tape.gradient(total, weights), [weight.path for weight in built.generator.trainable_variables]))
    (total, gradients, names), (again, others, _) = results
    assert float(total) == pytest.approx(float(again), rel=1e-5)
    assert_gradients(others, [tf.convert_to_tensor(gradient) for gradient in gradients], names, 1e-3)


# Sampling


def test_a_module_predicts_the_frames_that_follow(gan):
    batch = {"video": clips(5, 32, 4), "seed": seeds_of(4)}
    seed, frames = tf.constant([3, 4]), drawn_inputs(gan, 2)[1] * 0.5 + 0.5
    z = gan.latents(tf.stack([tf.random.experimental.stateless_fold_in(seed, i) for i in range(2)]))
    with forms.plain():  # compiled by nobody
        sampler = Sampler(gan).calibrate([batch] * gan.config.standing_batches)
        video, ahead = sampler.generate(0.5 * z, frames), sampler.predict(frames, seed, tf.constant(0.5))
    assert video.shape == (2, 5, 32, 32, 3) and ahead.shape == (2, 3, 32, 32, 3)
    np.testing.assert_allclose(video[:, :GIVEN], frames, atol=1e-6)
    np.testing.assert_allclose(ahead, video[:, GIVEN:], atol=1e-5)  # the latent is truncated, the frames are not
    assert not hasattr(sampler, "sample") and not hasattr(sampler, "blend")


def test_classes_are_read_where_asked_for_and_then_alone(gan):
    assert list(gan.input_specs) == ["z", "first_frames"] and "label" not in gan.batch_specs(gan.config)
    assert gan.generator.embedding.shape == (1, 8) and gan.discriminator.spatial.embedding.kernel.shape[0] == 1
    config = small("dvdgan_fp", conditional=True, classes=3)
    built = models.build(config)
    prepare(built.generator, 0)
    assert set(built.input_specs) == {"z", "label", "first_frames"} and built.generator.embedding.shape[0] == 3
    terms, _ = built.discriminator_loss(batch_of(config, 2))
    assert all(np.isfinite(term) for term in terms.values())
    sampler, frames = Sampler(built, ema=False), 0.5 * drawn_inputs(built, 2)[1] + 0.5
    assert len(sampler.predict.input_signature) == 4 and sampler.predict.input_signature[3].dtype == tf.int32
    with forms.plain():
        one, other = (sampler.predict(frames, tf.constant([0, 0]), tf.constant(1.0), tf.constant(label)) for label in ([0, 1], [0, 2]))
    np.testing.assert_array_equal(one[0], other[0])
    assert np.abs(one[1] - other[1]).max() > 1e-3


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"given_frames": 0}, r"--given_frames=0: expected at least 1 and less than --frames=5"),
        ({"given_frames": 5}, r"--given_frames=5: expected at least 1 and less than --frames=5"),
        ({"k": 4}, r"--k=4: expected 1 to 3, as D_S draws"),
        ({"size": 48}, r"--size=48: expected 32, 64, 128 or 256 for --model=dvdgan_fp"),
    ],
)
def test_config_refuses_what_cannot_be_built(changes, message):
    with pytest.raises(UserError, match=message):
        small("dvdgan_fp", **changes)


def test_the_same_weights_make_more_frames(gan):
    longer = dvdgan_fp.Generator(dataclasses.replace(gan.config, frames=9, bn_statistics="all_frames"))
    short = dvdgan_fp.Generator(dataclasses.replace(gan.config, bn_statistics="all_frames"))
    prepare(short, 0)
    for a, b in zip(short.variables, longer.variables, strict=True):
        b.assign(a)
    z, frames = drawn_inputs(gan, 2)
    for network in (short, longer):
        for norm in (layer for layer in network._flatten_layers() if hasattr(layer, "standing")):
            norm.standing[0].assign(tf.zeros_like(norm.standing[0]))
            norm.standing[1].assign(tf.ones_like(norm.standing[1]))
    np.testing.assert_allclose(longer(z, frames, mode="sample")[:, :5], short(z, frames, mode="sample"), atol=1e-5)

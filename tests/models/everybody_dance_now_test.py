"""Everybody Dance Now against its authors' code, in NumPy."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import pix2pix_reference as reference
from tests.conftest import small
from tests.pix2pix_reference import enhancer, half, painter, patches, trunk
from tests.reference import AdamByHand, clips, count, scramble, scrambled, seeds_of
from tfvideogan import models
from tfvideogan.config import UserError
from tfvideogan.generation.sampler import Sampler
from tfvideogan.layers import vgg19
from tfvideogan.models import everybody_dance_now as edn
from tfvideogan.ops.video import to_unit
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.run_folder import Run
from tfvideogan.training.step import make_step

# Smallest maps of 4x4 pixels: normalizing fewer makes much of float32's rounding.
FACE = {"phase": "face", "face_size": 32, "size": 40, "width": 48, "halvings": 1}


def batch_of(config: edn.Config, n: int = 2) -> dict[str, tf.Tensor]:
    height, width = config.frame_size
    draw = np.random.default_rng(3)
    video, source = (tf.constant(draw.uniform(-1, 1, [n, config.frames, height, width, 3]), tf.float32) for _ in range(2))
    batch = {"video": video, "source": source, "seed": seeds_of(n)}
    if config.phase == "face":  # one box reaches beyond the frame
        batch["face"] = tf.constant([[[19, 21], [20, 23]], [[0, 1], [39, 47]]], tf.int32)[:n]
    return batch


def test_the_authors_code_is_the_default():
    config = edn.Config()
    assert (config.phase, config.frames, config.frame_size, config.batch_size) == ("global", 2, (256, 512), 1)
    assert (config.channels, config.halvings, config.blocks, config.local_blocks, config.d_channels) == (64, 4, 9, 3, 64)
    assert (config.g_learning_rate, config.d_learning_rate, config.beta_1, config.beta_2, config.adam_epsilon) == (
        2e-4,
        2e-4,
        0.5,
        0.999,
        1e-8,
    )
    assert (config.feature_weight, config.perceptual_weight, config.d_scales) == (10, 10, 2)
    assert edn.Config(phase="local", size=512, width=1024).d_scales == 3 and config.face_size == 128 and not config.flip


@pytest.mark.slow  # builds 600 million weights' shapes
def test_parameter_counts():
    with tf.Graph().as_default():  # nothing allocated
        counts = {}
        for phase in edn.PHASES:
            gan = models.build(edn.Config(phase=phase, size=512, width=1024))
            counts[phase] = count(gan.generator), count(gan.discriminator), sum(int(np.prod(w.shape)) for w in gan.generator.weights)
    assert counts["global"] == (182_452_675, 5_547_906, 182_452_675)
    assert counts["local"] == (182_715_939, 8_321_859, 182_715_939)
    assert counts["face"] == (26_724_291, 8_321_859 + 2_769_601, 182_715_939 + 26_724_291)


def frame_of(x: np.ndarray, g: edn.Generator) -> np.ndarray:
    if g.phase == "global":
        return painter(trunk(x, g.trunk), g.painter)
    return painter(enhancer(x, trunk(half(x), g.trunk), g.enhancer), g.local_painter)


def generated(batch: dict, g: edn.Generator) -> np.ndarray:
    """Pose by pose: [N,T,H,W,3]."""
    poses, frames = (batch["source"].numpy().astype(np.float64) + 1) / 2, []
    for t in range(poses.shape[1]):
        before = frames[-1] if t else np.zeros_like(poses[:, 0])
        frame = frame_of(np.concatenate([poses[:, t], before], -1), g)
        if g.phase == "face":
            for n, (top, left) in enumerate(corners(batch, g.face_size)[:, t]):
                box = np.s_[n : n + 1, top : top + g.face_size, left : left + g.face_size]
                read = np.concatenate([poses[:, t][box], frame[box]], -1)
                frame[box] += painter(trunk(read, g.face_trunk), g.face_painter)
        frames.append(frame)
    return np.stack(frames, 1)


def corners(batch: dict, size: int) -> np.ndarray:
    height, width = batch["video"].shape[2:4]
    return np.clip(batch["face"].numpy() - size // 2, 0, [height - size, width - size])


def batch_normed(x: np.ndarray, norm) -> np.ndarray:
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) / np.sqrt(variance + 1e-5) * reference.of(norm.gain) + reference.of(norm.bias)


def maps_of(batch: dict, video: np.ndarray, d: edn.Discriminator) -> list[list[np.ndarray]]:
    poses = (batch["source"].numpy().astype(np.float64) + 1) / 2
    x = np.concatenate([poses[:, 0], poses[:, 1], video[:, 0], video[:, 1]], -1)
    found = []
    for scale in d.main.scales:
        found.append(patches(x, scale))
        x = half(x)
    return found


def face_scores(batch: dict, video: np.ndarray, d: edn.Discriminator, size: int) -> list[np.ndarray]:
    poses, scores = (batch["source"].numpy().astype(np.float64) + 1) / 2, []
    for t in range(2):
        read = []
        for n, (top, left) in enumerate(corners(batch, size)[:, t]):
            box = np.s_[n, t, top : top + size, left : left + size]
            read.append(np.concatenate([poses[box], video[box]], -1))
        scores.append(patches(np.stack(read), d.face, batch_normed)[-1])
    return scores


@pytest.fixture(scope="module", params=[{"scales": 2, "width": 24}, {"phase": "local", "width": 24, "halvings": 1}, FACE], ids=edn.PHASES)
def gan(request) -> edn.Model:
    made = scrambled(small("everybody_dance_now", **request.param))
    for part in ("trunk", "enhancer", "local_painter"):  # those that phase face does not train are random too
        if hasattr(made.generator, part):
            layer = getattr(made.generator, part)
            layer.trainable = True
            scramble(layer)
            layer.trainable = made.config.phase != "face"
    return made


def test_frames_are_drawn_in_turn_as_the_code_does(gan):
    batch = batch_of(gan.config)
    made, expected = gan.generator(**gan.inputs(batch), mode="train"), generated(batch, gan.generator)
    np.testing.assert_allclose(made, expected, atol=1e-3)
    assert made.dtype == tf.float32 and np.ptp(expected[:, 0] - expected[:, 1]) > 0.1


def test_losses_have_the_weights_of_the_code(gan):
    config, batch = gan.config, batch_of(gan.config)
    fake, real = generated(batch, gan.generator), batch["video"].numpy().astype(np.float64)
    of_fake, of_real = (maps_of(batch, video, gan.discriminator) for video in (fake, real))
    assert len(of_fake) == config.d_scales
    expected_d = {
        "d_real": 0.5 * sum(((maps[-1] - 1) ** 2).mean() for maps in of_real),
        "d_fake": 0.5 * sum((maps[-1] ** 2).mean() for maps in of_fake),
    }
    expected_g = {
        "g_loss": sum(((maps[-1] - 1) ** 2).mean() for maps in of_fake),
        "g_features": 10 * reference.feature_matching(of_real, of_fake),
    }
    if config.phase == "face":
        faces = {name: face_scores(batch, video, gan.discriminator, config.face_size) for name, video in (("real", real), ("fake", fake))}
        expected_d["d_face_real"] = 0.5 * sum(0.5 * ((scores - 1) ** 2).mean() for scores in faces["real"])
        expected_d["d_face_fake"] = 0.5 * sum(0.5 * (scores**2).mean() for scores in faces["fake"])
        expected_g["g_face"] = sum(0.5 * ((scores - 1) ** 2).mean() for scores in faces["fake"])
    for loss, expected in ((gan.discriminator_loss, expected_d), (gan.generator_loss, expected_g)):
        terms, _ = loss(batch)
        assert terms.keys() == expected.keys()
        for name, value in expected.items():
            assert float(terms[name]) == pytest.approx(value, rel=2e-3), name


def test_perceptual_terms_have_the_weights_of_the_phase(gan, monkeypatch):
    config, batch = gan.config, batch_of(gan.config)
    monkeypatch.setattr(vgg19, "perceptual_distance", lambda network, a, b: tf.reduce_mean(tf.abs(a - tf.stop_gradient(b))))
    gan.vgg = vgg19.VGG19("vgg19:stand_in.h5")
    terms, _ = gan.generator_loss(batch)
    gan.vgg = None
    fake, real = generated(batch, gan.generator), batch["video"].numpy().astype(np.float64)
    of_frames = [abs(fake[:, t] - real[:, t]).mean() for t in range(2)]
    weight = 5 if config.phase == "global" else 10
    assert float(terms["g_perceptual_stand_in"]) == pytest.approx(weight * sum(of_frames), rel=1e-3)
    if config.phase == "face":
        distance = 0.0
        for t in range(2):
            boxes = [np.s_[n, t, top : top + 32, left : left + 32] for n, (top, left) in enumerate(corners(batch, 32)[:, t])]
            distance += np.mean([abs(fake[box] - real[box]).mean() for box in boxes])
        assert float(terms["g_face_perceptual_stand_in"]) == pytest.approx(5 * distance, rel=1e-3)


def test_the_second_frames_gradient_goes_through_the_first():
    gan = scrambled(small("everybody_dance_now"))
    source = clips(2, 16, 1)
    with tf.GradientTape() as tape:
        tape.watch(source)
        second = tf.reduce_sum(tf.square(gan.generator(source, mode="train")[:, 1]))
    assert np.any(np.abs(tape.gradient(second, source)[:, 0]) > 1e-3)


def test_a_step_is_that_computed_by_hand():
    config = small("everybody_dance_now", g_learning_rate=0.01, d_learning_rate=0.02)
    gan, twin, batch = scrambled(config), scrambled(config), batch_of(config)
    steps = tf.Variable(0, dtype=tf.int64)
    before = {name: [w.numpy() for w in getattr(gan, name).trainable_variables] for name in ("generator", "discriminator")}
    scalars = make_step(gan, make_optimizers(gan, steps), steps, tf.distribute.get_strategy(), flat=True)([batch])
    poses = (batch["source"] + 1) / 2

    def fakes() -> tf.Tensor:
        first = twin.generator.frame(tf.concat([poses[:, 0], tf.zeros_like(poses[:, 0])], -1))
        return tf.stack([first, twin.generator.frame(tf.concat([poses[:, 1], first], -1))], 1)

    def maps(video: tf.Tensor) -> list[tf.Tensor]:
        (found,) = twin.discriminator.main(tf.concat([poses[:, 0], poses[:, 1], video[:, 0], video[:, 1]], -1), mode="train")
        return found

    def update(network, rate: float, loss: tf.Tensor, tape: tf.GradientTape) -> None:
        AdamByHand(network, config, rate).apply(tape.gradient(loss, [weight.value for weight in network.trainable_variables]))

    with tf.GradientTape() as tape:
        d_loss = tf.reduce_mean((maps(batch["video"])[-1] - 1) ** 2) / 2 + tf.reduce_mean(maps(fakes())[-1] ** 2) / 2
    update(twin.discriminator, 0.02, d_loss, tape)
    with tf.GradientTape() as tape:
        of_real, of_fake = maps(batch["video"]), maps(fakes())
        features = 10 * tf.add_n([tf.reduce_mean(abs(tf.stop_gradient(r) - f)) for r, f in zip(of_real[:4], of_fake[:4], strict=True)])
        g_loss = tf.reduce_mean((of_fake[-1] - 1) ** 2)
        total = g_loss + features
    update(twin.generator, 0.01, total, tape)
    assert float(scalars["d_real"] + scalars["d_fake"]) == pytest.approx(float(d_loss), rel=1e-4)
    assert (float(scalars["g_loss"]), float(scalars["g_features"])) == pytest.approx((float(g_loss), float(features)), rel=1e-3)
    for name, first in before.items():
        moved = []
        for ours, theirs, old in zip(getattr(gan, name).trainable_variables, getattr(twin, name).trainable_variables, first, strict=True):
            moved.append(np.abs(theirs.numpy() - old).max())
            if "bias" not in ours.path:  # those before a norm have no gradient but rounding's, which Adam makes steps of
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=0.1 * moved[-1] + 1e-6, err_msg=ours.path)
        assert np.mean(np.array(moved) > 1e-3) > 0.5


def test_phases_begin_from_each_other_and_train_what_they_are_to(tmp_path):
    size = {"size": 32, "face_size": 16}
    layers = {"global": ({"trunk"}, {"painter"}), "local": ({"trunk", "enhancer", "local_painter"}, set())}
    made = {}
    for phase, before in (("global", ""), ("local", "global"), ("face", "local")):
        config = small("everybody_dance_now", phase=phase, init_from=str(tmp_path / before) if before else "", **size)
        keras.utils.set_random_seed(len(made) + 1)
        gan, steps = edn.Model(config), tf.Variable(0, dtype=tf.int64, trainable=False)
        run = Run(tmp_path / phase, config, gan, ("dancer",), make_optimizers(gan, steps), steps)
        if before:
            run.begin_from(config.init_from)
            for name in layers[before][0]:
                for a, b in zip(getattr(gan.generator, name).weights, getattr(made[before].generator, name).weights, strict=True):
                    np.testing.assert_array_equal(a, b)
        run.claim()
        run.save()
        made[phase] = gan
    face = made["face"]
    trained = {weight.path.split("/")[0] for weight in face.generator.trainable_variables}
    assert len(face.generator.trainable_variables) == len(face.generator.face_trunk.weights) + 2 and trained
    assert len(face.discriminator.trainable_variables) == len(face.discriminator.main.weights) + len(
        face.discriminator.face.trainable_weights
    )
    alone = edn.Model(dataclasses.replace(face.config, train_main_d=False))
    assert len(alone.discriminator.trainable_variables) == len(alone.discriminator.face.trainable_weights)
    assert set(alone.discriminator_loss(batch_of(alone.config))[0]) == {"d_face_real", "d_face_fake"}


@pytest.mark.slow
def test_a_module_of_phase_face_translates_poses_and_boxes():
    gan = scrambled(small("everybody_dance_now", **FACE))
    sampler, batch = Sampler(gan).calibrate(), batch_of(gan.config)
    assert sampler.kind == "translation" and list(gan.input_specs) == ["source", "face"]
    video = sampler.translate(to_unit(batch["source"]), batch["face"])
    np.testing.assert_allclose(video, to_unit(gan.ema_generator(**gan.inputs(batch), mode="sample")), atol=1e-3)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"size": 18}, r"--size=18: expected a multiple of 4, at least 8, at --halvings=2"),
        ({"phase": "local", "size": 20}, r"--size=20: expected a multiple of 8, at least 16"),
        ({"phase": "body"}, r"--phase=body: expected one of global, local, face"),
        ({"frames": 1}, r"--frames=1: expected at least 2"),
        ({"phase": "face", "face_size": 24, "size": 32}, r"--face_size=24: expected a multiple of 16"),
    ],
)
def test_config_refuses_what_cannot_be_built(changes, message):
    with pytest.raises(UserError, match=message):
        small("everybody_dance_now", **changes)

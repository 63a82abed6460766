"""Clips without end: of a generator that goes on from its state, and of a prediction that is fed its own frames."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import toy
from tfvideogan import gan
from tfvideogan.generation import rollout
from tfvideogan.generation.module import Generator, from_module, write
from tfvideogan.generation.sampler import Sampler
from tfvideogan.layers.norm import BatchNorm, ConditionalBatchNorm, standing_at
from tfvideogan.ops.video import from_unit

FRAMES, GIVEN = 3, 2
SEED, WHOLE = tf.constant([3, 4]), tf.constant(1.0)
CONFIG = toy.config_of(frames=FRAMES, size=4, classes=5)


class Walk(keras.Model):
    """A clip of one color, that walks by what the latent says for each frame, from the label on."""

    def __init__(self, config):
        super().__init__(dtype="float32")
        self.pace = self.add_weight(name="pace", shape=[], initializer="ones")
        self.built = True

    def walk(self, z: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
        """[N,steps] and [N] -> [N,steps,4,4,3]."""
        color = at[:, None] + 0.05 * self.pace.value * tf.cumsum(z, 1)
        return tf.tile(color[..., None, None, None], [1, 1, 4, 4, 3])

    def call(self, z: tf.Tensor, label: tf.Tensor, mode: str) -> tf.Tensor:
        return self.walk(z, tf.cast(label, tf.float32) / 10)


class Synthesis(toy.Model):
    networks = Walk, toy.Discriminator
    unrolls = True
    latent_width = FRAMES

    def unroll(self, network, inputs, state):
        video = network.walk(inputs["z"], state.get("color", tf.cast(inputs["label"], tf.float32) / 10))
        return video, {"color": video[:, -1, 0, 0, 0]}


class Continuation(Walk):
    """Walks on from the last given frame."""

    def call(self, z: tf.Tensor, first_frames: tf.Tensor, mode: str) -> tf.Tensor:
        return tf.concat([first_frames, self.walk(z, first_frames[:, -1, 0, 0, 0])], 1)


class Prediction(toy.Model):
    networks = Continuation, toy.Discriminator
    unrolls = True
    latent_width = FRAMES

    def inputs(self, batch: gan.Batch) -> gan.Inputs:
        return {"z": self.latents(batch["seed"]), "first_frames": batch["video"][:, :GIVEN]}

    def unroll(self, network, inputs, state):
        if not state:
            video = network(**inputs, mode="sample")
            return video, {"color": video[:, -1, 0, 0, 0]}
        video = network.walk(inputs["z"], state["color"])
        return video, {"color": video[:, -1, 0, 0, 0]}


def sampler_of(kind: type[gan.GAN]) -> tuple[gan.GAN, Sampler]:
    model = kind(CONFIG)
    return model, Sampler(model, truncations=(0.5, 1.0)).calibrate()


@pytest.fixture(scope="module")
def synthesis() -> tuple[gan.GAN, Sampler]:
    return sampler_of(Synthesis)


@pytest.fixture(scope="module")
def prediction() -> tuple[gan.GAN, Sampler]:
    return sampler_of(Prediction)


def drawn(model: gan.GAN, part: int, clips: int) -> np.ndarray:
    """The latents of a part, [clips,FRAMES]: fold -1, -2, ... into the seed after the first part, then the number of the clip."""
    seed = SEED if part == 0 else tf.random.experimental.stateless_fold_in(SEED, -part)
    return model.latents(tf.stack([tf.random.experimental.stateless_fold_in(seed, i) for i in range(clips)])).numpy()


def joined(sampler: tf.Module, inputs: tuple, frames: int, suffix: str = "") -> np.ndarray:
    start, following = (getattr(sampler, f"{name}{suffix}") for name in ("start", "next"))
    return np.concatenate(list(rollout.parts(start, following, inputs, frames)), 1)


def beginnings(clips: int) -> tf.Tensor:
    color = tf.linspace(0.4, 0.6, clips)[:, None] + tf.constant([[-0.1, 0.0]])
    return tf.tile(tf.cast(color, tf.float32)[..., None, None, None], [1, 1, 4, 4, 3])


def test_a_clip_goes_on_from_its_state_with_fresh_noise(synthesis):
    model, sampler = synthesis
    label = tf.constant([1, 4])
    video = joined(sampler, (label, SEED, WHOLE), 8)
    steps = np.concatenate([drawn(model, part, 2) for part in range(3)], 1)[:, :8]
    by_hand = label.numpy()[:, None] / 10 + 0.05 * np.cumsum(steps, 1)
    np.testing.assert_allclose(video[..., 0, 0, 0], np.clip((by_hand + 1) / 2, 0, 1), atol=1e-6)
    np.testing.assert_array_equal(video[:, :FRAMES], sampler.sample(label, SEED, WHOLE))


@pytest.mark.parametrize("suffix", ["", "_unrolled"])
def test_a_prediction_goes_on_from_its_own_frames_or_its_state(prediction, suffix):
    model, sampler = prediction
    first = beginnings(3)
    video = joined(sampler, (first, SEED, WHOLE), 7, suffix)
    steps = np.concatenate([drawn(model, part, 3) for part in range(3)], 1)[:, :7]
    by_hand = (from_unit(first)[:, -1, 0, 0, 0].numpy()[:, None] + 0.05 * np.cumsum(steps, 1) + 1) / 2
    assert 0 < by_hand.min() and by_hand.max() < 1  # what is fed back is in [0,1]
    np.testing.assert_allclose(video[..., 0, 0, 0], by_hand, atol=1e-5)
    np.testing.assert_array_equal(video[:, :FRAMES], sampler.predict(first, SEED, WHOLE))


def test_what_is_fed_back_is_the_last_frames_given_ones_too():
    asked = []

    def predict(first: tf.Tensor, seed: tf.Tensor, truncation: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        asked.append((first[0, :, 0, 0, 0].numpy().tolist(), float(truncation), int(label[0])))
        return first[:, -1:] + 1.0

    start, following = rollout.feeding_back(predict)
    first = tf.reshape(tf.constant([5.0, 6.0, 7.0]), [1, 3, 1, 1, 1])
    parts = list(rollout.parts(start, following, (first, SEED, tf.constant(0.5), tf.constant([2])), 3))
    assert np.concatenate(parts, 1).ravel().tolist() == [8, 9, 10]
    assert asked == [([5, 6, 7], 0.5, 2), ([6, 7, 8], 0.5, 2), ([7, 8, 9], 0.5, 2)]


def test_a_truncation_stays_for_the_whole_clip(synthesis):
    model, sampler = synthesis
    still = joined(sampler, (tf.constant([2]), SEED, tf.constant(0.0)), 9)
    np.testing.assert_allclose(still, 0.6, atol=1e-6)


def test_an_exported_module_goes_on_as_the_run_does(prediction, tmp_path):
    _, sampler = prediction
    write(Generator("prediction", CONFIG, tuple(map(str, range(5))), 7, sampler), str(tmp_path / "module"), overwrite=False)
    module, first = from_module(str(tmp_path / "module"), CONFIG), beginnings(3)
    for suffix in ("", "_unrolled"):
        expected = joined(sampler, (first, SEED, WHOLE), 8, suffix)
        np.testing.assert_array_equal(joined(module.source, (first, SEED, WHOLE), 8, suffix), expected)
        assert module.goes_on(bool(suffix)) and f"start{suffix}(" in (tmp_path / "module" / "README.md").read_text()
        video = tf.pad(from_unit(first), [[0, 0], [0, 1], *[[0, 0]] * 3])  # of which the first two frames are given
        whole = np.concatenate(list(module.parts({"video": video}, SEED, 1.0, GIVEN + 8, bool(suffix))), 1)
        np.testing.assert_allclose(whole, np.concatenate([first, expected], 1), atol=1e-5)


def test_a_generator_that_cannot_go_on_has_no_start():
    sampler = Sampler(toy.Model(toy.config_of())).calibrate()
    assert not Generator("toy", CONFIG, (), 0, sampler).goes_on() and not hasattr(sampler, "next")


def test_later_frames_have_the_statistics_of_the_last_one():
    norm = ConditionalBatchNorm(2, 3, frames=4, per_frame=True)
    norm.standing[0].assign(tf.reshape(tf.range(8.0), [1, 4, 2]))
    norm.standing[1].assign(tf.ones([1, 4, 2]))
    x, condition = tf.zeros([4, 1, 1, 2]), tf.zeros([1, 3])
    np.testing.assert_allclose(norm(x, condition, mode="sample")[:, 0, 0], [[0, -1], [-2, -3], [-4, -5], [-6, -7]], rtol=1e-4)
    with standing_at([norm], tf.ones([1]), last=True):
        np.testing.assert_allclose(norm(x, condition, mode="sample")[:, 0, 0], [[-6, -7]] * 4, rtol=1e-4)
    np.testing.assert_allclose(norm(x, condition, mode="sample")[0, 0, 0], [0, -1], rtol=1e-4, atol=1e-6)
    plain = BatchNorm(2, 1e-5)
    plain.standing[0].assign([[[1.0, 2.0]]])
    with standing_at([plain], tf.ones([1]), last=True):
        assert plain(tf.zeros([1, 2]), mode="sample").numpy()[0, 0] < 0

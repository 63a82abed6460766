"""Adaptive augmentation, R1 and LeCAM: by numbers for the head, off as if they were not there, and exactly resumed."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import toy
from tests.training.toy import assert_equal, config_of
from tfvideogan import losses
from tfvideogan.config import UserError
from tfvideogan.gan import AUGMENT, FAKE_FRAMES, REAL_FRAMES, Batch
from tfvideogan.layers.augment import augment
from tfvideogan.ops import noise
from tfvideogan.training import regularizers
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.step import make_step

ALL = {"augment": "ada", "ada_clips": 128, "ada_target": -0.9, "r1_weight": 0.5, "r1_every": 3, "lecam_weight": 0.1, "lecam_decay": 0.5}


class Scored(toy.Model):
    """The toy, which hands its clips to D through `augment` and names its scores."""

    score_names = ("score_real",)

    def score(self, video: tf.Tensor, batch: Batch, stream: int) -> tf.Tensor:
        return self.discriminator(self.augment(video, noise.fork(batch["seed"], stream)))

    def discriminator_loss(self, batch):
        fake = self.score(self.generator(**self.inputs(batch), mode="train"), batch, FAKE_FRAMES)
        real = self.score(batch["video"], batch, REAL_FRAMES)
        return {"d_loss": tf.reduce_mean(tf.nn.softplus(fake) + tf.nn.softplus(-real))}, {"score_real": real, "score_fake": fake}

    def generator_loss(self, batch):
        fake = self.score(self.generator(**self.inputs(batch), mode="train"), batch, FAKE_FRAMES)
        return {"g_loss": tf.reduce_mean(tf.nn.softplus(-fake))}, {}


def batch_of(n: int, first: int = 0) -> Batch:
    seeds = tf.stack([tf.zeros([n], tf.int32), tf.range(first, first + n)], 1)
    return {"video": tf.tanh(noise.normal(noise.fork(seeds, 99), toy.SHAPE)), "label": tf.zeros([n], tf.int32), "seed": seeds}


def gan_of(**changes: object) -> Scored:
    keras.utils.set_random_seed(0)
    return Scored(config_of(**changes))


def trainer_of(gan: Scored):
    count = tf.Variable(0, dtype=tf.int64, trainable=False)
    return make_step(gan, make_optimizers(gan, count), count, tf.distribute.get_strategy())


def test_lecam_by_hand():
    real, fake = tf.constant([1.0, 3.0]), tf.constant([-1.0, 0.0])
    # To a_F = -1: 4 and 16; to a_R = 2: 9 and 4.
    assert float(losses.lecam(real, fake, tf.constant(2.0), tf.constant(-1.0))) == 10 + 6.5


def test_lecams_averages_begin_with_the_first_means_and_follow_their_decay():
    gan = gan_of(lecam_weight=0.3, lecam_decay=0.75)
    for update, (real, fake) in enumerate([(2.0, -1.0), (4.0, 1.0)]):
        scalars = {"score_real": tf.constant(real), "score_fake": tf.constant(fake)}
        regularizers.follow(gan, scalars, tf.constant(update, tf.int64))
    assert (float(gan.adaptive["lecam_score_real"]), float(gan.adaptive["lecam_score_fake"])) == (2.5, -0.5)
    terms, watched = regularizers.discriminator_loss(gan, batch_of(4))
    expected = np.mean((watched["score_real"] + 0.5) ** 2) + np.mean((watched["score_fake"] - 2.5) ** 2)
    assert float(terms["d_lecam"]) == pytest.approx(0.3 * expected, rel=1e-5)


def test_r1_of_a_linear_d_is_the_squared_length_of_its_weights_times_the_interval():
    gan, batch = gan_of(r1_weight=0.5, r1_every=4), batch_of(4)
    kernel = gan.discriminator.score.kernel.value
    with tf.GradientTape() as tape:
        terms, _ = regularizers.discriminator_loss(gan, batch, penalize=True)
        penalty = terms["d_r1"]
    assert float(penalty) == pytest.approx(0.5 * 4 * float(tf.reduce_sum(tf.square(kernel))), rel=1e-5)
    np.testing.assert_allclose(tape.gradient(penalty, kernel), 0.5 * 4 * 2 * kernel, rtol=1e-4)
    terms, extra = regularizers.discriminator_loss(gan, batch)
    assert "d_r1" not in terms and float(extra["d_r1"]) == 0


def test_r1_comes_in_every_so_many_updates_and_is_shown_in_between():
    gan = gan_of(r1_weight=0.5, r1_every=3)
    step, seen, due = trainer_of(gan), [], []
    for i in range(7):
        squared = 0.5 * float(tf.reduce_sum(tf.square(gan.discriminator.score.kernel)))
        seen.append(float(step([batch_of(4, 4 * i)])["d_r1"]))
        due.append(seen[-1] == pytest.approx(squared, rel=1e-4))
    assert due == [True, False, False, True, False, False, True]
    assert seen[0] == seen[1] == seen[2] != seen[3] == seen[4] == seen[5] != seen[6]


def follow_signs(signs: list[float], start: float = 0.0, **changes: object) -> list[float]:
    """p after each update of D whose real scores have these mean signs."""
    gan = gan_of(augment="ada", batch_size=8, **{"ada_clips": 320, **changes})
    gan.adaptive["augment_p"].assign(start)
    after = []
    for update, sign in enumerate(signs):
        regularizers.follow(gan, {"score_real_sign": tf.constant(sign)}, tf.constant(update, tf.int64))
        after.append(float(gan.adaptive["augment_p"]))
    return after


def test_p_rises_on_an_overfitting_sign_and_falls_on_another():
    # Every fourth update, by 4 * 8 of 320 clips.
    assert follow_signs([1.0] * 9) == pytest.approx([0, 0, 0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2])
    assert follow_signs([0.0] * 9, start=0.5) == pytest.approx([0.5, 0.5, 0.5, 0.4, 0.4, 0.4, 0.4, 0.3, 0.3])
    # The mean of four decides: .65 is above .6, .55 is not; and what came before is forgotten.
    assert follow_signs([1.0, 1.0, 0.3, 0.3, 1.0, 1.0, 0.1, 0.1], start=0.5)[3::4] == pytest.approx([0.6, 0.5])
    assert follow_signs([0.5] * 4, start=0.5, ada_target=0.4)[3] == pytest.approx(0.6)


def test_p_stays_a_probability_and_goes_from_0_to_1_in_ada_clips():
    assert follow_signs([1.0] * 48)[35:] == pytest.approx([0.9] * 4 + [1.0] * 9)
    assert follow_signs([0.0] * 8) == [0.0] * 8


class Two(Scored):
    """With two scores, of which the second is told."""

    score_names = "score_real", "other_real"


def test_the_discriminator_that_overfits_most_decides():
    for signs, p in (((0.0, 1.0), 0.1), ((1.0, 0.0), 0.1), ((0.5, 0.5), 0.0)):
        gan = Two(config_of(augment="ada", batch_size=8, ada_clips=320))
        for update in range(4):
            scalars = dict(zip(("score_real_sign", "other_real_sign"), map(tf.constant, signs), strict=True))
            regularizers.follow(gan, scalars, tf.constant(update, tf.int64))
        assert float(gan.adaptive["augment_p"]) == pytest.approx(p)


def test_a_trained_p_follows_what_d_scores():
    for bias, p in ((9.0, 1.0), (-9.0, 0.0)):  # all real clips are scored above 0, or below
        gan = gan_of(augment="ada", ada_clips=16, d_learning_rate=1e-6)
        gan.discriminator.score.bias.assign([bias])
        gan.adaptive["augment_p"].assign(0.5)
        step = trainer_of(gan)
        scalars = [step([batch_of(4, 4 * i)]) for i in range(4)][-1]
        assert float(scalars["augment_p"]) == p and float(scalars["score_real_sign"]) == np.sign(bias)


def test_the_draws_are_of_a_stream_of_their_own():
    # Or MoCoGAN's noise and DVD-GAN's frames, which follow from the same seeds, would go with them.
    gan, batch = gan_of(augment="diffaugment"), batch_of(4)
    expected = augment(batch["video"], noise.fork(batch["seed"], AUGMENT), 1.0, 1.0, False)
    np.testing.assert_array_equal(gan.augment(batch["video"], batch["seed"]), expected)


def test_off_is_as_if_they_were_not_there(trained):
    plain = trained("plain", config_of(steps=3), toy.Model)  # which knows nothing of them
    assert_equal(trained("off", config_of(steps=3), Scored), plain)
    never = {"r1_weight": 0.0, "r1_every": 2, "lecam_decay": 0.5, "ada_target": 0.1, "ada_clips": 8, "augment_strength": 0.5}
    assert_equal(trained("never", config_of(steps=3, **never), Scored), plain)
    assert not [name for name in plain if name.startswith("adaptive")]


@pytest.mark.parametrize("name", ["augment", "r1_weight", "lecam_weight"])
def test_each_alone_has_an_effect(name, trained):
    value = {"augment": "diffaugment"}.get(name, 0.5)
    plain, other = trained("plain", config_of(), Scored), trained("other", config_of(**{name: value}), Scored)
    assert np.any(plain["discriminator/score/kernel"] != other["discriminator/score/kernel"])


@pytest.mark.parametrize("r1_weight", [0.0, pytest.param(0.5, marks=pytest.mark.slow)])
def test_a_resumed_run_is_the_uninterrupted_one_with_all_its_state(r1_weight, trained):
    config = config_of(steps=5, d_steps=2, **{**ALL, "r1_weight": r1_weight})
    whole = trained("whole", config, Scored)
    state = {name for name in whole if name.startswith("adaptive/")}
    assert state == {f"adaptive/{name}" for name in ("augment_p", "score_real_sign", "lecam_score_real", "lecam_score_fake")}
    trained("parts", dataclasses.replace(config, steps=3), Scored)  # after six updates of D: in the middle of both intervals
    assert_equal(trained("parts", config, Scored), whole)


def test_what_decides_on_the_state_cannot_change(trained):
    trained("run", config_of(steps=1), Scored)
    for name, value in (("augment", "ada"), ("lecam_weight", 0.1)):
        with pytest.raises(UserError, match=rf"--{name}={value} \(was .*\) cannot change in a run; expected another --workdir"):
            trained("run", config_of(**{name: value}), Scored)


def test_a_batch_in_parts_takes_the_step_of_the_whole():
    results = []
    for parts in (1, 2):
        gan = gan_of(accumulate_steps=parts, **ALL)
        step = trainer_of(gan)
        scalars = [step([batch_of(4, 4 * i)]) for i in range(5)][-1]
        results.append({**scalars, **gan.adaptive, **{f"weight{i}": w for i, w in enumerate(gan.trainable_variables)}})
    whole, halves = results
    assert halves.keys() == whole.keys() and float(whole["augment_p"]) > 0
    for name, value in whole.items():
        np.testing.assert_allclose(halves[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


COLORS = np.array([[0.7, -0.1, -0.5], [-0.3, 0.6, 0.2]], np.float32)  # of the clips of two classes


class Colored(Scored):
    """G has a color for each class; D looks at a clip's mean color, by weights for each class."""

    leaky = False

    def __init__(self, config):
        super().__init__(config)
        self.generator = keras.layers.Embedding(2, 3, embeddings_initializer="zeros")
        self.discriminator = keras.layers.Embedding(2, 3, embeddings_initializer="zeros")
        self.ema_generator = keras.layers.Embedding(2, 3)
        for network in (self.generator, self.discriminator, self.ema_generator):
            network.build([None])

    def clips(self, batch: Batch) -> tf.Tensor:
        return tf.broadcast_to(self.generator(batch["label"])[:, None, None, None], [tf.shape(batch["label"])[0], *toy.SHAPE])

    def score(self, video: tf.Tensor, batch: Batch, stream: int) -> tf.Tensor:
        seen = video if self.leaky and stream == FAKE_FRAMES else self.augment(video, noise.fork(batch["seed"], stream))
        return tf.reduce_sum(self.discriminator(batch["label"]) * tf.reduce_mean(seen, [1, 2, 3]), -1)

    def discriminator_loss(self, batch):
        real, fake = self.score(batch["video"], batch, REAL_FRAMES), self.score(self.clips(batch), batch, FAKE_FRAMES)
        return {"d_loss": losses.logistic_discriminator(real, fake)}, {"score_real": real, "score_fake": fake}

    def generator_loss(self, batch):
        return {"g_loss": losses.logistic_generator(self.score(self.clips(batch), batch, FAKE_FRAMES))}, {}


@pytest.mark.parametrize("augment, leaky", [("diffaugment", False), ("ada", False), ("diffaugment", True)])
def test_neither_color_nor_class_of_what_is_generated_is_augmented(augment, leaky):
    # A linear D with R1 converges (Mescheder et al., "Dirac-GAN"). If generated clips are not augmented, G's do the same: they are grayer.
    changes = {"augment": augment, "batch_size": 32, "r1_weight": 100.0, "r1_every": 1, "ada_target": -0.9, "ada_clips": 1000}
    gan = Colored(config_of(**changes, g_learning_rate=0.02, d_learning_rate=0.02, beta_1=0.5))
    gan.leaky = leaky
    step, mean = trainer_of(gan), []
    for i in range(240):
        seeds, label = tf.stack([tf.zeros([32], tf.int32), tf.range(32 * i, 32 * i + 32)], 1), tf.range(32) % 2
        video = tf.broadcast_to(tf.gather(tf.constant(COLORS), label)[:, None, None, None], [32, *toy.SHAPE])
        scalars = step([{"video": video, "label": label, "seed": seeds}])
        mean.append(gan.generator.embeddings.numpy())
    color = np.mean(mean[-80:], 0)
    error = np.abs(color - COLORS).max()
    assert error > 0.1 if leaky else error < 0.05
    assert augment == "diffaugment" or float(scalars["augment_p"]) > 0.5  # it was at work
    distances = np.linalg.norm(color[:, None] - COLORS[None], axis=-1)
    assert list(distances.argmin(1)) == [0, 1]


TWO = """
import sys
import keras, numpy as np, tensorflow as tf
from tests.training.regularizers_test import ALL, Scored, batch_of
from tests.training.toy import config_of
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.step import make_step
from tfvideogan.training.strategy import make_strategy

replicas = int(sys.argv[1])
strategy = make_strategy("mirrored" if replicas > 1 else "one", replicas)
with strategy.scope():
    keras.utils.set_random_seed(0)
    gan = Scored(config_of(batch_size=8, d_steps=2, **ALL))
    count = tf.Variable(0, dtype=tf.int64, trainable=False)
    step = make_step(gan, make_optimizers(gan, count), count, strategy)


def share(context, first):
    i = context.replica_id_in_sync_group
    return {name: value[i * 8 // replicas : (i + 1) * 8 // replicas] for name, value in batch_of(8, first).items()}


for i in range(5):
    distributed = [strategy.experimental_distribute_values_from_function(lambda c: share(c, 16 * i + 8 * k)) for k in (0, 1)]
    scalars = step(distributed)
held = {**scalars, **gan.adaptive, **{f"weight{i}": w for i, w in enumerate(gan.trainable_variables)}}
np.savez(sys.argv[2], **{name: np.asarray(value) for name, value in held.items()})
"""


def test_two_replicas_follow_what_one_does(tmp_path):
    for replicas in ("1", "2"):
        file = str(tmp_path / f"{replicas}.npz")
        done = subprocess.run(
            [sys.executable, "-c", TWO, replicas, file], capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=200
        )
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = np.load(tmp_path / "1.npz"), np.load(tmp_path / "2.npz")
    assert one.keys() == two.keys() and "augment_p" in one and "lecam_score_fake" in one and one["d_r1"] > 0 < one["augment_p"]
    for name in one.keys() - {"d_gradient_norm", "g_gradient_norm"}:  # which are of a replica's own gradient
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"augment": "color"}, "--augment=color: expected one of none, diffaugment, ada"),
        ({"augment_strength": 0.0}, "--augment_strength=0: expected above 0, and at most 1"),
        ({"ada_target": 1.0}, "--ada_target=1: expected between -1 and 1, as the mean of a sign"),
        ({"ada_clips": 0}, "--ada_clips=0: expected at least 1"),
        ({"r1_every": 0}, "--r1_every=0: expected at least 1"),
        ({"r1_weight": -1.0}, "--r1_weight=-1.0: expected 0 or more"),
        ({"lecam_decay": 1.0}, "--lecam_decay=1: expected at least 0 and less than 1"),
    ],
)
def test_impossible_values_are_refused(changes, told):
    with pytest.raises(UserError) as caught:
        config_of(**changes)
    assert str(caught.value) == told

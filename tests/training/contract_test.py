"""What a GAN may ask of the training beside losses: rates, phases, other runs' weights, frozen networks, long clips in chunks."""

import dataclasses
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models_test import step_of
from tests.training import toy
from tests.training.toy import assert_equal, config_of, held
from tfvideogan import models
from tfvideogan.config import UserError, field
from tfvideogan.gan import Batch
from tfvideogan.ops import noise
from tfvideogan.training import cost
from tfvideogan.training.optimizers import make_optimizers, schedule


@pytest.mark.parametrize(
    "changes, factors",
    [
        ({}, {0: 1, 99: 1}),
        ({"learning_rate_schedule": "linear"}, {0: 1, 25: 0.75, 99: 0.01, 100: 0, 101: 0}),
        ({"learning_rate_schedule": "linear", "decay_start_step": 50}, {0: 1, 50: 1, 51: 0.98, 75: 0.5, 99: 0.02, 100: 0}),
        ({"learning_rate_schedule": "halving", "decay_every_steps": 10}, {0: 1, 9: 1, 10: 0.5, 19: 0.5, 20: 0.25, 99: 2**-9}),
    ],
)
def test_rates_follow_the_number_of_generator_steps(changes, factors):
    step = tf.Variable(0, dtype=tf.int64)
    factor = schedule(config_of(steps=100, **changes), step)
    for done, expected in factors.items():
        step.assign(done)
        assert float(factor()) == pytest.approx(expected, rel=1e-6, abs=1e-7), done


@pytest.mark.parametrize("changes", [{"learning_rate_schedule": "cosine"}, {"learning_rate_schedule": "halving"}, {"decay_start_step": -1}])
def test_a_schedule_that_there_is_not_is_refused(changes):
    with pytest.raises(UserError, match="--(learning_rate_schedule=cosine|decay_every_steps=0|decay_start_step=-1): expected"):
        config_of(**changes)


def way(folder, name: str, steps: tuple[int, int]) -> np.ndarray:
    before, after = (held(folder, step)[name] for step in steps)
    return after - before


@pytest.mark.parametrize("schedule_of", ["linear", "halving"])
def test_a_schedule_lowers_both_players_rates_and_a_resumed_run_goes_on_in_it(schedule_of, trained, tmp_path):
    # With both betas 0 an update of Adam is the rate, whatever the gradient; but where rounding makes the mean square 0.
    slow = {"g_learning_rate": 1e-3, "d_learning_rate": 1e-3}  # or D is soon so sure that G gets no gradient
    config = config_of(steps=4, d_steps=2, learning_rate_schedule=schedule_of, decay_every_steps=2, **slow, beta_2=0.0, adam_epsilon=1e-12)
    whole = trained("whole", config)
    with_it = {"linear": (1, 0.75, 0.5, 0.25), "halving": (1, 1, 0.5, 0.5)}[schedule_of]
    for step, factor in enumerate(with_it):
        g, d = (
            np.abs(way(tmp_path / "whole", name, (step, step + 1))) for name in ("generator/texture/kernel", "discriminator/score/kernel")
        )
        assert np.median(g) == pytest.approx(1e-3 * factor, rel=1e-3)
        assert np.quantile(d, 0.9) == pytest.approx(2e-3 * factor, rel=1e-3)  # two updates of the same sign
    for name in held(tmp_path / "whole", 2):  # the first half, as it would have been if killed
        assert "rate" not in name
    trained("halves", dataclasses.replace(config, checkpoint_every_steps=3, steps=4))
    for file in (tmp_path / "halves" / "checkpoints").glob("ckpt-4.*"):
        file.unlink()
    assert_equal(trained("halves", config), whole)


class Grouped(toy.Model):
    def learning_rates(self):
        return {"motion": ([self.generator.motion], 1e-3)}


def test_a_group_of_weights_has_its_rate_and_resumes_exactly(trained, tmp_path):
    config = config_of(steps=2, beta_2=0.0, adam_epsilon=1e-12)
    whole = trained("whole", config, Grouped)
    for name, rate in (("motion", 1e-3), ("texture", 1e-2)):
        assert np.abs(way(tmp_path / "whole", f"generator/{name}/kernel", (0, 1))).max() == pytest.approx(rate, rel=1e-3)
    trained("halves", dataclasses.replace(config, steps=1), Grouped)
    assert_equal(trained("halves", config, Grouped), whole)


@pytest.mark.parametrize(
    "groups, told", [(("motion", "motion"), "has weights of another group"), (("frozen",), "trained by neither player")]
)
def test_a_group_of_a_weight_with_two_rates_or_of_none_is_an_error(groups, told):
    class Wrong(toy.Model):
        frozen = None

        def learning_rates(self):
            return {f"group {i}": ([getattr(self.generator, name, self.frozen)], 1e-3) for i, name in enumerate(groups)}

    gan = Wrong(config_of())
    gan.frozen = keras.layers.Dense(1)
    gan.frozen.build([None, 1])
    with pytest.raises(ValueError, match=told):
        make_optimizers(gan, tf.Variable(0, dtype=tf.int64))


@dataclasses.dataclass(frozen=True)
class PhaseConfig(toy.Config):
    phase: str = field("motion", "What is trained: motion, or texture on the motion of an earlier run.", network=True)


class PhaseGenerator(toy.Generator):
    """In phase "texture" another texture, on a motion that is not trained."""

    def __init__(self, config: PhaseConfig):
        super().__init__(config)
        self.motion.trainable = config.phase == "motion"
        if config.phase == "texture":
            self.detail = keras.layers.Dense(int(np.prod(toy.SHAPE)))
            self.detail.build([None, 6])

    def call(self, z: tf.Tensor, label: tf.Tensor, mode: str) -> tf.Tensor:
        hidden = tf.tanh(self.motion(z))
        total = self.texture(hidden) + (self.detail(hidden) if hasattr(self, "detail") else 0.0)
        return tf.reshape(tf.tanh(total), [-1, *toy.SHAPE])


class Phases(toy.Model):
    networks = PhaseGenerator, toy.Discriminator


def test_a_second_phase_begins_from_the_first_ones_weights(trained, tmp_path, caplog):
    first = trained("first", config_of(PhaseConfig, steps=2), Phases)
    config = config_of(PhaseConfig, phase="texture", init_from=str(tmp_path / "first"), steps=2)
    with caplog.at_level("INFO", logger="absl"):
        second = trained("second", config, Phases)
    started = held(tmp_path / "second", 0)
    networks = ("generator/", "ema_generator/", "discriminator/")
    for name in first:
        if name.startswith(networks):
            np.testing.assert_array_equal(started[name], first[name], err_msg=name)
    assert started["step"] == 0 and not np.any(started["g_optimizer/momentum/texture/kernel"])
    assert "10 of 14 variables from ckpt-2" in caplog.text
    names = "ema_generator/detail/bias, ema_generator/detail/kernel, generator/detail/bias, generator/detail/kernel"
    assert f"4 variables keep their first values: {names}" in caplog.text
    np.testing.assert_array_equal(second["generator/motion/kernel"], first["generator/motion/kernel"])  # frozen, and yet saved
    np.testing.assert_array_equal(second["ema_generator/motion/kernel"], first["generator/motion/kernel"])
    assert np.any(second["generator/texture/kernel"] != first["generator/texture/kernel"])
    assert "g_optimizer/momentum/motion/kernel" not in second
    assert f"--init_from={tmp_path / 'first'}\n" in (tmp_path / "second" / "run.flags").read_text()
    # Resumed it is the same run: the weights are taken once.
    trained("halves", dataclasses.replace(config, steps=1), Phases)
    trained("first", config_of(PhaseConfig, steps=3), Phases)
    assert_equal(trained("halves", config, Phases), second)
    with pytest.raises(UserError, match=r"--init_from= \(was \S+first\) cannot change"):
        trained("halves", dataclasses.replace(config, init_from="", steps=3), Phases)


def test_a_run_of_which_nothing_matches_is_refused_before_anything_is_written(trained, tmp_path):
    class Other(keras.Model):
        def __init__(self, config):
            super().__init__()
            self.motion = keras.layers.Dense(7)
            self.motion.build([None, 5])

    class Nothing(toy.Model):
        networks = Other, Other

    trained("first", config_of(steps=1))
    for folder, told in (("first", "no variable there has path and shape"), ("nowhere", "expected the folder of a run, got no checkpoint")):
        with pytest.raises(UserError, match=rf"^--init_from=\S+{folder}: {told}"):
            trained("second", config_of(init_from=str(tmp_path / folder)), Nothing)
    assert not (tmp_path / "second").exists()


class Frozen(toy.Model):
    """Its loss looks through a pretrained network."""

    def __init__(self, config):
        super().__init__(config)
        self.pretrained = keras.layers.Dense(3)
        self.pretrained.build([None, int(np.prod(toy.SHAPE))])

    def generator_loss(self, batch):
        terms, watched = super().generator_loss(batch)
        fake = self.generator(**self.inputs(batch), mode="train")
        seen = [self.pretrained(tf.reshape(video, [-1, int(np.prod(toy.SHAPE))])) for video in (fake, batch["video"])]
        return {**terms, "g_perceptual": tf.reduce_mean(tf.square(seen[0] - seen[1]))}, watched


def test_a_pretrained_network_is_neither_trained_nor_averaged_counted_or_saved(trained, monkeypatch):
    built = []
    build = models.build
    monkeypatch.setattr(models, "build", lambda config: built.append(build(config)) or built[-1])
    config = config_of(steps=2)
    whole = trained("whole", config, Frozen)
    first, gan = Frozen(config), built[-1]
    weights = [weight.numpy() for weight in gan.pretrained.weights]
    trained("halves", dataclasses.replace(config, steps=1), Frozen)
    assert_equal(trained("halves", config, Frozen), whole)
    assert first is not gan and all(np.array_equal(a, b) for a, b in zip(weights, built[0].pretrained.weights, strict=True))
    assert whole.keys() == trained("plain", config).keys() and not [name for name in whole if "pretrained" in name]
    count = lambda kind: (trained("count", config_of(steps=0), kind), cost.measure(config))[1]  # noqa: E731
    with_it, without = count(Frozen), count(toy.Model)
    assert (with_it.generator, with_it.discriminator, with_it.variables) == (without.generator, without.discriminator, without.variables)


class Recurrent(toy.Model):
    """Learns clips of four frames in two chunks of two; the last frame of a chunk is what the next one begins with."""

    chunks = 2

    def chunk(self, batch: Batch, i: int) -> Batch:
        return {**batch, "video": batch["video"][:, 2 * i : 2 * i + 2], "seed": noise.fork(batch["seed"], 500 + i)}

    def initial_state(self, batch: Batch) -> Batch:
        return {"last": tf.zeros_like(batch["video"][:, 0])}

    def next_state(self, chunk: Batch) -> Batch:
        return {"last": self.fake(chunk)[:, -1]}

    def fake(self, chunk: Batch) -> tf.Tensor:
        return tf.tanh(self.generator(**self.inputs(chunk), mode="train")[:, :2] + chunk["last"][:, None])

    def discriminator_loss(self, batch):
        tf.debugging.assert_equal(tf.shape(batch["video"])[1], 2)
        real, fake = (self.discriminator(tf.repeat(video, 2, 1)) for video in (batch["video"], self.fake(batch)))
        return {"d_loss": tf.reduce_mean(tf.nn.softplus(fake) + tf.nn.softplus(-real))}, {"last": tf.reduce_mean(tf.abs(batch["last"]))}

    def generator_loss(self, batch):
        return {"g_loss": tf.reduce_mean(tf.nn.softplus(-self.discriminator(tf.repeat(self.fake(batch), 2, 1))))}, {}


@pytest.mark.parametrize("parts", [1, 2])
def test_chunks_of_a_clip_hand_on_their_state_and_resume_exactly(parts, trained):
    config = config_of(steps=2, d_steps=2, accumulate_steps=parts)
    whole = trained("whole", config, Recurrent)
    assert whole["d_optimizer/iterations"] == 2 * 2 * 2 and whole["g_optimizer/iterations"] == 2 * 2  # of both chunks
    trained("halves", dataclasses.replace(config, steps=1), Recurrent)
    assert_equal(trained("halves", config, Recurrent), whole)

    class Forgetful(Recurrent):
        def next_state(self, chunk: Batch) -> Batch:
            return self.initial_state(chunk)

    forgot = trained("forgetful", config, Forgetful)
    assert np.any(forgot["generator/texture/kernel"] != whole["generator/texture/kernel"])


class Growing(Recurrent):
    """Learns the last two frames in the first two steps, in one chunk, and then all four."""

    def chunks_at(self, step: int) -> int:
        return 1 if step < 2 else 2

    def sequence(self, batch: Batch, chunks: int) -> Batch:
        return {**batch, "video": batch["video"][:, -2 * chunks :]}

    def initial_state(self, batch: Batch) -> Batch:
        return {"last": tf.zeros_like(batch["video"][:, 0]) + float(batch["video"].shape[1])}


@pytest.mark.parametrize("parts, killed", [(1, 3), (2, 1)])
def test_sequences_that_grow_resume_exactly(parts, killed, trained, tmp_path):
    config = config_of(steps=4, accumulate_steps=parts)
    whole = trained("whole", config, Growing)
    assert whole["g_optimizer/iterations"] == whole["d_optimizer/iterations"] == 1 + 1 + 2 + 2
    trained("killed", dataclasses.replace(config, steps=killed), Growing)
    assert_equal(trained("killed", config, Growing), whole)

    class Whole(Growing):
        def sequence(self, batch: Batch, chunks: int) -> Batch:
            return batch

    trained("other", dataclasses.replace(config, steps=1), Whole)
    ours, others = (held(tmp_path / name, 1)["generator/texture/kernel"] for name in ("whole", "other"))
    assert np.any(ours != others)  # what is learned at first is the part of the clip


def test_a_dry_run_tells_the_cost_of_the_longest_sequence(monkeypatch):
    costs = []
    for kind in (Recurrent, Growing):
        monkeypatch.setattr(models, "find", lambda name, kind=kind: SimpleNamespace(Model=kind, Config=toy.Config))
        costs.append(cost.measure(config_of()).flops)
    assert costs[0] == costs[1]


def test_a_step_in_chunks_is_that_computed_by_hand():
    config = config_of()
    batch = {
        "video": tf.tanh(tf.random.stateless_normal([4, *toy.SHAPE], [0, 1])),
        "label": tf.zeros([4], tf.int32),
        "seed": tf.stack([tf.range(4), tf.range(4)], 1),
    }
    keras.utils.set_random_seed(0)
    gan = Recurrent(config)
    keras.utils.set_random_seed(0)
    twin = Recurrent(config)
    scalars = step_of(gan)([batch])
    count = tf.Variable(0, dtype=tf.int64)
    optimizers = make_optimizers(twin, count)
    state = twin.initial_state(batch)
    for i in range(2):
        chunk = {**twin.chunk(batch, i), **state}
        for name, network, loss, seed in (
            ("d_optimizer", twin.discriminator, twin.discriminator_loss, chunk["seed"]),
            ("g_optimizer", twin.generator, twin.generator_loss, noise.fork(chunk["seed"], 3)),
        ):
            with tf.GradientTape() as tape:
                terms, watched = loss({**chunk, "seed": seed})
                total = sum(terms.values())
            weights = network.trainable_variables
            optimizers[name].apply(tape.gradient(total, [weight.value for weight in weights]), weights)
            if i and watched:
                assert float(scalars["last"]) == pytest.approx(float(watched["last"]), rel=1e-5) and float(watched["last"]) > 0
        state = twin.next_state(chunk)
    for mine, theirs in ((gan.generator, twin.generator), (gan.discriminator, twin.discriminator)):
        for a, b in zip(mine.trainable_variables, theirs.trainable_variables, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)

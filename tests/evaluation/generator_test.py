"""Evaluation of a generator, of clips that are made up."""

import dataclasses

import pytest
import tensorflow as tf

from tests.conftest import small
from tests.evaluation.evaluation_test import Means, noise
from tfvideogan import data
from tfvideogan.config import UserError
from tfvideogan.evaluation import generator
from tfvideogan.evaluation.settings import Settings
from tfvideogan.generation.module import Generator

CONFIG = small("dvdgan", dataset="moving_shapes/plain", size=32, frames=3, evaluate_videos=40, seed=5)
LABELS = data.load(CONFIG, "train").labels


def made_up(**changes) -> tuple[Generator, list]:
    """A generator of noise, and where it notes the seeds and truncations it is asked for."""
    asked = []

    def sample(label: tf.Tensor, seed: tf.Tensor, truncation: tf.Tensor) -> tf.Tensor:
        asked.append((int(seed[0]), float(truncation)))
        return noise({"label": label}, seed) * truncation

    module = tf.Module()
    module.sample = sample
    return Generator("some/run", dataclasses.replace(CONFIG, **changes), LABELS, 8, module), asked


def evaluated(**settings):
    model, asked = made_up()
    return generator.evaluate(model, Settings(**{"metrics": ("is", "fid"), **settings}), Means()), asked


def test_one_set_of_clips_is_scored_and_the_protocol_says_all():
    found, asked = evaluated(real_videos=64, truncation=0.5)
    assert [record["metric"] for record in found.records] == ["is/means", "fid/means"]
    assert set(asked) == {(5, 0.5)}
    assert (found.name, found.step, found.curve, found.sections) == ("run: dvdgan on moving_shapes/plain", 8, [], ())
    told = found.records[0]["protocol"]
    assert (told["num_real"], told["num_fake"], told["repeats"], told["is_splits"]) == (64, 40, 1, 1)
    assert (told["truncation"], told["seed"], told["labels"], told["ema"]) == (0.5, 5, "shares of the real clips", True)


def test_repeats_are_of_the_seeds_that_follow():
    once, _ = evaluated(metrics=("is",))
    found, asked = evaluated(metrics=("is",), repeats=2)
    assert sorted({seed for seed, _ in asked}) == [5, 6]
    first, both = once.records[0], found.records[0]
    assert both["protocol"]["repeats"] == 2 and both["std"] > 0
    assert both["std"] == pytest.approx(abs(first["value"] - both["value"]))  # of two numbers: their distance from the middle
    assert both["stderr"] == pytest.approx(both["std"])  # std sqrt 2 / sqrt 2


def test_the_curve_has_is_and_fid_at_each_truncation():
    found, asked = evaluated(curve=(0.5, 1.0))
    of = [(record["metric"], record["protocol"]["truncation"]) for record in found.curve]
    assert of == [("is/means", 0.5), ("fid/means", 0.5), ("is/means", 1.0), ("fid/means", 1.0)]
    assert found.curve[2]["value"] == found.records[0]["value"]  # not drawn twice
    assert len(asked) == 2 * 3  # 40 clips, 16 at a time


def test_where_no_metric_can_be_computed_each_has_its_reason():
    model, asked = made_up()
    with pytest.raises(UserError) as caught:
        generator.evaluate(model, Settings(("accuracy",)), Means())
    assert not asked  # nothing is drawn for nothing
    assert str(caught.value) == (
        "--metrics=accuracy: none of them can be computed: no accuracy: evaluator means knows other classes than the generator's"
    )
    model, _ = made_up(evaluate_videos=10)
    with pytest.raises(UserError, match="no accuracy: evaluator means .*; no kid: 10 clips, where it needs 16; no mmd: 10 clips"):
        generator.evaluate(model, Settings(("accuracy", "kid", "mmd"), report=True), Means())

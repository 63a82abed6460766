"""What a report says of memorization."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tfvideogan import data, models
from tfvideogan.evaluation import audit, evaluation
from tfvideogan.evaluators.load import load
from tfvideogan.generation.module import Generator
from tfvideogan.generation.sampler import Sampler
from tfvideogan.ops.video import to_unit


def test_copies_of_training_clips_are_found_and_shown_beside_them():
    config = small("dvdgan", dataset="moving_shapes/plain", evaluate_videos=32)
    training, evaluator = data.load(config, "train"), load("moving_shapes")
    seen = np.concatenate([batch["video"].numpy() for batch in training.batches(64).take(2)])

    def copy(label: tf.Tensor, seed: tf.Tensor, truncation: tf.Tensor) -> tf.Tensor:
        return to_unit(seen[seed[1] : seed[1] + len(label)])  # clips 0, 1, 2, ... of the training set

    source = tf.Module()
    source.sample = copy
    generator = Generator("copies", config, training.labels, 1, source)
    scored = evaluation.of_config(config, training.labels, ("fid",), 1.0, True, evaluator)
    fake = scored.generated(lambda batch, seed: generator.draw(batch, seed, 1.0), config.seed)
    section, record = audit.memorized(config, generator, fake, 1.0, evaluator, 128, lambda settings, make: make(), {"truncation": 1.0})
    assert (record["metric"], record["value"], record["stderr"]) == ("copying/moving_shapes", 1.0, 0.0)
    told = record["protocol"]
    assert (told["num_train"], told["num_held_out"], told["num_fake"], told["truncation"]) == (128, 128, 32, 1.0)
    assert "copying 1;" in section.text and "closer_than_p1 1;" in section.text
    rows = section.clips.reshape(audit.PAIRS, section.columns, *section.clips.shape[1:])
    np.testing.assert_array_equal(rows[:, 0], rows[:, 1])  # each beside the clip it is a copy of
    assert (rows[:, 1] != rows[:, 2]).any()


def test_no_audit_without_held_out_clips(caplog):
    config = small("dvdgan", dataset="moving_shapes/plain", split="train+test")
    with caplog.at_level("WARNING", logger="absl"):
        assert audit.memorized(config, None, None, 1.0, load("moving_shapes"), 128, lambda settings, make: make(), {}) is None
    assert "no memorization audit" in caplog.messages[-1]


@pytest.mark.slow
def test_interpolation_sheets_go_within_and_across_classes():
    config = dataclasses.replace(small("dvdgan"), classes=4)
    sampler = Sampler(models.build(config)).calibrate()
    generator = Generator("run", config, ("a", "b", "c", "d"), 1, sampler)
    section = audit.interpolated(generator, 1.0)
    assert list(section.names) == ["a", "b", "c", "a to b", "b to c", "c to d"]
    assert section.clips.shape == (6 * audit.STEPS, config.frames, 32, 32, 3) and section.clips.dtype == np.uint8

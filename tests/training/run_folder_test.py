"""The run folder."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tfvideogan import models
from tfvideogan.config import UserError, from_flags, to_flags
from tfvideogan.training.run_folder import Run
from tfvideogan.training.step import make_optimizers


def test_a_checkpoint_brings_every_variable_back(tmp_path):
    config = small("dvdgan")
    optimizers = make_optimizers(config)
    run = Run(str(tmp_path), config, models.build(config), ("a",), optimizers)
    expected = [variable.numpy() for variable in run.gan.variables]
    run.save()
    other = Run(str(tmp_path), config, models.build(dataclasses.replace(config, seed=1)), ("a",), optimizers)
    assert other.restore()
    for variable, value in zip(other.gan.variables, expected, strict=True):
        np.testing.assert_array_equal(variable, value)
    judged = Run(str(tmp_path), config, models.build(dataclasses.replace(config, seed=1)), ("a",))  # as after training
    assert judged.restore()
    for name in ("generator", "ema_generator"):
        for variable, value in zip(getattr(judged.gan, name).variables, getattr(run.gan, name).variables, strict=True):
            np.testing.assert_array_equal(variable, value)


def test_an_incomplete_checkpoint_is_refused(tmp_path):
    config = small("dvdgan")
    part = tf.train.Checkpoint(step=tf.Variable(0, dtype=tf.int64))
    tf.train.CheckpointManager(part, str(tmp_path / "checkpoints"), max_to_keep=1).save()
    run = Run(str(tmp_path), config, models.build(config), ("a",))
    with pytest.raises(UserError, match="does not hold all of dvdgan's variables"):
        run.restore()


def test_flags_hold_every_field():
    config = small("dvdgan", flip=True)
    lines = to_flags(config).splitlines()
    assert len(lines) == len(dataclasses.fields(config))
    assert "--flip=true" in lines and "--beta_2=0.999" in lines


def test_flags_of_earlier_versions_are_read_under_their_new_names():
    config = small("dvdgan", g_attention=8, d_attention=8)
    lines = [line for line in to_flags(config).splitlines() if "_attention" not in line]
    assert from_flags("\n".join(["# by hand", "", *lines, "--attention=8"])) == from_flags(to_flags(config))

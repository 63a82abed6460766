"""Config: defaults, and how a paper overrides them."""

import dataclasses

import pytest

from tests.conftest import LEAST, small
from tfvideogan import models
from tfvideogan.config import Clips, Config, Evaluation, UserError, field
from tfvideogan.evaluators import training


def of(kind: type, name: str) -> dataclasses.Field:
    return next(one for one in dataclasses.fields(kind) if one.name == name)


def test_an_override_keeps_type_and_help():
    @dataclasses.dataclass(frozen=True)
    class Paper(Config):
        frames = 12
        beta_1 = 0.5
        latent: int = field(8, "Width of z.", network=True)

    @dataclasses.dataclass(frozen=True)
    class Later(Paper):
        frames = 24
        latent = 16

    assert (Paper().frames, Paper().beta_1, Later().frames, Later().beta_1, Later().latent) == (12, 0.5, 24, 0.5, 16)
    assert Config().frames == 16 and Later(frames=3).frames == 3
    for name in ("frames", "beta_1"):
        assert (
            of(Paper, name).metadata == of(Config, name).metadata == of(Later, name).metadata
            and of(Later, name).type is of(Config, name).type
        )
    assert of(Later, "latent").metadata["help"] == "Width of z." and of(Later, "latent").metadata["fixed"]


@pytest.mark.parametrize("name, default, told", [("framess", 12, "overrides no field"), ("frames", 12.0, "got 12.0, expected int")])
def test_an_override_of_nothing_or_of_another_type_is_an_error(name, default, told):
    with pytest.raises(TypeError, match=rf"Paper\.{name}: {told}"):
        type("Paper", (Config,), {name: default, "__module__": "here"})


@pytest.mark.parametrize("name", models.names())
def test_a_paper_writes_no_help_twice(name):
    kind = models.find(name).Config
    for one in dataclasses.fields(Config):
        if one.name in kind.__annotations__:
            assert of(kind, one.name).metadata == one.metadata, one.name


def test_settings_of_clips_evaluation_and_training_are_told_apart():
    clips, evaluation, config = ({one.name for one in dataclasses.fields(kind)} for kind in (Clips, Evaluation, Config))
    assert clips < evaluation < config
    assert {"frames", "data_dir", "batch_size"} <= clips and evaluation - clips == {"evaluator", "evaluator_sha256", "evaluate_videos"}
    assert {"d_steps", "steps", "g_learning_rate", "model"} <= config - evaluation
    assert not {"d_steps", "model", "evaluator", "ema_decay"} & {one.name for one in dataclasses.fields(training.Config)}


def test_a_test_cannot_set_a_field_that_a_model_has_not():
    assert set(LEAST) == set(models.names())
    with pytest.raises(TypeError, match="clip_every_steps"):
        small("dvdgan", clip_every_steps=2)


@pytest.mark.parametrize("name", [one.name for one in dataclasses.fields(Config) if one.type is int])
def test_a_number_of_more_than_32_bits_is_refused(name):
    with pytest.raises(UserError, match=f"^--{name}=2147483648: expected at most 2147483647"):
        Config(**{name: 1 << 31})

"""What tests share: a small Config, and the folder of real videos where there is one."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tfvideogan import models
from tfvideogan.config import Config, UserError

LEAST = {
    "tgan": {"frames": 8, "clip_every_steps": 2},
    "vgan": {"frames": 8},
    "ftgan": {"frames": 8},
    "mocogan": {"content": 6, "motion": 4},
}  # what else a model cannot do without


def small(name: str, **changes: object) -> Config:
    """The least Config of a model that still has every part of it."""
    least = {"size": 32, "frames": 4, "channels": 2, "classes": 12, "batch_size": 4, "k": 2, "stride": 1, "latent": 8, "embedding": 8}
    least |= LEAST.get(name, {})
    fields = {field.name for field in dataclasses.fields(models.find(name).Config)}
    return models.find(name).Config(**{key: value for key, value in {**least, **changes}.items() if key in fields})


def refusal(load: Callable[[str, str], object], spec: str, sha256: str = "") -> str:
    """The one line with which an evaluator is refused."""
    with pytest.raises(UserError) as caught:
        load(spec, sha256)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def real_videos() -> Path:
    """Folder of real videos; the test is skipped without it."""
    folder = os.environ.get("TFVIDEOGAN_TEST_DATA")
    if not folder:
        pytest.skip("set TFVIDEOGAN_TEST_DATA to a folder of real videos")
    return Path(folder)

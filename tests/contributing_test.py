"""CONTRIBUTING.md's example of a new model is one that trains, samples and is exported."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.models_test import batch_of, step_of
from tfvideogan import models
from tfvideogan.generation import module
from tfvideogan.generation.sampler import Sampler

EXAMPLE = re.compile(r"<!-- example: models/(\w+)\.py -->\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def name(tmp_path, monkeypatch) -> str:
    """The example's name, its file among the models."""
    name, text = EXAMPLE.search((Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()).groups()
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    return name


def test_the_example_is_a_model(name, tmp_path):
    config = models.find(name).Config(model=name, frames=4, size=8, batch_size=4, classes=2)
    gan = models.build(config)
    before = [weight.numpy() for weight in gan.trainable_variables]
    step = step_of(gan)
    for number in range(2):
        scalars = step([batch_of(config, 4, first=4 * number)])
    assert all(np.isfinite(value) for value in scalars.values())
    assert not any(np.array_equal(a, b) for a, b in zip(before, gan.trainable_variables, strict=True))
    sampler = Sampler(gan).calibrate()
    module.write(module.Generator("", config, ("a", "b"), 2, sampler), str(tmp_path / "module"), overwrite=False)
    loaded = module.from_module(str(tmp_path / "module"), dataclasses.replace(config, frames=9))
    assert (loaded.kind, loaded.config.frames, loaded.labels) == ("synthesis", 4, ("a", "b"))
    seed = tf.constant([1, 2])
    drawn = loaded.draw({"label": tf.constant([0, 1])}, seed, 1.0)
    np.testing.assert_allclose(drawn, sampler.sample(tf.constant([0, 1]), seed, tf.constant(1.0)), atol=1e-6)

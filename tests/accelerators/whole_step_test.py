"""--xla on a GPU or TPU: each model's whole step, in every phase, compiles as one and computes what it does uncompiled."""

import numpy as np
import pytest
import tensorflow as tf

from tests.accelerators.cases import CASES, config_of
from tests.models_test import batch_of, fixed_draws, smooth_instance_norms, step_of
from tfvideogan import models
from tfvideogan.ops import forms, noise


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_whole_step_compiles_and_agrees_with_the_uncompiled_one(case, monkeypatch):
    # XLA's generator gives other numbers for the same seed: both take fixed ones. What is traced is what a GPU runs.
    monkeypatch.setattr(noise, "normal", lambda seeds, shape: fixed_draws(seeds, shape) * 4 - 2)
    monkeypatch.setattr(noise, "uniform", fixed_draws)
    monkeypatch.setattr(noise, "bits", lambda seeds, words: tf.cast(fixed_draws(seeds, [words]) * 2.0**31, tf.int32))
    smooth_instance_norms(monkeypatch)
    config, results = config_of(case), []
    for compiled in (False, True):
        gan = models.build(config)
        with forms.accelerated():
            step = tf.function(step_of(gan, flat=True), autograph=False, jit_compile=compiled)
            scalars = step([batch_of(config, config.batch_size)])
        results.append({name: float(value) for name, value in scalars.items()})
        assert step.experimental_get_tracing_count() == 1
    assert results[0].keys() == results[1].keys() and all(np.isfinite(value) for value in results[0].values())
    tolerance = 5e-3 if config.model == "vid2vid" else 1e-3  # its deepest network's gradient norm: 2.3e-3
    for name, value in results[0].items():
        assert results[1][name] == pytest.approx(value, rel=tolerance, abs=1e-4), name

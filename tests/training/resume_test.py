"""What may change when a run is resumed takes effect; what cannot is refused; and without a change nothing does."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.training.toy import assert_equal, config_of, held
from tfvideogan.config import UserError


def listing(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file with its time of change and content."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {str(file): (file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files}


def test_fewer_steps_than_are_done_end_at_once_and_touch_nothing(trained, tmp_path):
    trained("run", config_of(steps=3))
    before = listing(tmp_path / "run")
    with pytest.raises(UserError, match=r"^--steps=2: the run in \S+ has done 3; expected at least that$"):
        trained("run", config_of(steps=2))
    assert listing(tmp_path / "run") == before


def test_a_resumed_run_is_the_run_that_went_on(trained):
    trained("halves", config_of(steps=1))
    assert_equal(trained("halves", config_of(steps=3)), trained("whole", config_of(steps=3)))


# Every hyperparameter that may change, from what to what, of the run before it, and whether it is seen in weights or averages.
CHANGES = {
    "g_learning_rate": (1e-2, 2e-2, "generator/", {}),
    "d_learning_rate": (1e-2, 2e-2, "discriminator/", {}),
    "beta_1": (0.0, 0.5, "generator/", {}),
    "beta_2": (0.999, 0.5, "generator/", {}),
    "adam_epsilon": (1e-6, 1e-2, "generator/", {}),
    "weight_decay": (0.0, 0.1, "discriminator/", {}),
    "rmsprop_decay": (0.99, 0.5, "generator/", {"optimizer": "rmsprop"}),
    "rmsprop_epsilon": (1e-8, 1e-2, "generator/", {"optimizer": "rmsprop"}),
    "ema_decay": (0.5, 0.9, "ema_generator/", {}),
    "ema_start_step": (0, 10, "ema_generator/", {}),
    "batch_size": (4, 8, "generator/", {}),
    "d_steps": (1, 2, "discriminator/", {}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_hyperparameter_takes_effect(name, trained, tmp_path):
    before, after, seen, with_it = CHANGES[name]
    config = config_of(**{name: before, **with_it})
    unchanged = trained("run", config)
    first = held(tmp_path / "run", 1)
    trained("other", dataclasses.replace(config, steps=1))
    assert_equal(first, held(tmp_path / "other", 1))
    changed = trained("other", dataclasses.replace(config, **{name: after}))
    weights = [weight for weight in changed if weight.startswith(seen)]
    assert weights and any(not np.array_equal(changed[weight], unchanged[weight]) for weight in weights)
    if name.endswith("learning_rate"):  # twice the rate, twice the way
        for weight in weights:
            way = unchanged[weight] - first[weight]
            np.testing.assert_allclose(changed[weight] - first[weight], 2 * way, rtol=2e-3, atol=1e-6, err_msg=weight)
    assert f"--{name}={after}\n" in (tmp_path / "other" / "run.flags").read_text()


@pytest.mark.parametrize("name, value", [("seed", 1), ("optimizer", "rmsprop"), ("channels", 2), ("precision", "mixed_bfloat16")])
def test_what_cannot_change_is_refused_before_anything_is_written(name, value, trained, tmp_path):
    trained("run", config_of(steps=1))
    before = listing(tmp_path / "run")
    with pytest.raises(UserError, match=rf"--{name}={value} \(was .*\) cannot change in a run; expected another --workdir"):
        trained("run", config_of(**{name: value}))
    after = listing(tmp_path / "run")
    assert {file: after[file] for file in after if not file.endswith(".lock")} == {f: before[f] for f in before if not f.endswith(".lock")}


@pytest.mark.parametrize("rate", ["g_learning_rate", "d_learning_rate"])
def test_no_rate_is_in_a_checkpoint(rate, trained):
    value = 0.0123
    for name, tensor in trained("run", config_of(steps=1, **{rate: value})).items():
        assert "rate" not in name and not np.any(np.asarray(tensor) == np.float32(value)), name

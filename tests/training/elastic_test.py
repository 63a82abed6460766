"""A run under several workers loses one, goes on without it, and later with another: as if nothing had happened."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.programs_test import ENVIRONMENT, free_port, losses
from tests.training.faults_test import wait_for
from tests.training.toy import held
from tfvideogan.training.run_folder import newest_first

TOLERANCE = 1e-5  # of losses and weights: sums over the batch are rounded otherwise by another number of workers
# A worker: workdir and steps are its arguments. Adam's epsilon is large, for by itself it makes of a gradient's last bit a whole step.
WORKER = """
import sys
from types import SimpleNamespace
from tests.training import toy
from tfvideogan import data, models
from tfvideogan.training.loop import train
from tfvideogan.training.monitoring import Monitoring
from tfvideogan.training.strategy import make_strategy

strategy = make_strategy("multiworker", 1)
Monitoring.sample = lambda self, step: None
models.find = lambda name: SimpleNamespace(Model=toy.Model, Config=toy.Config)
config = toy.config_of(steps=int(sys.argv[2]), adam_epsilon=1e-3, d_steps=2)
train(config, data.load(config, "train"), sys.argv[1], strategy)
"""


def workers(number: int, workdir: Path, steps: int) -> list[subprocess.Popen]:
    """So many processes that train together, on loopback."""
    cluster = {"worker": [f"localhost:{free_port()}" for _ in range(number)]}
    started = []
    for index in range(number):
        environment = ENVIRONMENT | {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})}
        command = [sys.executable, "-c", WORKER, str(workdir), str(steps)]
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    return started


def run_to_the_end(started: list[subprocess.Popen]) -> None:
    for process in started:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err[-3000:]


@pytest.mark.slow
def test_a_run_of_two_workers_goes_on_with_one_and_again_with_two(tmp_path):
    pair = workers(2, tmp_path / "elastic", steps=100_000)
    wait_for(tmp_path / "elastic" / "checkpoints" / "ckpt-3.index", pair[0])
    pair[1].kill()
    _, err = pair[0].communicate(timeout=180)
    assert pair[0].returncode == 1 and "a worker is gone" in err, err[-3000:]
    at = int(newest_first(tmp_path / "elastic")[0].name[5:])
    run_to_the_end(workers(1, tmp_path / "elastic", at + 3))
    run_to_the_end(workers(2, tmp_path / "elastic", at + 6))
    run_to_the_end(workers(2, tmp_path / "whole", at + 6))

    elastic, whole = losses(tmp_path / "elastic"), losses(tmp_path / "whole")
    assert elastic.keys() >= whole.keys() and {step for step, _ in whole} == set(range(1, at + 7))  # a step told twice: the last counts
    for key, value in whole.items():
        assert elastic[key] == pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE), key
    first, second = held(tmp_path / "elastic", at + 6), held(tmp_path / "whole", at + 6)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)

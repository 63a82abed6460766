"""Faults that happen to long runs, made for real."""

import dataclasses
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tests.programs_test import ENVIRONMENT, TINY, assert_same_run, free_port, start, train
from tfvideogan import data, models
from tfvideogan.config import RunFailed, UserError
from tfvideogan.training import loop as trainer
from tfvideogan.training.monitoring import Monitoring
from tfvideogan.training.run_folder import Run, newest_first
from tfvideogan.training.signals import Signals, Stopped


def wait_for(file: Path, process: subprocess.Popen) -> None:
    end = time.time() + 300
    while not file.exists():
        assert process.poll() is None and time.time() < end, process.communicate()[1][-3000:]
        time.sleep(0.02)


@pytest.mark.slow
def test_sigterm_saves_and_the_run_goes_on_as_if_it_had_not_come(tmp_path):
    process = start("train", *TINY, "--steps=100000", f"--workdir={tmp_path / 'run'}")
    wait_for(tmp_path / "run" / "checkpoints" / "ckpt-2.index", process)
    process.send_signal(signal.SIGSTOP)
    second = start("train", *TINY, f"--workdir={tmp_path / 'run'}")
    _, err = second.communicate(timeout=300)
    assert second.returncode == 2 and f"process {process.pid} is training in it" in err, err[-2000:]
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=30)
    step = int(newest_first(tmp_path / "run")[0].name[5:])
    assert process.returncode == 0 and f"stopped at step {step}:" in err, err[-2000:]
    train(tmp_path / "run", f"--steps={step + 2}")
    train(tmp_path / "whole", f"--steps={step + 2}")
    assert_same_run(tmp_path / "whole", tmp_path / "run", step + 2)


@pytest.fixture(scope="module")
def two_steps(tmp_path_factory) -> Path:
    """A run folder with the checkpoints of steps 1 and 2."""
    folder = tmp_path_factory.mktemp("checkpoints")
    run = run_in(folder)
    for step in (1, 2):
        run.step.assign(step)
        run.save()
    return folder


def run_in(folder: Path) -> Run:
    config = small("dvdgan")
    return Run(str(folder), config, models.build(config), ("a",))


def copy_of(folder: Path, to: Path) -> Path:
    subprocess.run(["cp", "-r", str(folder), str(to)], check=True)
    return to


@pytest.mark.parametrize(
    "damage",
    ["truncated data", "truncated index", "no data", "no index", "empty index"],
)
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_it_is_used(two_steps, tmp_path, damage, caplog):
    folder = copy_of(two_steps, tmp_path / "run")
    how, what = damage.split()
    file = folder / "checkpoints" / {"data": "ckpt-2.data-00000-of-00001", "index": "ckpt-2.index"}[what]
    if how == "no":
        file.unlink()
    else:
        os.truncate(file, 0 if how == "empty" else file.stat().st_size // 2)
    run = run_in(folder)
    with caplog.at_level("WARNING", logger="absl"):
        assert run.restore()
    assert run.done() == 1
    assert any("ckpt-2 is damaged" in message for message in caplog.messages)


def test_no_flipped_bit_goes_unseen(two_steps, tmp_path):
    folder, draw = copy_of(two_steps, tmp_path / "run"), random.Random(0)
    good = run_in(folder)
    assert good.restore()
    weights = [variable.numpy() for variable in good.gan.generator.variables]
    run = run_in(folder)
    for name, flips in (("ckpt-2.data-00000-of-00001", 12), ("ckpt-2.index", 12)):
        file = folder / "checkpoints" / name
        whole = file.read_bytes()
        for _ in range(flips):
            broken, at = bytearray(whole), draw.randrange(len(whole))
            broken[at] ^= 1 << draw.randrange(8)
            file.write_bytes(broken)
            assert run.restore()
            if run.done() == 2:  # a byte that no one reads
                assert all(np.array_equal(a, b) for a, b in zip(run.gan.generator.variables, weights, strict=True)), (name, at)
        file.write_bytes(whole)


def test_when_every_checkpoint_is_damaged_nothing_is_overwritten(two_steps, tmp_path):
    folder = copy_of(two_steps, tmp_path / "run")
    for file in (folder / "checkpoints").glob("*.index"):
        os.truncate(file, 10)
    with pytest.raises(UserError, match=r"every checkpoint is damaged: ckpt-2, ckpt-1"):
        run_in(folder).restore()


def test_a_full_disk_ends_the_run_with_one_line_and_keeps_what_was_saved(two_steps, tmp_path):
    folder = copy_of(two_steps, tmp_path / "run")
    run = run_in(folder)
    run.restore()
    run.step.assign(3)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # no file may grow larger: writing fails as on a full disk
    try:
        with pytest.raises(RunFailed, match=r"cannot write the checkpoint of step 3: [^{]*[^\]]\. Kept: ckpt-2, ckpt-1\. Make room"):
            run.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert not list((folder / "checkpoints").glob("*ckpt-3*"))
    assert run_in(folder).restore()


@dataclasses.dataclass(frozen=True)
class Spoilt(data.Dataset):
    """A data set some of whose training examples are not numbers."""

    bad: tuple[int, ...] = ()

    def batches(self, *args, **kwargs) -> tf.data.Dataset:
        def spoil(batch: data.Batch) -> data.Batch:
            bad = tf.reduce_any(batch["seed"][:, 1:] == tf.constant([self.bad], tf.int32), 1)
            return {**batch, "video": tf.where(bad[:, None, None, None, None], float("nan"), batch["video"])}

        return super().batches(*args, **kwargs).map(spoil)


def spoilt(bad: tuple[int, ...], **changes: object) -> tuple[object, Spoilt]:
    """A tiny Config (8 clips a step: 2 D steps of 4), and its data with those examples spoilt."""
    config = small("dvdgan", dataset="moving_shapes/plain", checkpoint_every_steps=2, log_every_steps=1, sample_every_steps=100, **changes)
    whole = data.load(config, "train")
    return config, Spoilt(whole.labels, whole.size, whole.source, whole.seed, bad=bad)


@pytest.fixture
def signals_restored():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.slow
def test_a_non_finite_loss_rolls_back_and_goes_on_past_its_clips(tmp_path, caplog, signals_restored):
    config, dataset = spoilt(bad=(27,), steps=6)  # example 27 is read in step 4
    with caplog.at_level("WARNING", logger="absl"):
        trainer.train(config, dataset, str(tmp_path), tf.distribute.OneDeviceStrategy("CPU:0"))
    assert any("d_spatial" in message and "not finite: back to step 2" in message for message in caplog.messages)
    run = run_of(config, tmp_path)
    assert run.restore() and run.done() == 6
    assert int(run.skipped) == 4  # of D batches: those of steps 3 and 4, first time
    assert all(np.all(np.isfinite(variable)) for variable in run.gan.generator.variables)


@pytest.mark.slow
def test_losses_that_stay_non_finite_end_the_run_with_a_report(tmp_path, signals_restored):
    config, dataset = spoilt(bad=tuple(range(16, 400)), steps=6, max_rollbacks=2)
    with pytest.raises(RunFailed, match=r"step 3: .*d_spatial.* not finite, though the run went back to step 2 2 times"):
        trainer.train(config, dataset, str(tmp_path), tf.distribute.OneDeviceStrategy("CPU:0"))
    assert run_of(config, tmp_path).restore()


def run_of(config, folder: Path) -> Run:
    return Run(str(folder), config, models.build(config), ("a",))


@pytest.mark.slow
def test_collapse_is_told(tmp_path, caplog, monkeypatch, signals_restored):
    config = small("dvdgan", steps=100)
    run = Run(str(tmp_path), config, models.build(config), data.load(dataclasses.replace(config, dataset="moving_shapes"), "test").labels)
    watch = Monitoring(run, True, Signals())
    with caplog.at_level("WARNING", logger="absl"):
        for step in range(9):
            watch.log(step, {"d_spatial": 0.0, "d_temporal": 1e-3, "d_gradient_norm": 3.0}, 1, 0.0, 1.0)
        assert not caplog.messages
        watch.log(9, {"d_spatial": 0.0, "d_temporal": 1e-3, "d_gradient_norm": 3.0}, 1, 0.0, 1.0)
        assert "D's losses have been below" in caplog.messages[-1]
        watch.sample(10)
        assert "alike" not in caplog.messages[-1]
        sound = watch.generator("ema").draw

        def draw(batch: dict, *rest: object) -> tf.Tensor:  # whatever z
            return tf.repeat(sound({"label": batch["label"][:1]}, *rest), tf.size(batch["label"]), 0)

        monkeypatch.setattr(watch, "generator", lambda name: SimpleNamespace(kind="synthesis", draw=draw))
        watch.sample(11)
        assert "G has collapsed" in caplog.messages[-1]


def test_a_signal_during_an_evaluation_leaves_it_for_later(tmp_path, signals_restored):
    config = small("dvdgan", steps=4, evaluate_every_steps=2, evaluate_videos=64, dataset="moving_shapes/plain")
    run = Run(str(tmp_path), config, models.build(config), data.load(config, "test").labels)
    signals = Signals()
    signals.defer = True
    watch = Monitoring(run, True, signals)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Stopped):
        watch.due(2)
    assert not (tmp_path / "metrics.jsonl").exists()
    with pytest.raises(SystemExit) as stop:
        signals.leave()
    assert stop.value.code == 0


@pytest.mark.slow
def test_a_lost_worker_ends_the_other_and_both_go_on(tmp_path):
    ports = [free_port(), free_port()]
    cluster = {"worker": [f"localhost:{port}" for port in ports]}

    def workers(steps: int) -> list[subprocess.Popen]:
        started = []
        for index in range(2):
            tf_config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
            flags = [*TINY, f"--steps={steps}", "--checkpoint_every_steps=4", "--strategy=multiworker", f"--workdir={tmp_path / 'run'}"]
            started.append(start("train", *flags, TF_CONFIG=tf_config))
        return started

    pair = workers(steps=100_000)
    wait_for(tmp_path / "run" / "checkpoints" / "ckpt-8.index", pair[0])
    pair[1].kill()
    _, err = pair[0].communicate(timeout=180)
    assert pair[0].returncode != 0 and "a worker is gone" in err, err[-3000:]
    at = int(newest_first(tmp_path / "run")[0].name[5:])
    for worker in workers(steps=at + 4):
        _, err = worker.communicate(timeout=300)
        assert worker.returncode == 0, err[-3000:]
    assert newest_first(tmp_path / "run")[0].name == f"ckpt-{at + 4}"


def test_sigint_exits_with_130(tmp_path):
    script = "import os, signal\nfrom absl import logging\nlogging.set_verbosity(logging.INFO)\n"
    script += "from tfvideogan.training.signals import Signals\nSignals()\nos.kill(os.getpid(), signal.SIGINT)"
    done = subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130 and "SIGINT: nothing is unsaved; start the same command again" in done.stderr

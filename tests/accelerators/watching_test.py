"""What a run tells of its speed: a profile, the first step's compiling, time and memory."""

import dataclasses
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import tensorflow as tf
from absl import logging

from tests.training import toy
from tfvideogan import data, models
from tfvideogan.config import UserError
from tfvideogan.training import monitoring
from tfvideogan.training.loop import train
from tfvideogan.training.profiler import Profiler, steps_of

GIB = 2**30


@pytest.fixture
def run(monkeypatch, tmp_path) -> Iterator:
    """A function that trains the toy for some steps in a folder of tmp_path, and gives what was logged."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setattr(monitoring.Monitoring, "sample", lambda self, step: None)
    monkeypatch.setattr(models, "find", lambda name: SimpleNamespace(Model=toy.Model, Config=toy.Config))
    lines: list[str] = []
    monkeypatch.setattr(logging, "info", lambda text, *values: lines.append(text % values))

    def trained(steps: int, **how: object) -> list[str]:
        config = toy.config_of(steps=steps)
        train(config, data.load(config, "train"), str(tmp_path / "run"), tf.distribute.OneDeviceStrategy("CPU:0"), **how)
        return lines

    yield trained
    for number, handler in before.items():
        signal.signal(number, handler)


def scalars(run: Path) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for file in run.glob("logs/events*"):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                if value.tag.startswith("speed/"):
                    found.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    return found


def profiles(run: Path) -> list[Path]:
    return sorted(run.glob("logs/plugins/profile/*/*.xplane.pb"))


def test_a_profile_of_the_asked_steps_is_written_where_tensorboard_looks(run, tmp_path):
    lines = run(4, profiled=range(2, 4))
    (file,) = profiles(tmp_path / "run")
    written = file.read_bytes()
    assert b"step_num" in written and b"train" in written  # what the plugin counts steps by
    assert sum("profile of steps 2 to 3" in line for line in lines) == 1
    assert lines.index(next(line for line in lines if "profile of" in line)) > lines.index(
        next(line for line in lines if "step 2/4" in line)
    )


def test_a_profile_ends_with_the_run_and_a_resumed_run_writes_what_is_ahead(run, tmp_path):
    run(2, profiled=range(2, 10))
    assert len(profiles(tmp_path / "run")) == 1
    assert not any("profile of" in line for line in run(4, profiled=range(1, 3))[-4:])  # both are done
    assert len(profiles(tmp_path / "run")) == 1


@pytest.mark.parametrize("text", ["5", "9:3", "0:3", "a:b", "1:2:3", "-1:2"])
def test_steps_to_profile_are_a_first_and_a_last(text):
    with pytest.raises(UserError, match=f"--profile_steps={text}: expected FIRST:LAST"):
        steps_of(text)
    assert steps_of("10:15") == range(10, 16) and steps_of("") == range(0)


def test_nothing_is_profiled_unasked(monkeypatch, tmp_path):
    monkeypatch.setattr(tf.profiler.experimental, "start", None)
    with Profiler(range(0), tmp_path).at(1):
        pass
    assert not list(tmp_path.iterdir())


def test_the_first_steps_compiling_is_told_once(run):
    lines = run(3)
    assert sum(line.startswith("first step: ") for line in lines) == 1
    (line,) = [line for line in lines if line.startswith("first step: ")]
    assert "with tracing and compiling; 3 functions" in line and "XLA compiled" in line  # D's, G's, and what ends the step


def test_time_speed_and_memory_of_all_and_of_a_device_are_told(run, tmp_path):
    lines = run(2)
    told = scalars(tmp_path / "run")
    assert set(told) == {
        f"speed/{name}"
        for name in (
            "videos_per_second",
            "videos_per_second_and_device",
            "seconds_per_step",
            "share_of_time_waiting_for_data",
            "peak_memory_gib",
        )
    }
    for step in (1, 2):
        rate, seconds = told["speed/videos_per_second"][step], told["speed/seconds_per_step"][step]
        assert rate == pytest.approx(4 / seconds, rel=1e-4) and told["speed/videos_per_second_and_device"][step] == rate
        assert 0.1 < told["speed/peak_memory_gib"][step] < 64 and 0 <= told["speed/share_of_time_waiting_for_data"][step] <= 1
    assert any(" GiB " in line for line in lines if line.startswith("step 2/2"))


def test_a_devices_share_of_the_speed_is_told(monkeypatch):
    written = {}
    monkeypatch.setattr(tf.summary, "scalar", lambda name, value: written.setdefault(name, value))
    watch = object.__new__(monitoring.Monitoring)
    watch.config, watch.chief, watch.devices, watch.lost, watch.writer = toy.config_of(), True, 8, 0, tf.summary.create_noop_writer()
    watch.log(1, {}, steps=2, waited=0.5, seconds=2.0)
    assert written["speed/videos_per_second"] == 4.0 and written["speed/videos_per_second_and_device"] == 0.5
    assert written["speed/seconds_per_step"] == 1.0 and written["speed/share_of_time_waiting_for_data"] == 0.25


def test_a_line_of_the_log_is_broken_between_numbers_and_counts_days(monkeypatch, caplog):
    watch = object.__new__(monitoring.Monitoring)
    watch.config = dataclasses.replace(toy.config_of(), steps=30)
    watch.chief, watch.devices, watch.lost, watch.writer = True, 1, 0, tf.summary.create_noop_writer()
    monkeypatch.setattr(monitoring, "peak_memory", lambda: GIB)
    scalars = {f"{player}_{name}": 1.25e-5 for player in "dg" for name in ("image", "video", "category", "gradient_norm")}
    with caplog.at_level("INFO", logger="absl"):
        watch.log(0, scalars, steps=1, waited=3600.0, seconds=36000.0)
    lines = caplog.messages[0].splitlines()
    assert lines[0].startswith("step 0/30  0.0 videos/s  12 days, 12:00:00 left  data 10.0%  1.0 GiB  d_image 1.25e-05  ")
    assert len(lines) > 1 and all(line.startswith("  ") for line in lines[1:]) and max(map(len, lines)) <= 105
    assert "  ".join(map(str.strip, lines)).split("  ")[-8:] == [f"{name} 1.25e-05" for name in scalars]


@pytest.mark.parametrize("says", [True, False])
def test_a_gpus_own_peak_is_told_where_it_says(says, monkeypatch):
    def info(name: str) -> dict[str, int]:
        if not says:
            raise ValueError(f"no statistics of {name}")
        return {"peak": 3 * GIB, "current": GIB}

    monkeypatch.setattr(tf.config, "list_logical_devices", lambda: [tf.config.LogicalDevice("/device:GPU:0", "GPU")])
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", info)
    assert (monitoring.peak_memory() == 3 * GIB) == says and monitoring.peak_memory() > 0.1 * GIB

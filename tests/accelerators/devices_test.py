"""What programs ask of GPUs at their start, and what XLA compiles where: with devices that are only made up."""

from types import SimpleNamespace

import pytest
import tensorflow as tf

from tests.programs_test import fail
from tfvideogan.training.strategy import compiles_whole, set_up_devices

GPUS = [tf.config.PhysicalDevice(f"/physical_device:GPU:{i}", "GPU") for i in range(2)]


@pytest.fixture
def gpus(monkeypatch) -> list[tf.config.PhysicalDevice]:
    """Two GPUs, as far as TensorFlow's list goes."""
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: GPUS if kind == "GPU" else [])
    return GPUS


def test_memory_is_taken_as_it_is_needed_on_every_gpu(gpus, monkeypatch):
    grown = []
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda device, on: grown.append((device, on)))
    set_up_devices(tf32=True)
    assert grown == [(device, True) for device in gpus]


def test_devices_in_use_stay_as_they_are(gpus, monkeypatch):
    def refused(device, on):
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", refused)
    set_up_devices(tf32=True)


@pytest.mark.parametrize("tf32", [False, True])
def test_tf32_is_as_asked(tf32):
    set_up_devices(tf32)
    assert tf.config.experimental.tensor_float_32_execution_enabled() == tf32


def test_tests_multiply_float32_with_all_its_bits():
    assert not tf.config.experimental.tensor_float_32_execution_enabled()


@pytest.mark.parametrize(
    "xla, count, replicas, whole",
    [
        ("auto", 0, 1, False),
        ("auto", 1, 1, True),
        ("auto", 2, 2, False),
        ("true", 0, 1, True),
        ("true", 1, 1, True),
        ("false", 1, 1, False),
    ],
)
def test_an_update_is_compiled_whole_on_one_gpu(xla, count, replicas, whole, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: GPUS[:count])
    assert compiles_whole(xla, SimpleNamespace(num_replicas_in_sync=replicas)) == whole


def test_a_tpus_strategy_compiles_by_itself():
    strategy = object.__new__(tf.distribute.TPUStrategy)
    assert not compiles_whole("true", strategy) and not compiles_whole("auto", strategy)


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--profile_steps=5", "--profile_steps=9:3", "--profile_steps=0:3"])
def test_a_profile_of_no_steps_is_refused(flag, tmp_path):
    assert f"{flag}: expected FIRST:LAST, steps from 1 on" in fail("train", f"--workdir={tmp_path / 'run'}", flag)

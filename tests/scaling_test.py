"""The formulas of benchmarks/scaling.py, by numbers for the head."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import scaling
from tfvideogan.models import dvdgan


def test_a_line_goes_through_its_two_counts():
    assert scaling.line(12, 16) == scaling.Line(base=8, clip=2)
    assert scaling.Line(base=8, clip=2).at(512) == 1032
    with pytest.raises(ValueError, match="12 for 2 clips and 15 for 4"):
        scaling.line(12, 15)


def test_every_row_is_read():
    files = (Path(__file__).parents[1] / "configs").glob("kinetics600_*x*.flags")
    rows = {file.stem.partition("_")[2]: scaling.read(file) for file in files}
    assert set(rows) == set(scaling.ROWS.default)
    assert all(name == f"{config.frames}x{config.size}" for name, config in rows.items())
    assert all((config.batch_size, config.d_steps, config.steps, config.classes) == (512, 2, 300_000, 600) for config in rows.values())


def test_bytes_of_a_clip():
    config = dvdgan.Config(size=32, frames=10, classes=1)
    assert scaling.clip_bytes(config, scaling.BYTE) == 10 * 1024 * 3
    assert scaling.clip_bytes(config, scaling.FLOAT) == 4 * 10 * 1024 * 3


def test_what_is_reduced():
    assert scaling.reduced_bytes(2, generator=100, discriminator=10, norms=[]) == 4 * (100 + 2 * 10)
    # Two D steps and a G step pass G: 3 times a sum, a sum of squares (5 numbers each) and a count; then the gradient's two sums.
    assert scaling.reduced_bytes(2, 0, 0, norms=[5]) == 4 * (3 * (5 + 5 + 1) + 2 * 5)


GIVEN = """
import tensorflow as tf
from benchmarks import scaling
from tests.conftest import small

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
config = small("dvdgan", d_steps=2, dataset="moving_shapes/plain")
run = scaling.needs(config)
assert scaling.given_to_all_reduce(config) == scaling.reduced_bytes(2, run.cost.generator, run.cost.discriminator, run.norms)
"""


@pytest.mark.slow
def test_what_is_reduced_is_what_a_step_gives_to_all_reduce():
    subprocess.run([sys.executable, "-c", GIVEN], check=True)


def test_a_ring_of_one_sends_nothing_and_a_long_one_twice():
    assert scaling.ring(100, 1) == 0
    assert scaling.ring(100, 2) == 100
    assert scaling.ring(100, 512) == pytest.approx(200, rel=2e-3)


def test_time_and_room():
    assert scaling.seconds(1e12, tflops=4, utilisation=0.5) == 0.5
    assert scaling.days(0.5, steps=172_800) == 1
    cost = scaling.Cost(0, 0, variables=2 * 2**30, gradients=2**30, flops=0, activations=0, live=0)
    run = scaling.Needs(dvdgan.Config(), cost, scaling.Line(0, 1), activations=scaling.Line(2**30, 2**30), norms=[])
    assert scaling.room(run, scaling.Accelerator("", 1, 16)) == 12  # 16 less 3 of state and 1 of what no clip changes
    assert scaling.room(run, scaling.Accelerator("", 1, 2)) == 0

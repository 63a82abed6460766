"""benchmarks.lower: a step that TensorFlow lowers gives the same scalars in JAX's XLA, in an environment that has JAX and no TensorFlow."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import small
from tests.programs_test import ENVIRONMENT
from tfvideogan import models
from tfvideogan.config import to_flags

ROOT = Path(__file__).parents[1]
JAX = Path(os.environ.get("TFVIDEOGAN_JAX", ROOT / ".venv-jax" / "bin" / "python"))  # `make test-jax` makes it
VARIANTS = {
    **{name: {} for name in models.names()},
    "cartoongan initialization": {"phase": "initialization"},
    "ftgan joint": {"phase": "joint"},
    "mocogan bfloat16": {"precision": "mixed_bfloat16"},
}


def run(python: str | Path, *arguments: str) -> str:
    # Values are compared, not times: little is optimised, which compiles in less time.
    environment = ENVIRONMENT | {"XLA_FLAGS": "--xla_backend_optimization_level=0", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([str(python), *arguments], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.skipif(not JAX.exists(), reason="no environment with JAX: make test-jax")
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_lowered_step_gives_tensorflows_scalars(variant, tmp_path):
    config = dataclasses.replace(small(variant.split()[0]), **VARIANTS[variant])
    flags = tmp_path / "step.flags"
    flags.write_text(to_flags(config))
    run(sys.executable, "-m", "benchmarks.lower", f"--flagfile={flags}", f"--output={tmp_path / 'step'}")
    scalars = json.loads(run(JAX, "benchmarks/run_lowered.py", str(tmp_path / "step"), "1"))["scalars, and TensorFlow's"]
    assert scalars
    tolerance = 1e-4 if config.precision == "float32" else 1e-2  # of bfloat16's 8 bits
    for name, (got, expected) in scalars.items():
        assert got == pytest.approx(expected, rel=tolerance, abs=tolerance), name


def test_the_runner_needs_jax_alone():
    lines = (ROOT / "benchmarks" / "run_lowered.py").read_text().splitlines()
    imported = {line.split()[1].partition(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported - set(sys.stdlib_module_names) == {"jax", "numpy"}

"""--xla."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs_test import ENVIRONMENT

SMALL = (
    "--model=mocogan --dataset=moving_shapes/plain --size=64 --frames=8 --channels=16 --batch_size=4 --stride=1 --content=6 --motion=4 "
    "--log_every_steps=1 --sample_every_steps=100 --evaluate_videos=16 --standing_batches=1"
).split()


def compiled(folder: Path, *commands: list[str]) -> list[str]:
    """Names of what XLA compiled while the programs ran: of each it leaves files behind."""
    folder.mkdir()
    for program, *flags in commands:
        environment = {**ENVIRONMENT, "XLA_FLAGS": f"--xla_dump_to={folder}"}
        done = subprocess.run([sys.executable, "-m", f"tfvideogan.{program}", *flags], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.slow
def test_without_xla_nothing_is_compiled_and_every_program_works(tmp_path):
    run = f"--workdir={tmp_path / 'run'}"
    assert not compiled(
        tmp_path / "false",
        ["train", *SMALL, run, "--steps=2", "--xla=false"],
        ["sample", run, f"--output={tmp_path / 'clips.png'}", "--num_videos=1", "--labels=0", "--xla=false"],
        ["evaluate", run, "--metrics=fid", "--xla=false"],
    )
    assert (tmp_path / "clips.png").stat().st_size and (tmp_path / "run" / "metrics.jsonl").stat().st_size
    assert compiled(tmp_path / "auto", ["sample", run, f"--output={tmp_path / 'clips.gif'}", "--num_videos=1", "--labels=0"])


@pytest.mark.slow
def test_with_xla_true_each_update_is_compiled_whole(tmp_path):
    found = compiled(tmp_path / "true", ["train", *SMALL, f"--workdir={tmp_path / 'run'}", "--steps=1", "--xla=true"])
    for update in ("d_update", "g_update", "finish"):
        assert any(update in name for name in found), found

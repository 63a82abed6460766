"""The command `tfvideogan`, what it lists, and its quiet start; and, slow, the package as a user installs it, away from the clone."""

import os
import platform
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import tfvideogan.list
from tfvideogan import cli, models
from tfvideogan.evaluation.scores import METRICS

ROOT = Path(__file__).parents[1]


def test_every_program_is_a_verb_and_has_a_summary():
    found = tfvideogan.list.programs()
    assert set(found) == {file.stem for file in tfvideogan.list.PACKAGE.glob("*.py") if '__name__ == "__main__"' in file.read_text()} - {
        "__main__"
    }
    assert all(10 < len(summary) < 100 and "`" not in summary for summary in found.values()), found


def test_lists_hold_what_there_is():
    assert list(tfvideogan.list.models()) == models.names()
    assert {"folder", "kinetics", "moving_shapes", "prepared", "ucf101"} <= set(tfvideogan.list.datasets())
    assert {name for names in tfvideogan.list.metrics() for name in names.split(", ")} == set(METRICS)
    assert set(tfvideogan.list.configs()) == {f"configs/{file.name}" for file in (ROOT / "configs").glob("*.flags")}
    assert "exports/moving_shapes64" in tfvideogan.list.exports()
    for kind in tfvideogan.list.KINDS.values():
        assert all(text and "\n" not in text for text in kind().values())


def test_a_flagfile_of_the_package_is_found_from_anywhere_and_ones_own_goes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = ["--flagfile=configs/quickstart.flags", "--steps=1", "--flagfile=nowhere.flags"]
    assert cli.with_bundled_flagfiles(asked) == [f"--flagfile={ROOT}/configs/quickstart.flags", *asked[1:]]
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "quickstart.flags").write_text("--steps=2\n")
    assert cli.with_bundled_flagfiles(asked) == asked


def ended(command: list[str], **environment: str) -> tuple[int, str]:
    """Exit code and stderr of a command."""
    kept = {key: value for key, value in os.environ.items() if key not in ("TF_CPP_MIN_LOG_LEVEL", "PYTHONPATH")}
    done = subprocess.run(command, env={**kept, **environment}, cwd=ROOT, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr


def test_a_programs_first_line_is_its_own():
    assert ended([sys.executable, "-m", "tfvideogan", "sample", "--workdir=nowhere"]) == (2, "sample: --workdir=nowhere: no such folder\n")


@pytest.mark.parametrize(
    "arguments, first", [([], "usage: tfvideogan "), (["--help"], "usage: tfvideogan "), (["list", "models"], "cartoongan ")]
)
def test_what_there_is_is_listed_without_waiting_for_tensorflow(arguments, first):
    lines = f"import atexit, sys; sys.argv = ['bin/tfvideogan', *{arguments}]\nimport tfvideogan.__main__\n"
    lines += "atexit.register(lambda: print({'keras', 'tensorflow'} & {*sys.modules}))\ntfvideogan.__main__.main()"
    done = subprocess.run([sys.executable, "-c", lines], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.startswith(first) and done.stdout.endswith("\nset()\n")


def test_an_error_of_the_start_is_shown(tmp_path):
    (tmp_path / "keras.py").write_text("import sys; print('what keras says', file=sys.stderr); raise ImportError('broken')")
    code, err = ended([sys.executable, "-m", "tfvideogan.sample"], PYTHONPATH=str(tmp_path))
    assert code == 1 and "what keras says" in err and err.endswith("ImportError: broken\n")


def test_an_interruption_of_the_start_is_one_line(tmp_path):
    (tmp_path / "keras.py").write_text("raise KeyboardInterrupt")
    code, err = ended([sys.executable, "-m", "tfvideogan.sample"], PYTHONPATH=str(tmp_path))
    assert (code, err) == (-signal.SIGINT, "tfvideogan: interrupted\n")  # 130, in a shell


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="TensorFlow holds oneDNN on x86 alone")
@pytest.mark.parametrize("asked, on", [(None, True), ("1", True), ("0", False)])
def test_convolutions_are_onednns_on_every_cpu_unless_asked_not_to(asked, on):
    environment = {key: value for key, value in os.environ.items() if key != "TF_ENABLE_ONEDNN_OPTS"}
    environment |= {} if asked is None else {"TF_ENABLE_ONEDNN_OPTS": asked}
    lines = "import tfvideogan; from tensorflow.python.framework import test_util; print(test_util.IsMklEnabled())"
    done = subprocess.run([sys.executable, "-c", lines], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == f"{on}\n"


@pytest.mark.slow
def test_a_wheel_works_away_from_the_clone(tmp_path):
    """In an environment that takes its dependencies from this one, so that nothing is downloaded."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={tmp_path}", str(ROOT)]
    subprocess.run(build, check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    place = tmp_path / "place"
    venv.create(place, with_pip=False)
    (packages,) = place.glob("lib/python*/site-packages")
    theirs = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("".join(f"{path}\n" for path in theirs))
    pip = [sys.executable, "-m", "pip", f"--python={place / 'bin' / 'python'}"]  # --prefix would remove the package from this environment
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--ignore-installed", str(wheel)], check=True, timeout=300)
    command, away = str(place / "bin" / "tfvideogan"), tmp_path / "away"
    away.mkdir()

    def run(*arguments: str) -> str:
        done = subprocess.run([command, *arguments], cwd=away, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    where = subprocess.run(
        [place / "bin" / "python", "-c", "import tfvideogan; print(tfvideogan.__file__)"], cwd=away, capture_output=True, text=True
    )
    assert where.stdout.startswith(str(packages)), where
    assert "configs/quickstart.flags" in run("list", "configs") and "exports/moving_shapes64" in run("list", "exports")
    small = ["--channels=2", "--batch_size=4", "--steps=2", "--evaluate_every_steps=0", "--standing_batches=1", "--evaluate_videos=32"]
    run("train", "--flagfile=configs/quickstart.flags", *small, "--workdir=run")
    assert "fid/moving_shapes" in run("evaluate", "--workdir=run", "--metrics=fid", "--num_videos=32", "--cache_dir=")
    run("sample", "--workdir=run", "--output=clips.gif", "--labels=0")
    run("sample", "--module=exports/moving_shapes64", "--output=shipped.gif", "--labels=0", "--num_videos=1")
    run("export", "--workdir=run", "--output=module")
    assert all((away / name).stat().st_size > 500 for name in ("clips.gif", "shipped.gif", "module/saved_model.pb"))

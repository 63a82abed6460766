"""Outputs that cannot be written are refused before work begins; what fails midway ends a program with one line."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan import cli
from tfvideogan.config import RunFailed, UserError
from tfvideogan.evaluation import cache
from tfvideogan.files import require_writable, whole_file, write_whole
from tfvideogan.generation.module import refuse_existing

OTHER = 12345  # the number of a user who owns nothing


@pytest.fixture
def others_folder():
    """A folder that this user may look into and not write to; root takes another's rights meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "closed").mkdir()
        (folder / "file").write_text("")
        root = os.geteuid() == 0
        for path, mode in ((folder / "closed", 0o000), (folder / "file", 0o444), (folder, 0o555)):
            path.chmod(mode)
        if root:
            os.seteuid(OTHER)
        yield folder
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        (folder / "closed").chmod(0o755)


def refusal(path: Path | str, folder: bool) -> str:
    with pytest.raises(UserError, match=f"^--output=.*; expected a {'folder' if folder else 'file'} that can be written") as caught:
        require_writable("output", path, folder)
    return str(caught.value)


@pytest.mark.parametrize("folder", [True, False])
def test_what_cannot_be_written_is_refused(folder, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "none")
    (tmp_path / "loop").symlink_to("loop")
    assert "is a f" in refusal(tmp_path / ("file" if folder else "folder"), folder)
    assert "Not a directory" in refusal(tmp_path / "file" / "x" / "y", folder)
    assert "Not a directory" in refusal("/dev/null/x", folder)
    assert "No such file" in refusal(tmp_path / "link", folder)
    assert "symbolic links" in refusal(tmp_path / "loop", folder)
    assert "too long" in refusal(tmp_path / ("x" * 300), folder)
    refusal("/proc/none/x", folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "link", "loop"]


@pytest.mark.parametrize("folder", [True, False])
def test_what_can_be_written_is_left_as_it_is(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    for path in ("new", "new/deep/er", "there/new", tmp_path / "x.gif", "gs://bucket/x"):
        require_writable("output", path, folder)
    require_writable("output", "there", folder=True)
    Path("x.gif").write_text("before")
    require_writable("output", "x.gif", folder=False)
    assert Path("x.gif").read_text() == "before" and sorted(os.listdir()) == ["there", "x.gif"]


def test_another_users_folders_and_files_are_refused(others_folder):
    for path in (others_folder, others_folder / "new", others_folder / "a" / "b", others_folder / "closed" / "x"):
        assert "Permission denied" in refusal(path, folder=True)
    for path in (others_folder / "file", others_folder / "new.gif", others_folder / "closed" / "x.gif"):
        assert "Permission denied" in refusal(path, folder=False)
    with pytest.raises(UserError, match="--output=.*: Permission denied"):
        refuse_existing(str(others_folder / "module"), overwrite=False)


def test_a_cache_that_may_not_be_looked_into_keeps_nothing(others_folder, caplog):
    with caplog.at_level("WARNING", logger="absl"):
        assert cache.remember(str(others_folder / "closed"), {}, lambda: "made") == "made"
    assert "features are not kept" in caplog.text


def ended(monkeypatch, capsys, main, **options: object) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["sample.py"])
    monkeypatch.setattr(cli, "parse", lambda *arguments: None)
    with pytest.raises(SystemExit) as caught:
        cli.launch(main, **options)
    return caught.value.code, capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "error, code",
    [
        (OSError(28, "No space left on device"), 1),
        (PermissionError(13, "Permission denied", "/run/metrics.jsonl"), 1),
        (tf.errors.PermissionDeniedError(None, None, "/run/logs; Permission denied"), 1),
        (tf.errors.NotFoundError(None, None, "/set/a.tfrecord-00000-of-00001; No such file or directory"), 1),
        (tf.errors.DataLossError(None, None, "corrupted record at 0"), 1),
        (RunFailed("the disk is full"), 1),
        (BrokenPipeError(32, "Broken pipe"), 1),
        (UserError("--output=x: got a, expected b"), 2),
    ],
)
def test_what_fails_ends_a_program_with_one_line(error, code, monkeypatch, capsys):
    def main(_: object) -> None:
        raise error

    assert ended(monkeypatch, capsys, main) == (code, f"sample: {error}")


def test_an_interruption_is_one_line(monkeypatch, capsys):
    def main(_: object) -> None:
        raise KeyboardInterrupt

    assert ended(monkeypatch, capsys, main) == (130, "sample: interrupted")


def test_sigterm_is_one_line_and_its_handler_goes_with_the_program(monkeypatch, capsys):
    before = signal.getsignal(signal.SIGTERM)

    def main(_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    assert ended(monkeypatch, capsys, main) == (143, "sample: stopped by SIGTERM")
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_does_not_fit_into_memory_is_one_line(monkeypatch, capsys):
    code, line = ended(monkeypatch, capsys, lambda _: np.zeros(1 << 60, np.uint8))
    assert code == 1 and line.startswith("sample: not enough memory: Unable to allocate")


def test_an_output_that_nobody_reads_is_one_line(tmp_path):
    script = "import sys\nfrom tfvideogan import cli\ncli.parse = lambda *_: None\nsys.argv = ['evaluate.py']\n"
    script += "sys.stdin.read()\ncli.launch(lambda _: print('fid 1'))"
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    process.stdin.close()
    assert process.stderr.read().splitlines()[-1:] == ["evaluate: [Errno 32] Broken pipe"] and process.wait() == 1


@pytest.mark.parametrize("unique", [False, True])
def test_of_a_file_that_could_not_be_written_nothing_is_left_and_the_one_before_stays(unique, tmp_path, monkeypatch):
    def full(self: object, content: bytes) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    write_whole(tmp_path / "a", "before")
    monkeypatch.setattr(tf.io.gfile.GFile, "write", full)
    with pytest.raises(OSError, match="/a: cannot be written: No space left on device"):
        write_whole(tmp_path / "a", "after", unique)
    with pytest.raises(OSError, match="No space left"), whole_file(tmp_path / "a", unique) as file:
        file.write(b"half")
        raise OSError(28, "No space left on device")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "before")]


def test_outputs_are_tried_before_a_program_begins(monkeypatch, capsys, tmp_path):
    begun: list[object] = []
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(cli.FLAGS["workdir"], "value", str(tmp_path / "file"))
    code, line = ended(monkeypatch, capsys, begun.append, output_folders=("workdir",))
    assert code == 2 and line == f"sample: --workdir={tmp_path}/file: is a file; expected a folder that can be written to" and not begun

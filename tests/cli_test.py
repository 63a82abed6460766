"""How a command line is read: paths, flagfiles, and what a run wrote down."""

import codecs
import dataclasses
import logging
import os
import re
from pathlib import Path

import pytest
from absl import flags

from tfvideogan import cli, models
from tfvideogan.config import Config, UserError, from_flags, to_flags


@pytest.fixture
def read(monkeypatch, tmp_path):
    """From a command line to the Config, with flags that are forgotten afterwards; tmp_path is the home and the present folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def read(*arguments: str, saved: tuple[str, ...] = ()) -> Config:
        try:
            return cli.parse(["train", *arguments], saved, None)
        finally:
            for field in dataclasses.fields(models.find(Config.model).Config):
                if field.name in flags.FLAGS:
                    delattr(flags.FLAGS, field.name)
            flags.FLAGS.unparse_flags()

    return read


def test_a_home_is_expanded_and_what_is_there_kept_whole(read, tmp_path):
    for name in ("a/b", "c", "moving_shapes"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "mine.npz").write_text("")
    cases = {
        "--data_dir=~/a": ("data_dir", f"{tmp_path}/a"),
        "--data_dir=a/b/..": ("data_dir", f"{tmp_path}/a"),
        "--data_dir=none": ("data_dir", "none"),
        "--data_dir=~/none": ("data_dir", f"{tmp_path}/none"),
        "--data_dir=gs://a/b": ("data_dir", "gs://a/b"),
        "--init_from=a,~/c": ("init_from", f"{tmp_path}/a,{tmp_path}/c"),
        "--evaluator=mine.npz": ("evaluator", f"{tmp_path}/mine.npz"),
        "--evaluator=i3d:~/c": ("evaluator", f"i3d:{tmp_path}/c"),
        "--evaluator=moving_shapes": ("evaluator", "moving_shapes"),
        "--evaluator=i3d:https://a/b": ("evaluator", "i3d:https://a/b"),
    }
    for argument, (name, value) in cases.items():
        assert getattr(read(argument), name) == value, argument


@pytest.mark.parametrize("argument", [b"--data_dir=caf\xe9", b"--workdir=runs/\xff\xfe", b"--workdir=two\nlines", b"--data_dir=here"])
def test_a_path_that_is_not_utf8_is_refused(argument, read, tmp_path):
    if argument.endswith(b"here"):
        place = tmp_path / os.fsdecode(b"caf\xe9")
        (place / "here").mkdir(parents=True)
        os.chdir(place)
    with pytest.raises(flags.Error, match="(?s)^flag --(data_dir|workdir)=.*: its name is not UTF-8, or has a line break; rename"):
        read(os.fsdecode(argument))


@pytest.mark.parametrize("first", ["# comment", "--seed=1", "", "--flagfile=other.flags", "// comment"])
def test_a_flagfile_may_begin_with_a_byte_order_mark_and_end_lines_as_windows_does(first, read, tmp_path):
    (tmp_path / "other.flags").write_bytes(codecs.BOM_UTF8 + b"--seed=1\r\n")
    (tmp_path / "a.flags").write_bytes(codecs.BOM_UTF8 + f"{first}\r\n--frames=9\r\n".encode())
    for place in ("a.flags", "~/a.flags"):
        config = read(f"--flagfile={place}")
        assert (config.frames, config.seed) == (9, 1 if first.startswith("--") else 0)


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_a_flagfile_that_includes_itself_is_read_once(mark, read, tmp_path):
    (tmp_path / "a.flags").write_bytes(mark + b"--flagfile=b.flags\n--frames=9\n")
    (tmp_path / "b.flags").write_bytes(mark + b"--flagfile=a.flags\n--seed=1\n")
    config = read("--flagfile=a.flags")
    assert (config.frames, config.seed) == (9, 1)


@pytest.mark.parametrize("content", ["--frames=5\n".encode("utf-16"), b"--data_dir=caf\xe9\n"])
def test_a_flagfile_that_is_not_utf8_is_named(content, read, tmp_path):
    (tmp_path / "a.flags").write_bytes(content)
    with pytest.raises(UserError, match="--flagfile=a.flags: got no text in UTF-8"):
        read("--flagfile=a.flags")


def test_a_run_begun_elsewhere_is_found_in_its_home_with_its_data(read, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.flags").write_text(to_flags(read("--data_dir=data", "--seed=3")))
    (tmp_path / "elsewhere").mkdir()
    os.chdir(tmp_path / "elsewhere")
    config = read("--workdir=~/run", saved=("workdir",))
    assert (config.data_dir, config.seed) == (f"{tmp_path}/data", 3)
    with pytest.raises(UserError, match="--workdir=.*none: no such folder"):
        read("--workdir=~/none", saved=("workdir",))


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"# all gone\n", b"--data_dir=caf\xe9\n"])
def test_settings_of_a_run_that_are_lost_are_told(content, read, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.flags").write_bytes(content)
    with pytest.raises(UserError, match="run/run.flags: (got no --model in it|cannot be read .*); expected the run's settings"):
        read("--workdir=run", saved=("workdir",))


def test_a_module_may_be_an_address_and_a_run_may_not(read):
    if "module" not in flags.FLAGS:  # as in `sample`, which another test of this process may have imported
        cli.define_generator_flags()
    assert read("--module=https://tfhub.dev/user/module/1", "--seed=3", saved=("workdir", "module")).seed == 3
    with pytest.raises(UserError, match="--workdir=https:.*: no such folder"):
        read("--workdir=https://tfhub.dev/user/module/1", saved=("workdir", "module"))


def test_run_flags_may_be_edited():
    config = dataclasses.replace(Config(), seed=3, flip=True)
    text = to_flags(config).replace("--flip=true", "--flip").replace("\n", "\r\n")
    assert from_flags("\ufeff" + text) == from_flags(to_flags(config))
    assert from_flags("--frames = 5")["frames "] == " 5"  # as it is written: what there is no flag for is refused when it is read


def test_every_flag_that_names_a_place_is_a_path():
    root = Path(cli.__file__).parent
    places = "DIR", "Folder", "File to", "File of", "Video, or folder"
    for file in [*root.glob("*.py")]:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if "DEFINE_string(" in line:
                assert not any(place in line for place in places), f"{file.name}:{number}: {line.strip()}"


def test_a_line_of_the_log_begins_with_its_level_and_time():
    record = logging.LogRecord("absl", logging.WARNING, "place.py", 3, "got %d", (7,), None)
    assert re.fullmatch(r"W\d{4} \d\d:\d\d:\d\d got 7", cli.Lines().format(record))


@pytest.mark.parametrize(
    "path, level, shown",
    [
        ("site-packages/tensorflow/python/saved_model/load.py", logging.WARNING, False),
        ("site-packages/tensorflow_datasets/core/features/feature.py", logging.WARNING, False),
        ("site-packages/tensorflow_datasets/core/features/feature.py", logging.ERROR, True),
        ("tfvideogan/training/loop.py", logging.INFO, True),
    ],
)
def test_the_log_is_for_users(path, level, shown):
    assert cli.is_for_users(logging.LogRecord("absl", level, path, 3, "text", (), None)) is shown

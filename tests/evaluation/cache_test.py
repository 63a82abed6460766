"""The cache of features, and what its key covers."""

import csv
import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan.evaluation import cache, fingerprint
from tfvideogan.evaluation.clips import Clips

NONE = np.zeros([0], np.float32)
FIELDS = [field.name for field in dataclasses.fields(Clips)]


class Looker:
    """Makes clips, and counts how often."""

    def __init__(self):
        self.times = 0

    def __call__(self) -> Clips:
        self.times += 1
        return Clips(**{name: np.full([3], self.times, np.float32) for name in FIELDS})


def looks(tmp_path: Path, settings: dict, *changes) -> list[bool]:
    """Whether clips were made at the start, and after each of the changes."""
    looker, made = Looker(), []
    for change in (lambda: None, *changes):
        change()
        before = looker.times
        cache.remember(str(tmp_path / "cache"), settings, looker)
        made.append(looker.times > before)
    return made


def nothing() -> None:
    pass


def test_a_second_look_comes_from_the_cache(tmp_path):
    looker, folder = Looker(), str(tmp_path / "cache")
    first, second = (cache.remember(folder, {"a": 1}, looker) for _ in range(2))
    assert looker.times == 1
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    cache.remember(folder, {"a": 2}, looker)
    assert looker.times == 2 and len(list((tmp_path / "cache").iterdir())) == 2


def test_a_damaged_cache_is_made_anew(tmp_path):
    looker, folder = Looker(), str(tmp_path / "cache")
    cache.remember(folder, {}, looker)
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(file.read_bytes()[:500])
    cache.remember(folder, {}, looker)
    assert looker.times == 2


def test_no_folder_no_cache():
    looker = Looker()
    for _ in range(2):
        cache.remember("", {}, looker)
    assert looker.times == 2


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level("WARNING", logger="absl"):
        assert len(cache.remember(str(tmp_path / "file" / "cache"), {}, Looker())) == 3
    assert "features are not kept" in caplog.text


def test_without_a_home_nothing_is_kept(monkeypatch):
    def none():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", none)
    assert cache.default_folder() == ""


def test_a_new_changed_or_removed_file_is_noticed(tmp_path):
    videos = tmp_path / "videos"
    (videos / "run").mkdir(parents=True)
    file = videos / "run" / "x.mp4"
    made = looks(tmp_path, {"data_dir": str(videos)}, nothing, lambda: file.write_bytes(b"1"), nothing, file.unlink, nothing)
    assert made == [True, False, True, False, False, False]  # back to what it was at first


def test_a_file_of_the_same_size_and_time_is_noticed(tmp_path):
    file = tmp_path / "videos" / "x.mp4"
    file.parent.mkdir()
    file.write_bytes(b"1")

    def exchange():
        time = file.stat().st_mtime_ns
        file.write_bytes(b"2")
        os.utime(file, ns=(time, time))

    assert looks(tmp_path, {"data_dir": str(file.parent)}, exchange, nothing) == [True, True, False]


def test_files_behind_linked_folders_and_links_are_seen(tmp_path):
    store, videos = tmp_path / "store", tmp_path / "videos"
    (store / "run").mkdir(parents=True)
    videos.mkdir()
    (store / "y.mp4").write_bytes(b"1")
    (videos / "run").symlink_to(store / "run")
    (videos / "y.mp4").symlink_to(store / "y.mp4")
    (videos / "again").symlink_to(videos)  # a loop
    (videos / "lost.mp4").symlink_to(store / "nowhere")
    changes = [
        *(nothing, lambda: (store / "run" / "x.mp4").write_bytes(b"1"), nothing, lambda: (store / "run" / "x.mp4").write_bytes(b"12")),
        *(lambda: (store / "y.mp4").write_bytes(b"12"), lambda: (store / "nowhere").write_bytes(b"1"), nothing),
    ]
    assert looks(tmp_path, {"data_dir": str(videos)}, *changes) == [True, False, True, False, True, True, True, False]


def test_a_data_set_of_one_file_is_seen(tmp_path):
    digits = tmp_path / "digits.npz"
    digits.write_bytes(b"1")
    made = looks(tmp_path, {"data_dir": str(digits)}, lambda: (tmp_path / "other").write_bytes(b"1"), lambda: digits.write_bytes(b"12"))
    assert made == [True, False, True]


@pytest.mark.parametrize("relative", [False, True])
def test_videos_that_a_csv_file_names_are_seen(tmp_path, relative):
    elsewhere, table = tmp_path / "elsewhere", tmp_path / "lists" / "all.csv"
    (elsewhere / "frames").mkdir(parents=True)
    table.parent.mkdir()
    (elsewhere / "x.mp4").write_bytes(b"1")
    where = Path("../elsewhere") if relative else elsewhere
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["label", "video"], ["run", where / "x.mp4"], ["run", where / "frames"], ["run", "missing/y.mp4"]])
    changes = [
        *(nothing, lambda: (elsewhere / "x.mp4").write_bytes(b"12"), lambda: (elsewhere / "frames" / "1.png").write_bytes(b"1")),
        *(lambda: (table.parent / "beside.mp4").write_bytes(b"1"), lambda: (elsewhere / "not_named.mp4").write_bytes(b"1")),
    ]
    for data_dir in (table, table.parent):
        made = looks(tmp_path, {"data_dir": str(data_dir)}, *changes)
        assert made == [True, False, True, True, True, False]
        (table.parent / "beside.mp4").unlink()
        (elsewhere / "frames" / "1.png").unlink()


def test_remote_files_are_seen_and_in_doubt_where_they_have_no_time(tmp_path, monkeypatch):
    tf.io.gfile.makedirs("ram://set/run")
    for name in ("x.mp4", "y.mp4"):
        with tf.io.gfile.GFile(f"ram://set/run/{name}", "wb") as file:
            file.write(b"1")
    times = {"x.mp4": 7, "y.mp4": 8}
    status = tf.io.gfile.stat

    class Status:
        def __init__(self, path):
            self.length, self.mtime_nsec = status(path).length, times[path.rpartition("/")[2]]

    monkeypatch.setattr(tf.io.gfile, "stat", Status)

    def rewrite():
        with tf.io.gfile.GFile("ram://set/run/x.mp4", "wb") as file:
            file.write(b"12")

    changes = nothing, rewrite, nothing, lambda: times.update({"y.mp4": 9}), nothing, lambda: times.update({"y.mp4": 0}), nothing
    assert looks(tmp_path, {"data_dir": "ram://set"}, *changes) == [True, False, True, False, True, False, True, True]


def test_what_cannot_be_looked_at_is_not_kept(tmp_path, monkeypatch, caplog):
    (tmp_path / "videos" / "shut").mkdir(parents=True)
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # as for another user
    with caplog.at_level("WARNING", logger="absl"):
        assert looks(tmp_path, {"data_dir": str(tmp_path / "videos")}, nothing) == [True, True]
    assert "are not kept" in caplog.text and "shut cannot be looked at (Permission denied)" in caplog.text


def test_what_changes_during_the_look_is_not_kept(tmp_path):
    file, looker = tmp_path / "videos" / "x.mp4", Looker()
    file.parent.mkdir()

    def write_and_look() -> Clips:
        file.write_bytes(b"1" * looker.times)
        return looker()

    cache.remember(str(tmp_path / "cache"), {"data_dir": str(file.parent)}, write_and_look)
    assert not (tmp_path / "cache").exists()


def test_names_that_are_not_utf8_are_seen(tmp_path):
    folder = os.fsencode(tmp_path) + b"/videos/\xff"
    os.makedirs(folder)
    before = fingerprint.of_files(str(tmp_path / "videos"))
    with open(folder + b"/\xfe.mp4", "wb") as file:
        file.write(b"1")
    after = fingerprint.of_files(str(tmp_path / "videos"))
    assert before and after and before != after

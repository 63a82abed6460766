"""Prepared data sets: what is in them, what is left out and why, and that stopping, workers and machines change nothing."""

import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import tfvideogan.data.sources.archives
from tests.data.decode_test import noise_video, rotate
from tests.data.sources.folder_test import write
from tests.data.sources.kinetics_test import tree
from tests.programs_test import ENVIRONMENT, TINY, run
from tfvideogan import data, prepare
from tfvideogan.config import Config, RunFailed, UserError
from tfvideogan.data import clips, decode
from tfvideogan.data.preparation import preparing, records
from tfvideogan.data.preparation.preparing import Settings

PATIENCE = 1500  # seconds for a program of a few, on a machine with other work


def settings(videos: Path | str, output: Path | str, **changes: object) -> Settings:
    return Settings(**{"videos": str(videos), "output": str(output), "size": 32, "min_frames": 4, "workers": 1, **changes})


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def examples(folder: Path, split: str = "train") -> dict[str, dict]:
    """By the names of their sources, read by TFDS."""
    found = list(tfds.builder_from_directory(str(folder)).as_dataset(split=split).as_numpy_iterator())
    return {example["file"].decode(): example for example in found}


def rejected(folder: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in (folder / "rejected.jsonl").read_text().splitlines()]
    return {line["name"]: line["reason"] for line in lines}


def message(one: Settings) -> str:
    with pytest.raises(UserError) as caught:
        prepare.main(one)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Two classes, of three videos and of two."""
    for number, name in enumerate(("a/1.mkv", "a/2.mkv", "a/3.mkv", "b/1.mkv", "b/2.mkv")):
        write(tmp_path / "videos" / name, 8 + number, size=(48, 64))
    return tmp_path / "videos"


def test_a_record_holds_the_resized_frames_label_file_and_times(videos, tmp_path):
    prepare.main(settings(videos, tmp_path / "out", lossless=True, held_out="a/3|b/2", videos_per_shard=1))
    info = tfds.builder_from_directory(str(tmp_path / "out")).info
    assert info.name == "folder" and info.features["label"].names == ["a", "b"]
    assert {name: split.num_examples for name, split in info.splits.items()} == {"train": 3, "test": 2}
    found = examples(tmp_path / "out") | examples(tmp_path / "out", "test")
    for number, (name, label) in enumerate((("a/1.mkv", 0), ("a/2.mkv", 0), ("a/3.mkv", 0), ("b/1.mkv", 1), ("b/2.mkv", 1))):
        facts = decode.probe(str(videos / name))
        frames = np.stack(list(decode.stream(str(videos / name), facts)))
        np.testing.assert_array_equal(found[name]["video"], clips.crop(clips.fit(tf.constant(frames), 32, 32), 32, 32))
        np.testing.assert_allclose(found[name]["times"], np.arange(8 + number) / 10, atol=1e-3)  # 10 frames a second
        assert found[name]["label"] == label
    assert not (tmp_path / "out" / "unfinished").exists()


def test_jpeg_has_the_quality_that_was_asked_for(real_videos, tmp_path):
    mean_error, size = {}, {}
    for quality in (50, 95):
        prepare.main(settings(real_videos / "actions" / "bend", tmp_path / str(quality), size=64, quality=quality))
        frames = examples(tmp_path / str(quality))["person0_a.mp4"]["video"]
        path = str(real_videos / "actions" / "bend" / "person0_a.mp4")
        truth = np.stack(list(decode.stream(path, decode.probe(path)))).astype(float)
        mean_error[quality], size[quality] = abs(frames - truth).mean(), sum(map(len, files(tmp_path / str(quality)).values()))
    assert mean_error[95] < 2.2 < mean_error[50] < 8 and size[50] < 0.6 * size[95], (mean_error, size)


def test_a_prepared_set_gives_the_clips_that_the_files_give(real_videos, tmp_path):
    prepare.main(settings(real_videos / "actions", tmp_path, size=32, lossless=True, videos_per_shard=20))
    changes = {"size": 32, "frames": 8, "stride": 2}
    raw = data.load(Config(dataset="folder", data_dir=str(real_videos / "actions"), **changes), "train")
    new = data.load(Config(dataset="prepared", data_dir=str(tmp_path), **changes), "train")
    assert raw.labels == new.labels and raw.size == new.size == 56
    one, other = (next(dataset.once(56).as_numpy_iterator()) for dataset in (raw, new))

    def ordered(batch: dict) -> tuple[np.ndarray, ...]:
        order = np.lexsort(batch["video"].reshape([56, -1])[:, 1000:1010].T)
        return batch["video"][order], batch["label"][order]

    for a, b in zip(ordered(one), ordered(other), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_frames_keep_their_long_side_if_asked_and_are_cropped_at_random(videos, tmp_path):
    prepare.main(settings(videos, tmp_path / "out", crop=False, lossless=True))
    assert examples(tmp_path / "out")["a/1.mkv"]["video"].shape == (8, 32, 43, 3)
    changes = {"dataset": "prepared", "data_dir": str(tmp_path / "out"), "frames": 2, "size": 32}
    plain, cropped = (data.load(Config(**changes, random_crop=random_crop), "train") for random_crop in (False, True))
    one, other = (next(dataset.batches(300).as_numpy_iterator())["video"] for dataset in (plain, cropped))
    black = [(video[:, 0, :, :, 0] < -0.95).all(1).sum(1) for video in (one, other)]  # columns of the left third, 14 of 43
    assert set(black[0]) <= {8, 9} and len(set(black[1])) >= 11  # the centre leaves out 5; at random 0 to 11
    centre = next(cropped.once(1).as_numpy_iterator())["video"]
    np.testing.assert_array_equal(centre, next(plain.once(1).as_numpy_iterator())["video"])


def test_short_side_leaves_room_for_random_crops_both_ways(videos):
    config = Config(dataset="folder", data_dir=str(videos), frames=2, size=32, short_side=40, random_crop=True)
    batch = next(data.load(config, "train").batches(200).as_numpy_iterator())["video"]
    assert batch.shape == (200, 2, 32, 32, 3) and len({int((video[0, 0, :, 0] < -0.95).sum()) for video in batch}) >= 11
    with pytest.raises(UserError, match="--short_side=31: "):
        Config(size=32, short_side=31)


def test_long_videos_are_cut_into_pieces_with_times_of_the_source(tmp_path):
    write(tmp_path / "videos" / "a" / "long.mkv", 22)
    prepare.main(settings(tmp_path / "videos", tmp_path / "out", clip_frames=9, lossless=True))
    pieces = list(tfds.builder_from_directory(str(tmp_path / "out")).as_dataset(split="train").as_numpy_iterator())
    assert sorted(len(piece["video"]) for piece in pieces) == [4, 9, 9]
    np.testing.assert_allclose(np.sort(np.concatenate([piece["times"] for piece in pieces])), np.arange(22) / 10, atol=1e-3)
    assert {piece["file"] for piece in pieces} == {b"a/long.mkv"}


def bad_tree(folder: Path) -> Path:
    """Every kind of bad input beside 14 good ones: of those that are odd but sound, all are to be kept."""
    for number in range(7):
        noise_video(folder / "good" / f"{number}.mp4", 20 + number)
    noise_video(folder / "good" / "variable.mp4", 12, [0, 5, 10, 40, 45, 100, 101, 130, 150, 151, 152, 170])
    rotate(write(folder / "good" / "portrait.mp4", 12, "libx264"))
    write(folder / "good" / "odd.mkv", 12, size=(33, 47))
    write(folder / "good" / "with spaces and ümläute 動画 <b>&.mkv", 13)
    whole = noise_video(folder / "bad" / "truncated.mp4", 60).read_bytes()
    (folder / "bad" / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    whole = noise_video(folder / "bad" / "truncated late.mp4", 60, movflags="faststart").read_bytes()
    (folder / "bad" / "truncated late.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "bad" / "zero.mp4").write_bytes(b"")
    (folder / "bad" / "text.mp4").write_text("text " * 1000)
    write(folder / "bad" / "still.gif", 1, "gif", "gray")
    shutil.copy(folder / "good" / "0.mp4", folder / "good" / "copy.mp4")
    write(folder / "unlisted" / "a.mkv", 14)
    write(folder / "loose.mkv", 14)
    (folder / "bad" / os.fsdecode(b"latin\xe9.mkv")).write_bytes(b"any")
    with av.open(str(folder / "bad" / "music.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros([1, 1024], np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    damaged = bytearray(noise_video(folder / "good" / "damaged.mp4", 60).read_bytes())
    damaged[len(damaged) // 2 : len(damaged) // 2 + 2000] = bytes(2000)
    (folder / "good" / "damaged.mp4").write_bytes(damaged)
    return folder


def test_every_bad_input_is_named_and_survived(tmp_path):
    bad_tree(tmp_path / "videos")
    (tmp_path / "labels.txt").write_text("good\nbad\n")
    one = settings(tmp_path / "videos", tmp_path / "out", labels=str(tmp_path / "labels.txt"), max_rejected=0.6, preview=True)
    prepare.main(one)
    reasons = rejected(tmp_path / "out")
    assert set(reasons) == {
        *("bad/truncated.mp4", "bad/truncated late.mp4", "bad/zero.mp4", "bad/text.mp4", "bad/still.gif", "bad/music.mp4"),
        *("good/copy.mp4", "unlisted/a.mkv", "loose.mkv", "bad/latin\\udce9.mkv", "good/damaged.mp4"),
    }
    assert reasons["bad/truncated.mp4"].startswith("cannot be decoded")
    assert re.fullmatch(r"truncated: \d+ of its 60 frames are there", reasons["bad/truncated late.mp4"])
    assert reasons["bad/zero.mp4"] == "empty file"
    assert reasons["bad/text.mp4"].startswith("cannot be decoded: Invalid data")
    assert reasons["bad/still.gif"] == "1 frame, where at least 4 are wanted (--min_frames)"
    assert reasons["bad/music.mp4"] == "no video stream"
    assert reasons["good/copy.mp4"] == "a duplicate: the same content as good/0.mp4"
    assert reasons["unlisted/a.mkv"] == "its class 'unlisted' is not in the list of labels"
    assert reasons["loose.mkv"] == "in none of the class folders"
    assert reasons["bad/latin\\udce9.mkv"] == "its name is not UTF-8, or has a line break"
    assert re.match(r"damaged after \d+ of its 60 frames", reasons["good/damaged.mp4"])

    found = examples(tmp_path / "out")
    assert len(found) == 11 and all(example["video"].shape[1:] == (32, 32, 3) and example["label"] == 0 for example in found.values())
    np.testing.assert_allclose(found["good/variable.mp4"]["times"][:6], [0, 0.05, 0.1, 0.4, 0.45, 1.0], atol=1e-3)
    portrait = found["good/portrait.mp4"]["video"][5]
    assert portrait[:6].mean() < 20 < portrait[12:].mean()  # what was left is up
    assert "good/with spaces and ümläute 動画 <b>&.mkv" in found
    page = (tmp_path / "out" / "preview.html").read_text()
    assert "latin\\udce9.mkv" in page and "<td>64x48</td>" in page and "<td>33x47</td>" not in page and "<td>47x33</td>" in page
    assert tf.io.decode_png((tmp_path / "out" / "preview.png").read_bytes()).shape[0] == 33  # one class, one row


def test_names_on_the_page_are_escaped(tmp_path):
    write(tmp_path / "videos" / "<script>alert(1)</script>" / "a.mkv", 8) if os.name != "posix" else None
    write(tmp_path / "videos" / "<i>x & y" / "a.mkv", 8)
    (tmp_path / "videos" / "<i>x & y" / "<b>.mp4").write_bytes(b"")
    prepare.main(settings(tmp_path / "videos", tmp_path / "out", max_rejected=0.5, preview=True))
    page = (tmp_path / "out" / "preview.html").read_text()
    assert "&lt;i&gt;x &amp; y" in page and "&lt;b&gt;.mp4" in page and "<i>" not in page and "<b>" not in page


def test_too_many_rejected_files_stop_it_before_anything_is_written(videos, tmp_path):
    (videos / "a" / "zero.mp4").write_bytes(b"")
    one = settings(videos, tmp_path / "out")
    told = message(one)
    assert "--max_rejected=0.05: 1 of 6 videos cannot be used (17%), as a/zero.mp4: empty file; all are in" in told
    assert rejected(tmp_path / "out") == {"a/zero.mp4": "empty file"} and not list((tmp_path / "out").glob("*tfrecord*"))
    write(videos / "a" / "zero.mp4", 9, "libx264")  # mended: it is looked at again
    prepare.main(one)
    assert len(examples(tmp_path / "out")) == 6


def test_damage_found_late_stops_it_too_and_can_be_mended(videos, tmp_path):
    whole = noise_video(videos / "a" / "damaged.mp4", 60).read_bytes()
    (videos / "a" / "damaged.mp4").write_bytes(whole[: len(whole) // 2] + bytes(2000) + whole[len(whole) // 2 + 2000 :])
    one = settings(videos, tmp_path / "out", videos_per_shard=1)
    assert "1 of 6 videos cannot be used (17%), as a/damaged.mp4: damaged after" in message(one)
    (videos / "a" / "damaged.mp4").write_bytes(whole)
    prepare.main(one)
    assert len(examples(tmp_path / "out")) == 6


def test_a_shard_may_turn_out_to_be_empty(videos, tmp_path):
    whole = noise_video(videos / "a" / "damaged.mp4", 60).read_bytes()
    (videos / "a" / "damaged.mp4").write_bytes(whole[: len(whole) // 2] + bytes(2000) + whole[len(whole) // 2 + 2000 :])
    prepare.main(settings(videos, tmp_path / "out", videos_per_shard=1, max_rejected=0.5))
    assert len(examples(tmp_path / "out")) == 5  # read by TFDS
    dataset = data.load(Config(dataset="prepared", data_dir=str(tmp_path / "out"), frames=4, size=32), "train")
    assert dataset.size == sum(len(batch["label"]) for batch in dataset.once(2).as_numpy_iterator()) == 5


def test_a_finished_set_is_left_alone_and_other_settings_are_refused(videos, tmp_path):
    prepare.main(settings(videos, tmp_path / "out"))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    prepare.main(settings(videos, tmp_path / "out"))
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert "holds a data set of other settings: --size=48 (was 32). Give another --output." in message(
        settings(videos, tmp_path / "out", size=48)
    )


def test_videos_that_came_or_went_after_a_set_was_prepared_are_named(videos, tmp_path, caplog):
    prepare.main(settings(videos, tmp_path / "out"))
    gone = next(videos.rglob("*.mkv"))
    shutil.copy(gone, gone.with_name("new.mkv"))
    gone.unlink()
    with caplog.at_level("WARNING"):
        prepare.main(settings(videos, tmp_path / "out"))
    name = gone.relative_to(videos)
    assert [line.rpartition(": ")[2] for line in caplog.messages if " after " in line] == [str(name.with_name("new.mkv")), str(name)]
    caplog.clear()
    shutil.rmtree(videos)
    prepare.main(settings(videos, tmp_path / "out"))
    assert not [line for line in caplog.messages if " after " in line]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[1]"])
def test_settings_that_are_none_are_named(content, videos, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "prepare.json").write_bytes(content)
    assert "prepare.json: got no settings of prepare" in message(settings(videos, tmp_path / "out"))


def test_whenever_the_last_steps_are_interrupted_the_files_are_the_same(videos, tmp_path, monkeypatch):
    prepare.main(settings(videos, tmp_path / "whole"))
    one, rename, renamed = settings(videos, tmp_path / "out"), tf.io.gfile.rename, []

    def interrupted(*arguments: object, **more: object) -> None:
        renamed.append(arguments)
        if len(renamed) == stop:
            raise KeyboardInterrupt
        rename(*arguments, **more)

    for stop in range(1, 100):
        monkeypatch.setattr(tf.io.gfile, "rename", interrupted)
        renamed.clear()
        try:
            prepare.main(one)
            break
        except KeyboardInterrupt:
            assert stop < 50
    monkeypatch.undo()
    assert stop >= 6 and files(tmp_path / "out") == files(tmp_path / "whole")
    (tmp_path / "out" / "unfinished").mkdir()  # killed after the last file
    prepare.main(one)
    assert files(tmp_path / "out") == files(tmp_path / "whole") and not (tmp_path / "out" / "unfinished").exists()


def test_mistakes_are_told_in_one_line(videos, tmp_path):
    assert "--videos is missing" in message(settings("", tmp_path / "out"))
    assert "--output is missing" in message(settings(videos, ""))
    assert f"--videos={tmp_path}/none: no such folder" in message(settings(tmp_path / "none", tmp_path / "out"))
    assert "expected an empty or a new folder" in message(settings(videos, videos))
    assert "--dataset=prepared: expected folder, ucf101" in message(settings(videos, tmp_path / "out", dataset="prepared"))
    assert "--labels=none.txt: no such file" in message(settings(videos, tmp_path / "out", labels="none.txt"))
    assert "--held_out=(: no regular expression" in message(settings(videos, tmp_path / "out", held_out="("))
    assert "expected a Kinetics CSV file" in message(settings(videos, tmp_path / "out", dataset="kinetics"))
    assert "or with UCF-101's archives" in message(settings(videos, tmp_path / "out", dataset="ucf101"))
    assert "expected an .npz file" in message(settings(videos, tmp_path / "out", dataset="moving_mnist"))
    for changes, wanted in (
        ({"quality": 0}, "expected 1 to 100"),
        ({"max_rejected": 2.0}, "expected a share"),
        ({"clip_frames": 2}, "at least --min"),
    ):
        with pytest.raises(UserError, match=wanted):
            settings(videos, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_videos_that_came_or_went_are_noticed(videos, tmp_path, monkeypatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    one = settings(videos, tmp_path / "out")
    monkeypatch.setattr(records, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare.main(one)
    monkeypatch.undo()
    write(videos / "a" / "new.mkv", 8)
    assert "videos came or went since" in message(one)
    (videos / "a" / "new.mkv").unlink()
    prepare.main(one)
    assert len(examples(tmp_path / "out")) == 5


def test_a_full_disk_midway_is_a_failure_that_keeps_what_is_done(videos, tmp_path, monkeypatch):
    prepare.main(settings(videos, tmp_path / "whole"))
    one = settings(videos, tmp_path / "out", videos_per_shard=1)
    written = records.write_whole

    def full(path: str, *rest: object, **named: object) -> None:
        if path.endswith("train-00002.json"):
            raise OSError(28, "No space left on device")
        written(path, *rest, **named)

    monkeypatch.setattr(records, "write_whole", full)
    with pytest.raises(RunFailed, match=r"No space left on device. What is prepared is kept: start the same command again"):
        prepare.main(one)
    done = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*tfrecord*0[01]-of-*")}
    monkeypatch.undo()
    prepare.main(one)
    assert len(done) == 2 and done == {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in done}
    assert examples(tmp_path / "out").keys() == examples(tmp_path / "whole").keys()


def test_remote_folders_work_as_local_ones(videos, tmp_path):
    for path in videos.rglob("*.mkv"):
        tf.io.gfile.makedirs(f"ram://videos/{path.parent.name}")
        tf.io.gfile.copy(str(path), f"ram://videos/{path.parent.name}/{path.name}", overwrite=True)
    prepare.main(settings("ram://videos", "ram://out", held_out="a/3"))
    prepare.main(settings(videos, tmp_path / "out", held_out="a/3"))
    local = files(tmp_path / "out")
    for name in local:
        with tf.io.gfile.GFile(f"ram://out/{name}", "rb") as file:
            assert file.read().replace(b"ram://videos", str(videos).encode()) == local[name] or name in (
                "prepare.json",
                "dataset_info.json",
            )
    for dataset in ("prepared", "folder"):
        folders = {"prepared": ("ram://out", tmp_path / "out"), "folder": ("ram://videos", videos)}[dataset]
        one, other = (data.load(Config(dataset=dataset, data_dir=str(folder), frames=4, size=32), "train") for folder in folders)
        batches = [next(loaded.batches(12).as_numpy_iterator()) for loaded in (one, other)]
        np.testing.assert_array_equal(batches[0]["video"], batches[1]["video"])


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_ucf101_is_prepared_from_its_archives(tmp_path, kind):
    for name in ("Archery/v_a.avi", "Zip/v_b.avi"):
        write(tmp_path / "in" / "UCF-101" / name, 9 + len(name), "mpeg4")
    (tmp_path / "archives").mkdir()
    shutil.make_archive(str(tmp_path / "archives" / "UCF101"), kind, tmp_path / "in", "UCF-101")
    with zipfile.ZipFile(tmp_path / "archives" / "UCF101TrainTestSplits-RecognitionTask.zip", "w") as lists:
        lists.writestr("ucfTrainTestlist/classInd.txt", "1 Archery\r\n2 Zip\r\n")
        lists.writestr("ucfTrainTestlist/trainlist02.txt", "Archery/v_a.avi 1\n")
        lists.writestr("ucfTrainTestlist/testlist02.txt", "Zip/v_b.avi\n")
    prepare.main(settings(tmp_path / "archives", tmp_path / "out", dataset="ucf101/split2"))
    assert examples(tmp_path / "out")["Archery/v_a.avi"]["label"] == 0
    assert examples(tmp_path / "out", "test")["Zip/v_b.avi"]["label"] == 1
    assert sorted(os.listdir(tmp_path / "archives")) == sorted(
        {"zip": ["UCF101.zip"], "gztar": ["UCF101.tar.gz"]}[kind] + ["UCF101TrainTestSplits-RecognitionTask.zip"]
    )


def test_rar_wants_a_program_that_unpacks_it(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "UCF101.rar").write_bytes(b"Rar!")
    monkeypatch.setenv("PATH", "")
    assert "UCF101.rar: unpacking it wants one of bsdtar, unar, unrar, 7z; install one" in message(
        settings(tmp_path / "in", tmp_path / "out", dataset="ucf101")
    )
    tool = tmp_path / "bin" / "unrar"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho broken archive >&2; exit 3\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/bin:/usr/bin")
    monkeypatch.setattr(tfvideogan.data.sources.archives, "TOOLS", {"unrar": tfvideogan.data.sources.archives.TOOLS["unrar"]})
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    assert "UCF101.rar: unrar failed: broken archive" in message(settings(tmp_path / "in", tmp_path / "out", dataset="ucf101"))
    (tmp_path / "made" / "UCF-101").mkdir(parents=True)
    (tmp_path / "made" / "ucfTrainTestlist").mkdir()
    tool.write_text(f'#!/bin/sh\ncp -r {tmp_path}/made/* "$4"\n')  # unrar x -idq ARCHIVE FOLDER/
    assert tfvideogan.data.sources.archives.extracted(str(tmp_path / "in"), str(tmp_path / "unpacked")) == str(tmp_path / "unpacked")


def test_the_official_lists_of_ucf101_decide_labels_and_splits(real_videos, tmp_path):
    lists = real_videos / "ucf101_mini" / "ucfTrainTestlist"
    prepare.main(settings(real_videos / "ucf101_mini", tmp_path, dataset="ucf101/split1", max_rejected=1.0))
    found = examples(tmp_path, "test")
    numbers = {line.split()[1]: int(line.split()[0]) - 1 for line in (lists / "classInd.txt").read_text().splitlines() if line.strip()}
    assert {name: example["label"] for name, example in found.items()} == {
        name: numbers[name.split("/")[0]]
        for name in ("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi", "BaseballPitch/v_BaseballPitch_g01_c01.avi")
    }
    listed = sum(len((lists / f"{part}list01.txt").read_text().split("\n")) - 1 for part in ("train", "test"))
    assert len(rejected(tmp_path)) == 13_318 and abs(listed - 9537 * 1 - 3783) < 3
    assert rejected(tmp_path)["ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi"] == "listed in trainlist01.txt, but there is no such file"


@pytest.mark.slow
def test_kinetics_of_600_classes(real_videos, tmp_path):
    labels = tree(tmp_path / "kinetics", 600, real_videos)
    one = settings(tmp_path / "kinetics", tmp_path / "out", dataset="kinetics/600", workers=2, videos_per_shard=50, max_rejected=0.01)
    prepare.main(one)
    splits = ("train", "validation", "test")
    found = {split: examples(tmp_path / "out", split) for split in splits}
    assert [len(found[split]) for split in splits] == [480, 60, 60]
    info = tfds.builder_from_directory(str(tmp_path / "out")).info
    assert info.features["label"].names == sorted(labels.values()) and not rejected(tmp_path / "out")
    for split in splits:
        for name, example in found[split].items():
            assert info.features["label"].int2str(int(example["label"])) == labels[Path(name).stem]


def start(*flags: str, python: str = sys.executable) -> subprocess.Popen:
    command = [python, "-m", "tfvideogan.prepare", *flags]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen) -> None:
    """Waits for a program that must succeed."""
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out[-3000:]


def marks(output: Path) -> list[Path]:
    """The tasks that are done."""
    return [path for path in output.glob("unfinished/*") if path.suffix in (".json", ".jsonl")]


@pytest.mark.slow
def test_killed_at_random_and_started_again_the_files_are_the_same(real_videos, tmp_path):
    flags = [f"--videos={real_videos}/actions", "--videos_per_shard=4", "--size=64"]
    whole = tmp_path / "whole"
    finish(start(*flags, f"--output={whole}", "--workers=1"))
    killed, output = 0, tmp_path / "killed"
    for workers in (1, 2, 1, 2, 2):
        wanted = len(marks(output)) + random.randint(1, 3)  # of 1 for looking at the files, and 14 for shards
        process = start(*flags, f"--output={output}", f"--workers={workers}")
        end = time.time() + PATIENCE
        while len(marks(output)) < wanted and process.poll() is None and time.time() < end:
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.1))
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    print("killed while it worked:", killed, "times; shards by then:", len(list(output.glob("*tfrecord*"))))
    assert killed >= 3
    finish(start(*flags, f"--output={output}", "--workers=2"))
    one, other = files(whole), files(output)
    assert one.keys() == other.keys() and [name for name in one if one[name] != other[name]] == []


@pytest.mark.slow
def test_workers_end_with_the_program(real_videos, tmp_path):
    process = start(f"--videos={real_videos}/actions", f"--output={tmp_path}/out", "--videos_per_shard=1", "--workers=2")
    end = time.time() + PATIENCE
    while not list((tmp_path / "out").glob("*tfrecord*")) and process.poll() is None and time.time() < end:
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    process.send_signal(signal.SIGKILL)
    process.communicate()  # workers hold its output open: it ends when they do
    assert len(workers) == 2 and not any(map(lives, workers))


def lives(pid: str) -> bool:
    """Whether a process runs: one that ended may still be listed, as a zombie."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


@pytest.mark.slow
def test_two_beam_workers_write_what_one_process_writes(real_videos, tmp_path):
    pytest.importorskip("apache_beam")
    flags = [f"--videos={real_videos}/actions", "--videos_per_shard=8", "--size=32"]
    beam = "--beam=--runner=FnApiRunner --direct_num_workers={} --direct_running_mode=multi_processing"
    for output, more in (("one", beam.format(1)), ("two", beam.format(2)), ("none", "--workers=1")):
        finish(start(*flags, f"--output={tmp_path}/{output}", more))
    assert files(tmp_path / "one") == files(tmp_path / "two") == files(tmp_path / "none")


@pytest.mark.slow
@pytest.mark.parametrize("name, split", [("actions", "train"), ("clips", "train"), ("ucf101_mini", "test")])
def test_prepared_sets_train_dvdgan(real_videos, tmp_path, name, split):
    more = {"dataset": "ucf101", "max_rejected": 1.0} if name == "ucf101_mini" else {}
    prepare.main(settings(real_videos / name, tmp_path / "data", size=32, **more))
    tiny = [flag for flag in TINY if not flag.startswith("--dataset")]
    run("train", *tiny, "--dataset=prepared", f"--data_dir={tmp_path}/data", f"--split={split}", "--steps=2", f"--workdir={tmp_path}/run")
    assert (tmp_path / "run" / "export" / "saved_model.pb").exists()


def sleep_long(task: records.Task) -> None:
    """A worker's task, which says that it is begun."""
    Path(task.done).touch()
    time.sleep(60)


def test_an_interruption_does_not_wait_for_what_workers_are_at(tmp_path):
    """And reaches them too, as in a terminal, where each would tell of it in lines of its own."""
    tasks = [records.Task((), str(tmp_path / name)) for name in "abc"]

    def interrupt() -> None:
        while not (tmp_path / "b").exists():
            time.sleep(0.01)
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGINT)
        time.sleep(0.5)
        interrupted.append(time.monotonic())
        assert len(multiprocessing.active_children()) == 2
        os.kill(os.getpid(), signal.SIGINT)

    interrupted: list[float] = []
    threading.Thread(target=interrupt, daemon=True).start()
    (tmp_path / "out" / "unfinished").mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt):
        preparing.run(sleep_long, tasks, settings(tmp_path, tmp_path / "out", workers=2), "sleeping")
    assert time.monotonic() - interrupted[0] < 20 and not multiprocessing.active_children()

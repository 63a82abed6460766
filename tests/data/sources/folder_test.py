"""Videos as they lie: which files are used, which frames are picked, and what is said about the rest."""

import logging
import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfvideogan import cli, data
from tfvideogan.config import Config, UserError
from tfvideogan.data import clips, decode, paths
from tfvideogan.data.sources import folder as folder_source
from tfvideogan.data.sources import listing

LEVELS = 8  # grey levels between one frame and the next


def write(path: Path, frames: int, codec: str = "ffv1", format: str = "yuv420p", size: tuple[int, int] = (32, 48), rate: int = 10) -> Path:
    """A video whose frame t is grey, of level 8 t + 20, but for its left third, which is black."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, pix_fmt=format, height=size[0], width=size[1])
        for t in range(frames):
            image = np.full([*size, 3], LEVELS * t + 20, np.uint8)
            image[:, : size[1] // 3] = 0
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())
    return path


def config(folder: Path, **changes: object) -> Config:
    return Config(**{"dataset": "folder", "data_dir": str(folder), "frames": 4, "size": 32, **changes})


def load(folder: Path, **changes: object) -> data.Dataset:
    return data.load(config(folder, **changes), "train")


def load_split(folder: Path, split: str, held_out: str) -> data.Dataset:
    return data.load(config(folder, held_out=held_out), split)


def numbers(videos: np.ndarray) -> np.ndarray:
    """The frame numbers [N,T] of clips [N,T,H,W,3] in [-1,1], read off the middle."""
    middle = videos[:, :, videos.shape[2] // 2, videos.shape[3] // 2].mean(-1)
    return np.rint(((middle + 1) * 127.5 - 20) / LEVELS).astype(int)


def drawn(dataset: data.Dataset, count: int) -> np.ndarray:
    return next(dataset.batches(count).as_numpy_iterator())["video"]


@pytest.mark.parametrize(
    "suffix, codec, format",
    [("mkv", "ffv1", "yuv420p"), ("MP4", "libx264", "yuv420p"), ("avi", "mpeg4", "yuv420p"), ("gif", "gif", "gray")],
)
def test_the_centre_clip_has_the_right_frames(tmp_path, suffix, codec, format):
    write(tmp_path / "grey" / f"a.{suffix}", 20, codec, format)
    batch = next(load(tmp_path, stride=3).once(1).as_numpy_iterator())
    np.testing.assert_array_equal(numbers(batch["video"]), [[5, 8, 11, 14]])  # 10 of 20 frames, from (20 - 10) / 2 on


def test_frames_are_resized_by_the_short_side_and_cropped_to_the_centre(tmp_path):
    write(tmp_path / "grey" / "a.mkv", 4, size=(64, 96))
    video = next(load(tmp_path).once(1).as_numpy_iterator())["video"]
    assert video.shape == (1, 4, 32, 32, 3)
    # The left third of 96 is black, 16 of 48 columns after the resize, of which the crop drops 8.
    assert (video[0, 3, :, :7] < -0.97).all() and (abs(video[0, 3, :, 9:] - (44 / 127.5 - 1)) < 0.03).all()


def test_training_draws_starts_and_strides_all_of_them_and_again_the_same(tmp_path):
    write(tmp_path / "grey" / "a.mkv", 12)
    dataset = load(tmp_path, stride=2, max_stride=9)
    clips = numbers(drawn(dataset, 200))
    strides = np.diff(clips, axis=1)
    assert (strides == strides[:, :1]).all()
    wanted = {(start, stride) for stride in (2, 3) for start in range(12 - 3 * stride)}  # 12 frames allow no stride of 4
    assert {(start, stride) for start, stride in zip(clips[:, 0], strides[:, 0], strict=True)} == wanted
    assert 0.4 < (strides == 3).mean() < 0.6  # uniform over strides, 0.5 +- 0.035; over (start, stride) it would be 1/3
    np.testing.assert_array_equal(clips, numbers(drawn(load(tmp_path, stride=2, max_stride=9), 200)))
    assert (clips != numbers(drawn(load(tmp_path, stride=2, max_stride=9, seed=1), 200))).any()


def test_flip_mirrors_half_of_the_training_clips_whole_and_none_of_the_others(tmp_path):
    write(tmp_path / "grey" / "a.mkv", 9)
    plain, flipped = drawn(load(tmp_path), 200), drawn(load(tmp_path, flip=True), 200)
    is_mirrored = [(a[:, :, ::-1] == b).all() for a, b in zip(plain, flipped, strict=True)]
    is_same = [(a == b).all() for a, b in zip(plain, flipped, strict=True)]
    assert (np.array(is_mirrored) ^ np.array(is_same)).all()
    assert 70 < sum(is_mirrored) < 130  # 100 +- 7
    starts = numbers(plain)[:, 0]
    assert abs(np.corrcoef(starts, is_mirrored)[0, 1]) < 0.25  # the draws are independent: 0 +- 0.07
    once = [next(load(tmp_path, flip=flip).once(1).as_numpy_iterator())["video"] for flip in (False, True)]
    np.testing.assert_array_equal(*once)


def test_one_frame_of_a_one_frame_video(tmp_path):
    write(tmp_path / "grey" / "a.mkv", 1)
    np.testing.assert_array_equal(numbers(drawn(load(tmp_path, frames=1, max_stride=4), 3)), [[0]] * 3)


def test_in_memory_or_not_the_clips_are_the_same(real_videos, monkeypatch):
    changes = {"frames": 8, "size": 48, "stride": 2, "max_stride": 4, "flip": True, "seed": 5}
    cached = load(real_videos / "actions", **changes)
    monkeypatch.setattr(listing, "CACHE_BYTES", 0)
    fresh = load(real_videos / "actions", **changes)
    monkeypatch.undo()
    np.testing.assert_array_equal(drawn(cached, 12), drawn(fresh, 12))


def test_real_videos(real_videos):
    dataset = load(real_videos / "actions", frames=16, size=64)
    assert dataset.labels == ("bend", "jack", "wave1", "wave2") and dataset.size == 56
    videos, labels = zip(*((batch["video"], batch["label"]) for batch in dataset.once(24).as_numpy_iterator()), strict=True)
    assert np.concatenate(videos).shape == (56, 16, 64, 64, 3)
    np.testing.assert_array_equal(np.concatenate(labels), np.repeat(range(4), 14))
    assert data.load(config(real_videos / "actions"), "test").size == 56  # every split is the whole folder
    with av.open(str(real_videos / "actions" / "bend" / "person0_a.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    start = (len(frames) - 16) // 2
    np.testing.assert_allclose(videos[0][0], np.stack(frames[start : start + 16]) / 127.5 - 1, atol=1e-6)


def test_held_out_files_are_the_test_split_and_no_others(tmp_path):
    for name in ("a/person1.mkv", "a/person2.mkv", "b/person1.mkv", "b/person2.mkv", "b/person2_again.mkv"):
        write(tmp_path / name, 4)

    def size(split: str, held_out: str) -> int:
        return data.load(config(tmp_path, held_out=held_out), split).size

    assert [size(split, "person2") for split in ("train", "test", "train+test")] == [2, 3, 5]
    assert [size(split, "a/.*1|b/.*n2") for split in ("train", "test", "train+test")] == [2, 3, 5]
    assert [size(split, "") for split in ("train", "test", "train+test")] == [5, 5, 5]
    with pytest.raises(UserError, match="--held_out=b/: class 'a' has 2 videos, none of them for --split=test"):
        size("test", "b/")
    with pytest.raises(UserError, match=r"--held_out=person\[: no regular expression"):
        size("train", "person[")
    with pytest.raises(UserError, match="--held_out=person3: found in none of 5 names, the first a/person1.mkv; expected it in some"):
        size("train", "person3")


def test_people_held_out_of_real_videos_are_in_no_training_clip(real_videos):
    train, test = (load_split(real_videos / "actions", split, "person[56]_") for split in ("train", "test"))
    assert (train.size, test.size) == (40, 16)
    seen, unseen = (next(dataset.once(60).as_numpy_iterator())["video"] for dataset in (train, test))
    assert not any((clip == other).all() for clip in unseen for other in seen)


def test_what_clips_are_of_is_told_by_name_and_looks(tmp_path):
    for name, count in (("b/2.mkv", 4), ("a/1.mkv", 9), ("a/short.mkv", 3)):
        write(tmp_path / name, count)
    assert load(tmp_path).source.files == ("a/1.mkv\t9 frames of 48x32", "b/2.mkv\t4 frames of 48x32")


def test_unusable_files_are_named_counted_and_left_out(tmp_path, caplog):
    write(tmp_path / "a" / "good.mkv", 8)
    write(tmp_path / "b" / "good.mkv", 8)
    write(tmp_path / "b" / "short.mkv", 3)
    (tmp_path / "a" / "text.mp4").write_text("not a video " * 100)
    (tmp_path / "a" / "zero.avi").write_bytes(b"")
    (tmp_path / "a" / "notes.txt").write_text("no video")
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path).size == 2
    lines = [record.getMessage() for record in caplog.records]
    assert any("text.mp4: cannot be decoded" in line for line in lines) and any("zero.avi: empty file" in line for line in lines)
    assert any("short.mkv: 3 frames, where a clip needs 4" in line for line in lines)
    assert "left out 3 of 5 videos, which cannot be used" in lines and "not read, files ending in .txt: a/notes.txt" in lines


def test_what_is_not_read_is_told_with_its_reason(tmp_path, caplog):
    write(tmp_path / "a" / "good.mkv", 8)
    shutil.copy(tmp_path / "a" / "good.mkv", tmp_path / "a" / "loud.MKV")
    for name in ("a/list.csv", "a/none", "README.md", "a/deeper/b.mkv", "a/.hidden.mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("any")
    write(tmp_path / "loose.webm", 8, "libvpx")
    (tmp_path / "loose.png").write_text("any")
    for number in range(25):
        (tmp_path / "a" / f"{number:02}.json").write_text("any")
    (tmp_path / "a" / "take.1").mkdir()  # a folder of frames, whatever its name
    for number in range(4):
        Image.new("L", (40, 32)).save(tmp_path / "a" / "take.1" / f"{number}.png")
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path).size == 3
    lines = [record.getMessage() for record in caplog.records]
    assert "not read, files ending in .csv: a/list.csv" in lines and "not read, files without an ending: a/none" in lines
    assert "not read, files ending in .md: README.md" in lines and "not read, folders without pictures: a/deeper" in lines
    assert any(line.startswith("not read, files ending in .json: a/00.json, ") and line.endswith("a/19.json and 5 more") for line in lines)
    assert "left out loose.webm: in none of the class folders" in lines and "left out loose.png: in none of the class folders" in lines


def test_names_that_are_no_line_are_named_and_left_out(tmp_path, caplog):
    write(tmp_path / "a" / "good.mkv", 8)
    for name in ("two\nlines.mkv", "a\rreturn.mkv"):
        shutil.copy(tmp_path / "a" / "good.mkv", tmp_path / "a" / name)
    write(tmp_path / "sepa\u2028rator" / "tab\t.mkv", 8)
    with caplog.at_level(logging.WARNING):
        found = load(tmp_path)
    assert found.labels == ("a", "sepa\u2028rator") and found.size == 2
    assert r"left out a/two\nlines.mkv: its name is not UTF-8, or has a line break" in caplog.messages
    assert r"left out a/a\rreturn.mkv: its name is not UTF-8, or has a line break" in caplog.messages


def test_what_lies_among_frames_is_told(tmp_path, caplog):
    frames(tmp_path / "a" / "take", 4)
    for name in ("5.exr", "times", "whole.mp4"):
        (tmp_path / "a" / "take" / name).write_text("any")
    frames(tmp_path / "a" / "take" / "masks", 4)
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path).size == 1
    told = [record.getMessage() for record in caplog.records]
    assert sorted(told) == [
        "not read, files ending in .exr: a/take/5.exr",
        "not read, files without an ending: a/take/times",
        "not read, videos in a folder of frames: a/take/masks, a/take/whole.mp4",
    ]


def frames(folder: Path, count: int, size: tuple[int, int] = (40, 32)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("L", size).save(folder / f"{number}.png")


@pytest.mark.parametrize("names", [("train", "val"), ("Training", "valid", "TEST"), ("train", "validation", "notes")])
def test_folders_named_as_splits_are_splits(names, tmp_path, caplog):
    parts = [name for name in names if name != "notes"]
    for i, part in enumerate(parts):
        for label in ("run", "walk"):
            for number in range(i + 1):
                write(tmp_path / part / label / f"{number}.mkv", 4 + number)
    for name in set(names) - set(parts):
        (tmp_path / name).mkdir()
        (tmp_path / name / "list.txt").write_text("any")
    sizes = {split: data.load(config(tmp_path), split).size for split in ("train", "validation", "train+validation+test")}
    assert sizes == {"train": 2, "validation": 4, "train+validation+test": 2 * sum(range(1, len(parts) + 1))}
    clips = data.load(config(tmp_path), "validation")
    assert clips.labels == ("run", "walk") and sorted(next(iter(clips.once(9)))["label"].numpy()) == [0, 0, 1, 1]
    assert set(folder_source.listing(str(tmp_path), "").splits) == {"train", "validation", "test"} - ({"test"} if len(parts) < 3 else set())
    with pytest.raises(UserError, match="--held_out=1: .* has folders for its splits, .*; expected no --held_out"):
        data.load(config(tmp_path, held_out="1"), "train")
    write(tmp_path / parts[1] / "jump" / "0.mkv", 4)
    with pytest.raises(UserError, match="class 'jump' has 1 videos, none of them for --split=train"):
        data.load(config(tmp_path), "train")


def test_splits_of_frames_or_loose_videos_are_one_class(tmp_path):
    for part in ("train", "test"):
        frames(tmp_path / "frames" / part / "take1", 4)
        frames(tmp_path / "frames" / part / "take2", 4)
        write(tmp_path / "loose" / part / "1.mkv", 4)
    for name, size in (("frames", 2), ("loose", 1)):
        clips = data.load(config(tmp_path / name), "test")
        assert clips.labels == (name,) and clips.size == size


@pytest.mark.parametrize("names", [("train", "bus"), ("test", "rehearsal"), ("train",)])
def test_classes_may_be_named_as_splits(names, tmp_path):
    for name in names:
        write(tmp_path / name / "1.mkv", 4)
    assert load(tmp_path).labels == tuple(sorted(names)) and load(tmp_path).size == len(names)


@pytest.mark.parametrize("size, labels", [((40, 32), None), ((32, 32), None), ((128, 32), ("take1", "take2"))])
def test_folders_of_frames_without_classes_are_videos_of_one_and_strips_are_not_frames(size, labels, tmp_path):
    for name in ("take1", "take2"):
        frames(tmp_path / "set" / name, 4, size)
    clips = load(tmp_path / "set")
    assert clips.labels == (labels or ("set",)) and clips.size == (8 if labels else 2)


@pytest.mark.parametrize("place", ["run", "runs/1", "exports/best"])
def test_a_run_in_its_data_folder_is_no_class(place, tmp_path, caplog):
    for label in ("a", "b"):
        write(tmp_path / label / "1.mkv", 4)
    (tmp_path / place / "samples").mkdir(parents=True)
    write(tmp_path / place / "samples" / "1.gif", 4, "gif", "gray")
    (tmp_path / place / "sheet.png").write_text("any")
    (tmp_path / place / "run.flags").write_text("--model=vgan\n")
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path).labels == ("a", "b")
    assert f"not read, folders of runs and modules, prepared sets and reports: {place.split('/')[0]}" in caplog.messages


@pytest.mark.parametrize("name", ["prepare.json", "rejected.jsonl", "report.html"])
def test_what_a_program_wrote_into_a_data_folder_is_no_class(name, tmp_path, caplog):
    for label in ("a", "b"):
        write(tmp_path / label / "1.mkv", 4)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("any")
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path).labels == ("a", "b")
    assert "not read, folders of runs and modules, prepared sets and reports: out" in caplog.messages


def test_folders_that_cannot_be_read_are_named_and_left_out(tmp_path, caplog, monkeypatch):
    for name in ("a/1.mkv", "lost+found/1.mkv", "b/1.mkv"):
        write(tmp_path / name, 4)
    frames(tmp_path / "b" / "closed", 4)
    children = paths.children

    def closed(folder: str) -> list[str]:
        if folder.endswith(("lost+found", "closed", "whole")):
            raise PermissionError(13, "Permission denied", folder)
        return children(folder)

    monkeypatch.setattr(paths, "children", closed)
    with caplog.at_level(logging.WARNING):
        clips = load(tmp_path)
    assert clips.labels == ("a", "b") and clips.size == 2
    assert "left out lost+found: cannot be read (Permission denied)" in caplog.messages
    assert "not read, cannot be read (Permission denied): b/closed" in caplog.messages
    (tmp_path / "whole").mkdir()
    with pytest.raises(UserError, match="whole: cannot be read .Permission denied"):
        load(tmp_path / "whole")


@pytest.mark.parametrize(
    "suffix, codec", [(".m4v", "mpeg4"), (".MPG", "mpeg2video"), (".ts", "mpeg2video"), (".wmv", "wmv2"), (".flv", "flv")]
)
def test_video_files_are_known_by_many_endings(tmp_path, suffix, codec):
    write(tmp_path / "a" / f"a{suffix}", 12, codec, rate=25)
    assert load(tmp_path).size == 1


def test_a_loop_of_links_counts_each_video_once(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name / "deep" / "1.mkv", 4)
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    (tmp_path / "b" / "deep" / "up").symlink_to("..")
    (tmp_path / "linked").symlink_to(tmp_path / "a" / "deep")  # no loop
    assert list(paths.files_below(str(tmp_path))) == ["a/deep/1.mkv", "b/deep/1.mkv", "linked/1.mkv"]


def test_a_data_folder_that_is_not_utf8_is_refused_in_one_line_and_read_by_a_link(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    write(tmp_path / "1.mkv", 4)
    (folder / "a").mkdir()
    shutil.move(tmp_path / "1.mkv", folder / "a" / "1.mkv")
    for read in (load, lambda folder: folder_source.at(str(folder))):
        with pytest.raises(UserError) as caught:
            read(folder)
        assert str(caught.value) == f"--data_dir={tmp_path}/caf\\udce9: {paths.NOT_PLAIN}; rename the folder, or link to it"
    (tmp_path / "cafe").symlink_to(folder)
    assert load(tmp_path / "cafe").size == 1


def test_videos_are_found_at_a_file_or_in_a_folder(tmp_path):
    write(tmp_path / "a" / "1.mkv", 8)
    alone, inside = folder_source.at(str(tmp_path / "a" / "1.mkv")), folder_source.at(str(tmp_path))
    assert [video.path for video in alone.videos] == [video.path for video in inside.videos] == [str(tmp_path / "a" / "1.mkv")]
    with pytest.raises(UserError, match="--source=.*none: no such file or folder"):
        folder_source.at(str(tmp_path / "none"))


@pytest.mark.parametrize("change", ["removed", "no video", "cut short"])
def test_a_video_that_breaks_while_training_is_told_and_another_of_its_class_stands_in(tmp_path, caplog, monkeypatch, change):
    monkeypatch.setattr(listing, "CACHE_BYTES", 0)
    write(tmp_path / "a" / "1.mkv", 12)
    write(tmp_path / "a" / "2.mkv", 6)
    write(tmp_path / "b" / "3.mkv", 12)
    dataset = load(tmp_path)
    broken = tmp_path / "a" / "1.mkv"
    content = broken.read_bytes()
    broken.unlink()
    if change != "removed":
        broken.write_bytes(b"no video" * 100 if change == "no video" else content[: len(content) // 6])
    with caplog.at_level(logging.WARNING):
        clips = list(dataset.once(1).as_numpy_iterator())
    assert [int(clip["label"][0]) for clip in clips] == [0, 0, 1]
    assert (np.diff(numbers(clips[0]["video"])) >= 0).all() and numbers(clips[0]["video"]).max() <= 5
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1 and "another" in lines[0] and str(broken) in lines[0]


def test_a_run_ends_with_one_line_where_no_video_of_a_class_can_be_read_any_more(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(listing, "CACHE_BYTES", 0)
    write(tmp_path / "a" / "1.mkv", 12)
    dataset = load(tmp_path)
    (tmp_path / "a" / "1.mkv").unlink()
    monkeypatch.setattr(cli, "parse", lambda *arguments: None)
    with pytest.raises(SystemExit) as caught:
        cli.launch(lambda _: list(dataset.once(1)))
    assert caught.value.code == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"--data_dir={tmp_path}: no video of class 'a' can be read any more")


def test_many_unusable_files_are_named_up_to_a_limit(tmp_path, caplog):
    write(tmp_path / "a" / "good.mkv", 8)
    for number in range(30):
        (tmp_path / "a" / f"bad{number:02}.mp4").write_text("no")
    with caplog.at_level(logging.WARNING):
        load(tmp_path)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == listing.NAMED + 1 and "left out 30 of 31" in lines[-1]


def test_a_video_damaged_in_the_middle_is_played_up_to_there(real_videos, tmp_path, caplog):
    source = real_videos / "actions" / "bend" / "person0_a.mp4"
    whole = bytearray(source.read_bytes())
    whole[len(whole) // 2 : len(whole) // 2 + 3000] = bytes(3000)
    (tmp_path / "a.mp4").write_bytes(whole)
    facts = decode.probe(str(source))
    good = decode.read(str(source), range(facts.frames), facts)
    with caplog.at_level(logging.WARNING):
        damaged = decode.read(str(tmp_path / "a.mp4"), [0, 10, 58, 60], facts)
    np.testing.assert_array_equal(damaged[:2], good[[0, 10]])
    np.testing.assert_array_equal(damaged[2], damaged[3])
    assert "a.mp4: damaged after frame" in caplog.text


def test_mistakes_are_told_in_one_line(tmp_path):
    def message(folder: Path | str, **changes: object) -> str:
        with pytest.raises(UserError) as caught:
            load(folder, **changes)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "--data_dir=: no such folder" in message("")
    assert f"--data_dir={tmp_path}/none: no such folder" in message(tmp_path / "none")
    assert "no subfolders; expected one for each class" in message(tmp_path)
    (tmp_path / "empty").mkdir()
    assert "class 'empty' has no video" in message(tmp_path)
    (tmp_path / "empty" / "broken.mp4").write_text("no video")
    assert "none of its 1 videos can be read; the first, empty/broken.mp4: cannot be decoded" in message(tmp_path)
    write(tmp_path / "good" / "a.mkv", 8)
    assert "no video of class 'empty' can be used" in message(tmp_path)
    assert "--frames=5 at --stride=2 needs 9 frames; the longest video" in message(tmp_path, frames=5, stride=2)
    assert message(tmp_path, frames=5, stride=2).endswith("has 8")
    assert "--dataset=folder/x: expected folder, without a variant" in message(tmp_path, dataset="folder/x")


def test_fit_rounds_and_keeps_a_size_that_is_right():
    ramp = tf.cast(tf.reshape(tf.range(2 * 8 * 8 * 3) % 256, [2, 8, 8, 3]), tf.uint8)
    np.testing.assert_array_equal(clips.fit(ramp, 8, 8), ramp)
    halves = tf.constant([[[[0] * 3, [255] * 3]] * 2], tf.uint8)  # two columns, 0 and 255, become one
    np.testing.assert_array_equal(clips.fit(halves, 1, 1), np.full([1, 1, 1, 3], 128, np.uint8))  # 127.5 rounds to even
    frame = np.full([1, 4, 4, 3], 255, np.uint8)
    frame[:, 1:3, 1:3] = 0
    assert 50 < clips.fit(tf.constant(frame), 1, 1)[0, 0, 0, 0] < 200  # antialiased: not of the middle pixels alone


def test_a_folder_without_subfolders_is_one_class(tmp_path):
    write(tmp_path / "films" / "a.mkv", 8)
    dataset = load(tmp_path / "films")
    assert dataset.labels == ("films",) and dataset.size == 1


def test_clips_of_a_number_of_frames_a_second(tmp_path):
    write(tmp_path / "grey" / "a.mkv", 20)  # at 10 a second

    def centre(fps: float) -> list[int]:
        return numbers(next(load(tmp_path, fps=fps, stride=7).once(1).as_numpy_iterator())["video"])[0].tolist()

    assert centre(10) == [8, 9, 10, 11]
    assert centre(5) == [6, 8, 10, 12]
    assert centre(2.5) == [3, 7, 11, 15]
    assert centre(4) == [5, 7, 10, 12]  # at 0.5, 0.75, 1.0, 1.25 s: the frame on show
    assert centre(20) == [8, 8, 9, 9]
    starts = numbers(drawn(load(tmp_path, fps=5), 200))
    assert set(starts[:, 0]) == set(range(14)) and (np.diff(starts) == 2).all()
    with pytest.raises(UserError, match=r"--frames=4 at --fps=1 needs 3.00 s; the longest video in .* has 1.90"):
        load(tmp_path, fps=1)
    with pytest.raises(UserError, match="--fps=-1: expected 0 or more"):
        load(tmp_path, fps=-1)


def test_random_crop_takes_every_place_of_the_long_side_and_the_centre_when_judging(tmp_path):
    write(tmp_path / "grey" / "a.mkv", 4)  # 32x48; its left third, 16 columns, is black
    columns = {int((video[0, 0, :, 0] < -0.97).sum()) for video in drawn(load(tmp_path, random_crop=True), 300)}
    assert columns == set(range(17))
    once = [next(load(tmp_path, random_crop=random_crop).once(1).as_numpy_iterator())["video"] for random_crop in (False, True)]
    np.testing.assert_array_equal(*once)

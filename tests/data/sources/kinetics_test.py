"""Kinetics' CSV files and file names: which file is which row's, and what is said about rows without one."""

import csv
import itertools
import logging
from pathlib import Path

import av
import pytest

from tests.data.decode_test import noise_video
from tests.data.sources.folder_test import write
from tfvideogan import data
from tfvideogan.config import Config, UserError
from tfvideogan.data.sources import kinetics

HEADER = "label,youtube_id,time_start,time_end,split\n"


def tree(folder: Path, classes: int, real_videos: Path) -> dict[str, str]:
    """A Kinetics tree of one small real clip a class, in the three usual layouts. Returns the label of each file's stem."""
    with av.open(str(real_videos / "clips" / "carphone.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24", width=88, height=72) for frame in container.decode(video=0)]
    places = itertools.product(range(0, 40, 4), range(0, 56, 4), range(5))
    labels, rows = {}, {"train": [], "val": [], "test": []}
    for number, (top, left, start) in zip(range(classes), places, strict=False):
        label, split = (
            f"doing thing {number * 7 % classes:03}",
            ("train", "train", "train", "train", "val", "train", "train", "train", "train", "test")[number % 10],
        )
        youtube_id, begin = f"-_id{number:07}", number % 200
        stem = f"{youtube_id}_{begin:06}_{begin + 10:06}"
        place = {"train": Path("train") / label.replace(" ", "_"), "val": Path("val") / label, "test": Path("test")}[split]
        path = folder / place / f"{stem}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
            stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
            for frame in frames[20 * start : 20 * start + 16]:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame[top : top + 32, left : left + 32].copy(), "rgb24")))
            container.mux(stream.encode())
        labels[stem] = label
        rows[split].append([label, youtube_id, begin, begin + 10, split])
    for split, lines in rows.items():
        with open(folder / f"{split}.csv", "w", newline="") as file:
            csv.writer(file).writerows([HEADER.strip().split(","), *lines])
    return labels


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    (tmp_path / "all.csv").write_text(
        "\ufeff" + HEADER + 'cooking,aaa,1,11,train\n"riding, a bike",bbb,2,12,validate\ncooking,ccc,3,13,test\ncooking,ddd,4,14,train\n'
    )
    for name in ("train/cooking/aaa_000001_000011.mp4", "val/riding, a bike/bbb_2_12.mkv", "ccc.mp4"):
        write(tmp_path / name, 10, "libx264")
    return tmp_path


def load(folder: Path, split: str, dataset: str = "kinetics") -> data.Dataset:
    return data.load(Config(dataset=dataset, data_dir=str(folder), frames=4, size=32), split)


def reasons(listing: kinetics.Listing) -> dict[str, str]:
    return {one.name: one.reason for one in listing.rejected}


def test_rows_find_their_files_in_the_usual_layouts(videos, caplog):
    with caplog.at_level(logging.WARNING):
        found = kinetics.listing(str(videos), 600)
    assert found.labels == ("cooking", "riding, a bike")
    assert [(video.name, video.label, video.split) for video in found.videos] == [
        ("train/cooking/aaa_000001_000011.mp4", 0, "train"),
        ("val/riding, a bike/bbb_2_12.mkv", 1, "validation"),
        ("ccc.mp4", 0, "test"),
    ]
    assert reasons(found) == {"ddd_000004_000014": "no file ddd_000004_000014.*"}
    assert "has 2 of the 600 classes" in caplog.text
    assert [load(videos, split).size for split in ("train", "validation", "test")] == [1, 1, 1]
    assert load(videos / "all.csv", "train+validation+test").size == 3


def test_of_several_copies_the_one_in_its_labels_or_splits_folder_is_taken(videos):
    write(videos / "0other" / "aaa_000001_000011.mp4", 10, "libx264")
    assert kinetics.listing(str(videos), 600).videos[0].name == "train/cooking/aaa_000001_000011.mp4"


def test_files_that_no_row_names_are_told(videos):
    write(videos / "train" / "eee_000001_000011.mp4", 10, "libx264")
    for name in ("train/ccc_000003_000013.mp4.part", "notes"):
        (videos / name).write_text("any")
    found = kinetics.listing(str(videos), 600)
    assert {one.name: one.reason for one in found.others} == {
        "train/eee_000001_000011.mp4": "in no row of the CSV files",
        "train/ccc_000003_000013.mp4.part": "files ending in .part",
        "notes": "files without an ending",
    }


def test_rows_that_cannot_be_used_are_named(videos):
    with open(videos / "all.csv", "a") as file:
        file.write(
            "cooking,aaa,1,11,train\nriding,ccc,3,13,test\n,eee,1,11,train\ncooking,fff,x,11,train\ncooking,ggg,1,11,dream\ncooking,,1,11,train\n"
        )
    found = reasons(kinetics.listing(str(videos), 600))
    assert found["aaa_000001_000011"] == "listed twice, as cooking and as cooking"
    assert found["ccc_000003_000013"] == "listed twice, as cooking and as riding"
    assert found["eee_000001_000011"] == "line 8 of all.csv: no label"
    assert found["fff_000000_000000"] == "line 9 of all.csv: no times"
    assert found["ggg_000001_000011"] == "line 10 of all.csv: no split ('dream')"
    assert found["_000001_000011"] == "line 11 of all.csv: no youtube_id"
    found = reasons(kinetics.listing(str(videos), 600, ("cooking",)))
    assert found["bbb_000002_000012"] == "its label 'riding, a bike' is not in the list of labels"


def test_a_file_longer_than_its_clip_is_not_taken_for_it(videos, caplog):
    noise_video(videos / "ddd.mp4", 262)  # 13 s, of which the row means 10
    with caplog.at_level(logging.WARNING):
        assert load(videos, "train").size == 1
    assert "left out ddd.mp4: 13 s long, where the list says at most 12: not cut to its clip?" in caplog.text


def test_split_without_a_column_is_that_of_the_files_name(videos):
    (videos / "all.csv").unlink()
    (videos / "annotations").mkdir()
    (videos / "annotations" / "kinetics-600_val.csv").write_text("label,youtube_id,time_start,time_end\ncooking,aaa,1,11\n")
    assert [video.split for video in kinetics.listing(str(videos), 600).videos] == ["validation"]


def test_mistakes_are_told_in_one_line(videos, tmp_path):
    def message(*arguments: object) -> str:
        with pytest.raises(UserError) as caught:
            load(*arguments)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "--dataset=kinetics/500: expected kinetics/ and one of 400, 600, 700" in message(videos, "train", "kinetics/500")
    assert "expected a Kinetics CSV file (label,youtube_id,time_start,time_end,split)" in message(videos / "train", "train")
    assert "expected a Kinetics CSV file" in message("", "train")
    assert "--split=dream: expected one of train, validation, test, train+validation" in message(videos, "dream")
    with pytest.raises(UserError, match="its CSV files have 2 labels, kinetics/1 has 1"):
        kinetics.listing(str(videos), 1)
    (videos / "all.csv").write_text("label,id\n")
    assert "all.csv: no column youtube_id, time_start, time_end" in message(videos, "train")
    (videos / "all.csv").write_text(HEADER + "cooking,zzz,1,11,train\n")
    assert "none of the 1 videos in its CSV files can be used; the first, zzz_000001_000011: no file zzz_000001_000011.*" in message(
        videos, "train"
    )
    (videos / "all.csv").write_bytes(b"\xff\xfe\x00")
    assert "no CSV file in UTF-8" in message(videos, "train")

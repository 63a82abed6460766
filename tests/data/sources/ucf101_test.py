import logging
import shutil
from pathlib import Path

import pytest

from tests.data.sources.folder_test import write
from tfvideogan import data
from tfvideogan.config import Config, UserError
from tfvideogan.data.sources.moving_shapes_builder import MovingShapes, MovingShapesConfig


def load(folder: Path | str, split: str, dataset: str = "ucf101") -> data.Dataset:
    return data.load(Config(dataset=dataset, data_dir=str(folder), frames=4, size=32), split)


def message(folder: Path | str, split: str, dataset: str = "ucf101") -> str:
    with pytest.raises(UserError) as caught:
        load(folder, split, dataset)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Two classes; of four listed videos one is missing."""
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_bytes(b"1 Zip\r\n2 Archery\r\n")  # not in alphabetical order, and lines as Windows ends them
    (lists / "trainlist01.txt").write_text("Archery/v_a.avi 2\nZip/v_b.avi 1\nZip/v_missing.avi 1\n")
    (lists / "testlist01.txt").write_text("Archery/v_c.avi\n")
    for file in ("Archery/v_a.avi", "Zip/v_b.avi", "Archery/v_c.avi"):
        write(tmp_path / "UCF-101" / file, 6, "mpeg4")
    return tmp_path


def test_lists_choose_the_videos_and_their_labels(tiny, caplog):
    with caplog.at_level(logging.WARNING):
        train = load(tiny, "train")
    assert train.labels == ("Zip", "Archery") and train.size == 2
    assert next(train.once(2).as_numpy_iterator())["label"].tolist() == [1, 0]
    assert "left out Zip/v_missing.avi: listed in trainlist01.txt, but there is no such file" in caplog.text
    assert load(tiny, "test").size == 1 and load(tiny, "train+test").size == 3


def test_files_that_no_list_names_are_told(tiny, caplog):
    for name in ("Zip/v_d.avi", "Other/notes.txt"):
        (tiny / "UCF-101" / name).parent.mkdir(exist_ok=True)
        (tiny / "UCF-101" / name).write_text("any")
    with caplog.at_level(logging.WARNING):
        load(tiny, "train")
    assert "not read, in neither list 1: Other/notes.txt, Zip/v_d.avi" in caplog.messages


def test_mistakes_are_told_in_one_line(tiny, tmp_path):
    assert "--dataset=ucf101/split4: expected ucf101/ and one of split1, split2, split3" in message(tiny, "train", "ucf101/split4")
    assert "trainlist02.txt: no such file" in message(tiny, "train", "ucf101/split2")
    (tiny / "ucfTrainTestlist" / "trainlist02.txt").write_bytes(b"\xff\xfe")
    assert "trainlist02.txt: no text in UTF-8" in message(tiny, "train", "ucf101/split2")
    shutil.rmtree(tiny / "UCF-101" / "Archery")
    assert "none of the videos listed for --split=test of split1 is there; --split=train+test or another" in message(tiny, "test")
    for folder in ("", tmp_path / "none", tiny / "UCF-101"):
        expected = "expected a folder with UCF-101/<class>/*.avi and ucfTrainTestlist/*.txt, or with ucf101_1 prepared"
        assert expected in message(folder, "train")
    (tiny / "ucfTrainTestlist" / "classInd.txt").write_text("1 Zip\nArchery\n")
    assert "classInd.txt: expected a number and a class in every line" in message(tiny, "train")


def test_real_videos(real_videos):
    folder = real_videos / "ucf101_mini"
    dataset = load(folder, "train+test")
    assert len(dataset.labels) == 101 and dataset.size == 2
    batch = next(dataset.once(2).as_numpy_iterator())
    assert batch["video"].shape == (2, 4, 32, 32, 3)
    assert [dataset.labels[label] for label in batch["label"]] == ["ApplyEyeMakeup", "BaseballPitch"]
    assert "--split=train+test or another ucf101/splitN may have some" in message(folder, "train")  # both are test clips of split 1
    assert load(folder, "train", "ucf101/split2").size == 2


def test_what_tfds_prepared_is_found_by_the_name_of_its_configuration(tmp_path):
    for name, most in (("ucf101_2_256", 3), ("ucf101_2", 2)):
        MovingShapes(config=MovingShapesConfig(name=name, frames=6, size=16, most=most), data_dir=tmp_path).download_and_prepare()
    assert load(tmp_path, "test", "ucf101/split2").size == 2  # full frames are preferred to squeezed ones
    assert "or with ucf101_1 prepared by TFDS" in message(tmp_path, "train")

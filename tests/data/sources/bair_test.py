from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tfvideogan import data
from tfvideogan.config import Config, UserError
from tfvideogan.data.sources import bair

VIDEOS = {"train": 3, "test": 2}


def video(split: str, number: int) -> np.ndarray:
    """Thirty frames of 64x64 that tell split, number and time."""
    frames = np.zeros([30, 64, 64, 3], np.uint8)
    frames[..., 0], frames[..., 1] = 100 * (split == "test") + 20 * number, 5 * np.arange(30)[:, None, None]
    return frames


class BairRobotPushingSmall(tfds.core.GeneratorBasedBuilder):
    """The features of TFDS's data set of this name, and made-up videos."""

    VERSION = tfds.core.Version("2.0.0")
    url_infos: dict = {}  # nothing is downloaded

    def _info(self) -> tfds.core.DatasetInfo:
        image = tfds.features.Image(shape=(64, 64, 3))
        numbers = {name: tfds.features.Tensor(shape=(n,), dtype=np.float32) for name, n in (("action", 4), ("endeffector_pos", 3))}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.Sequence({"image_main": image, "image_aux1": image, **numbers}))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in VIDEOS}

    def _generate_examples(self, split):
        for number in range(VIDEOS[split]):
            frames = video(split, number)
            numbers = {"action": np.zeros([30, 4], np.float32), "endeffector_pos": np.zeros([30, 3], np.float32)}
            yield number, {"image_main": list(frames), "image_aux1": list(255 - frames), **{k: list(v) for k, v in numbers.items()}}


def write_folder(root: Path) -> None:
    for split, count in VIDEOS.items():
        for number in range(count):
            place = root / split / f"traj_{number}"
            place.mkdir(parents=True)
            for t, frame in enumerate(video(split, number)):
                Image.fromarray(frame).save(place / f"{t}.png")


def load(root: Path, split: str, **changes: object) -> data.Dataset:
    return data.load(Config(**{"dataset": "bair", "data_dir": str(root), "frames": 16, "stride": 1, **changes}), split)


@pytest.mark.parametrize("kind", ["tfds", "folder"])
def test_clips_of_both_layouts_are_consecutive_frames_of_the_main_camera(tmp_path, kind):
    if kind == "tfds":
        BairRobotPushingSmall(data_dir=tmp_path).download_and_prepare()
    else:
        write_folder(tmp_path)
    for split, count in VIDEOS.items():
        dataset = load(tmp_path, split)
        assert dataset.labels == ("robot_pushing",) and dataset.size == count
        (batch,) = dataset.once(8).as_numpy_iterator()
        pixels = np.rint((batch["video"] + 1) * 127.5)
        numbers = [int(clip[0, 0, 0, 0] - 100 * (split == "test")) // 20 for clip in pixels]
        assert sorted(numbers) == list(range(count))  # TFDS shuffles
        for clip, number in zip(pixels, numbers, strict=True):
            np.testing.assert_array_equal(clip, video(split, number)[7:23])  # the middle
        np.testing.assert_array_equal(batch["label"], np.zeros(count))
        starts = {int(clip[0, 0, 0, 1]) for clip in np.rint((next(iter(dataset.batches(8)))["video"] + 1) * 127.5)}
        assert len(starts) > 1  # in training from anywhere


def test_what_is_no_bair_is_refused_in_one_line(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "test").rename(tmp_path / "other")
    with pytest.raises(UserError, match=r"^--data_dir=\S+: got no folders of splits, expected train and test, or what TFDS"):
        load(tmp_path, "train")
    with pytest.raises(UserError, match=r"^--dataset=bair/small: expected bair, without a variant$"):
        load(tmp_path, "train", dataset="bair/small")
    with pytest.raises(UserError, match=r"no such folder"):
        load(tmp_path / "none", "train")


def test_times_are_refused_where_there_are_none(tmp_path):
    BairRobotPushingSmall(data_dir=tmp_path).download_and_prepare()
    with pytest.raises(UserError, match=r"^--fps=5: \S+ has no times of frames"):
        load(tmp_path, "train", fps=5.0)
    assert bair.NAME in str(next(tmp_path.iterdir()))

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tfvideogan import data, prepare
from tfvideogan.config import Config, UserError
from tfvideogan.data.preparation.preparing import Settings
from tfvideogan.data.sources import moving_mnist
from tfvideogan.data.sources.moving_mnist import LABELS, PAIRS


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Two hundred "digits": of number n, a square of 2n + 4 pixels in the middle."""
    images = np.zeros([200, 28, 28], np.uint8)
    for number, image in enumerate(images):
        half = number % 10 + 2
        image[14 - half : 14 + half, 14 - half : 14 + half] = 255
    np.savez(tmp_path / "digits.npz", image=images, label=np.arange(200) % 10)
    return tmp_path / "digits.npz"


def clip(path: Path, index: int, frames: int = 20, size: int = 64) -> np.ndarray:
    return moving_mnist.render(moving_mnist.load_digits(str(path), "train"), "train", index, frames, size)


def test_a_clip_shows_the_two_digits_of_its_class(digits):
    for index in range(0, 110, 7):
        one, other = PAIRS[index % 55]
        video = clip(digits, index)
        areas = (video[..., 0] > 0).sum((1, 2))
        assert video.shape == (20, 64, 64, 3) and video.max() == 255
        assert areas.max() <= (2 * one + 4) ** 2 + (2 * other + 4) ** 2 and areas.min() >= (2 * other + 4) ** 2  # they may overlap


def test_digits_move_straight_and_bounce_off_the_walls(digits):
    moved = []
    for index in (0, 55, 110, 165):  # two zeros: squares of 4 pixels, in the middle of 28
        video = clip(digits, index, frames=60)[..., 0]
        rows, columns = np.nonzero(video.max(0))
        assert rows.min() >= 12 and columns.min() >= 12 and rows.max() < 52 and columns.max() < 52
        moved.append((rows.max() - rows.min(), columns.max() - columns.min()))
    assert np.mean(moved) > 25  # of the 39 that the walls leave
    np.testing.assert_array_equal(moving_mnist._bounce(np.array([-1, 0, 5, 10, 12, 20, 23]), 10), [1, 0, 5, 10, 8, 0, 3])


def test_clips_are_the_same_for_ever_and_differ(digits):
    np.testing.assert_array_equal(clip(digits, 3), clip(digits, 3))
    assert (clip(digits, 3) != clip(digits, 58)).any()  # of the same class
    np.testing.assert_array_equal(clip(digits, 3, frames=5), clip(digits, 3)[:5])


def test_load(digits):
    dataset = data.load(Config(dataset="moving_mnist", data_dir=str(digits), frames=5, size=32), "train+test")
    assert dataset.labels == LABELS and len(LABELS) == 55 and dataset.size == 70_000
    batch = next(dataset.once(56).as_numpy_iterator())
    assert batch["video"].shape == (56, 5, 32, 32, 3) and batch["label"].tolist() == [*range(55), 0]


def test_prepared_are_the_clips_that_are_rendered(digits, tmp_path):
    settings = {"dataset": "moving_mnist", "videos": str(digits), "output": str(tmp_path / "out"), "clips": 60}
    prepare.main(Settings(**settings, lossless=True, workers=1))
    builder = tfds.builder_from_directory(str(tmp_path / "out"))
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {"train": 60, "test": 10}
    for example in builder.as_dataset(split="train").as_numpy_iterator():
        index = int(example["file"].decode().partition("/")[2])
        np.testing.assert_array_equal(example["video"], clip(digits, index))
        assert builder.info.features["label"].int2str(int(example["label"])) == LABELS[index % 55]


def test_real_digits(real_videos):
    path = str(real_videos / "mnist_train.npz")
    train, test = (moving_mnist.load_digits(path, split) for split in ("train", "test"))
    assert sum(map(len, train)) == 54_000 and sum(map(len, test)) == 6000 and all(len(of) > 4000 for of in train)
    video = moving_mnist.render(train, "train", 12, 20, 64)
    assert 100 < (video[0, ..., 0] > 100).sum() < 600  # two strokes of ink


def test_tfds_mnist_is_found_too(tmp_path):
    features = tfds.features.FeaturesDict(
        {"image": tfds.features.Image(shape=(28, 28, 1)), "label": tfds.features.ClassLabel(num_classes=10)}
    )
    folder = tmp_path / "mnist" / "3.0.1"
    os.makedirs(folder)
    for split in ("train", "test"):
        with tf.io.TFRecordWriter(str(folder / f"mnist-{split}.tfrecord-00000-of-00001")) as writer:
            for number in range(20):
                example = {"image": np.full([28, 28, 1], number * 10 + 5, np.uint8), "label": number % 10}
                writer.write(features.serialize_example(features.encode_example(example)))
    tfds.folder_dataset.write_metadata(data_dir=folder, features=features, check_data=False)
    found = moving_mnist.load_digits(str(tmp_path), "test")
    assert [len(of) for of in found] == [2] * 10 and found[3][1].max() == 135


def test_mistakes_are_told_in_one_line(digits, tmp_path):
    def message(path: Path | str, dataset: str = "moving_mnist") -> str:
        with pytest.raises(UserError) as caught:
            data.load(Config(dataset=dataset, data_dir=str(path)), "train")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "expected an .npz file with image and label" in message(tmp_path / "none.npz")
    assert "--dataset=moving_mnist/x: expected moving_mnist, without a variant" in message(digits, "moving_mnist/x")
    np.savez(tmp_path / "x.npz", digits=np.zeros(3))
    assert "x.npz: has digits; expected image and label" in message(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", image=np.zeros([20, 8, 8], np.uint8), label=np.arange(20) % 10)
    assert "expected uint8 [N,28,28] digits of all ten numbers, got uint8 [18, 8, 8]" in message(tmp_path / "y.npz")

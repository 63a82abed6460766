"""How training clips are changed for an evaluator, and what its card says."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfvideogan import data
from tfvideogan.evaluators import classifier
from tfvideogan.evaluators.training import Config, card, fit, jitter
from tfvideogan.evaluators.training import test_accuracy as accuracy_on  # a name that pytest does not collect

SEED = tf.constant([1, 2])


def test_without_jitter_clips_stay():
    video = tf.random.stateless_uniform([2, 3, 8, 8, 3], SEED, -1, 1)
    assert jitter(video, SEED, 0.0) is video


def test_all_frames_of_a_clip_are_changed_alike_and_clips_differently():
    video = tf.tile(tf.random.stateless_uniform([1, 1, 16, 16, 3], SEED, -1, 1), [4, 3, 1, 1, 1])
    changed = jitter(video, SEED, 0.2).numpy()
    for frame in (1, 2):
        np.testing.assert_array_equal(changed[:, frame], changed[:, 0])
    assert min(np.abs(changed[i] - changed[j]).max() for i in range(4) for j in range(i)) > 0.1
    np.testing.assert_array_equal(jitter(video, SEED, 0.2), changed)
    assert not np.array_equal(jitter(video, SEED + 1, 0.2), changed)


def test_clips_move_and_zoom_by_no_more_than_the_jitter():
    lines = np.zeros([64, 1, 101, 101, 3], np.float32)
    lines[..., 40, 0] = lines[..., 60, 1] = 1  # a red and a green line, 10 pixels left and right of the center
    columns = jitter(tf.constant(lines), SEED, 0.1).numpy()[:, 0, 50]
    light = columns - columns[:, :1]  # less the level of each color
    red, green, _ = np.moveaxis((light * np.arange(101)[:, None]).sum(1) / (light.sum(1) + 1e-9), 1, 0)
    gap, middle = green - red, (green + red) / 2 - 50
    assert 20 / 1.1 - 0.1 < gap.min() < 18.7 and 21.5 < gap.max() < 20 / 0.9 + 0.1
    assert 8 < np.abs(middle).max() < 10.1 / 0.9 + 0.1 and middle.min() < -5 and middle.max() > 5


def test_edges_are_repeated():
    assert np.ptp(jitter(tf.ones([8, 2, 16, 16, 3]), SEED, 0.2).numpy(), axis=(1, 2, 3)).max() < 1e-5


def test_colors_change_by_no_more_than_the_jitter():
    grey = tf.tile(tf.constant([0.0, 1.0])[:, None, None, None, None], [50, 1, 4, 4, 3])  # black and white clips in turn
    changed = jitter(grey, SEED, 0.1).numpy()[:, 0, 0, 0]  # [100,3]
    black, white = changed[::2], changed[1::2]
    assert np.abs(black).max() <= 0.1 and np.abs(black).max() > 0.09
    assert white.min() >= 1 - 0.3 and white.max() <= 1 + 0.3 and white.max() > 1.15
    assert np.abs(changed[:, 0] - changed[:, 1]).max() > 0.05  # each color its own


def test_the_card_says_whether_the_test_clips_were_seen(tmp_path):
    file = tmp_path / "mine.npz"
    file.write_bytes(b"weights")

    def text(**changes: object) -> str:
        return card(file, Config(dataset="folder", **changes), ("a", "b"), 0.9375, 16)

    unseen = text(held_out="person[56]_", flip=True, stride=2, max_stride=4, jitter=0.15)
    assert "Accuracy on 16 clips of split test, none of which it was trained on, at stride 2: 0.9375." in unseen
    assert "split train, without person[56]_, 16 frames of 64x64, strides 2 to 4." in unseen and "mirrored, jitter 0.15" in unseen
    for seen in (text(), text(held_out="x", split="train+test")):
        assert "of split test, which it was trained on" in seen


@pytest.mark.slow
def test_it_learns_actions_of_people_it_never_saw(real_videos, tmp_path):
    config = Config(
        dataset="folder",
        data_dir=str(real_videos / "actions"),
        held_out="person[56]_",
        stride=2,
        max_stride=4,
        flip=True,
        jitter=0.15,
        batch_size=32,
        steps=700,
    )
    keras.utils.set_random_seed(0)
    dataset = data.load(config, "train")
    network = classifier.VideoClassifier(len(dataset.labels))
    fit(network, config, dataset)
    classifier.save(tmp_path / "actions.npz", network, dataset.labels)
    accuracy, clips = accuracy_on(classifier.load(str(tmp_path / "actions.npz")), data.load(config, "test"), config)
    assert clips == 16 and accuracy >= 0.95

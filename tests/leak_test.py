"""The program that says whether augmentation leaks sees what leaks, and nothing in clips that are as the real ones."""

import re

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import leak
from benchmarks.leak import measured
from tests.conftest import small
from tfvideogan import data
from tfvideogan.generation.module import Generator
from tfvideogan.layers.augment import augment

CONFIG = small("mocogan", dataset="moving_shapes/plain", size=32, frames=6, evaluate_videos=24)


def clips_of(n: int) -> np.ndarray:
    batch = next(iter(data.load(CONFIG, "train").batches(n)))
    return batch["video"].numpy()


def test_what_is_measured_is_what_a_clip_was_made_of():
    clip = np.zeros([1, 3, 4, 4, 3], np.float32) + [0.1, 0.2, 0.3]
    clip[:, :, 0] = 0.5  # a quarter of it is cut out
    clip[:, 1, ..., 0] += 0.4  # the second frame is redder, and nowhere gray
    found = {name: values.item() for name, values in measured(clip).items()}
    assert found["red"] == pytest.approx(0.2 + 0.4 / 3) and found["green"] == pytest.approx(0.275)
    assert found["gray"] == pytest.approx(0.25 * 2 / 3) and found["flicker"] == pytest.approx(0.4 / 3)  # of two changes, of three colors
    assert found["contrast"] == pytest.approx(clip.std())
    clip[:, 2, 1] = 0.47  # near gray, but not of it
    assert measured(clip)["gray"].item() == found["gray"]


@pytest.mark.parametrize("per_frame", [False, True])
def test_augmented_clips_have_gray_and_flicker_only_where_drawn_frame_by_frame(per_frame):
    video = clips_of(16)
    seeds = tf.stack([tf.range(16), tf.range(16)], 1)
    changed = measured((augment(video, seeds, 1.0, 1.0, per_frame).numpy() + 1) / 2)
    before = measured((video + 1) / 2)
    assert changed["gray"].mean() > before["gray"].mean() + 0.1
    still = changed["flicker"].mean() < 3 * before["flicker"].mean() + 0.01
    assert still != per_frame


class RedClips(tf.Module):
    """A generator of red clips, the brighter the later their batch."""

    def __init__(self):
        super().__init__()
        label, pair, number = tf.TensorSpec([None], tf.int32), tf.TensorSpec([2], tf.int32), tf.TensorSpec([], tf.float32)
        self.sample = tf.function(self.red, input_signature=[label, pair, number])

    def red(self, label: tf.Tensor, seed: tf.Tensor, truncation: tf.Tensor) -> tf.Tensor:
        red = 0.1 + tf.cast(seed[1], tf.float32) / 20
        return tf.zeros([tf.shape(label)[0], 6, 32, 32, 1]) + [red, 0.0, 0.0]


def test_the_table_has_a_row_of_real_and_one_of_generated_clips(monkeypatch, capsys):
    monkeypatch.setattr(leak, "open_generator", lambda config: Generator("some/run", CONFIG, ("a",), 8, RedClips()))
    leak.main(CONFIG)
    out = capsys.readouterr().out
    assert "24 clips of moving_shapes/plain, split train; some/run" in out
    real, made = (re.search(rf"^\| {name} \| (.*) \|$", out, re.M)[1].split(" | ") for name in ("real", "generated"))
    reds = np.repeat([0.1, 0.9], [16, 8])
    contrast = reds * 2**0.5 / 3  # the standard deviation of (red, 0, 0)
    first, *rest = (f"{of.mean():.3f} ± {of.std(ddof=1) / 24**0.5:.3f}" for of in (reds, contrast))
    assert made == [first, "0.000 ± 0.000", "0.000 ± 0.000", *rest, "0.000 ± 0.000", "0.000 ± 0.000"]
    truth = measured((clips_of(24) + 1) / 2)["red"]
    assert real[0] == f"{truth.mean():.3f} ± {truth.std(ddof=1) / 24**0.5:.3f}"

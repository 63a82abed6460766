"""The baselines of a translation: copying its source, and the training frame of the nearest source."""

import numpy as np
import tensorflow as tf

from tfvideogan import data
from tfvideogan.data.source import Source
from tfvideogan.evaluation import baselines, nearest
from tfvideogan.ops.video import from_uint8

TRAIN = 5


def made_up(sources: np.ndarray) -> data.Dataset:
    """Clips of one source each [K,T,...]; the video of clip k is gray, 10 k + t in frame t."""
    videos = np.zeros([*sources.shape[:2], 8, 8, 3], np.uint8) + np.uint8(10 * np.arange(len(sources)))[:, None, None, None, None]
    videos += np.arange(sources.shape[1], dtype=np.uint8)[:, None, None, None]

    def clip(index, seed, training):
        return {"source": tf.constant(sources)[index], "video": tf.constant(videos)[index], "label": tf.constant(0)}

    return data.of_source(Source(("one",), len(sources), clip), 0)


def grays(baseline: nearest.Nearest, source: np.ndarray, frames: int) -> list:
    found = baseline({"source": source}, frames)
    assert found.shape == (len(source), frames, 8, 8, 3) and -1 <= found.min() and found.max() <= 1
    return np.round((found[:, :, 0, 0, 0] + 1) * 127.5).astype(int).tolist()


def test_a_source_is_copied():
    source = np.arange(2 * 4 * 3.0).reshape(2, 4, 1, 1, 3)
    np.testing.assert_array_equal(baselines.copy_source({"source": source}, 3), source[:, 1:])


def test_each_frame_is_that_of_the_nearest_training_source():
    sources = np.random.default_rng(0).integers(0, 256, [TRAIN, 2, 8, 8, 3]).astype(np.uint8)
    baseline = nearest.Nearest(made_up(sources))
    assert sorted(baseline.frames[:, 0, 0, 0].tolist()) == [10 * k + t for k in range(TRAIN) for t in range(2)]
    asked = from_uint8(tf.constant(sources)).numpy()[[[3, 1], [0, 4]], [[1, 0], [0, 1]]] + 0.01
    assert grays(baseline, asked, 2) == [[31, 10], [0, 41]]
    assert grays(baseline, asked, 1) == [[10], [41]]  # of the last frame


def test_labels_are_compared_by_their_shares_and_not_by_their_numbers():
    few, other, many = (np.zeros([8, 8], np.int32) for _ in range(3))
    few[0, 0], other[:4], many[:2] = 2, 1, 2
    baseline = nearest.Nearest(made_up(np.stack([few, other, many])[:, None]))
    asked = np.zeros([1, 3, 8, 8], np.int32)
    asked[0, 1, :4], asked[0, 2, 0, 0] = 2, 3
    # Nothing: `few`. More of 2: `many`, though as a number 1 all over is nearer. A label that is new counts for nothing.
    assert grays(baseline, asked, 3) == [[0, 20, 0]]
    assert grays(baseline, asked[:, :1], 1) == [[0]]  # labels up to 0 alone


def test_memory_is_bounded(monkeypatch):
    sources = np.zeros([TRAIN, 2, 8, 8, 3], np.uint8)
    monkeypatch.setattr(nearest, "FRAMES", 7)
    assert len(nearest.Nearest(made_up(sources)).frames) == 6  # whole clips of two frames
    monkeypatch.setattr(nearest, "BYTES", 8 * 8 * 3)
    assert len(nearest.Nearest(made_up(sources)).frames) == 2  # one clip at least

"""Made-up photos and cartoons: what they show, and unpaired streams."""

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan import data
from tfvideogan.config import Config, UserError
from tfvideogan.data.source import unpaired
from tfvideogan.data.sources.renderings import DARK, render

SHAPE = {"frames": 2, "size": 24, "width": 40, "batch_size": 4, "stride": 1}


def test_cartoons_are_flat_with_dark_lines_and_photos_are_neither():
    cartoons, photos = (np.stack([render(i, style, 1, 96, 96)[0] for i in range(8)]) for style in ("cartoon", "photo"))
    dark = np.all(cartoons == round(255 * DARK), -1).mean((1, 2))
    assert np.all(dark > 0.01) and not np.any(np.all(photos < 30, -1))
    # Flat: most pixels are equal to their right neighbors; grain makes nearly none of a photo's so.
    same = lambda x: np.all(x[:, :, 1:] == x[:, :, :-1], -1).mean()  # noqa: E731
    assert same(cartoons) > 0.85 and same(photos) < 0.1


def test_smoothed_cartoons_differ_around_lines_alone():
    cartoon, smoothed = (render(3, style, 1, 96, 96)[0].astype(int) for style in ("cartoon", "smoothed"))
    changed = np.any(cartoon != smoothed, -1)
    assert 0.05 < changed.mean() < 0.6
    steepest = [abs(np.diff(x.sum(-1), axis=1)).max() for x in (cartoon, smoothed)]
    assert steepest[1] < 0.6 * steepest[0]


def test_scenes_drift_and_the_shown_cartoon_is_that_of_the_photo():
    assert np.any(render(0, "cartoon", 3, 32, 32)[0] != render(0, "cartoon", 3, 32, 32)[2])
    batch = next(iter(data.load(Config(dataset="renderings/paired", **SHAPE), "test").once(2)))
    np.testing.assert_array_equal(np.round(batch["video"] * 127.5 + 127.5)[1], render(4001, "cartoon", 2, 24, 40))
    np.testing.assert_array_equal(np.round(batch["source"] * 127.5 + 127.5)[1], render(4001, "photo", 2, 24, 40))
    assert set(batch) == {"source", "video", "label", "seed"}  # smoothed ones are for those who read them


def test_streams_of_training_are_drawn_apart():
    dataset = data.load(Config(dataset="renderings", **SHAPE), "train", ("smoothed",))
    batch, again, later = (next(iter(dataset.batches(4, start))) for start in (0, 0, 1))
    for name in ("source", "video", "smoothed"):
        assert batch[name].shape == (4, 2, 24, 40, 3)
        np.testing.assert_array_equal(batch[name], again[name])
        assert np.any(batch[name] != later[name])


def test_another_stream_shows_each_of_its_clips_once_in_an_epoch_of_its_own():
    seeds = [tf.constant([7, n], tf.int32) for n in range(10)]
    of_stream = [[int(unpaired(tf.constant(0, tf.int64), seed, stream, 5, True)) for seed in seeds] for stream in (1, 2)]
    for shown in of_stream:
        assert sorted(shown[:5]) == sorted(shown[5:]) == [0, 1, 2, 3, 4] and shown[:5] != shown[5:]
    assert of_stream[0] != of_stream[1]
    assert int(unpaired(tf.constant(12, tf.int64), seeds[0], 1, 5, False)) == 2


def test_another_variant_is_refused():
    with pytest.raises(UserError, match="--dataset=renderings/oil: expected renderings, or renderings/ and one of unpaired, paired"):
        data.load(Config(dataset="renderings/oil", **SHAPE), "train")

"""The program that says where a prediction puts the shape finds it in clips whose shapes are known."""

import re

import numpy as np
import pytest
from absl import flags

from benchmarks import shape_centers
from benchmarks.shape_centers import ahead_of, background, centers, distances, real_clips
from tests.evaluation.prediction_test import AHEAD, CONFIG, GIVEN, TEST, Module
from tfvideogan.config import Clips, UserError
from tfvideogan.generation.module import Generator


@pytest.mark.parametrize("variant, most", [("plain", 0.4), ("textured", 0.8), ("shape_motion", 0.4)])
def test_centers_of_real_clips_are_those_they_were_drawn_from(variant, most):
    config = Clips(dataset=f"moving_shapes/{variant}", size=32, frames=6)
    ((_, behind, measured, drawn),) = real_clips(config, 12)  # of every class
    assert measured.shape == (12, 6, 2) and behind.shape == (12, 32, 32, 3) and behind.max() < 0.75
    assert distances(measured, drawn).max() < most < np.linalg.norm(drawn[:, 1:] - drawn[:, :-1], axis=-1).min()


def test_a_center_is_that_of_what_differs_from_the_background():
    clip = np.full([1, 3, 8, 8, 3], 0.2)
    for t in range(3):
        clip[0, t, 1 + t : 3 + t, 2 * t : 2 * t + 4] = [0.2, 0.9, 0.2]
    behind = background(clip)
    np.testing.assert_array_equal(behind, 0.2)
    np.testing.assert_allclose(centers(clip, behind)[0], [[2, 2], [4, 3], [6, 4]])
    noisy = clip + 0.1 * np.random.default_rng(0).uniform(-1, 1, clip.shape)
    np.testing.assert_allclose(centers(noisy, behind)[0], [[2, 2], [4, 3], [6, 4]], atol=0.15)
    assert np.isnan(centers(behind[:, None] + 0.05, behind)).all() and np.isinf(distances(np.array([np.nan, 0]), np.zeros(2)))


def test_a_center_goes_on_as_it_moved_last():
    known = np.array([[[0, 0], [1, 4], [3, 5]]])
    found = ahead_of(known, 2)
    assert found["copy_last"].tolist() == [[[3, 5], [3, 5]]] and found["linear"].tolist() == [[[5, 6], [7, 7]]]
    assert list(ahead_of(known[:, :1], 2)) == ["copy_last"]


def test_the_tables_hold_prediction_and_rules(monkeypatch, capsys):
    module = Module()
    module.noise = 0.0  # so it copies the last frame
    monkeypatch.setattr(shape_centers, "open_generator", lambda config: Generator("some/run", CONFIG, TEST.labels, 8, module))
    flags.FLAGS(["test", "--clips=20", "--futures=2"])
    shape_centers.main(CONFIG)
    out = capsys.readouterr().out
    rows = {name: [float(value) for value in values.split("|")] for name, values in re.findall(r"^\| (\w+) \| ([\d. |]+) \|$", out, re.M)}
    assert f"20 clips of moving_shapes/plain, split test, {GIVEN} frames given, 2 futures; some/run" in out
    blocks = {
        title: block for title, block in re.findall(r"^\| (median distance of centers, pixels|psnr) \|(.*?)(?:\n\n|\Z)", out, re.M | re.S)
    }
    median = dict(re.findall(r"^\| (predicted|copy_last|linear) \| (.*) \|$", blocks["median distance of centers, pixels"], re.M))
    assert median["predicted"] == median["copy_last"] and len(median["linear"].split("|")) == AHEAD
    assert float(median["linear"].split("|")[0]) < float(median["copy_last"].split("|")[0])
    assert rows["predicted"] == [0, 0, 0]  # the last table: equal futures


def test_other_clips_have_no_known_centers():
    with pytest.raises(UserError, match="--dataset=folder: expected moving_shapes"):
        next(real_clips(Clips(dataset="folder"), 4))

"""Pose distance, by hand."""

import numpy as np
import pytest

from tfvideogan import metrics
from tfvideogan.metrics.pose_distance import missed_points


def test_it_is_the_mean_over_points_that_both_show():
    real = np.array([[[[0, 0, 1], [10, 10, 0.5], [5, 5, 1]], [[1, 1, 1], [2, 2, 0], [9, 9, 1]]]], float)  # 1 clip, 2 frames, 3 points
    fake = np.array([[[[3, 4, 1], [10, 11, 0.1], [0, 0, 0]], [[1, 1, 1], [50, 50, 1], [9, 15, 1]]]], float)
    assert metrics.pose_distance(real, fake, 1.0) == pytest.approx([(5 + 1 + 0 + 6) / 4])
    assert metrics.pose_distance(real, fake, 64.0) == pytest.approx([3 / 64])
    assert metrics.pose_distance(np.stack([real[0], fake[0]]), np.stack([fake[0], fake[0]]), 1.0) == pytest.approx([3, 0])
    assert missed_points(real, fake) == pytest.approx([0.5])  # one, in two frames
    assert missed_points(fake, real) == pytest.approx([0.5])


def test_a_clip_in_which_nobody_is_seen_twice_has_none():
    nobody = np.zeros([1, 2, 3, 3])
    assert np.isnan(metrics.pose_distance(nobody, nobody + 1, 1.0)).all()
    assert missed_points(nobody + 1, nobody) == [3]


@pytest.mark.parametrize(
    "real, fake, unit, message",
    [
        (np.zeros([1, 2, 3, 3]), np.zeros([1, 2, 4, 3]), 1.0, "expected the same"),
        (np.zeros([1, 2, 3, 2]), np.zeros([1, 2, 3, 2]), 1.0, r"\[N,T,K,3\]"),
        (np.full([1, 2, 3, 3], np.nan), np.zeros([1, 2, 3, 3]), 1.0, "finite"),
        (np.zeros([1, 2, 3, 3]), np.zeros([1, 2, 3, 3]), 0.0, "a unit of 0 pixels"),
    ],
)
def test_what_has_no_distance_is_refused(real, fake, unit, message):
    with pytest.raises(ValueError, match=message):
        metrics.pose_distance(real, fake, unit)

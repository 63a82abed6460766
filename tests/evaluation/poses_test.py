"""Pose distance of translations, with an estimator that sees dots."""

import importlib.util
import logging

import numpy as np
import pytest

from tfvideogan.config import UserError
from tfvideogan.data import pose_estimation
from tfvideogan.evaluation import poses


class Dots:
    """In place of the tracker: a red and a green joint where a frame is bright; a third, seen by who has followed it from the frame before,
    at the number of the frame."""

    def __init__(self):
        self.frames = 0

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        assert frame.dtype == np.uint8 and frame.ndim == 3
        self.frames += 1
        places = [np.argwhere(frame[..., channel] > 100)[:1] for channel in (0, 1)]
        joints = [[*place[0][::-1], 1] if len(place) else [0, 0, 0] for place in places]
        return np.array([*joints, [self.frames, 0, float(self.frames > 1)]], np.float32)


@pytest.fixture
def dots(monkeypatch):
    monkeypatch.setattr(pose_estimation, "Tracker", Dots)
    monkeypatch.setattr(pose_estimation, "estimator", lambda: "dots")


def clip(red: list, green: list) -> np.ndarray:
    """[T,16,24,3] in [-1,1], with dots at (row, column) in each frame, or none."""
    video = np.full([len(red), 16, 24, 3], -1, np.float32)
    for t, places in enumerate(zip(red, green, strict=True)):
        for channel, place in enumerate(places):
            if place is not None:
                video[(t, *place, channel)] = 1
    return video


def test_it_is_the_distance_of_joints_followed_through_each_clip(dots):
    truth = np.stack([clip([(1, 2), (3, 4), (5, 5)], [(9, 9), (9, 9), (9, 9)]), clip([(1, 2)] * 3, [(9, 9)] * 3)])
    made = np.stack([clip([(9, 2), (3, 7), (9, 8)], [(9, 9), None, (9, 9)]), truth[1]])
    scores = poses.PoseScores(1)
    for of_truth, of_made in zip(truth, made, strict=True):  # in two batches
        scores.add(of_truth[None], of_made[None])
    distance, missed = scores.records("translated", 0, {"split": "test"})
    # The first frame was given. Of the first clip the red joint is off by 3 and by hypot(4, 3), a green one is missed, and the other green
    # one and the third joint, which the last frame alone shows, are right: 8 / 4.
    assert distance["metric"] == "pose_distance/translated" and distance["value"] == pytest.approx(8 / 4 / 2)
    assert missed["metric"] == "missed_points/translated" and missed["value"] == pytest.approx(1 / 2 / 2)
    assert distance["stderr"] > 0
    told = distance["protocol"]
    assert (told["pose_estimator"], told["clips_without_joints"], told["split"]) == ("dots", 0, "test")
    assert "in pixels" in told["pose_distance"] and "their mean number" in missed["protocol"]["missed_points"]


def test_clips_without_a_joint_in_common_are_left_out_and_told(dots, monkeypatch):
    monkeypatch.setattr(Dots, "__call__", lambda self, frame: np.array([[0, frame.mean(), float(frame.mean() > 100)]], np.float32))
    videos = np.zeros([2, 2, 8, 8, 3], np.float32)
    videos[1] = -1  # black: nobody
    scores = poses.PoseScores(0)
    scores.add(np.zeros_like(videos), videos)
    distance, missed = scores.records("a", 0, {})
    assert (distance["value"], distance["protocol"]["clips_without_joints"], missed["value"]) == (0, 1, 0.5)
    scores = poses.PoseScores(0)
    scores.add(np.zeros_like(videos[:1]), videos[1:])
    distance, missed = scores.records("a", 0, {})
    assert (distance["value"], distance["stderr"], missed["value"]) == (None, None, 1)


def test_it_is_measured_where_it_is_asked_for_of_pairs(dots):
    missing: dict[str, str] = {}
    assert poses.measured(("fid", "pose_distance"), True, missing) == ["pose_distance"] and not missing
    assert poses.measured(("fid",), True, missing) == [] and not missing
    assert poses.measured(("pose_distance",), False, missing) == [] and missing == {"pose_distance": "the data set is unpaired"}


def test_without_the_estimator_there_is_one_line(monkeypatch, caplog):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    missing: dict[str, str] = {}
    with caplog.at_level(logging.WARNING):
        assert poses.measured(("fid", "pose_distance"), True, missing) == []
    (line,) = caplog.messages
    assert line.startswith("no pose_distance: needs mediapipe, which estimates poses: pip install tfvideogan[pose]")
    assert "--poses" not in line and missing["pose_distance"] in line
    with pytest.raises(UserError):
        pose_estimation.estimator()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mediapipe") is None, reason="needs mediapipe")
def test_mediapipe_finds_a_dancer_moved_by_eight_pixels(real_videos):
    from tfvideogan.data import pictures

    names = pictures.names(str(real_videos / "dancer" / "frames"))[:4]
    video = np.stack([pictures.picture(str(real_videos / "dancer" / "frames" / name)) for name in names])[None] / 127.5 - 1
    scores = poses.PoseScores(0)
    scores.add(video, np.roll(video, 8, 3))
    distance, missed = scores.records("moved", 0, {})
    assert distance["value"] == pytest.approx(8, abs=1.5) and missed["value"] < 1, (distance, missed)
    assert distance["protocol"]["pose_estimator"].startswith("MediaPipe's pose_landmark_full.tflite, sha256 ")

"""The made-up dancer: its body is where its joints are."""

import numpy as np
import pytest

from tests.conftest import LEAST, small
from tfvideogan import models
from tfvideogan.data.poses import LAYOUTS, parts
from tfvideogan.data.sources import moving_shapes_dancer as dancer
from tfvideogan.data.sources.moving_shapes import render

HEIGHT, WIDTH = 96, 144
CLIPS = (0, 1, 2, 4000)


def background(monkeypatch) -> np.ndarray:
    """A frame without the dancer."""
    with monkeypatch.context() as patch:
        patch.setattr(dancer, "joints_of", lambda index, frames: dancer_far_away(frames))
        return dancer.bodies(0, 1, HEIGHT, WIDTH)[0]


def dancer_far_away(frames: int) -> np.ndarray:
    return dancer_joints(0, frames) + 100.0


dancer_joints = dancer.joints_of


def test_the_body_is_around_the_joints_and_nowhere_else(monkeypatch):
    empty = background(monkeypatch)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for clip in CLIPS:
        for joints, frame in zip(dancer.key_points(clip, 6, HEIGHT, WIDTH)[:, :18], dancer.bodies(clip, 6, HEIGHT, WIDTH), strict=True):
            body = abs(frame.astype(int) - empty).max(-1) > 8
            rows, columns = np.floor(joints[:, [1, 0]].T).astype(int)
            inside = (rows >= 0) & (rows < HEIGHT) & (columns >= 0) & (columns < WIDTH)
            assert inside[:2].all() and body[rows[inside], columns[inside]].all()
            near = np.full([HEIGHT, WIDTH], np.inf)  # to the nearest limb of the stick figure
            for a, b in LAYOUTS[18].limbs:
                start, along = joints[a, :2], (joints[b] - joints[a])[:2]
                part = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / (along @ along), 0, 1)
                near = np.minimum(near, np.hypot(x - start[0] - part * along[0], y - start[1] - part * along[1]))
            assert near[body].max() < 0.09 * HEIGHT
            assert 0.06 < body.mean() < 0.2


def test_limbs_have_their_colors_whose_stripes_go_with_them():
    for clip in CLIPS:
        points, frames = dancer.key_points(clip, 3, 400, 400)[:, :18, :2], dancer.bodies(clip, 3, 400, 400)
        for joints, frame in zip(points, frames, strict=True):
            for a, b, _, color in dancer.LIMBS[-2:]:  # the right arm lies above all else but the head
                for part in (1 / 6, 1 / 3, 0.5):
                    x, y = joints[a] + part * (joints[b] - joints[a])
                    if not (0 <= x < 400 and 0 <= y < 400):
                        continue
                    expected = 255 * np.array(color) * (0.8 + 0.2 * np.cos(6 * np.pi * part))
                    if np.hypot(*(joints[0] - [x, y])) > 60:  # away from the head
                        assert abs(frame[int(y), int(x)] - expected).max() < 12, (clip, a, part)


def test_limbs_keep_their_proportions_and_move():
    joints = np.concatenate([dancer.joints_of(clip, 8) for clip in range(20)])
    scale = np.linalg.norm(joints[:, 0] - joints[:, 1], axis=-1)
    for a, b in LAYOUTS[18].limbs[2:6]:
        np.testing.assert_allclose(np.ptp(np.linalg.norm(joints[:, a] - joints[:, b], axis=-1) / scale), 0, atol=1e-9)
    assert np.ptp(joints[:, 4], axis=0).min() > 0.3  # the right wrist


def test_frames_are_the_same_in_clips_of_any_length_and_hardly_leave_the_frame():
    np.testing.assert_array_equal(dancer.joints_of(7, 9)[:3], dancer.joints_of(7, 3))
    assert np.any(dancer.joints_of(7, 3) != dancer.joints_of(8, 3))
    joints = np.concatenate([dancer.joints_of(clip, 16) for clip in range(200)])
    assert np.mean((joints < 0) | (joints > 1)) < 0.002 and np.all((joints[:, 0] > 0.1) & (joints[:, 0] < 0.9))
    assert abs(joints[:, (10, 13), 1].max() - 0.94) < 0.03  # feet on the floor


def test_the_source_is_the_stick_figure_of_these_joints_and_the_face_is_at_the_nose():
    points = dancer.key_points(3, 2, HEIGHT, WIDTH)
    assert points.shape == (2, 18 + 112, 3) and not parts(points)[1].any() and np.all(parts(points)[0][..., 2] == 1)
    figures, faces = dancer.figures(3, 2, HEIGHT, WIDTH), dancer.faces(3, 2, HEIGHT, WIDTH)
    for frame, face in zip(figures, faces, strict=True):
        assert frame.shape == (HEIGHT, WIDTH, 3)
        row, column = face
        pixel = frame[row, column].astype(int)
        assert pixel[2] - pixel[:2].max() > 50  # blue
    skin = dancer.bodies(3, 2, 400, 400)
    for frame, (row, column) in zip(skin, dancer.faces(3, 2, 400, 400), strict=True):
        np.testing.assert_allclose(frame[row, column], 255 * np.array(dancer.HEAD[1]), atol=1)


@pytest.mark.parametrize("phase", ["global", "face"])
def test_everybody_dance_now_reads_it(phase):
    given = {**LEAST["everybody_dance_now"], "dataset": "moving_shapes/dancer", "size": 16, "width": 32, "halvings": 1, "face_size": 16}
    config = small("everybody_dance_now", **{**given, "phase": phase})
    dataset = models.dataset(config, "test")
    assert dataset.size == 400 and dataset.labels == ("dancer",)
    batch = next(iter(dataset.once(2)))
    for name, draw in (("video", dancer.bodies), ("source", dancer.figures)):
        np.testing.assert_array_equal(np.round(batch[name][1] * 127.5 + 127.5), draw(4001, 2, 16, 32))
    if phase == "face":
        np.testing.assert_array_equal(batch["face"][1], dancer.faces(4001, 2, 16, 32))
    assert all(np.isfinite(term) for term in models.build(config).generator_loss(batch)[0].values())


def test_it_is_a_variant_like_the_others():
    video, label = render(5, 2, 32, "dancer")
    np.testing.assert_array_equal(video, dancer.bodies(5, 2, 32, 32))
    assert label == 0

"""Key points: OpenPose's files, smoothing, and faces."""

import json

import numpy as np
import pytest

from tfvideogan.data import poses
from tfvideogan.layers.box import cut, windows


def person(joints: int, value: float) -> dict:
    """One of OpenPose's JSON, without a face; every number of the body is `value` but the first hand point of the right, 2 * `value`."""
    return {
        "pose_keypoints_2d": [value] * (3 * joints),
        "face_keypoints_2d": [],
        "hand_left_keypoints_2d": [],
        "hand_right_keypoints_2d": [2 * value] * 3 + [0.0] * 60,
    }


def yaml(values: np.ndarray) -> str:
    """As OpenCV's FileStorage writes an array."""
    numbers = ",\n       ".join(", ".join(f"{value:.8e}" for value in row.ravel()) for row in values.reshape([-1, 3]))
    sizes = ", ".join(map(str, values.shape))
    return f"%YAML:1.0\npose_0: !!opencv-nd-matrix\n   sizes: [ {sizes} ]\n   dt: f\n   data: [ {numbers} ]\n"


@pytest.mark.parametrize("joints", [18, 23, 25])
def test_json_is_read_in_the_order_of_numbers_and_of_several_people_the_surest(tmp_path, joints):
    frames = {"f_2": [person(joints, 0.3), person(joints, 0.5)], "f_10": [], "f_1": [person(joints, 0.1)]}
    for name, people in frames.items():
        (tmp_path / f"{name}_keypoints.json").write_text(json.dumps({"version": 1.1, "people": people}))
    points = poses.read(str(tmp_path))
    assert points.shape == (3, joints + 112, 3) and points.dtype == np.float32
    body, face, left, right = poses.parts(points)
    np.testing.assert_allclose(body[:, 0, 0], [0.1, 0.5, 0.0])
    np.testing.assert_allclose(right[:, 0, 2], [0.2, 1.0, 0.0])
    assert body.shape[1:] == (joints, 3) and face.shape == (3, 70, 3) and not face.any() and not left.any() and not right[:, 1:].any()


def test_the_older_names_of_json_are_read(tmp_path):
    (tmp_path / "a_keypoints.json").write_text(json.dumps({"people": [{"pose_keypoints": [1.0] * 54, "face_keypoints": [2.0] * 210}]}))
    points = poses.read(str(tmp_path))
    assert np.all(points[0, :18] == 1) and np.all(points[0, 18:88] == 2) and not points[0, 88:].any()


def test_yaml_is_read_with_the_parts_beside_it(tmp_path):
    draw = np.random.default_rng(0)
    bodies, hands = (draw.uniform(0, 1, [2, n, 3]).astype(np.float32) for n in (23, 21))
    bodies[1] += 1  # the surer
    (tmp_path / "frame000001_pose.yml").write_text(yaml(bodies))
    (tmp_path / "frame000001_hand_left.yml").write_text(yaml(hands))
    (tmp_path / "frame000002_pose.yml").write_text("%YAML:1.0\npose_0: !!opencv-nd-matrix\n")  # nobody
    points = poses.read(str(tmp_path))
    body, face, left, right = poses.parts(points)
    np.testing.assert_allclose(body[0], bodies[1], rtol=1e-6)
    np.testing.assert_allclose(left[0], hands[1], rtol=1e-6)
    assert points.shape == (2, 135, 3) and not points[1].any() and not face.any() and not right.any()


@pytest.mark.parametrize(
    "files, message",
    [
        ({}, "got no file of OpenPose, expected NAME_keypoints.json or NAME_pose.yml"),
        ({"a.json": "{}"}, "a.json: got no key points as OpenPose writes them"),
        ({"a.json": json.dumps({"people": {"one": 1}})}, "a.json: got no key points as OpenPose writes them"),
        ({"a.json": json.dumps({"people": [{"pose_keypoints_2d": [float("inf")] * 54}]})}, "a.json: .*no finite numbers"),
        ({"a.json": json.dumps({"people": [person(17, 1.0)]})}, "got bodies of 17 joints, expected one of 18, 23, 25"),
        ({"a.json": json.dumps({"people": []})}, "got bodies of no joints"),
        ({"a.json": json.dumps({"people": [{"pose_keypoints_2d": [1] * 54, "face_keypoints_2d": [1] * 9}]})}, "a part of 3 points"),
    ],
)
def test_what_openpose_does_not_write_is_refused(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        poses.read(str(tmp_path))


def test_smoothing_is_the_median_of_seven_frames_of_those_that_see_the_point():
    track = np.zeros([9, 3, 3], np.float32)
    track[:, 0] = [[x, 2 * x, 0.5] for x in range(9)]
    track[4, 0] = [100, 100, 0.9]  # a leap
    track[3:7, 1] = [[1, 1, 0.2], [2, 2, 0.4], [3, 3, 0.6], [4, 4, 0.8]]  # seen four times
    track[4:7, 2] = 1.0  # seen three times
    smooth = poses.smooth(track)
    np.testing.assert_allclose(smooth[4, 0], [5, 10, 0.5])  # of 1 2 3 100 5 6 7
    np.testing.assert_allclose(smooth[1, 0], [2, 4, 0.5])  # of 0 1 2 3 100: the first frames there are
    np.testing.assert_allclose(smooth[4, 1], [2.5, 2.5, 0.5], rtol=1e-6)  # frames 1 to 7: of those that see it
    np.testing.assert_array_equal(smooth[1, 1], 0)  # frames 0 to 4 see it twice
    np.testing.assert_array_equal(smooth[5, 2], 0)


def standing(joints: int, **seen: tuple[float, float]) -> np.ndarray:
    """[J+112,3] with the nose and ears that are given, sure."""
    points, layout = np.zeros([joints + poses.REST, 3], np.float32), poses.LAYOUTS[joints]
    numbers = {"nose": layout.nose, "right_ear": layout.ears[0], "left_ear": layout.ears[1]}
    for name, place in seen.items():
        points[numbers[name]] = [*place, 1.0]
    return points


@pytest.mark.parametrize("joints", [18, 23, 25])
def test_faces_are_around_the_nose_or_the_ears_and_stay_where_none_is_seen(joints):
    frames = [
        standing(joints),
        standing(joints, nose=(7, 3), right_ear=(1, 1)),
        standing(joints, right_ear=(2, 4), left_ear=(6, 5)),
        standing(joints, left_ear=(9, 8)),
        standing(joints),
    ]
    np.testing.assert_array_equal(poses.face_centers(np.stack(frames)), [[3, 7], [3, 7], [4.5, 4], [8, 9], [8, 9]])
    with pytest.raises(ValueError, match="no frame shows a face"):
        poses.face_centers(np.stack(frames[:1]))


def test_the_box_around_a_center_is_that_of_the_authors():
    """70 pixels of 1920x1080 on every side, in 1024x512 grown to 128x128 about the middle, and moved into the frame."""
    for x, y in ((1065.9, 159.4), (20.0, 500.0), (1900.0, 1070.0)):
        left, right = int(max(x - 70, 0) * 1024 / 1920), int(min(x + 70, 1920) * 1024 / 1920)
        top, bottom = int(max(y - 70, 0) * 512 / 1080), int(min(y + 70, 1080) * 512 / 1080)
        bottom, right = bottom + (128 - (bottom - top)) // 2, right + (128 - (right - left)) // 2
        top, left = np.clip(bottom - 128, 0, 512 - 128), np.clip(right - 128, 0, 1024 - 128)
        row, column = poses.face_centers(standing(18, nose=(x, y))[None])[0]
        center = np.array([[int(row * 512 / 1080), int(column * 1024 / 1920)]], np.int32)
        grid = np.stack(np.meshgrid(range(512), range(1024), indexing="ij"), -1)[None].astype(np.float32)
        box = cut(grid, *windows(grid, center, 128)).numpy()[0]
        assert abs(box[0, 0] - [top, left]).max() <= 1, (box[0, 0], top, left)


def test_body_25_becomes_body_23():
    points = np.arange(137 * 3, dtype=np.float32).reshape([137, 3])
    made = poses.as_body_23(points)
    assert made.shape == (135, 3)
    layouts = poses.LAYOUTS[25], poses.LAYOUTS[23]
    for a, b in zip(*((one.nose, *one.ears, *one.ankles) for one in layouts), strict=True):
        np.testing.assert_array_equal(points[a], made[b])
    np.testing.assert_array_equal(points[25:], made[23:])


def test_points_are_scaled_and_moved():
    np.testing.assert_array_equal(poses.placed(np.array([[2.0, 3.0, 0.5]]), 10, 1, -1), [[21, 29, 0.5]])

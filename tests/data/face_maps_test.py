"""Maps of faces against their definitions, pixel by pixel."""

import numpy as np
import pytest

from tfvideogan.data import face_maps


def points_of(size: float = 64.0, left: float = 0.0, top: float = 0.0) -> np.ndarray:
    """Key points of a face half as wide as a square of that size, in its middle."""
    found = np.zeros([68, 2], np.float32)
    angles = np.linspace(np.pi, 0, 17)
    found[:17] = np.stack([0.5 + 0.25 * np.cos(angles), 0.45 + 0.3 * np.sin(angles)], 1)  # from the left over the chin to the right
    places = {
        **{17: (5, 0.32, 0.42, 0.38), 22: (5, 0.58, 0.68, 0.38), 31: (5, 0.45, 0.55, 0.58)},
        **{36: (4, 0.34, 0.44, 0.45), 42: (4, 0.56, 0.66, 0.45), 48: (7, 0.4, 0.6, 0.66), 60: (5, 0.43, 0.57, 0.67)},
    }
    for first, (count, begin, end, height) in places.items():
        found[first : first + count] = np.stack([np.linspace(begin, end, count), np.full(count, height)], 1)
    found[27:31] = np.stack([np.full(4, 0.5), np.linspace(0.44, 0.55, 4)], 1)
    found[40:42], found[46:48] = [[0.41, 0.47], [0.37, 0.47]], [[0.63, 0.47], [0.59, 0.47]]
    found[55:60] = np.stack([np.linspace(0.57, 0.43, 5), np.full(5, 0.7)], 1)
    found[65:68] = np.stack([np.linspace(0.53, 0.47, 3), np.full(3, 0.68)], 1)
    return found * size + [left, top]


def test_a_curve_goes_through_its_points_and_is_a_parabola_between():
    points = np.array([[0, 0], [4, 4], [8, 0], [8, 6]], np.float32)
    made = face_maps.curve(points)
    x, y = made[: face_maps.STEPS].T
    np.testing.assert_allclose(y, x * (8 - x) / 4, atol=1e-5)
    np.testing.assert_allclose(made[[0, face_maps.STEPS - 1, face_maps.STEPS, -1]], points[[0, 2, 2, 3]], atol=1e-6)
    np.testing.assert_allclose(made[face_maps.STEPS :, 0], 8, atol=1e-6)  # two points: a line


def test_the_outline_is_closed_by_the_jaw_mirrored_two_thirds_as_high():
    points = points_of()
    points[0, 1], points[16, 1] = 28, 32  # their middle is 30
    points[8], points[1], points[15] = (32, 48), (16, 36), (48, 33)
    made = face_maps.with_forehead(points)
    assert made.shape == (83, 2)
    np.testing.assert_allclose(made[[68, 75, 82]], [[48, 28], [32, 18], [16, 26]])
    np.testing.assert_array_equal(made[:68], points)
    assert [len(edge) for edge in face_maps.EDGES] == [33, 5, 5, 2, 5, 2, 4, 4, 4, 4, 7, 7, 5, 5]
    assert sorted({number for edge in face_maps.EDGES for number in edge} - {28, 29, 30}) == [
        n for n in range(83) if n not in (27, 28, 29, 30)
    ]


def test_a_box_is_two_and_a_half_times_as_wide_and_within_the_frame():
    points = points_of(40, left=100, top=60)  # 20 wide, from 110 to 130
    assert points[:, 0].min() == 110 and points[:, 0].max() == 130
    low, high = points[:, 1].min(), points[:, 1].max()
    assert face_maps.box(points, 240, 320) == (round((3 * low + high) / 4 - 25), 95, 50)
    assert face_maps.box(points, 80, 320)[0] == 30 and face_maps.box(points, 240, 125)[1] == 75  # moved in
    assert face_maps.box(points, 240, 40) == (round((3 * low + high) / 4 - 20), 0, 40)  # no larger than the frame


def test_distances_are_those_along_rows_and_columns_and_edges_are_where_they_are_0():
    maps, flat = face_maps.draw(points_of(), np.full([64, 64, 3], 90, np.uint8)), np.arange(64)
    assert maps.shape == (64, 64, 15) and maps.dtype == np.uint8
    lines = []
    for number, edge in enumerate(face_maps.EDGES):
        points = np.round(face_maps.curve(face_maps.with_forehead(points_of())[list(edge)])).astype(int)
        near = np.abs(flat[:, None, None] - points[:, 1]) + np.abs(flat[None, :, None] - points[:, 0])
        # A line reaches a pixel to each side of its points; thirds are rounded down.
        less = near.min(-1) / 3 - maps[..., 1 + number]
        assert np.all((less >= 0) & (less < 4 / 3 + 1e-6)), number
        lines.append(near.min(-1) == 0)
    assert set(np.unique(maps[..., 0])) == {0, 255}
    assert np.all(maps[..., 0][np.any(lines, 0)] == 255) and 0.05 < np.mean(maps[..., 0] == 255) < 0.4
    far = face_maps.draw(points_of(64), np.zeros([1000, 64, 3], np.uint8))
    assert far[-1, 0, 1] == 255  # 255 is the most


def test_edges_of_the_frame_count_outside_the_face_alone():
    frame = np.full([64, 64, 3], 30, np.uint8)
    plain = face_maps.draw(points_of(), frame)
    frame[:, 32:] = 220  # a border through the face and above it
    made = face_maps.draw(points_of(), frame)
    np.testing.assert_array_equal(made[..., 1:], plain[..., 1:])
    more = np.argwhere((made[..., 0] == 255) & (plain[..., 0] == 0))
    assert len(more) and np.all(np.abs(more[:, 1] - 31.5) <= 1.5)
    top, chin = 29 - 2 / 3 * 19, 48  # of the outline at that column
    assert not np.any((more[:, 0] > top + 2) & (more[:, 0] < chin - 2))
    assert (more[:, 0] < top - 2).any() and (more[:, 0] > chin + 2).any()


@pytest.mark.parametrize(
    "text, told",
    [
        ("1,2\n" * 67, "got 67 lines, expected 68 of x,y"),
        ("1,2,3\n" * 68, "got 68 lines, expected 68 of x,y"),
        ("1,2\n" * 67 + "1,nan\n", "got 68 lines, expected 68 of x,y"),
        ("1;2\n" * 68, "expected 68 lines of x,y: could not convert"),
        ("1,2\n" * 67 + "1\n", "expected 68 lines of x,y: "),
        ("", "got 0 lines"),
    ],
)
def test_other_files_are_refused(text, told):
    with pytest.raises(ValueError, match=told):
        face_maps.read_points(text)


def test_points_are_read_with_blanks_and_fractions():
    points = face_maps.read_points("1.5, 2\n\n" + "3,4\n" * 67)
    assert points.shape == (68, 2) and points.dtype == np.float32
    np.testing.assert_array_equal(points[:2], [[1.5, 2], [3, 4]])

"""Pose normalization, by numbers that can be checked by hand."""

import numpy as np
import pytest

from tfvideogan.data.pose_normalization import Floor, counts, floor, normalize
from tfvideogan.data.poses import LAYOUTS, REST


def person(row: float, height: float, joints: int = 18, x: float = 180.0) -> np.ndarray:
    """[J+112,3]: ankles 20 pixels apart, the lower at `row` and the other 10 above it, the nose `height` above their middle."""
    points, layout = np.zeros([joints + REST, 3], np.float32), LAYOUTS[joints]
    points[layout.ankles[0]] = [x - 10, row, 0.9]
    points[layout.ankles[1]] = [x + 10, row - 10, 0.9]
    points[layout.nose] = [x, row - 5 - height, 0.9]
    return points


SOURCE = ((106, 60), (70, 30), (92, 40), (100, 50), (98, 50), (120, 80), (99, 50))  # row and height of each frame
TARGET = ((200, 40), (240, 45), (250, 48), (256, 60), (270, 70), (284, 100), (300, 95))


def frames(stances, **options) -> np.ndarray:
    return np.stack([person(*stance, **options) for stance in stances])


@pytest.mark.parametrize("joints", [18, 23, 25])
def test_rows_and_heights_are_of_ankles_and_the_nose(joints):
    found = floor(frames(SOURCE, joints=joints))
    np.testing.assert_allclose(np.stack([found.rows, found.heights], 1), SOURCE, atol=1e-4)


def test_without_a_nose_the_ears_tell_and_without_an_ankle_nothing_does():
    one = person(100, 50)
    one[0, 2] = 0
    assert not counts(one[None])[0]
    one[16], one[17] = [170, 60, 0.5], [190, 64, 0.5]
    assert floor(one[None]).heights[0] == pytest.approx(95 - 62)
    one[13, 2] = 0
    with pytest.raises(ValueError, match="no frame shows both ankles and a head"):
        floor(one[None])


def test_the_farthest_row_is_within_half_the_way_above_the_median():
    assert floor(frames(SOURCE)).range == (92, 120)  # median 99, so from 99 - 10.5 on: not 70
    assert floor(frames(TARGET)).range == (240, 300)  # median 256, from 234 on
    assert Floor(np.array([5.0, 5.0]), np.ones(2)).range == (5, 5)


def test_heights_are_of_frames_near_the_ends_unless_others_are_much_taller():
    rows, heights = np.array([0.0, 4.0, 6.0, 50.0, 97.0, 100.0]), np.array([10.0, 12.0, 99.0, 100.0, 91.0, 90.0])
    assert Floor(rows, heights).heights_at(0, 100) == (12, 91)  # 5 on either side
    heights[4:] = 89  # more than a tenth below the tallest
    assert Floor(rows, heights).heights_at(0, 100) == (12, 100)
    assert Floor(rows, heights).heights_at(20, 100)[0] == 100  # none near: of all


def test_the_source_stands_where_the_target_would_and_is_as_tall():
    # The source's range of 28 is laid in the middle of the target's, 270 ± 14. There the target is 60 and 100 tall, the source 40 and 80:
    # scales 1.5 and 1.25. Row 106 is half way: it comes to 270, 1.375 as large; x is scaled about 200, y about 106.
    made = normalize(frames(SOURCE), floor(frames(TARGET)), 400)
    layout = LAYOUTS[18]
    np.testing.assert_allclose(made[0, layout.ankles[0], :2], [1.375 * 170 - 75, 270], atol=1e-3)
    np.testing.assert_allclose(made[0, layout.nose], [172.5, 1.375 * 41 - 39.75 + 164, 0.9], atol=1e-3)
    # Row 92, the farthest: comes to 256 plus what scaling about row 106 by 1.5 adds, -7.
    np.testing.assert_allclose(made[2, layout.ankles[0], 1], 256 - 7, atol=1e-3)
    np.testing.assert_allclose(floor(made).heights[[0, 2, 5]], [60 * 1.375, 60, 100], rtol=1e-5)


def test_a_larger_floor_is_mapped_onto_the_targets_whole_floor():
    made = normalize(frames(TARGET), floor(frames(SOURCE)), 400)
    # Scales 40 / 45 far and 80 / 95 close... the closest of the target is 95 tall, which its tallest, 100, does not outdo by a tenth.
    far, close = 40 / 45, 80 / 95
    np.testing.assert_allclose(floor(made).heights[[1, 6]], [45 * far, 95 * close], rtol=1e-5)
    np.testing.assert_allclose(floor(made).rows[6], 120 + (300 - 200) * (close - 1), rtol=1e-5)


def test_frames_that_tell_nothing_move_as_the_one_before():
    source = frames([SOURCE[1], *SOURCE, SOURCE[5]])
    source[0, 0, 2] = source[-1, 10, 2] = 0.0
    made, known = normalize(source, floor(frames(TARGET)), 400), normalize(source[1:-1], floor(frames(TARGET)), 400)
    np.testing.assert_allclose(made[1:-1], known)
    moved = known[0, 10, :2] - 1.375 * source[1, 10, :2]
    np.testing.assert_allclose(made[0, 10, :2], 1.375 * source[0, 10, :2] + moved, rtol=1e-5)
    assert made[0, 0, 2] == made[-1, 10, 2] == 0


def test_a_source_that_is_the_target_stays_where_it_is():
    source = frames(TARGET)
    np.testing.assert_allclose(normalize(source, floor(source), 400), source, atol=1e-3)

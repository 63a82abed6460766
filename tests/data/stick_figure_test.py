"""Stick figures, by the pixel."""

import numpy as np
import pytest

from tfvideogan.data.poses import REST
from tfvideogan.data.stick_figure import draw

WHITE = [255, 255, 255]


def points(joints: int = 18, **seen: tuple[float, float, float]) -> np.ndarray:
    """[J+112,3] of the points seen, by their numbers: j3 the fourth joint, f0 of the face, l0 and r0 of the hands."""
    made = np.zeros([joints + REST, 3])
    begin = {"j": 0, "f": joints, "l": joints + 70, "r": joints + 91}
    for name, point in seen.items():
        made[begin[name[0]] + int(name[1:])] = point
    return made


def inked(picture: np.ndarray) -> np.ndarray:
    return np.any(picture != 255, -1)


@pytest.mark.parametrize(
    "joints, joint, color",
    [
        (18, 0, (0, 0, 255)),  # the table's red is seen as blue
        (18, 1, (0, 85, 255)),
        (18, 17, (85, 0, 255)),
        (23, 0, (0, 0, 255)),
        (23, 13, (128, 25, 25)),
        (23, 22, (130, 0, 75)),
        (25, 0, (85, 0, 255)),
        (25, 4, (0, 255, 255)),
        (25, 24, (255, 255, 0)),
    ],
)
def test_a_joint_is_a_disc_of_its_color(joints, joint, color):
    picture = draw(points(joints, **{f"j{joint}": (500, 300, 0.1)}), 1080, 1920)
    assert picture.shape == (1080, 1920, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[300, 500], color)
    assert inked(picture).sum() == 197  # points of the grid within 8 of its center
    np.testing.assert_array_equal(picture[300, 508], color)
    np.testing.assert_array_equal(picture[300, 509], WHITE)


def test_a_limb_is_laid_on_in_the_color_of_its_first_joint():
    picture = draw(points(j1=(400, 300, 1), j2=(600, 300, 1)), 1080, 1920)
    np.testing.assert_array_equal(picture[300, 500], [102, 153, 255])  # .4 white + .6 (0, 85, 255)
    np.testing.assert_array_equal(picture[300, 400], [0, 85, 255])  # itself laid on
    np.testing.assert_array_equal(picture[300, 600], [0, 119, 255])  # .4 (0, 170, 255) + .6 (0, 85, 255)
    assert inked(picture)[:, 500].sum() == 9 and inked(picture)[:, 440].sum() == 7  # ±4, narrower towards the ends
    upright = draw(points(j1=(500, 200, 1), j2=(500, 400, 1)), 1080, 1920)
    assert inked(upright)[300].sum() == 9
    alone = draw(points(j1=(400, 300, 1), j2=(600, 300, 0)), 1080, 1920)
    assert inked(alone).sum() == 197


def test_of_faces_eight_dots_are_drawn_where_they_are_sure():
    face = {f"f{number}": (100 + 20 * number, 300, 0.3) for number in range(70)}
    picture = draw(points(**face), 1080, 1920)
    drawn = [number for number in range(70) if not picture[300, 100 + 20 * number].any()]
    assert drawn == [0, 8, 16, 27, 30, 33, 68, 69]
    assert inked(picture).sum() == 8 * 49  # within 4 of the center
    unsure = {name: (x, y, 0.19) for name, (x, y, _) in face.items()}
    assert not inked(draw(points(**unsure), 1080, 1920)).any()


def test_hands_have_fingers_of_their_tips_colors():
    picture = draw(points(l0=(100, 300, 1), l1=(200, 300, 1), l2=(300, 300, 1), r20=(800, 300, 0.05)), 1080, 1920)
    np.testing.assert_array_equal(picture[300, 250], np.rint(0.4 * 255 + 0.6 * np.array([31, 136, 233])))
    np.testing.assert_array_equal(picture[300, 150], np.rint(0.4 * 255 + 0.6 * np.array([64, 115, 231])))
    assert inked(picture)[:, 150].sum() == 5 and not inked(picture)[:, 700:].any()


def test_smaller_frames_have_the_same_figure_and_what_is_outside_is_not_drawn():
    large = draw(points(j1=(400, 300, 1), j2=(600, 500, 1), j3=(5000, -400, 1)), 1080, 1920)
    small = draw(points(j1=(100, 75, 1), j2=(150, 125, 1), j3=(1250, -100, 1)), 270, 480)
    assert small.shape == (270, 480, 3)
    mean = large.reshape([270, 4, 480, 4, 3]).mean((1, 3))
    assert abs(mean - small).mean() < 0.2 < abs(255 - mean).mean()
    assert draw(points(j1=(20, 20, 1)), 64, 64).shape == (64, 64, 3)  # a square one fits into the canvas too
    assert not inked(draw(points(), 64, 48)).any()

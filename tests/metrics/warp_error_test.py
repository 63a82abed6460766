"""Temporal warp error: by numbers one can check by hand, and on drawn clips whose flow is known."""

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan import metrics
from tfvideogan.data.sources import moving_shapes
from tfvideogan.layers.warp import warp
from tfvideogan.metrics.warp_error import trusted_pixels, warped

RANDOM = np.random.default_rng(4)
ROW = np.array([0.0, 0.1, 0.5, 0.2, 0.3])  # of one line of pixels
TO_THE_RIGHT = np.stack([ROW, np.roll(ROW, 1)])[None, :, None, :, None]  # [1,2,1,5,1]; the last pixel comes back on the left
LEFTWARD = np.stack([np.full([1, 2, 1, 5], -1.0), np.zeros([1, 2, 1, 5])], -1)  # the way back
EVERYWHERE = np.ones([1, 2, 1, 5], bool)


def test_warping_is_that_of_the_layer():
    frames, flow = RANDOM.normal(size=[2, 6, 7, 3]), RANDOM.normal(0, 3, [2, 6, 7, 2])
    np.testing.assert_allclose(warped(frames, flow), warp(tf.constant(frames), tf.constant(flow)).numpy(), rtol=1e-12)


def test_what_moves_with_its_flow_has_no_error_but_where_it_came_from_outside():
    # Of the left pixel, .3, the way back leads out of the frame, to the border's 0: an error of .09 in one of five pixels.
    assert metrics.warp_error(TO_THE_RIGHT, LEFTWARD, EVERYWHERE, 1.0) == pytest.approx([0.09 / 5])
    inside = trusted_pixels(TO_THE_RIGHT, LEFTWARD, 1.0)
    assert inside[0, :, 0].tolist() == [[False] * 5, [False, True, True, True, True]]
    assert metrics.warp_error(TO_THE_RIGHT, LEFTWARD, inside, 1.0) == [0]
    gray = np.zeros_like(TO_THE_RIGHT)  # the border is of the same color
    assert trusted_pixels(gray, LEFTWARD, 1.0)[0, 1, 0].tolist() == [False, True, True, True, True]
    assert trusted_pixels(gray, -LEFTWARD, 1.0)[0, 1, 0].tolist() == [True, True, True, True, False]


def test_what_stands_still_while_its_source_moves_has_the_squared_differences():
    still = TO_THE_RIGHT[:, [0, 0]]
    inside = trusted_pixels(TO_THE_RIGHT, LEFTWARD, 1.0)
    steps = np.array([0.1, 0.4, -0.3, 0.1])
    assert metrics.warp_error(still, LEFTWARD, inside, 1.0) == pytest.approx([np.mean(steps**2)])
    assert metrics.warp_error(2 * still - 1, LEFTWARD, inside, 2.0) == pytest.approx([np.mean(steps**2)])  # of pixels in [0,1] again


def test_every_trusted_pixel_counts_the_same_and_channels_are_averaged():
    video = np.zeros([1, 3, 1, 2, 3])
    video[0, 1, 0, 0] = [0.6, 0.0, 0.3]  # errors in frame 1, and in frame 2 going back: .45 / 3 both
    trusted = np.array([[[True, True]], [[True, False]], [[True, True]]])[None]  # the first frame's are not asked for
    assert metrics.warp_error(video, np.zeros([1, 3, 1, 2, 2]), trusted, 1.0) == pytest.approx([(0.15 + 0.15 + 0) / 3])


def test_flicker_of_known_size():
    still = np.repeat(RANDOM.uniform(size=[1, 1, 8, 8, 3]), 4, 1)
    flicker = still + 0.05 * np.array([1, -1, 1, -1])[:, None, None, None]
    trusted, flow = np.ones([1, 4, 8, 8], bool), np.zeros([1, 4, 8, 8, 2])
    assert metrics.warp_error(flicker, flow, trusted, 1.0) == pytest.approx([0.01])
    assert metrics.warp_error(np.concatenate([still, flicker]), flow[[0, 0]], trusted[[0, 0]], 1.0) == pytest.approx([0, 0.01])


def test_what_comes_out_of_hiding_is_not_trusted():
    video = np.full([1, 2, 1, 4, 3], -1.0)
    video[0, 0, 0, 1] = video[0, 1, 0, 2] = 1.0  # a white pixel goes to the right over black
    flow = np.zeros([1, 2, 1, 4, 2])
    flow[0, 1, 0, 2, 0] = -1
    assert trusted_pixels(video, flow, 2.0)[0, 1, 0].tolist() == [True, False, True, True]  # where it was is uncovered
    # Of colors in [-1,1] the squares' sum is below .02: 3 x .08^2 = .0192 is, 3 x .082^2 = .0202 not.
    for change, expected in ((0.08, True), (0.082, False)):
        pair = np.stack([np.zeros([1, 1, 3]), np.full([1, 1, 3], change)])[None]
        for scale in (1, 255):
            assert trusted_pixels(scale * pair, np.zeros([1, 2, 1, 1, 2]), 2.0 * scale)[0, 1, 0, 0] == expected


def test_of_a_clip_of_which_nothing_is_trusted_it_is_no_number():
    found = metrics.warp_error(TO_THE_RIGHT[[0, 0]], LEFTWARD[[0, 0]], np.stack([EVERYWHERE[0], ~EVERYWHERE[0]]), 1.0)
    assert np.isfinite(found[0]) and np.isnan(found[1])


def test_a_drawn_clip_moves_as_its_exact_flow_says():
    video = np.stack([moving_shapes.render(i, 6, 32, "textured")[0] for i in range(3)]) / 255
    flow = np.stack([moving_shapes.flow(i, 6, 32, "textured") for i in range(3)])
    trusted = trusted_pixels(video, flow, 1.0)
    assert 0.8 < trusted[:, 1:].mean() < 1
    assert metrics.warp_error(video, flow, trusted, 1.0).max() < 1e-4
    backwards = metrics.warp_error(video[:, ::-1], flow, trusted, 1.0)
    assert backwards.min() > 10 * metrics.warp_error(video, flow, trusted, 1.0).max()


@pytest.mark.parametrize(
    "video, flow, trusted, told",
    [
        (np.zeros([1, 1, 4, 4, 3]), np.zeros([1, 1, 4, 4, 2]), np.ones([1, 1, 4, 4]), "T of at least 2"),
        (np.zeros([1, 2, 4, 4, 3]), np.zeros([1, 2, 4, 4]), np.ones([1, 2, 4, 4]), "flow of"),
        (np.zeros([1, 2, 4, 4, 3]), np.zeros([1, 2, 4, 4, 2]), np.ones([1, 1, 4, 4]), "trusted of shape"),
        (np.full([1, 2, 4, 4, 3], np.nan), np.zeros([1, 2, 4, 4, 2]), np.ones([1, 2, 4, 4]), "NaN or infinity"),
    ],
)
def test_what_does_not_fit_is_refused(video, flow, trusted, told):
    with pytest.raises(ValueError, match=told):
        metrics.warp_error(video, flow, trusted, 1.0)

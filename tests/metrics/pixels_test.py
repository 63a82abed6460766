"""Scores of pixels: by numbers one can check by hand, by sums written out, and by TensorFlow and TF-GAN; and what they refuse."""

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan import metrics
from tfvideogan.data.sources import moving_shapes
from tfvideogan.metrics import tfgan
from tfvideogan.metrics.average_content_distance import frame_color, shape_color
from tfvideogan.metrics.sliced_wasserstein_distance import PROGRESSIVE_GAN, TFGAN, Recipe, laplacian_level

RANDOM = np.random.default_rng(0)
CLIPS = RANDOM.uniform(size=[2, 3, 20, 24, 3])
OTHERS = np.clip(CLIPS + 0.1 * RANDOM.normal(size=CLIPS.shape), 0, 1)


# SSIM and PSNR


def test_ssim_is_tensorflows():
    expected = tf.reduce_mean(tf.image.ssim(tf.constant(CLIPS, tf.float32), tf.constant(OTHERS, tf.float32), 1.0), 1)
    assert metrics.ssim(CLIPS, OTHERS, 1.0) == pytest.approx(expected.numpy(), abs=1e-5)


def test_ssim_of_one_window_written_out():
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    x, y = CLIPS[0, 0, :11, :11, 0], OTHERS[0, 0, :11, :11, 0]
    mx, my = (window * x).sum(), (window * y).sum()
    sx, sy, sxy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum(), (window * (x - mx) * (y - my)).sum()
    c1, c2 = 0.01**2, 0.03**2
    expected = (2 * mx * my + c1) * (2 * sxy + c2) / ((mx**2 + my**2 + c1) * (sx + sy + c2))
    assert metrics.ssim(x[None, None, :, :, None], y[None, None, :, :, None], 1.0) == pytest.approx([expected])


def test_ssim_of_a_clip_and_itself_is_1():
    assert metrics.ssim(CLIPS, CLIPS, 1.0) == pytest.approx([1, 1])


def test_ssim_of_two_greys():
    # No structure: (2 a b + C1) / (a^2 + b^2 + C1), here with a range of 2.
    a, b = np.full([1, 1, 11, 11, 1], 0.5), np.full([1, 1, 11, 11, 1], -0.25)
    assert metrics.ssim(a, b, 2.0) == pytest.approx([(-0.25 + 0.0004) / (0.3125 + 0.0004)])


def test_ssim_goes_with_the_range():
    assert metrics.ssim(2 * CLIPS, 2 * OTHERS, 2.0) == pytest.approx(metrics.ssim(CLIPS, OTHERS, 1.0))


def test_psnr_by_hand():
    # Errors of 0.2 and 0.02 in the two frames: a mean square of (0.04 + 0.0004) / 2 = 0.0202, 10 log10(4 / 0.0202) = 22.967 dB.
    x = np.zeros([1, 2, 4, 4, 3])
    y = x + np.array([0.2, 0.02])[:, None, None, None]
    assert metrics.psnr(x, y, 2.0) == pytest.approx([22.9671], abs=1e-4)


def test_psnr_is_tensorflows_of_all_frames_as_one_picture():
    tall = (tf.constant(clips.reshape([2, 60, 24, 3]), tf.float32) for clips in (CLIPS, OTHERS))
    assert metrics.psnr(CLIPS, OTHERS, 1.0) == pytest.approx(tf.image.psnr(*tall, 1.0).numpy(), rel=1e-5)


def test_psnr_with_a_first_frame_that_is_given_is_finite():
    x = np.zeros([1, 4, 4, 4, 3])
    y = x + np.array([0, 0.2, 0.2, 0.2])[:, None, None, None]
    # A quarter of the error is 0: 20 dB and 10 log10(4 / 3) more.
    assert metrics.psnr(x, y, 2.0) == pytest.approx([20 + 1.2494], abs=1e-4)


@pytest.mark.parametrize("data_range", [1.0, 2.0])
def test_psnr_of_equal_clips_is_60(data_range):
    assert metrics.psnr(CLIPS, CLIPS, data_range) == pytest.approx([60, 60])
    almost = CLIPS + data_range * 10**-3.1  # 62 dB
    assert metrics.psnr(CLIPS, almost, data_range) == pytest.approx([60, 60])
    assert metrics.psnr(CLIPS, CLIPS + data_range * 10**-2.9, data_range) == pytest.approx([58, 58])


@pytest.mark.parametrize("metric", [metrics.ssim, metrics.psnr])
def test_clips_that_cannot_be_compared_are_refused(metric):
    with pytest.raises(ValueError, match=r"\[2, 3, 20, 24, 3\] and \[2, 3, 20, 23, 3\]: expected the same"):
        metric(CLIPS, CLIPS[:, :, :, :23], 1.0)
    with pytest.raises(ValueError, match="finite"):
        metric(CLIPS, np.full_like(CLIPS, np.nan), 1.0)


def test_ssim_wants_eleven_pixels():
    with pytest.raises(ValueError, match="at least 11 pixels a side"):
        metrics.ssim(CLIPS[:, :, :10], CLIPS[:, :, :10], 1.0)


# Average content distance


def test_average_content_distance_by_hand():
    # Pairs of frames are 5, 5 and 0 apart; and a clip that never changes.
    features = np.array([[[0.0, 0], [3, 4], [3, 4]], [[1, 1]] * 3])
    assert metrics.average_content_distance(features) == pytest.approx([10 / 3, 0])


def test_average_content_distance_written_out():
    features = RANDOM.normal(size=[1, 6, 4])
    total = sum(np.linalg.norm(features[0, s] - features[0, t]) for s in range(6) for t in range(s + 1, 6))
    assert metrics.average_content_distance(features) == pytest.approx([2 * total / (6 * 5)])


def test_the_color_of_a_frame_counts_to_255():
    video = np.zeros([1, 2, 4, 4, 3], np.float32)
    video[0, 1] = [1, -1, 0]
    assert frame_color(video).tolist() == [[[127.5] * 3, [255, 0, 127.5]]]


def on_gray(*frames: np.ndarray) -> np.ndarray:
    """Frames [8,8,3] of 0 to 255, NaN where the background of 40 shows, as a clip in [-1,1]."""
    return (np.where(np.isnan(frames), 40, frames) / 127.5 - 1)[None]


def square(top: int, left: int, color: tuple[float, ...], edge: tuple[float, ...] | None = None) -> np.ndarray:
    """A square of 4 x 4 pixels, whose 12 outermost may have another color."""
    frame = np.full([8, 8, 3], np.nan)
    frame[top : top + 4, left : left + 4] = color if edge is None else edge
    frame[top + 1 : top + 3, left + 1 : left + 3] = color
    return frame


def test_the_color_of_the_shape_is_that_of_its_inside():
    video = on_gray(square(1, 1, (200, 40, 120), edge=(120, 40, 80)), square(3, 4, (200, 40, 120)))
    assert shape_color(video) == pytest.approx(np.tile([200, 40, 120], [1, 2, 1]), abs=1e-3)


def test_the_content_distance_of_shapes_by_hand():
    # The shape's color goes 3 up in red and 4 down in blue; half of the 16 pixels 30 up would be a mean of 15.
    video = on_gray(square(0, 0, (200, 40, 120)), square(2, 2, (203, 40, 116)))
    assert metrics.average_content_distance(shape_color(video)) == pytest.approx([5], abs=1e-3)
    # Of a whole frame of 64 pixels 16 are the shape's.
    assert metrics.average_content_distance(frame_color(video)) == pytest.approx([5 / 4], abs=1e-3)
    halves = square(2, 2, (200, 40, 120))
    halves[3:5, 3, 0] = 230  # of the inside's four pixels
    assert metrics.average_content_distance(shape_color(on_gray(square(0, 0, (200, 40, 120)), halves))) == pytest.approx([15], abs=1e-3)


def test_a_shape_of_thin_lines_is_seen_and_one_that_vanishes_has_drifted():
    line = np.full([8, 8, 3], np.nan)
    line[3] = [200, 40, 40]
    dim = np.full([8, 8, 3], np.nan)
    dim[3] = [40 + 63, 40, 40]  # too near to the background
    found = shape_color(on_gray(line, dim, np.full([8, 8, 3], np.nan)))
    assert found == pytest.approx(np.array([[[200, 40, 40], [40, 40, 40], [40, 40, 40]]]), abs=1e-3)


def test_each_clip_has_a_background_of_its_own():
    dark, light = on_gray(square(0, 0, (140, 40, 40))), on_gray(square(4, 4, (140, 40, 40))) + 60 / 127.5
    assert shape_color(np.concatenate([dark, light]))[:, 0, 0] == pytest.approx([140, 200], abs=1e-3)


def test_real_shapes_keep_their_color():
    """The paper's reference is 0."""
    video = np.stack([moving_shapes.render(index, 16, 64, "shape_motion")[0] for index in range(8)]) / 127.5 - 1
    assert metrics.average_content_distance(shape_color(video)).max() < 0.2
    fading = video.copy()
    fading[:, :, 8:] *= np.linspace(1, 0.8, 16)[:, None, None, None]
    assert metrics.average_content_distance(shape_color(fading)).min() > 2


@pytest.mark.parametrize("features, words", [(np.ones([3, 1, 2]), "at least 2 frames"), (np.full([1, 2, 2], np.nan), "finite")])
def test_average_content_distance_refuses(features, words):
    with pytest.raises(ValueError, match=words):
        metrics.average_content_distance(features)


# Sliced Wasserstein distance

REAL = RANDOM.uniform(size=[12, 32, 32, 3])
SMALL = Recipe(patches=16, directions=32, of_each_patch=False, scale=1000.0)


def blurred(images: np.ndarray) -> np.ndarray:
    return (images + np.roll(images, 1, 1) + np.roll(images, 1, 2) + np.roll(images, (1, 1), (1, 2))) / 4


def test_swd_of_a_set_and_itself_is_0_at_each_level():
    assert metrics.sliced_wasserstein_distance(REAL, REAL, seed=0, recipe=SMALL).tolist() == [0, 0]


@pytest.mark.parametrize("size, levels", [(16, 1), (31, 1), (32, 2), (48, 2), (100, 3), (128, 4)])
def test_swd_has_levels_down_to_16_pixels(size, levels):
    images = RANDOM.uniform(size=[2, size, size, 3])
    assert metrics.sliced_wasserstein_distance(images, images, seed=0, recipe=SMALL).shape == (levels,)


def test_swd_sees_a_blur_in_the_finest_level_most():
    fine, coarse = metrics.sliced_wasserstein_distance(REAL, blurred(REAL), seed=0, recipe=SMALL)
    assert fine > 1.5 * coarse > 0


def test_swd_does_not_mind_brightness_and_contrast():
    """Patches are normalized; sums of weights and sorting are left to compare."""
    found = metrics.sliced_wasserstein_distance(REAL, 3 * REAL + 7, seed=0, recipe=SMALL)
    assert found == pytest.approx([0, 0], abs=0.01)


def test_swd_by_hand():
    """Patches of one pixel's pattern: of each color half are +1 and half -1 in one set, all 0 in the other. A projection on
    w is then +-sum(w), and the distance the mean |sum of a unit vector's 147 entries|: sqrt(2 / pi) for a normal one."""
    flat = np.zeros([64, 16, 16, 3])
    halves = flat.copy()
    halves[::2] = 2.0
    many = Recipe(patches=1, directions=4000, of_each_patch=False, scale=10.0)
    found = metrics.sliced_wasserstein_distance(halves, flat, seed=0, recipe=many)
    assert found == pytest.approx([10 * np.sqrt(2 / np.pi)], rel=0.05)


@pytest.mark.parametrize("size", [32, 64])
def test_the_pyramid_is_tfgans(size):
    images = RANDOM.uniform(size=[3, size, size, 3]).astype(np.float32)
    pyramid = tfgan.load().eval.sliced_wasserstein_distance.__globals__["laplacian_pyramid"]
    expected = pyramid(tf.constant(images), 2)
    for level in range(2):
        np.testing.assert_allclose(laplacian_level(images, level, 2), expected[level], atol=1e-6)


def test_the_pyramid_adds_up_for_odd_sizes():
    image = np.full([1, 37, 41, 3], 0.25)
    assert laplacian_level(image, 0, 2)[:, 2:-2, 2:-2] == pytest.approx(0, abs=1e-6)  # nothing is left of a grey
    assert laplacian_level(image, 1, 2) == pytest.approx(0.25) and laplacian_level(image, 1, 2).shape == (1, 19, 21, 3)


def test_tfgans_recipe_scores_as_tfgan():
    """Places and directions are random there, so the scores agree as far as these matter; the sets are unrelated, as places
    are the same for both here and not there."""
    real, fake = (np.random.default_rng(seed).uniform(size=[48, 32, 32, 3]).astype(np.float32) for seed in (1, 2))
    real, fake = tf.constant(real), tf.constant(blurred(fake))
    tf.random.set_seed(0)
    np.random.seed(0)
    theirs = [[float(pair[1]) for pair in tfgan.load().eval.sliced_wasserstein_distance(real, fake)] for _ in range(3)]
    ours = [metrics.sliced_wasserstein_distance(real.numpy(), fake.numpy(), seed, TFGAN) for seed in range(3)]
    assert np.mean(ours, 0) == pytest.approx(np.mean(theirs, 0), rel=0.05)


def test_recipes_are_the_papers():
    assert PROGRESSIVE_GAN == (128, 512, False, 1000) and TFGAN == (64, 147, True, 1)


def test_flat_patches_are_no_trouble():
    for recipe in (SMALL, SMALL._replace(of_each_patch=True)):
        assert np.isfinite(metrics.sliced_wasserstein_distance(np.ones_like(REAL), REAL, seed=0, recipe=recipe)).all()


@pytest.mark.parametrize(
    "fake, words",
    [
        (REAL[:5], "expected the same"),
        (REAL[..., :1], "expected .N,H,W,3."),
        (REAL[:, :15], "at least 16 pixels"),
        (np.full_like(REAL, np.nan), "finite"),
    ],
)
def test_swd_refuses(fake, words):
    with pytest.raises(ValueError, match=words):
        metrics.sliced_wasserstein_distance(REAL, fake, seed=0, recipe=SMALL)

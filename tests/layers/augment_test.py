"""Augmentation by numbers for the head, and its gradients by differences."""

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan.layers import augment as module
from tfvideogan.layers.augment import augment, moved, recolored
from tfvideogan.ops import noise

COLORS, GEOMETRY = (0, 1, 2), (3, 4)


def seeds(n: int, first: int = 0) -> tf.Tensor:
    return tf.stack([tf.zeros([n], tf.int32), tf.range(first, first + n)], 1)


def clips(n: int, frames: int = 3, size: int = 16, channels: int = 3) -> tf.Tensor:
    return tf.tanh(noise.normal(seeds(n, 100), [frames, size, size, channels]))


def only(monkeypatch, *applied: int) -> None:
    """From here on, of the five changes these are applied always, the others never."""
    draw = noise.uniform

    def uniform(s: tf.Tensor, shape: list[int]) -> tf.Tensor:
        gates = tf.constant([0.0 if i in applied else 1.0 for i in range(5)])
        draws = draw(s, shape)
        return tf.concat([draws[..., :7], tf.broadcast_to(gates, tf.shape(draws[..., 7:]))], -1)

    monkeypatch.setattr(module.noise, "uniform", uniform)


def test_colors_by_hand():
    pixel = tf.reshape(tf.constant([[0.1, 0.2, 0.6], [0.0, 0.0, 0.0]]), [1, 2, 1, 1, 3])  # two frames of a pixel
    shift, none = (tf.fill([1, 1, 1, 1, 1], value) for value in (0.5, 0.0))
    np.testing.assert_allclose(recolored(pixel, shift, none, none)[0, :, 0, 0], [[0.6, 0.7, 1.1], [0.5, 0.5, 0.5]], rtol=1e-6)
    # From the gray of .3, half as far again.
    np.testing.assert_allclose(recolored(pixel, none, shift, none)[0, 0, 0, 0], [0.0, 0.15, 0.75], atol=1e-6)
    # From the mean of BOTH frames, .15, half as far again.
    np.testing.assert_allclose(recolored(pixel, none, none, shift)[0, :, 0, 0, 2], [0.825, -0.075], atol=1e-6)


def test_a_move_brings_zeros_and_takes_the_others_along():
    x = tf.constant([[[1.0], [2.0], [3.0]]] * 3)
    np.testing.assert_array_equal(moved(x, tf.constant([1, 0, -2]), 1)[..., 0], [[0, 1, 2], [1, 2, 3], [3, 0, 0]])


@pytest.mark.parametrize("per_frame", [False, True])
def test_all_frames_of_a_clip_are_changed_alike_unless_each_is_by_itself(per_frame):
    video = tf.repeat(clips(6, frames=1), 4, 1)
    changed = augment(video, seeds(6), 1.0, 1.0, per_frame).numpy()
    same = [np.array_equal(clip[0], frame) for clip in changed for frame in clip[1:]]
    assert not any(same) if per_frame else all(same)
    assert len({clip[0].tobytes() for clip in changed}) == 6  # and each clip by itself


def test_what_a_clip_draws_depends_on_no_other_clip_and_frames_are_clips_of_one():
    video = clips(4)
    together = augment(video, seeds(4), 1.0, 0.5, False)
    np.testing.assert_allclose(augment(video[2:], seeds(4)[2:], 1.0, 0.5, False), together[2:], atol=1e-6)
    frames = video[:, 0]
    np.testing.assert_array_equal(augment(frames, seeds(4), 1.0, 1.0, False), augment(video[:, :1], seeds(4), 1.0, 1.0, False)[:, 0])


def test_flows_are_moved_and_cut_as_their_clip_and_keep_their_values(monkeypatch):
    only(monkeypatch, *GEOMETRY)
    video = clips(8)
    changed = augment(video, seeds(8), 1.0, 1.0, False)
    np.testing.assert_array_equal(augment(video[..., :2], seeds(8), 1.0, 1.0, False), changed[..., :2])
    only(monkeypatch, *COLORS)
    np.testing.assert_array_equal(augment(video[..., :2], seeds(8), 1.0, 1.0, False), video[..., :2])


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_ranges_are_the_papers_times_the_strength(strength, monkeypatch):
    n, size = 600, 16
    white = tf.ones([n, 1, size, size, 3])
    only(monkeypatch, 0)
    brightness = augment(white, seeds(n), strength, 1.0, False)[:, 0, 0, 0, 0].numpy() - 1
    assert abs(brightness).max() == pytest.approx(0.5 * strength, rel=0.02) and abs(brightness.mean()) < 0.03
    only(monkeypatch, 3)
    rows = augment(white, seeds(n), strength, 1.0, False)[:, 0, :, size // 2, 0].numpy()
    moves = np.where(rows[:, 0] == 0, (rows == 0).sum(1), -(rows == 0).sum(1))
    assert set(moves) == set(range(-int(2 * strength), int(2 * strength) + 1))  # an eighth of 16
    only(monkeypatch, 4)
    gone = (augment(white, seeds(n), strength, 1.0, False)[:, 0, :, :, 0].numpy() == 0).sum((1, 2))
    side = int(size * strength / 2)
    assert gone.max() == side**2 and gone.min() == (side // 2) ** 2  # where its middle lies in a corner
    rest = np.mean(gone) / size**2  # each side's mean over its 17 places, squared
    lengths = [min(first + side, size) - max(first, 0) for first in range(-side // 2, size + 1 - side // 2)]
    assert rest == pytest.approx((np.mean(lengths) / size) ** 2, rel=0.05)


def test_a_probability_of_0_changes_nothing_and_others_are_met(monkeypatch):
    video = clips(400, frames=1, size=8)
    np.testing.assert_array_equal(augment(video, seeds(400), 1.0, tf.constant(0.0), False), video)
    share = lambda p: np.mean(np.any(augment(video, seeds(400), 1.0, p, False) != video, axis=(1, 2, 3, 4)))  # noqa: E731
    assert share(tf.constant(0.25)) == pytest.approx(1 - 0.75**5, abs=0.06)  # but for moves by 0 and cuts past the edge
    assert share(1.0) == 1.0


def test_gradients_are_those_of_differences_and_there_are_second_ones():
    video, weights = tf.Variable(clips(2, frames=2, size=8)), clips(4, frames=2, size=8)[2:]
    loss = lambda x: tf.reduce_sum(weights * tf.square(augment(x, seeds(2, 5), 1.0, 1.0, False)))  # noqa: E731
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            value = loss(video)
        gradient = inner.gradient(value, video)
        square = tf.reduce_sum(tf.square(gradient))
    second = outer.gradient(square, video)
    direction = clips(6, frames=2, size=8)[4:]

    def slope(function) -> float:
        step = 1e-2
        return float(function(video + step * direction) - function(video - step * direction)) / (2 * step)

    assert float(tf.reduce_sum(gradient * direction)) == pytest.approx(slope(loss), rel=1e-3)

    def length(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(x)
        return tf.reduce_sum(tf.square(tape.gradient(value, x)))

    assert float(tf.reduce_sum(second * direction)) == pytest.approx(slope(length), rel=1e-3)

"""The flow of prepared sets: as pictures, along clips, and in step with the frames."""

import numpy as np
import pytest
import tensorflow as tf

from tests.data.sources.moving_shapes_test import shrunk
from tfvideogan.config import Clips
from tfvideogan.data import clips, flows
from tfvideogan.data.sources.moving_shapes import flow
from tfvideogan.layers.warp import warp


def test_pictures_keep_zero_and_the_limit_and_clip_beyond():
    moves = np.array([[0, 0], [8, -8], [0.1, -0.1], [3, 5], [100, -9]], np.float32)
    pictures = flows.to_pictures(moves, 8.0)
    assert pictures.dtype == np.uint8 and pictures.tolist()[:2] == [[128, 128, 128], [255, 1, 128]]
    back = flows.from_pictures(tf.constant(pictures), tf.constant(8.0)).numpy()
    np.testing.assert_array_equal(back[:2], moves[:2])
    np.testing.assert_allclose(back[2:4], moves[2:4], atol=8 / 254 + 1e-6)
    np.testing.assert_array_equal(back[4], [8, -8])


@pytest.mark.parametrize("stride", [2, 4])
def test_flows_are_followed_over_the_frames_between(stride):
    whole = flow(17, 9, 32, "plain")
    indices = tf.range(0, 9, stride)
    found = flows.along(indices, lambda numbers: tf.gather(whole, numbers)).numpy()
    expected = flow(17, 8 // stride + 1, 32, "plain")
    inside = shrunk(np.any(expected != 0, -1), 1)
    assert inside.sum() > 20 and abs(found[1:] - expected[1:])[inside[1:]].max() < 1e-5
    np.testing.assert_allclose(found[0], stride * whole[0], atol=1e-6)  # where nothing is before it, on at the same speed


def test_steps_may_differ_and_a_frame_shown_again_has_not_moved():
    whole = np.broadcast_to(np.arange(1, 8, dtype=np.float32)[:, None, None, None], [7, 6, 6, 2])  # frame t moved by t + 1
    for indices, expected in (
        ([2, 3, 3, 6], [3, 4, 0, 5 + 6 + 7]),
        ([3, 5], [4 + 3, 6 + 5]),  # the first goes as far back as the second
        ([1, 4], [2 * 3, 5 + 4 + 3]),  # and on at the same speed
        ([5, 5], [0, 0]),
    ):
        found = flows.along(tf.constant(indices), lambda numbers: tf.gather(whole, numbers)).numpy()
        np.testing.assert_array_equal(found[:, 3, 3, 0], expected)
    np.testing.assert_array_equal(flows.along(tf.constant([4]), lambda numbers: tf.gather(whole, numbers)), whole[4:5])


@pytest.mark.parametrize("changes", [{}, {"random_crop": True}, {"flip": True}, {"random_crop": True, "flip": True}])
def test_a_flow_is_cropped_and_mirrored_with_its_frames(changes):
    config = Clips(frames=1, size=8, width=6, short_side=10, **changes)
    y, x = np.meshgrid(np.arange(10), np.arange(13), indexing="ij")
    frames = np.stack([x, y, 0 * x], -1)[None].astype(np.uint8)
    moves = frames[..., :2].astype(np.float32) + 1
    for number in range(12):
        seed = tf.constant([0, number])
        shown = clips.shape(config, tf.constant(frames), seed, training=True).numpy().astype(np.float32)
        moved = clips.shape_flow(config, tf.constant(moves), seed, training=True).numpy()
        mirrored = shown[0, 0, 0, 0] > shown[0, 0, 1, 0]
        np.testing.assert_array_equal(moved, (shown[..., :2] + 1) * ([-1, 1] if mirrored else [1, 1]))


def test_a_flow_grows_and_shrinks_with_the_frame():
    wide = tf.constant(flow(16, 3, 64, "plain")[:, :, 8:56])  # 64x48, to 32x24
    small = clips.shape_flow(Clips(frames=3, size=32, width=24), wide, tf.constant([0, 0]), training=False)
    expected = flow(16, 3, 32, "plain")[:, :, 4:28]
    inside = shrunk(np.any(expected != 0, -1), 2)
    assert inside.sum() > 20
    np.testing.assert_allclose(small.numpy()[inside], expected[inside], atol=1e-4)
    # Along each axis by its own scale: 10x15 covers 4x5 as 4x6, and no motion is none.
    moves = tf.ones([1, 10, 15, 2]) * [3.0, 5.0]
    np.testing.assert_allclose(clips.fit_flow(moves, 4, 5)[0, 0, 0], [3 * 6 / 15, 5 * 4 / 10], atol=1e-6)
    np.testing.assert_allclose(clips.fit_flow(tf.ones([1, 7, 20, 2]), 4, 4)[0, 0, 0], [11 / 20, 4 / 7], atol=1e-6)


def test_the_warp_takes_frames_of_a_size_that_is_not_known():
    draw = np.random.default_rng(0)
    frames, moves = draw.normal(size=[2, 5, 7, 3]).astype(np.float32), draw.normal(size=[2, 5, 7, 2]).astype(np.float32)
    unknown = tf.function(warp, input_signature=[tf.TensorSpec([None] * 3 + [3]), tf.TensorSpec([None] * 3 + [2])])
    np.testing.assert_array_equal(unknown(frames, moves), warp(tf.constant(frames), tf.constant(moves)))

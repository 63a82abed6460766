import hashlib

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan import data
from tfvideogan.config import Config, UserError
from tfvideogan.data.sources import moving_shapes
from tfvideogan.data.sources.moving_shapes import LABELS, flow, pixel_labels, render
from tfvideogan.layers.warp import warp


def track(video: np.ndarray, background: np.ndarray) -> np.ndarray:
    """[T,2]: x and y, in units of the frame, of the centroid of what stands out from the background."""
    weight = abs(video.astype(float) - background).sum(-1)
    grid = (np.arange(video.shape[1]) + 0.5) / video.shape[1]
    return np.stack([(weight.sum(1) * grid).sum(1), (weight.sum(2) * grid).sum(1)], 1) / weight.sum((1, 2))[:, None]


@pytest.mark.parametrize(
    "variant, sha256",
    [
        ("plain", "fc642ef2d3c2c61ee407f5d15b8a813370f9d5b40dc55123bc68b59db63bdedb"),
        ("textured", "cc4f5cb197cfb22a25840d56120c4ba4a0a0310c8f6621ccbd65d1b1544caf07"),
    ],
)
def test_a_clip_is_the_same_for_ever(variant, sha256):
    # Exact bytes: sines and roots in float64 would have to differ by 1e-13 across a rounding border to change one.
    video, label = render(123, 8, 32, variant)
    assert LABELS[label] == "ring_down"
    assert hashlib.sha256(video.tobytes()).hexdigest() == sha256


@pytest.mark.parametrize("label", range(12), ids=LABELS.__getitem__)
@pytest.mark.parametrize("frames, size", [(8, 32), (16, 64)])
def test_every_class_moves_in_its_direction(label, frames, size):
    direction = np.array({"right": (1, 0), "left": (-1, 0), "up": (0, -1), "down": (0, 1)}[LABELS[label].split("_")[1]])
    for index in range(label, label + 12 * 20, 12):
        video, drawn = render(index, frames, size, "plain")
        assert drawn == label
        corners = video[0, [0, 0, -1, -1], [0, -1, 0, -1]]
        path = track(video, np.median(corners, 0))  # a shape covers at most one corner
        step = np.diff(path @ direction)
        assert (step > 0).all() and 0.45 < step.sum() < 0.75
        assert abs((path[-1] - path[0]) @ direction[::-1]) < 0.27


def test_shapes_stay_inside_and_stand_out():
    for index in range(0, 600, 7):
        video, _ = render(index, 5, 64, "plain")
        background = np.median(video[0, [0, 0, -1, -1], [0, -1, 0, -1]], 0)
        away = abs(video.astype(float) - background).sum(-1)
        areas = away.sum((1, 2)) / away.max() / 64**2
        assert away.max() > 150 and 0.02 < areas.min() and areas.max() < 0.16
        assert areas.max() / areas.min() < 1.03  # nothing is cut off at the border


def test_sizes_and_lengths_show_the_same_scene():
    large, _ = render(29, 16, 128, "textured")
    small, _ = render(29, 16, 32, "textured")
    assert abs(large.reshape(16, 32, 4, 32, 4, 3).mean((2, 4)) - small).mean() < 1.5
    short, _ = render(29, 4, 32, "textured")
    np.testing.assert_array_equal(short[[0, -1]], small[[0, -1]])
    assert render(29, 1, 16, "plain")[0].shape == (1, 16, 16, 3)


def test_mixed_is_half_plain_half_textured_in_every_class():
    for index in range(24):
        video, _ = render(index, 2, 32, "mixed")
        np.testing.assert_array_equal(video, render(index, 2, 32, "textured" if index >= 12 else "plain")[0])
    assert (render(5, 2, 32, "plain")[0] != render(5, 2, 32, "textured")[0]).any()


def test_uniforms_are_uniform_and_independent():
    draws = np.stack([moving_shapes.uniforms(index, 8) for index in range(4000)])
    assert 0 <= draws.min() and draws.max() < 1
    assert abs(draws.mean(0) - 0.5).max() < 0.02 and abs(draws.var(0) - 1 / 12).max() < 0.004
    both = np.concatenate([draws[1:], draws[:-1]], 1)  # also of neighboring indices
    assert abs(np.corrcoef(both.T) - np.eye(16)).max() < 0.07


def test_load_renders_the_clips_of_its_split():
    config = Config(frames=3, size=16)
    assert [data.load(config, split).size for split in data.SPLITS] == [48_000, 2_400, 50_400]
    batch = next(data.load(config, "test").once(2).as_numpy_iterator())
    for row, index in enumerate((48_000, 48_001)):
        video, label = render(index, 3, 16, "mixed")
        np.testing.assert_allclose(batch["video"][row], video / 127.5 - 1, atol=1e-6)
        assert batch["label"][row] == label
    assert data.load(config, "train").labels == LABELS


def test_an_unknown_variant_is_refused():
    with pytest.raises(UserError, match="--dataset=moving_shapes/shiny: expected moving_shapes/ and one of plain, textured, mixed"):
        data.load(Config(dataset="moving_shapes/shiny"), "train")


def test_shape_motion_is_plain_circles_and_squares_that_go_right_or_down():
    config = Config(dataset="moving_shapes/shape_motion", frames=4, size=32)
    assert [data.load(config, split).size for split in data.SPLITS] == [4000, 400, 4400]
    dataset = data.load(config, "test")
    assert dataset.labels == ("circle_right", "circle_down", "square_right", "square_down")
    batch = next(dataset.once(8).as_numpy_iterator())
    for row, index in enumerate(range(4000, 4008)):
        name = dataset.labels[index % 4]
        video, label = render(index, 4, 32, "shape_motion")
        np.testing.assert_allclose(batch["video"][row], video / 127.5 - 1, atol=1e-6)
        assert batch["label"][row] == label == index % 4
        path = track(video, np.median(video[0, [0, 0, -1, -1], [0, -1, 0, -1]], 0))
        along, across = (path[-1] - path[0])[:: 1 if name.endswith("right") else -1]
        assert 0.45 < along < 0.75 and abs(across) < 0.27
    circle, ring = (render(12, 4, 32, variant)[0] for variant in ("shape_motion", "plain"))  # the same scene, but for the hole
    different = (circle != ring).any((0, 3)).sum()
    assert 4 <= different < np.pi * (0.22 * 32) ** 2 * 4


# The flow


def shrunk(mask: np.ndarray, by: int) -> np.ndarray:
    """[T,H,W] where all pixels at most `by` rows and columns away are in the mask, and in the frame."""
    padded = np.pad(mask, [(0, 0), (by, by), (by, by)])
    size = 2 * by + 1
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2)).all((3, 4))


@pytest.mark.parametrize("variant", ["plain", "textured", "shape_motion"])
@pytest.mark.parametrize("index", range(12))
def test_a_frame_warped_by_the_flow_is_the_next(variant, index):
    frames, size = 9, 64
    video = render(index, frames, size, variant)[0].astype(np.float32)
    moves = flow(index, frames, size, variant)
    assert moves.shape == (frames, size, size, 2) and moves.dtype == np.float32
    errors = abs(warp(video[:-1], moves[1:]) - video[1:]).numpy().max(-1)
    shape = np.any(moves != 0, -1)
    # Inside the shape, and where there was none a frame ago: what comes out of hiding was not to be seen.
    still = shrunk(~shape[1:] & ~shape[:-1], 2)  # 2: the tip of a triangle covers parts of pixels only
    assert errors[still].max() == 0
    inside = shrunk(shape[1:], 2)
    assert 0.1 < inside.sum() / shape[1:].sum() and errors[inside].max() <= 1  # a gray level: the pixels are rounded
    # The shape's edges too, blurred by the interpolation: far nearer than a frame that did not move.
    near = ~shrunk(~shape[1:], 1) & shrunk(~(shape[:-1] & ~shape[1:]), 2)
    unmoved = abs(video[:-1] - video[1:]).max(-1)
    assert errors[near].mean() < 0.35 * unmoved[near].mean()


@pytest.mark.parametrize("index", range(12))
def test_the_flow_is_that_of_the_centroid(index):
    frames, size = 6, 64
    video, moves = render(index, frames, size, "plain")[0], flow(index, frames, size, "plain")
    path = track(video, np.median(video[0, [0, 0, -1, -1], [0, -1, 0, -1]], 0)) * size
    shape = np.any(moves != 0, -1)
    means = moves.sum((1, 2)) / shape.sum((1, 2))[:, None]
    np.testing.assert_allclose(means[1:], path[:-1] - path[1:], atol=0.1)  # from a frame to the one before
    second, third = np.diff(means, axis=0)[:2]
    np.testing.assert_allclose(second, third, atol=0.02)  # a quadratic curve, and the first step is on it
    away = abs(video.astype(float) - np.median(video[0, [0, 0, -1, -1], [0, -1, 0, -1]], 0)).sum(-1)
    cover = away / away.max()  # of each pixel by the shape
    np.testing.assert_array_equal(shape[abs(cover - 0.5) > 0.01], (cover > 0.5)[abs(cover - 0.5) > 0.01])


def test_the_flow_scales_with_the_frame_and_of_one_frame_is_zero():
    large, small = flow(29, 4, 128, "mixed"), flow(29, 4, 32, "mixed")
    np.testing.assert_allclose(large.max((1, 2)) / 4, small.max((1, 2)), atol=1e-5)
    np.testing.assert_allclose(large.min((1, 2)) / 4, small.min((1, 2)), atol=1e-5)
    assert not np.any(flow(29, 1, 32, "mixed"))


def test_clips_come_with_their_flow_for_those_who_read_it():
    batch = next(data.load(Config(frames=3, size=16), "test", ["flow"]).once(2).as_numpy_iterator())
    for row in range(2):
        np.testing.assert_array_equal(batch["flow"][row], flow(48_000 + row, 3, 16, "mixed"))
    assert "flow" not in next(data.load(Config(frames=3, size=16), "test").once(2).as_numpy_iterator())


# The labels


@pytest.mark.parametrize("index", [2, 4, 11])
def test_labels_say_what_each_pixel_is_and_a_shape_looks_the_same_in_every_clip(index):
    frames, size = 5, 32
    config = Config(dataset="moving_shapes/labels", frames=frames, size=size)
    dataset = data.load(config, "train", ("source", "instances", "flow"))
    example = dataset._example(tf.constant(index, tf.int64), tf.constant(0, tf.int64), training=False)
    video, source, instances, moves = (example[name].numpy() for name in ("video", "source", "instances", "flow"))
    assert source.dtype == instances.dtype == np.int32 and source.shape == instances.shape == (frames, size, size)
    number = 1 + index % 12 // 4
    assert set(np.unique(source)) == {0, number}
    np.testing.assert_array_equal(instances, source > 0)
    np.testing.assert_array_equal(source > 0, np.any(moves != 0, -1))
    other = render(index + 12, frames, size, "labels")[0]
    away = shrunk(source == 0, 2) & shrunk(pixel_labels(index + 12, frames, size) == 0, 2)
    assert away.mean() > 0.4
    np.testing.assert_array_equal(video[away], other[away])  # one background for all
    inside = shrunk(source > 0, 1)
    strongest = {1: 0, 2: 1, 3: 2}[number]
    assert np.all(video[inside].argmax(-1) == strongest)
    errors = abs(warp(video[:-1].astype(np.float32), moves[1:]) - video[1:]).numpy().max(-1)
    assert np.median(errors[inside[1:]]) <= 6  # stripes go along: interpolated

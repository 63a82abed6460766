import hashlib

import numpy as np
import pytest

from tfvideogan import data
from tfvideogan.config import Config, UserError
from tfvideogan.data.sources import moving_shapes
from tfvideogan.data.sources.moving_shapes import LABELS, render


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
    both = np.concatenate([draws[1:], draws[:-1]], 1)  # also of neighbouring indices
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
    with pytest.raises(UserError, match="--dataset=moving_shapes/shiny: want moving_shapes/ and one of plain, textured, mixed"):
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

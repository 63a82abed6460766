import sys

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan.config import UserError
from tfvideogan.data.optical_flow import METHODS, estimate
from tfvideogan.layers.warp import warp


def translated(dx: float, dy: float, frames: int = 4, height: int = 48, width: int = 64) -> np.ndarray:
    """uint8 [T,H,W,3]: a texture of waves that goes by (dx, dy) pixels a frame."""
    draw = np.random.default_rng(0)
    t, y, x = np.meshgrid(np.arange(frames), np.arange(height), np.arange(width), indexing="ij")
    x, y = x - dx * t, y - dy * t
    waves = [
        np.sin(fx * x + fy * y + phase) for fx, fy, phase in zip(*draw.uniform(-0.6, 0.6, [2, 12]), draw.uniform(0, 6, 12), strict=True)
    ]
    gray = 127 + 20 * np.sum(waves, 0)
    return np.repeat(np.clip(gray, 0, 255).astype(np.uint8)[..., None], 3, -1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("motion", [(2.0, 0.0), (-1.3, 0.7), (0.0, -2.5)])
def test_a_translated_textures_flow_is_found_to_half_a_pixel(method, motion):
    pytest.importorskip("cv2")
    video = translated(*motion)
    flow = estimate(video, method)
    assert flow.shape == (4, 48, 64, 2) and flow.dtype == np.float32
    inside = flow[:, 8:-8, 8:-8]
    assert np.abs(inside + np.array(motion)).max() < 0.5  # from a frame to the one before
    np.testing.assert_array_equal(flow[0], flow[1])
    # The convention of the warp: of the frame before it makes the frame.
    frames = video.astype(np.float32)
    errors, unmoved = (np.abs(one - frames[1:])[:, 8:-8, 8:-8].mean() for one in (warp(frames[:-1], flow[1:]), frames[:-1]))
    assert errors < 0.2 * unmoved


@pytest.mark.parametrize("method", METHODS)
def test_estimates_are_the_same_whatever_the_threads_and_zero_of_one_frame(method):
    cv2 = pytest.importorskip("cv2")
    video = translated(1.5, 0.5, height=128, width=128)
    results = []
    for threads in (1, 4):
        cv2.setNumThreads(threads)
        results.append(estimate(video, method))
    np.testing.assert_array_equal(*results)
    np.testing.assert_array_equal(estimate(video[:1], method), np.zeros([1, 128, 128, 2]))


class Constant(tf.Module):
    """Finds everywhere the difference of the two frames' means, and 1."""

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, name) for name in ("first", "second")])
    def serve(self, first: tf.Tensor, second: tf.Tensor) -> dict[str, tf.Tensor]:
        dx = tf.reduce_mean(first, [1, 2, 3], keepdims=True) - tf.reduce_mean(second, [1, 2, 3], keepdims=True)
        dx = tf.broadcast_to(dx, tf.shape(first[..., :1]))
        return {"flow": tf.concat([dx, tf.ones_like(dx)], -1)}


def test_a_saved_model_estimates(tmp_path):
    module = Constant()
    tf.saved_model.save(module, str(tmp_path / "module"), signatures=module.serve)
    video = np.stack([np.full([6, 8, 3], value, np.uint8) for value in (0, 51, 255)])
    flow = estimate(video, str(tmp_path / "module"))
    assert flow.shape == (3, 6, 8, 2) and flow.dtype == np.float32
    np.testing.assert_allclose(flow[:, 0, 0, 0], [0.2, 0.2, 0.8], atol=1e-6)  # the later frame less the one before; the first repeats
    assert np.all(flow[..., 1] == 1)
    other = tf.Module()
    other.serve = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([], tf.float32, "x")])
    tf.saved_model.save(other, str(tmp_path / "other"), signatures=other.serve)
    with pytest.raises(
        UserError, match=r"--flow=.*other: got a SavedModel from \['x'\] to \['y'\], expected dis, farneback, or a SavedModel"
    ):
        estimate(video, str(tmp_path / "other"))
    (tmp_path / "other" / "saved_model.pb").write_bytes(b"cut")
    with pytest.raises(UserError, match="other: got no such estimator, expected dis, farneback, or a SavedModel"):
        estimate(video, str(tmp_path / "other" / ""))


@pytest.mark.parametrize(
    "size, made, told",
    [
        ([6, 8], lambda first: first[:, ::2, ::2, :2], r"got flow of shape \[1, 3, 4, 2\] of frames of 8x6, expected \[1,h,w,2\]"),
        ([6, 8], lambda first: first, r"got flow of shape \[1, 6, 8, 3\]"),
        ([6, 8], lambda first: first[..., :2] / 0.0, "got flow that is not finite"),
        (
            [None, None],
            lambda first: tf.reshape(first, [1, 64, 64, 3])[..., :2],
            "cannot take frames of 8x6: .*; expected dis, farneback, or a SavedModel",
        ),
    ],
)
def test_a_saved_model_of_other_shapes_is_told(size, made, told, tmp_path):
    module = tf.Module()
    signature = [tf.TensorSpec([None, *size, 3], tf.float32, name) for name in ("first", "second")]
    module.serve = tf.function(lambda first, second: {"flow": made(first)}, input_signature=signature, autograph=False)
    tf.saved_model.save(module, str(tmp_path / "module"), signatures=module.serve)
    with pytest.raises(ValueError, match=f"^--flow=.*module: {told}"):
        estimate(np.zeros([2, 6, 8, 3], np.uint8), str(tmp_path / "module"))


def test_an_unknown_method_and_a_missing_opencv_get_one_line(monkeypatch):
    video = translated(0, 0)
    with pytest.raises(UserError, match="--flow=tvl1: got no such estimator, expected dis, farneback, or a SavedModel"):
        estimate(video, "tvl1")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"--flow=dis: OpenCV is not installed; pip install tfvideogan\[flow\]$"):
        estimate(video, "dis")

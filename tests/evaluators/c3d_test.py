"""C3D against its table, its two ways to look at clips, and its weights in the layout they are published in."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import refusal
from tfvideogan.config import UserError
from tfvideogan.evaluators import c3d, published
from tfvideogan.ops.video import from_uint8

KERNELS = {  # layer: (outputs, inputs)
    **{"conv1a": (64, 3), "conv2a": (128, 64), "conv3a": (256, 128), "conv3b": (256, 256)},
    **{"conv4a": (512, 256), "conv4b": (512, 512), "conv5a": (512, 512), "conv5b": (512, 512)},
    **{"fc6": (4096, 8192), "fc7": (4096, 4096), "fc8": (101, 4096)},
}
MEAN = np.random.default_rng(0).uniform(80, 120, [3, 16, 128, 171]).astype(np.float32)  # BGR
LAST_MEAN = MEAN.transpose(1, 2, 3, 0)


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    """Random weights in Chainer's layout: kernels [out,in,3,3,3], matrices [out,in]."""
    draw, weights = np.random.default_rng(1), {}
    for name, (outputs, inputs) in KERNELS.items():
        shape = (outputs, inputs, 3, 3, 3) if name.startswith("conv") else (outputs, inputs)
        weights[f"{name}/W"] = draw.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[1:])))
        weights[f"{name}/b"] = draw.standard_normal(outputs, np.float32)
    return weights


@pytest.fixture(scope="module")
def file(tmp_path_factory, weights) -> Path:
    folder = tmp_path_factory.mktemp("c3d")
    np.savez(folder / "conv3d_deepnetA_ucf.npz", **weights)
    np.savez(folder / "mean2.npz", mean=MEAN)
    return folder / "conv3d_deepnetA_ucf.npz"


@pytest.fixture(scope="module")
def evaluator(file) -> published.Published:
    return c3d.load(f"c3d:{file}", "")


def looked_at(look, video: np.ndarray) -> np.ndarray:
    return look(tf.constant(video, tf.float32), LAST_MEAN).numpy()


def test_it_loads_whole_and_computes_what_the_table_says(evaluator, weights, file):
    assert sum(int(np.prod(variable.shape)) for variable in evaluator.network.variables.values()) == 78_409_573
    assert (evaluator.name, evaluator.labels) == ("c3d_tganv2", ())
    content = file.read_bytes() + file.with_name("mean2.npz").read_bytes()
    assert evaluator.sha256 == hashlib.sha256(content).hexdigest()
    video = np.random.default_rng(2).uniform(-1, 1, [1, 16, 112, 112, 3]).astype(np.float32)
    x = 127.5 * video[..., ::-1] + 127.5 - LAST_MEAN[:, 8:120, 8:120]  # 112x112: no resize
    for name in ("conv1a", "conv2a", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b"):
        kernel = weights[f"{name}/W"].transpose(2, 3, 4, 1, 0)
        x = np.maximum(tf.nn.conv3d(np.pad(x, [(0, 0)] + [(1, 1)] * 3 + [(0, 0)]), kernel, [1] * 5, "VALID") + weights[f"{name}/b"], 0)
        if name in ("conv1a", "conv2a", "conv3b", "conv4b", "conv5b"):
            odd = x.shape[2] % 2  # 7 -> 4: windows may hang over the edge
            x = np.pad(x, [(0, 0), (0, 0), (0, odd), (0, odd), (0, 0)], constant_values=-np.inf)
            window = [1, 1 if name == "conv1a" else 2, 2, 2, 1]
            x = tf.nn.max_pool3d(x, window, window, "VALID").numpy()
    assert x.shape == (1, 1, 4, 4, 512)
    x = x.transpose(0, 4, 1, 2, 3).reshape([1, 8192])  # channels first, as Caffe and Chainer flatten
    for name in ("fc6", "fc7"):
        x = np.maximum(x @ weights[f"{name}/W"].T + weights[f"{name}/b"], 0)
    features, logits = evaluator(tf.constant(video))
    np.testing.assert_allclose(features, x, rtol=1e-3, atol=1e-3 * x.max())
    np.testing.assert_allclose(logits, x @ weights["fc8/W"].T + weights["fc8/b"], rtol=1e-3, atol=1e-3 * x.max())


def test_tganv2_aligns_corners_and_subtracts_the_corner_of_the_mean():
    video = np.zeros([1, 16, 2, 2, 3])
    video[..., 1, 0] = 1  # the right column is red: 255
    red = looked_at(c3d.tganv2_look, video)[0, :, :, :, 2]
    wanted = 127.5 + 127.5 * np.arange(112) / 111 - LAST_MEAN[:, 8:120, 8:120, 2]
    np.testing.assert_allclose(red, wanted, atol=1e-3)
    blue = looked_at(c3d.tganv2_look, video)[0, :, :, :, 0]
    np.testing.assert_allclose(blue, 127.5 - LAST_MEAN[:, 8:120, 8:120, 0], atol=1e-4)


def test_tgan_resizes_to_128_and_subtracts_the_center_of_the_mean():
    video = np.full([1, 16, 128, 128, 3], 0.25) * [1, 2, 3]
    video[:, :, 8, 8] = [-1, -0.5, 0]
    seen = looked_at(c3d.tgan_look, video)[0]
    mean = LAST_MEAN[:, 8:120, 29:141]  # 21 + 8
    np.testing.assert_allclose(seen[:, 1:], (np.array([3, 2, 1]) * 31.875 + 127.5 - mean)[:, 1:], atol=1e-3)
    np.testing.assert_allclose(seen[:, 0, 0], [127.5, 63.75, 0] - mean[:, 0, 0], atol=1e-3)


@pytest.mark.parametrize("look", [c3d.tganv2_look, c3d.tgan_look])
def test_real_clips_have_the_values_of_their_files(look):
    """0 and 255, less the mean."""
    pixels = np.zeros([1, 16, 112, 112, 3], np.uint8)
    black, white = (looked_at(look, from_uint8(pixels + value).numpy()) for value in (np.uint8(0), np.uint8(255)))
    np.testing.assert_allclose(white - black, 255, atol=1e-3)
    assert black.max() <= -80 and white.min() >= 255 - 120  # the mean is between 80 and 120


def test_bicubic_is_that_of_opencv():
    # cv2.resize(..., INTER_CUBIC) of OpenCV 4, run on these.
    squares = c3d._cubic(tf.constant(np.arange(5.0, dtype=np.float32) ** 2)[None, None, None, :, None], 3, 8)
    wanted = [-0.09283447, 0.18756104, 1.1765137, 2.6193848, 5.4416504, 8.471436, 13.395081, 16.649841]
    np.testing.assert_allclose(squares[0, 0, 0, :, 0], wanted, rtol=1e-5, atol=1e-5)
    point = np.zeros([1, 1, 4, 4, 1], np.float32)
    point[0, 0, 1, 2] = 1
    doubled = c3d._cubic(c3d._cubic(point, 2, 8), 3, 8)[0, 0, :, :, 0].numpy()
    np.testing.assert_allclose(
        doubled[0], [0, 0.00370789, 0.01112366, -0.02760315, -0.09269714, -0.09269714, -0.02760315, 0.01112366], atol=1e-7
    )
    np.testing.assert_allclose(
        doubled[2], [0, -0.03089905, -0.09269714, 0.23002625, 0.7724762, 0.7724762, 0.23002625, -0.09269714], atol=1e-7
    )


def test_the_two_evaluators_have_names_of_their_own(file, evaluator, monkeypatch):
    monkeypatch.setattr(published, "fill", lambda *_: None)  # the weights are not looked at
    other = c3d.load(f"c3d_tgan:{file}", evaluator.sha256)
    assert (other.name, other.sha256) == ("c3d_tgan", evaluator.sha256)
    assert other.network.look(tf.zeros([1, 16, 64, 64, 3])).shape == (1, 16, 112, 112, 3)


def test_what_cannot_be_used_is_refused_in_one_line(tmp_path, evaluator):
    file = tmp_path / "conv3d_deepnetA_ucf.npz"
    assert "expected c3d:FOLDER/conv3d_deepnetA_ucf.npz" in refusal(c3d.load, f"c3d:{file}")
    np.savez(file, **{"conv1a/W": np.zeros([64, 3, 3, 3, 3], np.float32), "fc9/W": np.zeros([3, 3])})
    assert "mean2.npz beside it" in refusal(c3d.load, f"c3d:{file}")  # there is none
    np.savez(tmp_path / "mean2.npz", mean=MEAN[:, :8])
    assert "mean2.npz: got a mean of shape [3, 8, 128, 171], expected [3, 16, 128, 171]" in refusal(c3d.load, f"c3d:{file}")
    np.savez(tmp_path / "mean2.npz", mean=MEAN)
    assert "21 missing (conv1a/b, conv2a/W, conv2a/b, ...); 1 left over (fc9/W)" in refusal(c3d.load, f"c3d:{file}")
    assert "the sha256 of conv3d_deepnetA_ucf.npz mean2.npz is" in refusal(c3d.load, f"c3d:{file}", "0" * 64)
    with pytest.raises(UserError, match="takes clips of exactly 16 frames, not of --frames=12"):
        evaluator(tf.zeros([1, 12, 32, 32, 3]))

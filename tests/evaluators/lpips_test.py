"""LPIPS against sums written out in NumPy, at the published sizes, with random weights in the published names."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tfvideogan.config import UserError
from tfvideogan.evaluators import lpips

# Of torchvision's networks: number in `features`, kernel, stride, padding, widths. "pool" and "tap" come after.
TABLES = {
    "alex": [
        *((0, 11, 4, 2, 3, 64), "tap", 3, (3, 5, 1, 2, 64, 192), "tap", 3, (6, 3, 1, 1, 192, 384), "tap"),
        *((8, 3, 1, 1, 384, 256), "tap", (10, 3, 1, 1, 256, 256), "tap"),
    ],
    "vgg": [
        *((0, 3, 1, 1, 3, 64), (2, 3, 1, 1, 64, 64), "tap", 2, (5, 3, 1, 1, 64, 128), (7, 3, 1, 1, 128, 128), "tap", 2),
        *((10, 3, 1, 1, 128, 256), (12, 3, 1, 1, 256, 256), (14, 3, 1, 1, 256, 256), "tap", 2),
        *((17, 3, 1, 1, 256, 512), (19, 3, 1, 1, 512, 512), (21, 3, 1, 1, 512, 512), "tap", 2),
        *((24, 3, 1, 1, 512, 512), (26, 3, 1, 1, 512, 512), (28, 3, 1, 1, 512, 512), "tap"),
    ],
}
HEADS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
COUNTS = {"alex": (2_469_696, 1_152), "vgg": (14_714_688, 1_472)}


def drawn(network: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Random weights of the network and of the heads, by their published names and in the published layout."""
    draw, trunk = np.random.default_rng(len(network)), {}
    for entry in TABLES[network]:
        if isinstance(entry, tuple):
            number, kernel, _, _, inputs, outputs = entry
            scale = np.float32(np.sqrt(2 / (inputs * kernel**2)))
            trunk[f"features.{number}.weight"] = draw.standard_normal([outputs, inputs, kernel, kernel], np.float32) * scale
            trunk[f"features.{number}.bias"] = draw.standard_normal(outputs, np.float32) / 4
    heads = {f"lin{i}.model.1.weight": draw.uniform(0, 1, [1, c, 1, 1]).astype(np.float32) for i, c in enumerate(HEADS[network])}
    return trunk, heads


def saved(folder: Path, network: str) -> list[str]:
    trunk, heads = drawn(network)
    classifier = {"classifier.1.weight": np.zeros([4, 3], np.float32)}  # torchvision's files have it
    np.savez(folder / f"{network}_trunk.npz", **trunk, **classifier)
    np.savez(folder / f"{network}_heads.npz", **heads)
    return [str(folder / f"{network}_{part}.npz") for part in ("trunk", "heads")]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, list[str]]:
    folder = tmp_path_factory.mktemp("lpips")
    return {network: saved(folder, network) for network in TABLES}


def convolved(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """[H,W,in] -> [h,w,out], kernel [out,in,k,k]."""
    k = kernel.shape[-1]
    x = np.pad(x, [(padding, padding), (padding, padding), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), (0, 1))[::stride, ::stride]  # [h,w,in,k,k]
    return np.tensordot(windows, kernel, [[2, 3, 4], [1, 2, 3]]) + bias


def pooled(x: np.ndarray, window: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(x, (window, window), (0, 1))[::2, ::2].max((3, 4))


def features(network: str, trunk: dict[str, np.ndarray], picture: np.ndarray) -> list[np.ndarray]:
    x, maps = (picture - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450], []
    for entry in TABLES[network]:
        if entry == "tap":
            maps.append(x / (np.sqrt(np.sum(x**2, -1, keepdims=True)) + 1e-10))
        elif isinstance(entry, int):
            x = pooled(x, entry)
        else:
            number, _, stride, padding, _, _ = entry
            kernel, bias = (trunk[f"features.{number}.{part}"].astype(np.float64) for part in ("weight", "bias"))
            x = np.maximum(convolved(x, kernel, bias, stride, padding), 0)
    return maps


def by_hand(network: str, x: np.ndarray, y: np.ndarray) -> float:
    trunk, heads = drawn(network)
    pairs = zip(features(network, trunk, x), features(network, trunk, y), heads.values(), strict=True)
    return sum(np.mean(np.sum((a - b) ** 2 * head[0, :, 0, 0], -1)) for a, b, head in pairs)


@pytest.mark.parametrize("network, size", [("alex", (43, 35)), ("vgg", (17, 20))])
def test_it_computes_what_the_reference_does(network, size, files):
    measure = lpips.load(files[network])
    assert measure.network == network
    draw = np.random.default_rng(1)
    x, y = draw.uniform(-1, 1, [2, 1, 2, *size, 3])
    y[:, 1] = x[:, 1] + 0.2 * y[:, 1]
    expected = np.mean([by_hand(network, x[0, t], y[0, t]) for t in range(2)])
    assert expected > 0.05 and measure(x, y) == pytest.approx([expected], rel=1e-4)


def test_its_size_is_the_published_one():
    for network, (trunk, heads) in COUNTS.items():
        assert tuple(sum(value.size for value in part.values()) for part in drawn(network)) == (trunk, heads)


def test_equal_clips_have_no_distance_and_nearer_ones_less(files):
    measure, draw = lpips.load(files["alex"]), np.random.default_rng(2)
    x, noise = draw.uniform(-0.5, 0.5, [1, 17, 31, 31, 3]), draw.normal(size=[1, 17, 31, 31, 3])  # more than BATCH pictures
    distances = [measure(x, x + scale * noise)[0] for scale in (0, 0.05, 0.2)]
    assert distances[0] == 0 < distances[1] < distances[2]
    alone = [measure(x[:, [t]], (x + 0.2 * noise)[:, [t]])[0] for t in range(17)]
    assert distances[2] == pytest.approx(np.mean(alone), rel=1e-5)
    assert measure(x + 0.2 * noise, x) == pytest.approx([distances[2]], rel=1e-5)


def test_scores_carry_the_network_and_the_weights(files, tmp_path):
    content = b"".join(Path(file).read_bytes() for file in files["alex"])
    measure = lpips.load(files["alex"])
    assert measure.sha256 == hashlib.sha256(content).hexdigest()
    assert measure.name == f"lpips_alex_{measure.sha256[:8]}"


def test_one_file_of_the_whole_model_will_do(files, tmp_path):
    """As the authors' own class saves itself: slices, heads twice, and the shift and scale."""
    trunk, heads = drawn("alex")
    slices = {0: 1, 3: 2, 6: 3, 8: 4, 10: 5}
    whole = {f"net.slice{slices[int(name.split('.')[1])]}.{name.removeprefix('features.')}": value for name, value in trunk.items()}
    whole |= heads | {name.replace("lin", "lins.", 1): value for name, value in heads.items()}
    np.savez(tmp_path / "whole.npz", **whole, **{"scaling_layer.shift": np.zeros([1, 3, 1, 1])})
    x, y = np.random.default_rng(3).uniform(-1, 1, [2, 1, 1, 31, 31, 3])
    np.testing.assert_array_equal(lpips.load([str(tmp_path / "whole.npz")])(x, y), lpips.load(files["alex"])(x, y))


def test_what_cannot_be_used_is_refused_in_one_line(files, tmp_path):
    trunk, heads = files["alex"]
    (tmp_path / "damaged.pth").write_bytes(b"not a pickle")
    np.savez(tmp_path / "other.npz", **{"features.0.weight": np.zeros([8, 3, 3, 3], np.float32)})
    for given, told in (
        ([str(tmp_path / "none.pth")], "no file .*none.pth; expected --lpips=NETWORK,HEADS"),
        ([trunk], r"got other weights than those of alex: heads.0 and 4 more"),
        ([heads], r"got no first convolution of AlexNet or VGG16 \(shape \[0\]\)"),
        ([trunk, files["vgg"][1]], "got other weights than those of alex: heads.1 and 3 more"),
        ([str(tmp_path / "other.npz"), heads], r"shape \[8, 3, 3, 3\]"),
        ([str(tmp_path / "damaged.pth"), heads], "damaged.pth cannot be read: no state dict of PyTorch"),
    ):
        with pytest.raises(UserError, match=told) as caught:
            lpips.load(given)
        assert "\n" not in str(caught.value) and str(caught.value).startswith("--lpips=")
    measure = lpips.load(files["alex"])
    for x, y, scale in (
        ([1, 1, 30, 31, 3], [1, 1, 30, 31, 3], 2.0),
        ([1, 1, 31, 31, 3], [1, 2, 31, 31, 3], 2.0),
        ([1, 1, 31, 31, 3],) * 2 + (1.0,),
    ):
        with pytest.raises(ValueError, match="expected the same, of at least 31 pixels a side, and range 2"):
            measure(np.zeros(x), np.zeros(y), scale)

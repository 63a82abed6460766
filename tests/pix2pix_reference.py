"""PyTorch's layers and pix2pixHD's networks in NumPy, float64, pixel by pixel where that is the definition: to compare with.

Kernels are the library's, [k,k,inputs,outputs], of transposed convolutions [k,k,outputs,inputs].
"""

import numpy as np


def of(variable) -> np.ndarray:
    return np.asarray(variable, np.float64)


def pad(x: np.ndarray, around: int, mode: str) -> np.ndarray:
    return np.pad(x, [(0, 0), (around, around), (around, around), (0, 0)], mode)


def conv(x: np.ndarray, layer, stride: int, around: int, mode: str = "constant") -> np.ndarray:
    """PyTorch's Conv2d of [N,H,W,C], with zeros ("constant") or the mirrored picture ("reflect") around it."""
    kernel, x = of(layer.kernel), pad(x, around, mode)
    k = kernel.shape[0]
    height, width = ((n - k) // stride + 1 for n in x.shape[1:3])
    y = np.zeros([len(x), height, width, kernel.shape[3]])
    for row in range(height):
        for column in range(width):
            patch = x[:, row * stride : row * stride + k, column * stride : column * stride + k]
            y[:, row, column] = np.einsum("nabc,abco->no", patch, kernel)
    return y + of(layer.bias)


def deconv(x: np.ndarray, layer) -> np.ndarray:
    """PyTorch's ConvTranspose2d, kernel 3, stride 2, padding 1, output padding 1: output(2i + k - 1) += x(i) w(k)."""
    kernel = of(layer.kernel)
    n, height, width, _ = x.shape
    y = np.zeros([n, 2 * height, 2 * width, kernel.shape[2]])
    for i in range(height):
        for j in range(width):
            for a in range(3):
                for b in range(3):
                    row, column = 2 * i + a - 1, 2 * j + b - 1
                    if 0 <= row < 2 * height and 0 <= column < 2 * width:
                        y[:, row, column] += x[:, i, j] @ kernel[a, b].T
    return y + of(layer.bias)


def instance_norm(x: np.ndarray, epsilon: float, gain=1.0, shift=0.0) -> np.ndarray:
    return (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + epsilon) * of(gain) + of(shift)


def relu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.0)


def leaky(x: np.ndarray, slope: float = 0.2) -> np.ndarray:
    return np.where(x > 0, x, slope * x)


def normed(x: np.ndarray) -> np.ndarray:
    return relu(instance_norm(x, 1e-5))


def residual(x: np.ndarray, block) -> np.ndarray:
    y = normed(conv(x, block.convolutions[0], 1, 1, "reflect"))
    return x + instance_norm(conv(y, block.convolutions[1], 1, 1, "reflect"), 1e-5)


def trunk(x: np.ndarray, net) -> np.ndarray:
    x = normed(conv(x, net.first.convolution, 1, 3, "reflect"))
    for block in net.down:
        x = normed(conv(x, block.convolution, 2, 1))
    for block in net.body:
        x = residual(x, block)
    for block in net.up:
        x = normed(deconv(x, block.convolution))
    return x


def enhancer(x: np.ndarray, features: np.ndarray, net) -> np.ndarray:
    x = normed(conv(x, net.first.convolution, 1, 3, "reflect"))
    x = normed(conv(x, net.down.convolution, 2, 1)) + features
    for block in net.body:
        x = residual(x, block)
    return normed(deconv(x, net.up.convolution))


def painter(x: np.ndarray, net) -> np.ndarray:
    return np.tanh(conv(x, net.convolution, 1, 3, "reflect"))


def half(x: np.ndarray) -> np.ndarray:
    """PyTorch's AvgPool2d(3, stride=2, padding=1, count_include_pad=False)."""
    height, width = x.shape[1:3]
    rows = [slice(max(i - 1, 0), i + 2) for i in range(0, height, 2)]
    columns = [slice(max(j - 1, 0), j + 2) for j in range(0, width, 2)]
    return np.stack([np.stack([x[:, i, j].mean((1, 2)) for j in columns], 1) for i in rows], 1)


def patches(x: np.ndarray, net, norm=lambda y, layer: instance_norm(y, 1e-5)) -> list[np.ndarray]:
    """A PatchGAN with 3 layers of stride 2: the maps of all five layers."""
    maps = []
    for number, (layer, stride) in enumerate(zip(net.convolutions, (2, 2, 2, 1), strict=True)):
        x = conv(x, layer, stride, 2)
        x = leaky(x if number == 0 else norm(x, net.norms[number - 1]))
        maps.append(x)
    return [*maps, conv(x, net.score, 1, 2)]


def feature_matching(real: list, fake: list) -> float:
    scales = [sum(abs(r - f).mean() for r, f in zip(a[:-1], b[:-1], strict=True)) * 4 / 4 for a, b in zip(real, fake, strict=True)]
    return sum(scales) / len(scales)


def vgg(x: np.ndarray, weights: list[np.ndarray], wanted: dict[str, bool], last: str) -> dict[str, np.ndarray]:
    """Maps of VGG19 by name, after the ReLU where `wanted` says so, divided by 127.5; x is [N,H,W,3] RGB in [-1,1]."""
    x = (x[..., [2, 1, 0]] * 127.5 + 127.5) - np.array([103.939, 116.779, 123.68])
    maps, number = {}, 0
    for block, count in ((1, 2), (2, 2), (3, 4), (4, 4), (5, 4)):
        for i in range(1, count + 1):
            layer = type("Layer", (), {"kernel": weights[2 * number], "bias": weights[2 * number + 1]})
            x, number = conv(x, layer, 1, 1), number + 1
            name = f"conv{block}_{i}"
            if name in wanted:
                maps[name] = (relu(x) if wanted[name] else x) / 127.5
            if name == last:
                return maps
            x = relu(x)
        n, height, width, c = x.shape
        x = x[:, : height // 2 * 2, : width // 2 * 2].reshape(n, height // 2, 2, width // 2, 2, c).max((2, 4))
    return maps

"""LPIPS: "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", Zhang et al., CVPR 2018, arXiv 1801.03924.

The distance of two pictures: features of a network for ImageNet after five of its ReLUs, each divided by its length over the channels;
squared differences, weighted by learned numbers of the channels, summed over these, averaged over the pixels, summed over the layers.
Version 0.1, whose pictures are first shifted and scaled by ImageNet's colors; 0.0 left that out, and its weights are others.

| network | layers | parameters | learned weights |
|---|---|---|---|
| alex: AlexNet as torchvision has it | each of 5 convolutions | 2,469,696 | 1,152 |
| vgg: VGG16 | the last convolution of each of 5 blocks | 14,714,688 | 1,472 |

Weights come in two files: the network's, torchvision's `alexnet-*.pth` or `vgg16-*.pth`, and the learned numbers, `alex.pth` or
`vgg.pth` of the authors' `lpips/weights/v0.1`. Or in one, the state dict of their whole model. Nothing is downloaded.
"""

import hashlib
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfvideogan.config import UserError
from tfvideogan.evaluators import state_dict

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of pictures in [-1,1]: ImageNet's means and deviations
EPSILON = 1e-10
BATCH = 16  # pictures at a time: of 256x256, each of VGG16's first maps takes 268 MB

# Layers by their number in torchvision's `features`: kernel, stride and padding, widths; and the poolings before some of them.
ALEX = {0: (11, 4, 2, 3, 64), 3: (5, 1, 2, 64, 192), 6: (3, 1, 1, 192, 384), 8: (3, 1, 1, 384, 256), 10: (3, 1, 1, 256, 256)}
VGG_WIDTHS = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256)}
VGG_WIDTHS |= {17: (256, 512), 19: (512, 512), 21: (512, 512), 24: (512, 512), 26: (512, 512), 28: (512, 512)}
VGG = {number: (3, 1, 1, *widths) for number, widths in VGG_WIDTHS.items()}
CONVOLUTIONS = {"alex": ALEX, "vgg": VGG}
POOLED = {"alex": (3, 6), "vgg": (5, 10, 17, 24)}  # max pooling of stride 2 before these
WINDOW = {"alex": 3, "vgg": 2}
TAPS = {"alex": (0, 3, 6, 8, 10), "vgg": (2, 7, 14, 21, 28)}
LEAST = {"alex": 31, "vgg": 16}  # pixels a side: less leaves nothing of the last maps
EXPECTED = "expected --lpips=NETWORK,HEADS (alexnet-*.pth,alex.pth or vgg16-*.pth,vgg.pth; or as .npz), or one file of both"


class Lpips:
    """The distance by one network's weights.

    Args:
        network: "alex" or "vgg".
        sha256: of the weights, what `cat FILES | sha256sum` prints.
        weights: by torchvision's names, `features.0.weight` [out,in,h,w] and `features.0.bias` and so on, and `heads.0` [C] to `heads.4`.

    Attributes:
        name: what scores by it are called: lpips_<network>_<the first 8 digits of sha256>.
        least: pixels a side that a picture must have.
    """

    def __init__(self, network: str, sha256: str, weights: dict[str, np.ndarray]):
        self.network, self.sha256, self.least = network, sha256, LEAST[network]
        self.name = f"lpips_{network}_{sha256[:8]}"
        self._kernels = {
            number: (
                tf.constant(weights[f"features.{number}.weight"].transpose(2, 3, 1, 0), tf.float32),
                tf.constant(weights[f"features.{number}.bias"], tf.float32),
            )
            for number in CONVOLUTIONS[network]
        }
        self._heads = [tf.constant(weights[f"heads.{i}"], tf.float32) for i in range(len(TAPS[network]))]
        picture = tf.TensorSpec([None, None, None, 3])
        self._distance = tf.function(self.distance, input_signature=[picture, picture])

    def __call__(self, x: np.ndarray, y: np.ndarray, data_range: float = 2.0) -> np.ndarray:
        """Of clips [N,T,H,W,3] in [-1,1], whose range is 2: the mean over their frames, [N].

        Raises: ValueError for shapes that differ, another range, or pictures that are too small.
        """
        if x.shape != y.shape or x.ndim != 5 or min(x.shape[2:4]) < self.least or data_range != 2.0:
            told = f"clips of shapes {list(x.shape)} and {list(y.shape)} and range {data_range:g}"
            raise ValueError(f"{told}: expected the same, of at least {self.least} pixels a side, and range 2")
        first, second = (clips.reshape([-1, *clips.shape[2:]]).astype(np.float32) for clips in (x, y))
        places = range(0, len(first), BATCH)
        found = [self._distance(first[start : start + BATCH], second[start : start + BATCH]).numpy() for start in places]
        return np.concatenate(found).reshape(x.shape[:2]).mean(1)

    def distance(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Pictures [N,H,W,3] in [-1,1] -> [N]."""
        layers = zip(self._heads, self.features(x), self.features(y), strict=True)
        return tf.add_n([tf.reduce_mean(tf.einsum("nhwc,c->nhw", tf.square(a - b), head), [1, 2]) for head, a, b in layers])

    def features(self, pictures: tf.Tensor) -> list[tf.Tensor]:
        """Maps [N,h,w,C] whose channels have length 1 at every pixel, or 0."""
        x = (pictures - tf.constant(SHIFT)) / tf.constant(SCALE)
        maps = []
        for number, (_, stride, padding, *_) in CONVOLUTIONS[self.network].items():
            if number in POOLED[self.network]:
                x = tf.nn.max_pool2d(x, WINDOW[self.network], 2, "VALID")
            kernel, bias = self._kernels[number]
            x = tf.nn.relu(tf.nn.conv2d(x, kernel, stride, [[0, 0], [padding, padding], [padding, padding], [0, 0]]) + bias)
            if number in TAPS[self.network]:
                maps.append(x / (tf.norm(x, axis=-1, keepdims=True) + EPSILON))
        return maps


def load(files: Sequence[str]) -> Lpips:
    """The distance by the weights of --lpips: the network's file and the heads', or one with both; PyTorch's state dicts, or .npz.

    Raises: UserError, of one line, if they are missing, damaged, incomplete or others.
    """
    flag, digest = f"--lpips={','.join(files)}", hashlib.sha256()
    found: dict[str, np.ndarray] = {}
    for file in files:
        path = Path(file).expanduser()
        if not path.is_file():
            raise UserError(f"{flag}: no file {file}; {EXPECTED}")
        try:
            digest.update(path.read_bytes())
            found |= _npz(path) if path.suffix == ".npz" else state_dict.read(path)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{flag}: {file} cannot be read: {' '.join(str(error).split())}; {EXPECTED}") from error
    weights = {name: value for published, value in found.items() if (name := _name(published))}
    first = weights.get("features.0.weight", np.zeros(0)).shape
    network = {(64, 3, 11, 11): "alex", (64, 3, 3, 3): "vgg"}.get(first)
    if network is None:
        raise UserError(f"{flag}: got no first convolution of AlexNet or VGG16 (shape {list(first)}); {EXPECTED}")
    wanted: dict[str, tuple[int, ...]] = {f"heads.{i}": (CONVOLUTIONS[network][tap][-1],) for i, tap in enumerate(TAPS[network])}
    for number, (kernel, _, _, inputs, outputs) in CONVOLUTIONS[network].items():
        wanted |= {f"features.{number}.weight": (outputs, inputs, kernel, kernel), f"features.{number}.bias": (outputs,)}
    weights = {name: value.reshape(-1) if name.startswith("heads") else value for name, value in weights.items()}
    wrong = [name for name, shape in wanted.items() if name not in weights or weights[name].shape != shape]
    wrong += [name for name in weights if name not in wanted]
    if wrong:
        raise UserError(f"{flag}: got other weights than those of {network}: {wrong[0]} and {len(wrong) - 1} more; {EXPECTED}")
    return Lpips(network, digest.hexdigest(), weights)


def _npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _name(published: str) -> str:
    """Of `features.0.weight` or `net.slice1.0.weight` and of `lin0.model.1.weight`, the name that Lpips takes; empty for what it
    does not use: torchvision's classifier, and the shift and scale, which do not vary."""
    if match := re.fullmatch(r"(?:features|net\.slice\d)\.(\d+\.(?:weight|bias))", published):
        return f"features.{match[1]}"
    if match := re.fullmatch(r"lin(\d)\.model\.\d\.weight", published):
        return f"heads.{match[1]}"
    return ""

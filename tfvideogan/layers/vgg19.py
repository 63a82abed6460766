"""VGG19 (Simonyan and Zisserman 2014): the features behind perceptual losses. Never trained here; part of no model's weights.

`--perceptual` says whose weights they are: none; keras, those that keras.applications downloads; or vgg19:FILE, any saved copy of such
a model, with its classifier or without. All of them read Caffe's pictures: blue, green, red, from 0 to 255, less the mean color of
ImageNet. Features are divided by 127.5, which makes them about those of a network that reads pictures in [-1,1].
"""

import functools
import io
import re
import zipfile
from collections.abc import Collection
from pathlib import Path

import h5py
import keras
import numpy as np
import tensorflow as tf

from tfvideogan.config import UserError

CONVOLUTIONS = 2, 2, 4, 4, 4  # of each of five blocks, all 3x3; 2x2 max pooling after a block
WIDTHS = 64, 128, 256, 512, 512
NAMES = tuple(f"conv{block}_{i}" for block, count in enumerate(CONVOLUTIONS, 1) for i in range(1, count + 1))
MEAN = 103.939, 116.779, 123.68  # of ImageNet: blue, green, red
SCALE = 127.5
FILE = "vgg19:"
# Wang et al. 2018: layers after their ReLU, and the weights of their distances
LAYERS = {"conv1_1": 1 / 32, "conv2_1": 1 / 16, "conv3_1": 1 / 8, "conv4_1": 1 / 4, "conv5_1": 1.0}

_OUTPUTS = [width for width, count in zip(WIDTHS, CONVOLUTIONS, strict=True) for _ in range(count)]
SHAPES = [((3, 3, i, o), (o,)) for i, o in zip([3, *_OUTPUTS], _OUTPUTS, strict=False)]  # of kernels and biases, in the order of NAMES
URL = "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
MD5 = "253f8cb515780f3b799900260a226db6"


class VGG19:
    """The convolutions, with the fixed weights that --perceptual names. They are read when a loss is first computed.

    A plain object, of which Keras sees nothing.

    Attributes:
        name: of the weights; what losses by them are called.
    """

    def __init__(self, perceptual: str):
        self.perceptual = perceptual
        self.name = Path(perceptual.removeprefix(FILE)).name.partition(".")[0]

    def features(self, pictures: tf.Tensor, layers: Collection[str], rectified: bool) -> list[tf.Tensor]:
        """Maps of the layers, in the network's order, divided by SCALE.

        Args:
            pictures: [N,H,W,3] red, green, blue in [-1,1].
            layers: some of NAMES.
            rectified: after their ReLU, or before it.

        Returns: [N,h,w,C] each, float32.
        Raises: UserError where there are no such weights.
        """
        x = (tf.cast(pictures, tf.float32) + 1.0)[..., ::-1] * 127.5 - tf.constant(MEAN)
        weights, maps = self._tensors(1 + max(map(NAMES.index, layers))), []
        for number, (kernel, bias) in enumerate(weights):
            if number and NAMES[number].endswith("_1"):
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
            y = tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias)
            x = tf.nn.relu(y)
            if NAMES[number] in layers:
                maps.append((x if rectified else y) / SCALE)
        return maps

    def _tensors(self, count: int) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Kernel and bias of the first convolutions."""
        if not tf.executing_eagerly() and not tf.inside_function():  # a graph that is made to be measured, not run: nothing is downloaded
            return [tuple(tf.compat.v1.placeholder(tf.float32, shape) for shape in pair) for pair in SHAPES[:count]]
        with tf.init_scope():  # held beside a function's graph, not within it: they are 80 MB
            return [(tf.constant(kernel), tf.constant(bias)) for kernel, bias in read(self.perceptual)[:count]]


def network(perceptual: str) -> VGG19 | None:
    """That of --perceptual; None for none."""
    check(perceptual)
    return None if perceptual == "none" else VGG19(perceptual)


def check(perceptual: str) -> None:
    """Raises UserError if it is not what --perceptual can be."""
    if perceptual not in ("none", "keras") and not perceptual.startswith(FILE):
        raise UserError(f"--perceptual={perceptual}: expected none, keras or {FILE}FILE")


@functools.lru_cache(maxsize=1)
def read(perceptual: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Kernel and bias of each convolution. Raises UserError for what is no VGG19, or cannot be had."""
    if perceptual == "keras":
        try:
            path = keras.utils.get_file(URL.rpartition("/")[2], URL, cache_subdir="models", file_hash=MD5)  # as keras.applications does
        except Exception as error:  # a download fails in many ways
            reason = " ".join(str(error).split())
            raise UserError(f"--perceptual=keras: cannot get the weights ({reason}); expected a network, or {FILE}FILE") from error
    else:
        path = perceptual.removeprefix(FILE)
    if not Path(path).is_file():
        raise UserError(f"--perceptual={perceptual}: no such file")
    try:
        if zipfile.is_zipfile(path):  # .keras
            with zipfile.ZipFile(path) as archive:
                found = _convolutions(io.BytesIO(archive.read("model.weights.h5")))
        else:
            found = _convolutions(path)
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"--perceptual={perceptual}: cannot be read ({' '.join(str(error).split())})") from error
    shapes = [(kernel.shape, bias.shape) for kernel, bias in found]
    if shapes != SHAPES:
        raise UserError(f"--perceptual={perceptual}: got {len(found)} convolutions, expected the {len(NAMES)} of keras.applications' VGG19")
    return found


def _convolutions(file: str | io.BytesIO) -> list[tuple[np.ndarray, np.ndarray]]:
    """All that an HDF5 file of Keras holds, in the order of the numbers in their names, which is that of the layers."""
    found: dict[str, dict[int, np.ndarray]] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found.setdefault(name.rpartition("/")[0], {})[item.ndim] = np.asarray(item, np.float32)

    with h5py.File(file) as opened:
        opened.visititems(visit)
    names = sorted((name for name, of_layer in found.items() if {1, 4} <= of_layer.keys()), key=_numbers)
    return [(found[name][4], found[name][1]) for name in names]


def _numbers(name: str) -> list[int]:
    """Of block4_conv2: 4, 2; of conv2d: 2; of conv2d_7: 2, 7."""
    return [int(number) for number in re.findall(r"\d+", name)]


def perceptual_distance(network: VGG19, pictures: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """pix2pixHD's: mean distances of the features in LAYERS, after ReLU, by their weights; the targets' gradient is not taken.

    Args:
        pictures, targets: [N,H,W,3] in [-1,1].
    """
    of_pictures, of_targets = (network.features(x, LAYERS, rectified=True) for x in (pictures, targets))
    distances = [tf.reduce_mean(tf.abs(a - tf.stop_gradient(b))) for a, b in zip(of_pictures, of_targets, strict=True)]
    return tf.add_n([weight * distance for weight, distance in zip(LAYERS.values(), distances, strict=True)])

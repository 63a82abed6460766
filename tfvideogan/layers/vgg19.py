"""VGG19 (Simonyan and Zisserman 2014): the features behind perceptual losses. Never trained here; part of no model's weights.

`--perceptual` says whose weights they are: none; keras, those that keras.applications downloads; or vgg19:FILE, any saved copy of such
a model, with its classifier or without. All of them read Caffe's pictures: blue, green, red, from 0 to 255, less the mean color of
ImageNet. Features are divided by 127.5, which makes them about those of a network that reads pictures in [-1,1].
"""

import functools
from collections.abc import Collection
from pathlib import Path

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

Weights = tuple[np.ndarray, ...]  # kernel, bias, kernel, bias, ... in the order of NAMES


class VGG19:
    """The convolutions, with fixed weights: kernel [3,3,inputs,outputs] and bias of each, in the order of NAMES.

    A plain object that holds tensors: Keras sees none of it.

    Attributes:
        name: what losses by it are called.
    """

    def __init__(self, name: str, weights: Weights):
        self.name, self.weights = name, [tf.constant(weight) for weight in weights]

    def features(self, pictures: tf.Tensor, layers: Collection[str], rectified: bool) -> list[tf.Tensor]:
        """Maps of the layers, in the network's order, divided by SCALE.

        Args:
            pictures: [N,H,W,3] red, green, blue in [-1,1].
            layers: some of NAMES.
            rectified: after their ReLU, or before it.

        Returns: [N,h,w,C] each, float32.
        """
        x = (tf.cast(pictures, tf.float32) + 1.0)[..., ::-1] * 127.5 - tf.constant(MEAN)
        maps = []
        for number, name in enumerate(NAMES):
            if number and name.endswith("_1"):
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
            kernel, bias = self.weights[2 * number : 2 * number + 2]
            x = tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias)
            rest, x = x, tf.nn.relu(x)
            if name in layers:
                maps.append((x if rectified else rest) / SCALE)
                if len(maps) == len(layers):
                    break
        return maps


def load(perceptual: str) -> VGG19 | None:
    """The network of --perceptual, None for none. Raises UserError for another word, and for a file that holds no VGG19."""
    check(perceptual)
    if perceptual == "none":
        return None
    name = "keras" if perceptual == "keras" else Path(perceptual).name.partition(".")[0]
    return VGG19(name, _weights(perceptual))


def check(perceptual: str) -> None:
    """Raises UserError if it is not what --perceptual can be."""
    if perceptual not in ("none", "keras") and not perceptual.startswith(FILE):
        raise UserError(f"--perceptual={perceptual}: expected none, keras or {FILE}FILE")


@functools.lru_cache(maxsize=1)
def _weights(perceptual: str) -> Weights:
    if perceptual == "keras":
        try:
            return _of(keras.applications.VGG19(weights="imagenet", include_top=False))
        except Exception as error:  # what fails is a download, in one of many ways
            reason = " ".join(str(error).split())
            raise UserError(f"--perceptual=keras: cannot get the weights ({reason}); expected a network, or {FILE}FILE") from error
    path = perceptual.removeprefix(FILE)
    if not Path(path).is_file():
        raise UserError(f"--perceptual={perceptual}: no such file")
    try:
        if path.endswith(".keras"):
            return _of(keras.saving.load_model(path, compile=False))
        return _of_weights(path)
    except UserError:
        raise
    except Exception as error:  # Keras raises what it likes
        raise UserError(f"--perceptual={perceptual}: got no VGG19 of keras.applications ({type(error).__name__})") from error


def _of_weights(path: str) -> Weights:
    """Of a file of weights alone, with the classifier's or without."""
    model = keras.applications.VGG19(weights=None, include_top=False)
    try:
        model.load_weights(path)
    except (ValueError, KeyError):
        model = keras.applications.VGG19(weights=None, include_top=True)
        model.load_weights(path)
    return _of(model)


def _of(model: keras.Model) -> Weights:
    layers = [model.get_layer(name.replace("conv", "block", 1).replace("_", "_conv")) for name in NAMES]  # conv4_1: block4_conv1
    weights = tuple(np.asarray(weight, np.float32) for layer in layers for weight in layer.get_weights())
    inputs = 3
    for number, name in enumerate(NAMES):
        width = WIDTHS[int(name[4]) - 1]
        if weights[2 * number].shape != (3, 3, inputs, width) or weights[2 * number + 1].shape != (width,):
            raise ValueError(name)
        inputs = width
    return weights


def perceptual_distance(network: VGG19, pictures: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """pix2pixHD's: mean distances of the features in LAYERS, after ReLU, by their weights; the targets' gradient is not taken.

    Args:
        pictures, targets: [N,H,W,3] in [-1,1].
    """
    of_pictures, of_targets = (network.features(x, LAYERS, rectified=True) for x in (pictures, targets))
    distances = [tf.reduce_mean(tf.abs(a - tf.stop_gradient(b))) for a, b in zip(of_pictures, of_targets, strict=True)]
    return tf.add_n([weight * distance for weight, distance in zip(LAYERS.values(), distances, strict=True)])

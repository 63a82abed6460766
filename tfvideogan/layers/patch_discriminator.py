"""PatchGAN (Isola et al. 2017) as pix2pixHD has it: a map of scores, at one scale or several, and the features on the way to it."""

import itertools
from collections.abc import Callable

import keras
import tensorflow as tf

from tfvideogan.layers import Mode
from tfvideogan.layers.padded_conv import PaddedConv, kernel, torch_bias
from tfvideogan.ops.resample import average_pool_overlapping

SLOPE = 0.2  # of LeakyReLU
MOST = 8  # times the first width: the widest layer


def convolution(inputs: int, outputs: int, stride: int, dtype: str | None = None) -> PaddedConv:
    """4x4 with 2 zeros around, so that a stride of 1 makes a map one larger: 256 -> 129 -> 65 -> 33 -> 34 -> 35."""
    return PaddedConv(inputs, outputs, 4, stride, 2, False, kernel(), torch_bias(16 * inputs), dtype)


class PatchDiscriminator(keras.layers.Layer):
    """Convolutions with LeakyReLU, normalized but for the first, and one of scores; 70x70 patches with 3 halvings.

    Args:
        inputs: channels of the picture.
        channels: of the first map; doubled by each of the next layers, up to 8 times.
        halvings: layers of stride 2.
        norm: makes the normalization of a width, called with a map and a mode.
    """

    def __init__(self, inputs: int, channels: int, halvings: int, norm: Callable[[int], keras.layers.Layer]):
        super().__init__()
        width = [inputs, *(channels * min(2**i, MOST) for i in range(halvings + 1))]
        strides = [2] * halvings + [1]
        self.convolutions = [convolution(i, o, stride) for (i, o), stride in zip(itertools.pairwise(width), strides, strict=True)]
        self.norms = [norm(o) for o in width[2:]]
        self.score = convolution(width[-1], 1, 1, dtype="float32")
        self.built = True

    def call(self, x: tf.Tensor, mode: Mode) -> list[tf.Tensor]:
        """[N,H,W,inputs] -> the maps of every layer, the last of which are the scores [N,h,w,1], float32."""
        maps = []
        for convolve, norm in zip(self.convolutions, [None, *self.norms], strict=True):
            x = convolve(x)
            x = tf.nn.leaky_relu(x if norm is None else norm(x, mode=mode), SLOPE)
            maps.append(x)
        return [*maps, self.score(x)]


class MultiScaleDiscriminator(keras.layers.Layer):
    """PatchGANs of the same make on the picture, its half, its quarter, ...

    Args:
        scales: how many; the first reads the picture at its full size.
        inputs, channels, halvings, norm: of each, see `PatchDiscriminator`.
    """

    def __init__(self, scales: int, inputs: int, channels: int, halvings: int, norm: Callable[[int], keras.layers.Layer]):
        super().__init__()
        self.scales = [PatchDiscriminator(inputs, channels, halvings, norm) for _ in range(scales)]
        self.built = True

    def call(self, x: tf.Tensor, mode: Mode) -> list[list[tf.Tensor]]:
        """[N,H,W,inputs] -> the maps of every layer, for each scale."""
        maps = []
        for number, scale in enumerate(self.scales):
            x = average_pool_overlapping(x) if number else x
            maps.append(scale(x, mode=mode))
        return maps

"""The generator of pix2pixHD (Wang et al. 2018, arXiv 1711.11585, 3.1): a trunk of residual blocks, and a local enhancer around it.

As its authors' code has them: reflected borders before 7x7 and residual convolutions, zeros before strided ones, a norm after every
convolution but the last, biases that start as PyTorch's. The norm is instance norm without gain and shift unless another is given.
"""

import itertools
from collections.abc import Callable

import keras
import tensorflow as tf

from tfvideogan.layers.conv import Conv
from tfvideogan.layers.instance_norm import InstanceNorm
from tfvideogan.layers.padded_conv import DoublingConv, PaddedConv, kernel, torch_bias
from tfvideogan.ops.resample import average_pool_overlapping

EPSILON = 1e-5  # of instance norm
Norm = Callable[[int], keras.layers.Layer]  # makes the normalization of a width


def outer(inputs: int, outputs: int) -> PaddedConv:
    """7x7, borders reflected."""
    return PaddedConv(inputs, outputs, 7, 1, 3, True, kernel(), torch_bias(49 * inputs))


def halving(inputs: int, outputs: int) -> PaddedConv:
    """3x3 of stride 2."""
    return PaddedConv(inputs, outputs, 3, 2, 1, False, kernel(), torch_bias(9 * inputs))


def doubling(inputs: int, outputs: int) -> DoublingConv:
    return DoublingConv(inputs, outputs, kernel(), torch_bias(9 * outputs))


def plain_norm(channels: int) -> InstanceNorm:
    """Without gain and shift."""
    return InstanceNorm(channels, EPSILON, gain=None)


class Block(keras.layers.Layer):
    """A convolution, a norm, ReLU."""

    def __init__(self, convolution: Conv, norm: Norm = plain_norm):
        super().__init__()
        self.convolution, self.norm = convolution, norm(convolution.channels)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N,H,W,C] -> [N,H',W',C']."""
        return tf.nn.relu(self.norm(self.convolution(x)))


class ResidualBlock(keras.layers.Layer):
    """x + (conv3 - norm - ReLU - conv3 - norm)(x), borders reflected; nothing after the sum."""

    def __init__(self, channels: int, norm: Norm = plain_norm):
        super().__init__()
        self.convolutions = [PaddedConv(channels, channels, 3, 1, 1, True, kernel(), torch_bias(9 * channels)) for _ in range(2)]
        self.norms = [norm(channels) for _ in range(2)]
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N,H,W,C] -> the same shape."""
        y = tf.nn.relu(self.norms[0](self.convolutions[0](x)))
        return x + self.norms[1](self.convolutions[1](y))


class Trunk(keras.layers.Layer):
    """The global generator but for its last convolution.

    Args:
        inputs: channels of the picture.
        channels: of the first map and the last; each halving doubles them.
        halvings: of height and width, which are to be multiples of 2**halvings.
        blocks: residual blocks on the smallest map.
        norm: after every convolution.
    """

    def __init__(self, inputs: int, channels: int, halvings: int, blocks: int, norm: Norm = plain_norm):
        super().__init__()
        width = [channels * 2**i for i in range(halvings + 1)]
        self.first = Block(outer(inputs, channels), norm)
        self.down = [Block(halving(i, o), norm) for i, o in itertools.pairwise(width)]
        self.body = [ResidualBlock(width[-1], norm) for _ in range(blocks)]
        self.up = [Block(doubling(i, o), norm) for i, o in itertools.pairwise(width[::-1])]
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N,H,W,inputs] -> [N,H,W,channels]."""
        layers: list[keras.layers.Layer] = [self.first, *self.down, *self.body, *self.up]
        for layer in layers:
            x = layer(x)
        return x


class Encoder(keras.layers.Layer):
    """The first half of a trunk, of vid2vid's: a picture to features, by halvings and residual blocks.

    Args: as of `Trunk`.
    """

    def __init__(self, inputs: int, channels: int, halvings: int, blocks: int, norm: Norm = plain_norm):
        super().__init__()
        width = [channels * 2**i for i in range(halvings + 1)]
        self.first = Block(outer(inputs, channels), norm)
        self.down = [Block(halving(i, 2 * i), norm) for i in width[:-1]]
        self.body = [ResidualBlock(width[-1], norm) for _ in range(blocks)]
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N,H,W,inputs] -> [N,H/2^halvings,..,channels*2^halvings]."""
        layers: list[keras.layers.Layer] = [self.first, *self.down, *self.body]
        for layer in layers:
            x = layer(x)
        return x


class Decoder(keras.layers.Layer):
    """The second half, but for the last convolution: residual blocks and doublings.

    Args:
        channels: of the last map; the first has 2**doublings times as many.
        doublings, blocks, norm: as of `Trunk`.
    """

    def __init__(self, channels: int, doublings: int, blocks: int, norm: Norm = plain_norm):
        super().__init__()
        width = [channels * 2**i for i in range(doublings, 0, -1)]
        self.body = [ResidualBlock(width[0], norm) for _ in range(blocks)]
        self.up = [Block(doubling(i, i // 2), norm) for i in width]
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N,h,w,channels*2^doublings] -> [N,h*2^doublings,..,channels]."""
        layers: list[keras.layers.Layer] = [*self.body, *self.up]
        for layer in layers:
            x = layer(x)
        return x


class Enhancer(keras.layers.Layer):
    """The local enhancer: reads the picture at twice the trunk's size, and the trunk's features within.

    Args:
        inputs: channels of the picture.
        channels: of its maps at full size, half of the trunk's.
        blocks: residual blocks at the trunk's size.
        norm: after every convolution.
    """

    def __init__(self, inputs: int, channels: int, blocks: int, norm: Norm = plain_norm):
        super().__init__()
        self.first, self.down = Block(outer(inputs, channels), norm), Block(halving(channels, 2 * channels), norm)
        self.body, self.up = [ResidualBlock(2 * channels, norm) for _ in range(blocks)], Block(doubling(2 * channels, channels), norm)
        self.built = True

    def call(self, x: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """The picture [N,H,W,inputs] and the trunk's features [N,H/2,W/2,2*channels] -> [N,H,W,channels]."""
        x = self.down(self.first(x)) + features
        layers: list[keras.layers.Layer] = [*self.body, self.up]
        for layer in layers:
            x = layer(x)
        return x


class Painter(keras.layers.Layer):
    """The last convolution, 7x7, and tanh."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.convolution = outer(inputs, outputs)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N,H,W,inputs] -> [N,H,W,outputs] in [-1,1], float32."""
        return tf.tanh(tf.cast(self.convolution(x), tf.float32))


class PictureGenerator(keras.layers.Layer):
    """The whole generator: a trunk, around it a local enhancer where it is asked for, and the last convolution.

    Args:
        inputs: channels of the picture.
        channels, halvings, blocks: of the trunk.
        local_blocks: residual blocks of the local enhancer, whose maps have half the channels; 0: there is none.
        norm: after every convolution but the last.
    """

    def __init__(self, inputs: int, channels: int, halvings: int, blocks: int, local_blocks: int, norm: Norm = plain_norm):
        super().__init__()
        self.trunk, self.is_local = Trunk(inputs, channels, halvings, blocks, norm), bool(local_blocks)
        if local_blocks:
            self.enhancer = Enhancer(inputs, channels // 2, local_blocks, norm)
        self.painter = Painter(channels // 2 if local_blocks else channels, 3)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N,H,W,inputs] -> [N,H,W,3] in [-1,1], float32."""
        return self.painter(self.enhancer(x, self.trunk(average_pool_overlapping(x))) if self.is_local else self.trunk(x))

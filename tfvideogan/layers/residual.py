"""The residual blocks of BigGAN, as DVD-GAN draws them."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfvideogan.layers import Mode
from tfvideogan.layers.norm import ConditionalBatchNorm
from tfvideogan.layers.spectral import SpectralConv
from tfvideogan.ops.relu import relu
from tfvideogan.ops.resample import downsample


class GeneratorBlock(keras.layers.Layer):
    """norm - ReLU - [up] - conv3 - norm - ReLU - conv3, beside a shortcut [up] - conv1.

    The shortcut is the identity where the width stays and nothing is upsampled. Its 1x1 convolution commutes with the
    upsampling, and so runs on the small map.

    Args:
        norm: makes a ConditionalBatchNorm for a width.
        upsample: a doubling from ops.resample, or None.
    """

    def __init__(
        self, inputs: int, outputs: int, norm: Callable[[int], ConditionalBatchNorm], upsample: Callable[[tf.Tensor], tf.Tensor] | None
    ):
        super().__init__()
        self.upsample = upsample
        self.norm1, self.conv1 = norm(inputs), SpectralConv(inputs, outputs, (3, 3))
        self.norm2, self.conv2 = norm(outputs), SpectralConv(outputs, outputs, (3, 3))
        self.shortcut = None if inputs == outputs and upsample is None else SpectralConv(inputs, outputs, (1, 1))
        self.built = True

    def call(self, x: tf.Tensor, condition: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N*T,H,W,inputs] and [N,condition] -> [N*T,H,W,outputs], or [N*T,2H,2W,outputs]."""
        y = self.norm1(x, condition, mode=mode, relu=True)
        y = self.conv1(y, mode=mode, upsample=self.upsample)
        y = self.norm2(y, condition, mode=mode, relu=True)
        if self.shortcut is not None:
            x = self.shortcut(x, mode=mode)
        return self.conv2(y, mode=mode, shortcut=x if self.upsample is None else self.upsample(x))


class DiscriminatorBlock(keras.layers.Layer):
    """[ReLU] - conv3 - ReLU - conv3 - [pool], beside a shortcut conv1 - [pool]. No normalization but the spectral one.

    The shortcut pools before its 1x1 convolution: the two commute, and the map is smaller.

    Args:
        kernel: extent of the main convolutions, (3, 3) for frames or (3, 3, 3) for clips.
        first: leaves out the leading ReLU: the input is a picture.
        down: halves H and W, and T of clips.
    """

    def __init__(self, inputs: int, outputs: int, kernel: Sequence[int], first: bool, down: bool):
        super().__init__()
        self.first, self.down = first, down
        self.conv1 = SpectralConv(inputs, outputs, kernel)
        self.conv2 = SpectralConv(outputs, outputs, kernel)
        self.shortcut = None if inputs == outputs and not down else SpectralConv(inputs, outputs, [1] * len(kernel))
        self.built = True

    def call(self, x: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N,H,W,C] or [N,T,H,W,C] -> the same with `outputs` channels, halved if `down`."""
        y, x = x if self.first else relu(x), downsample(x) if self.down else x
        y = self.conv1(y, mode=mode, relu=True)
        return self.conv2(y, mode=mode, pool=self.down, shortcut=x if self.shortcut is None else self.shortcut(x, mode=mode))

"""I3D on RGB: "Quo Vadis, Action Recognition?", Carreira and Zisserman, arXiv 1705.07750; the evaluator of FVD and of DVD-GAN.

Inception-v1 with its kernels inflated to 3-D. 12,704,544 values in 230 variables for the 400 classes of Kinetics-400,
12,909,544 for the 600 of Kinetics-600.

- FVD (Unterthiner et al., arXiv 1812.01717): Frechet distance of the LOGITS, 400 of Kinetics-400, of the weights that
  TF-Hub has as deepmind/i3d-kinetics-400/1. The checkpoints of the kinetics-i3d repository are others, and so are scores by them.
- DVD-GAN's IS and FID (arXiv 1907.06571, 4.1): weights rgb_scratch_kin600; IS of the softmax of the 600 logits, FID of
  the FEATURES, the 1024 numbers of the average pooling, averaged over time.

Clips are rounded to 0..255 first, as the reference code of FVD, which takes clips of uint8, does to generated ones; real clips are
that already. `i3d_float:PLACE` leaves them as the generator made them, and gives scores a name of their own.
"""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from tfvideogan.evaluators import published
from tfvideogan.ops.video import from_uint8, to_uint8

SIZE = 224
CHANNELS_LAST = {"data_format": "channels_last", "dtype": "float32"}
FRAMES = range(9, 1 << 31)  # T -> T/2 -> T/4 -> T/8, each rounded up, must leave the 2 frames that the last pooling takes
BATCH = 16  # clips at a time, as in the reference code of FVD
SCOPE = "RGB/inception_i3d/"  # before each name in all published forms but the checkpoint of Kinetics-600
LOGITS = "Logits/Conv3d_0c_1x1/conv_3d"
WANTED = (
    "expected i3d:PLACE of a checkpoint (FOLDER/model.ckpt of data/checkpoints/rgb_scratch_kin600 or another rgb_* in "
    "github.com/google-deepmind/kinetics-i3d), of the unpacked SavedModel of https://tfhub.dev/deepmind/i3d-kinetics-400/1, or that handle"
)
# Channels of the branches 1x1 | 1x1, 3x3 | 1x1, 3x3 | pooling, 1x1.
MIXED = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}


class I3D:
    """The network. Attributes: variables: each by its published name, without the scope; zeros until `published.fill`.

    Args:
        classes: 400 or 600.
        uint8: round clips to 0..255 before they are resized.
    """

    def __init__(self, classes: int, uint8: bool):
        self.uint8 = uint8
        self.variables: dict[str, keras.Variable] = {}
        video = keras.Input([None, SIZE, SIZE, 3], dtype="float32")  # [N,T,224,224,3]
        x = self._unit(video, "Conv3d_1a_7x7", 64, 7, 2)  # -> T/2, 112
        x = _pool(x, (1, 3, 3), (1, 2, 2))  # -> 56
        x = self._unit(x, "Conv3d_2b_1x1", 64, 1)
        x = self._unit(x, "Conv3d_2c_3x3", 192, 3)
        x = _pool(x, (1, 3, 3), (1, 2, 2))  # -> 28
        x = self._mixed(self._mixed(x, "3b"), "3c")
        x = _pool(x, 3, 2)  # -> T/4, 14
        for block in ("4b", "4c", "4d", "4e", "4f"):
            x = self._mixed(x, block)
        x = _pool(x, 2, 2)  # -> T/8, 7
        x = self._mixed(self._mixed(x, "5b"), "5c")
        x = keras.layers.AveragePooling3D((2, 7, 7), strides=1, padding="valid", **CHANNELS_LAST)(x)  # -> T/8 - 1, 1, [N,T',1,1,1024]
        features = keras.ops.mean(x, axis=(1, 2, 3))
        # Published as a 1x1x1 convolution before the mean over time: the same, as it is linear.
        dense = keras.layers.Dense(classes, kernel_initializer="zeros", dtype="float32")
        self._network = keras.Model(video, [features, dense(features)])
        self.variables |= {f"{LOGITS}/w": dense.kernel, f"{LOGITS}/b": dense.bias}

    def look(self, video: tf.Tensor) -> tf.Tensor:
        """[N,T,H,W,3] in [-1,1] -> [N,T,224,224,3], by TensorFlow 1's bilinear resize as in the reference code of FVD: neither
        antialiased nor of half-pixel centers, and squeezed if not square."""
        shape = tf.shape(video)
        video = from_uint8(to_uint8(video)) if self.uint8 else video
        frames = tf.reshape(video, tf.concat([[-1], shape[2:]], 0))
        frames = tf.raw_ops.ResizeBilinear(images=frames, size=[SIZE, SIZE], align_corners=False, half_pixel_centers=False)
        return tf.reshape(frames, [shape[0], shape[1], SIZE, SIZE, 3])

    def __call__(self, video: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[N,T,224,224,3] in [-1,1] -> features [N,1024], logits [N,classes], both averaged over time."""
        return self._network(video, training=False)

    def _unit(self, x: keras.KerasTensor, name: str, channels: int, kernel: int, stride: int = 1) -> keras.KerasTensor:
        """Convolution without bias, batch normalization without scale, ReLU."""
        convolution = keras.layers.Conv3D(
            channels, kernel, stride, padding="same", use_bias=False, kernel_initializer="zeros", **CHANNELS_LAST
        )
        norm = keras.layers.BatchNormalization(scale=False, epsilon=1e-3, dtype="float32")
        x = keras.ops.relu(norm(convolution(x), training=False))
        self.variables[f"{name}/conv_3d/w"] = convolution.kernel
        for part in ("beta", "moving_mean", "moving_variance"):
            self.variables[f"{name}/batch_norm/{part}"] = getattr(norm, part)
        return x

    def _mixed(self, x: keras.KerasTensor, block: str) -> keras.KerasTensor:
        a, b0, b1, c0, c1, d = MIXED[block]
        name = f"Mixed_{block}"
        odd = "Conv3d_0a_3x3" if block == "5b" else "Conv3d_0b_3x3"  # a slip of the published names
        branches = [
            self._unit(x, f"{name}/Branch_0/Conv3d_0a_1x1", a, 1),
            self._unit(self._unit(x, f"{name}/Branch_1/Conv3d_0a_1x1", b0, 1), f"{name}/Branch_1/Conv3d_0b_3x3", b1, 3),
            self._unit(self._unit(x, f"{name}/Branch_2/Conv3d_0a_1x1", c0, 1), f"{name}/Branch_2/{odd}", c1, 3),
            self._unit(_pool(x, 3, 1), f"{name}/Branch_3/Conv3d_0b_1x1", d, 1),
        ]
        return keras.ops.concatenate(branches, -1)


def load(spec: str, sha256: str) -> published.Published:
    """I3D with the weights of `i3d:PLACE` or `i3d_float:PLACE`, in any of their published forms; as many classes as they have.

    Returns: an evaluator named i3d_<classes> or i3d_<classes>_float, of clips of at least 9 frames: features [N,1024], logits [N,classes].
    Raises: UserError if they are missing, incomplete, or not of this sha256 (see `published.find`).
    """
    path, digest = published.find(spec, sha256, WANTED)
    found = _without_scope(published.tensors(spec, path))
    classes = found[f"{LOGITS}/b"].size if f"{LOGITS}/b" in found else 400
    uint8 = not spec.startswith("i3d_float:")
    network = I3D(classes, uint8)
    published.fill(spec, network.variables, found)
    name = f"i3d_{classes}" if uint8 else f"i3d_{classes}_float"
    return published.Published(spec, name, digest, network, FRAMES, BATCH, {"evaluator_uint8": uint8})


def _without_scope(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    scoped = all(name.startswith(SCOPE) for name in found)
    return {name.removeprefix(SCOPE) if scoped else name: value for name, value in found.items()}


def _pool(x: keras.KerasTensor, size: int | tuple[int, ...], stride: int | tuple[int, ...]) -> keras.KerasTensor:
    return keras.layers.MaxPooling3D(size, stride, padding="same", **CHANNELS_LAST)(x)

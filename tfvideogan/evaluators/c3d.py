"""C3D fine-tuned on UCF-101 (Tran et al., arXiv 1412.0767): the evaluator of the "video IS" on UCF-101, and of FID on its fc7.

Trained on Sports-1M, then on split 1 of UCF-101: 78,409,573 values in 22 variables for 101 classes. It sees 16 frames of
112x112, values of 0..255 in the order BGR, less the mean of its training clips: a pixel x in [-1,1] is 127.5 x + 127.5, which gives
real clips the values of their files. (The authors write 128 x + 128 of clips they made by (value - 128) / 128, to the same end.) Two
ways to bring clips there give scores that do not compare:

- `c3d:PLACE`, TGANv2's (arXiv 1811.09245; DIGAN's, StyleGAN-V's and TATS's too): bilinear to 112x112 with corners
  aligned, less mean[8:120, 8:120] (the mean is 171 wide, so this is off its center).
- `c3d_tgan:PLACE`, TGAN's (arXiv 1611.06624; MoCoGAN's too): bicubic to 128x128 as OpenCV does it, less mean[:, 21:149], the
  center 112x112 of that.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfvideogan.config import UserError
from tfvideogan.evaluators import published

FRAMES, SIZE = 16, 112
BATCH = 8  # clips at a time: the first convolution alone gives 51 MB a clip
MEAN_FILE, MEAN_SHAPE = "mean2.npz", (3, FRAMES, 128, 171)  # BGR, T, H, W
WANTED = (
    f"expected c3d:FOLDER/conv3d_deepnetA_ucf.npz (or c3d_tgan:...) with {MEAN_FILE} beside it, both from "
    "https://github.com/rezoo/tgan2/releases/tag/v1.0"
)
ZEROS = {"kernel_initializer": "zeros", "dtype": "float32"}
LAST = "channels_last"
CONVOLUTIONS = {  # channels; a pooling of 2x2x2 after each group, the first of 1x2x2
    "1": {"conv1a": 64},
    "2": {"conv2a": 128},
    "3": {"conv3a": 256, "conv3b": 256},
    "4": {"conv4a": 512, "conv4b": 512},
    "5": {"conv5a": 512, "conv5b": 512},
}


class C3D:
    """The network. Attributes: variables: each by its published name; zeros until `published.fill`.

    Args:
        classes: 101.
        look: clips [N,16,H,W,3] in [-1,1] -> [N,16,112,112,3], BGR, less the mean.
    """

    def __init__(self, classes: int, look: Callable[[tf.Tensor], tf.Tensor]):
        self.look = look
        self.variables: dict[str, keras.Variable] = {}
        video = keras.Input([FRAMES, SIZE, SIZE, 3], dtype="float32")
        x = video
        for group, convolutions in CONVOLUTIONS.items():
            for name, channels in convolutions.items():
                x = self._add(name, x, keras.layers.Conv3D(channels, 3, padding="same", activation="relu", data_format=LAST, **ZEROS))
            if group == "5":
                # pool5 rounds up, 7 -> 4; after ReLU zeros change no maximum
                x = keras.layers.ZeroPadding3D(((0, 0), (0, 1), (0, 1)), data_format=LAST, dtype="float32")(x)
            x = keras.layers.MaxPooling3D((1, 2, 2) if group == "1" else 2, data_format=LAST, dtype="float32")(x)
        x = keras.layers.Flatten(data_format=LAST, dtype="float32")(x)  # [N,1,4,4,512] -> [N,8192]
        for name in ("fc6", "fc7"):
            x = self._add(name, x, keras.layers.Dense(4096, "relu", **ZEROS))
        self._network = keras.Model(video, [x, self._add("fc8", x, keras.layers.Dense(classes, **ZEROS))])

    def __call__(self, video: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[N,16,112,112,3] as `look` gives it -> fc7 after its ReLU [N,4096], logits [N,classes]."""
        return self._network(video, training=False)

    def _add(self, name: str, x: keras.KerasTensor, layer: keras.layers.Layer) -> keras.KerasTensor:
        y = layer(x)
        self.variables |= {f"{name}/W": layer.kernel, f"{name}/b": layer.bias}
        return y


def load(spec: str, sha256: str) -> published.Published:
    """C3D with the weights of `c3d:FILE.npz` or `c3d_tgan:FILE.npz`, in the layout of TGAN's authors (Chainer's), and mean2.npz beside it.

    Returns: an evaluator named c3d_tganv2 or c3d_tgan, of clips of 16 frames: features [N,4096], logits [N,101].
    Raises: UserError if they are missing, incomplete, or not of this sha256, which covers both files (see `published.find`).
    """
    path, digest = published.find(spec, sha256, WANTED, beside=(MEAN_FILE,))
    found = {name: _transposed(name, value) for name, value in published.tensors(spec, path).items()}
    mean = published.tensors(spec, path.with_name(MEAN_FILE)).get("mean", np.zeros(0))
    if mean.size != np.prod(MEAN_SHAPE):
        raise UserError(f"--evaluator={spec}: {MEAN_FILE}: got a mean of shape {list(mean.shape)}, expected {list(MEAN_SHAPE)}")
    name, look = ("c3d_tgan", tgan_look) if spec.startswith("c3d_tgan:") else ("c3d_tganv2", tganv2_look)
    mean = mean.reshape(MEAN_SHAPE).transpose(1, 2, 3, 0).astype(np.float32)  # [T,H,W,BGR]
    network = C3D(found["fc8/b"].size if "fc8/b" in found else 101, lambda video: look(video, mean))
    published.fill(spec, network.variables, found)
    return published.Published(spec, name, digest, network, range(FRAMES, FRAMES + 1), BATCH, {})


def tganv2_look(video: tf.Tensor, mean: np.ndarray) -> tf.Tensor:
    """[N,16,H,W,3] in [-1,1], mean [16,128,171,3] -> [N,16,112,112,3]."""
    frames = tf.reshape(video[..., ::-1], tf.concat([[-1], tf.shape(video)[2:]], 0))
    frames = tf.raw_ops.ResizeBilinear(images=frames, size=[SIZE, SIZE], align_corners=True, half_pixel_centers=False)
    return 127.5 * tf.reshape(frames, [-1, FRAMES, SIZE, SIZE, 3]) + (127.5 - mean[:, 8:120, 8:120])


def tgan_look(video: tf.Tensor, mean: np.ndarray) -> tf.Tensor:
    """[N,16,H,W,3] in [-1,1], mean [16,128,171,3] -> [N,16,112,112,3]."""
    video = _cubic(_cubic(video[..., ::-1], 2, 128), 3, 128)
    return (127.5 * video + (127.5 - mean[:, :, 21:149]))[:, :, 8:120, 8:120]


def _cubic(x: tf.Tensor, axis: int, size: int) -> tf.Tensor:
    """Resizes one axis as OpenCV's INTER_CUBIC: a = -0.75 (TensorFlow's and Keys' is -0.5), half-pixel centers, the edge
    repeated, not antialiased."""
    length = tf.shape(x)[axis]
    place = (tf.range(size, dtype=tf.float32) + 0.5) * (tf.cast(length, tf.float32) / size) - 0.5
    first = tf.floor(place)
    total = tf.constant(0.0)
    for offset in (-1, 0, 1, 2):
        d = tf.abs(first + offset - place)
        weight = tf.where(d <= 1, (1.25 * d - 2.25) * d**2 + 1, -0.75 * (((d - 5) * d + 8) * d - 4))
        pixels = tf.gather(x, tf.clip_by_value(tf.cast(first, tf.int32) + offset, 0, length - 1), axis=axis)
        total += tf.reshape(weight, [-1] + [1] * (len(x.shape) - 1 - axis)) * pixels
    return total


def _transposed(name: str, value: np.ndarray) -> np.ndarray:
    """A weight of Chainer's layout in TensorFlow's; what is neither stays, for `published.fill` to refuse."""
    if value.ndim == 5:  # [out,in,t,h,w] -> [t,h,w,in,out]
        return value.transpose(2, 3, 4, 1, 0)
    if name == "fc6/W" and value.size == 4096 * 8192:  # its inputs are a map [512,1,4,4] there, [1,4,4,512] here
        return value.reshape(4096, 512, 4, 4).transpose(2, 3, 1, 0).reshape(8192, 4096)
    return value.T

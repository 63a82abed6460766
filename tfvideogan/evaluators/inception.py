"""Inception-v3 of 2015 by TF-GAN's TF-Hub module: the evaluator of IS (Salimans et al. 2016) and FID (Heusel et al. 2017) of single frames.

It sees each frame alone: 2048 numbers of pool_3, and 1008 logits without bias. Frames are resized to 299x299 as
TensorFlow 1 did, bilinear and not antialiased (clean-fid calls this legacy_tensorflow): scores by another resize do not compare.
"""

from collections.abc import Callable

import tensorflow as tf
import tensorflow_hub as hub

from tfvideogan.config import UserError
from tfvideogan.evaluators import published
from tfvideogan.files import without_patterns

SIZE = 299
OUTPUTS = ("pool_3", "logits")
BATCH = 4  # clips at a time: 64 frames of clips of 16 take about 1 GB
HANDLE = "https://tfhub.dev/tensorflow/tfgan/eval/inception/1"
WANTED = f"expected inception:FOLDER of the unpacked SavedModel of {HANDLE}, or inception:{HANDLE}"


class Inception:
    """The network. Args: module: maps frames [M,299,299,3] in [-1,1] to {"pool_3": [M,...,2048], "logits": [M,...,1008]}."""

    def __init__(self, module: Callable[[tf.Tensor], dict[str, tf.Tensor]]):
        self._module = module

    @staticmethod
    def look(video: tf.Tensor) -> tf.Tensor:
        """[N,T,H,W,3] -> [N,T,299,299,3]; squeezed if not square."""
        shape = tf.shape(video)
        frames = tf.reshape(video, tf.concat([[-1], shape[2:]], 0))
        frames = tf.raw_ops.ResizeBilinear(images=frames, size=[SIZE, SIZE], align_corners=False, half_pixel_centers=False)
        return tf.reshape(frames, [shape[0], shape[1], SIZE, SIZE, 3])

    def __call__(self, video: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[N,T,299,299,3] in [-1,1] -> pool_3 [N,T,2048], logits [N,T,1008]."""
        shape = tf.shape(video)
        found = self._module(tf.reshape(video, [-1, SIZE, SIZE, 3]))
        pool, logits = (tf.reshape(found[name], [shape[0], shape[1], found[name].shape[-1]]) for name in OUTPUTS)
        return pool, logits


def load(spec: str, sha256: str) -> published.Published:
    """Inception-v3 of `inception:FOLDER` or `inception:HANDLE`.

    Returns: an evaluator named inception, of clips of any length: features [N,T,2048], logits [N,T,1008], one of each
        frame. Scores of frames are those of [N*T,...].
    Raises: UserError if it is missing, not of this sha256 (see `published.find`), or has other outputs.
    """
    path, digest = published.find(spec, sha256, WANTED)
    try:
        with without_patterns(path) as folder:
            module = hub.load(folder)
        found = module(tf.zeros([1, SIZE, SIZE, 3]))
        missing = [name for name in OUTPUTS if name not in found]
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError, tf.errors.OpError) as error:
        raise UserError(f"--evaluator={spec}: cannot be called with frames ({published.line(error)}); {WANTED}") from error
    if missing:
        raise UserError(f"--evaluator={spec}: gives {', '.join(sorted(found))}, not {' and '.join(missing)}; {WANTED}")
    return published.Published(spec, "inception", digest, Inception(module), None, BATCH, {})

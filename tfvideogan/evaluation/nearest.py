"""The frame of the training clips whose source is nearest: what a translation gains that learned more than its training pictures.

Sources are compared frame by frame, by Euclidean distance of their means over a grid of cells: of labels the share that each has of a cell.
"""

import numpy as np
import tensorflow as tf

from tfvideogan import data
from tfvideogan.evaluation.baselines import Inputs
from tfvideogan.evaluation.memorization import nearest
from tfvideogan.ops.video import from_uint8, to_uint8

CELLS = 16  # along each side
FRAMES, BYTES = 2048, 1 << 28  # of the training frames, at most


class Nearest:
    """A baseline (`baselines.Baseline`) that answers each frame of "source" with a frame of "video".

    Args:
        dataset: training clips with both, of which as many are read, shuffled, as FRAMES and BYTES allow.

    Attributes: frames: uint8 [M,H,W,3], those that it answers with.
    """

    def __init__(self, dataset: data.Dataset):
        _, length, height, width, _ = dataset.specs["video"].shape
        clips = max(min(FRAMES, BYTES // (height * width * 3)) // length, 1)
        batches = list(dataset.batches(1).take(min(clips, dataset.size)).map(lambda batch: (batch["source"], to_uint8(batch["video"]))))
        self.frames = np.concatenate([video.numpy().reshape([-1, height, width, 3]) for _, video in batches])
        means = [cells(source) for source, _ in batches]
        self._labels = max(one.shape[-1] for one in means)
        self._means = np.concatenate([self._vectors(one) for one in means])

    def __call__(self, inputs: Inputs, frames: int) -> np.ndarray:
        """The frames nearest to the last `frames` of "source" [N,T,H,W] or [N,T,H,W,C]: [N,frames,H,W,3] in [-1,1]."""
        source = inputs["source"][:, -frames:]
        indices, _ = nearest(self._vectors(cells(source)), self._means, 1)
        found = self.frames[indices[:, 0]]
        return from_uint8(tf.constant(found)).numpy().reshape([*source.shape[:2], *found.shape[1:]])

    def _vectors(self, means: np.ndarray) -> np.ndarray:
        """Means [N,CELLS,CELLS,C] as [N,F], all of one width: labels that no training frame has count for nothing."""
        means = means[..., : self._labels]
        return np.pad(means, [*[(0, 0)] * 3, (0, self._labels - means.shape[-1])]).reshape([len(means), -1])


def cells(source: tf.Tensor | np.ndarray) -> np.ndarray:
    """The means of sources over cells: labels [N,T,H,W], one channel for each up to the largest, or channels [N,T,H,W,C] ->
    [N*T,CELLS,CELLS,C]."""
    source = tf.convert_to_tensor(source)
    if source.dtype.is_integer:
        source = tf.one_hot(source, tf.reduce_max(source) + 1)
    return tf.image.resize(tf.reshape(source, [-1, *tf.shape(source)[2:]]), [CELLS, CELLS], "area").numpy()

"""Our own small video classifiers, whose features and logits evaluate clips of the data they were trained on.

Scores by them carry the classifier's name: they compare runs on one data set, and are not the published IS, FID or FVD.
"""

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from tfvideogan.config import UserError
from tfvideogan.files import whole_file
from tfvideogan.ops.video import unfold

FRAMES, SIZE, FEATURES = 8, 32, 128
WIDTHS = (32, 64, 128, 128)


class VideoClassifier(keras.Model):
    """Four strided 3-D convolutions, the mean over what is left, 128 features, logits. 739,852 weights for 12 classes.

    Sees 8 frames, evenly spaced over the clip, resized to 32x32 with antialiasing.
    """

    def __init__(self, classes: int):
        super().__init__(dtype="float32")
        kernel = {"kernel_size": 3, "padding": "same", "activation": "relu", "kernel_initializer": "he_normal", "dtype": "float32"}
        kernel |= {"data_format": "channels_last"}
        strides = [(1, 2, 2), 2, 2, 2]  # 8x32x32 -> 8x16x16 -> 4x8x8 -> 2x4x4 -> 1x2x2
        self.convolutions = [keras.layers.Conv3D(width, strides=stride, **kernel) for width, stride in zip(WIDTHS, strides, strict=True)]
        self.features = keras.layers.Dense(FEATURES, activation="relu", dtype="float32")
        self.logits = keras.layers.Dense(classes, dtype="float32")
        self(tf.zeros([1, FRAMES, SIZE, SIZE, 3]))

    @staticmethod
    def look(video: tf.Tensor) -> tf.Tensor:
        """[N,T,H,W,3] -> what the network sees of it, [N,8,32,32,3]."""
        times = tf.linspace(0.0, tf.cast(tf.shape(video)[1] - 1, tf.float32), FRAMES)
        video = tf.gather(video, tf.cast(tf.round(times), tf.int32), axis=1)
        frames = tf.reshape(video, tf.concat([[-1], tf.shape(video)[2:]], 0))  # `fold` needs static sizes; one evaluator serves all
        return unfold(tf.image.resize(frames, [SIZE, SIZE], antialias=True), FRAMES)

    def call(self, video: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[N,8,32,32,3] in [-1,1] -> features [N,128], logits [N,classes]."""
        x = video
        for convolution in self.convolutions:
            x = convolution(x)
        features = self.features(tf.reduce_mean(x, [1, 2, 3]))
        return features, self.logits(features)


class Network(Protocol):
    """What an evaluator runs: `look` prepares clips [N,T,H,W,3] in [-1,1]; a call gives features and logits of what `look` gives."""

    @property
    def look(self) -> Callable[[tf.Tensor], tf.Tensor]: ...

    def __call__(self, video: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]: ...


class Evaluator:
    """A trained classifier, as `evaluator.Evaluator` promises.

    Attributes:
        name: of its weights file; the suffix of the scores' names.
        sha256: of its weights file.
        labels: names of its classes.
        protocol: what else of it a reader of scores must know.
        compute: [N,T,H,W,3] in [-1,1] -> features [N,128], logits [N,classes], as tensors.
        run: what calls `compute`: itself, or `strategy.spread`'s form of it.
    """

    def __init__(self, name: str, sha256: str, labels: tuple[str, ...], network: Network):
        self.name, self.sha256, self.labels = name, sha256, labels
        self.protocol: dict[str, object] = {}
        self.compute = tf.function(lambda video: network(network.look(video)), input_signature=[tf.TensorSpec([None, None, None, None, 3])])
        self.run: Callable = self.compute

    def __call__(self, video: tf.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """[N,T,H,W,3] in [-1,1] -> features [N,128], logits [N,classes]."""
        features, logits = self.run(video)
        return features.numpy(), logits.numpy()


def save(path: Path, network: VideoClassifier, labels: tuple[str, ...]) -> None:
    """Writes weights, as float16, and labels in NumPy's npz format, without pickles: whole, or what was there stays."""
    weights = {f"weight_{i:02d}": variable.numpy().astype(np.float16) for i, variable in enumerate(network.trainable_variables)}
    with whole_file(path) as file:
        np.savez(file, labels=np.array(labels), **weights)


def load(name_or_path: str) -> Evaluator:
    """A shipped classifier by its name, or one of `tfvideogan.train_evaluator` by its .npz file.

    Raises: UserError if there is none, or it is damaged.
    """
    shipped = Path(__file__).parent / f"{name_or_path}.npz"
    path = shipped if shipped.is_file() else Path(name_or_path)
    if not path.is_file():
        names = sorted(file.stem for file in Path(__file__).parent.glob("*.npz"))
        raise UserError(
            f"--evaluator={name_or_path}: expected {', '.join(names)} or an .npz file made by "
            "python -m tfvideogan.train_evaluator --dataset=... --data_dir=... --output=FILE.npz"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            labels = tuple(str(label) for label in file["labels"])
            network = VideoClassifier(len(labels))
            for i, variable in enumerate(network.trainable_variables):
                variable.assign(file[f"weight_{i:02d}"].astype(np.float32))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"--evaluator={name_or_path}: {path.name} is damaged or no evaluator: {error}") from error
    return Evaluator(path.stem, hashlib.sha256(path.read_bytes()).hexdigest(), labels, network)

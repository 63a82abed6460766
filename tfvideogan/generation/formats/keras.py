"""Keras' own file: a functional model around the SavedModel, which lies in the file itself.

`keras.models.load_model` reads it, once `tfvideogan.generation.formats.keras` is imported. Such a file can do what a SavedModel can.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfvideogan.generation.formats.source import Arrays, Source


@keras.saving.register_keras_serializable("tfvideogan")
class Generate(keras.layers.Layer):
    """A module's `generate`: a dict of its inputs -> float32 [N,T,H,W,3] in [0,1]. Not trained.

    Args:
        shape: [T,H,W,3] of the clips.
        folder: of the SavedModel; none when Keras reads its own file, which then gives it.
    """

    def __init__(self, shape: list[int], folder: str = "", name: str | None = None, trainable: bool = False, dtype: str | None = None):
        super().__init__(name=name, trainable=trainable, dtype=dtype or "float32", autocast=False)
        self.shape, self.folder = shape, folder
        self.kept: tempfile.TemporaryDirectory | None = None
        if folder:
            self._open(folder)

    def _open(self, folder: str) -> None:
        self.folder, self.module = folder, [tf.saved_model.load(folder)]  # in a list that Keras does not look into

    def call(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return self.module[0].signatures["serving_default"](**inputs)["video"]

    def compute_output_spec(self, inputs: dict[str, keras.KerasTensor]) -> keras.KerasTensor:
        return keras.KerasTensor([None, *self.shape], "float32")

    def get_config(self) -> dict[str, object]:
        return {"name": self.name, "shape": self.shape}

    def save_assets(self, inner_path: str) -> None:
        shutil.copytree(self.folder, inner_path, dirs_exist_ok=True)

    def load_assets(self, inner_path: str) -> None:
        self.kept = tempfile.TemporaryDirectory(prefix="tfvideogan_")  # Keras takes its own away once all is loaded
        shutil.copytree(inner_path, self.kept.name, dirs_exist_ok=True)
        self._open(self.kept.name)


def convert(source: Source, path: Path) -> None:
    """Writes a model whose inputs have the module's names."""
    inputs = {name: keras.Input(spec.shape[1:], dtype=spec.dtype.name, name=name) for name, spec in source.specs.items()}
    video = Generate([*source.video.shape[1:]], str(source.folder))(inputs)
    keras.Model(inputs, video).save(path)


def reason(error: Exception) -> str:
    return str(error)


def load(path: Path) -> Callable[[Arrays], np.ndarray]:
    """What computes the clips of inputs by name."""
    model = keras.models.load_model(path)
    return lambda inputs: model({name: tf.constant(value) for name, value in inputs.items()}).numpy()

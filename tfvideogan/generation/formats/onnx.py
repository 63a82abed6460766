"""ONNX, of any number of clips, by tf2onnx; 1.17 is the first that takes the protobuf of TensorFlow 2.18 and later."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfvideogan.generation import optional
from tfvideogan.generation.formats.source import Arrays, Source

OPSET = 18  # of 2022: also what browsers' onnxruntime reads
ASKED = "--format=onnx"


def convert(source: Source, path: Path) -> None:
    """Writes a file whose inputs have the module's names, and whose output is "video"."""
    optional.package("onnxruntime", "onnx", ASKED)
    function = source.function(None)
    tf2onnx = optional.package("tf2onnx.convert", "onnx", ASKED)
    tf2onnx.from_function(function, input_signature=function.input_signature, opset=OPSET, output_path=str(path))


def reason(error: Exception) -> str:
    return str(error)


def load(path: Path) -> Callable[[Arrays], np.ndarray]:
    """What computes the clips of inputs by name."""
    session = optional.package("onnxruntime", "onnx", ASKED).InferenceSession(str(path))
    return lambda inputs: session.run(["video"], inputs)[0]

"""From an exported module to another format: converted, loaded back, compared with the SavedModel, and only then moved into place.

| format | file | by | clips a call |
|---|---|---|---|
| tflite | .tflite | LiteRT's converter, which comes with TensorFlow | 1 |
| onnx | .onnx | tf2onnx and onnxruntime: `pip install tfvideogan[onnx]` | any |
| keras | .keras | Keras, around the SavedModel itself | any |
| web | a folder | onnxruntime-web, in any browser: `pip install tfvideogan[onnx]` | 1 |

All hold `generate` alone, with the module's named inputs: see its card.
"""

import os
import shutil
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np

from tfvideogan.config import UserError
from tfvideogan.generation.formats import keras, onnx, tflite, web
from tfvideogan.generation.formats.source import Source
from tfvideogan.generation.module import Generator
from tfvideogan.quiet import stderr_held

FORMATS: dict[str, ModuleType] = {"tflite": tflite, "onnx": onnx, "keras": keras, "web": web}
TOLERANCE = 1e-3  # the largest difference of pixels in [0,1]: a quarter of one of 255 levels, which no file of 8 bits shows
EXAMPLES = 3


def write(generator: Generator, format: str, path: str) -> float:
    """Writes an exported module in another format, whole or not at all. Returns the largest difference of pixels in [0,1].

    Args:
        generator: as `module.from_module` reads it.
        format: of FORMATS.
        path: of the file. What is there is overwritten.

    Raises: UserError if the converter has no way to it, or if what it made draws other clips.
    """
    kind, source, output = FORMATS[format], Source(generator), Path(path)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as temporary:
        made = Path(temporary) / f"model.{format}"
        try:
            with stderr_held():
                kind.convert(source, made)
                load = kind.load(made)
                differences = [np.abs(load(given) - source(given)).max() for given in map(source.example, range(EXAMPLES))]
        except UserError:
            raise
        except Exception as error:  # converters raise what they like
            raise UserError(f"--format={format}: {generator.name} cannot be converted: {first_line(kind.reason(error))}") from error
        difference = float(np.max(differences))
        if not difference <= TOLERANCE:
            raise UserError(
                f"--format={format}: got clips that differ by {difference:.2g}, expected at most {TOLERANCE:g}; nothing is written"
            )
        if made.is_dir() and output.is_dir():
            shutil.rmtree(output)
        os.replace(made, output)
    return difference


def first_line(text: str) -> str:
    """The first line of a message that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")

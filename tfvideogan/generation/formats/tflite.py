"""TFLite: one clip a call, of fixed shapes, which phones and XNNPACK ask for. LiteRT's converter, which comes with TensorFlow.

Of DVD-GAN-FP the converter of TensorFlow 2.21 makes a file that draws other frames, also by its reference kernels: that is refused.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfvideogan.generation.formats.source import Arrays, Source

SIGNATURE = "serving_default"


def convert(source: Source, path: Path) -> None:
    """Writes a file whose signature has the names of the module's inputs, and gives "video"."""
    function = source.function(1).get_concrete_function()
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function], source.module).convert())


def reason(error: Exception) -> str:
    """Of a converter's pages, what they come to."""
    lacking = re.search(r"TF Select ops: (.*)|'tf\.(\w+)' op is neither", str(error))
    return f"TFLite has no {lacking[1] or lacking[2]}" if lacking else str(error)


def load(path: Path) -> Callable[[Arrays], np.ndarray]:
    """What computes the clips of inputs by name."""
    try:
        from ai_edge_litert.interpreter import Interpreter  # TensorFlow's own says that it will be removed
    except ImportError:
        Interpreter = tf.lite.Interpreter
    interpreter = Interpreter(model_path=str(path))
    runner = interpreter.get_signature_runner(SIGNATURE)
    held = interpreter  # the runner alone does not keep it

    def run(inputs: Arrays) -> np.ndarray:
        assert held is not None
        return runner(**inputs)["video"]

    return run

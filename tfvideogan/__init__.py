"""Video GANs under one trainer, one evaluator and one exporter, on TensorFlow and Keras 3."""

import contextlib
import os
import sys

from tfvideogan import quiet

__version__ = "0.1.0"


def _import_keras() -> None:
    """Imports Keras on TensorFlow and with its own defaults, whatever KERAS_BACKEND and the user's keras.json say.

    Raises: ImportError if Keras is there already, on another backend.
    """
    if "keras" in sys.modules:
        backend = sys.modules["keras"].backend.backend()
        if backend != "tensorflow":
            raise ImportError(f"Keras was imported on {backend}, expected tensorflow: import tfvideogan first, or set KERAS_BACKEND")
        return
    asked = {name: os.environ.get(name) for name in ("KERAS_BACKEND", "KERAS_HOME")}
    os.environ |= {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": os.devnull}  # read once, by the import
    try:
        import keras  # noqa: F401
    finally:
        for name, value in asked.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


# Read by TensorFlow's import, which by itself leaves oneDNN off on CPUs without AVX-512's VNNI. There Eigen's convolutions make a step take
# 2 to 11 times as long (benchmarks/README.md).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Python looks for the module of `python -m tfvideogan.train`, or the command `tfvideogan` begins: a program, not a library.
_program, _verb = (*map(os.path.basename, sys.argv[:2]), "", "")[:2]
if _program != "tfvideogan" or _verb not in ("", "list", "--help", "-h", "help"):  # these read no more than files, and are there at once
    with quiet.start_up(sys.argv) if _program in ("-m", "tfvideogan") else contextlib.nullcontext():
        _import_keras()

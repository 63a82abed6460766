"""A static page that draws clips in the browser: the ONNX file, the page of the playground, and the latents of the first seeds.

Any static host serves the folder. onnxruntime-web comes from a CDN when the page is opened, its version pinned and its files checked by
their hashes (generation/page/exported.js). Clips are drawn by `generate`, with BN's standing statistics of truncation 1.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfvideogan.config import UserError
from tfvideogan.generation import latents
from tfvideogan.generation.about import PAGE, about
from tfvideogan.generation.formats import onnx
from tfvideogan.generation.formats.source import Arrays, Source
from tfvideogan.ops.latent import NORMAL

SEEDS = 256  # that the page's controls reach
FILES = {"index.html": "index.html", "page.css": "page.css", "page.js": "page.js", "exported.js": "backend.js"}


def convert(source: Source, path: Path) -> None:
    """Writes the folder. Raises UserError for a generator that reads what no page gives."""
    facts = about(source.generator)
    if facts["lacking"]:
        raise UserError(f"--format=web: {source.generator.name} reads {', '.join(facts['lacking'])} too, which no page gives")
    path.mkdir()
    onnx.convert(source, path / "model.onnx")
    for name, to in FILES.items():
        shutil.copy(PAGE / name, path / to)
    inputs = {name: {"type": spec.dtype.name, "shape": [*spec.shape[1:]]} for name, spec in source.specs.items()}
    if facts["latent"]:
        distribution, table = latents.distribution(source.generator), latents.of_seeds(source.generator, [*range(SEEDS)])
        facts["distribution"] = distribution.name
        if distribution is not NORMAL:  # kept as what erf takes to it, in which it is interpolated
            table = tf.math.erfinv(tf.constant(table)).numpy()
    else:
        table = np.zeros([0], np.float32)
    (path / "latents.bin").write_bytes(table.astype("<f4").tobytes())
    (path / "about.json").write_text(json.dumps(facts | {"inputs": inputs}), encoding="utf-8")


def reason(error: Exception) -> str:
    return onnx.reason(error)


def load(path: Path) -> Callable[[Arrays], np.ndarray]:
    """What computes the clips of inputs by name, outside of a browser."""
    return onnx.load(path / "model.onnx")

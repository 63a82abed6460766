"""Writes the archive of a model that has none: `python -m tests.golden`. One that is there is never written again."""

import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.conftest import LEAST, small
from tests.golden_test import FOLDER, drawn_by_run, given, served_by
from tfvideogan import models
from tfvideogan.generation import module
from tfvideogan.training import loop
from tfvideogan.training.run_folder import from_run
from tfvideogan.training.strategy import make_strategy


def write(name: str) -> None:
    """Trains a step, exports, draws, and packs all of it."""
    config = small(name, **{"dataset": "moving_shapes", **LEAST[name], "steps": 1, "standing_batches": 1})
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / name
        loop.train(config, models.dataset(config, config.split), str(run), make_strategy("one", 0), whole=False)
        module.write(from_run(str(run), config, best=False), str(run / "export"), overwrite=False)
        for left in ("logs", "samples", "metrics.jsonl", ".lock"):
            shutil.rmtree(run / left, ignore_errors=True)
            (run / left).unlink(missing_ok=True)
        for file in (run / "checkpoints").glob("ckpt-0.*"):
            file.unlink()
        served = tf.saved_model.load(str(run / "export")).signatures["serving_default"]
        asked = given(served.structured_input_signature[1].values())
        np.savez(run / "drawn.npz", run=drawn_by_run(run)[1], export=served_by(run / "export", asked))
        with tarfile.open(FOLDER / f"{name}.tar.xz", "w:xz") as archive:
            archive.add(run, arcname=name)


if __name__ == "__main__":
    for missing in [name for name in LEAST if not (FOLDER / f"{name}.tar.xz").exists()]:
        write(missing)
        print(missing, (FOLDER / f"{missing}.tar.xz").stat().st_size, file=sys.stderr)

"""Writes a run's generator as a TF2 SavedModel (TF-Hub's reusable form):
`python -m tfvideogan.export --workdir=DIR --output=exports/NAME [--overwrite]`.

The module holds the averaged weights with standing statistics; beside it stand run.flags and a card. It computes in float32, or in
--export_precision: on a CPU with AMX mixed_bfloat16 draws twice as many clips a second, which differ by some levels of 255.
"""

from absl import flags, logging

from tfvideogan.cli import define_path, launch
from tfvideogan.config import Config, UserError
from tfvideogan.generation.module import EXPORT_TRUNCATIONS, refuse_existing, write
from tfvideogan.training.run_folder import from_run

OUTPUT = define_path("output", None, "Folder of the module.")
CHECKPOINT = flags.DEFINE_enum("checkpoint", "newest", ["newest", "best"], "Which checkpoint of --workdir.")
PRECISION = flags.DEFINE_enum("export_precision", "float32", ["float32", "mixed_bfloat16"], "What the module computes in.")
OVERWRITE = flags.DEFINE_boolean("overwrite", False, "Replace the folder if it is there.")

CALLS = {
    "synthesis": "sample(label, seed, truncation)",
    "prediction": "predict(first_frames, seed, truncation)",
    "translation": "translate(source)",
}


def main(config: Config) -> None:
    if not OUTPUT.value:
        raise UserError("--output is missing: expected a folder for the module")
    refuse_existing(OUTPUT.value, OVERWRITE.value)
    if not flags.FLAGS.workdir:
        raise UserError("--workdir is missing: expected the folder of a run")
    generator = from_run(flags.FLAGS.workdir, config, CHECKPOINT.value == "best", precision=PRECISION.value, truncations=EXPORT_TRUNCATIONS)
    write(generator, OUTPUT.value, OVERWRITE.value)
    logging.info("wrote %s: hub.load(%r).%s", OUTPUT.value, OUTPUT.value, CALLS[generator.kind])


if __name__ == "__main__":
    launch(main, saved=("workdir",))

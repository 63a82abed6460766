"""Writes a run's generator as a TF2 SavedModel (TF-Hub's reusable form):
`python -m tfvideogan.export --workdir=DIR --output=exports/NAME [--overwrite]`.

The module holds the averaged weights with standing statistics, in float32; beside it stand run.flags and a card.
"""

from absl import flags, logging

from tfvideogan.config import Config, UserError
from tfvideogan.module import from_run, refuse_existing, write
from tfvideogan.run import launch

OUTPUT = flags.DEFINE_string("output", None, "Folder of the module.")
CHECKPOINT = flags.DEFINE_enum("checkpoint", "newest", ["newest", "best"], "Which checkpoint of --workdir.")
OVERWRITE = flags.DEFINE_boolean("overwrite", False, "Replace the folder if it is there.")


def main(config: Config) -> None:
    if not OUTPUT.value:
        raise UserError("--output is missing: want a folder for the module")
    refuse_existing(OUTPUT.value, OVERWRITE.value)
    if not flags.FLAGS.workdir:
        raise UserError("--workdir is missing: want the folder of a run")
    write(from_run(flags.FLAGS.workdir, config, CHECKPOINT.value == "best"), OUTPUT.value, OVERWRITE.value)
    logging.info("wrote %s: hub.load(%r).sample(label, seed, truncation)", OUTPUT.value, OUTPUT.value)


if __name__ == "__main__":
    launch(main, saved=("workdir",))

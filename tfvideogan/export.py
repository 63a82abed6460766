"""Writes a run's generator as a TF2 SavedModel (TF-Hub's reusable form), or in another format:
`python -m tfvideogan.export --workdir=DIR | --module=EXPORT --output=exports/NAME [--format=saved_model|tflite|onnx|keras|web]
[--upload=hf://USER/NAME] [--overwrite]`.

The module holds the averaged weights with standing statistics; beside it stand run.flags and a card. It computes in float32, or in
--export_precision: on a CPU with AMX mixed_bfloat16 draws twice as many clips a second, which differ by some levels of 255.

The other formats are made from the SavedModel, a run's or an exported one's (generation/formats/converting.py). --upload puts what is
written, with its card, into a repository of the Hugging Face Hub, or with --module alone that module.
"""

import inspect
import shutil
import tempfile
from pathlib import Path

from absl import flags, logging

from tfvideogan.cli import define_generator_flags, define_path, launch, place_of
from tfvideogan.config import Config, UserError
from tfvideogan.generation import hugging_face
from tfvideogan.generation.formats import converting
from tfvideogan.generation.module import EXPORT_TRUNCATIONS, FUNCTIONS, Generator, from_module, refuse_existing, write
from tfvideogan.training.run_folder import from_run

define_generator_flags()
OUTPUT = define_path("output", None, "Folder of the module, or the file of another format.")
FORMAT = flags.DEFINE_enum("format", "saved_model", ["saved_model", *converting.FORMATS], "What is written.")
UPLOAD = flags.DEFINE_string("upload", None, "Repository of the Hugging Face Hub, hf://USER/NAME, that it is put into.")
PRECISION = flags.DEFINE_enum("export_precision", "float32", ["float32", "mixed_bfloat16"], "What the module computes in.")
OVERWRITE = flags.DEFINE_boolean("overwrite", False, "Replace what is there.")


def main(config: Config) -> None:
    workdir, module, output = flags.FLAGS.workdir, flags.FLAGS.module, OUTPUT.value
    if not output and not (module and UPLOAD.value and FORMAT.value == "saved_model"):
        raise UserError("--output is missing: expected a folder for the module, or a file of another --format")
    if bool(workdir) == bool(module):
        raise UserError("which generator? expected one of --workdir=DIR and --module=EXPORT")
    if module and output and FORMAT.value == "saved_model":
        raise UserError(f"--module={module}: is a SavedModel already, expected another --format, or --upload without --output")
    if output:
        refuse_existing(output, OVERWRITE.value)
    if UPLOAD.value:
        hugging_face.require_uploads(UPLOAD.value)
    with tempfile.TemporaryDirectory(prefix="tfvideogan_") as temporary:
        folder = place_of(module) if module else output if FORMAT.value == "saved_model" else f"{temporary}/module"
        if workdir:
            logging.info("building the generator of %s, which can take minutes", workdir)
            best = flags.FLAGS.checkpoint == "best"
            generator = from_run(workdir, config, best, precision=PRECISION.value, truncations=EXPORT_TRUNCATIONS)
            write(generator, folder, OVERWRITE.value)
            if folder == output:
                logging.info("wrote %s: hub.load(%r).%s", output, output, call_of(generator))
        if FORMAT.value != "saved_model":
            logging.info("converting to %s, which takes from seconds to minutes", FORMAT.value)
            difference = converting.write(from_module(folder, config), FORMAT.value, output)
            logging.info("wrote %s: the module's clips, to %.1g of 1", output, difference)
        if UPLOAD.value:
            logging.info("uploaded to %s", hugging_face.upload(with_card(folder, output, temporary), UPLOAD.value))


def call_of(generator: Generator) -> str:
    """How a run's generator is called: its function with the names of what it reads."""
    function = getattr(generator.source, FUNCTIONS[generator.kind])
    names = inspect.signature(function.python_function).parameters
    return f"{FUNCTIONS[generator.kind]}({', '.join(list(names)[: len(function.input_signature)])})"


def with_card(folder: str, output: str | None, temporary: str) -> Path:
    """A folder of what is uploaded: the module itself, or a copy of what was made of it, with the module's card."""
    if output in (None, folder):
        return Path(folder)
    made = Path(temporary) / "upload"
    if Path(output).is_dir():
        shutil.copytree(output, made)
    else:
        made.mkdir()
        shutil.copy(output, made)
    shutil.copy(Path(folder) / "README.md", made)
    return made


if __name__ == "__main__":
    launch(main, saved=("workdir", "module"))

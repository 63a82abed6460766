"""Prepares videos once, so that training reads them fast: `python -m tfvideogan.prepare --videos=DIR|CSV --output=DIR ...`.

Decodes, resizes, and writes a TFDS data set, for `--dataset=prepared --data_dir=OUTPUT` (and tfds.builder_from_directory).
Stop it when you like, and start it again with the same command: the files that come out are the same, byte for byte.
Of --dataset=poses, videos are written with stick figures of the person in them, estimated or read from OpenPose's files.
Of --dataset=cartoon, of VIDEOS/photos and VIDEOS/cartoons, come pictures, those of cartoons with smoothed edges too.
What cannot be used is listed, with the reason, in OUTPUT/rejected.jsonl.
"""

import tensorflow as tf
from absl import logging

from tfvideogan.cli import launch
from tfvideogan.config import RunFailed, UserError
from tfvideogan.data import paths
from tfvideogan.data.preparation import cartoon, preparing, preview
from tfvideogan.data.preparation.preparing import Settings


def main(settings: Settings) -> None:
    for name in ("videos", "output"):
        if not getattr(settings, name):
            expected = "a folder, or a CSV file" if name == "videos" else "a folder for the data set"
            raise UserError(f"--{name} is missing: expected {expected}")
        paths.enable_schemes(getattr(settings, name))
    try:
        if settings.dataset == "cartoon":
            cartoon.prepare(settings)
            return
        if preparing.is_complete(settings):
            preparing.remove(paths.join(settings.output, preparing.UNFINISHED))  # if it was killed after the last file
            preparing.warn_of_other_videos(settings)
            logging.info("%s is complete", settings.output)
        else:
            preparing.prepare(settings)
        if settings.preview:
            preview.write(settings.output, preparing.VIDEOS_FILE, preparing.REJECTED_FILE, settings.contents())
            logging.info("wrote %s", paths.join(settings.output, preview.PAGE))
    except (OSError, tf.errors.OpError) as error:
        where = f"--videos={settings.videos} --output={settings.output}: {error}"
        if paths.is_folder(paths.join(settings.output, preparing.UNFINISHED)):
            raise RunFailed(f"{where}. What is prepared is kept: start the same command again to go on.") from error
        raise UserError(where) from error


if __name__ == "__main__":
    launch(main, kind=Settings, output_folders=("output",))

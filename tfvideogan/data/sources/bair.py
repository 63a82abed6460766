"""BAIR robot pushing (Ebert, Finn, Lee, Levine 2017): an arm that moves things in a tray, 64x64, 30 frames. `--dataset=bair`.

--data_dir is a folder where TFDS prepared `bair_robot_pushing_small` (43,264 train and 256 test videos, of which "image_main" is
read, as in the papers; actions and the other camera are not), or a folder with train/ and test/ in it, whose videos are files or
folders of frames. It has no classes: every clip is of the same one. Not in training, a clip is from the middle of a video.
"""

import dataclasses

from tfvideogan.config import Clips, UserError
from tfvideogan.data.source import Source
from tfvideogan.data.sources import folder, prepared
from tfvideogan.data.sources.listing import Listing, files_source

NAME, CAMERA = "bair_robot_pushing_small", "image_main"  # of TFDS
LABELS = ("robot_pushing",)


def source(config: Clips, variant: str, split: str) -> Source:
    """The videos of a split. Raises UserError where there are none, and as `prepared` and `files_source` do."""
    if variant:
        raise UserError(f"--dataset={config.dataset}: expected bair, without a variant")
    for place in prepared.folders(config.data_dir):
        builder = prepared.open_builder(place)
        if builder.info.name == NAME:
            return prepared.pictures_source(config, builder, split, place, CAMERA, times=False, labels=LABELS)
    return files_source(config, listing(config.data_dir), split)


def listing(root: str) -> Listing:
    """The videos in train/ and test/. Raises UserError for another folder, and as `folder.listing` does."""
    found = folder.listing(root, "")
    if set(found.splits) != {"train", "test"}:
        got = f"folders of {', '.join(found.splits)}" if found.splits else "no folders of splits"
        raise UserError(f"--data_dir={root}: got {got}, expected train and test, or what TFDS prepared of {NAME}")
    videos = [dataclasses.replace(video, label=0) for video in found.videos]
    return dataclasses.replace(found, labels=LABELS, videos=tuple(videos))

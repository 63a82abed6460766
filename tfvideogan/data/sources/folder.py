"""Any folder of videos as it lies: `--dataset=folder --data_dir=DIR` reads what is in DIR/<class>/.

That is video files (avi, mp4, mov, mkv, webm, gif and others, decode.VIDEOS); pictures (png, jpg, tif, webp and others,
decode.PICTURES) that hold a video as an animation, or as a wide or tall strip of square frames, MoCoGAN's format; and folders of
pictures, one a frame, in the order of the numbers in their names. What else lies there is told of.

Classes are the subfolders, in alphabetical order; where there are none, the videos in DIR are one class of its name. Every
split is the whole folder, unless --held_out says which files are split test: with --held_out='person[56]_' the file
wave1/person5_a.mp4 is, and wave1/person4_a.mp4 is split train.
"""

import os
import re

import tensorflow as tf

from tfvideogan.config import Clips, UserError
from tfvideogan.data import paths
from tfvideogan.data.decode import PICTURES, SUFFIXES, VIDEOS
from tfvideogan.data.source import Source
from tfvideogan.data.sources.listing import Listing, Rejected, Video, files_source

NOT_UTF8 = "its name is not UTF-8"


def source(config: Clips, variant: str, split: str) -> Source:
    """See the module, `listing` and `files_source`. Raises UserError as they do, and for a class without videos in the split."""
    if variant:
        raise UserError(f"--dataset={config.dataset}: want folder, without a variant")
    found = listing(config.data_dir, config.held_out)
    if not config.held_out:
        return files_source(config, found, "train")
    for label, name in enumerate(found.labels):
        of_class = [video for video in found.videos if video.label == label]
        if not any(video.split in split.split("+") for video in of_class):
            raise UserError(f"--held_out={config.held_out}: class {name!r} has {len(of_class)} videos, none of them for --split={split}")
    return files_source(config, found, split)


def listing(root: str, held_out: str, labels: tuple[str, ...] = ()) -> Listing:
    """The videos of a folder: split test where the regular expression is found in CLASS/NAME, else train.

    Args:
        root: the folder.
        held_out: the regular expression; empty for none.
        labels: the classes; videos of others are rejected. The folder's own, if empty.

    Raises: UserError for a folder that is missing or has no or empty classes, and for what is no regular expression.
    """
    _check_name(root)
    if not root or not paths.is_folder(root):
        raise UserError(f"--data_dir={root}: no such folder; want one with a subfolder of videos for each class")
    try:
        is_held_out = re.compile(held_out)
    except re.error as error:
        raise UserError(f"--held_out={held_out}: no regular expression ({error})") from error
    names = paths.children(root)
    folders = {name: f"{name}/" for name in names if paths.is_utf8(name) and paths.is_folder(paths.join(root, name))}
    loose = [name for name in names if name not in folders]
    if not folders and not any(paths.suffix(name) in VIDEOS for name in loose):
        raise UserError(f"--data_dir={root}: no subfolders; want one for each class, with its videos")
    rejected, others, videos = [], [], []
    if folders:
        rejected = [Rejected(_shown(name), "in none of the class folders") for name in loose if paths.suffix(name) in SUFFIXES]
        others = [Rejected(_shown(name), _fault(root, name)) for name in loose if paths.suffix(name) not in SUFFIXES]
    folders = folders or {os.path.basename(os.path.abspath(root)): ""}
    numbers = {name: number for number, name in enumerate(labels or folders)}
    for label, folder in folders.items():
        items = [folder + name for name in paths.children(paths.join(root, folder))]
        faults = {name: _fault(root, name) for name in items}
        if all(faults.values()):
            raise UserError(f"--data_dir={root}: class {label!r} has no video ({' '.join(SUFFIXES)})")
        for name in items:
            if faults[name] == NOT_UTF8:
                rejected.append(Rejected(_shown(name), NOT_UTF8))
            elif faults[name]:
                others.append(Rejected(name, faults[name]))
            elif label not in numbers:
                rejected.append(Rejected(name, f"its class {label!r} is not in the list of labels"))
            else:
                split = "test" if held_out and is_held_out.search(name) else "train"
                videos.append(Video(name, paths.join(root, name), numbers[label], split))
    return Listing(tuple(numbers), tuple(videos), tuple(rejected), tuple(others))


def _check_name(root: str) -> None:
    if not paths.is_utf8(root):  # a run could not write it down
        raise UserError(f"--data_dir={_shown(root)}: {NOT_UTF8}; rename the folder, or link to it")


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _fault(root: str, name: str) -> str:
    """Why something in a folder is not taken for a video; empty if it is: a file by its ending, a folder by pictures in it."""
    if not paths.is_utf8(name):
        return NOT_UTF8
    path = paths.join(root, name)
    if paths.is_folder(path):
        return "" if any(paths.suffix(file) in PICTURES for file in paths.children(path)) else "folders without pictures"
    return "" if paths.suffix(name) in SUFFIXES else _ending(name)


def _ending(name: str) -> str:
    return f"files ending in {paths.suffix(name)}" if paths.suffix(name) else "files without an ending"


def at(path: str) -> Listing:
    """The videos at a path: a file alone, or those of a folder as `listing` reads it. Raises UserError if there are none."""
    if paths.is_folder(path):
        return listing(path, "")
    if not tf.io.gfile.exists(path):
        raise UserError(f"--source={path}: no such file or folder")
    return Listing(("",), (Video(path.rpartition("/")[2], path, 0, "train"),))

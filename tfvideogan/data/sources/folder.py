"""Any folder of videos as it lies: `--dataset=folder --data_dir=DIR` reads what is in DIR/<class>/.

That is video files (avi, mp4, mov, mkv, webm, gif); pictures (png, jpg, bmp, webp) that hold a video as a wide or tall
strip of square frames, MoCoGAN's format; and folders of pictures, one a frame, in the order of the numbers in their names.

Classes are the subfolders, in alphabetical order; where there are none, the videos in DIR are one class of its name. Every
split is the whole folder, unless --held_out says which files are split test: with --held_out='person[56]_' the file
wave1/person5_a.mp4 is, and wave1/person4_a.mp4 is split train.
"""

import os
import re
from collections.abc import Sequence

import tensorflow as tf

from tfvideogan.config import Clips, UserError
from tfvideogan.data import paths
from tfvideogan.data.decode import PICTURES, SUFFIXES, VIDEOS
from tfvideogan.data.source import Source
from tfvideogan.data.sources.listing import Listing, Rejected, Video, files_source


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
    if not root or not tf.io.gfile.isdir(root):
        raise UserError(f"--data_dir={root}: no such folder; want one with a subfolder of videos for each class")
    try:
        is_held_out = re.compile(held_out)
    except re.error as error:
        raise UserError(f"--held_out={held_out}: no regular expression ({error})") from error
    names = paths.children(root)
    folders = {name: f"{name}/" for name in names if paths.is_utf8(name) and tf.io.gfile.isdir(paths.join(root, name))}
    loose = [name for name in names if paths.suffix(name) in VIDEOS]
    if not folders and not loose:
        raise UserError(f"--data_dir={root}: no subfolders; want one for each class, with its videos")
    rejected = [Rejected(_shown(name), "in none of the class folders") for name in loose] if folders else []
    folders = folders or {os.path.basename(os.path.abspath(root)): ""}
    numbers = {name: number for number, name in enumerate(labels or folders)}
    videos = []
    for label, folder in folders.items():
        items = [folder + name for name in paths.children(paths.join(root, folder)) if _is_video(root, folder + name)]
        if not items:
            raise UserError(f"--data_dir={root}: class {label!r} has no video ({' '.join(SUFFIXES)})")
        for name in items:
            if not paths.is_utf8(name):
                rejected.append(Rejected(_shown(name), "its name is not UTF-8"))
            elif label not in numbers:
                rejected.append(Rejected(name, f"its class {label!r} is not in the list of labels"))
            else:
                split = "test" if held_out and is_held_out.search(name) else "train"
                videos.append(Video(name, paths.join(root, name), numbers[label], split))
    return Listing(tuple(numbers), tuple(videos), tuple(rejected))


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _is_video(root: str, name: str) -> bool:
    """Whether it looks like a video: a file by its ending, a folder by pictures in it."""
    if paths.suffix(name) in SUFFIXES or not paths.is_utf8(name):
        return True
    path = paths.join(root, name)
    return not paths.suffix(name) and tf.io.gfile.isdir(path) and any(paths.suffix(file) in PICTURES for file in paths.children(path))


def loose(config: Clips, root: str, known: Sequence[str]) -> Source:
    """Clips of all video files under `root`, however deep: its subfolders are the classes; of videos beside them, or without any,
    there is one class, with an empty name. Each is decoded when it is needed, and not kept.

    Args:
        known: names of classes, which are numbered so if they hold all of the folder's; else in alphabetical order.
    Raises: UserError, naming --data_dir, if there is none or too few can be used.
    """
    names = [name for name in paths.files_below(root) if paths.suffix(name) in VIDEOS]
    if not names:
        raise UserError(f"--data_dir={root}: no video in it ({' '.join(VIDEOS)})")
    nested = all("/" in name for name in names)
    classes = [name.split("/")[0] if nested else "" for name in names]
    labels = tuple(known) if set(classes) <= set(known) else tuple(sorted(set(classes)))
    videos = [Video(name, paths.join(root, name), labels.index(of), "train") for name, of in zip(names, classes, strict=True)]
    return files_source(config, Listing(labels, tuple(videos)), "train", keep=False)

"""Any folder of videos as it lies: `--dataset=folder --data_dir=DIR` reads what is in DIR/<class>/.

That is video files (avi, mp4, mov, mkv, webm, gif and others, decode.VIDEOS); pictures (png, jpg, tif, webp and others,
decode.PICTURES) that hold a video as an animation, or as a wide or tall strip of square frames, MoCoGAN's format; and folders of
pictures, one a frame, in the order of the numbers in their names. What else lies there is told of; a run, a module,
a prepared set or a report is no class.

Classes are the subfolders, in alphabetical order; where there are none, or they are folders of frames, the videos in DIR are one
class of its name. Every split is the whole folder, unless --held_out says which files are split test (with
--held_out='person[56]_' the file wave1/person5_a.mp4 is, and wave1/person4_a.mp4 is split train), or the subfolders are named as
splits: of DIR/train/<class>/ and DIR/val/<class>/ the first is split train, the second validation.
"""

import os

import tensorflow as tf

from tfvideogan.config import FLAGS_FILE, Clips, UserError
from tfvideogan.data import paths, pictures
from tfvideogan.data.decode import PICTURES, SUFFIXES, VIDEOS
from tfvideogan.data.source import Source
from tfvideogan.data.sources.listing import SPLIT_OF, Listing, Rejected, Video, files_source, held_out_pattern, require_held_out
from tfvideogan.data.sources.listing import SPLITS as SPLITS  # part of what this file promises

A_RUN = "folders of runs and modules, prepared sets and reports"
OURS = {FLAGS_FILE, "prepare.json", "rejected.jsonl", "report.html"}  # one of these is in each of them
LOOKED_AT = 8  # pictures of a folder that tell strips from frames
DEPTH = 3  # folders between a class's and a run's, at most


def source(config: Clips, variant: str, split: str) -> Source:
    """See the module, `listing` and `files_source`. Raises UserError as they do, and for a class without videos in the split."""
    if variant:
        raise UserError(f"--dataset={config.dataset}: expected folder, without a variant")
    found = listing(config.data_dir, config.held_out)
    if not found.splits:
        return files_source(config, found, "train")
    for label, name in enumerate(found.labels):
        of_class = [video for video in found.videos if video.label == label]
        if not any(video.split in split.split("+") for video in of_class):
            flag = f"--held_out={config.held_out}" if config.held_out else f"--data_dir={config.data_dir}"
            raise UserError(f"{flag}: class {name!r} has {len(of_class)} videos, none of them for --split={split}")
    return files_source(config, found, split)


def listing(root: str, held_out: str, labels: tuple[str, ...] = ()) -> Listing:
    """The videos of a folder: split test where the regular expression is found in CLASS/NAME, else train; or as its subfolders say.

    Args:
        root: the folder.
        held_out: the regular expression; empty for none.
        labels: the classes; videos of others are rejected. The folder's own, if empty.

    Raises: UserError for a folder that is missing or has no or empty classes, and for what is no regular expression.
    """
    _check_name(root)
    if not root or not paths.is_folder(root):
        raise UserError(f"--data_dir={root}: no such folder; expected one with a subfolder of videos for each class")
    reason = _closed(root)
    if reason:
        raise UserError(f"--data_dir={root}: {reason}")
    is_held_out = held_out_pattern(held_out)
    split_of = _split_folders(root)
    if held_out and split_of:
        raise UserError(f"--held_out={held_out}: {root} has folders for its splits, {', '.join(split_of)}; expected no --held_out")
    rejected: list[Rejected] = []
    others: list[Rejected] = []
    if split_of:
        beside = [name for name in paths.children(root) if name not in split_of]
        others = [Rejected(paths.shown(name), why_no_video(root, name) or "beside the folders of splits") for name in beside]
    classes: dict[str, list[tuple[str, str]]] = {}  # of each its folders, below the root, and their splits
    for part, split in split_of.items() or [("", "train")]:
        for label, folder in _classes(root, part, rejected, others).items():
            classes.setdefault(label, []).append((folder, split))
    if not classes:
        closed = f"; {rejected[0].name}: {rejected[0].reason}" if rejected else ""
        raise UserError(f"--data_dir={root}: no subfolders; expected one for each class, with its videos{closed}")
    numbers = {name: number for number, name in enumerate(labels or sorted(classes))}
    videos: list[Video] = []
    for label, (folder, split) in [(name, place) for name in sorted(classes) for place in classes[name]]:
        items = [folder + name for name in paths.children(paths.join(root, folder))]
        faults = {name: why_no_video(root, name) for name in items}
        if all(faults.values()):
            raise UserError(f"--data_dir={root}: class {label!r} has no video{' in ' + folder if split_of else ''} ({' '.join(SUFFIXES)})")
        for name in items:
            if faults[name] == paths.NOT_PLAIN:
                rejected.append(Rejected(paths.shown(name), paths.NOT_PLAIN))
            elif faults[name]:
                others.append(Rejected(paths.shown(name), faults[name]))
            elif label not in numbers:
                rejected.append(Rejected(name, f"its class {label!r} is not in the list of labels"))
            else:
                videos.append(
                    Video(name, paths.join(root, name), numbers[label], "test" if held_out and is_held_out.search(name) else split)
                )
                others += beside_frames(root, name)
    require_held_out(held_out, [video.name for video in videos])
    splits = tuple(dict.fromkeys(split_of.values())) or (("train", "test") if held_out else ())
    return Listing(tuple(numbers), tuple(videos), tuple(rejected), tuple(others), splits)


def _split_folders(root: str) -> dict[str, str]:
    """The splits of the folders that are named as such, if all folders with videos are; else none."""
    names = [name for name in paths.children(root) if paths.is_plain(name) and paths.is_folder(paths.join(root, name))]
    split_of = {name: SPLIT_OF[name.lower()] for name in names if name.lower() in SPLIT_OF}
    inside = {name: paths.join(root, name) for name in names}
    if any(name not in split_of and not _is_run(inside[name]) and _holds_videos(inside[name]) for name in names):
        return {}
    below = [paths.join(inside[name], one) for name in split_of for one in _names(inside[name])]
    if len(split_of) == 1 and not any(map(paths.is_folder, below)):
        return {}  # a class of trains
    return split_of


def _classes(root: str, part: str, rejected: list[Rejected], others: list[Rejected]) -> dict[str, str]:
    """The folder of each class below `root`/`part`, as a path below root that ends in a slash or is empty. Adds what is beside them."""
    base, before = paths.join(root, part) if part else root, f"{part}/" if part else ""
    names = paths.children(base)
    folders = {name: f"{before}{name}/" for name in names if paths.is_plain(name) and paths.is_folder(paths.join(base, name))}
    faults = {name: _closed(paths.join(base, name)) or (A_RUN if _is_run(paths.join(base, name)) else "") for name in folders}
    classes = {name: folder for name, folder in folders.items() if not faults[name]}
    loose = [name for name in names if name not in folders]
    if any(paths.suffix(name) in VIDEOS for name in loose) if not classes else _are_frames([paths.join(base, name) for name in classes]):
        return {os.path.basename(os.path.abspath(root)): before}
    for name in loose:
        if paths.suffix(name) in SUFFIXES:
            rejected.append(Rejected(paths.shown(before + name), "in none of the class folders"))
        else:
            others.append(Rejected(paths.shown(before + name), why_no_video(base, name)))
    for name, fault in faults.items():
        if fault:
            (others if fault == A_RUN else rejected).append(Rejected(before + name, fault))
    return classes


def _names(folder: str) -> list[str]:
    """As `paths.children`; none of a folder that cannot be looked into."""
    return [] if _closed(folder) else paths.children(folder)


def _holds_videos(folder: str) -> bool:
    """Whether a folder has videos, or folders that have."""
    names = _names(folder)
    below = [paths.join(folder, name) for name in names if paths.is_plain(name)]
    return any(paths.suffix(name) in SUFFIXES for name in names) or any(
        paths.suffix(name) in SUFFIXES for path in below if paths.is_folder(path) for name in _names(path)
    )


def _is_run(folder: str, depth: int = DEPTH) -> bool:
    """Whether a folder is a run's or a module's, or has only such folders in it."""
    names = _names(folder)
    if OURS & set(names):
        return True
    if not depth or not names or any(paths.suffix(name) in SUFFIXES or not paths.is_plain(name) for name in names):
        return False
    below = [paths.join(folder, name) for name in names if paths.is_folder(paths.join(folder, name))]
    return bool(below) and all(_is_run(path, depth - 1) for path in below)


def _are_frames(folders: list[str]) -> bool:
    """Whether folders that might be classes are each a video, a picture a frame: pictures that are neither strips nor animations."""
    for folder in folders:
        names = _names(folder)
        if not any(paths.suffix(name) in PICTURES for name in names) or any(paths.suffix(name) in VIDEOS for name in names):
            return False
        if any(paths.is_folder(paths.join(folder, name)) for name in names if not paths.suffix(name) and paths.is_plain(name)):
            return False
    found = pictures.names(folders[0])[:LOOKED_AT]
    return len(found) > 1 and not any(_is_strip(paths.join(folders[0], name)) for name in found)


def _is_strip(path: str) -> bool:
    try:
        pictures.probe(path)
    except (ValueError, OSError, tf.errors.OpError):
        return False
    return True


def beside_frames(root: str, name: str) -> list[Rejected]:
    """What is in a folder of frames beside them."""
    path = paths.join(root, name)
    if not paths.is_folder(path):
        return []
    files = [file for file in paths.children(path) if paths.suffix(file) not in PICTURES or not paths.is_plain(file)]
    return [Rejected(paths.shown(f"{name}/{file}"), why_no_video(path, file) or "videos in a folder of frames") for file in files]


def _closed(folder: str) -> str:
    """Why a folder cannot be looked into; empty if it can."""
    try:
        paths.children(folder)
    except (OSError, tf.errors.OpError) as error:
        return f"cannot be read ({getattr(error, 'strerror', None) or str(error).splitlines()[0]})"
    return ""


def _check_name(root: str) -> None:
    if not paths.is_plain(root):  # a run could not write it down
        raise UserError(f"--data_dir={paths.shown(root)}: {paths.NOT_PLAIN}; rename the folder, or link to it")


def why_no_video(root: str, name: str) -> str:
    """Why something in a folder is not taken for a video; empty if it is: a file by its ending, a folder by pictures in it."""
    if not paths.is_plain(name):
        return paths.NOT_PLAIN
    path = paths.join(root, name)
    if paths.is_folder(path):
        reason = _closed(path)
        if reason:
            return reason
        files = paths.children(path)
        if not OURS & set(files) and any(paths.suffix(file) in PICTURES for file in files):
            return ""
        return A_RUN if _is_run(path) else "folders without pictures"
    return "" if paths.suffix(name) in SUFFIXES else paths.looks(name)


def at(path: str) -> Listing:
    """The videos at a path: a file alone, or those of a folder as `listing` reads it. Raises UserError if there are none."""
    if paths.is_folder(path):
        return listing(path, "")
    if not tf.io.gfile.exists(path):
        raise UserError(f"--source={path}: no such file or folder")
    return Listing(("",), (Video(path.rpartition("/")[2], path, 0, "train"),))

"""Any folder of videos as it lies: `--dataset=folder --data_dir=DIR` reads DIR/<class>/*.{avi,mp4,mov,mkv,webm,gif}.

Classes are the subfolders, in alphabetical order. Every split is the whole folder.
"""

from collections.abc import Sequence
from pathlib import Path

from tfvideogan.config import Config, UserError
from tfvideogan.data.decode import SUFFIXES, video_source
from tfvideogan.data.source import Source


def source(config: Config, variant: str, split: str) -> Source:
    """See the module, and `video_source`. Raises UserError for a folder that is missing or has no or empty classes."""
    if variant:
        raise UserError(f"--dataset={config.dataset}: want folder, without a variant")
    root = Path(config.data_dir)
    if not config.data_dir or not root.is_dir():
        raise UserError(f"--data_dir={config.data_dir}: no such folder; want one with a subfolder of videos for each class")
    classes = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    if not classes:
        raise UserError(f"--data_dir={config.data_dir}: no subfolders; want one for each class, with its videos")
    files = []
    for label, folder in enumerate(classes):
        videos = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
        if not videos:
            raise UserError(f"--data_dir={config.data_dir}: class {folder.name!r} has no video ({' '.join(SUFFIXES)})")
        files += [(path, label) for path in videos]
    return video_source(config, [folder.name for folder in classes], files)


def loose(config: Config, root: Path, known: Sequence[str]) -> Source:
    """Clips of all videos under `root`, however deep: its subfolders are the classes; of videos beside them, or without any, there
    is one class, with an empty name. Each is decoded when it is needed, and not kept.

    Args:
        known: names of classes, which are numbered so if they hold all of the folder's; else in alphabetical order.
    Raises: UserError, naming --data_dir, if there is none or too few can be used.
    """
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    if not files:
        raise UserError(f"--data_dir={root}: no video in it ({' '.join(SUFFIXES)})")
    nested = all(path.parent != root for path in files)
    of = [path.relative_to(root).parts[0] if nested else "" for path in files]
    labels = list(known) if set(of) <= set(known) else sorted(set(of))
    return video_source(config, labels, [(path, labels.index(label)) for path, label in zip(files, of, strict=True)], cache_bytes=0)

"""UCF-101: 13,320 videos of 101 human actions (Soomro, Zamir, Shah 2012). `--dataset=ucf101/splitN`, N = 1 (default), 2, 3.

Reads, under --data_dir, whichever is there:
- the extracted archives: UCF-101/<class>/v_*.avi and ucfTrainTestlist/{classInd,trainlist0N,testlist0N}.txt
- what `tfds build ucf101/ucf101_N` wrote (or ucf101_1_256, whose frames are squeezed to squares), by random access
"""

import tensorflow as tf

from tfvideogan.config import Clips, UserError
from tfvideogan.data import paths
from tfvideogan.data.source import Source
from tfvideogan.data.sources import prepared
from tfvideogan.data.sources.listing import Listing, Rejected, Video, files_source

VARIANTS = ("split1", "split2", "split3")
VIDEOS, LISTS = "UCF-101", "ucfTrainTestlist"


def source(config: Clips, variant: str, split: str) -> Source:
    """The official list `variant` of train, test or both. Listed files that are missing are named in warnings.

    Raises: UserError for an unknown variant, and where neither layout or none of the listed files is found.
    """
    number = number_of(config.dataset, variant)
    if is_extracted(config.data_dir):
        found = listing(config.data_dir, number)
        if not any(video.split in split.split("+") for video in found.videos):
            raise UserError(
                f"--data_dir={config.data_dir}: none of the videos listed for --split={split} of split{number} is there; "
                "--split=train+test or another ucf101/splitN may have some"
            )
        return files_source(config, found, split)
    names = (f"ucf101_{number}", f"ucf101_{number}_256")
    builders = sorted((b for b in prepared.builders(config.data_dir) if b.info.config_name in names), key=lambda b: b.info.config_name)
    if builders:
        return prepared.builder_source(config, builders[0], split)
    raise UserError(
        f"--data_dir={config.data_dir}: expected a folder with {VIDEOS}/<class>/*.avi and {LISTS}/*.txt, or with {names[0]} "
        "prepared by TFDS (tfds build ucf101)"
    )


def number_of(dataset: str, variant: str) -> str:
    """1, 2 or 3 of a variant; split1 if empty. Raises UserError for another."""
    if variant and variant not in VARIANTS:
        raise UserError(f"--dataset={dataset}: expected ucf101/ and one of {', '.join(VARIANTS)}")
    return (variant or VARIANTS[0])[-1]


def is_extracted(root: str) -> bool:
    return bool(root) and all(tf.io.gfile.isdir(paths.join(root, folder)) for folder in (VIDEOS, LISTS))


def listing(root: str, number: str) -> Listing:
    """The videos of the official lists `number`: train and test. Raises UserError where a list is missing or is none."""
    named = [line.split() for line in _lines(root, "classInd.txt")]
    if not all(len(words) == 2 for words in named):
        raise UserError(f"{paths.join(root, LISTS, 'classInd.txt')}: expected a number and a class in every line")
    labels = [label for _, label in named]
    label_of = {name: label for label, name in enumerate(labels)}
    present = set(paths.files_below(paths.join(root, VIDEOS)))
    videos, rejected = [], []
    listed_in: dict[str, str] = {}
    for split in ("train", "test"):
        names = f"{split}list0{number}.txt"
        for line in _lines(root, names):
            name = line.split()[0]
            if name in listed_in:
                rejected.append(Rejected(name, f"listed twice, in {listed_in[name]} and {names}"))
                continue
            listed_in[name] = names
            if name.split("/")[0] not in label_of:
                rejected.append(Rejected(name, f"{names}: of no class of classInd.txt"))
            elif name not in present:
                rejected.append(Rejected(name, f"listed in {names}, but there is no such file"))
            else:
                videos.append(Video(name, paths.join(root, VIDEOS, name), label_of[name.split("/")[0]], split))
    others = [Rejected(paths.shown(name), f"in neither list {number}") for name in sorted(present - listed_in.keys())]
    return Listing(tuple(labels), tuple(videos), tuple(rejected), tuple(others))


def _lines(root: str, name: str) -> list[str]:
    path = paths.join(root, LISTS, name)
    if not tf.io.gfile.exists(path):
        raise UserError(f"{path}: no such file; it is part of UCF101TrainTestSplits-RecognitionTask.zip")
    try:
        return [line for line in paths.read_text(path).splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: no text in UTF-8 ({error})") from error

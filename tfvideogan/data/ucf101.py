"""UCF-101: 13,320 videos of 101 human actions (Soomro, Zamir, Shah 2012). `--dataset=ucf101/splitN`, N = 1 (default), 2, 3.

Reads, under --data_dir, whichever is there:
- the extracted archives: UCF-101/<class>/v_*.avi and ucfTrainTestlist/{classInd,trainlist0N,testlist0N}.txt
- what `tfds build ucf101/ucf101_N` wrote (or ucf101_1_256, whose frames are squeezed to squares), by random access
"""

import logging
from pathlib import Path

from tfvideogan.config import Config, UserError
from tfvideogan.data import prepared
from tfvideogan.data.decode import video_source
from tfvideogan.data.source import Source

VARIANTS = ("split1", "split2", "split3")


def source(config: Config, variant: str, split: str) -> Source:
    """The official list `variant` of train, test or both. Listed files that are missing are counted in a warning.

    Raises: UserError for an unknown variant, and where neither layout or none of the listed files is found.
    """
    variant = variant or VARIANTS[0]
    if variant not in VARIANTS:
        raise UserError(f"--dataset={config.dataset}: want ucf101/ and one of {', '.join(VARIANTS)}")
    number, root = variant[-1], Path(config.data_dir)
    if config.data_dir and (root / "UCF-101").is_dir() and (root / "ucfTrainTestlist").is_dir():
        return _extracted(config, root, number, split)
    names = (f"ucf101_{number}", f"ucf101_{number}_256")
    builders = sorted((b for b in prepared.builders(config.data_dir) if b.info.config_name in names), key=lambda b: b.info.config_name)
    if builders:
        return prepared.builder_source(config, builders[0], split)
    raise UserError(
        f"--data_dir={config.data_dir}: want a folder with UCF-101/<class>/*.avi and ucfTrainTestlist/*.txt, or with {names[0]} "
        "prepared by TFDS (tfds build ucf101)"
    )


def _extracted(config: Config, root: Path, number: str, split: str) -> Source:
    labels = [line.split()[1] for line in _lines(root / "ucfTrainTestlist" / "classInd.txt")]
    label_of = {name: label for label, name in enumerate(labels)}
    listed = []
    for part in split.split("+"):
        names = root / "ucfTrainTestlist" / f"{part}list0{number}.txt"
        for line in _lines(names):
            file = line.split()[0]
            if file.split("/")[0] not in label_of:
                raise UserError(f"{names}: {file} is of no class of classInd.txt")
            listed.append((root / "UCF-101" / file, label_of[file.split("/")[0]]))
    files = [(path, label) for path, label in listed if path.is_file()]
    if not files:
        raise UserError(
            f"--data_dir={config.data_dir}: none of the {len(listed)} videos listed for --split={split} of split{number} is there; "
            "--split=train+test or another ucf101/splitN may have some"
        )
    if len(files) < len(listed):
        first = next(path for path, _ in listed if not path.is_file())
        logging.warning("%d of the %d listed videos are missing, the first: %s", len(listed) - len(files), len(listed), first)
    return video_source(config, labels, files)


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; it is part of UCF101TrainTestSplits-RecognitionTask.zip")
    return [line for line in path.read_text().splitlines() if line.strip()]

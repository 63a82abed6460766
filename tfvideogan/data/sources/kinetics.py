"""Kinetics-400, -600 and -700 (Kay et al. 2017; Carreira et al. 2018, 2019): `--dataset=kinetics/600`, 600 being the default.

--data_dir is a CSV file of the official form (label,youtube_id,time_start,time_end,split), its videos beside or below it, or
a folder with such CSV files in it or in annotations/. Videos are found by name, in whatever folders they lie:
ID_START_END.*, START and END with or without leading zeros, or ID.* if that is no longer than the clip. Classes are the
CSV's labels in alphabetical order. Rows whose file is missing (videos leave YouTube) are named and counted.
"""

import csv
import io
import logging
from collections.abc import Iterator

import tensorflow as tf

from tfvideogan.config import Clips, UserError
from tfvideogan.data import paths
from tfvideogan.data.decode import VIDEOS
from tfvideogan.data.source import Source
from tfvideogan.data.sources.listing import SPLIT_OF, Listing, Rejected, Video, files_source
from tfvideogan.data.sources.listing import SPLITS as SPLITS  # part of what this file promises

VARIANTS = ("400", "600", "700")
COLUMNS = ("label", "youtube_id", "time_start", "time_end")
SPARE = 2.0  # seconds a file may be longer than its clip: cuts fall on key frames


def source(config: Clips, variant: str, split: str) -> Source:
    """The videos of a split. Raises UserError for an unknown variant, and as `listing` and `files_source` do."""
    return files_source(config, listing(config.data_dir, classes_of(config.dataset, variant)), split)


def classes_of(dataset: str, variant: str) -> int:
    """400, 600 or 700. Raises UserError for another variant."""
    if variant and variant not in VARIANTS:
        raise UserError(f"--dataset={dataset}: expected kinetics/ and one of {', '.join(VARIANTS)}")
    return int(variant or 600)


def listing(root: str, classes: int, labels: tuple[str, ...] = ()) -> Listing:
    """The rows of the CSV files whose video is there.

    Args:
        root: a CSV file, or a folder of them and of the videos.
        classes: how many the data set has.
        labels: the classes; rows of others are rejected. Those of the CSV files, if empty.

    Raises: UserError where there is no CSV file or video, and for more labels than classes.
    """
    folder, tables = _tables(root)
    rows = [row for table in tables for row in _rows(table)]
    labels = labels or tuple(sorted({row["label"] for row in rows if row["label"]}))
    if len(labels) > classes:
        raise UserError(f"--data_dir={root}: its CSV files have {len(labels)} labels, kinetics/{classes} has {classes}")
    if len(labels) < classes:
        logging.warning("%s has %d of the %d classes of kinetics/%d", root, len(labels), classes, classes)
    number_of = {label: number for number, label in enumerate(labels)}
    files = _by_stem(folder)
    videos, rejected, taken = [], [], set()
    seen: dict[str, str] = {}
    for row in rows:
        start, end, name = row["start"], row["end"], row["name"]
        reason = row["fault"]
        if not reason and name in seen:
            reason = f"listed twice, as {seen[name]} and as {row['label']}"
        elif not reason and row["label"] not in number_of:
            reason = f"its label {row['label']!r} is not in the list of labels"
        if reason:
            rejected.append(Rejected(name, reason))
            continue
        seen[name] = row["label"]
        stems = (f"{row['youtube_id']}_{start:06.0f}_{end:06.0f}", f"{row['youtube_id']}_{start:.0f}_{end:.0f}", row["youtube_id"])
        found = [file for stem in stems for file in sorted(files.get(stem, ()), key=lambda file: not _fits(file, row)) if file not in taken]
        if not found:
            rejected.append(Rejected(name, f"no file {stems[0]}.*"))
            continue
        taken.add(found[0])
        videos.append(Video(found[0], paths.join(folder, found[0]), number_of[row["label"]], row["split"], end - start + SPARE))
    if not videos:
        first = f"; the first, {rejected[0].name}: {rejected[0].reason}" if rejected else ""
        raise UserError(f"--data_dir={root}: none of the {len(rows)} videos in its CSV files can be used{first}")
    known = {name for names in files.values() for name in names}
    lists = {table.rpartition("/")[2] for table in tables}
    others = [
        Rejected(paths.shown(name), "in no row of the CSV files" if name in known else paths.looks(name))
        for name in sorted(known - taken) + [name for name in paths.files_below(folder) if name not in known]
        if name.rpartition("/")[2] not in lists
    ]
    return Listing(tuple(labels), tuple(videos), tuple(rejected), tuple(others))


def _tables(root: str) -> tuple[str, list[str]]:
    """The folder of the videos, and the CSV files. Raises UserError if there are none."""
    if paths.suffix(root) == ".csv" and tf.io.gfile.exists(root):
        return root.rpartition("/")[0] or ".", [root]
    for folder in (root, paths.join(root, "annotations")) if root else ():
        names = [name for name in paths.children(folder) if paths.suffix(name) == ".csv"] if tf.io.gfile.isdir(folder) else []
        if names:
            return root, [paths.join(folder, name) for name in names]
    columns = ",".join((*COLUMNS, "split"))
    raise UserError(f"--data_dir={root}: expected a Kinetics CSV file ({columns}), or a folder with some, beside the videos")


def _rows(table: str) -> Iterator[dict]:
    """The rows of a CSV file, with "name", "start", "end", "split" and "fault", what is wrong with it. Raises UserError for no CSV."""
    try:
        reader = csv.DictReader(io.StringIO(paths.read_text(table), newline=""))
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: no CSV file in UTF-8 ({error})") from error
    missing = [column for column in COLUMNS[1:] if column not in (reader.fieldnames or ())]
    if missing:
        raise UserError(f"{table}: no column {', '.join(missing)}; expected {','.join(COLUMNS)},split")
    of_file = table.rpartition("/")[2].rpartition(".")[0].rpartition("_")[2].lower()  # val.csv, kinetics-600_val.csv
    for number, row in enumerate(rows, 2):
        row = {key: (value or "").strip() for key, value in row.items() if isinstance(value, str) or value is None}
        label, split, fault = row.get("label", ""), SPLIT_OF.get(row.get("split", "") or of_file), ""
        try:
            start, end = float(row["time_start"]), float(row["time_end"])
        except ValueError:
            start, end, fault = 0.0, 0.0, "no times"
        fault = fault or ("no label" if not label else "" if split else f"no split ({row.get('split', '')!r})")
        fault = fault or ("no youtube_id" if not row["youtube_id"] else "")
        name = f"{row['youtube_id']}_{start:06.0f}_{end:06.0f}"
        where = f"line {number} of {table.rpartition('/')[2]}: {fault}" if fault else ""
        yield {"youtube_id": row["youtube_id"], "label": label, "split": split, "start": start, "end": end, "name": name, "fault": where}


def _by_stem(folder: str) -> dict[str, list[str]]:
    """Every video file below a folder, by its name without the ending."""
    files: dict[str, list[str]] = {}
    for name in paths.files_below(folder):
        if paths.suffix(name) in VIDEOS and paths.is_plain(name):
            files.setdefault(name.rpartition("/")[2].rpartition(".")[0], []).append(name)
    return files


def _fits(file: str, row: dict) -> bool:
    """Whether a file lies in a folder of its label or split: of several copies, that one is taken."""
    folders = {folder.replace("_", " ") for folder in file.split("/")[:-1]}
    return row["label"].replace("_", " ") in folders or bool({row["split"], "val"} & folders)

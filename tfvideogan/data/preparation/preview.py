"""A prepared data set to look at: preview.png shows clips as training reads them, preview.html counts."""

import collections
import html
import itertools
import json
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from tfvideogan import data
from tfvideogan.config import Config
from tfvideogan.data import paths
from tfvideogan.data.sources import prepared
from tfvideogan.files import write_whole
from tfvideogan.generation import pictures
from tfvideogan.ops.flow_color import flow_to_color

PAGE, SHEET = "preview.html", "preview.png"
ROWS, FRAMES = 16, 8  # of the contact sheet
LOOKED = 200  # clips among which it seeks one a class
LISTED = 1000  # rejected files on the page
STYLE = """:root{color-scheme:light dark}body{font:14px sans-serif;margin:2em}
table{border-collapse:collapse;margin:0 2em 2em 0}td,th{padding:1px 8px;text-align:left}"""


def write(folder: str, videos_file: str, rejected_file: str, settings: dict) -> None:
    """Writes both beside the data set in `folder`, of which the two files list the videos and what was rejected."""
    write_whole(paths.join(folder, SHEET), sheet(folder, settings["size"]))
    videos, rejected = (
        [json.loads(line) for line in paths.read_text(paths.join(folder, file)).splitlines()] for file in (videos_file, rejected_file)
    )
    write_whole(paths.join(folder, PAGE), page(settings, videos, rejected, rejected_file).encode())


def sheet(folder: str, size: int) -> bytes:
    """A PNG of clips, one a row with its label beside it, of as many classes as there are rows; below a clip its source, and the colors
    of its flow."""
    split = next(iter(prepared.open_builder(folder).info.splits))
    dataset = data.load(Config(dataset="prepared", data_dir=folder, size=size, frames=FRAMES), split, ["flow", "source"])
    chosen: dict[int, dict[str, np.ndarray]] = {}
    for batch in itertools.islice(dataset.once(1).as_numpy_iterator(), LOOKED):
        chosen.setdefault(int(batch["label"][0]), batch)
        if len(chosen) == ROWS:
            break
    clips, names = [], []
    for label in sorted(chosen):
        clips.append(np.rint((chosen[label]["video"][0] + 1) * 127.5).astype(np.uint8))
        names.append(dataset.labels[label])
        if "source" in chosen[label]:
            clips.append(np.rint((chosen[label]["source"][0] + 1) * 127.5).astype(np.uint8))
            names.append("source")
        if "flow" in chosen[label]:
            flow = chosen[label]["flow"][0]
            longest = max(float(np.linalg.norm(flow, axis=-1).max()), 1.0)  # 1: what hardly moves looks so
            clips.append(flow_to_color(flow, longest).numpy())
            names.append(f"flow, {longest:.1f} px")
    return tf.io.encode_png(pictures.contact_sheet(np.stack(clips), FRAMES, names)).numpy()


def page(settings: dict, videos: Sequence[dict], rejected: Sequence[dict], rejected_file: str) -> str:
    """The statistics, as a page of HTML in which every name is escaped."""
    splits = list(dict.fromkeys(video["split"] for video in videos))
    classes = collections.Counter((video["label"], video["split"]) for video in videos)
    labels = sorted({video["label"] for video in videos})
    lengths = [video["frames"] for video in videos]
    rates = collections.Counter(f"{(video['frames'] - 1) / video['seconds']:.2f}" if video["seconds"] else "-" for video in videos)
    sizes = collections.Counter(f"{video['width']}x{video['height']}" for video in videos)
    reasons = collections.Counter(one["reason"].partition(":")[0] for one in rejected)
    sections = [
        ("Settings", ("setting", "value"), settings.items()),
        ("Videos", ("split", "videos"), collections.Counter(video["split"] for video in videos).items()),
        ("Videos a class", ("class", *splits), [(label, *(classes[label, split] for split in splits)) for label in labels]),
        ("Length in frames", ("from", "to", "videos"), histogram(lengths)),
        ("Frames a second", ("rate", "videos"), rates.most_common(20)),
        ("Size of the source", ("pixels", "videos"), sizes.most_common(20)),
        (f"Rejected: {len(rejected)}", ("reason", "videos"), reasons.most_common()),
        (f"Rejected files (of more than {LISTED} the first; all are in {rejected_file})", ("file", "reason"),
         [(one["name"], one["reason"]) for one in rejected[:LISTED]]),
    ]  # fmt: skip
    body = "".join(f"<h2>{html.escape(title)}</h2>{table(head, rows)}" for title, head, rows in sections)
    return (
        f'<!doctype html><meta charset="utf-8"><title>Prepared videos</title><style>{STYLE}</style>'
        f'<h1>{len(videos)} videos, {len(labels)} classes</h1><img src="{SHEET}" alt="clips">{body}\n'
    )


def histogram(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """(from, to, how many), in ten bins of whole numbers."""
    width = (max(lengths) - min(lengths)) // 10 + 1
    bins = collections.Counter((length - min(lengths)) // width for length in lengths)
    return [(min(lengths) + i * width, min(lengths) + (i + 1) * width - 1, bins[i]) for i in range(max(bins) + 1)]


def table(head: Sequence[str], rows: Iterable[Sequence]) -> str:
    def row(tag: str, cells: Sequence) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{row('th', head)}{''.join(row('td', cells) for cells in rows)}</table>"

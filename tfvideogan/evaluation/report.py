"""A report of an evaluation: one HTML page that needs no other file and no network."""

import base64
import dataclasses
import html
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfvideogan import __version__
from tfvideogan.evaluation import chart
from tfvideogan.evaluation.clips import SHOWN, Clips
from tfvideogan.files import write_whole
from tfvideogan.generation import pictures

FPS = 8
WHOLE, HALF = 800, 460  # pixels of a page's width
STYLE = """:root{color-scheme:light dark;--page:#fff;--text:#222;--soft:#5f6670;--line:#d9dce1;--code:#f2f3f5;--warning:#9a5b00}
@media(prefers-color-scheme:dark){:root{--page:#15181d;--text:#e4e7eb;--soft:#9aa3af;--line:#363c45;--code:#22272f;--warning:#f0b35e}}
body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;background:var(--page);color:var(--text)}
h1,h2{line-height:1.25}h2{margin-top:2em}
table{border-collapse:collapse}td,th{padding:.25em .9em;border-bottom:1px solid var(--line);text-align:left}
td:nth-child(2){overflow-wrap:anywhere}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;overflow-wrap:normal}
@media(max-width:600px){td,th{padding:.25em .4em}}
.clips{display:flex;flex-wrap:wrap;gap:2em}.clips>figure{min-width:0}img{image-rendering:pixelated;max-width:100%;border-radius:4px}
figure{margin:0}figcaption{margin-bottom:.4em;color:var(--soft)}.warning{color:var(--warning)}code{background:var(--code);padding:0 .2em}
svg{max-width:100%;height:auto}svg text{font-family:system-ui,sans-serif!important}"""


@dataclasses.dataclass(frozen=True)
class Set:
    """A set of clips to show. name: heading. clips: what was kept of it. labels: names of its classes."""

    name: str
    clips: Clips
    labels: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page with moving clips.

    Attributes:
        heading, text: above them.
        clips: uint8 [N,T,H,W,3], row by row.
        columns: clips in a row.
        names: of the rows, or empty.
    """

    heading: str
    text: str
    clips: np.ndarray
    columns: int
    names: Sequence[str]


def write(path: Path, title: str, records: list[dict], curve: list[dict], sets: Sequence[Set], sections: Sequence[Section]) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: of the .html file.
        title: heading.
        records: of the evaluation, for the table.
        curve: records of IS and FID at several truncations, or none.
        sets: whose clips are shown side by side.
        sections: what follows them.
    """
    parts = [table(records), frame_curves(records), truncation_curve(curve) if curve else "", clips_side_by_side(sets)]
    parts += [f"<h2>{_escape(part.heading)}</h2>\n<p>{_escape(part.text)}</p>\n{_figure(part)}" for part in sections]
    parts.append(protocol(records))
    page = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{_escape(title)}</title>
<style>{STYLE}</style></head><body>
<h1>{_escape(title)}</h1>
{"".join(parts)}
<p>Made with tfvideogan {__version__}.</p>
</body></html>
"""
    write_whole(path, page)


def table(records: list[dict]) -> str:
    """The metrics with their errors, and the real clips' numbers where there are such."""
    numbers = [[_number(r["value"]), _number(r["stderr"], 2), _number(r["real"]) if "real" in r else ""] for r in records]
    shown = 3 if any("real" in r for r in records) else 2
    rows = [_row("th", "metric", ["value", "standard error", "of real clips"][:shown])]
    rows += [_row("td", _escape(r["metric"]), row[:shown]) for r, row in zip(records, numbers, strict=True)]
    warnings = dict.fromkeys(r["warning"] for r in records if "warning" in r)
    return f"""<h2>Scores</h2>
<table>{"".join(rows)}</table>
<p>What each is, and when not to trust it: <code>docs/metrics.md</code>. Higher is better for is, mode_score, precision, recall, density,
coverage and accuracy, and for ssim and psnr of paired clips; lower is better for fid, fvd, kid, mmd, swd, lpips and warp_error. The rest
should be as of real clips.</p>
{"".join(f'<p class="warning">Too few clips: {_escape(warning)}.</p>' for warning in warnings)}
"""


def _row(tag: str, name: str, numbers: Sequence[str]) -> str:
    return f"<tr><{tag}>{name}</{tag}>" + "".join(f'<{tag} class="n">{number}</{tag}>' for number in numbers) + "</tr>"


def protocol(records: list[dict]) -> str:
    """What all records have in common of how they were taken."""
    common = {
        name: value
        for name, value in records[0]["protocol"].items()
        if all(name in r["protocol"] and r["protocol"][name] == value for r in records)
    }
    rows = "".join(f"<tr><td>{_escape(name)}</td><td>{_escape(_told(value))}</td></tr>" for name, value in common.items())
    return f"<h2>Protocol</h2>\n<table>{rows}</table>\n<p>Settings of single metrics are in metrics.jsonl.</p>\n"


def truncation_curve(records: list[dict]) -> str:
    """IS against FID, one point a truncation, with standard errors."""
    points: dict[float, dict[str, dict]] = {}
    for record in records:
        points.setdefault(record["protocol"]["truncation"], {})[record["metric"].split("/")[0]] = record
    points = {t: p for t, p in sorted(points.items()) if p["is"]["value"] is not None and p["fid"]["value"] is not None}
    if not points:
        return ""
    values = {t: tuple(float(p[name][key] or 0.0) for name in ("fid", "is") for key in ("value", "stderr")) for t, p in points.items()}
    first = next(iter(points.values()))
    return f"""<h2>Truncation</h2>
<figure><figcaption>{_escape(first["is"]["metric"])} against {_escape(first["fid"]["metric"])}; numbers are the scale of z, bars one
standard error.</figcaption>
{chart.trade_off(values, "FID (lower is better)", "IS (higher is better)")}</figure>
"""


def frame_curves(records: list[dict]) -> str:
    """The metrics that have a value for each frame, a chart each, with a line for each thing they are taken of."""
    metrics: dict[str, dict[str, list[float]]] = {}
    for record in records:
        if "curve" in record:
            metric, _, of = record["metric"].partition("/")
            metrics.setdefault(metric, {})[of] = record["curve"]
    if not metrics:
        return ""
    first = next(record["protocol"]["first_frame_scored"] for record in records if "curve" in record)
    charts = [f"<figure>{chart.curves(lines, first, 'frame, from 0 on', metric)}</figure>" for metric, lines in metrics.items()]
    return f'<h2>Frame by frame</h2>\n<div class="clips">{"".join(charts)}</div>\n'


def clips_side_by_side(sets: Sequence[Set]) -> str:
    """The kept clips of each set as a GIF, a row a class."""
    figures = []
    for shown in sets:
        clips, labels = shown.clips.shown, shown.clips.shown_labels
        if not len(clips):
            continue
        rows = [clips[labels == label] for label in np.unique(labels)]
        tiles = np.concatenate([np.concatenate([row, np.zeros([SHOWN - len(row), *clips.shape[1:]], np.uint8)]) for row in rows])
        names = [shown.labels[label] if shown.labels else "" for label in np.unique(labels)]
        picture = pictures.grid(tiles, SHOWN, names if any(names) else ())
        figures.append(f"<figure><figcaption>{_escape(shown.name)}</figcaption>{_image(shown.name, picture, HALF)}</figure>\n")
    return f'<h2>Clips</h2>\n<div class="clips">{"".join(figures)}</div>\n' if figures else ""


def _figure(section: Section) -> str:
    return _image(section.heading, pictures.grid(section.clips, section.columns, section.names), WHOLE) if len(section.clips) else ""


def _image(name: str, picture: np.ndarray, width: int) -> str:
    """Frames uint8 [T,H,W,3] as an animated GIF inside the page; small ones are shown larger, up to this width in pixels."""
    scale = max(1, width // picture.shape[2])
    content = base64.b64encode(pictures.gif_bytes(picture, FPS)).decode()
    return f'<img alt="{_escape(name)}" width="{scale * picture.shape[2]}" src="data:image/gif;base64,{content}">'


def _number(value: float | None, digits: int = 4) -> str:
    return "not finite" if value is None else f"{value:.{digits}g}"


def _told(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _escape(text: str) -> str:
    return html.escape(text, quote=True)

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
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse}td,th{padding:.25em .9em;border-bottom:1px solid #ddd;text-align:left}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.clips{display:flex;flex-wrap:wrap;gap:2em}.clips img{image-rendering:pixelated;max-width:100%}
figure{margin:0}figcaption{margin-bottom:.4em}.warning{color:#9a5b00}code{background:#f3f3f3;padding:0 .2em}
svg text{font:12px system-ui,sans-serif}"""


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
    rows = [
        f'<tr><td>{_escape(r["metric"])}</td><td class="n">{_number(r["value"])}</td><td class="n">{_number(r["stderr"], 2)}</td>'
        f'<td class="n">{_number(r["real"]) if "real" in r else ""}</td></tr>'
        for r in records
    ]
    warnings = dict.fromkeys(r["warning"] for r in records if "warning" in r)
    return f"""<h2>Scores</h2>
<table><tr><th>metric</th><th class="n">value</th><th class="n">standard error</th><th class="n">of real clips</th></tr>
{"".join(rows)}</table>
<p>What each is: <code>tfvideogan/evaluation/scores.py</code>. Higher is better for is, mode_score, precision, recall, density,
coverage, accuracy and ssim and psnr of paired clips; lower for fid, fvd, kid, mmd, swd, lpips; as of real clips for the rest.</p>
{"".join(f'<p class="warning">Too few clips: {_escape(warning)}.</p>' for warning in warnings)}
"""


def protocol(records: list[dict]) -> str:
    """What all records have in common of how they were taken."""
    common = {
        name: value
        for name, value in records[0]["protocol"].items()
        if all(name in r["protocol"] and r["protocol"][name] == value for r in records)
    }
    rows = "".join(f"<tr><td>{_escape(name)}</td><td>{_escape(_told(value))}</td></tr>" for name, value in common.items())
    return f"<h2>Protocol</h2>\n<table>{rows}</table>\n<p>What a metric has of its own is in metrics.jsonl.</p>\n"


def truncation_curve(records: list[dict]) -> str:
    """IS against FID, one point a truncation, with standard errors, as an SVG."""
    points: dict[float, dict[str, dict]] = {}
    for record in records:
        points.setdefault(record["protocol"]["truncation"], {})[record["metric"].split("/")[0]] = record
    points = {t: p for t, p in sorted(points.items()) if p["is"]["value"] is not None and p["fid"]["value"] is not None}
    if not points:
        return ""
    x, y = ({t: (p[name]["value"], p[name]["stderr"] or 0.0) for t, p in points.items()} for name in ("fid", "is"))
    across, x_ticks = chart.axis(list(x.values()), chart.MARGIN, chart.WIDTH - 16)
    down, y_ticks = chart.axis(list(y.values()), chart.HEIGHT - chart.MARGIN, 16)
    lines = [chart.frame(across, x_ticks, down, y_ticks, "FID (lower is better)", "IS (higher is better)")]
    path = " ".join(f"{across(x[t][0]):.1f},{down(y[t][0]):.1f}" for t in points)
    lines.append(f'<polyline points="{path}" fill="none" stroke="#2b6cb0" stroke-width="1.5"/>')
    for t in points:
        (fid, fid_error), (score, score_error) = x[t], y[t]
        lines.append(
            f'<path d="M{across(fid - fid_error):.1f} {down(score):.1f}H{across(fid + fid_error):.1f}'
            f'M{across(fid):.1f} {down(score - score_error):.1f}V{down(score + score_error):.1f}" stroke="#2b6cb0"/>'
            f'<circle cx="{across(fid):.1f}" cy="{down(score):.1f}" r="4" fill="#2b6cb0"/>'
            f'<text x="{across(fid) + 7:.1f}" y="{down(score) - 7:.1f}">{t:g}</text>'
        )
    first = next(iter(points.values()))
    return f"""<h2>Truncation</h2>
<figure><figcaption>{_escape(first["is"]["metric"])} against {_escape(first["fid"]["metric"])}; numbers are the scale of z, bars one
standard error.</figcaption>
{chart.svg("".join(lines))}</figure>
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
    charts = [chart.curves(lines, first, "frame, from 0 on", metric) for metric, lines in metrics.items()]
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
        figures.append(f"<figure><figcaption>{_escape(shown.name)}</figcaption>{_image(shown.name, picture)}</figure>\n")
    return f'<h2>Clips</h2>\n<div class="clips">{"".join(figures)}</div>\n' if figures else ""


def _figure(section: Section) -> str:
    return _image(section.heading, pictures.grid(section.clips, section.columns, section.names)) if len(section.clips) else ""


def _image(name: str, picture: np.ndarray) -> str:
    """Frames uint8 [T,H,W,3] as an animated GIF inside the page; small ones are shown larger."""
    scale = max(1, 420 // picture.shape[2])
    content = base64.b64encode(pictures.gif_bytes(picture, FPS)).decode()
    return f'<img alt="{_escape(name)}" width="{scale * picture.shape[2]}" src="data:image/gif;base64,{content}">'


def _number(value: float | None, digits: int = 4) -> str:
    return "infinite" if value is None else f"{value:.{digits}g}"


def _told(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _escape(text: str) -> str:
    return html.escape(text, quote=True)

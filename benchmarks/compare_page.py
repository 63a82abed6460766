"""The page of benchmarks.compare: a table, curves of scores over minutes, and clips of every setting."""

import base64
import dataclasses
import html
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfvideogan import __version__
from tfvideogan.evaluation import chart
from tfvideogan.evaluation.report import STYLE
from tfvideogan.files import write_whole

Scores = dict[str, tuple[float | None, float | None]]  # value and standard error by metric; None where infinite
SHOWN = ("fid", "kid", "is", "accuracy", "precision", "recall", "coverage", "copying")
CURVES = {"fid": "FID (lower is better)", "recall": "recall", "copying": "copying (0.5: none)"}


@dataclasses.dataclass(frozen=True)
class Point:
    """What a run reached after so many minutes."""

    minutes: float
    step: int
    scores: Scores


@dataclasses.dataclass(frozen=True)
class Trial:
    """A run of a setting.

    Attributes:
        name, seed: of the setting, and of the run.
        flags: of `tfvideogan.train`.
        points: in order of time.
        generator, discriminator: parameters.
        videos: trained on, a second.
        clips: a GIF of some that it generates.
        warnings: of its last scores, as of too few clips.
    """

    name: str
    seed: int
    flags: str
    points: tuple[Point, ...]
    generator: int
    discriminator: int
    videos: float
    clips: Path
    warnings: tuple[str, ...] = ()


def over_seeds(scores: Sequence[tuple[float | None, float | None]]) -> tuple[float, float]:
    """Mean and standard error of a score over runs: of several, by their spread; of one, by the clips that were judged."""
    values = [math.nan if value is None else value for value, _ in scores]
    if len(values) == 1:
        return values[0], math.nan if scores[0][1] is None else scores[0][1]
    return float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))


def grouped(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """Trials by the name of their setting, the lowest FID first."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.name, []).append(trial)

    def fid(name: str) -> float:
        value = _last(found[name], "fid")[0]
        return math.inf if math.isnan(value) else value

    return {name: found[name] for name in sorted(found, key=fid)}


def rows(trials: Sequence[Trial]) -> list[dict[str, str]]:
    """The table, a row a setting: scores at the end, sizes and speed."""
    return [
        {
            "setting": name,
            **{metric.upper() if len(metric) < 4 else metric: _told(_last(runs, metric)) for metric in SHOWN},
            "parameters of G": f"{runs[0].generator:,}",
            "of D": f"{runs[0].discriminator:,}",
            "steps": ", ".join(str(run.points[-1].step) for run in runs),
            "videos/s": f"{np.mean([run.videos for run in runs]):.2g}",
        }
        for name, runs in grouped(trials).items()
    ]


def write(path: Path, trials: Sequence[Trial], table: list[dict[str, str]], told: str) -> None:
    """Writes the page, whole or not at all. told: what all rows have in common."""
    settings = grouped(trials)
    head = "".join(f"<th>{_escape(name)}</th>" for name in table[0])
    body = "".join(f"<tr>{''.join(f'<td>{_escape(cell)}</td>' for cell in row.values())}</tr>" for row in table)
    charts = "".join(
        f"<figure>{chart.progress(lines, 'minutes of training', title)}</figure>"
        for metric, title in CURVES.items()
        if (lines := {name: line for name, runs in settings.items() if (line := _line(runs, metric))})
    )
    warnings = "".join(f"<li>{_escape(text)}</li>" for text in dict.fromkeys(text for trial in trials for text in trial.warnings))
    clips = "".join(f"<figure><figcaption>{_escape(name)}</figcaption>{_image(runs[0])}</figure>" for name, runs in settings.items())
    commands = "".join(
        f"<tr><td>{_escape(name)}</td><td><code>{_escape(runs[0].flags)}</code></td></tr>" for name, runs in settings.items()
    )
    page = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Settings compared</title>
<style>{STYLE}
.wide{{overflow-x:auto}}.wide td{{white-space:nowrap}}.wide td,.wide th{{padding:.25em .45em;font-size:13px}}</style></head><body>
<h1>Settings compared</h1>
<p>{_escape(told)}.</p>
<div class="wide"><table><tr>{head}</tr>{body}</table></div>
<p>± one standard error: over seeds where there are several, else over the clips that were judged, which leaves out how much runs differ.
copying is 0.5 if generated clips are no nearer to the training clips than held-out clips are, 1 if all are nearer.</p>
<ul>{warnings}</ul>
<h2>Over time</h2>
<div class="clips">{charts}</div>
<h2>Clips</h2>
<div class="clips">{clips}</div>
<h2>Flags</h2>
<table>{commands}</table>
<p>Made with tfvideogan {__version__}.</p>
</body></html>
"""
    write_whole(path, page)


def _last(runs: Sequence[Trial], metric: str) -> tuple[float, float]:
    found = [run.points[-1].scores[metric] for run in runs if metric in run.points[-1].scores]
    return over_seeds(found) if found else (math.nan, math.nan)


def _line(runs: Sequence[Trial], metric: str) -> list[tuple[float, float, float]]:
    """Points (minutes, score, its error) of a setting; none for a metric that it has not."""
    made = []
    for points in zip(*(run.points for run in runs), strict=False):
        found = [point.scores[metric] for point in points if metric in point.scores]
        if found and not math.isnan((score := over_seeds(found))[0]):
            made.append((points[0].minutes, *score))
    return made


def _told(score: tuple[float, float]) -> str:
    value, error = score
    return "-" if math.isnan(value) else f"{value:.3g} ± {error:{'.0f' if error >= 10 else '.1g'}}"  # 10, not 1e+01


def _image(trial: Trial) -> str:
    content = base64.b64encode(trial.clips.read_bytes()).decode()
    return f'<img alt="{_escape(trial.name)}" width="420" src="data:image/gif;base64,{content}">'


def _escape(text: str) -> str:
    return html.escape(text, quote=True)

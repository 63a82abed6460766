"""Charts by matplotlib as SVG, for a page that needs no other file and is read in light and in dark."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

SIZE = (4.8, 3.2)  # inches; an SVG's are 72 points, and two are side by side on the page
COLORS = ("#3b82c4", "#d9772b", "#3a9a63", "#8b6fd0", "#8a94a6")  # to be told apart on white and on near-black
DASHES = ("-", "--", ":")  # of lines of one color
INK, RULE = "#010203", "#040506"  # stand for the page's color of text and of lines, which depend on the reader's scheme
STYLE: dict[Any, Any] = {
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "tfvideogan",  # the same chart has the same bytes
    "text.color": INK,
    "text.parse_math": False,  # names may hold $
    "xtick.color": INK,
    "ytick.color": INK,
}


def trade_off(points: Mapping[float, tuple[float, ...]], x_name: str, y_name: str) -> str:
    """A line through points with error bars, each named by its number.

    Args:
        points: (x, its error, y, its error) by number, in the order of the line.
        x_name, y_name: of the axes.
    """
    with rc_context(STYLE):
        figure, axes = _axes(x_name, y_name)
        x, x_error, y, y_error = zip(*points.values(), strict=True)
        axes.errorbar(x, y, y_error, x_error, marker="o", color=COLORS[0], linewidth=1.5, elinewidth=1)
        for number, (across, _, up, _) in points.items():
            axes.annotate(f"{number:g}", (across, up), (6, 6), textcoords="offset points")
        return _svg(figure)


def curves(lines: Mapping[str, Sequence[float]], first: int, x_name: str, y_name: str) -> str:
    """Lines over the whole numbers from `first` on, by name, with a legend."""
    with rc_context(STYLE):
        figure, axes = _axes(x_name, y_name)
        for i, (name, values) in enumerate(lines.items()):
            axes.plot(range(first, first + len(values)), values, label=name, color=COLORS[i % len(COLORS)], marker="o", markersize=3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=4)
        return _svg(figure)


def progress(lines: Mapping[str, Sequence[tuple[float, float, float]]], x_name: str, y_name: str) -> str:
    """Lines through points (x, y, its error) with error bars, by name, with a legend."""
    with rc_context(STYLE):
        figure, axes = _axes(x_name, y_name)
        for i, (name, points) in enumerate(lines.items()):
            x, y, error = zip(*points, strict=True)
            style, color = DASHES[i // len(COLORS) % len(DASHES)], COLORS[i % len(COLORS)]
            axes.errorbar(x, y, error, label=name, color=color, linestyle=style, marker="o", markersize=3, elinewidth=1)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3)
        return _svg(figure)


def _axes(x_name: str, y_name: str) -> tuple[Figure, Axes]:
    figure = Figure(SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x_name)
    axes.set_ylabel(y_name)
    axes.grid(True)
    return figure, axes


def _svg(figure: Figure) -> str:
    """The figure as an element of an HTML page, in the page's colors."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"\sxmlns(:\w+)?=\"[^\"]*\"", "", text)  # HTML knows what an SVG is
    return text.replace(INK, "currentColor").replace(RULE, "var(--line)").replace("<svg", '<svg role="img"', 1)

"""Charts as SVG, for a page that needs no other file."""

import html
from collections.abc import Callable, Sequence

import numpy as np

WIDTH, HEIGHT, MARGIN = 520, 340, 56  # in pixels
COLORS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#718096")


def axis(values: Sequence[tuple[float, float]], start: float, end: float) -> tuple[Callable[[float], float], np.ndarray]:
    """A linear map of values (with their errors) to pixels from start to end, and round numbers for its ticks."""
    low, high = min(v - e for v, e in values), max(v + e for v, e in values)
    room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    low, high = low - room, high + room
    step = 10 ** np.floor(np.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * step) <= 6)
    ticks = step * np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    return lambda value: start + (value - low) / (high - low) * (end - start), np.round(ticks, 10)


def frame(
    across: Callable[[float], float], x_ticks: np.ndarray, down: Callable[[float], float], y_ticks: np.ndarray, x_name: str, y_name: str
) -> str:
    """The axes of a chart of WIDTH x HEIGHT, with a grid and their names."""
    lines = []
    for value in x_ticks:
        lines.append(f'<text x="{across(value):.1f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{value:g}</text>')
        lines.append(f'<path d="M{across(value):.1f} {HEIGHT - MARGIN}V16" stroke="#eee"/>')
    for value in y_ticks:
        lines.append(f'<text x="{MARGIN - 8}" y="{down(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
        lines.append(f'<path d="M{MARGIN} {down(value):.1f}H{WIDTH - 16}" stroke="#eee"/>')
    return f"""{"".join(lines)}
<path d="M{MARGIN} 16V{HEIGHT - MARGIN}H{WIDTH - 16}" fill="none" stroke="#888"/>
<text x="{WIDTH / 2}" y="{HEIGHT - 14}" text-anchor="middle">{html.escape(x_name)}</text>
<text transform="translate(14 {HEIGHT / 2 - 20}) rotate(-90)" text-anchor="middle">{html.escape(y_name)}</text>"""


def svg(content: str) -> str:
    return f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{content}</svg>'


def curves(lines: dict[str, list[float]], first: int, x_name: str, y_name: str) -> str:
    """Lines over the whole numbers from `first` on, by name, with a legend below."""
    length = max(map(len, lines.values()))
    across, x_ticks = axis([(first, 0.0), (first + length - 1, 0.0)], MARGIN, WIDTH - 16)
    down, y_ticks = axis([(value, 0.0) for values in lines.values() for value in values], HEIGHT - MARGIN, 16)
    drawn, legend = [frame(across, x_ticks[x_ticks % 1 == 0], down, y_ticks, x_name, y_name)], []
    for i, (name, values) in enumerate(lines.items()):
        color = COLORS[i % len(COLORS)]
        points = " ".join(f"{across(first + t):.1f},{down(value):.1f}" for t, value in enumerate(values))
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        drawn += [f'<circle cx="{across(first)}" cy="{down(values[0]):.1f}" r="3" fill="{color}"/>'] if length == 1 else []
        legend.append(f'<span style="color:{color}">\u25a0</span> {html.escape(name)}')
    return f"<figure>{svg(''.join(drawn))}<figcaption>{'; '.join(legend)}</figcaption></figure>"

"""Fits the poses of a source to a target: as tall as the target where it stands, and moving on its floor (Everybody Dance Now, 3.4).

Feet near the camera are low in the picture. Between the farthest and the closest place of the source's feet, its rows are mapped onto those
of the target, and its size is scaled from the ratio of their heights far away to that close by. After the authors' code, but for what is
left to chance or is a slip there: all frames count, a frame counts by both ankles, and the tallest is the tallest.
"""

from dataclasses import dataclass

import numpy as np

from tfvideogan.data.poses import layout_of, parts

ABOVE_MEDIAN = 0.5  # of the way from the median foot up by as much as the closest is below it: where the farthest is looked for
NEAR = 0.05  # of the range of rows, on either side of its ends: frames that tell heights there
TALLER = 0.1  # of the tallest height: a closest one shorter by more than this is not trusted


@dataclass(frozen=True)
class Floor:
    """Where feet are, and how tall their owner is there. Pixels.

    Attributes:
        rows: [M] of the lower ankle, of the frames that count.
        heights: [M] from the middle of the ankles to the nose, or the middle of the ears.
    """

    rows: np.ndarray
    heights: np.ndarray

    @property
    def range(self) -> tuple[float, float]:
        """The farthest and the closest row."""
        median, close = float(np.median(self.rows)), float(self.rows.max())
        found = self.rows[median - self.rows < ABOVE_MEDIAN * (close - median)]
        return float(found.min(initial=median)), close  # the median, where feet hardly move

    def heights_at(self, far: float, close: float) -> tuple[float, float]:
        """The tallest with feet near the far and near the close end of these rows; of all, where none is, or none is tall enough."""
        near, tallest = NEAR * (close - far), float(self.heights.max())
        at_far, at_close = (float(self.heights[abs(self.rows - row) <= near].max(initial=0)) for row in (far, close))
        return at_far or tallest, tallest if tallest - at_close > TALLER * tallest else at_close


def counts(points: np.ndarray) -> np.ndarray:
    """Which frames tell a height, [T] bool: both ankles are seen, and the nose or both ears."""
    layout, seen = layout_of(points), parts(points)[0][..., 2] > 0
    return seen[:, layout.ankles].all(1) & (seen[:, layout.nose] | seen[:, layout.ears].all(1))


def floor(points: np.ndarray) -> Floor:
    """That of key points [T,J+112,3] in pixels. Raises ValueError where no frame tells a height."""
    layout, body = layout_of(points), parts(points[counts(points)])[0]
    if not len(body):
        raise ValueError("no frame shows both ankles and a head: poses cannot be fitted")
    ankles, nose, ears = body[:, layout.ankles], body[:, layout.nose], body[:, layout.ears]
    head = np.where(nose[:, 2:] > 0, nose, ears.mean(1))
    return Floor(ankles[..., 1].max(1), np.hypot(*(head - ankles.mean(1))[:, :2].T))


def normalize(source: np.ndarray, target: Floor, width: int) -> np.ndarray:
    """The source's key points where the target would have them.

    Frames that tell no height are moved as the one before, and those before the first that does as it is.

    Args:
        source: [T,J+112,3], in pixels of the target's frames.
        target: the floor of its frames.
        width: of a frame.

    Returns: float32 [T,J+112,3]. What is not seen is moved too, and stays unseen.
    Raises: ValueError where no frame of the source tells a height.
    """
    own = floor(source)
    (far, close), (to_far, to_close) = own.range, target.range
    if close - far < to_close - to_far:  # a smaller floor is laid in the middle of the larger
        middle, half = (to_close + to_far) / 2, (close - far) / 2
        to_far, to_close = middle - half, middle + half
    s_far, s_close = (to / of for to, of in zip(target.heights_at(to_far, to_close), own.heights_at(far, close), strict=True))
    rows = np.full(len(source), np.nan)
    rows[counts(source)] = own.rows
    known = np.flatnonzero(~np.isnan(rows))
    last = np.maximum.accumulate(np.where(np.isnan(rows), known[0], np.arange(len(rows))))
    rows = rows[last]
    part = (rows - far) / (close - far) if close > far else np.ones(len(rows))  # 0 far, 1 close
    shift, scale = to_far + part * (to_close - to_far) - rows, s_far + part * (s_close - s_far)
    x, y = width / 2, own.rows[0]  # what scaling leaves where it is
    moves = np.stack([x * (1 - scale), y * (1 - scale) + shift, np.zeros(len(rows))], 1)
    factors = np.stack([scale, scale, np.ones(len(rows))], 1)
    return (source * factors[:, None] + moves[:, None]).astype(np.float32)

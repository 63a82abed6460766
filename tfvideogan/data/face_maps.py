"""Maps of a face, drawn from its key points as vid2vid's authors do: the edges of its parts, and how far each edge is.

Key points are the 68 of dlib and OpenFace: jaw 0 to 16, eyebrows to 26, nose to 35, eyes to 47, mouth to 67, x and y in pixels. The
outline is closed above by the jaw, mirrored and two thirds as high. Edges are quadratic through three points each; outside the face they
are Canny's, by OpenCV (the extra `[flow]`), where the authors' code has scikit-image's.
"""

from types import ModuleType

import numpy as np

from tfvideogan.config import UserError

POINTS = 68
EDGES: tuple[tuple[int, ...], ...] = (
    (*range(17), *range(68, 83), 0),  # the outline; points from 68 on are the mirrored jaw's
    (*range(17, 22),),
    (*range(22, 27),),
    *((28, 31), (*range(31, 36),), (35, 28)),  # nose
    *((36, 37, 38, 39), (39, 40, 41, 36)),  # eyes
    *((42, 43, 44, 45), (45, 46, 47, 42)),
    *((*range(48, 55),), (*range(54, 60), 48), (*range(60, 65),), (*range(64, 68), 60)),  # lips, outer and inner
)
MAPS = 1 + len(EDGES)
AROUND = 2.5  # the side of a box around a face, in widths of its key points
LINE, FAR, STEPS = 2, 3, 16  # pixels of an edge's width, and for each step of gray away from it; points of a curve
CANNY, BLUR = (100, 200), 1.0


def opencv() -> ModuleType:
    """Raises UserError where it is missing."""
    try:
        import cv2
    except ImportError as error:
        raise UserError("--dataset=faces: OpenCV is not installed; pip install tfvideogan[flow]") from error
    return cv2


def read_points(text: str) -> np.ndarray:
    """The key points of a file's text, "x,y" in each line: float32 [68,2]. Raises ValueError if they are not so many."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        points = np.array([[float(number) for number in line.split(",")] for line in lines], np.float32)
    except ValueError as error:
        raise ValueError(f"expected {POINTS} lines of x,y: {error}") from error
    if points.shape != (POINTS, 2) or not np.all(np.isfinite(points)):
        raise ValueError(f"got {len(lines)} lines, expected {POINTS} of x,y")
    return points


def box(points: np.ndarray, height: int, width: int) -> tuple[int, int, int]:
    """(top, left, side) of the square around a face [68,2], moved into the frame, and no larger than it."""
    least, most = points.min(0), points.max(0)
    side = min(round(AROUND * float(most[0] - least[0])), height, width)
    x, y = float(least[0] + most[0]) / 2, float(3 * least[1] + most[1]) / 4
    top, left = (int(np.clip(round(center - side / 2), 0, length - side)) for center, length in ((y, height), (x, width)))
    return top, left, side


def cut(frames: np.ndarray, around: tuple[int, int, int], size: int) -> np.ndarray:
    """The part of frames uint8 [T,h,w,3] in a `box`, resized to [T,size,size,3]."""
    (top, left, side), cv2 = around, opencv()
    parts = frames[:, top : top + side, left : left + side]
    return np.stack([cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA) for part in parts])


def with_forehead(points: np.ndarray) -> np.ndarray:
    """[68,2] -> [83,2]: and the jaw between its ends, mirrored at their height, from the right to the left."""
    middle = (points[0, 1] + points[16, 1]) / 2
    above = points[15:0:-1].copy()
    above[:, 1] = middle + (middle - above[:, 1]) * 2 / 3
    return np.concatenate([points, above])


def curve(points: np.ndarray) -> np.ndarray:
    """Points [n,2] on the curve through these [k,2]: quadratic through three at a time, the last two alone on a line."""
    t = np.linspace(0, 1, STEPS)[:, None]
    found = []
    for first in range(0, len(points) - 1, 2):
        some = points[first : first + 3]
        if len(some) == 3:
            found.append(some[0] * (1 - t) * (1 - 2 * t) + some[1] * 4 * t * (1 - t) + some[2] * t * (2 * t - 1))
        else:
            found.append(some[0] * (1 - t) + some[1] * t)
    return np.concatenate(found)


def draw(points: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """The maps of a frame.

    Args:
        points: float32 [68,2], in its pixels.
        frame: uint8 [h,w,3], which the edges outside the face are of.

    Returns: uint8 [h,w,15]: edges 255 on 0; the distance from each of 14 edges, along rows and columns, a third of it and at most 255.
    """
    cv2, points = opencv(), with_forehead(points)
    curves = [np.round(curve(points[list(edge)])).astype(np.int32) for edge in EDGES]
    gray = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (0, 0), BLUR)
    edges = cv2.Canny(gray, *CANNY)
    cv2.fillPoly(edges, [curves[0]], 0)
    distances = []
    for line in curves:
        alone = cv2.polylines(np.full(frame.shape[:2], 255, np.uint8), [line], False, 0, LINE)
        edges[alone == 0] = 255
        distances.append(np.minimum(cv2.distanceTransform(alone, cv2.DIST_L1, 3) / FAR, 255).astype(np.uint8))
    return np.stack([edges, *distances], -1)

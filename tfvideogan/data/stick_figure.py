"""Stick figures of poses, as Everybody Dance Now's authors draw them, in the colors that are seen.

White canvas that fits into 1920x1080, of small frames at four times their size. Joints of the body are discs of radius 8, limbs ellipses of
half width 4 in the color of their first joint, laid on at .6; of the face eight black dots; of hands 21 small discs and their fingers. The
code draws in the order blue, green, red and turns the picture round afterwards: its tables are read from right to left.
"""

import colorsys

import numpy as np
from PIL import Image

from tfvideogan.data.poses import layout_of, parts

CANVAS = 1080, 1920  # height and width that radii are of
LARGER = 4  # than a frame is a canvas at most: more is no longer seen
JOINT, LIMB, LAID_ON = 8, 4, 0.6  # radius, half width, and how much of a limb's color is laid on what is below
FACE_POINTS, FACE_DOT, FACE_CONFIDENCE = (27, 30, 8, 0, 16, 33, 68, 69), 4, 0.2  # nose, chin, sides and pupils of 70
HAND_DOT, FINGER, HAND_CONFIDENCE = 3, 2, 0.05


def _hues(*degrees: int) -> tuple[tuple[int, int, int], ...]:
    """Pure colors of these hues, red and blue exchanged, as all colors here."""
    colors = (colorsys.hsv_to_rgb(hue / 360, 1, 1) for hue in degrees)
    return tuple((round(255 * blue), round(255 * green), round(255 * red)) for red, green, blue in colors)


def _table(*colors: tuple[float, float, float]) -> tuple[tuple[float, float, float], ...]:
    return tuple(color[::-1] for color in colors)


COLORS = {  # of a body's joints
    18: _hues(*range(0, 360, 20)),
    23: _table(
        *((255, 0, 0), (255, 55, 0), (255, 110, 0), (255, 165, 0), (255, 215, 0), (255, 235, 0), (255, 255, 0)),  # neck and arms
        *((255, 0, 0), (175, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85), (0, 255, 170)),  # hip, right leg
        *((25, 25, 128), (0, 85, 255), (0, 170, 255), (0, 212.5, 255), (0, 255, 255)),  # left leg
        *((255, 0, 0), (255, 0, 255), (238, 130, 238), (138, 43, 226), (75, 0, 130)),  # head
    ),
    25: _hues(340, 0, 20, 40, 60, 80, 100, 120, 0, 140, 160, 180, 200, 220, 240, 320, 280, 300, 260, 240, 240, 240, 180, 180, 180),
}
HAND_COLORS = _table(
    *((230, 53, 40), (231, 115, 64), (233, 136, 31), (213, 160, 13), (217, 200, 19)),  # wrist, thumb
    *((170, 210, 35), (139, 228, 48), (83, 214, 45), (77, 192, 46)),
    *((83, 213, 133), (82, 223, 190), (80, 184, 197), (78, 140, 189)),
    *((86, 112, 208), (83, 73, 217), (123, 46, 183), (189, 102, 255)),
    *((218, 83, 232), (229, 65, 189), (236, 61, 141), (255, 102, 145)),
)


def draw(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """The stick figure of one frame.

    Args:
        points: [J+112,3] of one frame of data/poses.py, in pixels of a frame of this size.
        height, width: of the frame.

    Returns: uint8 [height,width,3], white where nothing is.
    """
    full = min(CANVAS[0] / height, CANVAS[1] / width)
    scale = min(full, LARGER)
    unit = scale / full  # of radii
    canvas = np.full([round(height * scale), round(width * scale), 3], 255, np.uint8)
    body, face, left, right = parts(points * [scale, scale, 1.0])
    colors = COLORS[len(body)]
    for joint, color in zip(body, colors, strict=True):
        if joint[2] > 0:
            _disc(canvas, joint, unit * JOINT, color)
    for a, b in layout_of(points).limbs:
        if body[a, 2] > 0 and body[b, 2] > 0:
            _limb(canvas, body[a], body[b], unit * LIMB, colors[a])
    if face[:, 2].mean() >= FACE_CONFIDENCE:
        for number in FACE_POINTS:
            if face[number, 2] > 0:
                _disc(canvas, face[number], unit * FACE_DOT, (0, 0, 0))
    for hand in (right, left):
        _hand(canvas, hand, unit)
    return np.asarray(Image.fromarray(canvas).resize((width, height), Image.Resampling.LANCZOS))


def _hand(canvas: np.ndarray, hand: np.ndarray, unit: float) -> None:
    seen = hand[:, 2] > HAND_CONFIDENCE
    for number in np.flatnonzero(seen):
        _disc(canvas, hand[number], unit * HAND_DOT, HAND_COLORS[number])
    for first in range(1, 21, 4):  # a finger, from its root to its tip, and then from the wrist to its root
        for a, b in ((first, first + 1), (first + 1, first + 2), (first + 2, first + 3), (0, first)):
            if seen[a] and seen[b]:
                _limb(canvas, hand[a], hand[b], unit * FINGER, HAND_COLORS[b])


def _disc(canvas: np.ndarray, center: np.ndarray, radius: float, color: tuple[float, float, float]) -> None:
    window, dx, dy = _around(canvas, center[:2], radius)
    canvas[window][dx**2 + dy**2 <= radius**2] = color


def _limb(canvas: np.ndarray, a: np.ndarray, b: np.ndarray, half_width: float, color: tuple[float, float, float]) -> None:
    """An ellipse from joint to joint."""
    along = (b - a)[:2] / 2
    half_length = np.hypot(*along)
    window, dx, dy = _around(canvas, (a + b)[:2] / 2, half_length + half_width)
    x, y = along / half_length if half_length > 0 else (1.0, 0.0)
    inside = ((dx * x + dy * y) / (half_length + 0.5)) ** 2 + ((dy * x - dx * y) / (half_width + 0.5)) ** 2 <= 1  # with its outline
    below = canvas[window][inside]
    canvas[window][inside] = np.rint((1 - LAID_ON) * below + LAID_ON * np.array(color))


def _around(canvas: np.ndarray, center: np.ndarray, reach: float) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """Rows and columns of the part of a canvas around a point (x, y), and how far its pixels are right of the point and below it."""
    ends = np.floor(center - reach), np.ceil(center + reach) + 1
    first, last = (np.clip(end, 0, canvas.shape[1::-1]).astype(int) for end in ends)
    dx, dy = (np.arange(first[axis], last[axis]) - center[axis] for axis in (0, 1))
    return np.s_[first[1] : last[1], first[0] : last[0]], dx[None], dy[:, None]

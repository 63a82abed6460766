"""The made-up dancer of `moving_shapes/dancer`: a figure of moving joints, drawn from its clip's number, with a body laid around them.

Joints are COCO's 18 of data/poses.py. Lengths of limbs are those of the one dancer of all clips; angles, where it stands, and how near
swing with the time, at rates and phases that each clip draws. "source" is its stick figure, and "video" the body: limbs are striped
capsules, each in a color of its own whose stripes go with it, the head is a disc with hair; the background is the same in every clip.
Geometry is in units of the frame's height.
"""

import numpy as np

from tfvideogan.data.poses import REST
from tfvideogan.data.stick_figure import draw
from tfvideogan.data.uniforms import uniforms

JOINTS = 18
DRAWS = 24  # numbers that a clip is made of
PERIOD = 16  # frames, of the slowest swing
# Of a limb: from which joint to which, half its width, its color; in the order in which they are drawn, far ones first.
NOSE, NECK, HIP_RIGHT, HIP_LEFT = 0, 1, 8, 11
LIMBS = (
    *((11, 12, 0.035, (0.25, 0.3, 0.75)), (12, 13, 0.028, (0.3, 0.4, 0.9))),  # left leg
    *((8, 9, 0.035, (0.7, 0.25, 0.3)), (9, 10, 0.028, (0.9, 0.35, 0.3))),  # right leg
    *((5, 6, 0.026, (0.2, 0.6, 0.4)), (6, 7, 0.022, (0.85, 0.65, 0.5))),  # left arm
    *((2, 3, 0.026, (0.65, 0.6, 0.2)), (3, 4, 0.022, (0.85, 0.65, 0.5))),  # right arm
)
TORSO = (0.07, (0.85, 0.8, 0.3))  # from the neck to between the hips
HEAD = (0.06, (0.9, 0.7, 0.55))
STRIPES = 3.0  # along a limb
BACKGROUND = np.array([0.16, 0.2, 0.26])


def joints_of(index: int, frames: int) -> np.ndarray:
    """Joints of clip `index`, [T,18,2] (x, y) in units of the frame. Frame t is the same whatever the number of frames."""
    draws = uniforms(index, DRAWS)
    time = np.arange(frames) / PERIOD

    def swing(number: int, middle: float, reach: float) -> np.ndarray:
        """An angle, or place, [T], of the numbers' stream."""
        rate, phase, part = 1 + np.floor(3 * draws[number]), draws[number + 1], 0.4 + 0.6 * draws[number + 2]
        return middle + reach * part * np.sin(2 * np.pi * (rate * time + phase))

    scale = swing(0, 0.88, 0.1)  # how near
    hip = np.stack([swing(3, 0.5, 0.12), 0.94 - 0.42 * scale + 0 * time], 1)  # feet are near the bottom
    lean = swing(6, 0.0, 0.15)
    arms = [(swing(9 + 3 * side, 1.2, 1.0), swing(10 + 3 * side, 0.5, 0.5)) for side in range(2)]  # from straight down outwards
    legs = [(swing(15 + 3 * side, 0.2, 0.2), swing(16 + 3 * side, 0.1, 0.1)) for side in range(2)]

    def ahead(start: np.ndarray, angle: np.ndarray, length: float) -> np.ndarray:
        """The end [T,2] of a limb, at an angle from straight down towards the right."""
        return start + length * scale[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1)

    found = np.zeros([frames, JOINTS, 2])
    found[:, NECK] = ahead(hip, np.pi - lean, 0.27)
    found[:, NOSE] = ahead(found[:, NECK], np.pi - lean, 0.1)
    for side, (shoulder, hips, eye, ear) in enumerate(((2, HIP_RIGHT, 14, 16), (5, HIP_LEFT, 15, 17))):
        sign = (-1, 1)[side]  # the right side is to the left
        across = sign * np.pi / 2 - lean
        found[:, shoulder], found[:, hips] = ahead(found[:, NECK], across, 0.09), ahead(hip, across, 0.055)
        found[:, eye] = ahead(found[:, NOSE], sign * 2.2 - lean, 0.03)
        found[:, ear] = ahead(found[:, NOSE], sign * 1.8 - lean, 0.055)
        for start, (first, second), lengths in ((shoulder, arms[side], (0.16, 0.15)), (hips, legs[side], (0.21, 0.2))):
            found[:, start + 1] = ahead(found[:, start], sign * first, lengths[0])
            bend = second if start == shoulder else -second
            found[:, start + 2] = ahead(found[:, start + 1], sign * (first + bend), lengths[1])
    return found


def key_points(index: int, frames: int, height: int, width: int) -> np.ndarray:
    """Of clip `index`, all seen, as data/poses.py has them: float32 [T,18+112,3] in pixels of a frame. The dancer is in the
    middle of one that is wider than high."""
    points = np.zeros([frames, JOINTS + REST, 3], np.float32)
    points[:, :JOINTS] = np.concatenate([_in_pixels(joints_of(index, frames), height, width), np.ones([frames, JOINTS, 1])], 2)
    return points


def figures(index: int, frames: int, height: int, width: int) -> np.ndarray:
    """Stick figures of clip `index`, uint8 [T,H,W,3]."""
    return np.stack([draw(points, height, width) for points in key_points(index, frames, height, width)])


def faces(index: int, frames: int, height: int, width: int) -> np.ndarray:
    """Row and column of the face of clip `index`, int32 [T,2]."""
    return np.floor(key_points(index, frames, height, width)[:, NOSE, 1::-1]).astype(np.int32)


def bodies(index: int, frames: int, height: int, width: int) -> np.ndarray:
    """The dancer of clip `index`, uint8 [T,H,W,3]."""
    x, y = (np.arange(width) + 0.5 - width / 2) / height + 0.5, (np.arange(height) + 0.5) / height
    background = BACKGROUND + 0.05 * np.sin(9 * x[None] + 1)[..., None] + np.where(y > 0.85, 0.1, 0.0)[:, None, None]
    return np.stack([_body(joints, background, x[None], y[:, None], height) for joints in joints_of(index, frames)])


def _body(joints: np.ndarray, background: np.ndarray, x: np.ndarray, y: np.ndarray, height: int) -> np.ndarray:
    picture = background
    scale = np.linalg.norm(joints[NOSE] - joints[NECK]) / 0.1
    hip = (joints[HIP_RIGHT] + joints[HIP_LEFT]) / 2
    parts = [*((joints[a], joints[b], half, color) for a, b, half, color in LIMBS[:4]), (joints[NECK], hip, *TORSO)]
    for a, b, half_width, color in [*parts, *((joints[a], joints[b], half, color) for a, b, half, color in LIMBS[4:])]:
        along = b - a
        part = np.clip(((x - a[0]) * along[0] + (y - a[1]) * along[1]) / (along @ along), 0, 1)  # of the way from a to b
        outside = np.hypot(x - a[0] - part * along[0], y - a[1] - part * along[1]) - half_width * scale
        striped = np.array(color) * (0.8 + 0.2 * np.cos(2 * np.pi * STRIPES * part))[..., None]
        picture = _laid(picture, outside, striped, height)
    up = (joints[NOSE] - joints[NECK]) / np.linalg.norm(joints[NOSE] - joints[NECK])
    from_nose = (x - joints[NOSE, 0]) * up[0] + (y - joints[NOSE, 1]) * up[1]  # upwards along the head
    hair = np.where((from_nose > 0.02 * scale)[..., None], 0.35, 1.0)
    picture = _laid(picture, np.hypot(x - joints[NOSE, 0], y - joints[NOSE, 1]) - HEAD[0] * scale, np.array(HEAD[1]) * hair, height)
    return np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)


def _laid(picture: np.ndarray, outside: np.ndarray, color: np.ndarray, height: int) -> np.ndarray:
    """A picture with a shape on it, by the signed distance [H,W] from its edge; a ramp of one pixel there."""
    return picture + np.clip(0.5 - outside * height, 0, 1)[..., None] * (color - picture)


def _in_pixels(places: np.ndarray, height: int, width: int) -> np.ndarray:
    return (places - 0.5) * height + np.array([width, height]) / 2

"""Renderings: made-up photos and cartoons of the same kind of scenes, for translation. Drawn from an index, so there is no file.

A scene is a background and a few discs, boxes and diamonds, which drift slowly where a clip has several frames. "source" is a photo
of it: shaded, grainy, its colors dull. "video" is a cartoon: flat, its colors bright, with dark lines along all edges. "smoothed" is
a cartoon whose lines are blurred. Geometry is in units of the frame's short side.

Variants: unpaired (the default; cartoons are of other scenes, as CartoonGAN's), paired ("video" is the cartoon of the photo's own scene:
what a translation is to give, known exactly). Splits: train is scenes 0..3,999, test the 400 after.
"""

from functools import partial

import numpy as np
import tensorflow as tf

from tfvideogan.config import Clips, UserError
from tfvideogan.data.source import Source, unpaired
from tfvideogan.data.uniforms import uniforms

VARIANTS = "unpaired", "paired"
SCENES = {"train": range(4000), "test": range(4000, 4400), "train+test": range(4400)}
OTHERS, SMOOTHED = 1001, 1002  # streams of an example's seed; clips.py has those from 1000 on, none of which is drawn from here
CARTOONS = 100_000  # scenes of cartoons begin here, away from those of photos
OBJECTS, DRAWS = 5, 11  # of a scene, and numbers that each is made of
LINE = 0.025  # half the width of a dark line
DARK = 0.06  # its brightness


def source(config: Clips, variant: str, split: str) -> Source:
    """Clips of config.frames frames of any size. Raises UserError for an unknown variant."""
    variant = variant or VARIANTS[0]
    if variant not in VARIANTS:
        raise UserError(f"--dataset={config.dataset}: expected renderings, or renderings/ and one of {', '.join(VARIANTS)}")
    scenes, shape = SCENES[split], [config.frames, *config.frame_size, 3]

    def drawn(style: str, index: tf.Tensor) -> tf.Tensor:
        draw = partial(render, style=style, frames=config.frames, height=shape[1], width=shape[2])
        return tf.ensure_shape(tf.numpy_function(draw, [index], tf.uint8, stateful=False), shape)

    def other(index: tf.Tensor, seed: tf.Tensor, stream: int, training: bool) -> tf.Tensor:
        return CARTOONS + scenes.start + unpaired(index, seed, stream, len(scenes), training)

    def clip(index: tf.Tensor, seed: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        shown = index + scenes.start
        cartoon = shown if variant == "paired" else other(index, seed, OTHERS, training)
        return {"source": drawn("photo", shown), "video": drawn("cartoon", cartoon), "label": tf.constant(0)}

    def smoothed(index: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
        return drawn("smoothed", other(index, seed, SMOOTHED, training))

    return Source(("scene",), len(scenes), clip, {"smoothed": smoothed}, paired=variant == "paired")


def render(index: int, style: str, frames: int, height: int, width: int) -> np.ndarray:
    """Scene `index` as a photo, a cartoon, or a cartoon with smoothed edges: uint8 [frames,height,width,3]."""
    short = min(height, width)
    y, x = (np.arange(height)[:, None] + 0.5) / short, (np.arange(width)[None] + 0.5) / short
    draws = uniforms(int(index), (OBJECTS + 1) * DRAWS).reshape(OBJECTS + 1, DRAWS)
    return np.stack([_frame(index, style, draws, time, x, y, short) for time in range(frames)])


def _frame(index: int, style: str, draws: np.ndarray, time: int, x: np.ndarray, y: np.ndarray, short: int) -> np.ndarray:
    height, width = len(y), x.shape[1]
    photo = style == "photo"
    picture = np.broadcast_to(_color(draws[0], photo), [height, width, 3])
    if photo:
        picture = picture * _shade(draws[0], x, y, 0.5 * width / short, 0.5 * height / short, 1.0)
    near = np.full([height, width], np.inf)  # to the nearest edge that is seen
    for own in draws[1:]:
        distance, cx, cy, radius = _object(own, time, x, y, width / short, height / short)
        color = _color(own, photo) * (_shade(own, x, y, cx, cy, radius) if photo else 1.0)
        cover = np.clip(0.5 - distance * short, 0, 1)  # a ramp of one pixel at the edge
        picture = picture + cover[..., None] * (color - picture)
        near = np.where(distance < 0, -distance, np.minimum(near, distance))
    if photo:
        grain = uniforms(index * 1000 + time, height * width).reshape(height, width, 1)
        return _to_uint8(picture + 0.08 * (grain - 0.5))
    line = np.clip(0.5 + (LINE - near) * short, 0, 1)[..., None]
    picture = picture + line * (DARK - picture)
    if style == "smoothed":
        around = (near < 3 * LINE)[..., None]
        picture = np.where(around, _blur(picture, max(1.5 * LINE * short, 1.0)), picture)
    return _to_uint8(picture)


def _object(
    draws: np.ndarray, time: int, x: np.ndarray, y: np.ndarray, right: float, bottom: float
) -> tuple[np.ndarray, float, float, float]:
    """Signed distance from its edge [H,W], negative inside; its center, and its radius."""
    radius = 0.12 + 0.16 * draws[0]
    cx, cy = right * draws[1] + 0.02 * (draws[2] - 0.5) * time, bottom * draws[3] + 0.02 * (draws[4] - 0.5) * time
    dx, dy = abs(x - cx), abs(y - cy)
    kind = int(3 * draws[5])
    distance = (
        np.sqrt(dx**2 + dy**2) if kind == 0 else np.maximum(dx, dy) + 0.1 * radius if kind == 1 else (dx + dy) / np.sqrt(2) + 0.2 * radius
    )
    return distance - radius, cx, cy, radius


def _color(draws: np.ndarray, photo: bool) -> np.ndarray:
    """A color of few; in a photo duller and darker."""
    hue = np.floor(8 * draws[6]) / 8
    ramp = np.clip(abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    bright = 0.95 * (1 - 0.6 * (1 - ramp)) if draws[7] < 0.8 else np.full(3, 0.95)
    return 0.15 + 0.6 * (0.6 * bright + 0.4 * bright.mean()) if photo else bright


def _shade(draws: np.ndarray, x: np.ndarray, y: np.ndarray, cx: float, cy: float, radius: float) -> np.ndarray:
    """Light from a side, [H,W,1]."""
    angle = 2 * np.pi * draws[8]
    along = (np.cos(angle) * (x - cx) + np.sin(angle) * (y - cy)) / radius
    return (1.0 + 0.35 * np.clip(along, -1, 1))[..., None]


def _blur(picture: np.ndarray, deviation: float) -> np.ndarray:
    """Gaussian, of this standard deviation in pixels; the picture mirrored at its borders."""
    reach = int(np.ceil(2 * deviation))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    for axis in (0, 1):
        padded = np.pad(picture, [(reach, reach) if a == axis else (0, 0) for a in range(3)], "symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(taps), axis)
        picture = windows @ (taps / taps.sum())
    return picture


def _to_uint8(unit: np.ndarray) -> np.ndarray:
    return np.clip(unit * 255 + 0.5, 0, 255).astype(np.uint8)

"""Moving shapes: the embedded data. Every clip is drawn from its index, so there is no file, and it is the same for ever.

A bright ring, square or triangle crosses a dim background to the right, left, up or down, on a curve: 3 x 4 = 12
classes, `ring_right` to `triangle_down`; the class of clip i is i % 12. Geometry is in units of the frame and of the
clip, so every size shows the same scene, and every number of frames the whole way; stride and flip have no part here.

Variants: plain (background of one colour), textured (a smooth random pattern), mixed (half and half; the default),
shape_motion: circles and squares on plain backgrounds that move right or down, 4 classes, after the data set of MoCoGAN's paper (its 3.3:
4,000 videos of both shapes in varying size and colour, left to right or top to bottom along Bezier curves), and
labels: what a picture of labels is to become. Its "source" says what each pixel is, 0 the background and 1 to 3 a ring, square or triangle,
and "instances" which thing it is of, int32 [T,H,W] both. Backgrounds, and colors of a shape, are the same in every clip; a shape has a
stripe, which moves with it. And
dancer: a made-up person with a striped body (moving_shapes_dancer.py), of any shape of frame. Its "source" is its stick figure, and
"face" the row and column of its nose, int32 [T,2]; it has no flow.
Splits: train is clips 0..47,999, test the 2,400 after; of shape_motion and dancer 0..3,999 and the 400 after.
"""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import tensorflow as tf

from tfvideogan.config import Clips, UserError
from tfvideogan.data.source import Source
from tfvideogan.data.sources import moving_shapes_dancer as dancer
from tfvideogan.data.uniforms import uniforms

SHAPES = ("ring", "square", "triangle")
MOTIONS = ("right", "left", "up", "down")
LABELS = tuple(f"{shape}_{motion}" for shape in SHAPES for motion in MOTIONS)
SHAPE_MOTION_LABELS = ("circle_right", "circle_down", "square_right", "square_down")
VARIANTS = ("plain", "textured", "mixed", "shape_motion", "labels", "dancer")
WAVES = 3  # sinusoids in a texture
LABELED_COLORS = {"ring": (0.95, 0.35, 0.3), "square": (0.35, 0.9, 0.4), "triangle": (0.4, 0.5, 1.0)}
STRIPES = 1.5  # cycles of brightness across a labeled shape


def source(config: Clips, variant: str, split: str) -> Source:
    """Clips of config.frames frames and config.size pixels. Raises UserError for an unknown variant."""
    variant = variant or "mixed"
    if variant not in VARIANTS:
        raise UserError(f"--dataset={config.dataset}: expected moving_shapes/ and one of {', '.join(VARIANTS)}")
    if variant == "dancer":
        return dancing(config, clips_of(variant, split))
    config.require_square("dataset")
    clips = clips_of(variant, split)
    draw = partial(render, frames=config.frames, size=config.size, variant=variant)

    def clip(index: tf.Tensor, seed: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        video, label = tf.numpy_function(draw, [index + clips.start], [tf.uint8, tf.int32], stateful=False)
        return {"video": tf.ensure_shape(video, [config.frames, config.size, config.size, 3]), "label": tf.ensure_shape(label, [])}

    def flow_of(index: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
        drawn = tf.numpy_function(partial(flow, frames=config.frames, size=config.size, variant=variant), [index + clips.start], tf.float32)
        return tf.ensure_shape(drawn, [config.frames, config.size, config.size, 2])

    def labeled(index: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
        drawn = tf.numpy_function(partial(pixel_labels, frames=config.frames, size=config.size), [index + clips.start], tf.int32)
        return tf.ensure_shape(drawn, [config.frames, config.size, config.size])

    more: dict[str, Callable[[tf.Tensor, tf.Tensor, bool], tf.Tensor]] = {"flow": flow_of}
    if variant == "labels":
        more |= {"source": labeled, "instances": lambda *example: tf.cast(labeled(*example) > 0, tf.int32)}  # of one shape
    return Source(labels_of(variant), len(clips), clip, more)


def dancing(config: Clips, clips: range) -> Source:
    """The source of variant dancer."""
    height, width = config.frame_size

    def drawn(draw: Callable[..., np.ndarray], shape: list[int], dtype: tf.DType, index: tf.Tensor) -> tf.Tensor:
        made = tf.numpy_function(
            partial(draw, frames=config.frames, height=height, width=width), [index + clips.start], dtype, stateful=False
        )
        return tf.ensure_shape(made, [config.frames, *shape])

    def clip(index: tf.Tensor, seed: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        return {"video": drawn(dancer.bodies, [height, width, 3], tf.uint8, index), "label": tf.constant(0)}

    more = {
        "source": lambda index, seed, training: drawn(dancer.figures, [height, width, 3], tf.uint8, index),
        "face": lambda index, seed, training: drawn(dancer.faces, [2], tf.int32, index),
    }
    return Source(labels_of("dancer"), len(clips), clip, more)


def labels_of(variant: str) -> tuple[str, ...]:
    """The classes of a variant."""
    if variant == "dancer":
        return ("dancer",)
    return SHAPE_MOTION_LABELS if variant == "shape_motion" else LABELS


def clips_of(variant: str, split: str) -> range:
    """The numbers of the clips of a split: train, test or train+test."""
    train, test = (4000, 400) if variant in ("shape_motion", "dancer") else (48_000, 2400)
    return {"train": range(train), "test": range(train, train + test), "train+test": range(train + test)}[split]


@dataclasses.dataclass(frozen=True)
class Scene:
    """What clip `index` of a variant shows, in units of the frame.

    Attributes:
        label: number of its class.
        shape: ring, square, triangle or circle.
        motion: right, left, up or down.
        radius: of the shape.
        along_points, across_points: control points of its curve, along the class's motion and across it.
        draws: the numbers in [0,1) that the scene is made of.
    """

    label: int
    shape: str
    motion: str
    radius: float
    along_points: tuple[float, float, float]
    across_points: tuple[float, float, float]
    draws: np.ndarray

    def centers(self, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x and y of the shape at times [T] of the clip, 0 at its first frame and 1 at its last."""
        bezier = np.stack([(1 - time) ** 2, 2 * time * (1 - time), time**2])  # [3,T]
        along, across = self.along_points @ bezier, self.across_points @ bezier
        if self.motion in ("left", "up"):
            along = 1 - along
        return (along, across) if self.motion in ("right", "left") else (across, along)


def scene_of(index: int, variant: str) -> Scene:
    """The scene of clip `index`. `variant` is one of VARIANTS."""
    labels = labels_of(variant)
    label = int(index) % len(labels)
    shape, motion = labels[label].split("_")
    draws = uniforms(int(index), 13 + 6 * WAVES)
    radius, start, end, bulge, cross, drift, middle = draws[:7]
    radius = 0.16 + 0.06 * radius

    # Along the motion from side to side, across it by at most 0.25 of the frame, so that the class is never in doubt;
    # the three control points keep the shape inside the frame, hence so does the curve.
    cross = radius + (1 - 2 * radius) * cross
    along_points = radius + 0.05 * start, 0.4 + 0.2 * middle, 1 - radius - 0.05 * end
    across_points = cross, radius + (1 - 2 * radius) * bulge, np.clip(cross + 0.5 * drift - 0.25, radius, 1 - radius)
    return Scene(label, shape, motion, radius, along_points, across_points, draws)


def times(frames: int) -> np.ndarray:
    """[T], when the frames are."""
    return np.linspace(0, 1, frames) if frames > 1 else np.array([0.5])


def render(index: int, frames: int, size: int, variant: str) -> tuple[np.ndarray, np.int32]:
    """Draws clip `index`: video uint8 [frames,size,size,3], and its label. `variant` is one of VARIANTS."""
    if variant == "dancer":
        return dancer.bodies(index, frames, size, size), np.int32(0)
    scene = scene_of(index, variant)
    textured = variant == "textured" or (variant == "mixed" and int(index) // len(LABELS) % 2 == 1)
    hue, saturation, value = scene.draws[7:10]
    background = np.broadcast_to(0.06 + 0.24 * scene.draws[10:13], [size, size, 3])
    color = _rgb(hue, 0.3 + 0.6 * saturation, 0.85 + 0.15 * value)
    if variant == "labels":
        background, color = 0.2 + _texture(_grid(size), uniforms(0, 6 * WAVES)), np.array(LABELED_COLORS[scene.shape])
    elif textured:
        background = background + _texture(_grid(size), scene.draws[13:])
    video = np.repeat(_to_uint8(background)[None], frames, 0)
    x, y = scene.centers(times(frames))
    for t, (window, outside) in enumerate(_windows(scene, x, y, size)):
        cover = np.clip(0.5 - outside * size, 0, 1)[..., None]  # a ramp of one pixel at the edge
        if variant == "labels":
            color = np.array(LABELED_COLORS[scene.shape]) * _stripes(_grid(size)[window[1]] - x[t], scene.radius)[:, None]
        video[t][window] = _to_uint8(background[window] + cover * (color - background[window]))
    return video, np.int32(scene.label)


def flow(index: int, frames: int, size: int, variant: str) -> np.ndarray:
    """The exact flow of `render`'s clip, float32 [frames,size,size,2], as layers/warp.py has it: from a frame to the one before.

    A pixel whose center is inside the shape moves with it, and any other not at all. The first frame's is from a step before it,
    on the same curve; of a clip of one frame it is zero.
    """
    scene, time = scene_of(index, variant), times(frames)
    step = time[1] - time[0] if frames > 1 else 0.0
    now, before = (np.stack(scene.centers(t), 1) for t in (time, time - step))  # [T,2]
    back = ((before - now) * size).astype(np.float32)
    result = np.zeros([frames, size, size, 2], np.float32)
    for t, (window, outside) in enumerate(_windows(scene, now[:, 0], now[:, 1], size)):
        result[t][window] = np.where(outside[..., None] < 0, back[t], 0)
    return result


def pixel_labels(index: int, frames: int, size: int) -> np.ndarray:
    """What each pixel of clip `index` of variant labels is, by its center, int32 [frames,size,size]: 0 the background, else 1 + the number
    of the shape."""
    scene = scene_of(index, "labels")
    result = np.zeros([frames, size, size], np.int32)
    for t, (window, outside) in enumerate(_windows(scene, *scene.centers(times(frames)), size)):
        result[t][window] = np.where(outside < 0, 1 + SHAPES.index(scene.shape), 0)
    return result


def _windows(scene: Scene, x: np.ndarray, y: np.ndarray, size: int) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """The part of each frame around the shape, centered at x and y [T]: (rows and columns, signed distance [w,w] from the edge)."""
    grid, window = _grid(size), min(size, int(np.ceil(2 * scene.radius * size)) + 3)
    left, top = (np.clip(np.rint(c * size - window / 2), 0, size - window).astype(int) for c in (x, y))
    dx = grid[left[:, None] + np.arange(window)] - x[:, None]
    dy = grid[top[:, None] + np.arange(window)] - y[:, None]
    outside = _distance(scene.shape, dx[:, None, :], dy[:, :, None], scene.radius)  # all T at once
    for t in range(len(x)):
        yield np.s_[top[t] : top[t] + window, left[t] : left[t] + window], outside[t]


def _grid(size: int) -> np.ndarray:
    return (np.arange(size) + 0.5) / size  # pixel centers


def _distance(shape: str, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Signed distance from the edge, negative inside (beyond a corner: from the lines through it). y points down.

    Each shape stays within `radius` of its centre along both axes.
    """
    if shape == "circle":
        return np.sqrt(x * x + y * y) - radius
    if shape == "ring":  # a hole of 0.45 of its radius: at 32x32 a full disc is hardly told from a square
        return abs(np.sqrt(x * x + y * y) - 0.725 * radius) - 0.275 * radius
    if shape == "square":
        return np.maximum(abs(x), abs(y)) - 0.9 * radius
    outer = 1.15 * radius  # half a side is 0.866 * 1.15 = 0.996; the centroid lies outer / 4 below the middle of the height
    y = y - outer / 4
    return np.maximum(y, np.sqrt(0.75) * abs(x) - 0.5 * y) - outer / 2


def _stripes(x: np.ndarray, radius: float) -> np.ndarray:
    """The brightness of a labeled shape's columns, by their distance [w] to the right of its center."""
    return 0.8 + 0.2 * np.cos(2 * np.pi * STRIPES * x / (2 * radius))


def _texture(grid: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """[S,S,3]: the sum of WAVES sinusoids of at most 3 cycles a frame, each in its own colour of at most 0.1."""
    fx, fy, phase, *colour = 2 * np.reshape(draws, [6, WAVES]) - 1
    across = 2 * np.pi * (3 * fx[:, None] * grid + phase[:, None])
    down = 2 * np.pi * 3 * fy[:, None] * grid
    # sin(a + b) = sin a cos b + cos a sin b needs sines of rows and columns only.
    basis = np.stack([np.sin(down), np.cos(down)]), np.stack([np.cos(across), np.sin(across)])
    return np.einsum("kwy,kwx,cw->yxc", *basis, 0.1 * np.stack(colour), optimize=True)


def _rgb(hue: float, saturation: float, value: float) -> np.ndarray:
    ramp = np.clip(abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return value * (1 - saturation + saturation * ramp)


def _to_uint8(unit: np.ndarray) -> np.ndarray:
    return np.clip(unit * 255 + 0.5, 0, 255).astype(np.uint8)

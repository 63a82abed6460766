"""Moving MNIST (Srivastava, Mansimov, Salakhutdinov 2015): two digits that bounce in a square. `--dataset=moving_mnist`.

Rendered from real digits: --data_dir is an .npz file with "image" uint8 [N,28,28] and "label" [N], or a folder where TFDS
prepared `mnist`. Clip i of a split is the same for ever, whatever the split's size: it follows from i and the digits.

The paper gives 20 frames of 64x64, directions uniform on the circle, speeds uniform over a range that it does not name (here
2 to 5 pixels of 64 a frame), digits that bounce off the edges and overlap; its pixels where digits meet are here the brighter
of the two. It has no classes: here a clip's class is its pair of digits, "0+0" to "9+9", 55 of them, for models that want one.
Digits are 28 pixels of a frame of 64, resized by Pillow (bilinear) for other sizes; stride and flip have no part here.
Train clips are of the first nine tenths of the digits, test clips of the rest (with TFDS: of its own splits).
"""

import functools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from PIL import Image

from tfvideogan.config import Clips, UserError
from tfvideogan.data import paths
from tfvideogan.data.decode import PICTURE_FPS, Facts
from tfvideogan.data.source import Source
from tfvideogan.data.sources import prepared
from tfvideogan.data.sources.listing import Listing, Video
from tfvideogan.data.uniforms import uniforms

PAIRS = tuple((one, other) for one in range(10) for other in range(one, 10))
LABELS = tuple(f"{one}+{other}" for one, other in PAIRS)
FRAMES, CANVAS, DIGIT = 20, 64, 28  # of the paper
SPEEDS = (2.0, 5.0)  # pixels of 64 a frame
CLIPS = {"train": 60_000, "test": 10_000}  # the public test set has 10,000
SHARE = 0.9  # of an .npz's digits that train clips show


def source(config: Clips, variant: str, split: str) -> Source:
    """Clips of config.frames frames and config.size pixels. Raises UserError where there are no digits."""
    if variant:
        raise UserError(f"--dataset={config.dataset}: expected moving_mnist, without a variant")
    clips = [(part, index) for part in split.split("+") for index in range(CLIPS[part])]
    digits = {part: load_digits(config.data_dir, part) for part in split.split("+")}

    def draw(number: np.int64) -> tuple[np.ndarray, np.int32]:
        part, index = clips[number]
        return render(digits[part], part, index, config.frames, config.size), np.int32(index % len(PAIRS))

    def clip(index: tf.Tensor, seed: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        video, label = tf.numpy_function(draw, [index], [tf.uint8, tf.int32], stateful=False)
        return {"video": tf.ensure_shape(video, [config.frames, config.size, config.size, 3]), "label": tf.ensure_shape(label, [])}

    return Source(LABELS, len(clips), clip)


def listing(path: str, clips: int) -> Listing:
    """The first `clips` train clips and a sixth as many test clips, as videos to prepare, of 20 frames of 64x64.

    Raises: UserError where there are no digits.
    """
    videos = []
    for split, count in (("train", clips), ("test", -(-clips // 6))):
        load_digits(path, split)
        videos += [Video(f"{split}/{index:06}", f"{path}#{split}#{index}", index % len(PAIRS), split) for index in range(count)]
    return Listing(LABELS, tuple(videos), probe=probe, digest=digest, stream=stream)


def probe(path: str) -> Facts:
    return Facts(CANVAS, CANVAS, np.arange(FRAMES, dtype=np.float32) / PICTURE_FPS)


def digest(path: str) -> str:
    """No two clips are the same."""
    return path


def stream(path: str, facts: Facts) -> Iterator[np.ndarray]:
    """The frames of a video that `listing` named."""
    file, split, index = path.rsplit("#", 2)
    yield from render(load_digits(file, split), split, int(index), facts.frames, facts.height)


@functools.cache
def load_digits(path: str, split: str) -> list[np.ndarray]:
    """For each of the ten numbers its digits of split train or test, uint8 [N,28,28]. Raises UserError where there are none."""
    if paths.suffix(path) == ".npz" and tf.io.gfile.exists(path):
        content = np.load(paths.opened(path))
        if not {"image", "label"} <= set(content.files):
            raise UserError(f"--data_dir={path}: has {', '.join(content.files)}; expected image and label")
        images, labels = content["image"], content["label"]
        border = int(SHARE * len(images))
        part = slice(border) if split == "train" else slice(border, None)
        images, labels = images[part], labels[part]
    else:
        found = [builder for builder in prepared.builders(path) if builder.info.name == "mnist"]
        if not found:
            raise UserError(f"--data_dir={path}: expected an .npz file with image and label, or a folder where TFDS prepared mnist")
        examples = list(found[0].as_dataset(split=split, shuffle_files=False).as_numpy_iterator())
        images, labels = np.stack([example["image"][..., 0] for example in examples]), np.array([example["label"] for example in examples])
    if images.shape[1:] != (DIGIT, DIGIT) or images.dtype != np.uint8 or set(labels.tolist()) != set(range(10)):
        raise UserError(f"--data_dir={path}: expected uint8 [N,28,28] digits of all ten numbers, got {images.dtype} {list(images.shape)}")
    return [images[labels == number] for number in range(10)]


def render(digits: list[np.ndarray], split: str, index: int, frames: int, size: int) -> np.ndarray:
    """Draws clip `index` of a split, uint8 [frames,size,size,3]. Its class is PAIRS[index % 55]: all are equally frequent."""
    draws = uniforms(index + (1 << 40) * (split == "test"), 10).reshape(2, 5)
    video = np.zeros([frames, size, size], np.uint8)
    side = round(DIGIT * size / CANVAS)
    for number, (which, x, y, angle, speed) in zip(PAIRS[index % len(PAIRS)], draws, strict=True):
        picture = Image.fromarray(digits[number][int(which * len(digits[number]))])
        resized = np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))
        step = (SPEEDS[0] + (SPEEDS[1] - SPEEDS[0]) * speed) * size / CANVAS
        free, time = size - side, np.arange(frames)
        left = _bounce(free * x + time * step * np.cos(2 * np.pi * angle), free)
        top = _bounce(free * y + time * step * np.sin(2 * np.pi * angle), free)
        for frame, row, column in zip(video, top, left, strict=True):
            place = frame[row : row + side, column : column + side]
            np.maximum(place, resized, out=place)
    return np.repeat(video[..., None], 3, -1)


def _bounce(places: np.ndarray, free: int) -> np.ndarray:
    """Places on a line, folded into [0, free] as by walls, in whole pixels."""
    folded = places % (2 * free)
    return np.rint(np.minimum(folded, 2 * free - folded)).astype(int)

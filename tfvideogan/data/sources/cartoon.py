"""Photos and cartoons, unpaired: `--dataset=cartoon --data_dir=DIR` reads the pictures in DIR/photos, DIR/cartoons and DIR/smoothed.

`prepare --dataset=cartoon` makes such a folder. "source" is a photo, "video" a cartoon, "smoothed" a cartoon with smoothed edges, drawn
apart from it: clips of one frame. An epoch shows every photo once. With --held_out the pictures photos/NAME and cartoons/NAME that the
regular expression is found in are split test, the others train; else every picture is in both.
"""

import numpy as np
import tensorflow as tf

from tfvideogan.config import Clips, RunFailed, UserError
from tfvideogan.data import decode, paths, pictures
from tfvideogan.data.clips import shape
from tfvideogan.data.source import Source, unpaired
from tfvideogan.data.sources.listing import held_out_pattern

PHOTOS, CARTOONS, SMOOTHED = "photos", "cartoons", "smoothed"
STREAMS = {CARTOONS: 1010, SMOOTHED: 1011}  # of an example's seed, beside those of clips.py


def source(config: Clips, variant: str, split: str) -> Source:
    """Clips of one frame. Raises UserError for a variant, for clips of several frames, and for a folder that is missing or empty."""
    if variant:
        raise UserError(f"--dataset={config.dataset}: expected cartoon, without a variant")
    if config.frames != 1:
        raise UserError(f"--frames={config.frames}: expected 1 for --dataset=cartoon, whose clips are pictures")
    photos, cartoons = (listing(config, name, split) for name in (PHOTOS, CARTOONS))

    def entry(files: list[str], index: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
        def read(number: np.int64) -> np.ndarray:
            return read_any(files, int(number), config.data_dir)

        return shape(config, tf.numpy_function(read, [index], tf.uint8, stateful=False), seed, training)

    def of_stream(files: list[str], name: str, index: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
        number = unpaired(index, seed, STREAMS[name], len(files), training)
        return entry(files, number, tf.random.experimental.stateless_fold_in(seed, STREAMS[name]), training)

    def clip(index: tf.Tensor, seed: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        cartoon = of_stream(cartoons, CARTOONS, index, seed, training)
        return {"source": entry(photos, index, seed, training), "video": cartoon, "label": tf.constant(0)}

    more = {}
    if paths.is_folder(paths.join(config.data_dir, SMOOTHED)):
        smoothed = listing(config, SMOOTHED, split)
        more["smoothed"] = lambda index, seed, training: of_stream(smoothed, SMOOTHED, index, seed, training)
    files = tuple(f"{path.removeprefix(paths.join(config.data_dir, ''))}\ta picture" for path in (*photos, *cartoons))
    return Source(("cartoon",), len(photos), clip, more, files=files, paired=False)


def listing(config: Clips, name: str, split: str) -> list[str]:
    """Paths of a folder's pictures of a split. Raises UserError if there are none."""
    folder = paths.join(config.data_dir, name)
    if not config.data_dir or not paths.is_folder(folder):
        raise UserError(f"--data_dir={config.data_dir}: got no folder {name}, expected one that prepare --dataset=cartoon made")
    held_out = held_out_pattern(config.held_out)
    files = pictures.names(folder)
    if config.held_out:
        named = CARTOONS if name == SMOOTHED else name  # a smoothed cartoon is of its cartoon's split
        split_of = {file: "test" if held_out.search(f"{named}/{file}") else "train" for file in files}
        files = [file for file in files if split_of[file] in split.split("+")]
    if not files:
        raise UserError(f"--split={split}: got no picture in {folder}, expected some")
    return [paths.join(folder, file) for file in files]


def read_any(files: list[str], number: int, data_dir: str) -> np.ndarray:
    """Picture `number`, or the next one that can be read: uint8 [1,h,w,3]. Raises RunFailed if there is none."""
    for path in files[number:] + files[:number]:
        try:
            return pictures.picture(path)[None]
        except (ValueError, OSError, tf.errors.OpError) as error:
            decode.warn_once(f"{path}: cannot be read, another picture stands in: {error}")
    raise RunFailed(f"--data_dir={data_dir}: none of its pictures can be read")

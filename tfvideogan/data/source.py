"""Source: what a file in this folder promises, namely clips by their index."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Source:
    """Numbered clips. Each data set's file defines `source(config, variant, split) -> Source`.

    Attributes:
        labels: names of the classes, in the order of their numbers.
        size: number of clips.
        clip: maps (index int64 [], seed int32 [2], training) to (video uint8 [T,size,size,3] of static shape, label
            int32 []), inside a tf.data graph. Every draw comes from the seed, through `stateless_fold_in` with numbers
            from 1000 on, which no model uses; without training nothing is drawn.
        flow: maps the same to the clip's optical flow, float32 [T,size,size,2] in pixels as `layers.warp` has it; None of a source
            that knows none.
    """

    labels: tuple[str, ...]
    size: int
    clip: Callable[[tf.Tensor, tf.Tensor, bool], tuple[tf.Tensor, tf.Tensor]]
    flow: Callable[[tf.Tensor, tf.Tensor, bool], tf.Tensor] | None = None

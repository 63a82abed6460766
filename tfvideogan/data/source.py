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
        clip: maps (index int64 [], seed int32 [2], training) to the example's entries, of static shapes, inside a tf.data
            graph: "video" uint8 [T,H,W,3] always; "label" int32 [] where there are classes, and what else the source has,
            such as "source". Every draw comes from the seed, through `stateless_fold_in` with numbers from 1000
            on, which no model uses; without training nothing is drawn. The seed is (config.seed, number of the example), so
            that a source of unpaired streams shuffles each by its own (`unpaired`). What a model translates is "source"; "video" is
            what its output is to look like: of the same clip, or of any other where the set is unpaired.
        more: entries that are made only for a model that reads them, as "flow" float32 [T,H,W,2] in pixels (`layers.warp`), by
            functions of the same arguments.
        paired: whether "video" is what "source" is to become; else it is of another clip.
        files: what the clips are of, NAME tab WHAT IT IS: a run writes it down, to notice what changed when it goes on. Empty for clips
            that follow from the code alone.
    """

    labels: tuple[str, ...]
    size: int
    clip: Callable[[tf.Tensor, tf.Tensor, bool], dict[str, tf.Tensor]]
    more: dict[str, Callable[[tf.Tensor, tf.Tensor, bool], tf.Tensor]] = dataclasses.field(default_factory=dict)
    files: tuple[str, ...] = ()
    paired: bool = True


def unpaired(index: tf.Tensor, seed: tf.Tensor, stream: int, size: int, training: bool) -> tf.Tensor:
    """The number in [0, size) of the clip that another stream of an unpaired set gives an example, int64 [].

    In training each stream is shuffled by its own, and shows each of its clips once in `size` examples; else clip index % size.

    Args:
        index, seed, training: of the example, as `Source.clip` gets them.
        stream: a number of its own.
        size: clips of the stream.
    """
    if not training:
        return index % size
    n = tf.cast(seed[1], tf.int64)
    epoch = tf.random.experimental.stateless_fold_in(tf.stack([seed[0], tf.cast(n // size, tf.int32)]), stream)
    return tf.random.experimental.index_shuffle(n % size, epoch, tf.constant(size - 1, tf.int64))

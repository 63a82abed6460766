"""Clips for training and for judging: `load(config, split)`.

`--dataset=NAME/VARIANT` is the file NAME.py in sources/. A new data set is a new file with one function,
`source(config, variant, split)`; the order of clips, batches, workers and resuming are here, once, for all.
"""

import dataclasses
import difflib
import functools
import importlib
import pkgutil
from collections.abc import Callable, Collection
from types import ModuleType

import tensorflow as tf

from tfvideogan.config import Clips, UserError
from tfvideogan.data import paths, sources
from tfvideogan.data.source import Source
from tfvideogan.ops.video import from_uint8

SPLITS = ("train", "test", "train+test")
Batch = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Clips in batches: dicts of "video" float32 [n,T,H,W,3] in [-1,1], "seed" int32 [n,2], and what else the source gives,
    as "label" int32 [n]. Entries that the source gives as uint8 are pictures, and come in [-1,1].

    A seed is (config.seed, number of the example). Whatever is drawn for an example is drawn from its seed, so that
    training depends neither on the number of replicas nor on where it was interrupted.

    Attributes:
        labels: names of the classes, in the order of their numbers.
        size: number of clips.
        entries: of the source's costly ones, those that are made.
    """

    labels: tuple[str, ...]
    size: int
    source: Source = dataclasses.field(repr=False)
    seed: int
    entries: tuple[str, ...] = ()

    def batches(self, batch_size: int, start: int = 0, worker: int = 0, workers: int = 1, replicas: int = 1) -> tf.data.Dataset:
        """Endless shuffled training batches, a function of their arguments and the seed alone.

        Example n is clip `index_shuffle(n % size)` of epoch n // size, so every epoch shows every clip once. Global
        batch m is examples m * batch_size and on: batches run over the ends of epochs, and nothing is dropped.

        Args:
            batch_size: clips in a global batch, over all workers and replicas.
            start: the first global batch.
            worker, workers: this worker takes the block `worker` of each global batch.
            replicas: of one worker; its element e is for replica e % replicas, of global batch start + e // replicas.

        Returns: elements of batch_size / (workers * replicas) clips.
        Raises: UserError if that is no whole number.
        """
        example, share = self.examples(batch_size, worker, workers, replicas)
        return in_floats(_batched(tf.data.Dataset.range(start * share * replicas, tf.int64.max), example, share, drop_remainder=True))

    def examples(self, batch_size: int, worker: int, workers: int, replicas: int) -> tuple[Callable[[tf.Tensor], Batch], int]:
        """Of the batches of these arguments: the example at a place, int64 [], in the row of them all, and how many an element has."""
        share, rest = divmod(batch_size, workers * replicas)
        if rest:
            raise UserError(f"--batch_size={batch_size}: expected a multiple of {workers * replicas}, the number of replicas")
        block = share * replicas

        def example(position: tf.Tensor) -> Batch:
            n = position // block * batch_size + worker * block + position % block
            epoch = tf.stack([tf.constant(self.seed, tf.int64), n // self.size])
            index = tf.random.experimental.index_shuffle(n % self.size, epoch, tf.constant(self.size - 1, tf.int64))
            return self._example(index, n, training=True)

        return example, share

    def once(self, batch_size: int) -> tf.data.Dataset:
        """Every clip once, in the order of their indices: its centre, never mirrored. The last batch may be smaller."""
        clips = tf.data.Dataset.range(self.size)
        return in_floats(_batched(clips, lambda n: self._example(n, n, training=False), batch_size, drop_remainder=False))

    @functools.cached_property
    def specs(self) -> dict[str, tf.TensorSpec]:
        """What its batches hold: the entries' names, shapes [None,...] and types."""
        return dict(self.once(1).element_spec)

    def _example(self, index: tf.Tensor, n: tf.Tensor, training: bool) -> Batch:
        seed = tf.stack([tf.constant(self.seed, tf.int32), tf.cast(n, tf.int32)])
        more = {name: draw(index, seed, training) for name, draw in self.source.more.items() if name in self.entries}
        return {**self.source.clip(index, seed, training), **more, "seed": seed}


def load(config: Clips, split: str, entries: Collection[str] = ()) -> Dataset:
    """The clips of `config.dataset`, cut as the config says.

    Args:
        config: of the run.
        split: train, test or train+test, or of its file's SPLITS.
        entries: what is read of a batch; a source makes the costly ones, as "flow", only for those who read them.

    Raises: UserError for an unknown name, variant or split, and for data that cannot be used.
    """
    name, _, variant = config.dataset.partition("/")
    files = [module.name for module in pkgutil.iter_modules(sources.__path__)]
    if name not in files or not hasattr(_file(name), "source"):
        names = [file for file in files if hasattr(_file(file), "source")]
        near = difflib.get_close_matches(name, names, n=1)
        raise UserError(f"--dataset={config.dataset}: expected one of {', '.join(names)}" + (f"; did you mean {near[0]}?" if near else ""))
    splits = getattr(_file(name), "SPLITS", SPLITS)
    if split not in splits:
        raise UserError(f"--split={split}: expected one of {', '.join(splits)}")
    paths.enable_schemes(config.data_dir)
    source = _file(name).source(config, variant, split)
    return of_source(source, config.seed, entries)


def of_source(source: Source, seed: int, entries: Collection[str] = ()) -> Dataset:
    """The clips of a source, shuffled by a seed."""
    return Dataset(source.labels, source.size, source, seed, tuple(name for name in source.more if name in entries))


def _file(name: str) -> ModuleType:
    return importlib.import_module(f"{sources.__name__}.{name}")


def in_floats(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The batches with their pictures in [-1,1], made while the one before is used."""

    def to_float(batch: Batch) -> Batch:
        return {name: from_uint8(value) if value.dtype == tf.uint8 else value for name, value in batch.items()}

    return batches.map(to_float).prefetch(tf.data.AUTOTUNE)


def _batched(positions: tf.data.Dataset, example: Callable[[tf.Tensor], Batch], size: int, drop_remainder: bool) -> tf.data.Dataset:
    examples = positions.map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return examples.batch(size, drop_remainder=drop_remainder)

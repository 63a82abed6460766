"""Data sets prepared by TFDS: `--dataset=prepared --data_dir=DIR` reads any that has a "video" and a "label", and
what it has of "flow", "source", what a model translates, and "face", the row and column of a face's center in each frame.

What `python -m tfvideogan.prepare` writes is one (see records.py). Clips are found by their number, without reading what
comes before: in TFRecord shards through the offsets of their records, in ArrayRecord shards as they are.
"""

import atexit
import contextlib
import functools
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tfvideogan.config import Clips, UserError
from tfvideogan.data import flows, paths
from tfvideogan.data.clips import cut, cut_by_stride, place, shape, shape_flow
from tfvideogan.data.source import Source
from tfvideogan.files import without_patterns

SPLITS = ("train", "validation", "test", "train+validation", "train+test", "train+validation+test")
FEATURES_FILE = "features.json"  # marks a folder that TFDS prepared
LENGTHS_FILE = "lengths-{split}.npy"  # bytes of each record, int64, in the order of the shards: saves a look at every record
FRAMING = 16  # bytes a TFRecord file adds to a record: its length, uint64, and crc, uint32, before; the record's crc after
MORE = "flow", "source", "face"  # features of each frame that a set may have: see data/preparation/records.py


def source(config: Clips, variant: str, split: str) -> Source:
    """The one data set in --data_dir. Raises UserError if there is none, or more than one."""
    if variant:
        raise UserError(f"--dataset={config.dataset}: expected prepared, without a variant; --data_dir names the folder")
    found = folders(config.data_dir)
    if len(found) != 1:
        raise UserError(
            f"--data_dir={config.data_dir}: "
            + (f"expected one data set, found {', '.join(found)}" if found else f"no data set prepared by TFDS (no {FEATURES_FILE})")
        )
    return builder_source(config, open_builder(found[0]), split, found[0])


def folders(data_dir: str) -> list[str]:
    """Every data set prepared in this folder, or up to three levels down, where TFDS puts name/config/version."""
    level, found = [data_dir] if data_dir and tf.io.gfile.isdir(data_dir) else [], []
    for depth in range(4):  # listed, not globbed: a name may have brackets
        found += [folder for folder in level if tf.io.gfile.exists(paths.join(folder, FEATURES_FILE))]
        children = [paths.join(folder, name) for folder in level for name in paths.children(folder) if paths.is_plain(name)]
        level = [child for child in children if tf.io.gfile.isdir(child)] if depth < 3 else []
    return sorted(found)


def builders(data_dir: str) -> list[tfds.core.DatasetBuilder]:
    """The data sets of `folders`, opened."""
    return [open_builder(folder) for folder in folders(data_dir)]


@functools.cache
def open_builder(folder: str) -> tfds.core.DatasetBuilder:
    """The builder of a prepared folder. Of a remote one the metadata are copied, for TFDS would want another library for each scheme."""
    if "://" not in folder:
        held = contextlib.ExitStack()
        atexit.register(held.close)
        return tfds.builder_from_directory(held.enter_context(without_patterns(folder)))
    copy = tempfile.mkdtemp(prefix="tfvideogan_")
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    for name in paths.children(folder):
        if name.endswith((".json", ".txt")):
            tf.io.gfile.copy(paths.join(folder, name), paths.join(copy, name))
    return tfds.builder_from_directory(copy)


def builder_source(config: Clips, builder: tfds.core.DatasetBuilder, split: str, folder: str = "") -> Source:
    """Clips of a prepared data set, cut as clips.py says; a video's last frame stands in where it is too short.

    `folder` holds the shards, if it is not where the builder's metadata are.

    Raises: UserError for a split or feature the data set has not, and for damaged shards.
    """
    features = builder.info.features
    wanted = {"video": tfds.features.Video, "label": tfds.features.ClassLabel}
    if not all(name in features and isinstance(features[name], kind) for name, kind in wanted.items()):
        place = folder or builder.data_dir
        raise UserError(f"--data_dir={config.data_dir}: {place} has {', '.join(features)}; expected a video and a class label")
    more = tuple(name for name in MORE if name in features)
    return pictures_source(config, builder, split, folder, "video", "times" in features, tuple(features["label"].names), more)


def features(folder: str, split: str, stored: dict[str, tf.io.FixedLenFeature]) -> Iterator[dict[str, np.ndarray]]:
    """Some features of each record of a prepared folder, as they are stored."""
    read, size = _records(open_builder(folder), split, folder)
    for index in range(size):
        example = tf.io.parse_single_example(read(tf.constant(index, tf.int64)), stored)
        yield {name: value.numpy() for name, value in example.items()}


def pictures_source(
    config: Clips,
    builder: tfds.core.DatasetBuilder,
    split: str,
    folder: str,
    video: str,
    times: bool,
    labels: tuple[str, ...],
    more: tuple[str, ...] = (),
) -> Source:
    """Clips of a prepared data set with one sequence of encoded pictures an example.

    Args:
        config, builder, split, folder: as of `builder_source`.
        video: name of the sequence.
        times: whether there are "times" of the pictures, float32, in seconds.
        labels: names of the classes, whose numbers are under "label"; of one class alone, there are none.
        more: which of MORE there are.

    Raises: UserError for a split the data set has not, for damaged shards, and for faces where pictures are cut at random.
    """
    folder = folder or str(builder.data_dir)
    if config.fps and not times:
        raise UserError(f"--fps={config.fps:g}: {folder} has no times of frames; use --stride, or prepare it with tfvideogan.prepare")
    read, size = _records(builder, split, folder)
    # What TFDS writes of these features; its own parser takes 1.1 ms longer, of 2.7 for a clip of 16 frames of 64x64.
    pictures = tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)
    label = {"label": tf.io.FixedLenFeature([], tf.int64)} if len(labels) > 1 else {}
    shown = {"times": tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True)} if config.fps else {}

    def parsed(index: tf.Tensor, stored: dict) -> dict[str, tf.Tensor]:
        return tf.io.parse_single_example(tf.ensure_shape(read(index), []), stored)

    def numbers(example: dict[str, tf.Tensor], name: str, seed: tf.Tensor, training: bool) -> tf.Tensor:
        if config.fps:
            indices = cut(config, example["times"], seed, training)
        else:
            indices = cut_by_stride(config, tf.size(example[name]), seed, training)
        return tf.ensure_shape(indices, [config.frames])

    def decoded(images: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        images = tf.gather(images, indices)  # only these are decoded
        # Unrolled: a loop in the graph took a third longer.
        return tf.stack([tf.io.decode_image(images[t], 3, expand_animations=False) for t in range(config.frames)])

    def clip(index: tf.Tensor, seed: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        example = parsed(index, {video: pictures, **label, **shown})
        frames = decoded(example[video], numbers(example, video, seed, training))
        number = tf.cast(example["label"], tf.int32) if label else tf.constant(0)
        return {"video": shape(config, frames, seed, training), "label": number}

    def flow_of(index: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
        example = parsed(index, {"flow": pictures, "flow_limit": tf.io.FixedLenFeature([], tf.float32), **shown})

        def stored_flow(indices: tf.Tensor) -> tf.Tensor:
            return flows.from_pictures(decoded(example["flow"], indices), example["flow_limit"])

        moves = flows.along(numbers(example, "flow", seed, training), stored_flow)
        return shape_flow(config, moves, seed, training)

    def source_of(index: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
        example = parsed(index, {"source": pictures, **shown})
        return shape(config, decoded(example["source"], numbers(example, "source", seed, training)), seed, training)

    def face_of(index: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
        if config.flip or config.random_crop:
            raise UserError("--flip or --random_crop: expected neither, with faces")
        places = tf.io.FixedLenSequenceFeature([2], tf.float32, allow_missing=True)
        example = parsed(index, {"face": places, "figure_size": tf.io.FixedLenFeature([2], tf.int64), **shown})
        places = tf.gather(example["face"], numbers({**example, "face": example["face"][:, 0]}, "face", seed, training))
        return place(config, places, tf.cast(example["figure_size"], tf.int32))

    parts = [builder.info.splits[part] for part in split.split("+")]
    looks = tuple(f"{builder.info.full_name} {part.name}\t{part.num_examples} records, {part.num_bytes} bytes" for part in parts)
    entries = {"flow": flow_of, "source": source_of, "face": face_of}
    return Source(labels, size, clip, {name: entries[name] for name in more}, files=looks)


def _records(builder: tfds.core.DatasetBuilder, split: str, folder: str) -> tuple[Callable[[tf.Tensor], tf.Tensor], int]:
    """A function, in a graph, from a number int64 [] to that serialized example, string [], and the number of examples.

    Of TFRecord shards it is TensorFlow's operations alone, which any machine that has the files can run; TensorFlow has none for
    ArrayRecord.
    """
    splits = builder.info.splits
    for part in split.split("+"):
        if part not in splits:
            raise UserError(f"--split={split}: {folder} has {', '.join(splits)}")
    if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
        records = builder.as_data_source(split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
        # As bytes: TensorFlow 2.21 never frees an object array that numpy_function returns.
        one = functools.partial(tf.numpy_function, lambda index: bytes(records[int(index)]), Tout=tf.string, stateful=False)
        return lambda index: one([index]), len(records)
    files: list[str] = []
    tables = []  # [records,3]: number of the file, offset, bytes
    for part in split.split("+"):
        for file, lengths in _lengths(folder, splits[part]):
            offsets = np.cumsum(lengths + FRAMING) - (lengths + FRAMING)
            tables.append(np.stack([np.full_like(lengths, len(files)), offsets, lengths], 1))
            files.append(file)
    table = tf.constant(np.concatenate(tables))
    names = tf.constant(files)

    def read(index: tf.Tensor) -> tf.Tensor:
        number, offset, length = tf.unstack(table[index][:, tf.newaxis])
        # Of the record alone: for a local file gfile reads half a megabyte ahead, and tf.data's FixedLengthRecordDataset all before it.
        records = tf.raw_ops.TFRecordDatasetV2(
            filenames=tf.gather(names, number), compression_type="", buffer_size=length[0] + FRAMING, byte_offsets=offset
        )
        first = tf.raw_ops.TakeDataset(input_dataset=records, count=1, output_types=[tf.string], output_shapes=[[]])
        return tf.raw_ops.DatasetToSingleElement(dataset=first, output_types=[tf.string], output_shapes=[[]])[0]

    return read, sum(map(len, tables))


def _lengths(folder: str, split: tfds.core.SplitInfo) -> list[tuple[str, np.ndarray]]:
    """(shard, bytes of its records) of every shard. Raises UserError if one is damaged."""
    shards = [paths.join(folder, str(path).rpartition("/")[2]) for path in split.filepaths]
    known = paths.join(folder, LENGTHS_FILE.format(split=split.name))
    if not tf.io.gfile.exists(known):
        return [(shard, record_lengths(shard)) for shard in shards]
    with paths.opened(known) as file:
        lengths = np.load(file)
    parts = np.split(lengths, np.cumsum(split.shard_lengths)[:-1])
    for shard, part in zip(shards, parts, strict=True):
        if tf.io.gfile.stat(shard).length != (part + FRAMING).sum():
            raise UserError(f"{shard}: not of the length in {known}; prepare the data set again")
    return list(zip(shards, parts, strict=True))


def record_lengths(path: str) -> np.ndarray:
    """The bytes of every record in a TFRecord file, int64. Raises UserError if the file ends within one."""
    lengths: list[int] = []
    end, offset = tf.io.gfile.stat(path).length, 0
    with tf.io.gfile.GFile(path, "rb") if "://" in path else open(path, "rb") as file:
        while offset < end:
            file.seek(offset)
            head = file.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else end
            if offset + length + FRAMING > end:
                raise UserError(f"{path}: ends within record {len(lengths)}; prepare the data set again")
            lengths.append(length)
            offset += length + FRAMING
    return np.array(lengths, np.int64)

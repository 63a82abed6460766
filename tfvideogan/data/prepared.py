"""Data sets prepared by TFDS: `--dataset=prepared --data_dir=DIR` reads any that has a "video" and a "label".

Clips are found by their number, without reading what comes before: in TFRecord shards through the offsets of their
records, in ArrayRecord shards as they are.
"""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tfvideogan.config import Config, UserError
from tfvideogan.data.decode import cut, shape
from tfvideogan.data.source import Source

FEATURES_FILE = "features.json"  # marks a folder that TFDS prepared


def source(config: Config, variant: str, split: str) -> Source:
    """The one data set in --data_dir. Raises UserError if there is none, or more than one."""
    if variant:
        raise UserError(f"--dataset={config.dataset}: want prepared, without a variant; --data_dir names the folder")
    found = builders(config.data_dir)
    if len(found) != 1:
        folders = ", ".join(str(builder.data_dir) for builder in found)
        raise UserError(
            f"--data_dir={config.data_dir}: "
            + (f"want one data set, found {folders}" if found else f"no data set prepared by TFDS (no {FEATURES_FILE})")
        )
    return builder_source(config, found[0], split)


def builders(data_dir: str) -> list[tfds.core.DatasetBuilder]:
    """Every data set prepared in this folder, or up to three levels down, where TFDS puts name/config/version."""
    files = [file for depth in range(4) for file in Path(data_dir).glob("*/" * depth + FEATURES_FILE)] if data_dir else []
    return [tfds.builder_from_directory(file.parent) for file in sorted(files)]


def builder_source(config: Config, builder: tfds.core.DatasetBuilder, split: str) -> Source:
    """Clips of a prepared data set, cut as `decode.video_source` does; a video's last frame stands in where it is too short.

    Raises: UserError for a split or feature the data set has not, and for damaged shards.
    """
    features = builder.info.features
    wanted = {"video": tfds.features.Video, "label": tfds.features.ClassLabel}
    if not all(name in features and isinstance(features[name], kind) for name, kind in wanted.items()):
        raise UserError(f"--data_dir={config.data_dir}: {builder.data_dir} has {', '.join(features)}; want a video and a class label")
    read, size = _records(builder, split)

    def clip(index: tf.Tensor, seed: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        record = tf.ensure_shape(tf.numpy_function(read, [index], tf.string, stateful=False), [])
        example = features.deserialize_example(record, decoders={"video": tfds.decode.SkipDecoding()})
        images = tf.gather(example["video"], cut(config, tf.size(example["video"]), seed, training))  # only these are decoded
        video = tf.map_fn(lambda image: tf.io.decode_image(image, 3, expand_animations=False), images, fn_output_signature=tf.uint8)
        return shape(config, video, seed, training), tf.cast(example["label"], tf.int32)

    return Source(tuple(features["label"].names), size, clip)


def _records(builder: tfds.core.DatasetBuilder, split: str) -> tuple[Callable[[np.int64], np.ndarray], int]:
    """A function from a number to that serialized example, and the number of examples."""
    splits = builder.info.splits
    for part in split.split("+"):
        if part not in splits:
            raise UserError(f"--split={split}: {builder.data_dir} has {', '.join(splits)}")
    if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
        records = builder.as_data_source(split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
        return lambda index: np.array(records[int(index)], object), len(records)
    table = [place for part in split.split("+") for path in splits[part].filepaths for place in tfrecord_offsets(Path(path))]

    def read(index: np.int64) -> np.ndarray:
        path, offset, length = table[index]
        with path.open("rb") as file:
            file.seek(offset)
            return np.array(file.read(length), object)

    return read, len(table)


def tfrecord_offsets(path: Path) -> list[tuple[Path, int, int]]:
    """(path, offset, bytes) of every record in a TFRecord file. Raises UserError if the file ends within one."""
    places, end, offset = [], path.stat().st_size, 0
    with path.open("rb") as file:
        while offset < end:
            file.seek(offset)
            head = file.read(8)  # a record is its length, uint64; crc, uint32; the bytes; their crc, uint32
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else end
            if offset + length + 16 > end:
                raise UserError(f"{path}: ends within record {len(places)}; prepare the data set again")
            places.append((path, offset + 12, length))
            offset += length + 16
    return places

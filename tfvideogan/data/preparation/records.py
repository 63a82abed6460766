"""What `python -m tfvideogan.prepare` writes: a TFDS data set of videos, resized once, and read by the clip.

A record is a video, or a piece of it: "video" (frames as JPEG or PNG), "label", "file" (the source's name below its folder)
and "times" (of its frames, in seconds of the source); with --flow also "flow" (pictures of data/flows.py), their "flow_limit"
and the "flow_estimator"; of --dataset=poses also stick figures, "source", and what goes with them (figures.py). Which videos are in which
shard follows from their names alone, and a shard is written whole or not at all: so it does not matter how often the work stops, or who
does which part of it.

The two steps, each a map over tasks that leaves a file for every task done: `examine` looks at every file, `write` writes shards.
"""

import functools
import hashlib
import itertools
import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tfvideogan.data import flows, optical_flow, paths
from tfvideogan.data.clips import crop, fit
from tfvideogan.data.preparation import figures
from tfvideogan.data.preparation.figures import Poses
from tfvideogan.data.sources import listing as listings
from tfvideogan.data.sources.listing import Listing, Rejected, Video
from tfvideogan.data.sources.prepared import LENGTHS_FILE
from tfvideogan.files import write_whole

INFO_FILE, UNFINISHED = "dataset_info.json", "unfinished"  # the first is written last, the second is a folder removed at the end
VERSION = "1.0.0"
BLOCK = 32  # frames resized and encoded at once


@dataclass(frozen=True)
class Format:
    """How videos are written.

    Attributes:
        size: short side of a frame, in pixels.
        crop: to the centre square; else the long side is kept.
        min_frames: a video, or piece, of fewer is left out.
        clip_frames: videos are cut into pieces of this many frames; 0 keeps them whole.
        quality: of JPEG, 1..100.
        lossless: PNG instead.
        flow: estimator of optical flow, as of `optical_flow.estimate`; none if empty.
        flow_limit: longest flow along an axis, in pixels of the written frames; longer is clipped.
        poses: where those of the videos come from; None without stick figures.
    """

    size: int
    crop: bool
    min_frames: int
    clip_frames: int
    quality: int
    lossless: bool
    flow: str
    flow_limit: float
    poses: Poses | None


@dataclass(frozen=True)
class Task:
    """Some videos, and the file that says they are done."""

    videos: tuple[Video, ...]
    done: str
    shard: str = ""


def examine(source: Listing, output: str, min_frames: int, task: Task) -> None:
    """Looks at videos: a line of JSON for each, with what it is or the reason it cannot be used."""
    lines = []
    for video in task.videos:
        found: dict = {"name": video.name}
        facts = listings.examine(source, video)
        if isinstance(facts, str):
            found["reason"] = facts
        elif facts.frames < min_frames:
            found["reason"] = f"{facts.frames} frame{'s' * (facts.frames > 1)}, where at least {min_frames} are wanted (--min_frames)"
        else:
            found |= {"frames": facts.frames, "seconds": round(float(facts.times[-1]), 3), "height": facts.height, "width": facts.width}
            try:
                found["sha256"] = source.digest(video.path)
            except (OSError, tf.errors.OpError) as error:
                found["reason"] = " ".join(str(error).split())
        lines.append(json.dumps(found) + "\n")
    write_whole(paths.join(output, UNFINISHED, task.done), "".join(lines).encode(), unique=True)


def write(source: Listing, output: str, format: Format, task: Task) -> None:
    """Writes a shard, and beside it what is in it: bytes of the records, frames of each, and videos that turned out to be damaged."""
    temporary = paths.join(output, UNFINISHED, f"{task.shard}.{uuid.uuid4().hex}.tmp")
    feature = features(source.labels, format)
    lengths, written, rejected = [], [], []
    with tf.io.TFRecordWriter(temporary) as writer:
        for video in task.videos:
            try:
                examples = list(_examples(source, format, video))
            except (ValueError, OSError, tf.errors.OpError) as error:
                rejected.append(asdict(Rejected(video.name, " ".join(str(error).split()))))
                continue
            for example in examples:
                record = _serialize(feature, example)
                writer.write(record)
                lengths.append(len(record))
            written.append(video.name)
    tf.io.gfile.rename(temporary, paths.join(output, task.shard), overwrite=True)
    content = json.dumps({"lengths": lengths, "written": written, "rejected": rejected})
    write_whole(paths.join(output, UNFINISHED, task.done), content.encode(), unique=True)


def features(labels: Sequence[str], format: Format) -> tfds.features.FeaturesDict:
    """The features of a record."""
    side = format.size if format.crop else None
    encoding = "png" if format.lossless else "jpeg"
    flow = {
        "flow": tfds.features.Video(shape=(None, side, side, 3), encoding_format="png"),
        "flow_limit": tfds.features.Scalar(dtype=np.float32),
        "flow_estimator": tfds.features.Text(),
    }
    return tfds.features.FeaturesDict(
        {
            "video": tfds.features.Video(shape=(None, side, side, 3), encoding_format=encoding),
            "label": tfds.features.ClassLabel(names=list(labels)),
            "file": tfds.features.Text(),
            "times": tfds.features.Tensor(shape=(None,), dtype=np.float32),
            **(flow if format.flow else {}),
            **(figures.features(*_figure_size(format)) if format.poses else {}),
        }
    )


def _figure_size(format: Format) -> tuple[int | None, int | None]:
    """Of stick figures, where all have one."""
    assert format.poses is not None
    if format.poses.target is not None:
        return format.poses.target.height, format.poses.target.width
    return (format.size, format.size) if format.crop else (None, None)


def chunks(videos: Sequence[Video], size: int) -> list[Task]:
    """The tasks of `examine`."""
    return [Task(tuple(videos[i : i + size]), f"examined-{i // size:06}.jsonl") for i in range(0, len(videos), size)]


def shards(name: str, videos: Sequence[Video], videos_per_shard: int) -> dict[str, list[Task]]:
    """The tasks of `write`, for each split. Shards of nearly equal numbers of videos, mixed by a hash of their names."""
    tasks = {}
    for split in ("train", "validation", "test"):
        mixed = sorted((video for video in videos if video.split == split), key=lambda video: hashlib.sha256(video.name.encode()).digest())
        count = -(-len(mixed) // videos_per_shard)
        borders = [len(mixed) * i // count for i in range(count + 1)] if count else []
        if count:
            tasks[split] = [
                Task(tuple(mixed[start:end]), f"{split}-{i:05}.json", f"{name}-{split}.tfrecord-{i:05}-of-{count:05}")
                for i, (start, end) in enumerate(itertools.pairwise(borders))
            ]
    return tasks


def write_metadata(
    output: str, name: str, description: str, feature: tfds.features.FeaturesDict, lengths: dict[str, list[list[int]]]
) -> None:
    """What makes a folder of shards a TFDS data set. `lengths`: of each split, of each shard, the bytes of its records."""
    # Written here and copied, for TFDS would want another library for each remote file system.
    with tempfile.TemporaryDirectory() as local:
        identity = tfds.core.dataset_info.DatasetIdentity(name=name, version=tfds.core.Version(VERSION), data_dir=local, module_name="")
        info = tfds.core.DatasetInfo(builder=identity, description=description, features=feature, supervised_keys=("video", "label"))
        info.set_file_format(tfds.core.FileFormat.TFRECORD)
        template = tfds.core.ShardedFileTemplate(data_dir=local, dataset_name=name, filetype_suffix="tfrecord")
        info.set_splits(tfds.core.SplitDict([_split(split, of_shards, template) for split, of_shards in lengths.items()]))
        info.write_to_directory(local)
        for split, of_shards in lengths.items():
            np.save(os.path.join(local, LENGTHS_FILE.format(split=split)), np.array(list(itertools.chain(*of_shards)), np.int64))
        for file in sorted(os.listdir(local), key=lambda file: (file == INFO_FILE, file)):
            with open(os.path.join(local, file), "rb") as opened:
                write_whole(paths.join(output, file), opened.read())


def _split(name: str, of_shards: list[list[int]], template: tfds.core.ShardedFileTemplate) -> tfds.core.SplitInfo:
    return tfds.core.SplitInfo(
        name=name,
        shard_lengths=[len(lengths) for lengths in of_shards],
        num_bytes=sum(map(sum, of_shards)),
        filename_template=template.replace(split=name),
    )


def _examples(source: Listing, format: Format, video: Video) -> Iterator[dict]:
    """The examples of a video: one, or its pieces. Raises ValueError for a damaged one."""
    facts, images, moves = source.probe(video.path), [], []
    side, quality = format.size if format.crop else 0, 0 if format.lossless else format.quality
    resize, encode, encode_flow = _resizer(format.size), _encoder(side, quality), _encoder(side, 0)
    frames, before = source.stream(video.path, facts), np.zeros([0])
    points: list[np.ndarray] = []
    pose_of = format.poses.of_video(video.name, facts.frames) if format.poses else None
    while block := list(itertools.islice(frames, BLOCK)):
        resized = resize(np.stack(block)).numpy()
        images += encode(resized).numpy().tolist()
        if format.flow:  # of whole frames, though what is written is cropped: what comes in from the side is seen
            flow = optical_flow.estimate(np.concatenate([before, resized]) if len(before) else resized, format.flow)[len(before) :]
            moves += encode_flow(flows.to_pictures(flow, format.flow_limit)).numpy().tolist()
            before = resized[-1:]
        if pose_of is not None:  # of frames as they lie
            points += [pose_of(frame) for frame in block]
    if len(images) < max(format.min_frames, 0.9 * facts.frames):
        raise ValueError(f"only {len(images)} of its {facts.frames} frames decode")
    images = images[: facts.frames]
    drawn = format.poses.figures(np.stack(points[: facts.frames]), facts, format.size, format.crop) if format.poses else None
    piece = format.clip_frames or len(images)
    for start in range(0, len(images), piece):
        part = images[start : start + piece]
        if len(part) >= format.min_frames:
            example = {"video": part, "label": video.label, "file": video.name, "times": facts.times[start : start + len(part)]}
            if format.flow:
                example |= {"flow": moves[start : start + len(part)], "flow_limit": format.flow_limit, "flow_estimator": format.flow}
            if drawn is not None:
                example |= drawn.features(slice(start, start + len(part)))
            yield example


def _serialize(feature: tfds.features.FeaturesDict, example: dict) -> bytes:
    """The bytes of a record. Features in the order of their names: protobuf's own order differs from one version to the next."""
    record = feature.serialize_example(feature.encode_example(example))
    return tf.train.Example.FromString(record).SerializeToString(deterministic=True)


@functools.cache
def _resizer(size: int) -> Callable:
    """A function from frames, uint8 [n,h,w,3], to them with a short side of `size`."""
    signature = [tf.TensorSpec([None, None, None, 3], tf.uint8)]
    return tf.function(lambda frames: fit(frames, size, size), input_signature=signature, autograph=False)


@functools.cache
def _encoder(side: int, quality: int) -> Callable:
    """A function from resized frames, uint8 [n,h,w,3], to them encoded, string [n]: as JPEG of a quality, or as PNG if that is 0.

    The center square of this side is cut out before, unless it is 0.
    """

    def picture(frame: tf.Tensor) -> tf.Tensor:
        if not quality:
            return tf.io.encode_png(frame)
        # Colours at full resolution: at 64 pixels the source's, of half its 240, are finer than half of these.
        return tf.io.encode_jpeg(frame, quality=quality, chroma_downsampling=False)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)], autograph=False)
    def encode(frames: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(picture, crop(frames, side, side) if side else frames, fn_output_signature=tf.string)

    return encode

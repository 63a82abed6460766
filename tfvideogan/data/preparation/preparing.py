"""Prepares a data set of videos: looks at every one, writes shards, then the metadata; goes on where it was stopped."""

import dataclasses
import hashlib
import json
import math
import multiprocessing
import os
import shlex
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import numpy as np
import tensorflow as tf
from absl import logging
from tqdm import tqdm

from tfvideogan.config import UserError, field
from tfvideogan.data import optical_flow, paths
from tfvideogan.data.pose_estimation import Tracker
from tfvideogan.data.preparation import records
from tfvideogan.data.preparation.figures import Poses, target_of
from tfvideogan.data.preparation.records import INFO_FILE, UNFINISHED, Format, Task
from tfvideogan.data.sources import archives, folder, kinetics, moving_mnist, ucf101
from tfvideogan.data.sources.listing import Listing, Rejected, Video, tell, warn
from tfvideogan.files import write_whole

SETTINGS_FILE, REJECTED_FILE, VIDEOS_FILE = "prepare.json", "rejected.jsonl", "videos.jsonl"
CHUNK = 64  # videos looked at between two marks of progress


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a data set is prepared with. Raises UserError for values it cannot have."""

    dataset: str = field("folder", "folder, ucf101[/split1|/split2|/split3], kinetics[/400|/600|/700], moving_mnist, poses, or cartoon.")
    videos: str = field(
        "",
        "Folder of the videos, or their CSV file; for ucf101 also of its archives, for moving_mnist the .npz of digits, for cartoon "
        "a folder with the folders photos and cartoons, of pictures and videos.",
        path=True,
    )
    output: str = field("", "Folder of the prepared data set.", path=True)
    size: int = field(64, "Short side of a frame, in pixels.")
    crop: bool = field(True, "Crop frames to their centre square; else the long side is kept, for --random_crop.")
    min_frames: int = field(16, "Videos of fewer frames are rejected.")
    clip_frames: int = field(0, "Cut videos into records of this many frames; 0: a record a video. For videos of many minutes.")
    quality: int = field(95, "Quality of the frames' JPEG, 1 to 100.")
    lossless: bool = field(False, "Frames as PNG instead.")
    flow: str = field("", "Estimate optical flow: dis or farneback (OpenCV), or the folder of a SavedModel; see docs/data.md. Empty: none.")
    flow_limit: float = field(8.0, "Longest flow along an axis, in pixels of the prepared frames; longer is clipped.")
    poses: str = field(
        "",
        "Of --dataset=poses: folder of OpenPose's JSON or YAML files, those of each video in a folder of its name without the ending. "
        "Empty: poses are estimated.",
        path=True,
    )
    normalize_to: str = field("", "Of --dataset=poses: run, or its prepared set, whose dancer the poses are fitted to.", path=True)
    held_out: str = field("", "Regular expression: of a folder, the files CLASS/NAME it is found in are split test.")
    labels: str = field(
        "",
        "Text file, one class a line in the order of their numbers; videos of others are rejected. Of folder and kinetics.",
        path=True,
    )
    clips: int = field(10_000, "Training clips of moving_mnist; a sixth as many are for testing.")
    every_seconds: float = field(1.0, "Seconds between the frames that cartoon takes of a video.")
    max_rejected: float = field(0.05, "Largest share of the listed videos that may be rejected; beyond it nothing is prepared.")
    videos_per_shard: int = field(100, "Videos in a file.")
    workers: int = field(0, "Processes; 0: one a core.")
    beam: str = field("", "Run on Apache Beam, with these options of its own, as '--runner=DataflowRunner --project=...'.")
    preview: bool = field(False, "Write preview.png, a contact sheet, and preview.html, statistics.")

    def __post_init__(self):
        for name in ("size", "min_frames", "clips", "videos_per_shard"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name}={getattr(self, name)}: expected at least 1")
        if self.workers < 0:
            raise UserError(f"--workers={self.workers}: expected 0 or more")
        if self.clip_frames and self.clip_frames < self.min_frames:
            raise UserError(f"--clip_frames={self.clip_frames}: expected 0, or at least --min_frames={self.min_frames}")
        if not self.every_seconds > 0:
            raise UserError(f"--every_seconds={self.every_seconds:g}: expected more than 0")
        if not 1 <= self.quality <= 100:
            raise UserError(f"--quality={self.quality}: expected 1 to 100; --lossless keeps every bit")
        if self.flow and self.dataset == "cartoon":
            raise UserError(f"--flow={self.flow}: expected none of --dataset=cartoon, which has pictures")
        for name in ("poses", "normalize_to"):
            if getattr(self, name) and self.dataset != "poses":
                raise UserError(f"--{name}={getattr(self, name)}: expected none of --dataset={self.dataset}; it is of poses")
        if not 0 < self.flow_limit < math.inf:
            raise UserError(f"--flow_limit={self.flow_limit:g}: expected more than 0")
        if not 0 <= self.max_rejected <= 1:
            raise UserError(f"--max_rejected={self.max_rejected:g}: expected a share, 0 to 1")

    def contents(self) -> dict:
        """The settings that what is written depends on."""
        elsewhere = {"output", "max_rejected", "workers", "beam", "preview"}
        unused = {"every_seconds"} if self.dataset != "cartoon" else set()
        unused |= {"flow_limit"} if not self.flow else set()
        unused |= {"poses", "normalize_to"} if self.dataset != "poses" else set()
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in elsewhere | unused}


def is_complete(settings: Settings) -> bool:
    """Whether the data set is there; claims the folder if not. UserError if it holds anything else."""
    file = paths.join(settings.output, SETTINGS_FILE)
    if tf.io.gfile.exists(file):
        # A set from before there was a setting was prepared with its default.
        before, now = {**dataclasses.asdict(Settings()), **_settings_in(file)}, settings.contents()
        changed = [f"--{name}={now[name]} (was {before[name]})" for name in now if now[name] != before[name]]
        if changed:
            raise UserError(f"--output={settings.output}: holds a data set of other settings: {', '.join(changed)}. Give another --output.")
        return tf.io.gfile.exists(paths.join(settings.output, INFO_FILE))
    begun = {REJECTED_FILE, UNFINISHED, f"{SETTINGS_FILE}.tmp"}
    if tf.io.gfile.isdir(settings.output) and set(paths.children(settings.output)) - begun:
        raise UserError(f"--output={settings.output}: expected an empty or a new folder, or one that prepare has begun")
    return False


def warn_of_other_videos(settings: Settings) -> None:
    """Names the videos that came or went since a data set was prepared, where they lie in a folder or are listed in a CSV file."""
    if settings.dataset.partition("/")[0] not in ("folder", "poses", "kinetics"):
        return
    try:
        now = {video.name for video in listing(settings, "").videos}
    except UserError:
        return  # what is prepared needs its videos no more
    written, rejected = (
        {json.loads(line)["name"] for line in paths.read_text(paths.join(settings.output, name)).split("\n")[:-1]}
        for name in (VIDEOS_FILE, REJECTED_FILE)
    )
    for what, names in (("came after", now - written - rejected), ("went after", written - now)):
        tell([Rejected(name, f"{what} {settings.output} was prepared; to begin anew give another --output") for name in sorted(names)])


def _settings_in(file: str) -> dict:
    try:
        return dict(json.loads(paths.read_text(file)))
    except (ValueError, TypeError) as error:
        raise UserError(f"{file}: got no settings of prepare ({error}); remove its folder, or give another --output") from error


def prepare(settings: Settings) -> None:
    """Looks at every video, writes the shards, then the metadata. Goes on where it was stopped."""
    output, unfinished = settings.output, paths.join(settings.output, UNFINISHED)
    source = listing(settings, unfinished)
    total = len(source.videos) + len(source.rejected)
    check_share(settings, source.rejected, total, [])  # before hours of work
    if settings.flow:  # is the estimator there, and does it take such frames?
        optical_flow.estimate(np.zeros([2, settings.size, settings.size, 3], np.uint8), settings.flow)
    poses = poses_of(settings)
    tf.io.gfile.makedirs(unfinished)
    write_whole(paths.join(output, SETTINGS_FILE), (json.dumps(settings.contents(), indent=1) + "\n").encode())
    claim(unfinished, source)

    bare = dataclasses.replace(source, videos=(), rejected=(), others=())  # what the workers need of it
    tasks = records.chunks(source.videos, CHUNK)
    run(partial(records.examine, bare, output, settings.min_frames), tasks, settings, "looking at videos")
    usable, facts, rejected, marks = choose(source, unfinished, tasks)
    check_share(settings, rejected, total, marks)

    chosen = {one.name: getattr(settings, one.name) for one in dataclasses.fields(Format)}
    format = Format(**{**chosen, "poses": poses})
    name = settings.dataset.partition("/")[0]
    shards = records.shards(name, usable, settings.videos_per_shard)
    run(partial(records.write, bare, output, format), [task for tasks in shards.values() for task in tasks], settings, "writing shards")
    done = {split: [json.loads(paths.read_text(paths.join(unfinished, task.done))) for task in tasks] for split, tasks in shards.items()}
    marks = [
        paths.join(unfinished, task.done)
        for split in shards
        for task, shard in zip(shards[split], done[split], strict=True)
        if shard["rejected"]
    ]
    rejected += tuple(Rejected(**one) for of_split in done.values() for shard in of_split for one in shard["rejected"])
    check_share(settings, rejected, total, marks)
    warn(list(rejected), total)
    tell(source.others)

    written = {one for of_split in done.values() for shard in of_split for one in shard["written"]}
    lines = [
        {"name": video.name, "label": source.labels[video.label], "split": video.split, **facts[video.name]}
        for video in usable
        if video.name in written
    ]
    write_lines(paths.join(output, VIDEOS_FILE), lines)
    write_lines(paths.join(output, REJECTED_FILE), [dataclasses.asdict(one) for one in (*rejected, *source.others)])
    description = f"Prepared by tfvideogan.prepare: {json.dumps(settings.contents())}"
    lengths = {split: [shard["lengths"] for shard in of_split] for split, of_split in done.items()}
    records.write_metadata(output, name, description, records.features(source.labels, format), lengths)
    remove(unfinished)
    logging.info("%s: %d of %d videos, %d classes", output, len(written), total, len(source.labels))


def poses_of(settings: Settings) -> Poses | None:
    """Where the poses of --dataset=poses come from. Raises UserError where they cannot, before any work."""
    if settings.dataset != "poses":
        return None
    if not settings.poses:
        try:
            Tracker()  # are the networks there?
        except UserError as error:
            raise UserError(f"--dataset=poses: {error}; or give --poses") from error
    elif not paths.is_folder(settings.poses):
        raise UserError(f"--poses={settings.poses}: no such folder, expected one of OpenPose's files")
    return Poses(settings.poses, target_of(settings.normalize_to) if settings.normalize_to else None)


def listing(settings: Settings, unfinished: str) -> Listing:
    """The videos of --dataset. Raises UserError for an unknown one, and where it is not to be found."""
    name, _, variant = settings.dataset.partition("/")
    labels = tuple(line.strip() for line in _read_labels(settings.labels) if line.strip())
    if labels and name not in ("folder", "kinetics", "poses"):
        raise UserError(f"--labels={settings.labels}: {name} has labels of its own")
    try:
        if name in ("folder", "poses") and not variant:
            return folder.listing(settings.videos, settings.held_out, labels)
        if name == "ucf101":
            number = ucf101.number_of(settings.dataset, variant)
            return ucf101.listing(archives.extracted(settings.videos, paths.join(unfinished, "extracted")), number)
        if name == "kinetics":
            return kinetics.listing(settings.videos, kinetics.classes_of(settings.dataset, variant), labels)
        if name == "moving_mnist" and not variant:
            return moving_mnist.listing(settings.videos, settings.clips)
    except UserError as error:
        raise UserError(str(error).replace("--data_dir=", "--videos=")) from error  # the readers' name of the same flag
    raise UserError(
        f"--dataset={settings.dataset}: expected folder, ucf101[/splitN], kinetics[/400|/600|/700], moving_mnist, poses or cartoon"
    )


def _read_labels(path: str) -> list[str]:
    if path and not tf.io.gfile.exists(path):
        raise UserError(f"--labels={path}: no such file; expected a class a line")
    return paths.read_text(path).split("\n") if path else []


def claim(unfinished: str, source: Listing) -> None:
    """Raises UserError if what was done so far is of other videos."""
    listed = [source.labels, [(video.name, video.label, video.split) for video in source.videos]]
    digest = hashlib.sha256(json.dumps(listed).encode()).hexdigest().encode()
    file = paths.join(unfinished, "listing.sha256")
    if not tf.io.gfile.exists(file):
        write_whole(file, digest)
    elif paths.read_text(file).encode() != digest:
        raise UserError(f"--videos: videos came or went since {unfinished.rpartition('/')[0]} was begun; remove that folder to begin anew")


def choose(source: Listing, unfinished: str, tasks: list[Task]) -> tuple[list[Video], dict[str, dict], tuple[Rejected, ...], list[str]]:
    """What `examine` found: (videos to prepare, what they are by name, all that are rejected so far, files that say so).

    Of several videos with the same content the first is kept.
    """
    usable, facts, rejected, marks = [], {}, list(source.rejected), []
    first: dict[str, str] = {}  # video of each content
    for task in tasks:
        mark = paths.join(unfinished, task.done)
        found = [json.loads(line) for line in paths.read_text(mark).splitlines()]
        if any("reason" in one for one in found):
            marks.append(mark)
        for video, one in zip(task.videos, found, strict=True):
            name, content = one.pop("name"), one.pop("sha256", None)
            if "reason" in one:
                rejected.append(Rejected(name, one["reason"]))
            elif content in first:
                rejected.append(Rejected(name, f"a duplicate: the same content as {first[content]}"))
            else:
                first[content], facts[name] = name, one
                usable.append(video)
    return usable, facts, tuple(rejected), marks


def check_share(settings: Settings, rejected: tuple[Rejected, ...], total: int, marks: list[str]) -> None:
    """Stops, with the list of what is rejected, if that is more than --max_rejected, or all.

    `marks` are removed then, so that a mended video is looked at again when prepare is.
    """
    if len(rejected) <= settings.max_rejected * total and len(rejected) < total:
        return
    warn(list(rejected), total)
    for mark in marks:
        tf.io.gfile.remove(mark)
    listed = paths.join(settings.output, REJECTED_FILE)
    tf.io.gfile.makedirs(settings.output)
    write_lines(listed, [dataclasses.asdict(one) for one in rejected])
    raise UserError(
        f"--max_rejected={settings.max_rejected:g}: {len(rejected)} of {total} videos cannot be used ({len(rejected) / total:.0%}), "
        f"as {rejected[0].name}: {rejected[0].reason}; all are in {listed}. Mend them, or allow more"
    )


def remove(folder: str) -> None:
    if tf.io.gfile.isdir(folder):
        tf.io.gfile.rmtree(folder)


def write_lines(path: str, rows: list[dict]) -> None:
    """A line of JSON for each row."""
    write_whole(path, "".join(json.dumps(row) + "\n" for row in rows).encode())


def run(do: Callable[[Task], None], tasks: list[Task], settings: Settings, what: str) -> None:
    """Does the tasks that are not done yet, on Beam or in processes of this machine. Raises UserError if these die."""
    done = set(paths.children(paths.join(settings.output, UNFINISHED)))
    left = [task for task in tasks if task.done not in done]
    if settings.beam:
        run_on_beam(do, left, settings.beam)
        return
    videos = sum(len(task.videos) for task in tasks)
    bar = tqdm(desc=what, total=videos, initial=videos - sum(len(task.videos) for task in left), unit="video", disable=None)
    workers = min(settings.workers or len(os.sched_getaffinity(0)), len(left))
    with bar:
        if workers <= 1:
            for task in left:
                do(task)
                bar.update(len(task.videos))
            return
        context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
        with ProcessPoolExecutor(workers, context, as_worker) as pool:
            try:
                for task, _ in zip(left, pool.map(do, left), strict=True):
                    bar.update(len(task.videos))
            except BrokenProcessPool as error:
                raise UserError("a worker died: no memory left, or a video that crashes the decoder? Find it with --workers=1") from error
            except BaseException:  # an error, or a signal: the pool would wait for what its workers are at, which takes minutes
                for worker in multiprocessing.active_children():
                    worker.kill()
                raise


def as_worker() -> None:
    """Sets up a process of the pool: one thread for TensorFlow, and an end when the program's, not by a Ctrl-C that reaches all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def follow() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None  # this is a process of the pool
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def run_on_beam(do: Callable[[Task], None], tasks: list[Task], options: str) -> None:
    """Does the tasks on Apache Beam. Raises UserError where that is not installed."""
    try:
        import apache_beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise UserError("--beam: Apache Beam is not installed; pip install tfvideogan[beam]") from error
    with apache_beam.Pipeline(options=PipelineOptions(shlex.split(options))) as pipeline:
        # Shuffled, or a runner may give all of them to one worker.
        _ = pipeline | apache_beam.Create(tasks) | apache_beam.Reshuffle() | apache_beam.Map(do)

"""Evaluates a translation: videos made from their sources, against the true ones where the set is paired, and against baselines.

Clips of split test are shuffled, and one random stretch is taken of each. Scores of sets of clips (`scores.py`) compare all that is made
with the set's "video": of a paired set the true clips, of an unpaired one those of the style. Those of frames (`frames.py`) and the pose
distance (`poses.py`) are of paired sets alone. The temporal warp error, of any, compares each frame with the one before, moved as the
real video moves: the true clip, or of an unpaired set the source. First frames that are given count in scores of sets, and not in the
others.
"""

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfvideogan import data, models
from tfvideogan.config import Config, UserError
from tfvideogan.data.decode import RESIZE
from tfvideogan.data.optical_flow import estimate
from tfvideogan.evaluation import baselines, cache, evaluation, frames, poses, report, result
from tfvideogan.evaluation.clips import RANGE, look
from tfvideogan.evaluation.nearest import CELLS, Nearest
from tfvideogan.evaluation.prediction import in_groups
from tfvideogan.evaluation.scores import mean_of
from tfvideogan.evaluation.settings import Settings
from tfvideogan.evaluators.evaluator import Evaluator
from tfvideogan.gan import Details
from tfvideogan.generation.module import Generator, specs_of
from tfvideogan.generation.sampler import is_picture
from tfvideogan.metrics.warp_error import DOUBT, trusted_pixels, warp_error
from tfvideogan.ops.label_color import read_to_color
from tfvideogan.ops.video import from_unit, to_uint8

LOG = logging.getLogger(__name__)
USUAL = ("fvd", "fid", "ssim", "psnr")  # if no metrics are asked for
TRANSLATED, COPY_LAST, COPY_SOURCE, NEAREST, NO_HISTORY = "translated", "copy_last", "copy_source", "nearest", "no_history"
TOLD = {
    COPY_LAST: "the last given frame, again and again",
    COPY_SOURCE: "the source as it is",
    NEAREST: "of each frame, the training frame whose source is nearest, by means over {cells}x{cells} cells, of {frames}",
    NO_HISTORY: "the same network, each frame made as if it were the first one",
}
CLIPS, BYTES = 16, 1 << 26  # translated at once, at most
SHOWN = 6  # clips that a report shows
WARP_ERROR = f"squared difference from the frame before by the real video's flow, of pixels in [0,1]; trusted below {DOUBT:g}"

Draw = Callable[[data.Batch], np.ndarray]  # a batch of the data set -> clips [n,T,H,W,3] in [-1,1]
Motion = Callable[[data.Batch], tuple[np.ndarray, np.ndarray]]  # -> the real video [n,T,H,W,3] in [-1,1], and its flow [n,T,H,W,2]


@dataclasses.dataclass(frozen=True)
class Translator:
    """What makes clips of sources.

    Attributes:
        name: TRANSLATED, or that of a baseline.
        draw: a batch of the data set -> clips [n,T,H,W,3] in [-1,1].
        told: what a protocol says of it.
        details: of a batch, what else there is to see, as `GAN.details`.
    """

    name: str
    draw: Draw
    told: dict[str, str] = dataclasses.field(default_factory=dict)
    details: Callable[[data.Batch], Details] = lambda batch: ({}, {})


def evaluate(generator: Generator, settings: Settings, evaluator: Evaluator) -> result.Result:
    """Scores the translations of generator.config.evaluate_videos clips, or of all if there are fewer.

    Raises: UserError where no metric can be computed, for repeats and futures, of which a translation has none, and for LPIPS of an
        unpaired set.
    """
    for flag, number in (("repeats", settings.repeats), ("futures", settings.futures)):
        if number > 1:
            raise UserError(f"--{flag}={number}: expected 1 for a translation, as {generator.name} makes one clip of a source")
    config = dataclasses.replace(generator.config, flip=False, max_stride=0, random_crop=False)
    dataset = models.dataset(config, "test", ["flow"])
    videos, given = min(config.evaluate_videos, dataset.size), given_frames(generator)
    told = {**{name: getattr(config, name) for name in evaluation.CLIPS_DEPEND_ON}, "split": "test"}
    missing: dict[str, str] = {}
    of_frames = measures(dataset, settings, min(config.frame_size), missing)
    of_poses = poses.measured(settings.metrics, dataset.source.paired, missing)
    of_sets = tuple(metric for metric in settings.metrics if metric not in (*frames.METRICS, poses.METRIC))
    pixels = settings.report or evaluation.wants_pixels(of_sets)
    protocol = {
        **told,
        "resize": RESIZE,
        "ema": True,
        "given_frames": given,
        "paired": dataset.source.paired,
        "labels": "of the given clips",
    }
    real = functools.partial(
        evaluation.of_data,
        *(dataset, evaluator, videos, pixels, "real", {**told, "data_dir": config.data_dir}),
        functools.partial(cache.remember, settings.cache_dir),
    )
    scored = evaluation.Evaluation(evaluator, real, generator.labels, videos, CLIPS, of_sets, pixels, protocol)
    missing |= scored.missing
    motion, flow = motion_of(dataset, max(given - 1, 0))
    result.require([*scored.metrics, *of_frames, *of_poses], settings.metrics, missing)
    found, sets, shown = [], [], Shown(given, dataset.source.paired)
    for translator in translators(generator, config, dataset):
        measured = Measured(
            frames.FrameScores(of_frames, 1, given),
            Steadiness(motion, max(given - 1, 0)) if motion else None,
            poses.PoseScores(given) if of_poses else None,
            {},
        )
        made = translations(dataset, videos, translator, measured, shown)
        name = translator.name if translator.name == TRANSLATED else f"baseline {translator.name}"
        of_this = {**protocol, **translator.told}
        if scored.metrics or settings.report:
            clips = look(made, evaluator, videos, pixels, name)
            sets.append(report.Set(name, clips, generator.labels))
            found += [of_baseline(record, translator) for record in scored.score(clips, scored.metrics, config.seed, of_this)]
        else:
            for _ in made:
                pass
        found += measured.records(translator.name, config.seed, {**of_this, "num_real": videos, "num_fake": videos}, flow)
    result.require(found, settings.metrics, {**missing, **scored.missing})
    name = f"{Path(generator.name).name}: {config.model} on {config.dataset}"
    if settings.report:
        sets.insert(0, report.Set("real", scored.real, generator.labels))
    return result.Result(name, generator.step, in_groups(found), [], tuple(sets), (shown.section(),) if settings.report else ())


def given_frames(generator: Generator) -> int:
    """First frames of a clip that a translation is given beside the source."""
    return sum(spec.shape[1] for spec in specs_of(generator.source.translate) if spec.name == "video")


def measures(dataset: data.Dataset, settings: Settings, side: int, missing: dict[str, str]) -> dict[str, frames.Measure]:
    """What is measured of each frame of `side` pixels against the true one; `missing` gets the reason for what is not."""
    if dataset.source.paired:
        return frames.chosen(settings.metrics, settings.lpips, side, missing)
    if settings.lpips is not None:
        raise UserError("--lpips: expected a paired data set, got one in which no clip is what another is to become")
    missing |= {metric: "the data set is unpaired" for metric in settings.metrics if metric in frames.METRICS}
    return {}


def motion_of(dataset: data.Dataset, first: int) -> tuple[Motion | None, str]:
    """What gives the real videos of a batch and their flow, and where it is from; none, with the reason, where there is no flow."""
    spec = dataset.specs["video" if dataset.source.paired else "source"]
    if spec.shape[1] - first < 2:
        return _none("clips of one frame")
    if dataset.source.paired and "flow" in dataset.specs:
        return lambda batch: (batch["video"].numpy(), batch["flow"].numpy()), "of the data set"
    if not is_picture(spec):
        return _none("sources without colors")

    def estimated(batch: data.Batch) -> tuple[np.ndarray, np.ndarray]:
        video = batch["video" if dataset.source.paired else "source"]
        return video.numpy(), np.stack([estimate(clip, "dis") for clip in to_uint8(video).numpy()])

    try:
        estimate(np.zeros([2, *spec.shape[2:]], np.uint8), "dis")
    except UserError as error:
        return _none(str(error))
    return estimated, "OpenCV's DIS"


def _none(reason: str) -> tuple[None, str]:
    LOG.warning("no warp_error: %s", reason)
    return None, reason


def translators(generator: Generator, config: Config, dataset: data.Dataset) -> Iterator[Translator]:
    """The generator, and the baselines beside it."""
    streams, given = generator.streams, given_frames(generator)

    def translated(batch: data.Batch) -> np.ndarray:
        made = generator.in_turn(batch) if streams else generator.draw(batch, tf.constant([config.seed, 0]), 1.0)
        return from_unit(made).numpy()

    def of_rule(rule: baselines.Baseline) -> Draw:
        def draw(batch: data.Batch) -> np.ndarray:
            first, length = batch["video"][:, :given].numpy(), batch["source"].shape[1]
            return np.concatenate([first, rule({"first_frames": first, "source": batch["source"].numpy()}, length - given)], 1)

        return draw

    details = {"details": generator.source.details} if hasattr(generator.source, "details") else {}
    yield Translator(TRANSLATED, translated, **details)
    if given:
        yield Translator(COPY_LAST, of_rule(baselines.copy_last), {COPY_LAST: TOLD[COPY_LAST]})
    if "source" in dataset.specs and is_picture(dataset.specs["source"]):
        yield Translator(COPY_SOURCE, of_rule(baselines.copy_source), {COPY_SOURCE: TOLD[COPY_SOURCE]})
    if "source" in dataset.specs and dataset.source.paired:
        nearest = Nearest(data.load(config, config.split, ["source"]))
        yield Translator(NEAREST, of_rule(nearest), {NEAREST: TOLD[NEAREST].format(cells=CELLS, frames=len(nearest.frames))})
    if streams:
        alone = {NO_HISTORY: TOLD[NO_HISTORY] + (" after those that are given" if given else "")}
        yield Translator(NO_HISTORY, lambda batch: from_unit(generator.in_turn(batch, history=False)).numpy(), alone)


def translations(
    dataset: data.Dataset, videos: int, translator: Translator, measured: "Measured", shown: "Shown"
) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """(clips, labels) of every batch, measured and shown on the way."""
    size = int(np.clip(BYTES // (4 * np.prod(dataset.specs["video"].shape[1:])), 1, CLIPS))
    for start, whole in zip(range(0, videos, size), dataset.batches(size), strict=False):
        batch = {name: values[: videos - start] for name, values in whole.items()}
        clips, (pictures, numbers) = translator.draw(batch), translator.details(batch)
        measured.add(batch, clips, numbers)
        shown.add(translator.name, batch, clips, pictures)
        yield tf.constant(clips), batch["label"]


class Steadiness:
    """Gathers the temporal warp error of clips, and that of the real ones beside it.

    Args:
        motion: gives the real videos and their flow.
        start: the first frame that is looked at.
    """

    def __init__(self, motion: Motion, start: int):
        self.motion, self.start = motion, start
        self._made: list[np.ndarray] = []
        self._real: list[np.ndarray] = []
        self._trusted: list[np.ndarray] = []

    def add(self, batch: data.Batch, clips: np.ndarray) -> None:
        """Clips [n,T,H,W,3] in [-1,1], made of a batch."""
        real, flow, clips = (x[:, self.start :] for x in (*self.motion(batch), clips))
        trusted = trusted_pixels(real, flow, RANGE)
        self._made.append(warp_error(clips, flow, trusted, RANGE))
        self._real.append(warp_error(real, flow, trusted, RANGE))
        self._trusted.append(trusted[:, 1:].mean((1, 2, 3)))

    def record(self, name: str, seed: int, protocol: dict) -> dict:
        """The mean over clips of which something is trusted: {"metric", "value", "stderr", "real", "protocol"}."""
        made, real, trusted = (np.concatenate(parts) for parts in (self._made, self._real, self._trusted))
        return {
            "metric": f"warp_error/{name}",
            **mean_of(made, seed),
            "real": mean_of(real[np.isfinite(made)], seed)["value"],
            "protocol": {**protocol, "warp_error": WARP_ERROR, "trusted_share": round(float(np.mean(trusted)), 4)},
        }


@dataclasses.dataclass(frozen=True)
class Measured:
    """What is measured of one translator's clips on the way: of their frames; of their steadiness, where there is flow; of their poses,
    where these are asked for; and the numbers that it tells, [n] of each batch, by name."""

    frames: frames.FrameScores
    steadiness: Steadiness | None
    poses: poses.PoseScores | None
    numbers: dict[str, list[np.ndarray]]

    def add(self, batch: data.Batch, clips: np.ndarray, numbers: dict[str, tf.Tensor]) -> None:
        """Clips [n,T,H,W,3] in [-1,1], made of a batch, and numbers [n] of them."""
        self.frames.add(batch["video"].numpy(), clips)
        if self.steadiness is not None:
            self.steadiness.add(batch, clips)
        if self.poses is not None:
            self.poses.add(batch["video"].numpy(), clips)
        for name, values in numbers.items():
            self.numbers.setdefault(name, []).append(values.numpy())

    def records(self, translator: str, seed: int, protocol: dict, flow: str) -> list[dict]:
        """As `FrameScores.records`, the warp error by a flow from there, and the means of the numbers."""
        found = self.frames.records(translator, seed, protocol)
        if self.steadiness is not None:
            found.append(self.steadiness.record(translator, seed, {**protocol, "flow": flow}))
        if self.poses is not None:
            found += self.poses.records(translator, seed, protocol)
        for name, parts in self.numbers.items():
            found.append({"metric": f"{name}/{translator}", **mean_of(np.concatenate(parts), seed), "protocol": protocol})
        return found


def of_baseline(record: dict, translator: Translator) -> dict:
    """A record with the name of the baseline in its metric."""
    return record if translator.name == TRANSLATED else {**record, "metric": f"{record['metric']}/{translator.name}"}


class Shown:
    """The clips of a report, in columns: source or flow, of a paired set the true clip, the translation with its details, and baselines.

    Args:
        given: first frames that were given.
        paired: whether there are true clips.
    """

    def __init__(self, given: int, paired: bool):
        self.given, self.paired = given, paired
        self.columns: dict[str, np.ndarray] = {}

    def add(self, name: str, batch: data.Batch, clips: np.ndarray, pictures: dict[str, tf.Tensor]) -> None:
        """Clips [n,T,H,W,3] in [-1,1] made of a batch, with pictures uint8 of the same shape. Only the first SHOWN that come are kept."""
        shown = {name: to_uint8(clips), **pictures} if name != COPY_SOURCE else {}
        if name == TRANSLATED:
            what, read = read_to_color(batch)
            shown = {what: read, **({"target": to_uint8(batch["video"])} if self.paired else {}), **shown}
        for title, videos in shown.items():
            kept = self.columns.get(title, np.zeros([0, *clips.shape[1:]], np.uint8))
            self.columns[title] = np.concatenate([kept, videos[: SHOWN - len(kept)].numpy()])

    def section(self) -> report.Section:
        """A row a clip."""
        clips = np.stack(list(self.columns.values()), 1)  # [rows,columns,T,H,W,3]
        text = f"From the left: {', '.join(self.columns)}." + (f" The first {self.given} frames were given." if self.given else "")
        return report.Section("Translations", text, clips.reshape([-1, *clips.shape[2:]]), clips.shape[1], ())

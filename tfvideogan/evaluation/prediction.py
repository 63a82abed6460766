"""Evaluates a prediction: how clips go on from their first frames, against how they really did, and against baselines.

Clips of split test are shuffled, and one random stretch is taken of each; what is generated continues the first frames of the same
stretches. Scores of sets of clips (`scores.py`) are of whole clips, the given frames included; those of frames (`frames.py`) are of
the continuation. All are taken of the generator's futures, and of every baseline.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfvideogan import data, models
from tfvideogan.config import UserError
from tfvideogan.data.decode import RESIZE
from tfvideogan.evaluation import baselines, cache, evaluation, frames, report, result
from tfvideogan.evaluation.clips import look
from tfvideogan.evaluation.settings import Settings
from tfvideogan.evaluators.evaluator import Evaluator
from tfvideogan.generation.module import Generator
from tfvideogan.ops.video import from_unit, to_uint8

USUAL = ("fvd", "fid", "ssim", "psnr")  # if no metrics are asked for
BATCH = 16  # clips
SHOWN, SHOWN_FUTURES = 6, 4  # clips that a report shows, and futures of each
PREDICTED = "predicted"


@dataclasses.dataclass(frozen=True)
class Predictor:
    """What continues clips.

    Attributes:
        name: PREDICTED, or that of a baseline.
        futures: clips drawn for each true one.
        draw: (a batch of the data set, number of the future, number of the batch's first clip) -> whole clips [n,T,H,W,3] in [-1,1].
    """

    name: str
    futures: int
    draw: Callable[[data.Batch, int, int], tf.Tensor]


def evaluate(generator: Generator, settings: Settings, evaluator: Evaluator) -> result.Result:
    """Scores `settings.futures` continuations of each of generator.config.evaluate_videos clips, or of all if there are fewer.

    Raises: UserError where no metric can be computed, for repeats, whose place futures take, and for several futures of a generator
        without a latent.
    """
    if settings.repeats > 1:
        raise UserError(f"--repeats={settings.repeats}: expected 1 for a prediction, whose clips are drawn again by --futures")
    if settings.futures > 1 and not generator.has_latent:
        raise UserError(f"--futures={settings.futures}: expected 1, as {generator.name} has no latent and so one future")
    config = dataclasses.replace(generator.config, flip=False, max_stride=0, random_crop=False)
    dataset = models.dataset(config, "test")
    videos, given = min(config.evaluate_videos, dataset.size), generator.given_frames
    told = {**{name: getattr(config, name) for name in evaluation.CLIPS_DEPEND_ON}, "split": "test"}
    missing: dict[str, str] = {}
    of_frames = frames.chosen(settings.metrics, settings.lpips, min(config.frame_size), missing)
    of_sets = tuple(metric for metric in settings.metrics if metric not in frames.METRICS)
    pixels = settings.report or evaluation.wants_pixels(of_sets)
    protocol = {
        **told,
        "resize": RESIZE,
        "ema": True,
        "truncation": settings.truncation,
        "given_frames": given,
        "labels": "of the given clips",
    }
    real = functools.partial(
        evaluation.of_data,
        *(dataset, evaluator, videos, pixels, "real", {**told, "data_dir": config.data_dir}),
        functools.partial(cache.remember, settings.cache_dir),
    )
    scored = evaluation.Evaluation(evaluator, real, generator.labels, videos, BATCH, of_sets, pixels, protocol)
    missing |= scored.missing
    result.require([*scored.metrics, *of_frames], settings.metrics, missing)
    found, sets, shown = [], [], Shown(given)
    for predictor in predictors(generator, settings):
        measured = frames.FrameScores(of_frames, predictor.futures, given)
        continued = continuations(dataset, videos, predictor, measured, shown)
        name = predictor.name if predictor.name == PREDICTED else f"baseline {predictor.name}"
        if scored.metrics or settings.report:
            clips = look(continued, evaluator, videos * predictor.futures, pixels, name)
            sets.append(report.Set(name, clips, generator.labels))
            found += [of_baseline(record, predictor) for record in scored.score(clips, scored.metrics, config.seed, protocol)]
        else:
            for _ in continued:
                pass
        found += measured.records(predictor.name, config.seed, {**protocol, "num_real": videos, "num_fake": videos * predictor.futures})
    result.require(found, settings.metrics, {**missing, **scored.missing})
    name = f"{Path(generator.name).name}: {config.model} on {config.dataset}"
    if settings.report:
        sets.insert(0, report.Set("real", scored.real, generator.labels))
    return result.Result(name, generator.step, in_groups(found), [], tuple(sets), (shown.section(),) if settings.report else ())


def of_folders(
    real: data.Dataset, fake: data.Dataset, given: int, futures: int, metrics: Mapping[str, frames.Measure], seed: int, protocol: dict
) -> list[dict]:
    """Records of each frame of predictions that are files: the middles of `futures` videos of `fake`, which follow each other by name,
    against that of one video of `real`; and of the baselines, where frames were given.

    Args:
        given: first frames of every clip that were given, and are not scored.
        metrics: what is measured of each frame, by name.
        seed: of the standard errors.
        protocol: what a reader must know.
    Raises: UserError for sets of other sizes.
    """
    if fake.size != futures * real.size:
        expected = f"{futures} for each of {real.size} in --real"
        raise UserError(f"--futures={futures}: got {fake.size} videos in --fake, expected {expected}")
    rules = [of_rule(name, rule, given) for name, rule in baselines.of_prediction(given).items()] if given else []
    measured = {name: frames.FrameScores(metrics, n, given) for name, n in ((PREDICTED, futures), *((rule.name, 1) for rule in rules))}
    for batch, ahead in zip(real.once(1), fake.once(futures), strict=True):
        truth = batch["video"].numpy()
        for clip in ahead["video"].numpy():
            measured[PREDICTED].add(truth, clip[None])
        for rule in rules:
            measured[rule.name].add(truth, rule.draw(batch, 0, 0).numpy())
    told, found = {**protocol, "given_frames": given, "num_real": real.size}, []
    for name, scores in measured.items():
        found += scores.records(name, seed, {**told, "num_fake": scores.futures * real.size})
    return found


def predictors(generator: Generator, settings: Settings) -> Iterator[Predictor]:
    """The generator, and the baselines beside it."""

    def predict(batch: data.Batch, future: int, start: int) -> tf.Tensor:
        seed = tf.constant([generator.config.seed + future, start], tf.int32)
        return from_unit(generator.draw(batch, seed, settings.truncation))

    yield Predictor(PREDICTED, settings.futures, predict)
    for name, baseline in baselines.of_prediction(generator.given_frames).items():
        yield of_rule(name, baseline, generator.given_frames)


def of_rule(name: str, baseline: baselines.Baseline, given: int) -> Predictor:
    """A baseline that continues the first `given` frames."""

    def draw(batch: data.Batch, future: int, start: int) -> tf.Tensor:
        first, length = batch["video"][:, :given].numpy(), batch["video"].shape[1]
        return tf.concat([first, baseline({"first_frames": first}, length - given)], 1)

    return Predictor(name, 1, draw)


def continuations(
    dataset: data.Dataset, videos: int, predictor: Predictor, measured: frames.FrameScores, shown: "Shown"
) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """(clips, labels) of every future of every batch, measured and shown on the way."""
    for start, whole in zip(range(0, videos, BATCH), dataset.batches(BATCH), strict=False):
        batch = {name: values[: videos - start] for name, values in whole.items()}
        truth = batch["video"].numpy()
        for future in range(predictor.futures):
            clips = predictor.draw(batch, future, start)
            measured.add(truth, clips.numpy())
            shown.add(predictor.name, future, truth, clips.numpy())
            yield clips, batch["label"]


def of_baseline(record: dict, predictor: Predictor) -> dict:
    """A record with the number of futures, and the name of the baseline in its metric."""
    metric = record["metric"] if predictor.name == PREDICTED else f"{record['metric']}/{predictor.name}"
    return {**record, "metric": metric, "protocol": {**record["protocol"], "futures": predictor.futures}}


def in_groups(records: list[dict]) -> list[dict]:
    """Records of one metric one below the other: those of the generator, then those of the baselines."""
    metrics = list(dict.fromkeys(record["metric"].split("/")[0] for record in records))
    return [record for metric in metrics for record in records if record["metric"].split("/")[0] == metric]


class Shown:
    """The clips of a report: of the first ones the given frames, the real clip, the first futures, and the baselines."""

    def __init__(self, given: int):
        self.given = given
        self.columns: dict[str, np.ndarray] = {}

    def add(self, name: str, future: int, truth: np.ndarray, clips: np.ndarray) -> None:
        """A future of clips of true ones, all [n,T,H,W,3] in [-1,1]. Only the first SHOWN that come are kept."""
        if future >= SHOWN_FUTURES:
            return
        first = truth.copy()
        first[:, self.given :] = -1.0  # black: nothing was given
        column = f"{name} {future + 1}" if name == PREDICTED else name
        for title, videos in (("given", first), ("real", truth), (column, clips)):
            kept = self.columns.setdefault(title, np.zeros([0, *truth.shape[1:]], np.uint8))
            if title == column or name == PREDICTED and not future:
                self.columns[title] = np.concatenate([kept, to_uint8(videos[: SHOWN - len(kept)]).numpy()])

    def section(self) -> report.Section:
        """A row a clip."""
        clips = np.stack(list(self.columns.values()), 1)  # [rows,columns,T,H,W,3]
        text = f"From the left: {', '.join(self.columns)}. The first {self.given} frames of every clip were given."
        return report.Section("Continuations", text, clips.reshape([-1, *clips.shape[2:]]), clips.shape[1], ())

"""Scores of a set of clips against another: what the trainer's and the evaluate program's numbers come from.

| metric | what | better |
|---|---|---|
| is, mode_score | of the evaluator's logits | higher |
| m_is | the same within the classes: variety, but also doubt of the evaluator | as real |
| fid, fid_infinity | Frechet distance of the features; the same, extrapolated to endlessly many clips | lower |
| fvd | Frechet distance of the logits, which is what FVD takes of I3D (arXiv:1812.01717) | lower |
| kid, mmd | of the features: cubic kernel; Gaussian kernel, as wide as the real clips' root mean square distance | lower |
| precision_recall, density_coverage | of the features, with 3 and 5 nearest neighbours | higher |
| accuracy | share of clips that the evaluator sees as the class they were made as: MoCoGAN's motion control score, MCS | higher |
| swd, swd_tfgan | of one frame of each clip, at each scale, by Progressive GAN's and by TF-GAN's recipe | lower |
| ssim, psnr | /same_class: of pairs of generated clips of one class, frame by frame: a measure of variety, as Odena et al. 2017 | as real |
| | (arXiv:1610.09585) take MS-SSIM; /paired: of each generated clip and its real one, for prediction | higher |
| acd | average content distance of the frames' mean colours, 0 to 255 | as real |

What looks at one set alone has the same number of the real clips beside it, as `real`.
"""

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from tfvideogan import data
from tfvideogan.config import Config, UserError
from tfvideogan.data.decode import RESIZE
from tfvideogan.evaluation.bootstrap import group_standard_error, standard_error
from tfvideogan.evaluation.clips import Clips, look
from tfvideogan.evaluation.extrapolation import extrapolate
from tfvideogan.evaluators.evaluator import Evaluator
from tfvideogan.metrics.class_accuracy import class_accuracy
from tfvideogan.metrics.density_coverage import density_coverage
from tfvideogan.metrics.frechet_distance import frechet_distance
from tfvideogan.metrics.inception_score import inception_score
from tfvideogan.metrics.kernel_distance import kernel_distance
from tfvideogan.metrics.mmd import gaussian, mmd, root_mean_square_distance
from tfvideogan.metrics.mode_score import mode_score
from tfvideogan.metrics.modified_inception_score import modified_inception_score
from tfvideogan.metrics.precision_recall import precision_recall
from tfvideogan.metrics.sliced_wasserstein_distance import PROGRESSIVE_GAN, TFGAN, Recipe, level_sizes, sliced_wasserstein_distance

LOG = logging.getLogger(__name__)
QUICK = ("is", "fid", "accuracy")  # while training, and if nothing else is asked for
OF_LOGITS = ("is", "m_is", "mode_score")
OF_FEATURES = ("fid", "fid_infinity", "fvd", "kid", "mmd", "precision_recall", "density_coverage")
OF_PIXELS = ("swd", "swd_tfgan", "ssim", "psnr", "acd")
OF_GROUPS = ("mmd", "precision_recall", "density_coverage", "swd", "swd_tfgan")
METRICS = (*OF_LOGITS, *OF_FEATURES, "accuracy", *OF_PIXELS)

RESAMPLES, GROUPS = 20, 8  # of the standard errors
LEAST_GROUP = 8  # clips
IS_SPLITS = 1
CLIPS_DEPEND_ON = ("dataset", "split", "held_out", "frames", "size", "short_side", "stride", "fps", "seed")  # of the Config
KID_SUBSET, KID_SUBSETS = 1000, 100  # clean-fid's
PRECISION_K, DENSITY_K = 3, 5  # the papers'
POINTS = 8  # of FID-infinity's line
IS_CLIPS = 50  # for each class but one: the score is low by about (C - 1) / 2N of itself, and that is 1 %

Remember = Callable[[dict, Callable[[], Clips]], Clips]


def of_config(
    config: Config,
    labels: tuple[str, ...],
    metrics: tuple[str, ...],
    truncation: float,
    ema: bool,
    evaluator: Evaluator,
    pixels: bool = False,
    remember: Remember = lambda settings, make: make(),
) -> "Evaluation":
    """The evaluation a Config asks for: against config.evaluate_videos shuffled clips of config.split.

    Args:
        labels: of the generator.
        metrics: some of METRICS.
        truncation, ema: how the generator will be sampled, for the protocol.
        evaluator: the judge.
        pixels: keep clips to show, even if no metric wants pixels.
        remember: looks up what was kept of the real clips, by all that it depends on, or makes it.
    """
    dataset = data.load(dataclasses.replace(config, flip=False, max_stride=0, random_crop=False), config.split)
    told = {
        name: getattr(config, name) for name in ("dataset", "split", "held_out", "frames", "size", "short_side", "stride", "fps", "seed")
    }
    if dataset.size < config.evaluate_videos:
        LOG.warning("only %d real clips in %s for %d generated ones", dataset.size, config.dataset, config.evaluate_videos)
    settings = {**told, "data_dir": config.data_dir}
    pixels = pixels or wants_pixels(metrics)
    real = functools.partial(of_data, dataset, evaluator, config.evaluate_videos, pixels, "real", settings, remember)
    protocol = {**told, "resize": RESIZE, "ema": ema, "truncation": truncation}
    return Evaluation(evaluator, real, labels, config.evaluate_videos, generated_at_a_time(config), metrics, pixels, protocol)


def generated_at_a_time(config: Config) -> int:
    """Clips in a batch of generated ones."""
    return min(max(config.batch_size, 16), 64)


def looked_at_a_time(videos: int) -> int:
    """Clips in a batch of real ones."""
    return min(videos, 64)


def of_data(dataset: data.Dataset, evaluator: Evaluator, videos: int, pixels: bool, name: str, settings: dict, remember: Remember) -> Clips:
    """What is kept of `videos` shuffled clips of a data set, or of all if there are fewer: each is one random stretch of its video.

    Args:
        name: of the set, for the progress bar.
        settings: what the clips depend on, for `remember`.
    """
    videos = min(videos, dataset.size)
    size = looked_at_a_time(videos)
    batches = ((batch["video"], batch["label"]) for batch in dataset.batches(size).take(-(-videos // size)))
    judge = {"evaluator": evaluator.name, "evaluator_sha256": evaluator.sha256, "videos": videos, "pixels": pixels, "resize": RESIZE}
    return remember({**settings, **judge}, lambda: look(batches, evaluator, videos, pixels, name))


def wants_pixels(metrics: tuple[str, ...]) -> bool:
    return bool(set(metrics) & set(OF_PIXELS))


class Evaluation:
    """Judges sets of clips of one kind by one evaluator; looks at the real clips once.

    Args:
        evaluator: gives features and logits.
        real: what is kept of the real clips.
        labels: names of the classes of the clips that are judged.
        videos: generated clips; their classes take turns.
        batch_size: clips generated at a time.
        metrics: some of METRICS.
        pixels: keep what metrics of pixels, and a report, need of the generated clips.
        protocol: what else a reader must know to repeat the numbers.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        real: Callable[[], Clips],
        labels: tuple[str, ...],
        videos: int,
        batch_size: int,
        metrics: tuple[str, ...],
        pixels: bool,
        protocol: dict,
    ):
        self.evaluator, self.labels, self.videos, self.batch_size, self.protocol = evaluator, labels, videos, batch_size, protocol
        self.metrics, self._real, self.pixels = tuple(metrics), real, pixels
        if "accuracy" in metrics and labels != evaluator.labels:
            self._leave_out("accuracy", f"no class accuracy: evaluator {evaluator.name} knows other classes than the generator's")
        if "m_is" in metrics and len(labels) < 2:
            self._leave_out("m_is", "no m-IS: the clips have no classes")

    @functools.cached_property
    def real(self) -> Clips:
        """The real clips."""
        return self._real()

    def generated(self, sample: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], seed: int) -> Clips:
        """Looks at clips of `sample(label [n] int32, seed [2] int32) -> video [n,T,H,W,3] in [0,1]`."""
        classes = np.arange(self.videos, dtype=np.int32) % max(len(self.labels), 1)

        def batches() -> Iterator[tuple[tf.Tensor, np.ndarray]]:
            for start in range(0, self.videos, self.batch_size):
                # Always a full batch, cut afterwards: one shape, one trace.
                label = np.resize(classes[start : start + self.batch_size], self.batch_size)
                yield sample(tf.constant(label), tf.constant([seed, start], tf.int32)) * 2 - 1, label

        return look(batches(), self.evaluator, self.videos, self.pixels, "generated")

    def __call__(self, sample: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], seed: int) -> list[dict]:
        """Scores of what `generated` looks at."""
        return self.score(self.generated(sample, seed), self.metrics, seed, self.protocol)

    def score(self, fake: Clips, metrics: tuple[str, ...], seed: int, protocol: dict) -> list[dict]:
        """Scores a set of clips.

        Args:
            fake: the set.
            metrics: some of the evaluation's.
            seed: of subsets, patches and standard errors.
            protocol: what a reader must know beside evaluator and numbers of clips.
        Returns: records {"metric", "value", "stderr", "protocol"}; "real" where one set is looked at alone, and "warning" where
            there are too few clips. Metrics carry the name of the evaluator, or of what else they look at. A value that is not
            finite is None.
        Raises: UserError for sets of one clip, or features that are not finite.
        """
        if min(len(self.real), len(fake)) < 2:
            raise UserError(f"{len(self.real)} real and {len(fake)} generated clips: want at least 2 of each")
        told = {
            "evaluator": self.evaluator.name,
            "evaluator_sha256": self.evaluator.sha256,
            "num_real": len(self.real),
            "num_fake": len(fake),
            **protocol,
        }
        table = scores(self.real, fake, seed)
        records = []
        for metric in metrics:
            if table[metric].missing:
                LOG.warning("no %s: %s", metric, table[metric].missing)
                continue
            warning = self._shortage(metric, fake)
            if warning:
                LOG.warning("%s", warning)
            try:
                found = table[metric].records(self.evaluator.name, told, seed)
                records += [{**record, **({"warning": warning} if warning else {})} for record in found]
            except ValueError as error:
                raise UserError(f"--metrics={metric}: {error}") from error
        return records

    def _shortage(self, metric: str, fake: Clips) -> str:
        """What is to be said if there are fewer clips than a metric needs; else nothing."""
        clips, features, classes = min(len(self.real), len(fake)), fake.features.shape[-1], fake.logits.shape[-1]
        needs = {
            **dict.fromkeys(OF_LOGITS, (IS_CLIPS * (classes - 1), f"for a bias below 1 % with {classes} classes")),
            "fid": (features + 1, f"or the covariance of {features} features is singular"),
            "fid_infinity": (4 * (features + 1), f"or the covariance of {features} features is singular in the smallest part"),
            "fvd": (classes + 1, f"or the covariance of {classes} logits is singular"),
            "kid": (KID_SUBSET, "the usual size of a subset"),
            **dict.fromkeys(OF_GROUPS, (GROUPS * LEAST_GROUP, f"for a standard error from {GROUPS} groups")),
        }
        needed, why = needs.get(metric, (0, ""))
        return f"{metric} of {clips:,} clips: want at least {needed:,}, {why}" if clips < needed else ""

    def _leave_out(self, metric: str, why: str) -> None:
        LOG.warning(why)
        self.metrics = tuple(other for other in self.metrics if other != metric)



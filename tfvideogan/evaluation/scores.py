"""Scores of a set of clips against another, with their standard errors.

| metric | what | better |
|---|---|---|
| is, mode_score | of the evaluator's logits; with several splits is_std is the deviation (ddof 0) over them, the papers' +- | higher |
| m_is | the same within the classes: variety, but also doubt of the evaluator | as real |
| fid, fid_infinity | Frechet distance of the features; the same, extrapolated to endlessly many clips | lower |
| fvd | Frechet distance of the logits, which is what FVD takes of I3D (arXiv:1812.01717) | lower |
| kid, mmd | of the features: cubic kernel; Gaussian kernel, as wide as the real clips' root mean square distance | lower |
| precision_recall, density_coverage | of the features, with 3 and 5 nearest neighbors | higher |
| accuracy | share of clips that the evaluator sees as the class they were made as: MoCoGAN's motion control score, MCS | higher |
| swd, swd_tfgan | of one frame of each clip, at each scale, by Progressive GAN's and by TF-GAN's recipe | lower |
| ssim, psnr | /same_class: of pairs of generated clips of one class: a measure of variety, as Odena et al. 2017 | as real |
| | (arXiv:1610.09585) take MS-SSIM; /paired: of each generated clip and its real one, for prediction. PSNR pools | |
| | the squared error over a clip, and is at most 60 dB | higher |
| acd_shape | average content distance of MoCoGAN's Table 1: of the shape's mean color in each frame, 0 to 255, on a plain | as real |
| | background | |
| acd_frame | the same of whole frames' mean colors, for clips without such a background | as real |
| pose_distance | of translations of a paired set alone: of joints in the clip and in its true one, in pixels (`poses.py`) | lower |

What looks at one set alone has the same number of the real clips beside it, as `real`.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from tfvideogan.evaluation.bootstrap import group_standard_error, standard_error
from tfvideogan.evaluation.clips import Clips
from tfvideogan.evaluation.extrapolation import extrapolate
from tfvideogan.metrics.class_accuracy import class_accuracy
from tfvideogan.metrics.density_coverage import density_coverage
from tfvideogan.metrics.frechet_distance import frechet_distance
from tfvideogan.metrics.inception_score import inception_score
from tfvideogan.metrics.kernel_distance import kernel_distance
from tfvideogan.metrics.mmd import gaussian, mmd, root_mean_square_distance
from tfvideogan.metrics.mode_score import mode_score
from tfvideogan.metrics.modified_inception_score import modified_inception_score
from tfvideogan.metrics.precision_recall import precision_recall
from tfvideogan.metrics.psnr import MOST
from tfvideogan.metrics.sliced_wasserstein_distance import PROGRESSIVE_GAN, TFGAN, Recipe, level_sizes, sliced_wasserstein_distance

OF_LOGITS = ("is", "m_is", "mode_score")
OF_FEATURES = ("fid", "fid_infinity", "fvd", "kid", "mmd", "precision_recall", "density_coverage")
OF_PIXELS = ("swd", "swd_tfgan", "ssim", "psnr", "acd_shape", "acd_frame")
OF_GROUPS = ("mmd", "precision_recall", "density_coverage", "swd", "swd_tfgan")
OF_SETS = (*OF_LOGITS, *OF_FEATURES, "accuracy", *OF_PIXELS)
METRICS = (*OF_SETS, "pose_distance")

RESAMPLES, GROUPS = 20, 8  # of the standard errors
LEAST_GROUP = 8  # clips
KID_SUBSET, KID_SUBSETS = 1000, 100  # clean-fid's
PRECISION_K, DENSITY_K = 3, 5  # the papers'
POINTS = 8  # of FID-infinity's line
IS_CLIPS = 50  # for each class but one: the score is low by about (C - 1) / 2N of itself, and that is 1 %
PSNR_TOLD = f"squared error pooled over a clip, at most {MOST:g} dB"


@dataclasses.dataclass(frozen=True)
class Score:
    """How a metric is taken of two sets.

    Attributes:
        function: its numbers, from the samples.
        samples: arrays of [N,...], which its error is estimated from.
        real: the same of the real clips, if it looks at one set alone.
        error: standard errors, from the function and the samples.
        names: of its numbers, if not the metric's own.
        of: what it looks at, if not the evaluator's features or logits.
        told: settings, for the protocol.
        missing: why it cannot be taken.
    """

    metric: str
    function: Callable[..., list[float]]
    samples: tuple[np.ndarray, ...]
    real: tuple[np.ndarray, ...] = ()
    error: Callable[..., np.ndarray] = functools.partial(standard_error, resamples=RESAMPLES)
    names: tuple[str, ...] = ()
    of: str = ""
    told: dict = dataclasses.field(default_factory=dict)
    missing: str = ""

    def records(self, evaluator: str, protocol: dict, seed: int) -> list[dict]:
        values, errors = self.function(*self.samples), self.error(self.function, *self.samples, seed=seed)
        of_real = self.function(*self.real) if self.real else [None] * len(values)
        records = []
        for name, value, error, real in zip(self.names or (self.metric,), values, errors, of_real, strict=True):
            record = {"metric": f"{name}/{self.of or evaluator}", "value": finite(value), "stderr": finite(error)}
            records.append({**record, **({"real": finite(real)} if self.real else {}), "protocol": {**protocol, **self.told}})
        return records


def scores(real: Clips, fake: Clips, seed: int, is_splits: int = 1) -> dict[str, Score]:
    """Every metric of OF_SETS, ready to be taken. `is_splits`: parts of consecutive clips that the inception score is the mean of."""
    clips = min(len(real), len(fake))
    bandwidth = root_mean_square_distance(_flat(real.features))
    of_both = (real.features, fake.features)
    labelled, real_labelled = (_labelled(fake),), (_labelled(real),)
    # Groups, not resamples, where a clip that is there twice would falsify the score; KID's are no larger than a subset.
    groups = max(min(GROUPS, clips // LEAST_GROUP), -(-clips // KID_SUBSET))
    group_error = functools.partial(group_standard_error, groups=groups)
    few = "" if clips >= 2 * LEAST_GROUP else f"{clips} clips, where it needs {2 * LEAST_GROUP}"

    def kid(real: np.ndarray, fake: np.ndarray) -> list[float]:
        size = min(len(real), len(fake), KID_SUBSET)
        whole = size == len(real) == len(fake)  # then all subsets are the same
        return [kernel_distance(real, fake, size, 1 if whole else KID_SUBSETS, seed)[0]]

    def swd(recipe: Recipe, real: np.ndarray, fake: np.ndarray) -> list[float]:
        levels = sliced_wasserstein_distance(real[: len(fake)], fake[: len(real)], seed, recipe)
        return [*levels, float(np.mean(levels))]

    def of_frames(metric: str, recipe: Recipe) -> Score:
        count, sizes = min(len(real.frames), len(fake.frames)), level_sizes(min(fake.frames.shape[1:3], default=0))
        missing = few or ("" if sizes else "frames of fewer than 16 pixels")
        names = (*(f"{metric}_{size}" for size in sizes), metric)
        told = {"swd_images": count, **{f"swd_{name}": value for name, value in recipe._asdict().items()}}
        images = (real.frames[:count], fake.frames[:count])
        function = functools.partial(swd, recipe)
        return Score(metric, function, images, error=group_error, names=names, of="frames", told=told, missing=missing)

    def mean(metric: str, field: str, of: str, missing: str) -> Score:
        values, of_real = getattr(fake, field), getattr(real, field)
        told: dict[str, object] = {"pairs": len(values)} if of == "same_class" else {}
        told |= {"psnr": PSNR_TOLD} if metric == "psnr" else {}
        return Score(
            metric,
            lambda x: [float(np.mean(x))],
            (values,),
            (of_real,) if len(of_real) else (),
            of=of,
            told=told,
            missing="" if len(values) else missing,
        )

    def splits(x: np.ndarray) -> list[float]:
        return list(inception_score(_flat(x), is_splits)[: min(is_splits, 2)])  # of one split there is no deviation

    no_pair = "no two clips of one class, or frames of fewer than 11 pixels"
    table = [
        Score("is", splits, (fake.logits,), (real.logits,), names=("is", "is_std")[: min(is_splits, 2)], told={"is_splits": is_splits}),
        Score("m_is", lambda x: [modified_inception_score(x[:, :-1], x[:, -1])], labelled, real_labelled),
        Score("mode_score", lambda x, y: [mode_score(_flat(x), _flat(y))], (real.logits, fake.logits)),
        Score("fid", _frechet, of_both),
        Score(
            "fid_infinity",
            lambda x, y: [extrapolate(lambda *parts: _frechet(*parts)[0], x, y, points=POINTS, seed=seed)],
            of_both,
            told={"points": POINTS},
            missing=few,
        ),
        Score("fvd", _frechet, (real.logits, fake.logits)),
        Score(
            "kid",
            lambda x, y: kid(_flat(x), _flat(y)),
            of_both,
            error=group_error,
            told={"kid_subset": min(clips, KID_SUBSET), "kid_subsets": KID_SUBSETS},
            missing=few,
        ),
        Score(
            "mmd",
            lambda x, y: [mmd(_flat(x), _flat(y), gaussian(bandwidth))],
            of_both,
            error=group_error,
            told={"mmd_bandwidth": bandwidth},
            missing=few or ("" if bandwidth else "all real features are the same"),
        ),
        Score(
            "precision_recall",
            lambda x, y: list(precision_recall(_flat(x), _flat(y), PRECISION_K)),
            of_both,
            error=group_error,
            names=("precision", "recall"),
            told={"k": PRECISION_K},
            missing=few,
        ),
        Score(
            "density_coverage",
            lambda x, y: list(density_coverage(_flat(x), _flat(y), DENSITY_K)),
            of_both,
            error=group_error,
            names=("density", "coverage"),
            told={"k": DENSITY_K},
            missing=few,
        ),
        Score("accuracy", lambda x: [class_accuracy(x[:, :-1], x[:, -1])], labelled, real_labelled),
        of_frames("swd", PROGRESSIVE_GAN),
        of_frames("swd_tfgan", TFGAN),
        mean("ssim", "ssim", "same_class", no_pair),
        mean("psnr", "psnr", "same_class", no_pair),
        mean("acd_shape", "shape_drift", "color", "clips of one frame"),
        mean("acd_frame", "frame_drift", "color", "clips of one frame"),
    ]
    return {score.metric: score for score in table}


def shortage(metric: str, real: Clips, fake: Clips, is_splits: int) -> str:
    """What is to be said if there are fewer clips than a metric needs; else nothing."""
    clips, features, classes = min(len(real), len(fake)), fake.features.shape[-1], fake.logits.shape[-1]
    needs = {
        **dict.fromkeys(OF_LOGITS, (IS_CLIPS * (classes - 1), f"for a bias below 1 % with {classes} classes")),
        "fid": (features + 1, f"or the covariance of {features} features is singular"),
        "fid_infinity": (4 * (features + 1), f"or the covariance of {features} features is singular in the smallest part"),
        "fvd": (classes + 1, f"or the covariance of {classes} logits is singular"),
        "kid": (KID_SUBSET, "the usual size of a subset"),
        **dict.fromkeys(OF_GROUPS, (GROUPS * LEAST_GROUP, f"for a standard error from {GROUPS} groups")),
    }
    if metric == "is":
        clips //= is_splits
    needed, why = needs.get(metric, (0, ""))
    in_split = " in a split" if metric == "is" and is_splits > 1 else ""
    return f"{metric} of {clips:,} clips{in_split}: expected at least {needed:,}, {why}" if clips < needed else ""


def _frechet(real: np.ndarray, fake: np.ndarray) -> list[float]:
    return [frechet_distance(_flat(real), _flat(fake))]


def _flat(x: np.ndarray) -> np.ndarray:
    """[N,...,F] -> [M,F]: of an evaluator of single frames, every frame counts."""
    return x.reshape([-1, x.shape[-1]])


def _labelled(clips: Clips) -> np.ndarray:
    """Logits, averaged over the frames if they are of single ones, and the label beside them: [N,C+1]."""
    logits = clips.logits.reshape([len(clips), -1, clips.logits.shape[-1]]).mean(1)
    return np.concatenate([logits, clips.labels[:, None]], axis=1)


def mean_of(values: np.ndarray, seed: int) -> dict[str, float | None]:
    """{"value", "stderr"}: the mean over clips, [N], of those that are finite; None where there is none."""
    values = values[np.isfinite(values)]
    if not len(values):
        return {"value": None, "stderr": None}
    return {"value": finite(float(np.mean(values))), "stderr": finite(float(standard_error(np.mean, values, seed=seed)))}


def finite(value: float | None) -> float | None:
    """JSON has no infinity."""
    return float(value) if value is not None and np.isfinite(value) else None

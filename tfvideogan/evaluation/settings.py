"""What an evaluation is asked for."""

import dataclasses
import math

from tfvideogan.config import UserError
from tfvideogan.evaluation.scores import METRICS
from tfvideogan.evaluators.lpips import Lpips


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the flags of `evaluate` say. Raises UserError for values that no evaluation can have.

    Attributes:
        metrics: some of METRICS.
        real_videos: real clips; None: as many as generated ones; 0: all that there are.
        is_splits: parts that the inception score is the mean of (StyleGAN-V: 10).
        futures: continuations of each clip, of a prediction.
        given: first frames of the clips of a folder that their predictions were given.
        repeats: sets of generated clips, of seeds that follow each other, whose scores are averaged (TGAN: 4, TGANv2: 10).
        lpips: the distance that frames of a prediction are scored by, beside the metrics; None: none.
        truncation: of the generated clips.
        curve: truncations of the report's curve of IS against FID.
        audit_videos: training clips, at most, that a report looks for copies of; 0: no audit.
        report: whether one is written: it shows clips.
        cache_dir: folder that keeps the features of real clips; empty: none is kept.
    """

    metrics: tuple[str, ...]
    real_videos: int | None = None
    is_splits: int = 1
    futures: int = 1
    given: int = 0
    repeats: int = 1
    lpips: Lpips | None = None
    truncation: float = 1.0
    curve: tuple[float, ...] = ()
    audit_videos: int = 0
    report: bool = False
    cache_dir: str = ""

    def __post_init__(self):
        if self.real_videos is not None and self.real_videos < 2 and self.real_videos != 0:
            raise UserError(f"--num_real={self.real_videos}: expected at least 2, or 0 for all")
        for flag, value in (("is_splits", self.is_splits), ("repeats", self.repeats), ("futures", self.futures)):
            if value < 1:
                raise UserError(f"--{flag}={value}: expected at least 1")
        for flag, value in (("given", self.given), ("audit_videos", self.audit_videos)):
            if value < 0:
                raise UserError(f"--{flag}={value}: expected 0 or more")


def chosen_metrics(names: list[str]) -> tuple[str, ...]:
    """The metrics of --metrics. Raises UserError for one that there is not."""
    if names == ["all"]:
        return METRICS
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        missing = f"no metric {unknown[0]}" if unknown else "none"
        raise UserError(f"--metrics={','.join(names)}: {missing}; expected all, or some of {','.join(METRICS)}")
    return tuple(dict.fromkeys(names))


def truncations(texts: list[str]) -> tuple[float, ...]:
    """The numbers of --curve. Raises UserError for what is none."""
    try:
        found = tuple(float(text) for text in texts if text)
    except ValueError as error:
        raise UserError(f"--curve={','.join(texts)}: {error}; expected numbers") from error
    if not all(map(math.isfinite, found)):
        raise UserError(f"--curve={','.join(texts)}: expected finite numbers")
    return found

"""Scores of clips frame by frame against the true ones, of one or several futures of each: means, best ones, curves over time."""

import dataclasses
import logging
from collections.abc import Callable, Mapping

import numpy as np

from tfvideogan.config import UserError
from tfvideogan.evaluation.bootstrap import standard_error
from tfvideogan.evaluation.clips import RANGE
from tfvideogan.evaluation.scores import PSNR_TOLD, finite
from tfvideogan.evaluators.lpips import Lpips
from tfvideogan.metrics.psnr import MOST, psnr
from tfvideogan.metrics.ssim import WINDOW, ssim

LOG = logging.getLogger(__name__)
SPREAD = "root mean square difference of a future and the next one of the same clip, of pixels in [0,1]"


@dataclasses.dataclass(frozen=True)
class Measure:
    """What compares clips.

    Attributes:
        function: (clips, clips, range of a pixel) -> [N].
        of_frames, of_clips: what a reader of scores of single frames, or of whole clips, must know.
        lower_is_better: as of distances.
    """

    function: Callable[[np.ndarray, np.ndarray, float], np.ndarray]
    of_frames: str
    of_clips: str = ""
    lower_is_better: bool = False


METRICS = {
    "ssim": Measure(ssim, f"of each frame, {WINDOW}x{WINDOW} Gaussian window"),
    "psnr": Measure(psnr, f"of each frame, at most {MOST:g} dB", PSNR_TOLD),
}


def chosen(metrics: tuple[str, ...], lpips: Lpips | None, side: int, missing: dict[str, str]) -> dict[str, Measure]:
    """Those of the metrics that are in METRICS, and LPIPS where there is one, of frames of `side` pixels; `missing` gets the reason
    for one that cannot be taken of these."""
    found = {metric: METRICS[metric] for metric in metrics if metric in METRICS}
    if "ssim" in found and side < WINDOW:
        missing["ssim"] = f"frames of {side} pixels a side, where it takes at least {WINDOW}"
        LOG.warning("no ssim: %s", missing["ssim"])
        del found["ssim"]
    if lpips is not None:
        if side < lpips.least:
            raise UserError(f"--lpips: frames of {side} pixels a side; expected at least {lpips.least} for {lpips.network}")
        told = f"LPIPS 0.1 by {lpips.network}, weights of sha256 {lpips.sha256}"
        found[lpips.name] = Measure(lpips, told, told, lower_is_better=True)
    return found


class FrameScores:
    """Gathers what is measured of each frame of generated clips.

    Args:
        metrics: what is measured, by name.
        futures: clips generated for each true one; `add` is called for each in turn.
        start: the first frame that is scored: those before it were given.

    Attributes: scores: by metric, arrays [n,F] of the F frames from `start` on, one for each call of `add`.
    """

    def __init__(self, metrics: Mapping[str, Measure], futures: int, start: int):
        self.metrics, self.futures, self.start = metrics, futures, start
        self.scores: dict[str, list[np.ndarray]] = {metric: [] for metric in metrics}
        self._spread: list[np.ndarray] = []
        self._before, self._added = np.zeros([0]), 0  # the clips added last; calls of `add`

    def add(self, truth: np.ndarray, clips: np.ndarray) -> None:
        """The next future `clips` of `truth`, both [n,T,H,W,3] in [-1,1]."""
        truth, clips = truth[:, self.start :], clips[:, self.start :]
        for metric, found in self.scores.items():
            found.append(of_frames(self.metrics[metric].function, truth, clips))
        if self._added % self.futures:
            self._spread.append(np.sqrt(np.mean((clips - self._before) ** 2, axis=(2, 3, 4), dtype=np.float64)) / RANGE)
        self._before, self._added = clips, self._added + 1

    def records(self, name: str, seed: int, protocol: dict) -> list[dict]:
        """Records {"metric", "value", "stderr", "curve", "protocol"} of each metric: the mean over all futures; of several also
        that over the best ones, and how far futures of one clip are apart.

        Args:
            name: of what made the clips; the metrics carry it.
            seed: of the standard errors, which are over clips.
            protocol: what a reader must know.
        """
        found = {}
        for metric in self.scores:
            values = self.values(metric)
            found[f"{metric}/{name}"] = values.mean(1)
            if self.futures > 1:
                mean = values.mean(2)
                best = mean.argmin(1) if self.metrics[metric].lower_is_better else mean.argmax(1)
                found[f"{metric}/{name}/best"] = values[np.arange(len(values)), best]
        if self.futures > 1:
            found[f"spread/{name}"] = by_clip(self._spread, self.futures - 1).mean(1)
        return [
            {
                "metric": metric,
                "value": finite(float(np.mean(values))),
                "stderr": finite(float(standard_error(np.mean, values.mean(1), seed=seed))),
                "curve": [round(float(value), 5) for value in values.mean(0)],
                "protocol": {
                    **protocol,
                    "futures": self.futures,
                    "first_frame_scored": self.start,
                    **self._told(*metric.split("/")),
                },
            }
            for metric, values in found.items()
        ]

    def _told(self, metric: str, name: str, best: str = "") -> dict[str, str]:
        """What the protocol of <metric>/<name> or <metric>/<name>/best says of it."""
        if metric not in self.metrics:
            return {metric: SPREAD}
        extreme = "lowest" if self.metrics[metric].lower_is_better else "highest"
        of_best = {"best": f"of each clip, the future of the {extreme} mean over its frames"} if best else {}
        return {metric: self.metrics[metric].of_frames, **of_best}

    def values(self, metric: str) -> np.ndarray:
        """[clips,futures,F]."""
        return by_clip(self.scores[metric], self.futures)


def of_frames(metric: Callable[..., np.ndarray], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A metric of clips taken of each frame alone: two of [N,T,H,W,3] in [-1,1] -> [N,T]."""
    one_each = [clips.reshape([-1, 1, *clips.shape[2:]]) for clips in (x, y)]
    return metric(*one_each, RANGE).reshape(x.shape[:2])


def by_clip(parts: list[np.ndarray], futures: int) -> np.ndarray:
    """Arrays [n,F], of `futures` calls in turn for each batch of n clips, as [clips,futures,F]."""
    return np.concatenate([np.stack(parts[i : i + futures], 1) for i in range(0, len(parts), futures)])

"""Scores of clips frame by frame against the true ones, of one or several futures of each: means, best ones, curves over time."""

from collections.abc import Callable

import numpy as np

from tfvideogan.evaluation.bootstrap import standard_error
from tfvideogan.evaluation.clips import RANGE
from tfvideogan.evaluation.scores import finite
from tfvideogan.metrics.psnr import MOST, psnr
from tfvideogan.metrics.ssim import WINDOW, ssim

METRICS: dict[str, Callable[..., np.ndarray]] = {"ssim": ssim, "psnr": psnr}  # (clips, clips, range) -> [N]; higher is better
PROTOCOL = {
    "ssim": f"of each frame, {WINDOW}x{WINDOW} Gaussian window",
    "psnr": f"of each frame, at most {MOST:g} dB",
    "spread": "root mean square difference of a future and the next one of the same clip, of pixels in [0,1]",
}
BEST = "of each clip, the future of the highest mean over its frames"


class FrameScores:
    """Gathers what is measured of each frame of generated clips.

    Args:
        metrics: some of METRICS.
        futures: clips generated for each true one; `add` is called for each in turn.
        start: the first frame that is scored: those before it were given.

    Attributes: scores: by metric, arrays [n,F] of the F frames from `start` on, one for each call of `add`.
    """

    def __init__(self, metrics: tuple[str, ...], futures: int, start: int):
        self.futures, self.start = futures, start
        self.scores: dict[str, list[np.ndarray]] = {metric: [] for metric in metrics}
        self._spread: list[np.ndarray] = []
        self._before, self._added = np.zeros([0]), 0  # the clips added last; calls of `add`

    def add(self, truth: np.ndarray, clips: np.ndarray) -> None:
        """The next future `clips` of `truth`, both [n,T,H,W,3] in [-1,1]."""
        truth, clips = truth[:, self.start :], clips[:, self.start :]
        for metric, found in self.scores.items():
            found.append(of_frames(METRICS[metric], truth, clips))
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
                best = values.mean(2).argmax(1)
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
                    metric.split("/")[0]: PROTOCOL[metric.split("/")[0]],
                    **({"best": BEST} if metric.endswith("/best") else {}),
                },
            }
            for metric, values in found.items()
        ]

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

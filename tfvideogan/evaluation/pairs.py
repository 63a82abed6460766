"""Paired scores, as of prediction: each clip against the one of the same place in the other set."""

import logging
from collections.abc import Iterable

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfvideogan import data
from tfvideogan.config import UserError
from tfvideogan.evaluation.bootstrap import standard_error
from tfvideogan.evaluation.clips import RANGE
from tfvideogan.evaluation.scores import PSNR_TOLD, finite
from tfvideogan.metrics.psnr import psnr
from tfvideogan.metrics.ssim import WINDOW, ssim

LOG = logging.getLogger(__name__)
METRICS = {"ssim": ssim, "psnr": psnr}  # (clips, clips, range) -> [N]
BATCH = 16  # clips


def paired(real: Iterable[tf.Tensor], fake: Iterable[tf.Tensor], clips: int, metrics: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Scores, [N] each, of each clip and the one at the same place in another set.

    Args:
        real, fake: batches of clips [n,T,H,W,3] in [-1,1], in the same order and of the same sizes.
        clips: in a set.
        metrics: some of METRICS.
    """
    found: dict[str, list[np.ndarray]] = {metric: [] for metric in metrics}
    with tqdm(total=clips, desc="pairs", unit="clip", leave=False, disable=None) as bar:
        for x, y in zip(real, fake, strict=True):
            for metric in metrics:
                found[metric].append(METRICS[metric](x.numpy(), y.numpy(), RANGE))
            bar.update(len(x))
    return {metric: np.concatenate(parts) for metric, parts in found.items()}


def records(
    real: data.Dataset, fake: data.Dataset, size: int, metrics: tuple[str, ...], seed: int, protocol: dict, missing: dict[str, str]
) -> list[dict]:
    """Records of the middles of two sets of videos, the first of the one with the first of the other.

    Args:
        size: pixels of a frame's shorter side.
        metrics: some of METRICS.
        seed: of the standard errors.
        protocol: what a reader must know.
        missing: gets the reasons of those that cannot be taken.
    Raises: UserError for sets of other sizes.
    """
    if "ssim" in metrics and size < WINDOW:
        missing["ssim"] = f"frames of {size} pixels a side, where it takes at least {WINDOW}"
        LOG.warning("no ssim: %s", missing["ssim"])
        metrics = tuple(metric for metric in metrics if metric != "ssim")
    if not metrics:
        return []
    if real.size != fake.size:
        raise UserError(f"--paired: {real.size} videos in --real and {fake.size} in --fake: expected as many")
    clips_of_real, clips_of_fake = ((batch["video"] for batch in dataset.once(BATCH)) for dataset in (real, fake))
    values = paired(clips_of_real, clips_of_fake, real.size, metrics)
    told = {**protocol, "num_real": real.size, "num_fake": fake.size}
    return [
        {
            "metric": f"{metric}/paired",
            "value": finite(float(np.mean(values[metric]))),
            "stderr": finite(float(standard_error(np.mean, values[metric], seed=seed))),
            "protocol": {**told, **({"psnr": PSNR_TOLD} if metric == "psnr" else {})},
        }
        for metric in metrics
    ]

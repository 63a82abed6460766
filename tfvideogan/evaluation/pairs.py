"""Paired scores, as of prediction: each clip against the one of the same place in the other set."""

from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfvideogan import data
from tfvideogan.config import UserError
from tfvideogan.evaluation.bootstrap import standard_error
from tfvideogan.evaluation.clips import RANGE
from tfvideogan.evaluation.frames import Measure
from tfvideogan.evaluation.scores import finite

BATCH = 16  # clips


def paired(real: Iterable[tf.Tensor], fake: Iterable[tf.Tensor], clips: int, metrics: Mapping[str, Measure]) -> dict[str, np.ndarray]:
    """Scores, [N] each, of each clip and the one at the same place in another set.

    Args:
        real, fake: batches of clips [n,T,H,W,3] in [-1,1], in the same order and of the same sizes.
        clips: in a set.
        metrics: what is measured of them, by name.
    """
    found: dict[str, list[np.ndarray]] = {metric: [] for metric in metrics}
    with tqdm(total=clips, desc="pairs", unit="clip", leave=False, disable=None) as bar:
        for x, y in zip(real, fake, strict=True):
            for metric in metrics:
                found[metric].append(metrics[metric].function(x.numpy(), y.numpy(), RANGE))
            bar.update(len(x))
    return {metric: np.concatenate(parts) for metric, parts in found.items()}


def records(real: data.Dataset, fake: data.Dataset, metrics: Mapping[str, Measure], seed: int, protocol: dict) -> list[dict]:
    """Records of the middles of two sets of videos, the first of the one with the first of the other.

    Args:
        metrics: what is measured of them, by name.
        seed: of the standard errors.
        protocol: what a reader must know.
    Raises: UserError for sets of other sizes.
    """
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
            "protocol": {**told, **({metric: measure.of_clips} if measure.of_clips else {})},
        }
        for metric, measure in metrics.items()
    ]

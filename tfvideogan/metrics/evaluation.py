"""Scores of a generator: what the trainer's and the evaluate program's numbers come from."""

import dataclasses
import logging
from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfvideogan import data
from tfvideogan.config import Config
from tfvideogan.data.decode import RESIZE
from tfvideogan.metrics.bootstrap import standard_error
from tfvideogan.metrics.class_accuracy import class_accuracy
from tfvideogan.metrics.features.classifier import Evaluator, load
from tfvideogan.metrics.frechet_distance import frechet_distance
from tfvideogan.metrics.inception_score import inception_score

LOG = logging.getLogger(__name__)
METRICS = ("is", "fid", "accuracy")
RESAMPLES = 20  # of the standard errors
IS_SPLITS = 1


def of_config(config: Config, labels: tuple[str, ...], metrics: tuple[str, ...], truncation: float, ema: bool) -> "Evaluation":
    """The evaluation a Config asks for: by config.evaluator, against config.evaluate_videos shuffled clips of config.split.

    Args:
        labels: of the generator.
        metrics: some of METRICS.
        truncation, ema: how the generator will be sampled, for the protocol.
    """
    dataset = data.load(dataclasses.replace(config, flip=False, max_stride=0), config.split)
    told = {name: getattr(config, name) for name in ("dataset", "split", "frames", "size", "stride", "seed")}
    batch_size = min(max(config.batch_size, 16), 64)
    videos = min(config.evaluate_videos, dataset.size)
    if videos < config.evaluate_videos:
        LOG.warning("only %d real clips in %s for %d generated ones", videos, config.dataset, config.evaluate_videos)
    return Evaluation(
        load(config.evaluator),
        dataset.batches(batch_size).take(-(-videos // batch_size)),
        labels,
        config.evaluate_videos,
        batch_size,
        metrics,
        {**told, "resize": RESIZE, "ema": ema, "truncation": truncation},
    )


class Evaluation:
    """Judges generators of one kind of clip by one evaluator; looks at the real clips once.

    Args:
        evaluator: gives features and logits.
        real: batches of real clips, {"video": [N,T,H,W,3] in [-1,1], ...}; `videos` of them are used, or all there are.
        labels: names of the generator's classes.
        videos: generated clips; their classes take turns.
        batch_size: clips generated at a time.
        metrics: some of METRICS.
        protocol: what else a reader must know to repeat the numbers.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        real: Iterable[dict[str, tf.Tensor]],
        labels: tuple[str, ...],
        videos: int,
        batch_size: int,
        metrics: tuple[str, ...],
        protocol: dict,
    ):
        self.evaluator, self.labels, self.videos, self.batch_size, self.protocol = evaluator, labels, videos, batch_size, protocol
        self.metrics = metrics
        if "accuracy" in metrics and labels != evaluator.labels:
            LOG.warning("no class accuracy: evaluator %s knows other classes than the generator's", evaluator.name)
            self.metrics = tuple(metric for metric in metrics if metric != "accuracy")
        self._real, self._real_features = real, None

    def real_features(self) -> np.ndarray:
        """Features [N,F] of the real clips."""
        if self._real_features is None:
            features, seen = [], 0
            with tqdm(total=self.videos, desc="real clips", unit="clip", leave=False, disable=None) as bar:
                for batch in self._real:
                    features.append(self.evaluator(batch["video"])[0])
                    bar.update(len(features[-1]))
                    seen += len(features[-1])
                    if seen >= self.videos:
                        break
            self._real_features = np.concatenate(features)[: self.videos].astype(np.float64)
        return self._real_features

    def __call__(self, sample: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], seed: int) -> list[dict]:
        """Scores `sample(label [N] int32, seed [2] int32) -> video [N,T,H,W,3] in [0,1]`.

        Returns: records {"metric", "value", "stderr", "protocol"}. Metrics are named after the evaluator.
        """
        classes = np.arange(self.videos, dtype=np.int32) % max(len(self.labels), 1)
        features, logits = [], []
        for start in tqdm(range(0, self.videos, self.batch_size), "generated clips", unit="batch", leave=False, disable=None):
            # Always a full batch, cut afterwards: one shape, one trace.
            label = np.resize(classes[start : start + self.batch_size], self.batch_size)
            found = self.evaluator(sample(tf.constant(label), tf.constant([seed, start], tf.int32)) * 2 - 1)
            keep = min(self.batch_size, self.videos - start)
            features.append(found[0][:keep])
            logits.append(found[1][:keep])
        features, logits = (np.concatenate(parts).astype(np.float64) for parts in (features, logits))
        real = self.real_features() if "fid" in self.metrics else np.zeros([0, 1])
        scores = {
            "is": (lambda logits: inception_score(logits, IS_SPLITS)[0], logits),
            "fid": (frechet_distance, real, features),
            # By number of clip: a clip's logits and its class are drawn together.
            "accuracy": (lambda clips: class_accuracy(logits[clips], classes[clips]), np.arange(self.videos)),
        }
        protocol = {
            "evaluator": self.evaluator.name,
            "evaluator_sha256": self.evaluator.sha256,
            "num_real": len(real),
            "num_fake": self.videos,
            "is_splits": IS_SPLITS,
            **self.protocol,
        }
        records = []
        for metric in self.metrics:
            score, *samples = scores[metric]
            error = standard_error(score, *samples, seed=seed, resamples=RESAMPLES)
            records.append({"metric": f"{metric}/{self.evaluator.name}", "value": score(*samples), "stderr": error, "protocol": protocol})
        return records

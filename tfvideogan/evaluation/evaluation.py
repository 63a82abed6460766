"""An evaluation: one set of real clips, and the sets of generated ones that are scored against it, by one protocol."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from tfvideogan import data
from tfvideogan.config import Config, UserError
from tfvideogan.data.decode import RESIZE
from tfvideogan.evaluation.clips import Clips, look
from tfvideogan.evaluation.scores import OF_PIXELS, OF_SETS, scores, shortage
from tfvideogan.evaluators.evaluator import Evaluator

LOG = logging.getLogger(__name__)
QUICK = ("is", "fid", "accuracy")  # while training, and if nothing else is asked for
CLIPS_DEPEND_ON = ("dataset", "split", "held_out", "frames", "size", "width", "short_side", "stride", "fps", "seed")  # of the Config

Remember = Callable[[dict, Callable[[], Clips]], Clips]
Draw = Callable[[data.Batch, tf.Tensor], tf.Tensor]


def of_config(
    config: Config,
    labels: tuple[str, ...],
    metrics: tuple[str, ...],
    truncation: float,
    ema: bool,
    evaluator: Evaluator,
    pixels: bool = False,
    remember: Remember = lambda settings, make: make(),
    real_videos: int | None = None,
    is_splits: int = 1,
) -> "Evaluation":
    """The evaluation a Config asks for: of config.evaluate_videos generated clips, against shuffled clips of config.split.

    Where the generator's classes are the data set's, its clips have the shares of the real clips' classes; else these take turns.

    Args:
        labels: of the generator.
        metrics: some of METRICS.
        truncation, ema: how the generator will be sampled, for the protocol.
        evaluator: gives features and logits.
        pixels: keep clips to show, even if no metric needs pixels.
        remember: looks up what was kept of the real clips, by all that it depends on, or makes it.
        real_videos: real clips; None: as many as generated ones; 0: all.
        is_splits: parts that the inception score is the mean of.
    """
    dataset = data.load(dataclasses.replace(config, flip=False, max_stride=0, random_crop=False), config.split)
    told = {name: getattr(config, name) for name in CLIPS_DEPEND_ON}
    videos = config.evaluate_videos if real_videos is None else real_videos or dataset.size
    if dataset.size < videos:
        LOG.warning("only %d real clips in %s, where %d are asked for", dataset.size, config.dataset, videos)
    settings = {**told, "data_dir": config.data_dir}
    pixels = pixels or wants_pixels(metrics)
    real = functools.partial(of_data, dataset, evaluator, videos, pixels, "real", settings, remember)
    as_real = dataset.labels == labels
    if not as_real:
        LOG.warning("%s %s has other classes than the generator, whose clips take their own in turn", config.dataset, config.data_dir)
    protocol = {**told, "resize": RESIZE, "ema": ema, "truncation": truncation}
    protocol["labels"] = "shares of the real clips" if as_real else "in turn"
    size = generated_at_a_time(config)
    return Evaluation(evaluator, real, labels, config.evaluate_videos, size, metrics, pixels, protocol, as_real, is_splits)


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
    by = {"evaluator": evaluator.name, "evaluator_sha256": evaluator.sha256, **evaluator.protocol}
    told = {**settings, **by, "videos": videos, "pixels": pixels, "resize": RESIZE}
    return remember(told, lambda: look(batches, evaluator, videos, pixels, name))


def wants_pixels(metrics: tuple[str, ...]) -> bool:
    return bool(set(metrics) & set(OF_PIXELS))


class Evaluation:
    """Scores sets of clips of one kind by one evaluator; looks at the real clips once.

    Args:
        evaluator: gives features and logits.
        real: what is kept of the real clips.
        labels: names of the classes of the clips that are scored.
        videos: generated clips.
        batch_size: clips generated at a time.
        metrics: some of METRICS.
        pixels: keep what metrics of pixels, and a report, need of the generated clips.
        protocol: what else a reader must know to repeat the numbers.
        as_real: generated clips have the shares of the real clips' classes, whose numbers are the same; else these take turns.
        is_splits: parts that the inception score is the mean of.

    Attributes: missing: of each metric that cannot be taken, the reason.
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
        as_real: bool = False,
        is_splits: int = 1,
    ):
        self.evaluator, self.labels, self.videos, self.batch_size, self.protocol = evaluator, labels, videos, batch_size, protocol
        self.metrics, self._real, self.pixels = tuple(metrics), real, pixels
        self.as_real, self.is_splits = as_real, is_splits
        self.missing: dict[str, str] = {}
        for metric in set(metrics) - set(OF_SETS):
            self._leave_out(metric, "the clips are no translations of a paired set")
        self.warned: set[str] = set()
        if "accuracy" in metrics and labels != evaluator.labels:
            self._leave_out("accuracy", f"evaluator {evaluator.name} knows other classes than the generator's")
        if "m_is" in metrics and len(labels) < 2:
            self._leave_out("m_is", "the clips have no classes")

    @functools.cached_property
    def real(self) -> Clips:
        """The real clips."""
        return self._real()

    def classes(self, seed: int) -> np.ndarray:
        """The labels of generated clips, [videos] int32: a function of the seed, and of how many real clips each class has.

        Fractions of a clip are rounded so that the sum is right: up where they are largest.
        """
        count = max(len(self.labels), 1)
        if not self.as_real:
            return np.arange(self.videos, dtype=np.int32) % count
        exact = self.videos * np.bincount(self.real.labels, minlength=count) / len(self.real)
        whole = np.floor(exact).astype(int)
        whole[np.argsort(whole - exact, kind="stable")[: self.videos - whole.sum()]] += 1
        return np.random.default_rng(seed).permutation(np.repeat(np.arange(count, dtype=np.int32), whole))

    def requests(self, seed: int, given: data.Dataset | None) -> Iterator[data.Batch]:
        """What generated clips are drawn from, a batch at a time: labels, or clips of a data set, for a generator that reads videos."""
        if given is not None:
            yield from given.batches(self.batch_size).take(-(-self.videos // self.batch_size))
            return
        classes = self.classes(seed)
        for start in range(0, self.videos, self.batch_size):
            # Always a full batch, cut afterwards: one shape, one trace.
            yield {"label": tf.constant(np.resize(classes[start : start + self.batch_size], self.batch_size))}

    def generated(self, draw: Draw, seed: int, given: data.Dataset | None = None) -> Clips:
        """Looks at generated clips.

        Args:
            draw: from (a batch of `requests`, seed [2] int32) to clips [n,T,H,W,3] in [0,1].
            seed: of labels and latents.
            given: the data set that a generator reads videos of.
        """

        def batches() -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
            for number, batch in enumerate(self.requests(seed, given)):
                yield draw(batch, tf.constant([seed, number * self.batch_size], tf.int32)) * 2 - 1, batch["label"]

        return look(batches(), self.evaluator, self.videos, self.pixels, "generated")

    def __call__(self, draw: Draw, seed: int, given: data.Dataset | None = None) -> list[dict]:
        """Scores of what `generated` looks at."""
        return self.score(self.generated(draw, seed, given), self.metrics, seed, self.protocol)

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
            raise UserError(f"{len(self.real)} real and {len(fake)} generated clips: expected at least 2 of each")
        told = {
            "evaluator": self.evaluator.name,
            "evaluator_sha256": self.evaluator.sha256,
            **self.evaluator.protocol,
            "num_real": len(self.real),
            "num_fake": len(fake),
            **protocol,
        }
        table = scores(self.real, fake, seed, self.is_splits)
        records = []
        for metric in metrics:
            if table[metric].missing:
                self.missing[metric] = table[metric].missing
                LOG.warning("no %s: %s", metric, table[metric].missing)
                continue
            warning = shortage(metric, self.real, fake, self.is_splits)
            if warning and warning not in self.warned:  # at each truncation anew
                self.warned.add(warning)
                LOG.warning("%s", warning)
            try:
                found = table[metric].records(self.evaluator.name, told, seed)
                records += [{**record, **({"warning": warning} if warning else {})} for record in found]
            except ValueError as error:
                raise UserError(f"--metrics={metric}: {error}") from error
        return records

    def _leave_out(self, metric: str, why: str) -> None:
        self.missing[metric] = why
        LOG.warning("no %s: %s", metric, why)
        self.metrics = tuple(other for other in self.metrics if other != metric)

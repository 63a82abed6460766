"""What a report says of memorization: the training clips nearest to generated ones, and clips between two latents."""

import dataclasses

import numpy as np
import tensorflow as tf
from absl import logging

from tfvideogan import data, models
from tfvideogan.config import Config
from tfvideogan.evaluation import evaluation, interpolation, memorization
from tfvideogan.evaluation.bootstrap import standard_error
from tfvideogan.evaluation.clips import Clips
from tfvideogan.evaluation.report import Section
from tfvideogan.evaluators.evaluator import Evaluator
from tfvideogan.generation.module import Generator
from tfvideogan.ops.video import to_uint8

PAIRS, NEIGHBORS = 6, 3  # generated clips shown, each with so many training clips
STEPS, ROWS = 7, 3  # of the interpolation sheets: clips in a row, rows within a class and as many across


def memorized(
    config: Config, generator: Generator, fake: Clips, truncation: float, evaluator: Evaluator, videos: int, remember, protocol: dict
) -> tuple[Section, dict] | None:
    """The audit of generated clips, and its record of `copying`; None where no clips were held out.

    Args:
        config: of the evaluation; its `split` is what the generator was trained on.
        fake: what was kept of the generated clips, as `evaluation.Evaluation.generated` makes them.
        videos: training clips, at most, among which neighbors are looked for, and held-out ones.
        remember: as of `evaluation.of_config`.
        protocol: of the evaluation.
    """
    config = dataclasses.replace(config, flip=False, max_stride=0, random_crop=False)
    training, held_out = data.load(config, config.split), data.load(config, "test")
    if config.split != "train" or not _apart(training, held_out):
        logging.warning("no memorization audit: %s has no clips that were held out (see --held_out)", config.dataset)
        return None
    told = {name: getattr(config, name) for name in (*evaluation.CLIPS_DEPEND_ON, "data_dir")}
    seen, unseen = (
        evaluation.of_data(dataset, evaluator, videos, False, name, {**told, "split": name}, remember)
        for name, dataset in (("train", training), ("test", held_out))
    )
    samples, references, held_apart = (clips.features.reshape(len(clips), -1) for clips in (fake, seen, unseen))
    audit = memorization.audit(samples, references, held_apart, neighbors=min(NEIGHBORS, len(seen)))
    rows = []
    for sample in np.argsort(audit.distances[:, 0])[:PAIRS]:
        found = [_generated(generator, fake.labels, int(sample), config, truncation)]
        found += [_real(training, int(index), len(seen)) for index in audit.neighbors[sample]]
        rows.append(np.stack(found))
    text = "; ".join(f"{name} {value:.3g}" for name, value in audit.summary().items())
    section = Section(
        "Memorization",
        f"Each row: a generated clip, and the training clips nearest to it by {evaluator.name}'s features; the {PAIRS} nearest of "
        f"{len(fake)} generated clips, among {len(seen)} training clips, with {len(unseen)} held-out clips as the yardstick. {text}. "
        "Copying is 0.5, and closer_than_pQ is Q/100, if generated clips are no nearer to the training clips than held-out ones are.",
        np.concatenate(rows),
        1 + audit.neighbors.shape[1],
        (),
    )
    by = {"evaluator": evaluator.name, "evaluator_sha256": evaluator.sha256, **evaluator.protocol}
    numbers = {"num_train": len(seen), "num_held_out": len(unseen), "num_fake": len(fake)}
    error = standard_error(memorization.copying, audit.distances[:, 0], audit.held_out_distances[:, 0], seed=config.seed)
    record = {"metric": f"copying/{evaluator.name}", "value": audit.copying(), "stderr": float(error), "real": 0.5}
    return section, {**record, "protocol": {**protocol, **by, **numbers}}


def interpolated(generator: Generator, truncation: float) -> Section:
    """Clips between two latents, within classes and from one class to another."""
    classes = len(generator.labels)
    pairs = [(i, i) for i in range(min(ROWS, classes))] + [(i, i + 1) for i in range(min(ROWS, classes - 1))]
    distribution = models.find(generator.config.model).Model.latent_distribution
    rows = interpolation.interpolate(generator.source, distribution, pairs, STEPS, generator.config.seed, truncation)
    clips = np.concatenate([np.round(row * 255).astype(np.uint8) for row in rows])
    text = "A generator that has learned its classes changes steadily along a row; one that stores clips jumps."
    return Section("Interpolation", text, clips, STEPS, interpolation.names(pairs, generator.labels))


def _apart(training: data.Dataset, held_out: data.Dataset) -> bool:
    """Whether the splits hold different clips: a folder without --held_out gives the same ones as both."""
    first = [next(iter(dataset.once(1)))["video"].numpy() for dataset in (training, held_out)]
    return held_out.size > 0 and not np.array_equal(*first)


def _generated(generator: Generator, labels: np.ndarray, index: int, config: Config, truncation: float) -> np.ndarray:
    """The generated clip of that number, once more: uint8 [T,H,W,3]."""
    size = evaluation.generated_at_a_time(config)
    start = index // size * size
    label = np.resize(labels[start : start + size], size)
    clips = generator.draw({"label": tf.constant(label)}, tf.constant([config.seed, start], tf.int32), truncation)
    return to_uint8(clips[index - start] * 2 - 1).numpy()


def _real(dataset: data.Dataset, index: int, videos: int) -> np.ndarray:
    """The training clip of that number, in the order in which they were looked at: uint8 [T,H,W,3]."""
    size = evaluation.looked_at_a_time(videos)
    batch = next(iter(dataset.batches(size, start=index // size)))
    return to_uint8(batch["video"][index % size]).numpy()

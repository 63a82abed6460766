"""Judges a generator, or any set of videos against another:
`python -m tfvideogan.evaluate --workdir=DIR | --module=EXPORT [--dataset=...] | --real=DIR --fake=DIR [--metrics=is,fid,...|all]
[--num_videos=N] [--truncation=F] [--evaluator=FILE] [--report=DIR]`.

Prints a table, and appends to the metrics.jsonl of the run and of the report. Scores carry the evaluator's name and their protocol;
what each metric is stands in `tfvideogan/evaluation/evaluation.py`.

--real and --fake read any folders of videos, by this library or not: DIR/*.mp4, or DIR/<class>/*.mp4; of each video one stretch of
--frames frames at --stride, resized to --size.
"""

import dataclasses
import functools
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import flags, logging

from tfvideogan import data
from tfvideogan.cli import define_generator_flags, define_strategy_flags, launch, open_generator
from tfvideogan.config import Config, Evaluation, UserError
from tfvideogan.data.decode import RESIZE
from tfvideogan.data.sources import folder
from tfvideogan.evaluation import audit, cache, evaluation, report
from tfvideogan.evaluation.bootstrap import standard_error
from tfvideogan.evaluation.clips import Clips, paired
from tfvideogan.evaluators.evaluator import Evaluator
from tfvideogan.evaluators.load import load
from tfvideogan.evaluators.replicas import spread
from tfvideogan.generation.module import Generator
from tfvideogan.training.run_folder import METRICS as METRICS_FILE
from tfvideogan.training.run_folder import append_records
from tfvideogan.training.strategy import make_strategy

define_generator_flags()
define_strategy_flags()
METRICS = flags.DEFINE_list("metrics", list(evaluation.QUICK), f"all, or some of {','.join(evaluation.METRICS)}.")
NUM_VIDEOS = flags.DEFINE_integer(
    "num_videos", None, "Generated clips, and real ones; if not given --evaluate_videos of the run, or all of --real and --fake."
)
TRUNCATION = flags.DEFINE_float("truncation", 1.0, "Scale of z.")
REAL = flags.DEFINE_string("real", None, "Folder of real videos, to judge those of --fake by.")
FAKE = flags.DEFINE_string("fake", None, "Folder of videos to judge.")
PAIRED = flags.DEFINE_boolean("paired", False, "ssim and psnr of each video of --fake and that of the same place, by name, in --real.")
REPORT = flags.DEFINE_string("report", None, "Folder for report.html and metrics.jsonl.")
CURVE = flags.DEFINE_list("curve", ["0.25", "0.5", "0.75", "1"], "Truncations of the report's curve of IS against FID; empty: no curve.")
AUDIT_VIDEOS = flags.DEFINE_integer("audit_videos", 10_000, "Training clips, at most, that a report looks for copies of; 0: none.")
CACHE_DIR = flags.DEFINE_string("cache_dir", cache.default_folder(), "Folder that keeps the features of real clips; empty: none is kept.")
OF_CURVE = ("is", "fid")


@dataclasses.dataclass(frozen=True)
class Judged:
    """What a report needs: a name, generator steps (0 if unknown), records of the table and of the curve, sets and sections to show."""

    name: str
    step: int
    records: list[dict]
    curve: list[dict]
    sets: tuple[report.Set, report.Set]
    sections: tuple[report.Section, ...] = ()


def main(config: Config) -> None:
    metrics = chosen_metrics(METRICS.value)
    truncations = [_number(text) for text in CURVE.value if text]
    if NUM_VIDEOS.value is not None:
        config = dataclasses.replace(config, evaluate_videos=NUM_VIDEOS.value)
    folders = bool(REAL.value or FAKE.value)
    if folders and (not (REAL.value and FAKE.value) or flags.FLAGS.workdir or flags.FLAGS.module):
        raise UserError("--real and --fake go together, without --workdir or --module")
    if PAIRED.value and not folders:
        raise UserError("--paired: want --real and --fake")
    start = time.perf_counter()
    if folders:
        judged = of_folders(config, metrics, open_evaluator(config))
    else:
        judged = of_generator(config, metrics, truncations if REPORT.value else [])
    for record in judged.records:
        print(line(record))
    logging.info("judged %s (step %d) in %.0f s", judged.name, judged.step, time.perf_counter() - start)
    if flags.FLAGS.workdir:
        append_records(flags.FLAGS.workdir, judged.step, [*judged.records, *judged.curve])
    if REPORT.value:
        write_report(Path(REPORT.value), judged)


def chosen_metrics(names: list[str]) -> tuple[str, ...]:
    """The metrics of --metrics. Raises UserError for one that there is not."""
    if names == ["all"]:
        return evaluation.METRICS
    unknown = [name for name in names if name not in evaluation.METRICS]
    if unknown or not names:
        missing = f"no metric {unknown[0]}" if unknown else "none"
        raise UserError(f"--metrics={','.join(names)}: {missing}; want all, or some of {','.join(evaluation.METRICS)}")
    return tuple(dict.fromkeys(names))


def open_evaluator(config: Config) -> Evaluator:
    """The evaluator of --evaluator, spread over the replicas of --strategy."""
    if flags.FLAGS.strategy == "multiworker":
        raise UserError("--strategy=multiworker: evaluate runs in one process; want auto, one, mirrored or tpu")
    strategy = make_strategy(flags.FLAGS.strategy, flags.FLAGS.cpu_replicas)
    with strategy.scope():
        evaluator = load(config.evaluator, config.evaluator_sha256)
    if strategy.num_replicas_in_sync > 1:
        spread(evaluator, strategy)
    return evaluator


def of_generator(config: Config, metrics: tuple[str, ...], truncations: list[float]) -> Judged:
    """Judges the generator of --workdir or --module, and its IS and FID at these truncations."""
    evaluator = open_evaluator(config)
    generator = open_generator(config)
    config, remember = generator.config, functools.partial(cache.remember, CACHE_DIR.value)
    judge = evaluation.of_config(
        config, generator.labels, metrics, TRUNCATION.value, True, evaluator, pixels=bool(REPORT.value), remember=remember
    )

    def look(truncation: float) -> Clips:
        return judge.generated(lambda label, seed: generator.sample(label, seed, tf.constant(truncation)), config.seed)

    fake = look(TRUNCATION.value)
    records = judge.score(fake, judge.metrics, config.seed, judge.protocol)
    judge.pixels, curve = False, []
    for truncation in truncations:
        clips = fake if truncation == TRUNCATION.value else look(truncation)
        curve += judge.score(clips, OF_CURVE, config.seed, {**judge.protocol, "truncation": truncation})
    name = f"{Path(generator.name).name}: {config.model} on {config.dataset}"
    sets = report.Set("real", judge.real, generator.labels), report.Set("generated", fake, generator.labels)
    return Judged(
        name, generator.step, records, curve, sets, sections(config, generator, fake, evaluator, remember) if REPORT.value else ()
    )


def sections(config: Config, generator: Generator, fake: Clips, evaluator: Evaluator, remember: evaluation.Remember):
    """What a report shows beside scores and clips."""
    videos = AUDIT_VIDEOS.value
    memorised = audit.memorised(config, generator, fake, TRUNCATION.value, evaluator, videos, remember) if videos > 0 else None
    return *([memorised] if memorised else []), audit.interpolated(generator, TRUNCATION.value)


def of_folders(config: Config, metrics: tuple[str, ...], evaluator: Evaluator) -> Judged:
    """Judges the videos of --fake by those of --real."""
    config = dataclasses.replace(config, flip=False, max_stride=0, random_crop=False)
    told = {name: getattr(config, name) for name in ("frames", "size", "short_side", "stride", "fps", "seed")}
    pixels = bool(REPORT.value) or evaluation.wants_pixels(metrics)
    sets = {flag: open_folder(config, flag, path, evaluator.labels) for flag, path in (("real", REAL.value), ("fake", FAKE.value))}
    videos = NUM_VIDEOS.value or max(dataset.size for dataset in sets.values())

    def look(flag: str, path: str) -> Clips:
        remember = functools.partial(cache.remember, CACHE_DIR.value)
        return evaluation.of_data(sets[flag], evaluator, videos, pixels, flag, {**told, "data_dir": path}, remember)

    names = {flag: () if dataset.labels == ("",) else dataset.labels for flag, dataset in sets.items()}
    alone = tuple(metric for metric in metrics if not (PAIRED.value and metric in ("ssim", "psnr")))
    protocol = {"real": REAL.value, "fake": FAKE.value, **told, "resize": RESIZE, "ema": None, "truncation": None}
    judge = evaluation.Evaluation(evaluator, lambda: look("real", REAL.value), names["fake"], videos, 0, alone, pixels, protocol)
    fake = look("fake", FAKE.value)
    records = judge.score(fake, judge.metrics, config.seed, protocol)
    records += paired_records(config, sets["real"], sets["fake"], [m for m in metrics if m not in alone], protocol)
    shown = report.Set(f"real: {REAL.value}", judge.real, names["real"]), report.Set(f"generated: {FAKE.value}", fake, names["fake"])
    return Judged(f"{FAKE.value} against {REAL.value}", 0, records, [], shown)


def open_folder(config: Config, flag: str, path: str, known: tuple[str, ...]) -> data.Dataset:
    """The clips of --real or --fake, their classes numbered as `known` if they are among these.

    Raises: UserError if there are fewer than two that can be used.
    """
    if not Path(path).is_dir():
        raise UserError(f"--{flag}={path}: no such folder")
    try:
        source = folder.loose(dataclasses.replace(config, data_dir=path), path, known)
    except UserError as error:
        raise UserError(str(error).replace(f"--data_dir={path}", f"--{flag}={path}")) from error
    if source.size < 2:
        raise UserError(f"--{flag}={path}: {source.size} video that can be used; want at least 2")
    return data.Dataset(source.labels, source.size, source, config.seed)


def paired_records(config: Config, real: data.Dataset, fake: data.Dataset, metrics: list[str], protocol: dict) -> list[dict]:
    """SSIM and PSNR of each fake video and the real one of the same place, between their middles."""
    if not metrics:
        return []
    if real.size != fake.size:
        raise UserError(f"--paired: {real.size} videos in --real and {fake.size} in --fake: want as many")
    found = paired(*((batch["video"] for batch in dataset.once(16)) for dataset in (real, fake)), real.size)
    values = dict(zip(("ssim", "psnr"), found, strict=True))
    told = {**protocol, "num_real": real.size, "num_fake": fake.size}
    return [
        {
            "metric": f"{metric}/paired",
            "value": evaluation.finite(np.mean(values[metric])),
            "stderr": evaluation.finite(standard_error(np.mean, values[metric], seed=config.seed)),
            "protocol": told,
        }
        for metric in metrics
    ]


def line(record: dict) -> str:
    """A record as a line of the table on the screen."""
    real = f"   real {_shown(record['real'], '.4g')}" if "real" in record else ""
    return f"{record['metric']:28s} {_shown(record['value'], '.4g'):>10s} +- {_shown(record['stderr'], '.2g')}{real}"


def write_report(path: Path, judged: Judged) -> None:
    """report.html, and metrics.jsonl beside it."""
    report.write(path / "report.html", judged.name, judged.records, judged.curve, judged.sets, judged.sections)
    append_records(path, judged.step, [*judged.records, *judged.curve])
    logging.info("wrote %s and %s", path / "report.html", METRICS_FILE)


def _shown(value: float | None, digits: str) -> str:
    return "infinite" if value is None else f"{value:{digits}}"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UserError(f"--curve={','.join(CURVE.value)}: {text} is no number") from error


if __name__ == "__main__":
    of_no_model = any(argument.lstrip("-").split("=")[0] == "real" for argument in sys.argv[1:])  # no paper's stride or size for folders
    launch(main, saved=("workdir", "module"), kind=Evaluation if of_no_model else None)

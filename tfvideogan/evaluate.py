"""Evaluates a generator, or any set of videos against another:
`python -m tfvideogan.evaluate --workdir=DIR | --module=EXPORT [--dataset=...] | --real=DIR --fake=DIR [--metrics=is,fid,...|all]
[--num_videos=N] [--num_real=N] [--is_splits=N] [--repeats=N] [--futures=N] [--lpips=FILE,FILE] [--truncation=F] [--evaluator=FILE]
[--report=DIR]`.

Prints a table, and appends to the metrics.jsonl of the run and of the report. Scores carry the evaluator's name and their protocol;
what each metric is stands in `tfvideogan/evaluation/scores.py`.

--real and --fake read any folders of videos as --dataset=folder does, by this library or not; of each video one stretch of --frames
frames at --stride, resized to --size.

A prediction continues clips of split test: its scores are of whole clips, and frame by frame against the true ones, for --futures
continuations of each and for baselines (`tfvideogan/evaluation/prediction.py`). Of predictions that are files, so does --paired
--given=C, with the --futures=N of a video following each other by name.

A translation is compared with the true clips of split test, or in an unpaired set with the style, by SSIM, PSNR, LPIPS, pose distance,
metrics of sets and temporal warp error, beside baselines (`tfvideogan/evaluation/translation.py`).

The protocols of papers: `--num_videos=10000 --repeats=4` (TGAN's IS), `--num_videos=2048 --repeats=10` (TGANv2's),
`--num_videos=2048 --is_splits=10` (StyleGAN-V's), `--num_real=0` for statistics of the whole training set.
"""

import dataclasses
import sys
import time
from pathlib import Path

from absl import flags, logging

from tfvideogan.cli import define_generator_flags, define_path, define_strategy_flags, launch, open_generator, require_frames_of
from tfvideogan.config import Config, Evaluation, UserError
from tfvideogan.evaluation import cache, folders, generator, prediction, translation
from tfvideogan.evaluation.evaluation import QUICK
from tfvideogan.evaluation.result import line, write_report
from tfvideogan.evaluation.scores import METRICS as ALL
from tfvideogan.evaluation.settings import Settings, chosen_metrics, truncations
from tfvideogan.evaluators import lpips
from tfvideogan.evaluators.replicas import load_on
from tfvideogan.training.run_folder import append_records
from tfvideogan.training.strategy import make_strategy

SHIPPED = "moving_shapes"  # the data set, and the evaluator that was trained on it
OF_KIND = {"prediction": prediction, "translation": translation}  # of others no clip has a true one

define_generator_flags()
define_strategy_flags()
METRICS = flags.DEFINE_list(
    "metrics",
    None,
    f"all, or some of {','.join(ALL)}; if not given {','.join(QUICK)}, of a prediction or translation {','.join(prediction.USUAL)}.",
)
NUM_VIDEOS = flags.DEFINE_integer("num_videos", None, "Generated clips; if not given --evaluate_videos of the run, or all of --fake.")
NUM_REAL = flags.DEFINE_integer("num_real", None, "Real clips; if not given as many as generated ones; 0: all that there are.")
IS_SPLITS = flags.DEFINE_integer("is_splits", 1, "Parts that the inception score is the mean of.")
REPEATS = flags.DEFINE_integer("repeats", 1, "Sets of generated clips, of the seeds from --seed on, whose scores are averaged.")
FUTURES = flags.DEFINE_integer("futures", 1, "Continuations of each clip, of a prediction: the mean and the best of each clip are scored.")
TRUNCATION = flags.DEFINE_float("truncation", 1.0, "Scale of z.")
REAL = define_path("real", None, "Folder of real videos, which those of --fake are scored by.")
FAKE = define_path("fake", None, "Folder of videos to score.")
GIVEN = flags.DEFINE_integer("given", 0, "With --paired: first frames of each clip that the prediction in --fake was given.")
LPIPS = flags.DEFINE_list(
    "lpips",
    [],
    "Weights of LPIPS, of frames of predictions, translations or pairs: the network's file and the heads' (.pth, .npz), or one of both.",
)
PAIRED = flags.DEFINE_boolean("paired", False, "ssim and psnr of each video of --fake and that of the same place, by name, in --real.")
REPORT = define_path("report", None, "Folder for report.html and metrics.jsonl.")
CURVE = flags.DEFINE_list("curve", ["0.25", "0.5", "0.75", "1"], "Truncations of the report's curve of IS against FID; empty: no curve.")
AUDIT_VIDEOS = flags.DEFINE_integer("audit_videos", 10_000, "Training clips, at most, that a report looks for copies of; 0: none.")
CACHE_DIR = define_path("cache_dir", cache.default_folder(), "Folder that keeps the features of real clips; empty: none is kept.")


def main(config: Evaluation) -> None:
    report, curve = bool(REPORT.value), truncations(CURVE.value)
    settings = Settings(
        metrics=chosen_metrics(list(QUICK) if METRICS.value is None else METRICS.value),
        real_videos=NUM_REAL.value,
        is_splits=IS_SPLITS.value,
        futures=FUTURES.value,
        given=GIVEN.value,
        lpips=lpips.load(LPIPS.value) if LPIPS.value else None,
        repeats=REPEATS.value,
        truncation=TRUNCATION.value,
        curve=curve if report else (),
        audit_videos=AUDIT_VIDEOS.value,
        report=report,
        cache_dir=CACHE_DIR.value,
    )
    if NUM_VIDEOS.value is not None:
        if NUM_VIDEOS.value < 2:
            raise UserError(f"--num_videos={NUM_VIDEOS.value}: expected at least 2, for a covariance")
        config = dataclasses.replace(config, evaluate_videos=NUM_VIDEOS.value)
    real, fake = REAL.value, FAKE.value
    if (real or fake) and (not (real and fake) or flags.FLAGS.workdir or flags.FLAGS.module):
        raise UserError("--real and --fake go together, without --workdir or --module")
    if (PAIRED.value or GIVEN.value) and not real:
        raise UserError(f"--{'paired' if PAIRED.value else 'given'}: expected --real and --fake")
    if flags.FLAGS.strategy == "multiworker":
        raise UserError("--strategy=multiworker: evaluate runs in one process; expected auto, one, mirrored or tpu")
    start = time.perf_counter()
    evaluator = load_on(make_strategy(flags.FLAGS.strategy, flags.FLAGS.cpu_replicas), config.evaluator, config.evaluator_sha256)
    if config.evaluator == SHIPPED and (real or not config.dataset.startswith(SHIPPED)):
        logging.warning(
            f"--evaluator={SHIPPED} knows {SHIPPED} alone: its scores compare runs on the same videos; train_evaluator makes one of yours"
        )
    if real and fake:
        found = folders.evaluate(config, settings, evaluator, real, fake, NUM_VIDEOS.value, PAIRED.value)
    elif isinstance(config, Config):
        opened = open_generator(config, truncations=tuple(sorted({*settings.curve, settings.truncation, 1.0})))
        require_frames_of(opened, config.frames)
        if opened.kind in OF_KIND:
            of_kind = OF_KIND[opened.kind]
            usual = settings if METRICS.value is not None else dataclasses.replace(settings, metrics=of_kind.USUAL)
            found = of_kind.evaluate(opened, usual, evaluator)
        elif settings.lpips is not None:
            expected = "a prediction or a translation, or --real and --fake with --paired"
            raise UserError(f"--lpips={','.join(LPIPS.value)}: expected {expected}; got {opened.name}")
        elif settings.futures > 1:
            raise UserError(f"--futures={settings.futures}: expected 1, as {opened.name} continues no clips")
        else:
            found = generator.evaluate(opened, settings, evaluator)
    else:
        raise UserError("--real=: got no folder, expected one")
    for path in filter(None, (flags.FLAGS.workdir, REPORT.value)):  # first of all: what reads the lines below may be gone
        append_records(path, found.step, [*found.records, *found.curve])
    for record in found.records:
        print(line(record))
    logging.info("evaluated %s (step %d) in %.0f s", found.name, found.step, time.perf_counter() - start)
    if REPORT.value:
        write_report(Path(REPORT.value), found)


if __name__ == "__main__":
    of_no_model = any(argument.lstrip("-").split("=")[0] == "real" for argument in sys.argv[1:])  # no paper's stride or size for folders
    launch(main, saved=("workdir", "module"), kind=Evaluation if of_no_model else None, output_folders=("workdir", "report"))

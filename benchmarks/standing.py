"""What standing statistics are worth: `python -m benchmarks.standing --workdir=DIR [--videos=960]`.

Prints two tables in Markdown, for a trained run:
- FID and IS at several truncations, with the standing statistics of truncation 1, and with those of the truncation itself;
- FID against the number of batches behind the standing statistics, and the seconds that calibration takes.
"""

import dataclasses
import time

from absl import flags

from tfvideogan.cli import launch
from tfvideogan.config import Config
from tfvideogan.evaluation import evaluation
from tfvideogan.evaluators.load import load
from tfvideogan.generation.module import Generator
from tfvideogan.generation.sampler import Sampler
from tfvideogan.training.run_folder import open_run

VIDEOS = flags.DEFINE_integer("videos", 960, "Generated clips, and real ones, behind a score.")
TRUNCATIONS = flags.DEFINE_list("truncations", ["0.25", "0.5", "0.75", "1"], "Truncations of the first table.")
BATCHES = flags.DEFINE_list("batches", ["1", "2", "4", "8", "16", "32", "100"], "Numbers of batches of the second table.")


def main(config: Config) -> None:
    config = dataclasses.replace(config, evaluate_videos=VIDEOS.value)
    workdir = flags.FLAGS.workdir
    evaluator = load(config.evaluator, config.evaluator_sha256)
    scored = None

    def score(config: Config, statistics: float, truncation: float) -> tuple[dict[str, str], float]:
        """Scores of the run at a truncation, with standing statistics of another; and the seconds of calibration."""
        nonlocal scored
        run = open_run(workdir, config)
        start = time.perf_counter()
        sampler = Sampler(run.gan, truncations=(statistics,)).calibrate()
        seconds = time.perf_counter() - start
        generator = Generator(workdir, run.config, run.labels, run.done(), sampler)
        scored = scored or evaluation.of_config(run.config, run.labels, ("fid", "is"), truncation, True, evaluator)
        records = scored(lambda batch, seed: generator.draw(batch, seed, truncation), config.seed)
        return {r["metric"].split("/")[0]: f"{r['value']:.3g} ± {r['stderr']:.1g}" for r in records}, seconds

    print("| truncation | FID, statistics of 1 | FID, its own | IS, statistics of 1 | IS, its own |\n|---|---|---|---|---|")
    for truncation in map(float, TRUNCATIONS.value):
        (before, _), (after, _) = score(config, 1.0, truncation), score(config, truncation, truncation)
        print(f"| {truncation:g} | {before['fid']} | {after['fid']} | {before['is']} | {after['is']} |", flush=True)
    print(f"\n| batches of {config.calibration_clips} clips | FID | seconds |\n|---|---|---|")
    for batches in map(int, BATCHES.value):
        found, seconds = score(dataclasses.replace(config, standing_batches=batches), 1.0, 1.0)
        print(f"| {batches} | {found['fid']} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    launch(main, saved=("workdir",))

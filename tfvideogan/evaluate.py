"""Judges a generator:
`python -m tfvideogan.evaluate --workdir=DIR | --module=EXPORT [--dataset=...] [--metrics=is,fid,accuracy] [--num_videos=N]
[--truncation=F] [--evaluator=FILE]`.

Prints a table and appends to the run's metrics.jsonl. Scores carry the evaluator's name and their protocol.
"""

import dataclasses
import time

import tensorflow as tf
from absl import flags, logging

from tfvideogan.config import Config, UserError
from tfvideogan.metrics import evaluation
from tfvideogan.module import define_flags, open_generator
from tfvideogan.run import append_records, launch

define_flags()
METRICS = flags.DEFINE_list("metrics", list(evaluation.METRICS), f"Some of {','.join(evaluation.METRICS)}.")
NUM_VIDEOS = flags.DEFINE_integer("num_videos", None, "Generated clips, and real ones; --evaluate_videos of the run if not given.")
TRUNCATION = flags.DEFINE_float("truncation", 1.0, "Scale of z.")


def main(config: Config) -> None:
    unknown = set(METRICS.value) - set(evaluation.METRICS)
    if unknown:
        raise UserError(f"--metrics={','.join(METRICS.value)}: no metric {sorted(unknown)[0]}; want some of {','.join(evaluation.METRICS)}")
    if NUM_VIDEOS.value is not None:
        config = dataclasses.replace(config, evaluate_videos=NUM_VIDEOS.value)
    generator = open_generator(config)
    judge = evaluation.of_config(generator.config, generator.labels, tuple(METRICS.value), truncation=TRUNCATION.value, ema=True)
    start = time.perf_counter()
    truncation = tf.constant(TRUNCATION.value)
    records = judge(lambda label, seed: generator.sample(label, seed, truncation), generator.config.seed)
    for record in records:
        print(f"{record['metric']:28s} {record['value']:10.4g} +- {record['stderr']:.2g}")
    logging.info(
        "judged %d clips of %s (step %d) in %.0f s", config.evaluate_videos, generator.name, generator.step, time.perf_counter() - start
    )
    if flags.FLAGS.workdir:
        append_records(flags.FLAGS.workdir, generator.step, records)


if __name__ == "__main__":
    launch(main, saved=("workdir", "module"))

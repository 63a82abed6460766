"""What a run shows while it trains: log lines, TensorBoard, sample GIFs, evaluations."""

import dataclasses
import time

import numpy as np
import tensorflow as tf
from absl import logging
from tensorboard.plugins.hparams import api as hparams

import tfvideogan
from tfvideogan import video
from tfvideogan.gan import Sampler
from tfvideogan.metrics import evaluation
from tfvideogan.metrics.features import classifier
from tfvideogan.run import LOGS, SAMPLES, Run, append_records, to_flags

ROWS, COLUMNS = 12, 4  # fixed latents: one row a class
FPS = 8


class Watch:
    """Shows a run. Only the chief writes: for the others `log` does nothing, and the rest is not to be called.

    Args:
        run: the run, restored.
        chief: whether this process writes.
    """

    def __init__(self, run: Run, chief: bool):
        self.run, self.config, self.chief = run, run.config, chief
        self.classes = np.arange(min(len(run.labels), ROWS), dtype=np.int32)
        self.samplers: dict[str, Sampler] = {}
        self.evaluation: evaluation.Evaluation | None = None
        self.writer = tf.summary.create_file_writer(str(run.path / LOGS)) if chief else tf.summary.create_noop_writer()
        with self.writer.as_default(step=run.done()):
            tf.summary.text("config", "```\n" + to_flags(self.config) + "```")
            hparams.hparams(dataclasses.asdict(self.config))
        logging.info(
            "tfvideogan %s, %d generator and %d discriminator parameters",
            tfvideogan.__version__,
            *(sum(int(tf.size(v)) for v in network.trainable_variables) for network in (run.gan.generator, run.gan.discriminator)),
        )

    def log(self, step: int, scalars: dict[str, float], steps: int, waited: float, seconds: float) -> None:
        """One log line, and TensorBoard's scalars. The last `steps` steps took `seconds`, of which data took `waited`."""
        if not self.chief:
            return
        rate = self.config.batch_size * steps / seconds
        eta = time.strftime("%H:%M:%S", time.gmtime((self.config.steps - step) * seconds / steps))
        shown = "  ".join(f"{name} {value:.3g}" for name, value in scalars.items() if name.startswith(("d_", "g_")))
        logging.info(
            "step %d/%d  %.1f videos/s  ETA %s  data %.1f%%  %s", step, self.config.steps, rate, eta, 100 * waited / seconds, shown
        )
        with self.writer.as_default(step=step):
            for name, value in scalars.items():
                tf.summary.scalar(_group(name), value)
            tf.summary.scalar("speed/videos_per_second", rate)
            tf.summary.scalar("speed/share_of_time_waiting_for_data", waited / seconds)

    def sample(self, step: int) -> None:
        """Animated GIFs of fixed latents, one row a class, from the averaged and the raw weights."""
        label = np.repeat(self.classes, COLUMNS)
        names = [self.run.labels[i] for i in self.classes]
        for name in ("ema", "raw"):
            clips = self.sampler(name).sample(tf.constant(label), tf.constant([self.config.seed, 0]), tf.constant(1.0))
            clips = np.round(clips.numpy() * 255).astype(np.uint8)
            if name == "ema":
                video.write(self.run.path / SAMPLES / f"step_{step:07d}.gif", clips, FPS, COLUMNS, names)
            with self.writer.as_default(step=step):
                video.summary_gif(f"samples/{name}", video.grid(clips, COLUMNS, names), FPS)
        self.writer.flush()

    def evaluate(self, step: int) -> None:
        """Scores of the averaged weights, into metrics.jsonl and TensorBoard; keeps the checkpoint of lowest FID."""
        if self.evaluation is None:
            self.evaluation = evaluation.of_config(
                self.config, self.run.labels, evaluation.QUICK, truncation=1.0, ema=True, evaluator=classifier.load(self.config.evaluator)
            )
        sampler = self.sampler("ema")
        records = self.evaluation(lambda label, seed: sampler.sample(label, seed, tf.constant(1.0)), self.config.seed)
        append_records(self.run.path, step, records)
        for record in records:
            logging.info("step %d  %s %.4g +- %.2g", step, record["metric"], record["value"], record["stderr"])
            with self.writer.as_default(step=step):
                tf.summary.scalar(f"metrics/{record['metric']}", record["value"])
            if record["metric"].startswith("fid/"):
                self.run.save_best(record["value"])

    def sampler(self, name: str) -> Sampler:
        """The calibrated sampler of the "ema" or "raw" weights; traced once."""
        if name not in self.samplers:
            self.samplers[name] = Sampler(self.run.gan, ema=name == "ema")
        return self.samplers[name].calibrate()


def _group(name: str) -> str:
    """TensorBoard's section of a scalar."""
    if name.startswith("score_"):
        return f"scores/{name}"
    return f"gradients/{name}" if name.endswith("gradient_norm") else f"loss/{name}"

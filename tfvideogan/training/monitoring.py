"""What a run shows while it trains: log lines, TensorBoard, sample GIFs, evaluations."""

import contextlib
import dataclasses
import datetime
import resource
import sys
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from absl import logging
from tensorboard.plugins.hparams import api as hparams

from tfvideogan import __version__, models, terminal
from tfvideogan.config import to_flags
from tfvideogan.evaluation import evaluation
from tfvideogan.evaluators.load import load
from tfvideogan.gan import Batch
from tfvideogan.generation import pictures
from tfvideogan.generation.module import Generator
from tfvideogan.generation.sampler import Sampler
from tfvideogan.ops import pieces
from tfvideogan.ops.label_color import read_to_color
from tfvideogan.ops.video import to_uint8
from tfvideogan.training.run_folder import LOGS, SAMPLES, Run, append_records, given_batches
from tfvideogan.training.signals import Signals

ROWS, COLUMNS = 12, 4  # fixed latents: one row a class
FPS = 8
NO_LOSS, LOGS_WITHOUT_LOSS = 1e-2, 10  # a D whose every loss is below this for so many log lines has beaten G for good
WIDEST, BEFORE = 120, 15  # columns of a line of the log: at most, and of its level and time
INDENT = "  "  # of what goes on from the line above
KIB = 1024  # Linux counts a process' memory in these
NO_SPREAD = 0.5 / 255  # of a pixel's standard deviation over a class's clips: they are the same picture


class Monitoring:
    """Shows a run. Only the chief writes: for the others `log` does nothing, and the rest is not to be called.

    Args:
        run: the run, restored.
        chief: whether this process writes.
        signals: looked at during the long parts, which end early (signals.Stopped) when the process shall stop.
        devices: that share a batch.
    """

    def __init__(self, run: Run, chief: bool, signals: Signals, devices: int = 1):
        self.run, self.config, self.chief, self.signals, self.devices = run, run.config, chief, signals, devices
        self.lost = 0  # log lines in a row on which D's loss was nothing
        self.classes = np.arange(min(len(run.labels), ROWS), dtype=np.int32)
        self.samplers: dict[str, Sampler] = {}
        self.evaluation: evaluation.Evaluation | None = None
        self.writer = tf.summary.create_file_writer(str(run.path / LOGS)) if chief else tf.summary.create_noop_writer()
        with self.writer.as_default(step=run.done()):
            tf.summary.text("config", "```\n" + to_flags(self.config) + "```")
            hparams.hparams(dataclasses.asdict(self.config))
        logging.info(
            "tfvideogan %s, %d generator and %d discriminator parameters",
            __version__,
            *(sum(int(tf.size(v)) for v in network.trainable_variables) for network in (run.gan.generator, run.gan.discriminator)),
        )

    def log(self, step: int, scalars: dict[str, float], steps: int, waited: float, seconds: float) -> None:
        """One log line, and TensorBoard's scalars. The last `steps` steps took `seconds`, of which data took `waited`."""
        if not self.chief:
            return
        rate = self.config.batch_size * steps / seconds
        left = datetime.timedelta(seconds=round((self.config.steps - step) * seconds / steps))
        memory = peak_memory()
        parts = [f"step {step}/{self.config.steps}", f"{rate:.1f} videos/s", f"{left} left", f"data {waited / seconds:.1%}"]
        parts += [f"{memory / 2**30:.1f} GiB"]
        parts += [f"{name} {value:.3g}" for name, value in scalars.items() if name.startswith(("d_", "g_", "augment_"))]
        logging.info("%s", wrapped(parts))
        with self.writer.as_default(step=step):
            for name, value in scalars.items():
                tf.summary.scalar(_group(name), value)
            tf.summary.scalar("speed/videos_per_second", rate)
            tf.summary.scalar("speed/videos_per_second_and_device", rate / self.devices)
            tf.summary.scalar("speed/seconds_per_step", seconds / steps)
            tf.summary.scalar("speed/share_of_time_waiting_for_data", waited / seconds)
            tf.summary.scalar("speed/peak_memory_gib", memory / 2**30)

        terms = [value for name, value in scalars.items() if name.startswith("d_") and not name.endswith("gradient_norm")]
        self.lost = self.lost + 1 if terms and all(0 <= value < NO_LOSS for value in terms) else 0
        if self.lost == LOGS_WITHOUT_LOSS:
            self.warn(step, f"D's losses have been below {NO_LOSS} for {self.lost} log lines: G no longer learns")

    def compiled(self, seconds: float, traces: int, whole: bool) -> None:
        """A line about the first step: the seconds that it took, and what was built for it."""
        if not self.chief:
            return
        compiled = f"XLA compiled {traces} of them whole" if whole else f"XLA compiled {pieces.count()} pieces of them"
        logging.info("first step: %.1f s with tracing and compiling; %d functions, %s", seconds, traces, compiled)

    def warn(self, step: int, text: str) -> None:
        """A line in the log and in TensorBoard's text page."""
        if not self.chief:
            return
        logging.warning("step %d  %s", step, text)
        with self.writer.as_default(step=step):
            tf.summary.text("warnings", text)

    def due(self, step: int) -> None:
        """Samples and evaluates, if it is time to. Raises signals.Stopped where the process shall stop first."""
        config, last = self.config, step >= self.config.steps
        if step and (step % config.sample_every_steps == 0 or last):
            self.sample(step)
        if config.evaluate_every_steps and (step % config.evaluate_every_steps == 0 or last):
            self.evaluate(step)  # at step 0 too: the untrained generator is what later scores are to be held against

    def sample(self, step: int) -> None:
        """Animated GIFs of fixed latents, one row a class, from the averaged and the raw weights; of a translation one row a clip: its
        source or flow, the video that it is to become, the one that is made, and what else there is to see."""
        for name in ("ema", "raw"):
            generator = self.generator(name)
            batch, names = self.shown(generator)
            translates = generator.kind == "translation"
            in_turn = translates and generator.streams
            drawn = generator.in_turn(batch) if in_turn else generator.draw(batch, tf.constant([self.config.seed, 0]), 1.0)
            clips = drawn.numpy()
            spread = clips.reshape(-1, COLUMNS, *clips.shape[1:]).std(1).mean()
            if spread < NO_SPREAD:
                self.warn(step, f"clips of one class are alike (standard deviation {spread:.2g} of [0,1], {name} weights): G has collapsed")
            clips, columns = np.round(clips * 255).astype(np.uint8), COLUMNS
            numbers: dict[str, tf.Tensor] = {}
            if translates:
                more, numbers = self.samplers[name].details(batch)
                row = [
                    read_to_color(batch)[1].numpy(),
                    to_uint8(batch["video"]).numpy(),
                    clips,
                    *(x.numpy() for x in more.values()),
                ]
                clips, columns = np.stack(row, 1).reshape([-1, *clips.shape[1:]]), len(row)
            if name == "ema":
                pictures.write(self.run.path / SAMPLES / f"step_{step:07d}.gif", clips, FPS, columns, names)
            with self.writer.as_default(step=step):
                pictures.summary_gif(f"samples/{name}", pictures.grid(clips, columns, names), FPS)
                for number, values in numbers.items():
                    tf.summary.scalar(f"samples_{name}/{number}", tf.reduce_mean(values))
        self.writer.flush()
        logging.info("step %d  samples are in %s", step, self.run.path / SAMPLES)

    def evaluate(self, step: int) -> None:
        """Scores of the averaged weights, into metrics.jsonl and TensorBoard; keeps the checkpoint of lowest FID."""
        if self.evaluation is None:
            self.evaluation = evaluation.of_config(
                self.config,
                self.run.labels,
                evaluation.QUICK,
                truncation=1.0,
                ema=True,
                evaluator=load(self.config.evaluator, self.config.evaluator_sha256),
            )
        generator = self.generator("ema")

        def draw(batch: Batch, seed: tf.Tensor) -> tf.Tensor:
            self.signals.check()
            return generator.draw(batch, seed, 1.0)

        given = None if generator.kind == "synthesis" else models.dataset(self.config, self.config.split)
        records = self.evaluation(draw, self.config.seed, given)
        append_records(self.run.path, step, records)
        for record in records:
            logging.info("step %d  %s %.4g +- %.2g", step, record["metric"], record["value"], record["stderr"])
            with self.writer.as_default(step=step):
                tf.summary.scalar(f"metrics/{record['metric']}", record["value"])
            if record["metric"].startswith("fid/"):
                self.run.save_best(record["value"])

    def shown(self, generator: Generator) -> tuple[Batch, list[str]]:
        """What the clips that are shown are drawn from, COLUMNS a row, and the rows' names: classes, or clips of the data set, of a
        translation COLUMNS in all."""
        if generator.kind == "synthesis":
            return {"label": tf.constant(np.repeat(self.classes, COLUMNS))}, [self.run.labels[i] for i in self.classes]
        wanted = COLUMNS * (1 if generator.kind == "translation" else len(self.classes))
        batch = next(iter(models.dataset(self.config, self.config.split).once(wanted)))
        again = tf.range(wanted) % len(batch["seed"])  # where the data set has fewer clips
        return {name: tf.gather(value, again) for name, value in batch.items()}, []

    def generator(self, name: str) -> Generator:
        """The generator of the "ema" or "raw" weights, with standing statistics of now; traced once."""
        self.signals.check()
        if name not in self.samplers:
            self.samplers[name] = Sampler(self.run.gan, ema=name == "ema")
        sampler = self.samplers[name]
        sampler.calibrate(given_batches(sampler, self.config))
        return Generator(str(self.run.path), self.config, self.run.labels, self.run.done(), sampler)


def wrapped(parts: Sequence[str]) -> str:
    """The parts side by side, over as many lines as they need in the terminal, none broken."""
    text = "  ".join(part.replace(" ", "\xa0") for part in parts)
    lines = terminal.folded(text, min(WIDEST, terminal.columns(sys.stderr) or WIDEST) - BEFORE, INDENT)
    return "\n".join(lines).replace("\xa0", " ")


def peak_memory() -> int:
    """Bytes held at most until now: by the first GPU or TPU that says so, else by this process."""
    for device in tf.config.list_logical_devices():
        with contextlib.suppress(ValueError, tf.errors.OpError):  # of a device that does not say
            if device.device_type != "CPU":
                return tf.config.experimental.get_memory_info(device.name)["peak"]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB


def _group(name: str) -> str:
    """TensorBoard's section of a scalar."""
    if name.startswith("score_"):
        return f"scores/{name}"
    return f"gradients/{name}" if name.endswith("gradient_norm") else f"loss/{name}"

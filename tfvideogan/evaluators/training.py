"""How the small video classifier that evaluates clips is trained, and what its card says."""

import dataclasses
import datetime
import hashlib
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from tfvideogan import config as base
from tfvideogan import data
from tfvideogan.config import RunFailed, field
from tfvideogan.evaluators import classifier
from tfvideogan.metrics.class_accuracy import class_accuracy
from tfvideogan.ops.video import fold, unfold


@dataclasses.dataclass(frozen=True)
class Config(base.Clips):
    """What a classifier is trained with."""

    steps: int = field(3000, "Steps; the learning rate falls to 0 over them (cosine).")
    learning_rate: float = field(1e-3, "Adam's first learning rate.")
    label_smoothing: float = field(0.05, "Share of the target spread over all classes.")
    jitter: float = field(0.0, "Share of a side by which training clips are moved and zoomed at random, and tinted as much.")
    test_videos: int = field(2400, "Test clips behind the accuracy, or all if there are fewer.")
    log_every_steps: int = field(100, "Steps between log lines.")

    def __post_init__(self):
        super().__post_init__()
        self.require_at_least(1, "steps", "test_videos", "log_every_steps")
        self.require_at_least(0, "learning_rate", "label_smoothing", "jitter")


def fit(network: classifier.VideoClassifier, config: Config, dataset: data.Dataset) -> None:
    """Trains with cross-entropy on clips made worse as a young generator's are. Raises RunFailed if the loss is not finite any more."""
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(config.learning_rate, config.steps))
    optimizer.build(network.trainable_variables)
    cross_entropy = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing)

    @tf.function
    def step(batch: data.Batch) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            video = jitter(network.look(batch["video"]), batch["seed"][0], config.jitter)
            _, logits = network(damage(video, batch["seed"][0]))
            loss = cross_entropy(tf.one_hot(batch["label"], len(dataset.labels)), logits)
        optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)
        hits = tf.cast(tf.argmax(logits, 1, tf.int32) == batch["label"], tf.float32)
        return loss, tf.reduce_mean(hits)

    start = time.perf_counter()
    for number, batch in enumerate(dataset.batches(config.batch_size).take(config.steps), 1):
        loss, hits = step(batch)
        if number % config.log_every_steps == 0 or number == config.steps:
            if not np.isfinite(loss):
                raise RunFailed(
                    f"step {number}: the loss is not finite; nothing is written. Lower --learning_rate={config.learning_rate:g}"
                )
            rate = number / (time.perf_counter() - start)
            left = datetime.timedelta(seconds=round((config.steps - number) / rate))
            logging.info(
                "step %d/%d  %.0f clips/s  %s left  loss %.3f  accuracy %.2f",
                *(number, config.steps, rate * config.batch_size, left, loss, hits),
            )


def jitter(video: tf.Tensor, seed: tf.Tensor, strength: float) -> tf.Tensor:
    """Each clip [N,T,H,W,3] moved by up to `strength` of a side, zoomed by 1 +- strength about its center, each color's gain
    changed by up to 1 +- 2 strength and its level by +- strength: an evaluator of few clips must not know people by place or dress."""
    if not strength:
        return video
    clips, frames, height, width, _ = video.shape
    draw = tf.random.stateless_uniform([clips, 9], tf.random.experimental.stateless_fold_in(seed, 0), -strength, strength)
    scale, right, down, zero = 1 + draw[:, 0], draw[:, 1] * width, draw[:, 2] * height, tf.zeros([clips])
    x, y = (1 - scale) * (width - 1) / 2 + right, (1 - scale) * (height - 1) / 2 + down
    transforms = tf.repeat(tf.stack([scale, zero, x, zero, scale, y, zero, zero], 1), frames, 0)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=fold(video),
        transforms=transforms,
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )
    gain, level = (tf.reshape(part, [clips, 1, 1, 1, 3]) for part in (1 + 2 * draw[:, 3:6], draw[:, 6:]))
    return unfold(moved, frames) * gain + level


def damage(video: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Noise, blur, and changed contrast and brightness, another for each clip [N,T,H,W,3]: an evaluator of generated clips must
    not be thrown off by these."""
    clips = tf.shape(video)[0]
    strengths = tf.random.stateless_uniform([4, clips, 1, 1, 1, 1], seed)
    blurred = unfold(tf.nn.avg_pool2d(fold(video), 3, 1, "SAME"), video.shape[1])
    video = tf.where(strengths[0] < 0.3, blurred, video)
    video = video * (0.7 + 0.6 * strengths[1]) + 0.4 * (strengths[2] - 0.5)
    return video + 0.2 * strengths[3] * tf.random.stateless_normal(tf.shape(video), seed + 1)


def test_accuracy(evaluator: classifier.Evaluator, dataset: data.Dataset, config: Config) -> tuple[float, int]:
    """Accuracy on (at most test_videos of) the clips of a data set, and their number."""
    logits, labels = [], []
    for batch in dataset.once(config.batch_size).take(-(-config.test_videos // config.batch_size)):
        logits.append(evaluator(batch["video"])[1])
        labels.append(batch["label"].numpy())
    truth = np.concatenate(labels)[: config.test_videos]
    return class_accuracy(np.concatenate(logits)[: config.test_videos], truth), len(truth)


def saw_the_test_clips(config: Config) -> bool:
    """Whether clips of split test are among the training clips."""
    return config.split != "train" or (config.dataset == "folder" and not config.held_out)


def card(output: Path, config: Config, labels: tuple[str, ...], accuracy: float, videos: int) -> str:
    """What a reader of scores by this evaluator must know, in Markdown."""
    seen = "which it was trained on" if saw_the_test_clips(config) else "none of which it was trained on"
    held_out = f", without {config.held_out}" if config.held_out else ""
    strides = f"strides {config.stride} to {config.max_stride}" if config.max_stride > config.stride else f"stride {config.stride}"
    flip = ", half of them mirrored" if config.flip else ""
    return f"""# {output.stem}

A small video classifier (`tfvideogan/evaluators/classifier.py`) whose features and logits evaluate generated clips.
It sees 8 frames, evenly over a clip, at 32x32.

- Classes: {", ".join(labels)}.
- Data: {config.dataset}, split {config.split}{held_out}, {config.frames} frames of {config.size}x{config.size}, {strides}.
- Training: {config.steps} steps of {config.batch_size} clips{flip}, jitter {config.jitter}, seed {config.seed}.
  Clips are blurred, noisy, and of other contrast and brightness at random.
- Accuracy on {videos} clips of split test, {seen}, at stride {config.stride}: {accuracy:.4f}.
- sha256 of {output.name}: {hashlib.sha256(output.read_bytes()).hexdigest()}.
- License of the weights: that of the data (moving_shapes: Apache-2.0).
"""

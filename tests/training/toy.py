"""A GAN of three matrices, which `loop.train` trains in seconds: for promises that are the same for every model."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfvideogan import config as base
from tfvideogan import gan
from tfvideogan.training import checkpoints

SHAPE = [4, 8, 8, 3]  # T,H,W,C of a clip


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
    """As cheap as a run can be."""

    def __post_init__(self):
        super().__post_init__()


def config_of(kind: type[base.Config] = Config, **changes: object) -> base.Config:
    clips = dict(dataset="moving_shapes/plain", frames=4, size=8, stride=1, batch_size=4, classes=12)
    training = dict(model="toy", channels=1, steps=2, ema_start_step=0, ema_decay=0.5, g_learning_rate=1e-2, d_learning_rate=1e-2)
    often = dict(log_every_steps=1, checkpoint_every_steps=1, standing_batches=1, keep_checkpoints=100)
    return kind(**{**clips, **training, **often, **changes})


class Generator(keras.Model):
    """Two matrices, from a latent to pixels."""

    def __init__(self, config: base.Config):
        super().__init__(dtype="float32")
        self.motion = keras.layers.Dense(6)
        self.texture = keras.layers.Dense(int(np.prod(SHAPE)))
        self.motion.build([None, 5])
        self.texture.build([None, 6])
        self.built = True

    def call(self, z: tf.Tensor, label: tf.Tensor, mode: str) -> tf.Tensor:
        return tf.reshape(tf.tanh(self.texture(tf.tanh(self.motion(z)))), [-1, *SHAPE])


class Discriminator(keras.Model):
    """One matrix, from pixels to a score [N]."""

    def __init__(self, config: base.Config):
        super().__init__(dtype="float32")
        self.score = keras.layers.Dense(1)
        self.score.build([None, int(np.prod(SHAPE))])
        self.built = True

    def call(self, video: tf.Tensor) -> tf.Tensor:
        return self.score(tf.reshape(video, [tf.shape(video)[0], -1]))[:, 0]


class Model(gan.GAN):
    networks = Generator, Discriminator
    latent_width = 5

    def discriminator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        fake = self.discriminator(self.generator(**self.inputs(batch), mode="train"))
        return {"d_loss": tf.reduce_mean(tf.nn.softplus(fake) + tf.nn.softplus(-self.discriminator(batch["video"])))}, {}

    def generator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        return {"g_loss": tf.reduce_mean(tf.nn.softplus(-self.discriminator(self.generator(**self.inputs(batch), mode="train"))))}, {}


def held(folder: Path, step: int) -> dict[str, np.ndarray]:
    """All that is in the checkpoint of a step."""
    prefix = folder / "checkpoints" / f"ckpt-{step}"
    return checkpoints.read(prefix, list(checkpoints.shapes(prefix)))


def assert_equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    assert not [name for name in a if not np.array_equal(a[name], b[name])]

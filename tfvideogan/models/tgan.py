"""TGAN: "Temporal Generative Adversarial Nets with Singular Value Clipping", Saito, Matsumoto, Saito, arXiv 1611.06624, ICCV 2017.

A temporal generator G0 turns z0 into a trajectory of latents z1^1..z1^T, an image generator G1 turns z0 and each z1^t into a
frame, and one 3-D convolutional D scores the clip. D is a WGAN critic, held 1-Lipschitz by clipping the singular values of
its kernels. Sections and tables cited below are the paper's.

The paper leaves open, or says otherwise than the authors' code (which gave the published scores), and this file takes:
- BN without bias in G0 and D; biases in every layer of G0 and D, in G1's last one alone (code: "no beta"). D pads by 1 (Table 1).
- Singular values are clipped after steps 5, 10, ... (code); gains of BN into [0.01 sigma, sigma] (code), sigma with epsilon (Table 2).
- The moving variance that bounds D's gains starts at 1; its momentum is 0.9, one update for every pass of D.
- RMSProp's decay .99 and epsilon 1e-8, outside the root: Chainer.
- Interpolated frames (section 3.2.2): z1 is interpolated linearly, and the frames of training stay among the others.
- The conditional TGAN's maps from the label to G1 are without bias and followed by BN, as those of z0 and z1.

Differences from the paper:
- D is updated before G, G's gradient then comes from the new D; the code updates G first, both from one forward pass.
- D's noise (the vanilla GAN's) is the sum of two values out of 65,536 quantiles of N(0,1/2): within 8e-6 of the normal distribution.
- Samples are made with BN's standing statistics, not with moving averages.
- 32x32 networks of our own, with one layer less in G1 and D, and other numbers of frames, with more or fewer layers in G0.
- D's last layer gives a score for each frame that is left of a longer clip; they are added.

Parameters at 64x64, 16 frames: G0 825,444, G1 3,622,691, D 11,032,385 (derived by hand in tests/tgan_test.py).
"""

import dataclasses
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from tfvideogan import config as base
from tfvideogan import gan
from tfvideogan.config import UserError, field
from tfvideogan.layers import Mode
from tfvideogan.layers.conv import Conv, ConvTranspose
from tfvideogan.layers.norm import BatchNorm
from tfvideogan.losses import logistic_discriminator, logistic_generator, wasserstein_discriminator, wasserstein_generator
from tfvideogan.ops import noise
from tfvideogan.ops.latent import UNIFORM
from tfvideogan.ops.singular_value_clipping import clip_gain, clip_singular_values
from tfvideogan.ops.video import fold, unfold

# Multiples of ch, of as many layers as the clip needs (Table 1): G0 doubles T after each, G1 and D double and halve H and W.
G0_CHANNELS = (8, 4, 2, 2, 2, 2, 2)
G1_CHANNELS = (4, 2, 1, 0.5)
D_CHANNELS = (1, 2, 4, 8)
SIZES = (32, 64)
LOSSES = ("wgan_svc", "wgan_clip", "vanilla")
INITIALIZERS = {  # made anew for each layer: one that is used twice draws the same numbers twice
    "he": lambda: keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal"),
    "lecun": lambda: keras.initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal"),
    "uniform": lambda: keras.initializers.RandomUniform(-0.01, 0.01),
}
EPSILON = 2e-5  # of BN: Chainer's
SLOPE = 0.2  # of LeakyReLU
DECAY = 0.9  # of the variance that bounds D's gains
VANILLA_NOISE = 0.3  # sigma of the noise before D's LeakyReLUs


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
    """TGAN at the values of its paper: 16 frames of 64x64, unconditional, WGAN with singular value clipping."""

    model: str = "tgan"
    batch_size: int = 32
    latent: int = field(100, "Width of z0 and of z1.", network=True)
    conditional: bool = field(False, "Feed the class to G0, G1 and D.", network=True)
    loss: str = field("wgan_svc", "wgan_svc (singular values clipped), wgan_clip (weights clipped) or vanilla (noise in D).", network=True)
    clip_every_steps: int = field(5, "Steps between two clippings of singular values.")
    weight_clip: float = field(0.01, "Largest weight of D under wgan_clip.")
    initializer: str = field("he", "First weights of G0 and D: he, lecun (the code's for UCF-101) or uniform (for MNIST).", fixed=True)
    optimizer: str = "rmsprop"
    g_learning_rate: float = 5e-5
    d_learning_rate: float = 5e-5
    ema_decay: float = 0.0  # no average: the generator itself is sampled

    def __post_init__(self):
        super().__post_init__()
        self.require_square()
        self.require_at_least(1, "latent", "clip_every_steps")
        if self.size not in SIZES:
            raise UserError(f"--size={self.size}: expected {' or '.join(map(str, SIZES))} for --model=tgan")
        least = 2 ** layers(self.size)
        if self.frames not in (lengths := [2**i for i in range(1, len(G0_CHANNELS) + 1) if 2**i >= least]):
            raise UserError(f"--frames={self.frames}: expected one of {', '.join(map(str, lengths))} at --size={self.size}")
        if self.channels % 2:
            raise UserError(f"--channels={self.channels}: expected an even number, as the narrowest layer has half of it")
        self.require_one_of(LOSSES, "loss")
        if self.augment == "ada" and self.loss != "vanilla":
            raise UserError(f"--augment=ada: got --loss={self.loss}, whose scores' signs mean nothing; expected --loss=vanilla")
        self.require_one_of(INITIALIZERS, "initializer")


def layers(size: int) -> int:
    """Doublings from the 4x4 map to a frame."""
    return (size // 4).bit_length() - 1


class TemporalGenerator(keras.layers.Layer):
    """G0: transposed convolutions along time (Table 1)."""

    def __init__(self, config: Config, condition: int):
        super().__init__(dtype="float32")  # small: 2 % of G's work
        width = [m * config.channels for m in G0_CHANNELS[: config.frames.bit_length() - 1]]
        initializer = INITIALIZERS[config.initializer]
        self.convolutions = [ConvTranspose(config.latent + condition, width[0], [1], 1, "VALID", True, initializer(), dtype="float32")]
        for inputs, outputs in zip(width, [*width[1:], config.latent], strict=True):
            self.convolutions.append(ConvTranspose(inputs, outputs, [4], 2, "SAME", True, initializer(), dtype="float32"))
        self.norms = [BatchNorm(channels, EPSILON, bias=False) for channels in width]
        self.built = True

    def call(self, z: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N,latent + condition] -> z1, [N,T,latent] in [-1,1]."""
        x = z[:, None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=False):
            x = norm(convolution(x), mode=mode, relu=True)  # [N,t,c] -> [N,2t,c'], the first keeps t = 1
        return tf.tanh(self.convolutions[-1](x))


class ImageGenerator(keras.layers.Layer):
    """G1: a frame from z0, z1^t and, conditional, the class (Table 1)."""

    def __init__(self, config: Config, inputs: list[int]):
        super().__init__()
        uniform = INITIALIZERS["uniform"]  # "U[-.01,.01] for G1" (4.2)
        width = [int(m * config.channels) for m in G1_CHANNELS[: layers(config.size)]]
        bottom = 4 * config.channels
        self.linears = [Conv(i, 4 * 4 * bottom, [1], 1, "VALID", False, uniform()) for i in inputs]
        self.linear_norms = [BatchNorm(4 * 4 * bottom, EPSILON, bias=True) for _ in inputs]  # over the flat vector
        self.convolutions, self.norms = [], [BatchNorm(channels, EPSILON, bias=True) for channels in width]
        for i, o in zip([len(inputs) * bottom, *width], width, strict=False):
            self.convolutions.append(ConvTranspose(i, o, [4, 4], 2, "SAME", False, uniform()))
        self.to_rgb = ConvTranspose(width[-1], 3, [3, 3], 1, "SAME", True, uniform())
        self.built = True

    def call(self, latents: list[tf.Tensor], mode: Mode) -> tf.Tensor:
        """List of [N,T or 1,width], all of a frame in one row -> [N,T,H,W,3] in [-1,1], float32."""
        frames = max(latent.shape[1] for latent in latents)
        maps = []
        for latent, linear, norm in zip(latents, self.linears, self.linear_norms, strict=True):
            # A row that stands for T frames is mapped and normalized once: T equal rows have the same moments.
            flat = norm(linear(latent), mode=mode, relu=True)
            maps.append(tf.reshape(flat, [-1, flat.shape[1], 4, 4, flat.shape[2] // 16]))
            maps[-1] = tf.repeat(maps[-1], frames // flat.shape[1], axis=1)
        x = fold(tf.concat(maps, -1))  # [N,T,4,4,c] -> [N*T,4,4,c]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(convolution(x), mode=mode, relu=True)
        return unfold(tf.tanh(tf.cast(self.to_rgb(x), tf.float32)), frames)


class Generator(keras.Model):
    """G0 and G1 (3.1)."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        self.classes = config.classes if config.conditional else 0
        condition = [max(config.classes, 1)] if config.conditional else []
        self.temporal = TemporalGenerator(config, sum(condition))
        self.image = ImageGenerator(config, [config.latent, config.latent, *condition])
        self.built = True

    def call(self, z: tf.Tensor, mode: Mode, label: tf.Tensor | None = None, interpolate_frames: int = 1) -> tf.Tensor:
        """z0 [N,latent] ~ U[-1,1], of the conditional model label [N] int32 -> video [N,T,H,W,3] in [-1,1], float32."""
        condition = [tf.one_hot(label, self.classes)] if self.classes else []
        z1 = self.temporal(tf.concat([z, *condition], -1), mode=mode)
        return self.image([z[:, None], interpolate(z1, interpolate_frames), *(v[:, None] for v in condition)], mode=mode)


def interpolate(z: tf.Tensor, factor: int) -> tf.Tensor:
    """[N,T,C] -> [N,factor*(T-1)+1,C]: factor - 1 vectors on the line between each two, evenly spaced (3.2.2)."""
    if factor == 1:
        return z
    times = np.arange(factor * (z.shape[1] - 1) + 1) / factor
    hats = np.maximum(1 - abs(times[:, None] - np.arange(z.shape[1])), 0)  # [T',T]
    return tf.einsum("st,ntc->nsc", tf.constant(hats, z.dtype), z)


class BoundedBatchNorm(BatchNorm):
    """BN without bias whose moving variance bounds its gain."""

    def __init__(self, channels: int):
        super().__init__(channels, EPSILON, bias=False)
        self.variance = self.add_weight(
            name="variance", shape=[channels], initializer="ones", trainable=False, aggregation="only_first_replica"
        )

    def observe(self, mean: tf.Tensor, variance: tf.Tensor, mode: Mode) -> None:
        super().observe(mean, variance, mode)  # over all replicas, so that the first one's is as good as any
        self.variance.assign(DECAY * self.variance + (1 - DECAY) * tf.reshape(variance, [-1]))


class Discriminator(keras.Model):
    """3-D convolutions down to 4x4, and one score (Table 1)."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        self.classes = config.classes if config.conditional else 0
        self.sigma = VANILLA_NOISE if config.loss == "vanilla" else 0.0
        width = [m * config.channels for m in D_CHANNELS[: layers(config.size)]]
        initializer = INITIALIZERS[config.initializer]
        self.convolutions = [
            Conv(i, o, [4, 4, 4], 2, "SAME", True, initializer()) for i, o in zip([3 + self.classes, *width], width, strict=False)
        ]
        self.norms = [None, *(BoundedBatchNorm(channels) for channels in width[1:])]
        self.score = Conv(width[-1], 1, [4, 4], 1, "VALID", True, initializer(), dtype="float32")
        self.built = True

    def call(self, video: tf.Tensor, label: tf.Tensor, seeds: tf.Tensor, mode: Mode) -> tf.Tensor:
        """Scores of clips.

        Args:
            video: [N,T,H,W,3] in [-1,1].
            label: [N] int32.
            seeds: [N,2] int32, what the noise of the vanilla GAN follows from.
            mode: "train" adds the noise, and moves the variances that bound BN's gains.

        Returns:
            [N], float32.
        """
        x = video
        if self.classes:  # "a voxel of constants" beside the colors (3.2.1)
            plane = tf.one_hot(label, self.classes)[:, None, None, None]
            x = tf.concat([x, tf.broadcast_to(plane, [*tf.unstack(tf.shape(x)[:4]), self.classes])], -1)
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True), 1):
            x = convolution(x)  # [N,t,h,w,c] -> [N,t/2,h/2,w/2,c']
            x = x if norm is None else norm(x, mode=mode)
            if self.sigma and mode == "train":
                x = noise.added(x, noise.fork(seeds, 10 * number), self.sigma)
            x = tf.nn.leaky_relu(x, SLOPE)
        frames = x.shape[1]
        return tf.reduce_sum(unfold(self.score(fold(x)), frames), [1, 2, 3, 4])


class Model(gan.GAN):
    """TGAN's networks, losses and clipping."""

    config: Config
    networks = Generator, Discriminator
    latent_distribution = UNIFORM
    score_names = ("score_real",)

    @property
    def latent_width(self) -> int:
        return self.config.latent

    def inputs(self, batch: gan.Batch) -> gan.Inputs:
        """z0 ~ U[-1,1]^latent, and the labels where G reads them."""
        inputs = super().inputs(batch)
        return inputs if self.config.conditional else {"z": inputs["z"]}

    def discriminator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """Wasserstein, or logistic, loss of D's scores; real and fake clips are normalized apart."""
        fake = self.generator(**self.inputs(batch), mode="train")
        real_score = self._score(batch["video"], batch, gan.REAL_FRAMES)
        fake_score = self._score(fake, batch, gan.FAKE_FRAMES)
        loss = logistic_discriminator if self.config.loss == "vanilla" else wasserstein_discriminator
        return {"d_loss": loss(real_score, fake_score)}, {"score_real": real_score, "score_fake": fake_score}

    def generator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """-E[D], or the non-saturating logistic loss."""
        score = self._score(self.generator(**self.inputs(batch), mode="train"), batch, gan.FAKE_FRAMES)
        return {"g_loss": (logistic_generator if self.config.loss == "vanilla" else wasserstein_generator)(score)}, {}

    def _score(self, video: tf.Tensor, batch: gan.Batch, stream: int) -> tf.Tensor:
        seeds = noise.fork(batch["seed"], stream)
        return self.discriminator(self.augment(video, seeds), batch["label"], seeds, mode="train")

    def discriminator_constraints(self, step: tf.Tensor) -> Iterator[gan.Constraint]:
        """Table 2 every `clip_every_steps` steps, or every weight clipped after every step."""
        if self.config.loss == "wgan_clip":
            for weight in self.discriminator.trainable_variables:
                yield weight.value, lambda w: tf.clip_by_value(w, -self.config.weight_clip, self.config.weight_clip), ()
        if self.config.loss == "wgan_svc":
            due = tf.equal(step % self.config.clip_every_steps, 0)
            for layer in gan.layers_of(self.discriminator, Conv):
                yield layer.kernel.value, lambda w: tf.cond(due, lambda: clip_singular_values(w), lambda: tf.identity(w)), ()
            for norm in gan.layers_of(self.discriminator, BoundedBatchNorm):
                yield norm.gain.value, lambda g, v: tf.where(due, clip_gain(g, v, EPSILON), g), (norm.variance.value,)

    def interpolate(self, network: keras.Model, inputs: gan.Inputs, factor: int) -> tf.Tensor:
        """Frames from latents on the line between z1^t and z1^t+1 (3.2.2)."""
        return network(**inputs, mode="sample", interpolate_frames=factor)

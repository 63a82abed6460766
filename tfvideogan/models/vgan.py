"""VGAN: "Generating Videos with Scene Dynamics", Vondrick, Pirsiavash, Torralba, arXiv 1609.02612, NIPS 2016.

A static background b from 2-D and a foreground f with its mask m from 3-D transposed convolutions make m f + (1 - m) b; a 3-D
convolutional D scores the clip. Also the variant of one stream, and the one that continues a given first frame. Sections
cited below are the paper's; the tables are those of the authors' code.

The paper leaves open, and this file takes from the authors' code:
- D gives two logits, for "real" and "generated", under a softmax cross-entropy; its terms for real and fake clips are added.
- BN epsilon 1e-5 in generators, 1e-3 in D and the encoder; gains start at N(1,.02^2), kernels at N(0,.01^2), biases at 0.
- The mask's penalty is .1 of its mean over the batch; the conditional model has none.
- The conditional model adds 10 times the mean distance of the first generated frame from the given one.
- Adam: epsilon 1e-8 (Torch's default).

Differences from the paper:
- G's gradient comes from the D after its update and from fresh latents; the code reuses D's last pass.
- Samples are made with BN's standing statistics, not with moving averages.
- 32x32 networks of our own, with one layer less, and other numbers of frames, by the time axis of the first and last layers.
- The camera is not stabilized: that is the data's business.

Parameters at 64x64, 32 frames: two streams 16,245,383, of which background 3,577,667; one stream 12,663,619; D 11,057,858;
conditional G 68,216,455, D 44,135,810 (derived by hand in tests/vgan_test.py).
"""

import dataclasses

import keras
import tensorflow as tf

from tfvideogan import config as base
from tfvideogan import gan
from tfvideogan.config import UserError, field
from tfvideogan.layers import Mode
from tfvideogan.layers.conv import Conv, ConvTranspose
from tfvideogan.layers.norm import BatchNorm
from tfvideogan.ops import noise

WIDTHS = (1, 2, 4, 8)  # multiples of ch of D and the encoder, from the frame on; the generators have them backwards
SIZES = (32, 64)
EPSILON, D_EPSILON = 1e-5, 1e-3  # of BN
SLOPE = 0.2  # of LeakyReLU
REAL_CLASS, FAKE_CLASS = 0, 1


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
    """VGAN at the values of its paper: 32 frames of 64x64, two streams."""

    model: str = "vgan"
    frames: int = 32
    latent: int = field(100, "Width of z.", network=True)
    streams: int = field(2, "2: background and masked foreground; 1: the 3-D stream alone.", network=True)
    conditional: bool = field(False, "Read a first frame, not z. The paper's has --channels=128 --batch_size=32.", network=True)
    mask_penalty: float = field(0.1, "Weight of the mask's mean; not for the conditional model.")
    first_frame_weight: float = field(10.0, "Weight of the conditional model's distance from the given frame.")
    beta_1: float = 0.5
    adam_epsilon: float = 1e-8
    ema_decay: float = 0.0  # no average: the generator itself is sampled

    def __post_init__(self):
        super().__post_init__()
        self.require_square()
        self.require_at_least(1, "latent")
        if self.size not in SIZES:
            raise UserError(f"--size={self.size}: expected {' or '.join(map(str, SIZES))} for --model=vgan")
        if self.frames % (self.size // 4):
            raise UserError(f"--frames={self.frames}: expected a multiple of {self.size // 4} at --size={self.size}")
        if self.streams not in (1, 2):
            raise UserError(f"--streams={self.streams}: expected 1 or 2")
        if self.conditional and self.streams == 1:
            raise UserError(f"--streams={self.streams}: expected 2 with --conditional")


def widths(config: Config) -> list[int]:
    """Channels of the maps of 32x32 (of 16x16 for 32x32 clips) down to 4x4."""
    return [m * config.channels for m in WIDTHS[: (config.size // 4).bit_length() - 1]]


def kernel() -> keras.initializers.Initializer:
    """The distribution of every kernel. Made anew for each layer: an initializer that is used twice draws the same numbers twice."""
    return keras.initializers.RandomNormal(0.0, 0.01)


def gain() -> keras.initializers.Initializer:
    """The distribution of BN's gains, also made anew for each layer."""
    return keras.initializers.RandomNormal(1.0, 0.02)


class Stream(keras.layers.Layer):
    """Transposed convolutions with BN and ReLU from a vector or a 4x4 map on, each doubling every axis, and heads on the last map.

    Args:
        inputs: width of what is read, [N,1,..,1,inputs] or [N,..,4,4,inputs].
        first: extent of a first kernel, of stride 1, that makes the first map; none if empty.
        width: channels of the maps, from 4x4 on. Without a first kernel the first of them is what is read.
        axes: 2, or 3 for clips.
        heads: channels of each head, a last layer of its own.
    """

    def __init__(self, inputs: int, first: tuple[int, ...], width: list[int], axes: int, heads: tuple[int, ...]):
        super().__init__()

        def doubling(i: int, o: int) -> ConvTranspose:
            return ConvTranspose(i, o, [4] * axes, 2, "SAME", True, kernel())

        start = [ConvTranspose(inputs, width[0], first, 1, "VALID", True, kernel())] if first else []
        self.convolutions = start + [doubling(i, o) for i, o in zip(width, width[1:], strict=False)]
        self.norms = [BatchNorm(channels, EPSILON, bias=True, gain=gain()) for channels in (width if first else width[1:])]
        self.heads = [doubling(width[-1], outputs) for outputs in heads]
        self.built = True

    def call(self, x: tf.Tensor, mode: Mode) -> list[tf.Tensor]:
        """The heads' maps [N,T,H,W,c] or [N,H,W,c], before their non-linearities, float32."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(convolution(x), mode=mode, relu=True)
        return [tf.cast(head(x), tf.float32) for head in self.heads]


class Down(keras.layers.Layer):
    """4/2/1 convolutions from a frame or a clip down to 4x4: the body of D and the conditional model's encoder.

    BN from the second layer on; LeakyReLU of the given slope.
    """

    def __init__(self, width: list[int], axes: int, slope: float):
        super().__init__()
        self.slope = slope
        self.convolutions = [Conv(i, o, [4] * axes, 2, "SAME", True, kernel()) for i, o in zip([3, *width], width, strict=False)]
        self.norms = [None, *(BatchNorm(channels, D_EPSILON, bias=True, gain=gain()) for channels in width[1:])]
        self.built = True

    def call(self, x: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N,T,H,W,3] or [N,H,W,3] -> [N,t,4,4,c] or [N,4,4,c]."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = convolution(x)
            x = tf.nn.leaky_relu(x if norm is None else norm(x, mode=mode), self.slope)
        return x


class Generator(keras.Model):
    """The streams and their sum (3.1); the conditional model reads a frame in place of z (4.4)."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        width, depth = widths(config)[::-1], config.frames // (config.size // 4)  # T of the 4x4 map
        inputs, extent = (width[0], (1, 1)) if config.conditional else (config.latent, (4, 4))
        self.encoder = Down(width[::-1], 2, slope=0.0) if config.conditional else None
        self.background = Stream(inputs, () if config.conditional else extent, width, 2, (3,)) if config.streams == 2 else None
        self.foreground = Stream(inputs, (depth, *extent), width, 3, (3, 1)[: config.streams])
        self.built = True

    def call(self, mode: Mode, z: tf.Tensor | None = None, first_frames: tf.Tensor | None = None) -> tf.Tensor:
        """z [N,latent] ~ N(0,I), or of the conditional model the first frame [N,1,H,W,3] in [-1,1] -> video [N,T,H,W,3] in [-1,1],
        float32."""
        return self.with_mask(mode, z, first_frames)[0]

    def with_mask(self, mode: Mode, z: tf.Tensor | None = None, first_frames: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """The video, and the foreground's mask [N,T,H,W,1] in [0,1] (all ones with one stream)."""
        if self.encoder is not None:
            assert first_frames is not None  # what the conditional model's `inputs` gives
            x = self.encoder(first_frames[:, 0], mode=mode)
        else:
            assert z is not None
            x = z[:, None, None]
        foreground = self.foreground(x[:, None], mode=mode)
        if self.background is None:
            video = tf.tanh(foreground[0])
            return video, tf.ones_like(video[..., :1])
        video, mask = tf.tanh(foreground[0]), tf.sigmoid(foreground[1])
        background = tf.tanh(self.background(x, mode=mode)[0])[:, None]  # [N,1,H,W,3], the same in every frame
        return mask * video + (1.0 - mask) * background, mask


class Discriminator(keras.Model):
    """3-D convolutions and two logits (3.2)."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        width = widths(config)
        self.body = Down(width, 3, SLOPE)
        depth = config.frames // (config.size // 4)
        self.logits = Conv(width[-1], 2, [depth, 4, 4], 1, "VALID", True, kernel(), dtype="float32")
        self.built = True

    def call(self, video: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N,T,H,W,3] in [-1,1] -> logits [N,2] of REAL_CLASS and FAKE_CLASS, float32."""
        return tf.reshape(self.logits(self.body(video, mode=mode)), [-1, 2])


class Model(gan.GAN):
    """VGAN's networks and losses."""

    config: Config
    networks = Generator, Discriminator
    score_names = ("score_real",)

    @classmethod
    def batch_specs(cls, config: base.Config) -> gan.Specs:
        """Without labels: no network reads them."""
        return {name: spec for name, spec in super().batch_specs(config).items() if name != "label"}

    @property
    def latent_width(self) -> int:
        return 0 if self.config.conditional else self.config.latent

    def inputs(self, batch: gan.Batch) -> gan.Inputs:
        """z, or the clips' first frames."""
        return {"first_frames": batch["video"][:, :1]} if self.config.conditional else {"z": self.latents(batch["seed"])}

    def discriminator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """Cross-entropies of real and generated clips, which are normalized apart, added."""
        fake = self.generator(**self.inputs(batch), mode="train")
        pairs = (batch["video"], gan.REAL_FRAMES), (fake, gan.FAKE_FRAMES)
        real_logits, fake_logits = (self._logits(video, batch, stream) for video, stream in pairs)
        terms = {"d_real": cross_entropy(real_logits, REAL_CLASS), "d_fake": cross_entropy(fake_logits, FAKE_CLASS)}
        return terms, {"score_real": score(real_logits), "score_fake": score(fake_logits)}

    def generator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """The cross-entropy of being taken for real; the mask's mean, or the distance from the given frame."""
        video, mask = self.generator.with_mask("train", **self.inputs(batch))
        terms, watched = {"g_loss": cross_entropy(self._logits(video, batch, gan.FAKE_FRAMES), REAL_CLASS)}, {}
        if self.config.conditional:
            terms["g_first_frame"] = self.config.first_frame_weight * tf.reduce_mean(abs(video[:, 0] - batch["video"][:, 0]))
        elif self.config.streams == 2:
            terms["g_mask"] = self.config.mask_penalty * tf.reduce_mean(mask)
        if self.config.streams == 2:
            watched["mask"] = tf.reduce_mean(mask)
        return terms, watched

    def _logits(self, video: tf.Tensor, batch: gan.Batch, stream: int) -> tf.Tensor:
        return self.discriminator(self.augment(video, noise.fork(batch["seed"], stream)), mode="train")


def score(logits: tf.Tensor) -> tf.Tensor:
    """Log-odds of REAL_CLASS, of logits [N,2]: [N]."""
    return logits[:, REAL_CLASS] - logits[:, FAKE_CLASS]


def cross_entropy(logits: tf.Tensor, kind: int) -> tf.Tensor:
    """Mean softmax cross-entropy of logits [N,2] with one class for all."""
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.fill(tf.shape(logits)[:1], kind), logits))

"""TGANv2: "Train Sparsely, Generate Densely: Memory-Efficient Unsupervised Training of High-Resolution Temporal GAN", Saito, Saito,
Koyama, Kobayashi, arXiv 1811.09245, IJCV 2020.

A ConvLSTM turns a latent into a small map for each frame; blocks double the maps, and at each of four levels a head renders them as
frames. In training every level keeps half of the frames of the one below, and has a 3-D discriminator of its own: many frames are
seen small, few large. Samples are dense: every frame at full size, by the last head. Layers, first weights and values are
those of the authors' code, with which they trained on 16 frames of 192x192 of UCF-101.

The paper leaves open, or says otherwise than the authors' code, and this file takes from the code:
- the ConvLSTM reads the latent's map at its first step, then zeros.
- one offset for all generated clips of a batch says which frames go on, drawn anew at each level; a real clip draws its own.
- the penalty is on real clips alone, summed over levels. The code sums it over the batch of a process, of 32 clips, with weight .5;
  here its weight is that of the mean over clips, so that it does not depend on the batch: 16 (8 for the code's batch of 16 clips).
- with --subsample=mean, means of two frames' maps go on; frames of real clips are picked all the same.

Differences from the code:
- D is updated before G, and G's gradient comes from the new D and fresh latents; the code updates both from one pass.
- `down` leaves an axis of 1 alone. The code puts it between two zeros, which later layers' biases fill: --official_pooling.
- Samples are made with BN's standing statistics, not with moving averages.
- Other sizes: fewer levels, from the top, and a first map of size / 2^(levels + 2).

Parameters: G 88,032,460 at 192x192, 89,874,636 at 256x256, 85,927,116 at 64x64 with four levels; each D 29,019,265, four 116,077,060
(derived by hand in tests/tganv2_test.py).
"""

import dataclasses

import keras
import tensorflow as tf

from tfvideogan import config as base
from tfvideogan import gan
from tfvideogan.config import UserError, field
from tfvideogan.layers import Mode
from tfvideogan.layers.conv import Conv
from tfvideogan.layers.conv_lstm import ConvLSTM
from tfvideogan.layers.norm import BatchNorm
from tfvideogan.losses import logistic_discriminator, logistic_generator
from tfvideogan.ops import noise
from tfvideogan.ops.latent import UNIFORM
from tfvideogan.ops.relu import relu
from tfvideogan.ops.resample import downsample, downsample_padded, upsample_nearest
from tfvideogan.ops.video import fold, unfold

G_WIDTHS = (8, 4, 2, 1, 0.5, 0.5)  # multiples of ch: 512, 256, 128 to the first head, then 64, 32, 32
D_WIDTHS = (1, 2, 4, 8, 16)
START = 3  # blocks up to the first head
EPSILON = 2e-5  # of BN: Chainer's
SUBSAMPLINGS = ("pick", "mean")


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
    """TGANv2 at the values of its best run on UCF-101: 16 frames of 192x192, four levels."""

    model: str = "tganv2"
    size: int = 192
    batch_size: int = 128
    latent: int = field(256, "Width of z.", network=True)
    lstm_channels: int = field(1024, "Width of the ConvLSTM's state.", network=True)
    levels: int = field(4, "Levels of frames, each of half of the frames and twice the size of the one below.", network=True)
    subsample: str = field("pick", "From two frames' maps to the next level's: pick one, or take their mean.")
    official_pooling: bool = field(False, "Pool an axis of 1 to 3, between two zeros, as the authors' code does.", network=True)
    r1_weight: float = 16.0  # 8 for FaceForensics
    r1_every: int = 1
    g_learning_rate: float = 1e-4
    d_learning_rate: float = 1e-4
    learning_rate_schedule: str = "linear"  # from step 0 on
    beta_2: float = 0.9
    adam_epsilon: float = 8e-8
    ema_decay: float = 0.0  # no average: the generator itself is sampled

    def __post_init__(self):
        super().__post_init__()
        self.require_square()
        self.require_at_least(1, "latent", "lstm_channels")
        if self.r1_every != 1:
            raise UserError(f"--r1_every={self.r1_every}: expected 1, tganv2's own penalty is part of every update")
        most = len(G_WIDTHS) - START + 1
        if not 1 <= self.levels <= most:
            raise UserError(f"--levels={self.levels}: expected 1 to {most}")
        if self.size % 2 ** (self.levels + 2):
            raise UserError(f"--size={self.size}: expected a multiple of {2 ** (self.levels + 2)} with --levels={self.levels}")
        if self.frames % 2 ** (self.levels - 1):
            raise UserError(f"--frames={self.frames}: expected a multiple of {2 ** (self.levels - 1)} with --levels={self.levels}")
        if self.channels % 2:
            raise UserError(f"--channels={self.channels}: expected an even number, as the narrowest layer has half of it")
        self.require_one_of(SUBSAMPLINGS, "subsample")


# First weights, made anew for each layer: an initializer that is used twice draws the same numbers twice.


def lecun_normal() -> keras.initializers.Initializer:
    """N(0, 1/fan_in), not truncated."""
    return keras.initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal")


def glorot(scale: float) -> keras.initializers.Initializer:
    """U of variance scale / the mean of fan_in and fan_out. The code's GlorotUniform(sqrt(2)) has scale 2."""
    return keras.initializers.VarianceScaling(scale, "fan_avg", "uniform")


def conv3(inputs: int, outputs: int, axes: int) -> Conv:
    """The blocks' 3x3 or 3x3x3 convolution."""
    return Conv(inputs, outputs, [3] * axes, 1, "SAME", True, glorot(2.0))


def conv1(inputs: int, outputs: int, axes: int) -> Conv:
    """The shortcuts' 1x1 or 1x1x1 convolution."""
    return Conv(inputs, outputs, [1] * axes, 1, "SAME", True, glorot(1.0))


class GeneratorBlock(keras.layers.Layer):
    """BN - ReLU - up - conv3 - BN - ReLU - conv3, beside a shortcut up - conv1, which commute."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.norm1, self.conv1 = BatchNorm(inputs, EPSILON), conv3(inputs, outputs, axes=2)
        self.norm2, self.conv2 = BatchNorm(outputs, EPSILON), conv3(outputs, outputs, axes=2)
        self.shortcut = conv1(inputs, outputs, axes=2)
        self.built = True

    def call(self, x: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N*T,H,W,inputs] -> [N*T,2H,2W,outputs]."""
        y = self.conv1(upsample_nearest(self.norm1(x, mode=mode, relu=True)))
        y = self.conv2(self.norm2(y, mode=mode, relu=True))
        return y + upsample_nearest(self.shortcut(x))


class Head(keras.layers.Layer):
    """What renders a level's maps: BN - ReLU - conv3 - tanh."""

    def __init__(self, inputs: int):
        super().__init__()
        self.norm, self.conv = BatchNorm(inputs, EPSILON), Conv(inputs, 3, [3, 3], 1, "SAME", True, lecun_normal())
        self.built = True

    def call(self, x: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N*T,H,W,inputs] -> frames [N*T,H,W,3] in [-1,1], float32."""
        return tf.tanh(tf.cast(self.conv(self.norm(x, mode=mode, relu=True)), tf.float32))


class Generator(keras.Model):
    """ConvLSTM, blocks, and a head for each level."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        self.frames, self.mean = config.frames, config.subsample == "mean"
        self.first, hidden = config.size // 2 ** (config.levels + 2), config.lstm_channels  # the first map: 3x3 of 192x192
        width = [hidden, *(int(m * config.channels) for m in G_WIDTHS[: START + config.levels - 1])]
        self.linear = Conv(config.latent, hidden * self.first**2, [1], 1, "VALID", True, lecun_normal())
        self.lstm = ConvLSTM(hidden, lecun_normal)
        self.blocks = [GeneratorBlock(i, o) for i, o in zip(width, width[1:], strict=False)]
        self.heads = [Head(channels) for channels in width[START:]]
        self.built = True

    def call(self, z: tf.Tensor, mode: Mode) -> tf.Tensor:
        """Dense: z [N,latent] ~ U[-1,1] -> video [N,T,H,W,3] in [-1,1], float32."""
        x = self.start(z, mode)
        for block in self.blocks[START:]:
            x = block(x, mode=mode)
        return unfold(self.heads[-1](x, mode=mode), self.frames)

    def pyramid(self, z: tf.Tensor, offsets: tf.Tensor, mode: Mode) -> list[tf.Tensor]:
        """Sparse: each level with half of the frames of the one below.

        Args:
            z: [N,latent] ~ U[-1,1].
            offsets: [levels-1] int32, 0 or 1: the frame of two that goes on, between each two levels.

        Returns: for level 0, 1, ...: [N,T/2^level,h,h,3] in [-1,1], float32, where h = H / 2^(levels-1-level).
        """
        x = unfold(self.start(z, mode), self.frames)  # [N,T,h,h,c]
        videos = [unfold(self.heads[0](fold(x), mode=mode), x.shape[1])]
        for offset, block, head in zip(tf.unstack(offsets), self.blocks[START:], self.heads[1:], strict=True):
            x = self.halved(x, offset)  # [N,t,h,h,c] -> [N,t/2,h,h,c]
            x = unfold(block(fold(x), mode=mode), x.shape[1])
            videos.append(unfold(head(fold(x), mode=mode), x.shape[1]))
        return videos

    def start(self, z: tf.Tensor, mode: Mode) -> tf.Tensor:
        """The maps of all frames that the first head reads: [N,latent] -> [N*T,8t,8t,2*ch] from a first map of t x t."""
        y = self.linear(z[:, None])
        y = tf.reshape(y, [-1, y.shape[-1] // self.first**2, self.first, self.first])  # channels first, as in Chainer
        x = fold(self.lstm(tf.transpose(y, [0, 2, 3, 1]), frames=self.frames))
        for block in self.blocks[:START]:
            x = block(x, mode=mode)
        return x

    def halved(self, x: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
        """[N,T,H,W,C] -> every second frame from `offset` [] on, or means of two: [N,T/2,H,W,C]."""
        pairs = tf.reshape(x, [-1, x.shape[1] // 2, 2, *x.shape[2:]])
        if self.mean:
            return tf.reduce_mean(pairs, 2)
        # No slice from `offset` on: of its gradient no compiler knows the shape.
        return tf.where(offset == 0, pairs[:, :, 0], pairs[:, :, 1])


class DiscriminatorBlock(keras.layers.Layer):
    """[ReLU] - conv3 - ReLU - conv3 - down, beside a shortcut conv1 - down. No normalization.

    Args:
        inputs, hidden, outputs: widths.
        first: leaves out the leading ReLU, and halves space alone, in the shortcut before the convolution.
        official_pooling: see `downsample_padded`.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, first: bool, official_pooling: bool):
        super().__init__()
        self.first, self.official_pooling = first, official_pooling
        self.conv1, self.conv2 = conv3(inputs, hidden, axes=3), conv3(hidden, outputs, axes=3)
        self.shortcut = conv1(inputs, outputs, axes=3)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N,T,H,W,inputs] -> [N,T',H',W',outputs], halved."""
        if self.first:
            y = self.conv2(relu(self.conv1(x)))
            return halve_space(y) + self.shortcut(halve_space(x))
        y = self.conv2(relu(self.conv1(relu(x))))
        return downsample_padded(y + self.shortcut(x), self.official_pooling)


def halve_space(x: tf.Tensor) -> tf.Tensor:
    """2x2 average pooling of each frame: [N,T,H,W,C] -> [N,T,H/2,W/2,C]."""
    return unfold(downsample(fold(x)), x.shape[1])


class LevelDiscriminator(keras.layers.Layer):
    """A 3-D ResNet, which scores the clips of one level."""

    def __init__(self, config: Config):
        super().__init__()
        width = [m * config.channels for m in D_WIDTHS]
        inputs, hidden = [3, *width], [width[0], *width]
        self.blocks = [
            DiscriminatorBlock(i, h, o, first=o == width[0], official_pooling=config.official_pooling)
            for i, h, o in zip(inputs, hidden, width, strict=False)
        ]
        self.score = Conv(width[-1], 1, [1], 1, "VALID", True, glorot(1.0), dtype="float32")
        self.built = True

    def call(self, video: tf.Tensor) -> tf.Tensor:
        """[N,T,H,W,3] in [-1,1] -> [N], float32."""
        x = video
        for block in self.blocks:
            x = block(x)
        x = tf.reduce_sum(tf.cast(relu(x), tf.float32), [1, 2, 3])  # a sum over T, H and W
        return self.score(x[:, None])[:, 0, 0]


class Discriminator(keras.Model):
    """A discriminator for each level, equal in shape, independent."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        self.levels = [LevelDiscriminator(config) for _ in range(config.levels)]
        self.built = True

    def call(self, videos: list[tf.Tensor], mode: Mode) -> tf.Tensor:
        """The levels of N clips, as `Generator.pyramid` gives them -> scores [levels,N], float32. `mode` changes nothing."""
        return tf.stack([discriminator(video) for discriminator, video in zip(self.levels, videos, strict=True)])


def real_pyramid(video: tf.Tensor, offsets: tf.Tensor) -> list[tf.Tensor]:
    """The levels of real clips: every second frame of the level below, and fewer pixels averaged.

    Args:
        video: [N,T,H,W,3].
        offsets: [N,levels-1] int32, 0 or 1: of each clip, the frame of two that goes on.

    Returns: for level 0, 1, ...: [N,T/2^level,h,h,3], where h = H / 2^(levels-1-level).
    """
    levels, videos = offsets.shape[1] + 1, []
    for level in range(levels):
        if level:
            pairs = tf.reshape(video, [-1, video.shape[1] // 2, 2, *video.shape[2:]])
            video = tf.gather(tf.transpose(pairs, [0, 2, 1, 3, 4, 5]), offsets[:, level - 1], batch_dims=1)
        extent = 2 ** (levels - 1 - level)
        frames = tf.nn.avg_pool2d(fold(video), extent, extent, "VALID")
        videos.append(unfold(frames, video.shape[1]))
    return videos


class Model(gan.GAN):
    """TGANv2's networks and losses."""

    config: Config
    networks = Generator, Discriminator
    latent_distribution = UNIFORM
    score_names = ("score_real",)
    own_penalty = True

    @property
    def latent_width(self) -> int:
        return self.config.latent

    @classmethod
    def batch_specs(cls, config: base.Config) -> gan.Specs:
        """Without labels: no network reads them."""
        return {name: spec for name, spec in super().batch_specs(config).items() if name != "label"}

    def inputs(self, batch: gan.Batch) -> gan.Inputs:
        """z ~ U[-1,1]^latent."""
        return {"z": self.latents(batch["seed"])}

    def discriminator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """Logistic loss of the scores, of which each level weighs the same, and the zero-centered penalty."""
        real, fake = real_pyramid(batch["video"], self.real_offsets(batch["seed"])), self.fakes(batch)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(real)
            real_score = self._score(real, batch, gan.REAL_FRAMES)
            total = tf.reduce_sum(real_score)  # no clip's score depends on another clip
        penalty = tf.add_n([tf.reduce_mean(squared_length(gradient)) for gradient in tape.gradient(total, real)])
        fake_score = self._score(fake, batch, gan.FAKE_FRAMES)
        return {"d_loss": logistic_discriminator(real_score, fake_score), "d_penalty": self.config.r1_weight * penalty}, {
            "score_real": real_score,
            "score_fake": fake_score,
        }

    def generator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """The non-saturating logistic loss."""
        return {"g_loss": logistic_generator(self._score(self.fakes(batch), batch, gan.FAKE_FRAMES))}, {}

    def _score(self, videos: list[tf.Tensor], batch: gan.Batch, stream: int) -> tf.Tensor:
        """Of clips, whose levels are augmented alike."""
        seeds = noise.fork(batch["seed"], stream)
        return self.discriminator([self.augment(video, seeds) for video in videos], mode="train")

    def fakes(self, batch: gan.Batch) -> list[tf.Tensor]:
        """The levels of generated clips."""
        return self.generator.pyramid(**self.inputs(batch), offsets=self.fake_offsets(batch["seed"]), mode="train")

    def real_offsets(self, seeds: tf.Tensor) -> tf.Tensor:
        """Each real clip's own: [N,2] int32 -> [N,levels-1] int32, 0 or 1."""
        return tf.cast(2.0 * noise.uniform(noise.fork(seeds, gan.REAL_FRAMES), [self.config.levels - 1]), tf.int32)

    def fake_offsets(self, seeds: tf.Tensor) -> tf.Tensor:
        """Those of all generated clips of a batch: [N,2] int32 -> [levels-1] int32, 0 or 1.

        They follow from the number of the global batch, which is the quotient of any of its examples' number: replicas and parts
        of a batch draw the same, as they share BN's moments, and a resumed run draws what it would have drawn.
        """
        run, example = tf.unstack(noise.fork(seeds[:1], gan.FAKE_FRAMES), axis=1)
        seed = tf.stack([run, example // self.config.batch_size], 1)
        return tf.cast(2.0 * noise.uniform(seed, [self.config.levels - 1]), tf.int32)[0]


def squared_length(x: tf.Tensor) -> tf.Tensor:
    """Of each example: [N,...] -> [N], float32."""
    return tf.reduce_sum(tf.square(tf.cast(x, tf.float32)), list(range(1, len(x.shape))))

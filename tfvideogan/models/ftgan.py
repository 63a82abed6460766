"""FTGAN: "Hierarchical Video Generation from Orthogonal Information: Optical Flow and Texture", Ohnishi, Yamamoto, Ushiku, Harada,
arXiv 1711.09618, AAAI 2018.

FlowGAN turns z_flow into a clip of optical flow, a masked foreground before a still scene. TextureGAN is a U-Net that paints a flow:
foreground and mask from the flow and z_texture, the background, one for all frames, from z_texture. Its D judges clips and flows
in pairs. Each is trained alone, TextureGAN with real flows (--phase=flow, --phase=texture), then both together (--phase=joint).

The tables are those of the authors' code, from which this file also takes what the paper leaves open:
- BN after a linear layer normalizes each unit over the batch, before the units become a map. BN epsilon 2e-5: Chainer's.
- Kernels start at N(0,.02^2), biases at 0, BN's gains at 1; LeakyReLU's slope is .2; Adam's epsilon 1e-8.
- Each mask's penalty is .1 of its mean over the batch; outside its mask a generated flow is 0.
- In joint training the flow nets' loss is L_flow + C L_texture, C = .1, through the generated flow, which the texture's D reads too.
  The penalty of the texture's mask reaches them with weight 1, not C.

Differences from the paper:
- Both D are updated, then both G, from a pass of their own with fresh latents; the code takes the four in turn, from one pass.
- Samples are made with BN's standing statistics, not with moving averages.
- Flows are divided by --flow_limit and clipped to [-1,1]; the code reads flows of 8 bits, whose range it does not tell.
- 32x32 networks of our own, with one layer less in every part, and other numbers of frames.
- Alone, FlowGAN shows its flows as colors, and TextureGAN paints the flows of given clips.

Parameters at 64x64, 32 frames: FlowGAN G 12,711,235, D 11,037,377; TextureGAN G 31,968,935, D 11,039,425 (derived by hand in
tests/models/ftgan_test.py).
"""

import dataclasses
import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfvideogan import config as base
from tfvideogan import gan
from tfvideogan.config import UserError, field
from tfvideogan.layers import Mode
from tfvideogan.layers.conv import Conv, ConvTranspose
from tfvideogan.layers.norm import BatchNorm
from tfvideogan.losses import logistic_discriminator, logistic_generator
from tfvideogan.ops import noise
from tfvideogan.ops.flow_color import flow_to_color
from tfvideogan.ops.video import from_uint8

PHASES = ("flow", "texture", "joint")
SIZES = (32, 64)
EPSILON = 2e-5  # of BN
SLOPE = 0.2  # of LeakyReLU


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
    """FTGAN at the values of its paper: 32 frames of 64x64; its first phase."""

    model: str = "ftgan"
    phase: str = field("flow", "What is trained: flow (FlowGAN alone), texture (TextureGAN on real flows) or joint.", network=True)
    frames: int = 32
    latent: int = field(100, "Width of z_flow and of z_texture.", network=True)
    flow_limit: float = field(8.0, "Flow along an axis, in pixels, that is 1 to the networks; longer is clipped.", network=True)
    mask_penalty: float = field(0.1, "Weight of each mask's mean.")
    flow_learning_rate: float = field(1e-7, "Learning rate of the flow nets in --phase=joint; the texture nets have G's and D's.")
    texture_weight: float = field(0.1, "Weight of the texture's loss in that of the flow nets (C); of --phase=joint.")
    batch_size: int = 32
    steps: int = 60_000
    beta_1: float = 0.5
    adam_epsilon: float = 1e-8
    ema_decay: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        self.require_square()
        self.require_at_least(1, "latent")
        self.require_at_least(0, "mask_penalty", "texture_weight", "flow_learning_rate")
        self.require_one_of(PHASES, "phase")
        if self.size not in SIZES:
            raise UserError(f"--size={self.size}: ftgan builds {' or '.join(map(str, SIZES))}")
        if self.frames % (self.size // 4):
            raise UserError(f"--frames={self.frames}: at --size={self.size} ftgan builds multiples of {self.size // 4}")
        if self.channels % 2:
            raise UserError(f"--channels={self.channels}: expected an even number, ftgan's narrowest layer has half of it")
        if self.flow_limit <= 0:
            raise UserError(f"--flow_limit={self.flow_limit:g}: expected more than 0")


def widths(config: Config) -> list[int]:
    """Channels of the maps from half the size (32x32) down to 4x4: ch, 2ch, 4ch, 8ch."""
    return [2**i * config.channels for i in range((config.size // 4).bit_length() - 1)]


def kernel() -> keras.initializers.Initializer:
    """The law of every kernel. Made anew for each layer: an initializer that is used twice draws the same numbers twice."""
    return keras.initializers.RandomNormal(0.0, 0.02)


def halving(inputs: int, outputs: int) -> Conv:
    """4/2/1, of clips."""
    return Conv(inputs, outputs, [4, 4, 4], 2, "SAME", True, kernel())


def doubling(inputs: int, outputs: int, axes: int = 3) -> ConvTranspose:
    """4/2/1, of clips or of images."""
    return ConvTranspose(inputs, outputs, [4] * axes, 2, "SAME", True, kernel())


def same(inputs: int, outputs: int) -> Conv:
    """3/1/1, of clips."""
    return Conv(inputs, outputs, [3, 3, 3], 1, "SAME", True, kernel())


class Block(keras.layers.Layer):
    """A convolution, BN, and LeakyReLU of a slope; 0: ReLU."""

    def __init__(self, convolution: Conv, slope: float):
        super().__init__()
        self.convolution, self.slope = convolution, slope
        self.norm = BatchNorm(convolution.channels, EPSILON, bias=True)
        self.built = True

    def call(self, x: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N,...,C] -> [N,...,C']."""
        return rectified_norm(self.norm, self.convolution(x), self.slope, mode)


def rectified_norm(norm: BatchNorm, x: tf.Tensor, slope: float, mode: Mode) -> tf.Tensor:
    """BN and LeakyReLU; a slope of 0 is ReLU."""
    return tf.nn.leaky_relu(norm(x, mode=mode), slope) if slope else norm(x, mode=mode, relu=True)


class Stream(keras.layers.Layer):
    """A latent to a 4x4 map, by a linear layer with BN of every unit, and doublings from there on.

    Args:
        latent: width of what is read.
        shape: of the first map, (t,4,4) or (4,4).
        width: channels of the maps, from 4x4 on.
        slope: of the LeakyReLU after the linear layer; 0: ReLU.
    """

    def __init__(self, latent: int, shape: tuple[int, ...], width: list[int], slope: float):
        super().__init__()
        self.shape, self.slope = shape, slope
        units = math.prod(shape) * width[0]
        self.linear = Conv(latent, units, [1], 1, "VALID", True, kernel())
        self.unit_norm = BatchNorm(units, EPSILON, bias=True)
        self.blocks = [Block(doubling(i, o, len(shape)), slope=0.0) for i, o in zip(width, width[1:], strict=False)]
        self.built = True

    def call(self, z: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N,latent] -> [N,T,H,W,C] or [N,H,W,C]."""
        units = rectified_norm(self.unit_norm, self.linear(z[:, None])[:, 0], self.slope, mode)
        x = tf.reshape(units, [-1, *self.shape, units.shape[-1] // math.prod(self.shape)])
        for block in self.blocks:
            x = block(x, mode=mode)
        return x


def head(layer: Conv, x: tf.Tensor) -> tf.Tensor:
    """The layer's map in float32, before its non-linearity."""
    return tf.cast(layer(x), tf.float32)


class FlowGenerator(keras.layers.Layer):
    """FlowGAN's G: a flow where its mask is open, 0 elsewhere."""

    def __init__(self, config: Config):
        super().__init__()
        width = widths(config)[::-1]
        self.stream = Stream(config.latent, (config.frames * 4 // config.size, 4, 4), width, slope=0.0)
        self.to_flow, self.to_mask = doubling(width[-1], 2), doubling(width[-1], 1)
        self.built = True

    def call(self, z: tf.Tensor, mode: Mode) -> tuple[tf.Tensor, tf.Tensor]:
        """z_flow [N,latent] -> flow [N,T,H,W,2] in [-1,1], and its mask [N,T,H,W,1] in [0,1]; float32."""
        x = self.stream(z, mode=mode)
        mask = tf.sigmoid(head(self.to_mask, x))
        return mask * tf.tanh(head(self.to_flow, x)), mask


class TextureGenerator(keras.layers.Layer):
    """TextureGAN's G: a U-Net from the flow to a masked foreground, with a seed from z_texture within; a background from z_texture.

    Layers are named as in the table of the authors' code; shapes are those of 32 frames of 64x64 at ch = 64.
    """

    def __init__(self, config: Config):
        super().__init__()
        ch, width, depth = config.channels, widths(config), config.frames * 4 // config.size
        self.background = Stream(config.latent, (4, 4), width[::-1], SLOPE)
        self.to_background = doubling(ch, 3, axes=2)
        self.seed = Stream(config.latent, (depth, 4, 4), width[-2::-1], SLOPE)  # up to e2's map
        self.e1 = halving(2, ch // 2)
        self.e2 = Block(halving(ch // 2, ch), SLOPE)
        self.e3 = Block(same(2 * ch, 2 * ch), SLOPE)
        self.down = [Block(halving(i, o), SLOPE) for i, o in zip(width[1:], width[2:], strict=False)]  # e4, e5
        outputs = [*width[-2:0:-1], ch]  # of d1, d2, d3: the second and third read twice as much, a skip beside it
        inputs = [width[-1], *(2 * o for o in outputs[:-1])]
        self.up = [Block(doubling(i, o), slope=0.0) for i, o in zip(inputs, outputs, strict=True)]
        self.to_mask = doubling(ch, 1)
        self.d4 = Block(doubling(ch + ch // 2, ch // 2), slope=0.0)
        self.d5 = same(ch // 2, 3)
        self.built = True

    def call(self, z: tf.Tensor, flow: tf.Tensor, mode: Mode) -> tuple[tf.Tensor, tf.Tensor]:
        """z_texture [N,latent] and flow [N,T,H,W,2] in [-1,1] -> video [N,T,H,W,3] in [-1,1], and the foreground's mask
        [N,T,H,W,1] in [0,1]; float32."""
        background = tf.tanh(head(self.to_background, self.background(z, mode=mode)))[:, None]  # [N,1,H,W,3]
        e1 = tf.nn.leaky_relu(self.e1(flow), SLOPE)  # [N,16,32,32,32]; no BN
        e2 = tf.concat([self.e2(e1, mode=mode), self.seed(z, mode=mode)], -1)  # [N,8,16,16,64 + 64]
        skips = [self.e3(e2, mode=mode)]  # [N,8,16,16,128]
        for block in self.down:
            skips.append(block(skips[-1], mode=mode))  # [N,4,8,8,256], [N,2,4,4,512]
        h = skips.pop()
        for block in self.up[:-1]:
            h = tf.concat([block(h, mode=mode), skips.pop()], -1)  # [N,4,8,8,256 + 256], [N,8,16,16,128 + 128]
        h = self.up[-1](h, mode=mode)  # [N,16,32,32,64]
        mask = tf.sigmoid(head(self.to_mask, h))
        foreground = tf.tanh(head(self.d5, self.d4(tf.concat([h, e1], -1), mode=mode)))
        return mask * foreground + (1.0 - mask) * background, mask


class Generator(keras.Model):
    """The phase's generators."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        self.latent, self.limit = config.latent, config.flow_limit
        self.flow = FlowGenerator(config) if config.phase != "texture" else None
        self.texture = TextureGenerator(config) if config.phase != "flow" else None
        self.built = True

    def call(self, z: tf.Tensor, mode: Mode, flow: tf.Tensor | None = None) -> tf.Tensor:
        """z of `split`, for TextureGAN alone flow [N,T,H,W,2] in pixels -> video [N,T,H,W,3] in [-1,1], of FlowGAN alone the flow's
        colors; float32."""
        flow, video = self.draw(z, mode, flow)
        return from_uint8(flow_to_color(flow, limit=1.0)) if video is None else video

    def draw(self, z: tf.Tensor, mode: Mode, flow: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor | None]:
        """z of `split`, and the flow that is given -> flow [N,T,H,W,2] and video [N,T,H,W,3], None of FlowGAN alone; in [-1,1], float32."""
        z_flow, z_texture = self.split(z)
        flow = scaled(flow, self.limit) if self.flow is None else self.flow(z_flow, mode=mode)[0]
        return flow, None if self.texture is None else self.texture(z_texture, flow, mode=mode)[0]

    def split(self, z: tf.Tensor) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        """z_flow and z_texture ~ N(0,I), [N,latent] each, of [N,latent_width]; None of a generator that is not there."""
        first, rest = z[:, : self.latent], z[:, self.latent :]
        return (first if self.flow is not None else None), (None if self.texture is None else first if self.flow is None else rest)


def scaled(flow: tf.Tensor, limit: float) -> tf.Tensor:
    """Pixels -> [-1,1], what the networks read."""
    return tf.clip_by_value(flow / limit, -1.0, 1.0)


class Critic(keras.layers.Layer):
    """A D: a first convolution for each of its inputs, halvings of both together down to 4x4, and one score.

    Args:
        inputs: widths of what is read and of its first map, (2, ch) or (3, ch/2) and (2, ch/2).
    """

    def __init__(self, config: Config, *inputs: tuple[int, int]):
        super().__init__()
        width = widths(config)
        self.first = [halving(i, o) for i, o in inputs]
        self.blocks = [Block(halving(i, o), SLOPE) for i, o in zip(width, width[1:], strict=False)]
        extent = [config.frames * 4 // config.size, 4, 4]
        self.score = Conv(width[-1], 1, extent, 1, "VALID", True, kernel(), dtype="float32")
        self.built = True

    def call(self, *inputs: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N,T,H,W,C] in [-1,1], one or two -> scores [N], float32."""
        x = tf.concat([tf.nn.leaky_relu(first(x), SLOPE) for first, x in zip(self.first, inputs, strict=True)], -1)
        for block in self.blocks:
            x = block(x, mode=mode)
        return tf.reshape(self.score(x), [-1])


class Discriminator(keras.Model):
    """The phase's D: of flows, and of clips with their flows."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        ch = config.channels
        self.flow = Critic(config, (2, ch)) if config.phase != "texture" else None
        self.texture = Critic(config, (3, ch // 2), (2, ch // 2)) if config.phase != "flow" else None
        self.built = True


class Model(gan.GAN):
    """FTGAN's networks and losses."""

    config: Config
    networks = Generator, Discriminator

    @classmethod
    def batch_specs(cls, config: base.Config) -> gan.Specs:
        """Clips with their flow; no network reads labels."""
        specs = {name: spec for name, spec in super().batch_specs(config).items() if name != "label"}
        return {**specs, "flow": tf.TensorSpec([None, config.frames, *config.frame_size, 2], tf.float32)}

    @property
    def score_names(self) -> tuple[str, ...]:  # type: ignore[override]  # of a phase
        parts = {"flow": self.discriminator.flow, "texture": self.discriminator.texture}
        return tuple(f"{name}_score_real" for name, critic in parts.items() if critic is not None)

    @property
    def latent_parts(self) -> dict[str, slice]:
        """z_flow is a clip's motion, z_texture its content."""
        width = self.config.latent
        return {
            "flow": {"motion": slice(0, width)},
            "texture": {"content": slice(0, width)},
            "joint": {"motion": slice(0, width), "content": slice(width, 2 * width)},
        }[self.config.phase]

    @property
    def latent_width(self) -> int:
        return (2 if self.config.phase == "joint" else 1) * self.config.latent

    def inputs(self, batch: gan.Batch) -> gan.Inputs:
        """Latents, of TextureGAN alone with the batch's own flows."""
        z = {"z": self.latents(batch["seed"])}
        return {**z, "flow": batch["flow"]} if self.config.phase == "texture" else z

    def learning_rates(self) -> dict[str, tuple[Sequence[keras.layers.Layer], float]]:
        """In joint training the flow nets have a rate of their own: 1e-7, where the texture nets have 1e-6."""
        if self.config.phase != "joint":
            return {}
        return {"flow": ([self.generator.flow, self.discriminator.flow], self.config.flow_learning_rate)}

    def discriminator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """Logistic losses of each D; real and fake clips are normalized apart."""
        flow, video = self.generator.draw(**self.inputs(batch), mode="train")
        real_flow = scaled(batch["flow"], self.config.flow_limit)
        pairs = {"flow": ((real_flow,), (flow,)), "texture": ((batch["video"], real_flow), (video, flow))}
        terms: gan.Scalars = {}
        watched: gan.Scalars = {}
        for name, critic in (("flow", self.discriminator.flow), ("texture", self.discriminator.texture)):
            if critic is not None:
                real, fake = (
                    self._score(critic, inputs, batch, stream)
                    for inputs, stream in zip(pairs[name], (gan.REAL_FRAMES, gan.FAKE_FRAMES), strict=True)
                )
                terms[f"d_{name}"] = logistic_discriminator(real, fake)
                watched |= {f"{name}_score_real": real, f"{name}_score_fake": fake}
        return terms, watched

    def _score(self, critic: Critic, inputs: Sequence[tf.Tensor], batch: gan.Batch, stream: int) -> tf.Tensor:
        """Of clips and their flows, augmented alike."""
        seeds = noise.fork(batch["seed"], stream)
        return critic(*(self.augment(part, seeds) for part in inputs), mode="train")

    def generator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """Of each G, the non-saturating logistic loss and the penalty of its mask."""
        z_flow, z_texture = self.generator.split(self.inputs(batch)["z"])
        terms, watched, weight = {}, {}, self.config.mask_penalty
        if z_flow is not None:
            flow, mask = self.generator.flow(z_flow, mode="train")
            watched["flow_mask"] = tf.reduce_mean(mask)
            terms["g_flow"] = logistic_generator(self._score(self.discriminator.flow, (flow,), batch, gan.FAKE_FRAMES))
            terms["g_flow_mask"] = weight * watched["flow_mask"]
        else:
            flow = scaled(batch["flow"], self.config.flow_limit)
        if z_texture is None:
            return terms, watched

        share = self.config.texture_weight
        read = scale_gradient(flow, share)  # by the texture and its D
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(read)
            video, mask = self.generator.texture(z_texture, read, mode="train")
            opening = tf.reduce_sum(mask)  # not the mean, whose gradient float16 would lose
        watched["texture_mask"] = tf.reduce_mean(mask)
        terms["g_texture"] = logistic_generator(self._score(self.discriminator.texture, (video, read), batch, gan.FAKE_FRAMES))
        terms["g_texture_mask"] = weight * watched["texture_mask"]
        if z_flow is not None:
            # The penalty's gradient passes with weight C too, but is to have weight 1: the rest of it, as that of a term of value 0.
            rest = (1.0 - share) * weight / tf.cast(tf.size(mask), tf.float32) * tf.stop_gradient(tape.gradient(opening, read))
            terms["g_texture_mask"] += tf.reduce_sum(rest * (flow - tf.stop_gradient(flow)))
        return terms, watched


def scale_gradient(x: tf.Tensor, factor: float) -> tf.Tensor:
    """x, through which a gradient passes times `factor`."""
    return tf.custom_gradient(lambda x: (tf.identity(x), lambda dy: factor * dy))(x)

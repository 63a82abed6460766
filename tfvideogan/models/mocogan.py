"""MoCoGAN: "Decomposing Motion and Content for Video Generation", Tulyakov, Liu, Yang, Kautz, arXiv 1707.04993, CVPR 2018.

A GRU walks through a motion space; an image generator draws each frame from the clip's one content vector, its category and
the frame's motion vector. D_I scores one frame of a clip; D_V scores the whole clip and, as in InfoGAN, finds its category. Sections and
tables cited below are the paper's; the layers are those of the authors' code, which trains with image and video batches of 32,
PatchImage and CategoricalVideo discriminators, and noise of .1.

`--epsilon=self_feed` is the variant of an early implementation (DLHacks): a wider GRU whose projected output is its next input,
so that only the first is drawn. `configs/mocogan_self_feed.flags` has the rest of it.

The paper leaves open, and this file takes from the authors' code:
- z_M(t) is the GRU's state itself, its noise is drawn anew for every frame, and its first state is N(0,I).
- first weights are PyTorch's of the time: kernels U(+-1/sqrt(inputs * taps)), BN's gains U(0,1), the GRU's U(+-1/sqrt(width)).
- L2 of all weights, BN's and biases too, through Adam's gradient.

Differences from the paper and its code:
- Samples are made with BN's standing statistics, not with moving averages.
- D_I's real frames come from the clips D_V sees, and its fake ones from N clips of their own, one frame each, of which only that
  frame is drawn; the code draws the motion of 2NT clips and decodes N of their frames. The distribution of a frame is the same.
- D_V also learns the categories from the clips' labels (`--use_categories`), as the code does when asked: the classes of a module
  are then those of the data. `--use_categories=false` is the paper's text: categories are found as InfoGAN does.
- Q, D_V's logits of the categories, learns the drawn category from generated clips, as in InfoGAN (3.2, L_I); lambda is 1. In the code
  no loss of D reads generated clips' categories, so without labels Q learns nothing and is decayed to zero, and G's term ends at
  log C. `--q_on_generated=false` is the code's way, and is refused where there are no labels.
- D's noise is the sum of two values out of 65,536 quantiles of N(0,1/2): within 8e-6 of the normal distribution (`ops.noise`).
- Sizes other than 64 start from a first map of size/16; clips of less than 16 frames get shorter kernels in time; of more, D_V's
  logits at every place are averaged.
- self_feed: z keeps the order [z_C, z_A, z_M]; G's target stays 1 under label smoothing; the categories are an addition.

Parameters at 64x64, 16 frames, 6 categories: G 3,298,836 (GRU 660), D_I patch 663,296, image 2,765,568, D_V categorical
11,253,504, video 11,056,896, patch 2,650,880 (derived by hand in tests/mocogan_test.py).
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
from tfvideogan.ops.video import fold, unfold

G_WIDTHS, D_WIDTHS = (8, 4, 2, 1), (1, 2, 4, 8)  # multiples of ch
EPSILON = 1e-5  # of BN
SLOPE = 0.2  # of LeakyReLU
FULL_FRAMES = 16  # what five kernels of 4 frames see together
INPUTS = ("iid", "self_feed")
CATEGORY_TO = ("image", "motion")
IMAGE_DISCRIMINATORS = ("patch", "image")
VIDEO_DISCRIMINATORS = ("categorical", "video", "patch", "strided")

# Streams of an example's seed beside those of gan.py. Forks add up: sums of any of these, with or without gan.GENERATOR_STEP,
# are different.
CATEGORY, IMAGES, REAL_NOISE, FAKE_NOISE, IMAGE_NOISE, NOISE_LAYER = 10, 20, 40, 50, 5, 100


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
    """MoCoGAN at the values of its authors' code: 16 frames of 64x64."""

    model: str = "mocogan"
    stride: int = 2
    batch_size: int = 32  # D_I sees one frame of each clip
    content: int = field(50, "Width of z_C, drawn once a clip.", network=True)
    motion: int = field(10, "Width of z_M, and of the noise the GRU reads.", network=True)
    epsilon: str = field("iid", "What the GRU reads: noise at every frame (iid), or noise once and then its own output.", network=True)
    hidden: int = field(100, "Width of the GRU's state for --epsilon=self_feed; iid's is z_M itself.", network=True)
    category_to: str = field("image", "Who reads the category: the image generator, or the motion GRU (the best of Table 4).", network=True)
    image_discriminator: str = field("patch", "D_I: patch (logits of 4x4 patches) or image.", network=True)
    video_discriminator: str = field("categorical", "D_V: categorical, video, patch, or strided (DLHacks').", network=True)
    use_categories: bool = field(True, "D_V learns the categories from the clips' labels.")
    use_infogan: bool = field(True, "G is to make the drawn category recognizable to Q, D_V's logits of the categories.")
    q_on_generated: bool = field(True, "With --use_infogan, Q learns the drawn categories of generated clips, as in InfoGAN.")
    noise: float = field(0.1, "Standard deviation of the noise added before D's convolutions.")
    real_target: float = field(1.0, "D's target for real clips; below 1 is one-sided label smoothing.")
    beta_1: float = 0.5
    adam_epsilon: float = 1e-8
    weight_decay: float = 1e-5
    ema_decay: float = 0.0  # no average: the generator itself is sampled

    def __post_init__(self):
        super().__post_init__()
        self.require_square()
        self.require_one_of(INPUTS, "epsilon")
        self.require_one_of(CATEGORY_TO, "category_to")
        self.require_one_of(IMAGE_DISCRIMINATORS, "image_discriminator")
        self.require_one_of(VIDEO_DISCRIMINATORS, "video_discriminator")
        self.require_at_least(1, "content", "motion", "hidden")
        self.require_at_least(0, "noise")
        if not 0 < self.real_target <= 1:
            raise UserError(f"--real_target={self.real_target}: expected above 0, and at most 1")
        if self.size % 16:
            raise UserError(f"--size={self.size}: expected a multiple of 16 for --model=mocogan")
        if self.use_infogan and not (self.use_categories or self.q_on_generated):
            raise UserError("--q_on_generated=false: got --use_categories=false too, so nothing would train Q; expected one of them true")
        if self.video_discriminator != "categorical" and (self.use_categories or self.use_infogan):
            raise UserError(
                f"--video_discriminator={self.video_discriminator}: got no categories, expected --use_categories=false --use_infogan=false"
            )


def uniform(fan_in: int) -> keras.initializers.Initializer:
    """U(+-1/sqrt(fan_in)), made anew for each weight: an initializer that is used twice draws the same numbers twice."""
    return keras.initializers.RandomUniform(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))


def norm(channels: int) -> BatchNorm:
    return BatchNorm(channels, EPSILON, gain=keras.initializers.RandomUniform(0.0, 1.0))


class GRU(keras.layers.Layer):
    """One step of a GRU, with a bias of the input and one of the state; [r, u, n] stand side by side in the weights.

        r = sigmoid(W_r x + b_r + U_r h + c_r)      u = sigmoid(W_u x + b_u + U_u h + c_u)
        n = tanh(W_n x + b_n + r . (U_n h + c_n))   h' = (1 - u) . n + u . h

    A positive bias of the update gate u makes the cell keep its state.

    Args:
        inputs, width: of x and of h.
        weight, bias: initializers, called once for each weight.
    """

    def __init__(self, inputs: int, width: int, weight, bias):
        super().__init__(dtype="float32")
        self.kernel = self.add_weight(name="kernel", shape=[inputs, 3 * width], initializer=weight())
        self.recurrent_kernel = self.add_weight(name="recurrent_kernel", shape=[width, 3 * width], initializer=weight())
        self.bias = self.add_weight(name="bias", shape=[3 * width], initializer=bias())
        self.recurrent_bias = self.add_weight(name="recurrent_bias", shape=[3 * width], initializer=bias())
        self.built = True

    def call(self, x: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        """[N,inputs] and [N,width] -> [N,width]."""
        x_r, x_u, x_n = tf.split(tf.matmul(x, self.kernel.value) + self.bias.value, 3, -1)
        h_r, h_u, h_n = tf.split(tf.matmul(h, self.recurrent_kernel.value) + self.recurrent_bias.value, 3, -1)
        u = tf.sigmoid(x_u + h_u)
        return (1.0 - u) * tf.tanh(x_n + tf.sigmoid(x_r + h_r) * h_n) + u * h


class MotionWalk(keras.layers.Layer):
    """R_M with fresh noise at every step (3.1): z_M(t) = h_t = GRU(e_t, h_{t-1})."""

    def __init__(self, motion: int, condition: int, frames: int):
        super().__init__(dtype="float32")
        self.frames = frames
        self.latent = motion * (1 + frames)  # [h_0, e_1, .., e_T]: a longer clip begins as the shorter one
        self.gru = GRU(motion + condition, motion, lambda: uniform(motion), lambda: uniform(motion))
        self.built = True

    def call(self, z: tf.Tensor, condition: list[tf.Tensor], mode: Mode, before: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """z [N,latent] ~ N(0,I), what every step also reads [N,c] or nothing, and where another walk ended -> z_M [N,T,motion], and
        where this one ends, h_T."""
        h, *inputs = tf.split(z, self.frames + 1, -1)
        h = h if before is None else before
        states = []
        for x in inputs:
            h = self.gru(tf.concat([x, *condition], -1), h)
            states.append(h)
        return tf.stack(states, 1), h


class SelfFedWalk(keras.layers.Layer):
    """R_M of DLHacks: from h_0 = 0 and one e_1 on, y_t = A h_t + a is the next input; z_M(t) is y_t normalized over the batch, so
    that it has the scale of z_C."""

    def __init__(self, motion: int, condition: int, frames: int, hidden: int):
        super().__init__(dtype="float32")
        self.frames, self.hidden, self.latent = frames, hidden, motion

        def keep_state() -> keras.initializers.Initializer:  # the update gate's two biases are 1, which makes 2, all others 0
            gates = tf.repeat(tf.constant([0.0, 1.0, 0.0]), hidden)
            return lambda shape, dtype: tf.cast(gates, dtype)

        self.gru = GRU(motion + condition, hidden, keras.initializers.GlorotUniform, keep_state)
        self.kernel = self.add_weight(name="kernel", shape=[hidden, motion], initializer=uniform(hidden))
        self.bias = self.add_weight(name="bias", shape=[motion], initializer=uniform(hidden))
        self.norm = BatchNorm(motion, EPSILON, bias=False, gain=None)  # the moments of each time step; standing ones of all
        self.built = True

    def call(self, z: tf.Tensor, condition: list[tf.Tensor], mode: Mode, before: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """As MotionWalk; a walk ends in [h_T, y_T]."""
        begin = tf.concat([tf.zeros([tf.shape(z)[0], self.hidden]), z], -1) if before is None else before
        h, x = tf.split(begin, [self.hidden, z.shape[-1]], -1)
        outputs = []
        for _ in range(self.frames):
            h = self.gru(tf.concat([x, *condition], -1), h)
            x = tf.matmul(h, self.kernel.value) + self.bias.value
            outputs.append(self.norm(x, mode=mode))
        return tf.stack(outputs, 1), tf.concat([h, x], -1)


class ImageGenerator(keras.layers.Layer):
    """G_I: transposed convolutions from a vector to a frame, BN and ReLU between."""

    def __init__(self, inputs: int, channels: int, size: int):
        super().__init__()
        width, first = [m * channels for m in G_WIDTHS], size // 16
        shapes = [(inputs, width[0], first, 1, "VALID"), *((i, o, 4, 2, "SAME") for i, o in zip(width, [*width[1:], 3], strict=True))]
        self.convolutions = [ConvTranspose(i, o, [k, k], stride, padding, False, uniform(i * k * k)) for i, o, k, stride, padding in shapes]
        self.norms = [norm(c) for c in width]
        self.built = True

    def call(self, z: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N,inputs] -> frames [N,H,W,3] in [-1,1], float32."""
        x = z[:, None, None]
        for convolution, bn in zip(self.convolutions, self.norms, strict=False):
            x = bn(convolution(x), mode=mode, relu=True)
        return tf.tanh(tf.cast(self.convolutions[-1](x), tf.float32))


class Generator(keras.Model):
    """R_M and G_I (Figure 2). Its latent is [z_C, what R_M reads]."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        self.content, self.frames, self.classes = config.content, config.frames, max(config.classes, 1)
        self.to_motion = config.category_to == "motion"
        condition = self.classes if self.to_motion else 0
        if config.epsilon == "iid":
            self.motion = MotionWalk(config.motion, condition, config.frames)
        else:
            self.motion = SelfFedWalk(config.motion, condition, config.frames, config.hidden)
        self.image = ImageGenerator(config.content + self.classes - condition + config.motion, config.channels, config.size)
        self.built = True

    def codes(self, z: tf.Tensor, label: tf.Tensor, mode: Mode) -> tf.Tensor:
        """What G_I draws the frames from: [z_C, z_A, z_M(t)] of shape [N,T,.], without z_A where R_M reads it."""
        return self.walk(z, label, mode)[0]

    def walk(self, z: tf.Tensor, label: tf.Tensor, mode: Mode, before: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """The codes, of a walk that goes on from where another ended, and where it ends."""
        category = tf.one_hot(label, self.classes)
        motion, end = self.motion(z[:, self.content :], [category] if self.to_motion else [], mode=mode, before=before)
        still = [z[:, : self.content]] if self.to_motion else [z[:, : self.content], category]
        return tf.concat([tf.repeat(tf.concat(still, -1)[:, None], self.frames, 1), motion], -1), end

    def call(self, z: tf.Tensor, label: tf.Tensor, mode: Mode) -> tf.Tensor:
        """z [N,latent] ~ N(0,I), label [N] int32 -> video [N,T,H,W,3] in [-1,1], float32."""
        return self.video(self.codes(z, label, mode), mode)

    def video(self, codes: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N,T,.] -> [N,T,H,W,3] in [-1,1]."""
        return unfold(self.image(fold(codes), mode=mode), self.frames)

    def frame(self, z: tf.Tensor, label: tf.Tensor, index: tf.Tensor, mode: Mode) -> tf.Tensor:
        """Frame `index` [N] int32 of each clip alone, [N,H,W,3], normalized over these frames."""
        return self.image(tf.gather(self.codes(z, label, mode), index, axis=1, batch_dims=1), mode=mode)


class Block(keras.layers.Layer):
    """Noise, convolution, BN and LeakyReLU of a discriminator, each where its table has it.

    Args:
        inputs, outputs: widths.
        kernel, stride: of the convolution, along each axis.
        padding: "SAME", "VALID", or "SPACE": a zero on either side of height and width, none of time.
        noise: standard deviation of what is added to the input, when training and after.
        bn: whether the outputs are normalized.
        head: whether this is the last layer, which gives float32 logits.
        bias: whether the convolution has one.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: str,
        noise: float,
        bn: bool,
        head: bool,
        bias: bool = False,
    ):
        super().__init__(dtype="float32" if head else None)
        self.noise, self.head, self.pad = noise, head, padding == "SPACE"
        fan_in, dtype = inputs * math.prod(kernel), "float32" if head else None
        self.convolution = Conv(inputs, outputs, kernel, stride, "VALID" if self.pad else padding, bias, uniform(fan_in), dtype)
        self.bn = norm(outputs) if bn else None
        self.built = True

    def call(self, x: tf.Tensor, seeds: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N,...,inputs] and seeds of the noise [N,2] -> [N,...,outputs]."""
        if self.noise:
            x = noise.added(x, seeds, self.noise)
        if self.pad:  # not tf.pad: TensorFlow's graph optimizer fails where it fuses that with a convolution that is differentiated
            x = tf.raw_ops.PadV2(input=x, paddings=[[0, 0], [0, 0], [1, 1], [1, 1], [0, 0]], constant_values=tf.zeros([], x.dtype))
        x = self.convolution(x)
        if self.head:
            return x
        return tf.nn.leaky_relu(x if self.bn is None else self.bn(x, mode=mode), SLOPE)


class Blocks(keras.layers.Layer):
    """A discriminator: blocks one after the other."""

    def __init__(self, blocks: list[Block]):
        super().__init__()
        self.blocks = blocks
        self.built = True

    def call(self, x: tf.Tensor, seeds: tf.Tensor, mode: Mode) -> tf.Tensor:
        """Frames [N,H,W,3] or clips [N,T,H,W,3] in [-1,1], and seeds [N,2] -> logits [N,...,outputs], float32."""
        for number, block in enumerate(self.blocks, 1):
            x = block(x, noise.fork(seeds, NOISE_LAYER * number), mode=mode)
        return x


def image_discriminator(config: Config) -> Blocks:
    """D_I. patch: 4/2/1 convolutions to the logits of patches; image: one more, and a last one over all of its map."""
    patch = config.image_discriminator == "patch"
    width = [3, *(m * config.channels for m in D_WIDTHS)]
    body = 3 if patch else 4
    blocks = [Block(width[i], width[i + 1], [4, 4], [2, 2], "SAME", config.noise, bn=i > 0, head=False) for i in range(body)]
    if patch:
        return Blocks([*blocks, Block(width[body], 1, [4, 4], [2, 2], "SAME", config.noise, bn=False, head=True)])
    return Blocks([*blocks, Block(width[body], 1, [config.size // 16] * 2, [1, 1], "VALID", 0.0, bn=False, head=True)])


def video_discriminator(config: Config) -> Blocks:
    """D_V. Kernels of 4 frames and 4x4 pixels that halve the map and not the clip, the last over all of the map; categorical: with
    logits of the categories beside; patch: one less, of patches; strided: they halve the clip too, the last is over all of it."""
    kind = config.video_discriminator
    width = [3, *(m * config.channels for m in D_WIDTHS)]
    body = 3 if kind == "patch" else 4
    if kind == "strided":
        time, stride, padding = [4] * 4 + [-(-config.frames // 16)], 2, "SAME"
    else:
        time, stride, padding = kernel_frames(config.frames), 1, "SPACE"

    def halving(i: int, outputs: int, noise: float, bn: bool, head: bool) -> Block:
        return Block(width[i], outputs, [time[i], 4, 4], [stride, 2, 2], padding, noise, bn, head)

    blocks = [halving(i, width[i + 1], config.noise, bn=i > 0, head=False) for i in range(body)]
    if kind == "patch":
        return Blocks([*blocks, halving(body, 1, 0.0, bn=False, head=True)])
    outputs = 1 + (max(config.classes, 1) if kind == "categorical" else 0)
    last = [time[body], config.size // 16, config.size // 16]
    return Blocks([*blocks, Block(width[body], outputs, last, [1] * 3, "VALID", 0.0, bn=False, head=True, bias=kind == "strided")])


def kernel_frames(frames: int) -> list[int]:
    """Frames under each of the five kernels: 4, or for less than 16 frames what together sees just all of them."""
    each, more = divmod(min(frames, FULL_FRAMES) - 1, 5)
    return [1 + each + (i < more) for i in range(5)]


class Discriminator(keras.Model):
    """D_I and D_V (3.2)."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        self.image, self.video = image_discriminator(config), video_discriminator(config)
        self.built = True

    def call(self, frame: tf.Tensor, video: tf.Tensor, seeds: tf.Tensor, mode: Mode) -> dict[str, tf.Tensor]:
        """Scores frames and clips, which need not belong together.

        Args:
            frame: [N,H,W,3] in [-1,1].
            video: [N,T,H,W,3] in [-1,1].
            seeds: [N,2] int32, what the noise follows from.
            mode: "train" and "calibrate" normalize by the batch.

        Returns:
            {"image": logits [N,...], "video": logits [N,...], "category": logits [N,...,classes], with no classes unless D_V is
            categorical}, float32; the axes between are places.
        """
        image = self.image(frame, noise.fork(seeds, IMAGE_NOISE), mode=mode)
        video = self.video(video, seeds, mode=mode)
        return {"image": image[..., 0], "video": video[..., 0], "category": video[..., 1:]}


class Model(gan.GAN):
    """MoCoGAN's networks and losses."""

    config: Config
    networks = Generator, Discriminator
    score_names = "score_real_image", "score_real_video"
    free_frames = True
    unrolls = True

    @property
    def latent_width(self) -> int:
        return self.config.content + self.generator.motion.latent

    @property
    def latent_parts(self) -> dict[str, slice]:
        return {"content": slice(0, self.config.content), "motion": slice(self.config.content, self.latent_width)}

    def inputs(self, batch: gan.Batch) -> gan.Inputs:
        """Latents [N,latent_width] and categories [N], which are uniform whatever the data's labels."""
        return self._draw(batch["seed"])

    def unroll(self, network: keras.Model, inputs: gan.Inputs, state: gan.Inputs) -> tuple[tf.Tensor, gan.Inputs]:
        """The motion walks on, with fresh noise; the content stays."""
        z, content = inputs["z"], self.config.content
        if state:
            z = tf.concat([state["content"], z[:, content:]], -1)
        codes, end = network.walk(z, inputs["label"], "sample", state.get("end"))
        return network.video(codes, "sample"), {"content": z[:, :content], "end": end}

    def discriminator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """Cross-entropies of D_I and D_V (equation 4), and of Q's categories: of real clips with their labels, of generated clips
        with what was drawn. Real and fake are normalized apart."""
        frame, video, category = self._fakes(batch)
        index = self._frames(noise.fork(batch["seed"], gan.REAL_FRAMES))
        real_frame = tf.gather(batch["video"], index, axis=1, batch_dims=1)
        real = self._score(real_frame, batch["video"], noise.fork(batch["seed"], REAL_NOISE))
        fake = self._score(frame, video, noise.fork(batch["seed"], FAKE_NOISE))
        terms, watched = {}, {}
        for name in ("image", "video"):
            terms[f"d_{name}"] = logistic_discriminator(real[name], fake[name], self.config.real_target)
            watched[f"score_real_{name}"], watched[f"score_fake_{name}"] = real[name], fake[name]
        if self.config.use_categories:
            terms["d_category"] = cross_entropy(real["category"], batch["label"])
        if self.config.use_infogan and self.config.q_on_generated:
            terms["d_infogan"] = cross_entropy(fake["category"], category)
        return terms, watched

    def generator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """Cross-entropies of being taken for real, and InfoGAN's: of the category Q finds, with the one that was drawn."""
        frame, video, category = self._fakes(batch)
        fake = self._score(frame, video, noise.fork(batch["seed"], FAKE_NOISE))
        terms = {f"g_{name}": logistic_generator(fake[name]) for name in ("image", "video")}
        if self.config.use_infogan:
            terms["g_category"] = cross_entropy(fake["category"], category)
        return terms, {}

    def _score(self, frame: tf.Tensor, video: tf.Tensor, seeds: tf.Tensor) -> dict[str, tf.Tensor]:
        frame, video = self.augment(frame, noise.fork(seeds, IMAGE_NOISE)), self.augment(video, seeds)
        return self.discriminator(frame, video, seeds, mode="train")

    def _fakes(self, batch: gan.Batch) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Frames [N,H,W,3] for D_I, clips [N,T,H,W,3] of other latents for D_V, and the clips' categories [N]."""
        index = self._frames(noise.fork(batch["seed"], gan.FAKE_FRAMES))
        frame = self.generator.frame(**self._draw(noise.fork(batch["seed"], IMAGES)), index=index, mode="train")
        inputs = self.inputs(batch)
        return frame, self.generator(**inputs, mode="train"), inputs["label"]

    def _draw(self, seeds: tf.Tensor) -> gan.Inputs:
        draws = noise.uniform(noise.fork(seeds, CATEGORY), [])
        return {"z": self.latents(seeds), "label": tf.cast(draws * max(self.config.classes, 1), tf.int32)}

    def _frames(self, seeds: tf.Tensor) -> tf.Tensor:
        """A random frame of each clip: [N] int32 in 0..T-1."""
        return tf.cast(noise.uniform(seeds, []) * self.config.frames, tf.int32)


def cross_entropy(logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Mean softmax cross-entropy of logits [N,...,classes] with labels [N], over all places."""
    places = math.prod(logits.shape[1:-1])
    logits = tf.reshape(logits, [-1, places, logits.shape[-1]])
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.repeat(label[:, None], places, 1), logits))

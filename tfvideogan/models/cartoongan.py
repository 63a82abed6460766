"""CartoonGAN: "Generative Adversarial Networks for Photo Cartoonization", Chen, Lai, Liu, CVPR 2018.

A fully convolutional generator turns photos into the style of a set of cartoons, which need not show what the photos do. D tells
cartoons from its output, and from cartoons whose edges are smoothed; features of VGG19 keep the content. Equations and sections cited
below are the paper's. Training has two phases (3.3): in "initialization" G learns to reproduce content alone; "adversarial" starts from
it (`--init_from`). Frames of a clip are translated one by one; a set of pictures is one of clips of one frame.

The paper leaves open, and this file takes from the authors' code:
- Instance norm with gain and shift in place of the paper's batch norm, as in the published weights; gains start at U(0,1).
- Reflected borders before 7x7 and residual convolutions, zeros elsewhere; kernels start at N(0,.02^2), biases at 0; G ends in tanh.
- Least-squares losses (`--gan_loss=lsgan`); the paper's cross-entropy is `--gan_loss=log`, with the non-saturating form for G.
- conv4_4 before its ReLU, of pictures resized to 224x224.
- Rates: 2e-4 in initialization, 1e-5 after; halves of 100 epochs, constant and then linear to 0, of some 6,287 photos; batches of 8.
- The weight of the content is .078 of features divided by 127.5 (layers/vgg19.py): of the authors' features, which are not divided,
  6.15e-4. The paper and the code's flag say 10, but the code's preprocessing divides its gradient by 127.5 where it should multiply, so
  that 10 / 127.5^2 is what trained. The paper's letter is --content_weight=1275, with which pictures hardly change.

Differences from the paper and the code:
- Biases are trained; the code sets those of convolutions to 0 before every pass.
- Both players see new fakes alone, and G's gradient is of the D after its update. The code shows D fakes of a pool of the last 50
  batches, half of them old, and takes G's gradient from that pass. Here is no pool: each checkpoint would hold its 50 batches.
- Without VGG19 (`--perceptual=none`) the content is the pixels': the mean distance from the photo, times `pixel_weight`.
- `channels` is G's base width; D's is half of it, as 64 and 32 are.

Parameters: G 11,129,667, as many as the published weights; D 1,129,665.
"""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfvideogan import config as base
from tfvideogan import gan
from tfvideogan.config import UserError, field
from tfvideogan.layers import Mode, vgg19
from tfvideogan.layers.conv import Conv
from tfvideogan.layers.instance_norm import InstanceNorm
from tfvideogan.layers.padded_conv import DoublingConv, PaddedConv, kernel
from tfvideogan.losses import least_squares, logistic_generator, mean_distance
from tfvideogan.ops.video import fold, unfold

PHASES = "initialization", "adversarial"
GAN_LOSSES = "lsgan", "log"
HALVINGS = 2
EPSILON = 1e-5  # of instance norm
SLOPE = 0.2  # of LeakyReLU
NORMALIZED = False, False, True, False, True, True  # D's layers, but for that of scores
CONTENT_LAYER, CONTENT_SIZE = "conv4_4", (224, 224)


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
    """CartoonGAN's adversarial phase, at the values of its authors' code."""

    model: str = "cartoongan"
    phase: str = field("adversarial", "initialization (G alone, content alone) or adversarial.", network=True)
    frames: int = 1
    size: int = 256
    batch_size: int = 8
    flip: bool = True
    blocks: int = field(8, "Residual blocks of G.", network=True)
    gan_loss: str = field("lsgan", "lsgan (the authors' code) or log (the paper).")
    perceptual: str = field("keras", "VGG19 behind the content loss: none (pixels instead), keras (downloads it) or vgg19:FILE.", path=True)
    content_weight: float = field(
        0.078, "Weight of VGG19's features, which are divided by 127.5, in the content loss; the paper's 10 is 1275."
    )
    content_resize: bool = field(True, "Resize pictures to 224x224 for VGG19, as the authors' code does.")
    pixel_weight: float = field(10.0, "Weight of the content loss of pixels, with --perceptual=none.")
    g_learning_rate: float = 1e-5
    d_learning_rate: float = 1e-5
    learning_rate_schedule: str = "linear"
    steps: int = 157_200  # 200 epochs of 6,287 photos
    decay_start_step: int = 78_600
    beta_1: float = 0.5
    adam_epsilon: float = 1e-8
    ema_decay: float = 0.0  # no average: the generator itself is sampled

    def __post_init__(self):
        super().__post_init__()
        self.require_at_least(1, "blocks")
        self.require_at_least(0, "content_weight", "pixel_weight")
        vgg19.check(self.perceptual)
        self.require_one_of(PHASES, "phase")
        self.require_one_of(GAN_LOSSES, "gan_loss")
        for name, length in zip(("size", "width"), self.frame_size, strict=True):
            if length % 2**HALVINGS or length < 8:
                raise UserError(f"--{name}={length}: expected a multiple of {2**HALVINGS}, at least 8, for --model=cartoongan")
        if self.channels % 2:
            raise UserError(f"--channels={self.channels}: expected an even number, D has half as many")


def convolution(inputs: int, outputs: int, extent: int = 3, stride: int = 1, reflect: bool = False, dtype: str | None = None) -> PaddedConv:
    """With as many pixels around as keep a picture's size at a stride of 1."""
    return PaddedConv(inputs, outputs, extent, stride, extent // 2, reflect, kernel(), "zeros", dtype)


def norm(channels: int) -> InstanceNorm:
    """With a gain and a shift."""
    return InstanceNorm(channels, EPSILON, gain=keras.initializers.RandomUniform(0.0, 1.0))


class Stage(keras.layers.Layer):
    """Convolutions with nothing between them, and instance norm."""

    def __init__(self, *convolutions: Conv):
        super().__init__()
        self.convolutions = [*convolutions]
        self.norm = norm(convolutions[-1].channels)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N,H,W,C] -> [N,H',W',C']."""
        for convolve in self.convolutions:
            x = convolve(x)
        return self.norm(x)


class ResidualBlock(keras.layers.Layer):
    """x + (conv3 - norm - ReLU - conv3 - norm)(x), borders reflected; nothing after the sum."""

    def __init__(self, channels: int):
        super().__init__()
        self.stages = [Stage(convolution(channels, channels, reflect=True)) for _ in range(2)]
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N,H,W,C] -> the same shape."""
        return x + self.stages[1](tf.nn.relu(self.stages[0](x)))


class Generator(keras.Model):
    """Figure 2, top: two halvings, residual blocks, two doublings."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        ch = config.channels
        self.first = Stage(convolution(3, ch, 7, reflect=True))
        self.down = [Stage(convolution(i, 2 * i, stride=2), convolution(2 * i, 2 * i)) for i in (ch, 2 * ch)]
        self.body = [ResidualBlock(4 * ch) for _ in range(config.blocks)]
        self.up = [Stage(DoublingConv(2 * o, o, kernel(), "zeros"), convolution(o, o)) for o in (2 * ch, ch)]
        self.last = convolution(ch, 3, 7, reflect=True)
        self.built = True

    def call(self, source: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N,T,H,W,3] in [-1,1] -> the same shape and range, float32; frame by frame."""
        x = fold(source)
        for stage in (self.first, *self.down):
            x = tf.nn.relu(stage(x))
        for block in self.body:
            x = block(x)
        for stage in self.up:
            x = tf.nn.relu(stage(x))
        return unfold(tf.tanh(tf.cast(self.last(x), tf.float32)), source.shape[1])


class Discriminator(keras.Model):
    """Figure 2, bottom: a shallow network of patches, for style is local. Of phase initialization nothing."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        ch = config.channels // 2
        if config.phase == "adversarial":
            width = [3, ch, 2 * ch, 4 * ch, 4 * ch, 8 * ch, 8 * ch]
            strides = (1, 2, 1, 2, 1, 1)
            self.convolutions = [convolution(i, o, stride=s) for i, o, s in zip(width, width[1:], strides, strict=False)]
            self.norms = [norm(o) if normalized else None for o, normalized in zip(width[1:], NORMALIZED, strict=True)]
            self.score = convolution(width[-1], 1, dtype="float32")
        self.built = True

    def call(self, video: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N,T,H,W,3] in [-1,1] -> scores of patches [N*T,H/4,W/4,1], float32."""
        x = fold(video)
        for convolve, norm in zip(self.convolutions, self.norms, strict=True):
            x = convolve(x)
            x = tf.nn.leaky_relu(x if norm is None else norm(x), SLOPE)
        return self.score(x)


class Model(gan.GAN):
    """CartoonGAN's networks and losses."""

    config: Config
    networks = Generator, Discriminator
    free_frames = True
    free_size = 2**HALVINGS

    def __init__(self, config: Config):
        super().__init__(config)
        self.vgg = vgg19.network(config.perceptual)

    @classmethod
    def batch_specs(cls, config: base.Config) -> gan.Specs:
        """Photos, and cartoons in any order, plain and with smoothed edges; no network reads labels."""
        assert isinstance(config, Config)
        specs = {name: spec for name, spec in super().batch_specs(config).items() if name != "label"}
        streams = ("source",) if config.phase == "initialization" else ("source", "smoothed")
        return {**specs, **{name: specs["video"] for name in streams}}

    @property
    def latent_width(self) -> int:
        return 0

    def inputs(self, batch: gan.Batch) -> gan.Inputs:
        """The photos."""
        return {"source": batch["source"]}

    def discriminator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """Equation 3: cartoons are real; smoothed ones and G's are not. Each has its own instance norm anyway."""
        videos = {"real": batch["video"], "smoothed": batch["smoothed"], "fake": self.generator(**self.inputs(batch), mode="train")}
        scores = {name: self.discriminator(video, mode="train") for name, video in videos.items()}
        terms = {f"d_{name}": self.adversarial(score, name == "real") for name, score in scores.items()}
        return terms, {f"score_{name}": tf.reduce_mean(score) for name, score in scores.items()}

    def generator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """Equations 2 and 4; of phase initialization the content alone."""
        fake = self.generator(**self.inputs(batch), mode="train")
        terms = self.content(fold(fake), fold(batch["source"]))
        if self.config.phase == "adversarial":
            terms["g_loss"] = self.adversarial(self.discriminator(fake, mode="train"), True)
        return terms, {}

    def adversarial(self, scores: tf.Tensor, real: bool) -> tf.Tensor:
        """The distance of scores from those of real pictures, or of others."""
        if self.config.gan_loss == "lsgan":
            return least_squares(scores, float(real))
        return logistic_generator(scores if real else -scores)

    def content(self, pictures: tf.Tensor, photos: tf.Tensor) -> gan.Scalars:
        """Equation 4, named by the network that it looks through. [N,H,W,3] in [-1,1] both."""
        if self.vgg is None:
            return {"g_content_pixels": self.config.pixel_weight * mean_distance(pictures, photos)}
        if self.config.content_resize:
            pictures, photos = (tf.image.resize(x, CONTENT_SIZE) for x in (pictures, photos))
        ((ours,), (theirs,)) = (self.vgg.features(x, [CONTENT_LAYER], rectified=False) for x in (pictures, photos))
        return {f"g_content_{self.vgg.name}": self.config.content_weight * mean_distance(ours, theirs)}


# The published generators: a folder a style, an .npy file a variable, in PyTorch's order of axes. They read and give BGR.


def published_layers(generator: Generator) -> dict[str, Conv | InstanceNorm]:
    """A generator's layers by their published names."""
    found: dict[str, Conv | InstanceNorm] = {}

    def add(stage: Stage, norm: str, *convolutions: str) -> None:
        found.update(zip(convolutions, stage.convolutions, strict=True))
        found[norm] = stage.norm

    add(generator.first, "in01_1", "conv01_1")
    for number, stage in enumerate(generator.down, 2):
        add(stage, f"in{number:02d}_1", f"conv{number:02d}_1", f"conv{number:02d}_2")
    for number, block in enumerate(generator.body, 4):
        for i, stage in enumerate(block.stages, 1):
            add(stage, f"in{number:02d}_{i}", f"conv{number:02d}_{i}")
    for number, stage in enumerate(generator.up, 1):
        add(stage, f"in{len(generator.body) + 3 + number:02d}_1", f"deconv{number:02d}_1", f"deconv{number:02d}_2")
    return {**found, "deconv03_1": generator.last}


def assign_published(model: Model, folder: str) -> None:
    """Gives the generator the published weights of a folder, for red, green, blue.

    Raises: UserError for a file that is missing, of another shape, or not there in the layout.
    """
    generator, read = model.generator, set()

    def values(name: str, shape: list[int]) -> np.ndarray:
        path = Path(folder) / f"{name}.npy"
        read.add(path.name)
        if not path.is_file():
            raise UserError(f"--weights={folder}: got no {path.name}, expected the 94 files of a published style")
        try:
            array = np.load(path, allow_pickle=False)
        except ValueError as error:
            raise UserError(f"--weights={folder}: {path.name} is no array ({error})") from error
        if array.size != np.prod(shape) or [n for n in array.shape if n > 1] != [n for n in shape if n > 1]:
            raise UserError(f"--weights={folder}: {path.name} is of {[*array.shape]}, expected {shape}")
        return array.reshape(shape).astype(np.float32)

    for name, layer in published_layers(generator).items():
        if isinstance(layer, InstanceNorm):
            for ours, theirs in ((layer.gain, "scale"), (layer.shift, "shift")):
                assert ours is not None  # both are there in every norm of this file
                ours.assign(values(f"{name}.{theirs}", [*ours.shape]))
            continue
        assert layer.bias is not None
        height, width, *channels = layer.kernel.shape
        weight = values(f"{name}.weight", [*channels[::-1], height, width])
        weight, bias = weight.transpose(2, 3, 1, 0), values(f"{name}.bias", [*layer.bias.shape])
        if layer is generator.first.convolutions[0]:
            weight = weight[:, :, ::-1]  # blue, green, red as read
        if layer is generator.last:
            weight, bias = weight[..., ::-1], bias[::-1]  # and as given
        layer.kernel.assign(weight)
        layer.bias.assign(bias)
    others = sorted({path.name for path in Path(folder).glob("*.npy")} - read)
    if others:
        raise UserError(f"--weights={folder}: got {others[0]} too, expected the 94 files of a published style alone")
    for average, weight, _ in model.ema_pairs():
        average.assign(weight)

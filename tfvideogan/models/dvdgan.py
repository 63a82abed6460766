"""DVD-GAN: "Adversarial Video Generation on Complex Datasets", Clark, Donahue, Simonyan, arXiv 1907.06571 v2.

A generator with one ConvGRU per resolution, against two discriminators: D_S scores k single frames at full resolution,
D_T scores the whole clip at half resolution. Sections and figures cited below are the paper's.

The paper leaves open, and this file takes:
- channel lists (recalled from BigGAN's family; those of 256x256 are a guess), ConvGRU width = its input's width; DGMR, of the
  same lab, agrees.
- temporal pooling in D_T: the two 3-D blocks halve T, scores are summed over what is left (DGMR).
- frames of D_S: drawn for each example without replacement.
- self-attention: none in G, as v2's figure draws it (v1 had it there), and none in D_S and D_T. BigGAN's D, on which both are built, has
  a block at 64x64: `--d_attention=64`, from 128x128 on.
- labels of generated clips: those of the real clips of the batch, as the loss has one y in both terms. BigGAN draws them uniformly
  from all classes: `--fake_labels=drawn`. They differ where classes are of unequal size.
- Adam betas (0, .999) and epsilon 1e-6, tanh head, sum pooling, 1 + gain: BigGAN.
- truncation: z is drawn from N(0, s^2), s = truncation.

Differences from the paper:
- 32x32 lists of our own, for small work.
- G's class embedding e(y) is not spectrally normalized (as in BigGAN: it is an input, not a layer).
  Every other weight matrix and kernel of G and D is; biases and attention's scalar gamma have no spectrum.
- The two orders of 1x1 convolution and resampling in shortcuts are exchanged: equal, and faster.

Parameters at ch=16, 101 classes, 64x64: G 5,944,219, D_S 2,422,113, D_T 2,552,865 (derived by hand in tests/dvdgan_test.py).
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from tfvideogan import config as base
from tfvideogan import gan
from tfvideogan.config import UserError, field
from tfvideogan.layers import Mode
from tfvideogan.layers.attention import SelfAttention
from tfvideogan.layers.conv_gru import ConvGRU
from tfvideogan.layers.norm import ConditionalBatchNorm
from tfvideogan.layers.recompute import recomputed
from tfvideogan.layers.residual import DiscriminatorBlock, GeneratorBlock
from tfvideogan.layers.spectral import SpectralConv, SpectralDense, SpectralEmbedding, SpectralLayer
from tfvideogan.losses import hinge_discriminator, hinge_generator
from tfvideogan.ops import noise
from tfvideogan.ops.relu import relu
from tfvideogan.ops.resample import UPSAMPLING
from tfvideogan.ops.video import fold, unfold

# Multiples of ch. G: entry 0 is the 4x4 map's, stage i goes from entry i-1 to entry i. D: the output of each block.
G_CHANNELS = {32: [8, 8, 4, 2], 64: [8, 8, 8, 4, 2], 128: [8, 8, 8, 4, 2, 1], 256: [8, 8, 8, 4, 4, 2, 1]}
D_CHANNELS = {32: [2, 4, 8, 16], 64: [2, 4, 8, 16, 16], 128: [1, 2, 4, 8, 16, 16], 256: [1, 2, 4, 8, 8, 16, 16]}
VOLUMETRIC_BLOCKS = 2  # "the first two residual blocks" of D_T are 3-D (3.2)
PHI = ("4x4", "2x2", "identity", "crop")
BN_STATISTICS = ("per_frame", "all_frames")
FAKE_LABELS = ("data", "drawn")
Stage = tuple[keras.layers.Layer, GeneratorBlock, GeneratorBlock, SelfAttention | None]
DRAWN_LABELS = 10  # stream of an example's seed, beside those of gan.py


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
    """DVD-GAN at the values of its paper: Kinetics-600, 12 frames of 64x64."""

    model: str = "dvdgan"
    frames: int = 12
    stride: int = 2  # every 2nd frame of Kinetics
    channels: int = 128
    batch_size: int = 512
    steps: int = 300_000
    latent: int = field(120, "Width of z.", network=True)
    embedding: int = field(120, "Width of the class embedding e(y).", network=True)
    upsampling: str = field("bilinear", "How G doubles a map: bilinear (the figure) or nearest (BigGAN, and faster).", network=True)
    bn_statistics: str = field("per_frame", "BN moments for each frame index (per_frame) or over all frames (all_frames).", network=True)
    k: int = field(8, "Frames that D_S scores.", network=True)
    phi: str = field("2x2", "What D_T sees: 4x4 or 2x2 average pooling, identity, or a random half-size crop.", network=True)
    g_attention: int = field(0, "Map size at which G has a self-attention block; 0 for none.", network=True)
    d_attention: int = field(
        0, "Map size at which D_S, and D_T if its smaller input has such a map, get a self-attention block; 0 for none.", network=True
    )
    fake_labels: str = field("data", "Labels of generated clips in training: the batch's (data), or uniform over the classes (drawn).")
    orthogonal_regularization: float = field(0.0, "Weight of BigGAN's orthogonal regularization of G; 1e-4 there.")
    g_learning_rate: float = 1e-4
    d_learning_rate: float = 5e-4
    d_steps: int = 2
    recompute: bool = field(False, "Compute the activations of a stage of G and of a block of D again in the gradient, not keep them.")

    def __post_init__(self):
        super().__post_init__()
        self.require_square()
        self.require_at_least(1, "latent", "embedding")
        if self.size not in G_CHANNELS:
            raise UserError(f"--size={self.size}: expected 32, 64, 128 or 256 for --model={self.model}")
        if self.k > self.generated_frames or self.k < 1:
            raise UserError(f"--k={self.k}: expected 1 to {self.generated_frames}, as D_S draws k different frames of those that G makes")
        self.require_one_of(PHI, "phi")
        self.require_one_of(UPSAMPLING, "upsampling")
        self.require_one_of(BN_STATISTICS, "bn_statistics")
        maps = [size for size in (8, 16, 32, 64, 128) if size <= self.size // 2]
        for name in ("g_attention", "d_attention"):
            if (size := getattr(self, name)) and size not in maps:
                raise UserError(f"--{name}={size}: got no size of a map in the network, expected 0 or one of {', '.join(map(str, maps))}")
        self.require_one_of(FAKE_LABELS, "fake_labels")

    @property
    def generated_frames(self) -> int:
        """Frames of a clip that G makes, the last ones."""
        return self.frames

    @property
    def embedded_classes(self) -> int:
        """Classes that the networks tell apart."""
        return max(self.classes, 1)

    @property
    def views(self) -> dict[str, str]:
        """What D_S and D_T see of a picture, each one of PHI."""
        return {"spatial": "identity", "temporal": self.phi}


class Generator(keras.Model):
    """Figure 2: affine to 4x4, then per resolution a ConvGRU and two residual blocks, the second upsampling."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        self.frames = config.generated_frames
        self.stage = functools.partial(recomputed, self._stage) if config.recompute else self._stage
        width = [m * config.channels for m in G_CHANNELS[config.size]]
        condition = config.latent + config.embedding

        def norm(channels: int) -> ConditionalBatchNorm:
            return ConditionalBatchNorm(channels, condition, self.frames, config.bn_statistics == "per_frame")

        self.embedding = self.add_weight(name="embedding", shape=(config.embedded_classes, config.embedding), initializer="orthogonal")
        self.affine = SpectralDense(condition, 4 * 4 * width[0], bias=True)
        self.grus, self.blocks, self.attentions = [], [], []
        for stage, (inputs, outputs) in enumerate(zip(width, width[1:], strict=False)):
            self.grus.append(self.recurrence(config, inputs))
            self.blocks.append(GeneratorBlock(inputs, inputs, norm, upsample=None))
            self.blocks.append(GeneratorBlock(inputs, outputs, norm, upsample=UPSAMPLING[config.upsampling]))
            self.attentions.append(SelfAttention(outputs) if config.g_attention == 8 << stage else None)
        self.norm = norm(width[-1])
        self.to_rgb = SpectralConv(width[-1], 3, (3, 3))
        self.built = True

    def recurrence(self, config: Config, channels: int) -> keras.layers.Layer:
        """The recurrent unit of a stage: maps [N,T or 1,h,w,C] and a state [N,h,w,C] -> the states [N,T,h,w,C]."""
        return ConvGRU(channels, self.frames)

    def call(self, z: tf.Tensor, label: tf.Tensor | None, mode: Mode, states: Sequence[tf.Tensor] = ()) -> tf.Tensor:
        """z [N,latent] ~ N(0,I), label [N] int32 (or weights of the classes, [N,classes]) -> video [N,T,H,W,3] in [-1,1], float32.

        Without labels all are of the first class. `states` are the initial ones of the ConvGRUs, [N,h,w,c] from 4x4 on; 0 if empty.
        """
        condition, x = self._first_map(z, label, mode)
        for i, layers in enumerate(self._stages()):
            x = self.stage(layers, x, condition, *states[i : i + 1], mode=mode)
        return self._to_video(x, condition, mode)

    def unroll(self, z: tf.Tensor, label: tf.Tensor | None, states: Sequence[tf.Tensor] = ()) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """`call` in mode "sample", and the states that its ConvGRUs end in."""
        condition, x = self._first_map(z, label, "sample")
        last = []
        for i, layers in enumerate(self._stages()):
            x = layers[0](x, *states[i : i + 1], mode="sample")
            last.append(x[:, -1])
            x = self._decoded(layers, x, condition, "sample")
        return self._to_video(x, condition, "sample"), last

    def _stages(self) -> Iterator[Stage]:
        """From 4x4 on."""
        return zip(self.grus, self.blocks[::2], self.blocks[1::2], self.attentions, strict=True)

    def _first_map(self, z: tf.Tensor, label: tf.Tensor | None, mode: Mode) -> tuple[tf.Tensor, tf.Tensor]:
        """The condition of every BN [N,240], and the map [N,1,4,4,c] that is the same at every time step."""
        label = tf.zeros_like(z[:, 0], tf.int32) if label is None else label
        embedding = self.embedding.value  # of a mixture of classes, the mixture of their embeddings
        embedded = tf.gather(embedding, label) if label.dtype.is_integer else tf.matmul(label, embedding)
        condition = tf.concat([z, embedded], -1)  # [z; e(y)]
        return condition, tf.reshape(self.affine(condition, mode=mode), [-1, 1, 4, 4, self.affine.kernel.shape[-1] // 16])

    def _stage(self, layers: Stage, x: tf.Tensor, condition: tf.Tensor, *state: tf.Tensor, mode: Mode) -> tf.Tensor:
        """One resolution: [N,T or 1,h,w,c] -> [N,T,2h,2w,c'], from its ConvGRU's initial state [N,h,w,c], or from 0."""
        return self._decoded(layers, layers[0](x, *state, mode=mode), condition, mode)

    def _decoded(self, layers: Stage, x: tf.Tensor, condition: tf.Tensor, mode: Mode) -> tf.Tensor:
        """What follows a ConvGRU: its states [N,T,h,w,c] -> [N,T,2h,2w,c']."""
        _, block, up, attention = layers
        x = up(block(fold(x), condition, mode=mode), condition, mode=mode)  # -> [N*T,2h,2w,c']
        return unfold(x if attention is None else attention(x, mode=mode), self.frames)

    def _to_video(self, x: tf.Tensor, condition: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N,T,H,W,c] -> [N,T,H,W,3] in [-1,1]."""
        x = self.norm(fold(x), condition, mode=mode, relu=True)
        return unfold(tf.tanh(tf.cast(self.to_rgb(x, mode=mode), tf.float32)), self.frames)


class Trunk(keras.layers.Layer):
    """BigGAN's discriminator body and projection head, of which the first `volumetric` blocks are 3-D (3.2).

    The 3-D blocks halve T; the frames that are left are scored one by one. Scores are computed in float32.
    """

    def __init__(self, config: Config, volumetric: int, size: int):
        super().__init__(dtype="float32")
        self.volumetric = volumetric
        self.stage = functools.partial(recomputed, self._stage) if config.recompute else self._stage
        width = [3] + [m * config.channels for m in D_CHANNELS[config.size]]
        self.blocks, self.attentions = [], []
        for i, (inputs, outputs) in enumerate(zip(width, width[1:], strict=False)):
            down = i < len(width) - 2  # all but the last
            self.blocks.append(DiscriminatorBlock(inputs, outputs, [3] * (3 if i < volumetric else 2), first=i == 0, down=down))
            self.attentions.append(SelfAttention(outputs) if down and config.d_attention == size >> (i + 1) else None)
        self.linear = SpectralDense(width[-1], 1, bias=True, dtype="float32")
        self.embedding = SpectralEmbedding(config.embedded_classes, width[-1], dtype="float32")
        self.built = True

    def call(self, video: tf.Tensor, label: tf.Tensor, mode: Mode) -> tf.Tensor:
        """[N,T,H,W,3] and [N] -> [N]: the sum of the frames' scores."""
        x, frames = video, video.shape[1]
        for i, layers in enumerate(zip(self.blocks, self.attentions, strict=True)):
            if i == self.volumetric:
                frames = x.shape[1]
                x = fold(x)  # [N,T',h,w,c] -> [N*T',h,w,c]
            x = self.stage(layers, x, mode=mode)
        h = tf.reduce_sum(relu(tf.cast(x, tf.float32)), [1, 2])  # sum pooling, [N*T',C]
        projection = tf.reduce_sum(unfold(h, frames) * self.embedding(label, mode=mode)[:, None], -1)  # <h, embed(y)>, [N,T']
        return tf.reduce_sum(unfold(self.linear(h, mode=mode), frames)[..., 0] + projection, 1)

    @staticmethod
    def _stage(layers: tuple[DiscriminatorBlock, SelfAttention | None], x: tf.Tensor, mode: Mode) -> tf.Tensor:
        """A block and its attention, frame by frame, of [N,T,h,w,c] or [N*T,h,w,c]."""
        block, attention = layers
        x = block(x, mode=mode)
        if attention is None:
            return x
        return attention(x, mode=mode) if len(x.shape) == 4 else unfold(attention(fold(x), mode=mode), x.shape[1])


class Discriminator(keras.Model):
    """D_S on k of the frames that G makes, D_T on phi of all of a clip's (3.2)."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        self.k, self.views, self.generated_frames = config.k, config.views, config.generated_frames
        sizes = {"4x4": config.size // 4, "2x2": config.size // 2, "identity": config.size, "crop": config.size // 2}
        self.spatial = Trunk(config, volumetric=0, size=sizes[self.views["spatial"]])
        self.temporal = Trunk(config, volumetric=VOLUMETRIC_BLOCKS, size=sizes[self.views["temporal"]])
        self.built = True

    def call(self, video: tf.Tensor, label: tf.Tensor | None, seeds: tf.Tensor, mode: Mode) -> dict[str, tf.Tensor]:
        """Scores of clips.

        Args:
            video: [N,T,H,W,3] in [-1,1].
            label: [N] int32; None if all are of the first class.
            seeds: [N,2] int32, what the choice of frames follows from.
            mode: "train" keeps the power iteration.

        Returns:
            {"spatial": [N], the sum over k frames; "temporal": [N]}, float32.
        """
        label = tf.zeros_like(seeds[:, 0]) if label is None else label
        draws = noise.uniform(seeds, [self.generated_frames + 2])
        frames = tf.math.top_k(draws[:, 2:], self.k).indices  # the k largest of T draws: k different frames, all choices alike
        generated = video[:, -self.generated_frames :]
        shown = tf.gather(generated, frames, axis=1, batch_dims=1)
        return {
            "spatial": self.spatial(self._phi(self.views["spatial"], shown, draws[:, :2]), label, mode=mode),
            "temporal": self.temporal(self._phi(self.views["temporal"], video, draws[:, :2]), label, mode=mode),
        }

    @staticmethod
    def _phi(phi: str, video: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """[N,T,H,W,3] -> what is seen of it, [N,T,H',W',3]. Crops stand at `draws` [N,2] in [0,1) of the room there is."""
        if phi == "identity":
            return video
        if phi == "crop":
            half = video.shape[2] // 2
            start = tf.cast(draws * (half + 1), tf.int32)  # [N,2], 0..half
            for axis in (2, 3):
                video = tf.gather(video, start[:, axis - 2, None] + tf.range(half), axis=axis, batch_dims=1)
            return tf.ensure_shape(video, [*video.shape[:2], half, half, 3])
        factor = int(phi[0])
        return unfold(tf.nn.avg_pool2d(fold(video), factor, factor, "VALID"), video.shape[1])


class Model(gan.GAN):
    """DVD-GAN's three networks and hinge losses."""

    config: Config
    networks: tuple[type[keras.Model], type[keras.Model]] = Generator, Discriminator
    blends = True
    free_frames = True
    unrolls = True
    score_names = "score_real_spatial", "score_real_temporal"

    @property
    def latent_width(self) -> int:
        return self.config.latent

    def inputs(self, batch: gan.Batch) -> gan.Inputs:
        """Latents [N,latent] and the labels [N] of the clips to be generated."""
        if self.config.fake_labels == "data":
            return super().inputs(batch)
        draws = noise.uniform(noise.fork(batch["seed"], DRAWN_LABELS), [])
        return {"z": self.latents(batch["seed"]), "label": tf.cast(draws * self.config.embedded_classes, tf.int32)}

    def unroll(self, network: keras.Model, inputs: gan.Inputs, state: gan.Inputs) -> tuple[tf.Tensor, gan.Inputs]:
        """The ConvGRUs go on from their states; z is drawn once a clip."""
        z = state.get("z", inputs["z"])
        states = [state[name] for name in sorted(state) if name != "z"]
        video, last = network.unroll(z, inputs.get("label"), states)
        return video, {"z": z, **{f"gru_{i}": h for i, h in enumerate(last)}}

    def discriminator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """Hinge losses of D_S and D_T, added (3.2); the hinge is taken of the summed score."""
        inputs = self.inputs(batch)
        fake = self.generator(**inputs, mode="train")
        seeds = [noise.fork(batch["seed"], stream) for stream in (gan.REAL_FRAMES, gan.FAKE_FRAMES)]
        # Real and fake in one pass: one power iteration, larger convolutions. D has no BN, so nothing mixes.
        label = tf.concat([batch["label"], inputs["label"]], 0) if "label" in inputs else None
        seeds, video = tf.concat(seeds, 0), tf.concat([batch["video"], fake], 0)
        scores = self.discriminator(self.augment(video, seeds), label, seeds, mode="train")
        terms, watched = {}, {}
        for name, score in scores.items():
            real, fake = tf.split(score, 2)
            terms[f"d_{name}"] = hinge_discriminator(real, fake)
            watched[f"score_real_{name}"], watched[f"score_fake_{name}"] = real, fake
        return terms, watched

    def generator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """-E[D_S] - E[D_T], and orthogonal regularization where asked for."""
        inputs = self.inputs(batch)
        video = self.generator(**inputs, mode="train")
        seeds = noise.fork(batch["seed"], gan.FAKE_FRAMES)
        scores = self.discriminator(self.augment(video, seeds), inputs.get("label"), seeds, mode="train")
        terms = {f"g_{name}": hinge_generator(score) for name, score in scores.items()}
        if self.config.orthogonal_regularization:
            terms["g_orthogonal"] = self.config.orthogonal_regularization * self._non_orthogonality()
        return terms, {}

    def _non_orthogonality(self) -> tf.Tensor:
        """Sum over G's kernels of |W^T W . (1 - I)|^2 (BigGAN, equation 3)."""
        total = tf.constant(0.0)
        for layer in gan.layers_of(self.generator, SpectralLayer):
            matrix = tf.reshape(layer.kernel.value, [-1, layer.kernel.shape[-1]])
            gram = tf.matmul(matrix, matrix, transpose_a=True)
            total += tf.reduce_sum(tf.square(gram - tf.linalg.diag(tf.linalg.diag_part(gram))))
        return total

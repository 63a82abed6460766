"""DVD-GAN-FP: frame-conditional prediction of "Adversarial Video Generation on Complex Datasets", Clark, Donahue, Simonyan,
arXiv 1907.06571 v2.

DVD-GAN (dvdgan.py) whose ConvGRUs do not start from 0: an encoder reads the first C frames of a clip, and its map of each size is the
initial state of the ConvGRU of that size. z is drawn as in synthesis, so that one beginning has many futures. D_S scores frames of
the continuation alone, D_T the given frames followed by the continuation, real or generated. The losses are DVD-GAN's: no term
compares the generated frames with the real ones. Sections and figures cited below are the paper's.

The paper leaves open, and this file takes:
- the encoder's weights: its own, trained by G's loss. The paper says that its body is D_S's; D_S does not share it.
- several given frames: each goes through the body alone, and their maps are put side by side along the channels, in the order of time
  (DGMR, of the same lab).
- the encoder's last block: left out, as it does not halve and so has no partner among the ConvGRUs; and no self-attention.
- width of the states: a 3x3 convolution with ReLU makes that of the ConvGRU, which is another than the encoder's (DGMR).
- BN statistics per frame: of the generated frames, counted from the first of them.
- classes: none, as in the paper, which is DVD-GAN with one class; with `--conditional` G and D read them.
- frames of D_S: drawn for each example without replacement, from those that follow the given ones (DGMR).

Differences from the paper: those of dvdgan.py.

Options of TrIVD-GAN-FP (Luc et al. 2020, arXiv 2003.04035), which came after it: `--recurrent=tsru` (or tsru_p, tsru_s), a unit that
moves its state by a flow, in the ConvGRUs' place (layers/tsru.py); and `--d_inputs=crops`: D_S scores frames of half the size, D_T a
random crop of half the size of all frames. Of that paper the equations of the unit are followed; networks are those of this file.

Parameters of the encoder at ch=16: 3,888,928 (64x64, C=5), 1,750,816 (64x64, C=1), 777,120 (32x32, C=2); at ch=128 and C=5 248,731,904
(derived by hand in tests/models/dvdgan_fp_test.py).
"""

import dataclasses
import functools
import itertools

import keras
import tensorflow as tf

from tfvideogan import config as base
from tfvideogan import gan
from tfvideogan.config import UserError, field
from tfvideogan.layers import Mode
from tfvideogan.layers.recompute import recomputed
from tfvideogan.layers.residual import DiscriminatorBlock
from tfvideogan.layers.spectral import SpectralConv
from tfvideogan.layers.tsru import TSRU
from tfvideogan.models import dvdgan
from tfvideogan.models.dvdgan import D_CHANNELS, G_CHANNELS
from tfvideogan.ops.video import fold, unfold

RECURRENT = {"gru": "", "tsru": "tsru_c", "tsru_p": "tsru_p", "tsru_s": "tsru_s"}  # of --recurrent, the variant of TSRU
D_INPUTS = ("frames", "crops")


@dataclasses.dataclass(frozen=True)
class Config(dvdgan.Config):
    """DVD-GAN-FP at the values of its paper: Kinetics-600, 64x64, 5 frames and the 11 that follow, none of the video's skipped."""

    model: str = "dvdgan_fp"
    frames: int = 16
    stride: int = 1
    steps: int = 1_000_000
    given_frames: int = field(5, "First frames of a clip, which G continues (C); it makes the others of --frames.", network=True)
    conditional: bool = field(False, "Feed the class to G and D.", network=True)
    recurrent: str = field("gru", "G's recurrent unit: gru, or TrIVD-GAN's tsru (TSRU_c), tsru_p or tsru_s.", network=True)
    d_inputs: str = field("frames", "D_S and D_T see: frames, and clips by --phi; or crops: halved frames, and crops of half the size.")

    def __post_init__(self):
        if not 1 <= self.given_frames < self.frames:
            raise UserError(f"--given_frames={self.given_frames}: expected at least 1 and less than --frames={self.frames}")
        super().__post_init__()
        self.require_one_of(RECURRENT, "recurrent")
        self.require_one_of(D_INPUTS, "d_inputs")

    @property
    def views(self) -> dict[str, str]:
        return super().views if self.d_inputs == "frames" else {"spatial": "2x2", "temporal": "crop"}

    @property
    def generated_frames(self) -> int:
        return self.frames - self.given_frames

    @property
    def embedded_classes(self) -> int:
        return super().embedded_classes if self.conditional else 1


class Encoder(keras.layers.Layer):
    """The conditioning stack: D's blocks on each given frame alone, and per size a 3x3 convolution of all frames' maps."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        self.stage = functools.partial(recomputed, self._stage) if config.recompute else self._stage
        width = [3] + [m * config.channels for m in D_CHANNELS[config.size][:-1]]  # all of D's blocks that halve
        states = [m * config.channels for m in G_CHANNELS[config.size][-2::-1]]  # of the ConvGRUs, from the largest map on
        self.blocks, self.to_states = [], []
        for i, ((inputs, outputs), state) in enumerate(zip(itertools.pairwise(width), states, strict=True)):
            self.blocks.append(DiscriminatorBlock(inputs, outputs, [3, 3], first=i == 0, down=True))
            self.to_states.append(SpectralConv(config.given_frames * outputs, state, (3, 3)))
        self.built = True

    def call(self, video: tf.Tensor, mode: Mode) -> list[tf.Tensor]:
        """[N,C,H,W,3] in [-1,1] -> h_0 of every ConvGRU, [N,h,w,c], from 4x4 on."""
        x, frames, states = fold(video), video.shape[1], []
        for block, to_state in zip(self.blocks, self.to_states, strict=True):
            x = self.stage([block], x, mode=mode)  # [N*C,h,w,c], of frames that do not see each other
            side_by_side = tf.concat(tf.unstack(unfold(x, frames), axis=1), -1)  # [N,h,w,C*c]
            states.append(to_state(side_by_side, mode=mode, relu=True))
        return states[::-1]

    @staticmethod
    def _stage(layers: list[DiscriminatorBlock], x: tf.Tensor, mode: Mode) -> tf.Tensor:
        (block,) = layers
        return block(x, mode=mode)


class Generator(dvdgan.Generator):
    """DVD-GAN's, from the encoder's states on."""

    def __init__(self, config: Config):
        super().__init__(config)
        self.encoder = Encoder(config)

    def recurrence(self, config: dvdgan.Config, channels: int) -> keras.layers.Layer:
        assert isinstance(config, Config)
        variant = RECURRENT[config.recurrent]
        return TSRU(channels, self.frames, variant) if variant else super().recurrence(config, channels)

    def call(  # type: ignore[override]  # its inputs are named
        self, z: tf.Tensor, first_frames: tf.Tensor, mode: Mode, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """z [N,latent] ~ N(0,I), the given frames [N,C,H,W,3] in [-1,1] -> these and those that follow [N,T,H,W,3] in [-1,1], float32.

        `label` [N] int32, of the conditional model.
        """
        continuation = super().call(z, label, mode, self.encoder(first_frames, mode=mode))
        return tf.concat([first_frames, continuation], 1)


class Model(dvdgan.Model):
    """DVD-GAN-FP's networks; the losses are DVD-GAN's."""

    config: Config
    networks = Generator, dvdgan.Discriminator  # whose D_S reads the frames that G makes, and D_T all
    blends = False

    @classmethod
    def batch_specs(cls, config: base.Config) -> gan.Specs:
        """Without labels where no network reads them."""
        assert isinstance(config, Config)
        specs = super().batch_specs(config)
        return specs if config.conditional else {name: spec for name, spec in specs.items() if name != "label"}

    def inputs(self, batch: gan.Batch) -> gan.Inputs:
        """Latents [N,latent], the clips' first frames [N,C,H,W,3], and the labels [N] of the conditional model."""
        inputs = super().inputs(batch) if self.config.conditional else {"z": self.latents(batch["seed"])}
        return {**inputs, "first_frames": batch["video"][:, : self.config.given_frames]}

    def unroll(self, network: keras.Model, inputs: gan.Inputs, state: gan.Inputs) -> tuple[tf.Tensor, gan.Inputs]:
        """As DVD-GAN's, from the encoder's states on; the first part begins with the given frames."""
        if state:
            return super().unroll(network, inputs, state)
        first = inputs["first_frames"]
        encoded = network.encoder(first, mode="sample")
        continuation, state = super().unroll(network, inputs, {"z": inputs["z"], **{f"gru_{i}": h for i, h in enumerate(encoded)}})
        return tf.concat([first, continuation], 1), state

"""Everybody Dance Now: Chan, Ginosar, Zhou, Efros, arXiv 1808.07371, ICCV 2019.

From pictures of poses, stick figures, to a dancer: pix2pixHD's generator reads the pose and its own frame before, and D scores pairs of
consecutive frames with their poses. Sections cited below are the paper's; what it leaves open is from the authors' code.

Three phases, each started from the one before (`--init_from`):
- "global" (3.2): the global generator, at half the size; D of 2 scales.
- "local": the same around a local enhancer at full size, all of it trained; D of 3 scales.
- "face" (3.3): a residual for the face, of a generator of its own with a D of its own. Of G only that is trained. The code trains the
  face's D alone for 10 epochs, and then both, with a new Adam: a run with --train_main_d=false, and one without from it.

From the authors' code:
- The frame before the first is gray (0 in [-1,1]); poses are read in [0,1]. The second frame of a pair is drawn from the first as
  generated, and its gradient goes through it.
- Least squares; D's terms halved. Of G: feature matching of D's maps, 10; perceptual distance of each frame, 10, in phase global 5;
  of each face, the adversarial term .5, the perceptual distance 5.
- Instance norm without gain and shift; in the face's D batch norm, of each frame's crops apart.
- Adam 2e-4, beta_1 .5; 100 epochs, then 100 linear to 0; batches of 1 pair.

Differences from the code:
- `channels` is the global part's width in every phase, 64; the code's command line of the local stage has half of it.
- Each player's pass is its own: G's is made anew after D's update. The code's is one, and G's update comes first.
- A frame's face is cut where its own box says; the code takes that of the first frame for both.
- Each weight is updated once a step; the code lists G's twice.
- VGG19 is that of `--perceptual` (layers/vgg19.py); the code's is torchvision's, which has other weights.
- Longer clips than pairs are chains, every pair of which D scores.

Parameters: G 182,452,675 (global), 182,715,939 (local), of the face 26,724,291 more; D 5,547,906 (2 scales), 8,321,859 (3), of the
face 2,769,601.
"""

import dataclasses

import keras
import tensorflow as tf

from tfvideogan import config as base
from tfvideogan import gan
from tfvideogan.config import UserError, field
from tfvideogan.layers import Mode, vgg19
from tfvideogan.layers.box import cut, windows
from tfvideogan.layers.instance_norm import InstanceNorm
from tfvideogan.layers.norm import BatchNorm
from tfvideogan.layers.patch_discriminator import MultiScaleDiscriminator, PatchDiscriminator
from tfvideogan.layers.pix2pix_hd import Enhancer, Painter, Trunk
from tfvideogan.losses import feature_matching, least_squares
from tfvideogan.ops.resample import average_pool_overlapping
from tfvideogan.ops.video import fold

PHASES = "global", "local", "face"
D_HALVINGS = 3  # PatchGANs of 70x70
FACE_HALVINGS, FACE_BLOCKS = 3, 5
EPSILON = 1e-5  # of every norm


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
    """Everybody Dance Now's global stage, at the values of its authors' code."""

    model: str = "everybody_dance_now"
    phase: str = field("global", "global, local (started from global) or face (started from local).", network=True)
    frames: int = 2
    size: int = 256
    width: int = 512
    batch_size: int = 1
    halvings: int = field(4, "Halvings of the global generator.", network=True)
    blocks: int = field(9, "Residual blocks of the global generator.", network=True)
    local_blocks: int = field(3, "Residual blocks of the local enhancer.", network=True)
    d_channels: int = field(64, "Base width of the discriminators.", network=True)
    scales: int = field(0, "Scales that D reads frames at; 0: 2 in phase global, else 3.", network=True)
    face_size: int = field(128, "Height and width of a face's crop, in pixels.", network=True)
    train_main_d: bool = field(True, "In phase face, train the D of whole frames too.", network=True)
    perceptual: str = field("keras", "VGG19 behind the perceptual losses: none, keras (downloads it) or vgg19:FILE.", path=True)
    feature_weight: float = field(10.0, "Weight of feature matching.")
    perceptual_weight: float = field(10.0, "Weight of each frame's perceptual distance; phase global and faces take half of it.")
    learning_rate_schedule: str = "linear"
    beta_1: float = 0.5
    adam_epsilon: float = 1e-8
    ema_decay: float = 0.0  # no average: the generator itself is sampled

    def __post_init__(self):
        super().__post_init__()
        self.require_at_least(1, "halvings", "blocks", "local_blocks", "d_channels", "face_size")
        self.require_at_least(0, "scales", "feature_weight", "perceptual_weight")
        vgg19.check(self.perceptual)
        self.require_one_of(PHASES, "phase")
        if self.frames < 2:
            raise UserError(f"--frames={self.frames}: expected at least 2, for D scores pairs of frames")
        multiple = 2 ** (self.halvings + (self.phase != "global"))
        for name, length in zip(("size", "width"), self.frame_size, strict=True):
            if length % multiple or length < 2 * multiple:
                raise UserError(
                    f"--{name}={length}: expected a multiple of {multiple}, at least {2 * multiple}, at --halvings={self.halvings}"
                )
        if self.channels % 2:
            raise UserError(f"--channels={self.channels}: expected an even number, the local enhancer has half as many")
        if self.phase == "face" and (self.face_size % 16 or self.face_size > min(self.frame_size)):
            raise UserError(f"--face_size={self.face_size}: expected a multiple of 16, at most the frame's {min(self.frame_size)}")

    @property
    def d_scales(self) -> int:
        """Scales of D."""
        return self.scales or (2 if self.phase == "global" else 3)


class Generator(keras.Model):
    """A frame from its pose and the frame before, in turn."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        ch = config.channels
        self.trunk = Trunk(6, ch, config.halvings, config.blocks)
        if config.phase == "global":
            self.painter = Painter(ch, 3)
        else:
            self.enhancer, self.local_painter = Enhancer(6, ch // 2, config.local_blocks), Painter(ch // 2, 3)
        if config.phase == "face":
            for part in (self.trunk, self.enhancer, self.local_painter):
                part.trainable = False
            self.face_trunk, self.face_painter = Trunk(6, ch, FACE_HALVINGS, FACE_BLOCKS), Painter(ch, 3)
        self.phase, self.face_size = config.phase, config.face_size
        self.built = True

    def call(self, source: tf.Tensor, mode: Mode, face: tf.Tensor | None = None) -> tf.Tensor:
        """Poses [N,T,H,W,3] in [-1,1], in phase face with the faces' centers, int32 [N,T,2] (row, column) -> video
        [N,T,H,W,3] in [-1,1] (a face may go beyond), float32."""
        return self.chain(source, face, tf.zeros_like(source[:, 0]))

    def chain(self, source: tf.Tensor, face: tf.Tensor | None, before: tf.Tensor) -> tf.Tensor:
        """As a call, but that the first frame is made from the frame before [N,H,W,3], gray where there is none."""
        poses, frames = 0.5 * source + 0.5, [before]
        for t in range(source.shape[1]):
            frame = self.frame(tf.concat([poses[:, t], frames[-1]], -1))
            if face is not None:
                frame = self.with_face(frame, poses[:, t], face[:, t])
            frames.append(frame)
        return tf.stack(frames[1:], 1)

    def frame(self, x: tf.Tensor) -> tf.Tensor:
        """Pose and frame before, [N,H,W,6] -> frame [N,H,W,3] in [-1,1], float32."""
        if self.phase == "global":
            return self.painter(self.trunk(x))
        return self.local_painter(self.enhancer(x, self.trunk(average_pool_overlapping(x))))

    def with_face(self, frame: tf.Tensor, pose: tf.Tensor, center: tf.Tensor) -> tf.Tensor:
        """The frame with the residual of its face."""
        rows, columns = windows(frame, center, self.face_size)
        read = tf.concat([cut(pose, rows, columns), cut(frame, rows, columns)], -1)
        residual = self.face_painter(self.face_trunk(read))
        return frame + tf.einsum("nsh,nstc,ntw->nhwc", rows, residual, columns)


class Discriminator(keras.Model):
    """Of pairs of frames with their poses; in phase face of faces too."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        ch = config.d_channels
        self.main = MultiScaleDiscriminator(config.d_scales, 12, ch, D_HALVINGS, lambda width: InstanceNorm(width, EPSILON, gain=None))
        if config.phase == "face":
            self.main.trainable = config.train_main_d
            gains = keras.initializers.RandomNormal
            self.face = PatchDiscriminator(6, ch, D_HALVINGS, lambda width: BatchNorm(width, EPSILON, gain=gains(1.0, 0.02)))
        self.built = True

    def call(self, poses: tf.Tensor, video: tf.Tensor, mode: Mode) -> list[list[tf.Tensor]]:
        """Poses in [0,1] and frames in [-1,1], [N,T,H,W,3] -> maps of the N*(T-1) pairs, for each scale, scores last."""
        pairs = tf.concat([poses[:, :-1], poses[:, 1:], video[:, :-1], video[:, 1:]], -1)  # s(t-1), s(t), I(t-1), I(t)
        return self.main(fold(pairs), mode=mode)


class Model(gan.GAN):
    """Everybody Dance Now's networks and losses."""

    config: Config
    networks = Generator, Discriminator
    free_frames = True
    unrolls = True

    def __init__(self, config: Config):
        super().__init__(config)
        self.vgg = vgg19.network(config.perceptual)

    @classmethod
    def batch_specs(cls, config: base.Config) -> gan.Specs:
        """Poses and frames, in phase face with the faces' centers; no network reads labels."""
        assert isinstance(config, Config)
        specs = {name: spec for name, spec in super().batch_specs(config).items() if name != "label"}
        face = {"face": tf.TensorSpec([None, config.frames, 2], tf.int32)} if config.phase == "face" else {}
        return {**specs, "source": specs["video"], **face}

    @property
    def latent_width(self) -> int:
        return 0

    def inputs(self, batch: gan.Batch) -> gan.Inputs:
        """Poses, and the faces of phase face."""
        return {name: batch[name] for name in ("source", "face") if name in self.batch_specs(self.config)}

    def unroll(self, network: keras.Model, inputs: gan.Inputs, state: gan.Inputs) -> tuple[tf.Tensor, gan.Inputs]:
        """The frames of any number of poses, from the last frame of the part before."""
        assert isinstance(network, Generator)
        source = inputs["source"]
        video = network.chain(source, inputs.get("face"), state.get("before", tf.zeros_like(source[:, 0])))
        return video, {"before": video[:, -1]}

    def discriminator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """Half the distances from 1 and 0, summed over scales; of each frame's face too."""
        poses, fake = 0.5 * batch["source"] + 0.5, self.generator(**self.inputs(batch), mode="train")
        terms: gan.Scalars = {}
        watched: gan.Scalars = {}
        for name, video, target in (("real", batch["video"], 1.0), ("fake", fake, 0.0)):
            scores = [maps[-1] for maps in self.discriminator(poses, video, mode="train")]
            if self.config.phase != "face" or self.config.train_main_d:
                terms[f"d_{name}"] = 0.5 * tf.add_n([least_squares(score, target) for score in scores])
            watched[f"score_{name}"] = tf.reduce_mean(scores[0])
            if self.config.phase == "face":
                faces = [self.discriminator.face(face, mode="train")[-1] for face in self.faces(poses, video, batch["face"])]
                terms[f"d_face_{name}"] = 0.5 * 0.5 * tf.add_n([least_squares(score, target) for score in faces])
        return terms, watched

    def generator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """Equations 6 to 9, with the code's weights."""
        config, poses, real = self.config, 0.5 * batch["source"] + 0.5, batch["video"]
        fake = self.generator(**self.inputs(batch), mode="train")
        of_real, of_fake = (self.discriminator(poses, video, mode="train") for video in (real, fake))
        terms = {
            "g_loss": tf.add_n([least_squares(maps[-1], 1.0) for maps in of_fake]),
            "g_features": config.feature_weight * feature_matching(of_real, of_fake),
        }
        if self.vgg is not None:
            weight = config.perceptual_weight * config.frames * (0.5 if config.phase == "global" else 1.0)  # a sum over frames
            terms[f"g_perceptual_{self.vgg.name}"] = weight * vgg19.perceptual_distance(self.vgg, fold(fake), fold(real))
        if config.phase == "face":
            of_real, of_fake = (self.faces(poses, video, batch["face"]) for video in (real, fake))
            scores = [self.discriminator.face(face, mode="train")[-1] for face in of_fake]
            terms["g_face"] = 0.5 * tf.add_n([least_squares(score, 1.0) for score in scores])
            if self.vgg is not None:
                distances = [vgg19.perceptual_distance(self.vgg, f[..., 3:], r[..., 3:]) for f, r in zip(of_fake, of_real, strict=True)]
                terms[f"g_face_perceptual_{self.vgg.name}"] = 0.5 * config.perceptual_weight * tf.add_n(distances)
        return terms, {}

    def faces(self, poses: tf.Tensor, video: tf.Tensor, centers: tf.Tensor) -> list[tf.Tensor]:
        """Of each of T frames, the faces' poses and pictures [N,size,size,6]."""
        cuts = []
        for t in range(video.shape[1]):
            rows, columns = windows(video[:, t], centers[:, t], self.config.face_size)
            cuts.append(tf.concat([cut(poses[:, t], rows, columns), cut(video[:, t], rows, columns)], -1))
        return cuts

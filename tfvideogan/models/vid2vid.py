"""vid2vid: "Video-to-Video Synthesis", Wang, Liu, Zhu, Liu, Tao, Kautz, Catanzaro, arXiv 1808.06601, NeurIPS 2018.

From a video of what is to be seen (a label for each pixel, sketches, poses) to a video that looks real. Each frame is made from the labels
of three frames and the two frames before (3.1, L = 2): the last one, warped by a flow, where a mask lets it through, and painted pixels
elsewhere (equation 4); things of the foreground are painted by a network of their own (3.2). The first two frames are real, or made by a
network of single pictures, pix2pixHD's, which phase "image" trains; or the first is painted from nothing. Scales are learned coarse to
fine: phase "finest" trains a new finest scale around frozen ones, phase "joint" all. D_I judges frames with their labels, a D_V for each
spacing several frames with the flows between them (3.1), D_face, where asked for, faces. Sequences are learned in chunks, which begin with
the frames that were generated last.

From the authors' code:
- The tables; what D judges: D_I the frame and the painted frame; D_V the flows of the real frames, divided by 20.
- The weights of the losses; means are over all pixels, those where the reference flow is not to be trusted count as 0.
- Least squares; Adam 2e-4, beta_1 .5; half of the epochs constant, half linear to 0.
- Without first frames (`--first_frames=none`) the first one is painted only, and the mask's mean is a loss.

Differences from the code:
- Norms have the statistics of a frame, in training and after. The code's batch norm has those of the frames on one device.
- The first of `--first_frames=none` is the clip's first, before which its labels are repeated; in the code it is the third.
- The reference flow is the data's, and flows between spaced frames are put together from it; the code asks FlowNet2 for each.
- Each player's pass is its own: G's is made anew after D's update. In phase joint, Adam's moments are new, as a run's are.
- A sequence that grows (`--grow_every_steps`) is a part of a clip of --frames, which is read whole; the code reads as many as it learns.
- A new D of more scales has its new scale at the coarsest picture; the code's is at the finest.
- The last layers of coarse scales stay as they are in phase joint, unless gradients go through frames: nothing reaches them.
- No features of instances to vary the output (3.3), nor of faces for the network of first frames; its D is D_I. No TTUR.

Three faults of the code are mended: the rate of D_V never decays there; --gan_mode is LSGAN whatever it says, and is no flag here;
FlowNet2's flows are scaled along both axes by the heights, where ours are scaled along each by its own.

Parameters at 256x512 with 35 labels, instances and a foreground: G 411,335,241, without foreground 365,391,366; D_I 5,606,786, each D_V
5,553,538; a second scale of G 2,880,489, a third 859,641; the network of first frames 45,696,835.
"""

import dataclasses
from typing import NamedTuple

import keras
import tensorflow as tf

from tfvideogan import config as base
from tfvideogan import gan
from tfvideogan.config import UserError, field
from tfvideogan.layers import Mode, vgg19
from tfvideogan.layers.box import cut, windows
from tfvideogan.layers.composer import Composer, Frame
from tfvideogan.layers.instance_norm import InstanceNorm
from tfvideogan.layers.label_maps import label_maps
from tfvideogan.layers.patch_discriminator import MultiScaleDiscriminator
from tfvideogan.layers.pix2pix_hd import PictureGenerator
from tfvideogan.layers.spaced_frames import several_frames
from tfvideogan.layers.warp import warp
from tfvideogan.losses import feature_matching, least_squares, mean_distance
from tfvideogan.ops import noise
from tfvideogan.ops.flow_color import flow_to_color
from tfvideogan.ops.in_order import copies
from tfvideogan.ops.resample import average_pool_overlapping, downsample
from tfvideogan.ops.video import fold, from_unit, to_uint8, unfold

PHASES = "finest", "joint", "image"
FIRST_FRAMES = "none", "real", "image"
PAST = 2  # frames before, that a frame is made from (L)
FLOW_UNIT = 20.0  # pixels, of the coarsest scale's flow and of D_V's
DOUBT = 0.02  # squared distance of colors in [-1,1], summed, from which on a reference flow is not trusted
D_HALVINGS = 3
EPSILON = 1e-5  # of every norm
LONGEST_MEMORY = 256  # frames; 4 spacings of 3 frames reach back 54
OF_FRAMES = {"source": PAST, "instances": PAST, "video": 1, "flow": 0, "face": 0}  # a batch's, and how many more a chunk has before its own
SEQUENCE = 100  # stream of an example's seed
WIDEST = 1024  # of pictures that VGG19 reads


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
    """vid2vid at the values of its authors' code for streets of 512x256, without first frames."""

    model: str = "vid2vid"
    phase: str = field("joint", "joint trains all scales of G, finest the last one alone, image the network of first frames.", network=True)
    frames: int = 6
    size: int = 256
    width: int = 512
    channels: int = 128
    batch_size: int = 1
    flip: bool = True
    source_labels: int = field(35, "Labels of the source's pixels; 0: it has no labels but channels.", network=True)
    source_channels: int = field(0, "Channels of a source without labels, in [-1,1]: 3 pictures, 6 poses, 15 faces.", network=True)
    instances: bool = field(True, "Whether the edges of instances are read too, beside labels.", network=True)
    foreground: str = field("26", "Labels of the foreground, with commas, which has a network of its own; empty: none.", network=True)
    first_frames: str = field("none", "none (one is painted only), real (two are given) or image (a network makes two).", network=True)
    scales: int = field(1, "Scales of G, of which each doubles height and width.", network=True)
    halvings: int = field(3, "Halvings of the coarsest scale.", network=True)
    blocks: int = field(9, "Residual blocks of the coarsest scale: half of them, and one more if odd, before the sum.", network=True)
    local_blocks: int = field(3, "Residual blocks of the other scales.", network=True)
    image_channels: int = field(64, "Base width of the network of first frames.", network=True)
    image_halvings: int = field(3, "Halvings of the network of first frames.", network=True)
    image_blocks: int = field(9, "Residual blocks of the network of first frames.", network=True)
    image_local_blocks: int = field(0, "Residual blocks of a local enhancer around that network; 0: there is none.", network=True)
    warping: bool = field(True, "Warp the last frame. Without, frames are painted only.", network=True)
    chunk_frames: int = field(6, "Frames that are learned at once; what --frames has over a multiple of it is not learned from.")
    grow_from_frames: int = field(0, "With --grow_every_steps, frames that are generated at first, at a drawn place of the clip.")
    grow_every_steps: int = field(0, "Steps after which --grow_from_frames double, each time, until the clip is learned whole; 0: always.")
    backpropagate_frames: int = field(1, "Frames that a gradient goes back through.", network=True)
    d_channels: int = field(64, "Base width of the discriminators.", network=True)
    d_scales: int = field(2, "Scales that the discriminators read pictures at.", network=True)
    temporal_scales: int = field(2, "Discriminators of several frames; the i-th reads every temporal_frames^i-th.", network=True)
    temporal_frames: int = field(3, "Frames that these read at once (K).", network=True)
    face_size: int = field(0, "Height and width of what D_face reads around a face; 0: there is none.", network=True)
    perceptual: str = field("keras", "VGG19 behind the perceptual losses: none, keras (downloads it) or vgg19:FILE.", path=True)
    feature_weight: float = field(10.0, "Weight of feature matching.")
    perceptual_weight: float = field(10.0, "Weight of the perceptual distance.")
    flow_weight: float = field(10.0, "Weight of the flow's distance from the reference; halved for each scale but the first.")
    warp_weight: float = field(10.0, "Weight of the distances of warped frames.")
    mask_weight: float = field(1.0, "Weight of the mask's mean, with --first_frames=none.")
    steps: int = 59_500  # 20 epochs of 2,975 sequences
    learning_rate_schedule: str = "linear"
    decay_start_step: int = 29_750
    beta_1: float = 0.5
    adam_epsilon: float = 1e-8
    ema_decay: float = 0.0  # no average: the generator itself is sampled

    def __post_init__(self):
        super().__post_init__()
        self.require_at_least(1, "scales", "halvings", "local_blocks", "chunk_frames", "backpropagate_frames", "d_channels", "d_scales")
        self.require_at_least(1, "image_channels", "image_halvings", "image_blocks")
        self.require_at_least(2, "blocks", "temporal_frames")
        self.require_at_least(0, "source_labels", "source_channels", "temporal_scales", "face_size")
        self.require_at_least(0, "grow_from_frames", "grow_every_steps", "image_local_blocks")
        self.require_at_least(0, "feature_weight", "perceptual_weight", "flow_weight", "warp_weight", "mask_weight")
        vgg19.check(self.perceptual)
        self.require_one_of(PHASES, "phase")
        self.require_one_of(FIRST_FRAMES, "first_frames")
        if bool(self.source_labels) == bool(self.source_channels):
            raise UserError(
                f"--source_labels={self.source_labels} --source_channels={self.source_channels}: expected one of them, and the other 0"
            )
        if not self.source_labels and (self.instances or self.foreground):
            raise UserError(f"--source_labels=0: got {self.instances} and {self.foreground!r}, expected --instances=false --foreground=")
        labels = self.foreground.split(",") if self.foreground else []
        if not all(label.isdecimal() and int(label) < self.source_labels for label in labels):
            raise UserError(f"--foreground={self.foreground}: expected numbers below --source_labels={self.source_labels}, with commas")
        if self.phase == "image" and self.first_frames != "image":
            raise UserError(f"--phase=image: got --first_frames={self.first_frames}, expected --first_frames=image")
        halvings = self.halvings + self.scales - 1
        if self.first_frames == "image":
            halvings = max(halvings, self.image_halvings + bool(self.image_local_blocks))
        multiple = 2**halvings
        for name, length in zip(("size", "width"), self.frame_size, strict=True):
            if length % multiple or length < max(2 * multiple, 2 ** (self.scales + 1)):
                least = max(2 * multiple, 2 ** (self.scales + 1))
                raise UserError(f"--{name}={length}: expected a multiple of {multiple}, at least {least}, at this many halvings and scales")
        if self.channels % 2**self.scales:
            raise UserError(f"--channels={self.channels}: expected a multiple of {2**self.scales}, of which each scale has half")
        if self.frames <= self.given_frames:
            raise UserError(f"--frames={self.frames}: expected more than {self.given_frames}, the first frames")
        if self.grow_every_steps and not self.learned_frames <= self.grow_from_frames <= self.frames - self.given_frames:
            raise UserError(
                f"--grow_from_frames={self.grow_from_frames}: expected {self.learned_frames}, a chunk, to "
                f"{self.frames - self.given_frames}, all that are generated, with --grow_every_steps={self.grow_every_steps}"
            )
        if self.backpropagate_frames > self.chunk_frames:
            raise UserError(f"--backpropagate_frames={self.backpropagate_frames}: expected at most --chunk_frames={self.chunk_frames}")
        if self.memory > LONGEST_MEMORY:
            raise UserError(
                f"--temporal_scales={self.temporal_scales} --temporal_frames={self.temporal_frames}: expected them to reach back at most "
                f"{LONGEST_MEMORY} frames, got {self.memory}"
            )
        if self.face_size > min(self.frame_size):
            raise UserError(f"--face_size={self.face_size}: expected at most the frame's {min(self.frame_size)}")

    @property
    def given_frames(self) -> int:
        """Frames at the beginning that are real in training, and not learned."""
        return 0 if self.first_frames == "none" or self.phase == "image" else PAST

    @property
    def learned_frames(self) -> int:
        """Frames of a chunk."""
        return min(self.chunk_frames, self.frames - self.given_frames)

    @property
    def memory(self) -> int:
        """Frames before a chunk that the D_V of the widest spacing reads."""
        return (self.temporal_frames - 1) * self.temporal_frames ** (self.spacings - 1) if self.spacings else 0

    @property
    def spacings(self) -> int:
        """How many D_V there are."""
        return 0 if self.phase == "image" else self.temporal_scales

    @property
    def source_maps(self) -> int:
        """Channels of what the networks read of the source."""
        return self.source_channels or self.source_labels + self.instances

    @property
    def foreground_labels(self) -> list[int]:
        """The numbers of --foreground."""
        return [int(label) for label in self.foreground.split(",")] if self.foreground else []


def maps_of(config: Config, source: tf.Tensor, instances: tf.Tensor | None) -> tf.Tensor:
    """What networks read of a source: the maps of labels int32 [N,T,H,W] and instances; or channels as they are. [N,T,H,W,source_maps]."""
    return source if config.source_channels else label_maps(source, config.source_labels, instances)


def norm(channels: int) -> InstanceNorm:
    """The code's batch norm, of one frame."""
    return InstanceNorm(channels, EPSILON, gain=keras.initializers.RandomNormal(1.0, 0.02))


def composer(config: Config, scale: int) -> Composer:
    """A scale of the generator: 0 the coarsest, which the others read features of."""
    channels = config.channels // 2**scale
    return Composer(
        config.source_maps,
        PAST,
        channels,
        halvings=1 if scale else config.halvings,
        blocks=config.local_blocks if scale else config.blocks,
        norm=norm,
        flow_unit=FLOW_UNIT * 2**scale if config.warping else 0.0,
        foreground=config.foreground_labels,
        foreground_channels=channels // 2 if config.halvings > 2 else channels,
        finer=scale > 0,
    )


class Generator(keras.Model):
    """Frames in turn, each at every scale; and a network of single pictures for the first ones, where it is asked for."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        self.config = config
        self.scales = [composer(config, scale) for scale in range(config.scales)] if config.phase != "image" else []
        for scale in self.scales[:-1]:
            scale.trainable = config.phase == "joint"
            for head in scale.heads:
                head.trainable = config.phase == "joint" and config.backpropagate_frames > 1
        if config.first_frames == "image":
            sizes = config.image_channels, config.image_halvings, config.image_blocks, config.image_local_blocks
            self.image = PictureGenerator(config.source_maps, *sizes)
            self.image.trainable = config.phase == "image"
        self.built = True

    def call(self, source: tf.Tensor, mode: Mode, instances: tf.Tensor | None = None, video: tf.Tensor | None = None) -> tf.Tensor:
        """Labels int32 [N,T,H,W], with instances int32 of the same shape, or channels [N,T,H,W,C] in [-1,1]; and the first frames
        [N,2,H,W,3], if they are given, with which the result begins -> video [N,T,H,W,3] in [-1,1], float32."""
        maps = maps_of(self.config, source, instances)
        first = self.first_frames(maps, video)
        frames = self.following(maps, first)
        return frames.final if first is None else tf.concat([first, frames.final], 1)

    def first_frames(self, maps: tf.Tensor, video: tf.Tensor | None) -> tf.Tensor | None:
        """Those that the others follow [N,2,H,W,3]: given, or made by the network of single pictures; None if there are none."""
        made = self.config.first_frames == "image" and self.config.phase != "image"
        return self.pictures(maps[:, :PAST]) if made else video

    def pictures(self, maps: tf.Tensor) -> tf.Tensor:
        """Of the network of single pictures, from the maps of each alone [N,T,H,W,C]: [N,T,H,W,3]."""
        return unfold(self.image(fold(maps)), maps.shape[1])

    def following(self, maps: tf.Tensor, first: tf.Tensor | None) -> Frame:
        """The frames after the first ones [N,2,H,W,3], or all where there are none, of the maps of all."""
        frames, _ = self.roll(maps if first is not None else repeat_first(maps, PAST), self.beginning(tf.shape(maps)[0], first))
        return frames

    def beginning(self, clips: tf.Tensor, given: tf.Tensor | None) -> gan.Inputs:
        """The state before any frame is generated: of each scale the frames before ("past0", "past1", ..), and whether there are none
        ("first" [N], 1 or 0). Of the number of clips, and the first frames [N,2,H,W,3], if they are given."""
        before = tf.zeros([clips, PAST, *self.config.frame_size, 3]) if given is None else given
        past = [unfold(frames, PAST) for frames in self.pyramid(fold(before))]
        return {"first": tf.fill([clips], float(given is None)), **{f"past{scale}": frames for scale, frames in enumerate(past)}}

    def pyramid(self, pictures: tf.Tensor) -> list[tf.Tensor]:
        """Pictures [N,H,W,C] as each scale reads them, coarsest first."""
        found = [pictures]
        for _ in self.scales[1:]:
            found.insert(0, average_pool_overlapping(found[0]))
        return found

    def roll(self, maps: tf.Tensor, state: gan.Inputs) -> tuple[Frame, gan.Inputs]:
        """The frames [N,T,...] of the finest scale that follow a state, and the state after them.

        Args:
            maps: of the source of two frames more, those before [N,2+T,H,W,C].
            state: see `beginning`.
        """
        if self.config.phase == "image":
            pictures = self.pictures(maps[:, PAST:])
            return Frame(pictures, pictures, tf.zeros_like(pictures[..., :2]), tf.ones_like(pictures[..., :1])), state
        past, first, frames = [state[f"past{scale}"] for scale in range(len(self.scales))], state["first"], []
        for t in range(maps.shape[1] - PAST):
            if t % self.config.backpropagate_frames == 0:
                past = [tf.stop_gradient(pictures) for pictures in past]
            sources = self.pyramid(tf.concat(tf.unstack(maps[:, t : t + PAST + 1], axis=1), -1))
            features: dict[str, tf.Tensor] = {}
            for scale, (net, source) in enumerate(zip(self.scales, sources, strict=True)):
                frame, features = net(source, past[scale], first, features)
                past[scale] = tf.concat([past[scale][:, 1:], frame.final[:, None]], 1)
            frames.append(frame)
            first = tf.zeros_like(first)
        together = Frame(*(tf.stack(part, 1) for part in zip(*frames, strict=True)))
        return together, {"first": first, **{f"past{scale}": pictures for scale, pictures in enumerate(past)}}


def repeat_first(x: tf.Tensor, times: int) -> tf.Tensor:
    """[N,T,...] -> [N,times+T,...]: before the first frame, the same."""
    return tf.concat([x[:, :1]] * times + [x], 1)


class Discriminator(keras.Model):
    """Of single frames with their sources, of several frames with the flows between them, and of faces."""

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        ch, frame, k = config.d_channels, config.source_maps + 3, config.temporal_frames
        self.image = MultiScaleDiscriminator(config.d_scales, frame, ch, D_HALVINGS, norm)
        several = 3 * k + 2 * (k - 1)
        self.temporal = [MultiScaleDiscriminator(config.d_scales, several, ch, D_HALVINGS, norm) for _ in range(config.spacings)]
        if config.face_size:
            self.face = MultiScaleDiscriminator(max(1, config.d_scales - 2), frame, ch, D_HALVINGS, norm)
        self.built = True


class Question(NamedTuple):
    """What a discriminator is asked, of the same real and generated frames.

    Attributes:
        name: of its losses.
        judge: the discriminator.
        real: [M,h,w,C].
        fakes: one or several of the same shape.
        weight: of each example [M]; None: 1.
        factor: of its part in G's loss.
    """

    name: str
    judge: MultiScaleDiscriminator
    real: tf.Tensor
    fakes: list[tf.Tensor]
    weight: tf.Tensor | None = None
    factor: float = 1.0


class Model(gan.GAN):
    """vid2vid's networks and losses."""

    config: Config
    networks = Generator, Discriminator
    free_frames = True
    unrolls = True

    def __init__(self, config: Config):
        super().__init__(config)
        self.vgg = vgg19.network(config.perceptual)
        self.chunks = (config.frames - config.given_frames) // config.learned_frames
        self.first_part = max(1, config.given_frames)

    @classmethod
    def batch_specs(cls, config: base.Config) -> gan.Specs:
        """Labels of pixels, with the numbers of instances, or channels; frames and their flow; the centers of faces."""
        assert isinstance(config, Config)
        specs = {name: spec for name, spec in super().batch_specs(config).items() if name != "label"}
        pixels = [None, config.frames, *config.frame_size]
        if config.source_channels:
            specs["source"] = tf.TensorSpec([*pixels, config.source_channels], tf.float32)
        else:
            specs["source"] = tf.TensorSpec(pixels, tf.int32)
        if config.instances:
            specs["instances"] = tf.TensorSpec(pixels, tf.int32)
        if config.face_size:
            specs["face"] = tf.TensorSpec([None, config.frames, 2], tf.int32)
        return specs if config.phase == "image" else {**specs, "flow": tf.TensorSpec([*pixels, 2], tf.float32)}

    @property
    def latent_width(self) -> int:
        return 0

    def inputs(self, batch: gan.Batch) -> gan.Inputs:
        """The source, and the first frames, if they are given."""
        given = {"video": batch["video"][:, :PAST]} if self.config.first_frames == "real" else {}
        return {**{name: batch[name] for name in ("source", "instances") if name in self.batch_specs(self.config)}, **given}

    def unroll(self, network: keras.Model, inputs: gan.Inputs, state: gan.Inputs) -> tuple[tf.Tensor, gan.Inputs]:
        """The frames of any number of sources; the first part has the first frames at least. The state keeps the last sources."""
        assert isinstance(network, Generator)
        maps, video = maps_of(self.config, inputs["source"], inputs.get("instances")), inputs.get("video")
        if state:
            maps = tf.concat([state["maps"], maps], 1)
        else:
            video = network.first_frames(maps, video)
            state = network.beginning(tf.shape(maps)[0], video)
            maps = repeat_first(maps, PAST) if video is None else maps
        if maps.shape[1] == PAST:
            assert video is not None
            return video, {**state, "maps": maps}
        frames, after = network.roll(maps, state)
        shown = frames.final if video is None else tf.concat([video, frames.final], 1)
        return shown, {**after, "maps": maps[:, -PAST:]}

    def details(self, network: keras.Model, batch: gan.Batch) -> gan.Details:
        """The flow, its full color an eighth of the height, and the mask, white where a frame is painted; and the mask's mean. Of first
        frames, given or of single pictures, neither: white, black."""
        assert isinstance(network, Generator)
        if not self.config.warping or self.config.phase == "image":
            return {}, {}
        inputs = self.inputs(batch)
        maps = self.maps(inputs)
        frames = network.following(maps, network.first_frames(maps, inputs.get("video")))
        flow, mask = (tf.pad(part, [[0, 0], [self.config.given_frames, 0], *[[0, 0]] * 3]) for part in (frames.flow, frames.mask))
        shown = {"flow": flow_to_color(flow, self.config.size / 8), "mask": to_uint8(tf.repeat(from_unit(mask), 3, -1))}
        return shown, {"painted_share": tf.reduce_mean(frames.mask, [1, 2, 3, 4])}

    def chunks_at(self, step: int) -> int:
        """Of a sequence that doubles every so many steps."""
        config = self.config
        if not config.grow_every_steps:
            return self.chunks
        doublings = min(step // config.grow_every_steps, config.frames)  # as many are more than enough
        return min(config.grow_from_frames * 2**doublings // config.learned_frames, self.chunks)

    def sequence(self, batch: gan.Batch, chunks: int) -> gan.Batch:
        """Of sequences that grow, frames in a row from one that is drawn for each clip."""
        config, length = self.config, self.config.given_frames + chunks * self.config.learned_frames
        if not config.grow_every_steps:
            return batch
        first = tf.cast(noise.uniform(noise.fork(batch["seed"], SEQUENCE), [1]) * float(config.frames - length + 1), tf.int32)
        frames = {name: tf.gather(batch[name], first + tf.range(length), axis=1, batch_dims=1) for name in batch if name in OF_FRAMES}
        return {**batch, **frames}

    def chunk(self, batch: gan.Batch, i: int) -> gan.Batch:
        """The frames that are learned, K: their flow and faces; with the frame before, the video; with the two before, the source."""
        given, length = self.config.given_frames, self.config.learned_frames
        found: gan.Batch = {"seed": batch["seed"]}
        for name, before in OF_FRAMES.items():
            if name in self.batch_specs(self.config):
                frames = batch[name][:, given - before :] if given else repeat_first(batch[name], before)
                found[name] = frames[:, i * length : (i + 1) * length + before]
        return found

    def initial_state(self, batch: gan.Batch) -> gan.Batch:
        """The generator's, and the real and generated frames and the flows that D_V remembers, none of which is "seen" [N] yet."""
        clips = tf.shape(batch["video"])[0]
        state = self.generator.beginning(clips, batch["video"][:, :PAST] if self.config.given_frames else None)
        if self.config.memory:
            kinds = {"real_before": 3, "fake_before": 3, "flow_before": 2}
            blank = {name: tf.zeros([clips, self.config.memory, *self.config.frame_size, n]) for name, n in kinds.items()}
            state = {**state, **blank, "seen": tf.zeros([clips])}
        return state

    def next_state(self, chunk: gan.Batch) -> gan.Batch:
        frames, state = self.generator.roll(self.maps(chunk), chunk)
        if self.config.memory:
            shown = {"real_before": chunk["video"][:, 1:], "fake_before": frames.final, "flow_before": chunk["flow"]}
            kept = {name: tf.concat([chunk[name], new], 1)[:, -self.config.memory :] for name, new in shown.items()}
            state = {**state, **kept, "seen": tf.minimum(chunk["seen"] + float(self.config.learned_frames), float(self.config.memory))}
        return state

    def maps(self, chunk: gan.Batch) -> tf.Tensor:
        """What networks read of a source, as of a chunk's."""
        return maps_of(self.config, chunk["source"], chunk.get("instances"))

    def with_state(self, batch: gan.Batch) -> gan.Batch:
        """A chunk with its state; of clips that are learned whole, made here."""
        return batch if "past0" in batch else {**self.chunk(batch, 0), **self.initial_state(batch)}

    def questions(self, chunk: gan.Batch, maps: tf.Tensor, frames: Frame) -> list[Question]:
        """What the discriminators are asked of a chunk's frames; `maps` are those of its source."""
        config, d, real = self.config, self.discriminator, chunk["video"][:, 1:]
        now = maps[:, PAST:]

        def with_source(video: tf.Tensor) -> tf.Tensor:
            return fold(tf.concat([now, video], -1))

        finals = iter(copies(frames.final, len(d.temporal) + 2))
        fakes = [with_source(next(finals)), *([with_source(frames.painted)] if config.phase != "image" else [])]
        found = [Question("image", d.image, with_source(real), fakes)]
        for scale, judge in enumerate(d.temporal):
            k, spacing = config.temporal_frames, config.temporal_frames**scale
            before, last = spacing * (k - 1), self.config.memory + config.learned_frames - 1
            back = range(0, config.learned_frames, k)  # how far before the newest frame each ends
            flows = tf.concat([chunk["flow_before"], chunk["flow"]], 1)
            videos = (tf.concat([chunk[f"{kind}_before"], new], 1) for kind, new in (("real", real), ("fake", next(finals))))
            shown, fake = (several_frames(video, flows, [last - t for t in back], spacing, k, FLOW_UNIT) for video in videos)
            there = [tf.cast(chunk["seen"] + float(config.learned_frames - before) > t, tf.float32) for t in back]
            count = tf.maximum(tf.add_n(there), 1.0)  # of a clip; the loss is the mean over those that there are
            weight = tf.concat([float(len(back)) * one / count for one in there], 0)
            found.append(Question(f"temporal{scale}", judge, shown, [fake], weight))
        if config.face_size:
            rows, columns = windows(fold(real), fold(chunk["face"]), config.face_size)
            faces = (cut(with_source(video), rows, columns) for video in (real, next(finals)))
            found.append(Question("face", d.face, next(faces), [next(faces)], factor=2.0))
        return found

    def discriminator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """Half the distances from 1 and 0; D_I's of frames and of painted frames, each beside the real ones."""
        chunk = self.with_state(batch)
        maps = self.maps(chunk)
        terms: gan.Scalars = {}
        for name, judge, real, fakes, weight, _ in self.questions(chunk, maps, self.generator.roll(maps, chunk)[0]):
            terms[f"d_{name}_real"] = 0.5 * len(fakes) * distance_from(judge(real, mode="train"), 1.0, weight)
            terms[f"d_{name}_fake"] = 0.5 * tf.add_n([distance_from(judge(fake, mode="train"), 0.0, weight) for fake in fakes])
        return terms, {}

    def generator_loss(self, batch: gan.Batch) -> tuple[gan.Scalars, gan.Scalars]:
        """The adversarial losses with feature matching, and those of pixels."""
        chunk = self.with_state(batch)
        maps = self.maps(chunk)
        frames, _ = self.generator.roll(maps, chunk)
        final, of_pixels, of_perception = copies(frames.final, 3)
        frames = frames._replace(final=final)
        terms: gan.Scalars = {}
        for name, judge, real, fakes, weight, factor in self.questions(chunk, maps, frames):
            of_real, of_fakes = judge(real, mode="train"), [judge(fake, mode="train") for fake in fakes]
            terms[f"g_{name}"] = factor * tf.add_n([distance_from(of_fake, 1.0, weight) for of_fake in of_fakes])
            matched = tf.add_n([feature_matching(of_real, of_fake, weight) for of_fake in of_fakes])
            terms[f"g_{name}_features"] = factor * self.config.feature_weight * matched
        if self.config.phase != "image":
            terms |= self.pixel_losses(chunk, frames._replace(final=of_pixels))
        if self.vgg is not None:
            terms[f"g_perceptual_{self.vgg.name}"] = self.perceptual_loss(chunk, frames._replace(final=of_perception))
        return terms, {"painted_share": tf.reduce_mean(frames.mask)}

    def pixel_losses(self, chunk: gan.Batch, frames: Frame) -> gan.Scalars:
        """Those of the flow, of warped frames, and of the mask (3.1, L_W), where the reference flow is trusted."""
        config = self.config
        before, real, reference = fold(chunk["video"][:, :-1]), fold(chunk["video"][:, 1:]), fold(chunk["flow"])
        final, flow, mask = (fold(part) for part in (frames.final, frames.flow, frames.mask))
        trusted = fold(self.trusted(chunk))
        last = tf.stop_gradient(fold(tf.concat([chunk[f"past{config.scales - 1}"][:, -1:], frames.final[:, :-1]], 1)))
        terms = {"g_warp": config.warp_weight * mean_distance(final * trusted, warp(last, reference) * trusted)}
        if config.warping:
            terms["g_flow"] = config.flow_weight / 2 ** (config.scales - 1) * mean_distance(flow * trusted, reference * trusted)
            terms["g_flow_warp"] = config.warp_weight * mean_distance(warp(before, flow) * trusted, real * trusted)
            if not config.given_frames:
                terms["g_mask"] = config.mask_weight * tf.reduce_mean(mask * trusted)
        return terms

    def perceptual_loss(self, chunk: gan.Batch, frames: Frame) -> tf.Tensor:
        """Of the frames and of the painted ones."""
        assert self.vgg is not None
        fakes = (frames.final, frames.painted) if self.config.phase != "image" else (frames.final,)
        pictures = [fold(x) for x in (*fakes, chunk["video"][:, 1:])]
        while pictures[0].shape[2] > WIDEST:
            pictures = [downsample(x) for x in pictures]
        distances = [vgg19.perceptual_distance(self.vgg, x, pictures[-1]) for x in pictures[:-1]]
        return self.config.perceptual_weight * tf.add_n(distances)

    def trusted(self, chunk: gan.Batch) -> tf.Tensor:
        """Where the reference flow is: [N,K,H,W,1], 1 or 0. Before a clip's very first frame there is none."""
        video, length = chunk["video"], self.config.learned_frames
        error = video[:, 1:] - unfold(warp(fold(video[:, :-1]), fold(chunk["flow"])), length)
        near = tf.cast(tf.reduce_sum(tf.square(error), -1, keepdims=True) < DOUBT, tf.float32)
        nothing_before = chunk["first"][:, None] * tf.one_hot(0, length)
        return near * (1.0 - nothing_before)[:, :, None, None, None]


def distance_from(maps: list[list[tf.Tensor]], target: float, weight: tf.Tensor | None) -> tf.Tensor:
    """Of the scores of every scale, summed."""
    return tf.add_n([least_squares(of_scale[-1], target, weight) for of_scale in maps])

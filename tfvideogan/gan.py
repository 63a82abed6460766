"""GAN: what a model promises."""

import functools
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from tfvideogan.config import Config, UserError
from tfvideogan.layers.augment import augment
from tfvideogan.ops import noise
from tfvideogan.ops.latent import NORMAL, Distribution

Batch = dict[str, tf.Tensor]
Inputs = dict[str, tf.Tensor]
Specs = dict[str, tf.TensorSpec]
Scalars = dict[str, tf.Tensor]
Details = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]  # pictures and numbers, by name
Constraint = tuple[tf.Variable, Callable[..., tf.Tensor], tuple[tf.Variable, ...]]  # (w, f, reads): w := f(w, *reads)

# Streams of an example's seed (see ops.noise.fork); data sources draw from streams of 1000 and above.
LATENT, REAL_FRAMES, FAKE_FRAMES, GENERATOR_STEP = range(4)
AUGMENT = 900  # added to the stream that D's own draws for the same clips are of, or would be


class GAN(keras.Model):
    """Networks and losses of one paper. Knows no files, devices or schedules.

    A model file (`models/<name>.py`) defines `Config` and `Model`, a subclass of this that names the classes of its networks
    and writes the methods below. The trainer asks nothing else of it.

    Everything that draws from a generator follows from the names of its inputs: `z` is the latent, which is drawn, truncated and
    interpolated by its distribution; `label` the class; `first_frames` the frames of a clip that a prediction continues; `source`
    the video that is translated. What else a generator reads is taken from the batch under its name.

    Attributes:
        networks: the classes of the generator and of the discriminator; each is made from the Config.
        generator: called with the tensors of `inputs(batch)` by name and a mode, gives video [N,T,H,W,3] in [-1,1], float32.
        ema_generator: the same network, holding the moving average of the generator's weights.
        discriminator: all discriminators of the paper.
        latent_distribution: of `z`.
        blends: whether the generator, in place of labels, also takes weights of the classes [N,classes], which mix their
            embeddings.
        free_frames: whether the generator's weights are the same for any number of frames, so that a trained one can sample
            clips longer or shorter than those it learned from.
        unrolls: whether a generated clip can go on where it ends, from the state that the generator is in; see `unroll`.
        first_part: frames that the first part of a translation that goes on has: as many as are made, or given, before the others follow.
        free_size: of what number height and width are to be multiples, if the generator's weights are the same for frames of any
            size, so that a trained one can translate pictures and films at their own; 0: they are not.
        chunks: parts, one after the other in time, that each batch is learned in; see `chunk`.
        score_names: of D's scores of real clips, among what `discriminator_loss` watches: score_real, or score_real_image and so on;
            those of generated clips have "fake" for "real". A model that has some hands D its clips through `augment`, and can be
            augmented and regularized (training/regularizers.py); one that has none is refused these options.
        own_penalty: whether `discriminator_loss` has a gradient penalty already, by `r1_weight`.
        adaptive: numbers that training moves as D learns, by name; none for most settings. Checkpoints hold them.
        lazy_r1: of a model that training adds R1 to, the penalty of the last update that had one, which is only shown; else None.

    A phase of training that has no D, or no G to train, gives a network without trainable weights; that player takes no step, and
    its loss is not asked for.

    Networks that are other attributes, such as a pretrained one, are neither trained, averaged, counted, saved nor exported.
    """

    networks: tuple[type[keras.Model], type[keras.Model]]
    latent_distribution: Distribution = NORMAL
    blends = False
    free_frames = False
    unrolls = False
    first_part = 1
    free_size = 0
    chunks = 1
    score_names: tuple[str, ...] = ()
    own_penalty = False

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        self.config = config
        generator, discriminator = self.networks
        self.generator, self.ema_generator = generator(config), generator(config)
        self.discriminator = discriminator(config)
        self._refuse_options_without_scores()
        self.adaptive = {name: tf.Variable(0.0, trainable=False) for name in self._adaptive_names()}
        self.lazy_r1 = tf.Variable(0.0, trainable=False) if config.r1_weight and not self.own_penalty else None

    def _refuse_options_without_scores(self) -> None:
        """Raises UserError if an option is asked for that reads D's scores, of a model that gives none."""
        config = self.config
        for name, off in (("augment", "none"), ("r1_weight", 0.0), ("lecam_weight", 0.0)):
            if not self.score_names and getattr(config, name) != off:
                raise UserError(f"--{name}={getattr(config, name)}: {config.model} has no scores of whole clips; expected {off}")

    def _adaptive_names(self) -> Iterator[str]:
        if self.config.augment == "ada":
            yield from ("augment_p", *(f"{name}_sign" for name in self.score_names))
        if self.config.lecam_weight:
            yield from (f"lecam_{kind}" for name in self.score_names for kind in (name, fake_of(name)))

    def augment(self, video: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """What D is to see of clips, real or generated, in D's and in G's step (`--augment`).

        Args:
            video: clips [N,T,H,W,3] in [-1,1], or frames [N,H,W,3], or flows with two channels; float32. Clips with the same seeds have
                the same draws, whatever their size.
            seeds: [N,2] int32, of a stream of its own for real and for generated clips.
        """
        config = self.config
        if config.augment == "none":
            return video
        p = self.adaptive["augment_p"] if config.augment == "ada" else 1.0
        return augment(video, noise.fork(seeds, AUGMENT), config.augment_strength, p, config.augment_per_frame)

    @classmethod
    def batch_specs(cls, config: Config) -> Specs:
        """What the model reads of a batch: names, shapes [None,...] and types. The data set must give all of it."""
        return {
            "video": tf.TensorSpec([None, config.frames, *config.frame_size, 3], tf.float32),
            "label": tf.TensorSpec([None], tf.int32),
            "seed": tf.TensorSpec([None, 2], tf.int32),
        }

    @property
    def latent_width(self) -> int:
        """Numbers in one clip's latent; 0 for a generator without one."""
        raise NotImplementedError

    @property
    def latent_parts(self) -> dict[str, slice]:
        """Slices of the latent that hold a clip's content and its motion, of a model that tells them apart: some of
        {"content": ..., "motion": ...}."""
        return {}

    def latents(self, seeds: tf.Tensor) -> tf.Tensor:
        """The latents of examples with these seeds: [N,2] int32 -> [N,latent_width] float32."""
        return self.latent_distribution.draw(noise.fork(seeds, LATENT), self.latent_width)

    def inputs(self, batch: Batch) -> Inputs:
        """What the generator reads for a batch in training, by name."""
        return {"z": self.latents(batch["seed"]), "label": batch["label"]}

    @functools.cached_property
    def input_specs(self) -> Specs:
        """Names, shapes [None,...] and types of `inputs`."""
        with tf.init_scope():
            function = tf.function(self.inputs, autograph=False).get_concrete_function(self.batch_specs(self.config))
        return {name: tf.TensorSpec([None, *t.shape[1:]], t.dtype, name) for name, t in function.structured_outputs.items()}

    def discriminator_loss(self, batch: Batch) -> tuple[Scalars, Scalars]:
        """Named terms, which the loop sums and logs, and what it only logs: named scalars, and D's scores [N,...], whose mean it logs."""
        raise NotImplementedError

    def generator_loss(self, batch: Batch) -> tuple[Scalars, Scalars]:
        """As `discriminator_loss`, for the generator."""
        raise NotImplementedError

    def discriminator_constraints(self, step: tf.Tensor) -> Iterator[Constraint]:
        """What is done to D's weights after each of its updates; nothing by default.

        Args:
            step: int64 [], the generator step under way, from 1 on.
        """
        return iter(())

    def learning_rates(self) -> dict[str, tuple[Sequence[keras.layers.Layer], float]]:
        """Layers whose weights have a learning rate of their own, by the group's name; none by default.

        Other weights have `g_learning_rate` or `d_learning_rate`. The schedule applies to all. Asked once, when the run starts.
        """
        return {}

    # For a model that learns from long clips in chunks, one after the other: `chunks` is above 1, and it writes `chunk`, `initial_state`
    # and `next_state`; if it learns from parts of clips at first, `chunks_at` and `sequence` too.

    def chunks_at(self, step: int) -> int:
        """In how many of `chunks` the step after so many is learned; all by default. They never become fewer."""
        return self.chunks

    def sequence(self, batch: Batch, chunks: int) -> Batch:
        """The part of a batch that so many chunks are cut from, which may begin anywhere; the whole by default."""
        return batch

    def chunk(self, batch: Batch, i: int) -> Batch:
        """The i-th of `chunks` parts of a batch, cut in time; all have the same shapes. A chunk that draws needs seeds of its own."""
        raise NotImplementedError

    def initial_state(self, batch: Batch) -> Batch:
        """What the first chunk of a batch reads beside its own entries, by name: tensors [N,...]."""
        raise NotImplementedError

    def next_state(self, chunk: Batch) -> Batch:
        """What the next chunk reads, with the names and shapes of `initial_state`, computed once both players have learned from
        this chunk (with its state). No gradient goes through it."""
        raise NotImplementedError

    def unroll(self, network: keras.Model, inputs: Inputs, state: Inputs) -> tuple[tf.Tensor, Inputs]:
        """A clip in parts, one after the other without end, of a generator in mode "sample".

        Args:
            network: the generator.
            inputs: what it reads. `z` is drawn anew for each part: the model takes from it what each frame draws, and what the whole clip
                has in common from the state. Of a translation, the source of the part's frames; of the first
                part also the first frames, if they are given.
            state: what the part before left; empty for the first part.

        Returns: the frames, float32 in [-1,1], of the first part [N,T,H,W,3] as the network's call makes them, of a later one those that
            the network generates in a call; and the state, tensors [N,...] by name, the same names and shapes after every part.
        """
        raise NotImplementedError

    def details(self, network: keras.Model, batch: Batch) -> Details:
        """What there is to see beside the video that a generator in mode "sample" makes of a batch: named pictures, as of flow, uint8
        [N,T,H,W,3] with as many frames as the video; and named numbers, float32 [N]. Nothing by default."""
        return {}, {}

    def interpolate(self, network: keras.Model, inputs: Inputs, factor: int) -> tf.Tensor:
        """Clips [N,factor*(T-1)+1,H,W,3] with factor - 1 new frames between each two, of a generator in mode "sample".

        Raises UserError for a model whose frames have no latents of their own to interpolate.
        """
        raise UserError(f"--interpolate_frames={factor}: {self.config.model} has no latent for each frame to interpolate")

    def ema_pairs(self) -> Iterator[tuple[tf.Variable, tf.Variable, bool]]:
        """(average, weight, averaged?) of the two generators. The u of spectral norm is copied, not averaged."""
        for average, weight in zip(self.ema_generator.variables, self.generator.variables, strict=True):
            yield average.value, weight.value, weight.trainable


def fake_of(name: str) -> str:
    """The name of D's scores of generated clips, from that of real clips."""
    return name.replace("real", "fake")


def layers_of(network: keras.Model, kind: type) -> list:
    """Every layer of that kind inside a network, in order of construction."""
    return [layer for layer in network._flatten_layers() if isinstance(layer, kind)]

"""GAN: what a model promises, and Sampler: a generator made ready to be watched, judged or exported."""

import functools
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from tfvideogan.config import Config, UserError
from tfvideogan.layers import forms, noise
from tfvideogan.layers.norm import StandingNorm
from tfvideogan.layers.pieces import compiled_ahead
from tfvideogan.video import to_unit

Batch = dict[str, tf.Tensor]
Scalars = dict[str, tf.Tensor]
Constraint = tuple[tf.Variable, Callable[..., tf.Tensor], tuple[tf.Variable, ...]]  # (w, f, reads): w := f(w, *reads)

# Streams of an example's seed (see layers.noise.fork); data sources draw from streams of 1000 and above.
LATENT, REAL_FRAMES, FAKE_FRAMES, GENERATOR_STEP = range(4)

CHUNK = 8  # clips that a Sampler draws at once


class GAN(keras.Model):
    """Networks and losses of one paper. Knows no files, devices or schedules.

    A model file (`models/<name>.py`) defines `Config` and `Model`, a subclass of this that names the classes of its networks
    and writes the methods below. The trainer asks nothing else of it.

    Attributes:
        networks: the classes of the generator and of the discriminator; each is made from the Config.
        generator: called with `inputs(batch)` and a mode, gives video [N,T,H,W,3] in [-1,1], float32.
        ema_generator: the same network, holding the moving average of the generator's weights.
        discriminator: all discriminators of the paper.
        blends: whether the generator, in place of labels, also takes weights of the classes [N,classes], which mix their
            embeddings.
        latent_law: the law of `latents`, for the exported module's card.
        free_frames: whether the generator's weights are the same for any number of frames, so that a trained one can sample
            clips longer or shorter than those it learned from.
        latent_parts: slices of the latent that hold a clip's content and its motion, of a model that tells them apart:
            some of {"content": ..., "motion": ...}.
    """

    networks: tuple[type[keras.Model], type[keras.Model]]
    blends = False
    latent_law = "N(0,1)"
    free_frames = False
    latent_parts: dict[str, slice] = {}

    def __init__(self, config: Config):
        super().__init__(dtype="float32")
        self.config = config
        generator, discriminator = self.networks
        self.generator, self.ema_generator = generator(config), generator(config)
        self.discriminator = discriminator(config)

    @property
    def latent_width(self) -> int:
        """Numbers in one clip's latent."""
        raise NotImplementedError

    def latents(self, seeds: tf.Tensor) -> tf.Tensor:
        """The latents of examples with these seeds: [N,2] int32 -> [N,latent_width] float32."""
        return noise.normal(noise.fork(seeds, LATENT), [self.latent_width])

    def inputs(self, batch: Batch) -> tuple[tf.Tensor, ...]:
        """What the generator reads: latents [N,latent_width] and labels [N]."""
        return self.latents(batch["seed"]), batch["label"]

    def discriminator_loss(self, batch: Batch) -> tuple[Scalars, Scalars]:
        """Named terms, which the loop sums and logs, and named scalars that it only logs."""
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

    def interpolate(self, network: keras.Model, z: tf.Tensor, label: tf.Tensor, factor: int) -> tf.Tensor:
        """Clips [N,factor*(T-1)+1,H,W,3] with factor - 1 new frames between each two, of a generator in mode "sample".

        Raises UserError for a model whose frames have no latents of their own to go between.
        """
        raise UserError(f"--interpolate_frames={factor}: {self.config.model} has no latent for each frame to interpolate")

    def ema_pairs(self) -> Iterator[tuple[tf.Variable, tf.Variable, bool]]:
        """(average, weight, averaged?) of the two generators. The u of spectral norm is copied, not averaged."""
        for average, weight in zip(self.ema_generator.variables, self.generator.variables, strict=True):
            yield average.value, weight.value, weight.trainable


def layers_of(network: keras.Model, kind: type) -> list:
    """Every layer of that kind inside a network, in order of construction."""
    return [layer for layer in network._flatten_layers() if isinstance(layer, kind)]


def fixed_sampler(part: str) -> str:
    """The name of a Sampler's function that holds a part of the latent fixed."""
    return f"sample_{part}_fixed"


def in_chunks(function: Callable[..., tf.Tensor], *tensors: tf.Tensor) -> tf.Tensor:
    """`function(*tensors)` of any number N of examples, by calls with CHUNK of them and calls with one.

    The layers' large pieces are compiled by XLA, which does so anew for each N: so for two at most. And no more than two
    chunks' activations are held. Within `forms.portable()` nothing is compiled, and all is one call.

    Args:
        function: a tf.function of [n,...] tensors -> [n,...]; an example's result depends on that example alone.
        tensors: [N,...].
    """
    if forms.is_portable():
        return function(*tensors)
    n = tf.shape(tensors[0])[0]
    whole = (n + CHUNK // 2 - 1) // CHUNK  # more than half a chunk is filled up: alone, a clip takes 0.2 to 0.4 of a chunk's time
    filled = tf.maximum(whole * CHUNK, n)
    tensors = [tf.pad(t, [[0, filled - n], *[[0, 0]] * (len(t.shape) - 1)]) for t in tensors]

    def draw(number: tf.Tensor, size: int, tensors: list[tf.Tensor]) -> tf.Tensor:
        kinds = [tf.TensorSpec([size, *t.shape[1:]], t.dtype) for t in tensors]
        kind = function.get_concrete_function(*kinds).structured_outputs
        parts = [tf.reshape(t, [number, size, *t.shape[1:]]) for t in tensors]
        result = tf.TensorSpec(kind.shape, kind.dtype)
        # Two at a time, so that the small operations of one run beside those of the other: 0.7 of the time on two cores.
        drawn = tf.map_fn(lambda part: function(*part), parts, fn_output_signature=result, parallel_iterations=2)
        return tf.reshape(drawn, [-1, *kind.shape[1:]])

    chunks = draw(whole, CHUNK, [t[: whole * CHUNK] for t in tensors])
    alone = draw(filled - whole * CHUNK, 1, [t[whole * CHUNK :] for t in tensors])
    return tf.concat([chunks, alone], 0)[:n]


class Sampler(tf.Module):
    """A generator with standing statistics: the object that is sampled, evaluated, and saved as the exported module.

    Args:
        gan: the model.
        ema: sample from the averaged weights, else from the raw ones.
        interpolate_frames: if above 1, put this many frames less one between each two, as the model's `interpolate` does.
    """

    variables: list[tf.Variable] = []  # plain lists, where tf.Module's properties would see none of a Keras 3 network's variables
    trainable_variables: list[tf.Variable] = []

    def __init__(self, gan: GAN, ema: bool = True, interpolate_frames: int = 1):
        super().__init__()
        network = gan.ema_generator if ema else gan.generator
        norms = layers_of(network, StandingNorm)
        self.trainable_variables = [v.value for v in network.trainable_variables]
        self.variables = [v.value for v in network.variables] + [s for norm in norms for s in norm.standing]
        vector = tf.TensorSpec([None], tf.int32)
        function = functools.partial(tf.function, autograph=False)

        # Closures, not methods: a Keras object held by the module would be written into its SavedModel.
        @function
        @compiled_ahead
        def chunk(z: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
            if interpolate_frames > 1:
                return to_unit(gan.interpolate(network, z, label, interpolate_frames))
            return to_unit(network(z, label, mode="sample"))

        def generate(z: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
            return in_chunks(chunk, z, label)

        def draw(label: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
            return gan.latents(tf.map_fn(lambda i: tf.random.experimental.stateless_fold_in(seed, i), tf.range(tf.size(label))))

        def sample(label: tf.Tensor, seed: tf.Tensor, truncation: tf.Tensor) -> tf.Tensor:
            return generate(truncation * draw(label, seed), label)

        def sample_fixed(part: slice) -> Callable[..., tf.Tensor]:
            """As `sample`, but every clip has the first one's part of the latent."""
            fixed = np.zeros([gan.latent_width], bool)
            fixed[part] = True

            def sample(label: tf.Tensor, seed: tf.Tensor, truncation: tf.Tensor) -> tf.Tensor:
                z = draw(label, seed)
                return generate(truncation * tf.where(fixed, z[:1], z), label)

            return sample

        def calibrate(label: tf.Tensor, seeds: tf.Tensor) -> None:
            network(gan.latents(seeds), label, mode="calibrate")

        def reset() -> None:
            for norm in norms:
                norm.reset()

        latent = tf.TensorSpec([None, gan.latent_width], tf.float32, "z")
        self.generate = function(generate, input_signature=[latent, tf.TensorSpec([None], tf.int32, "label")])
        if gan.blends and gan.config.classes:
            self.blend = function(generate, input_signature=[latent, tf.TensorSpec([None, gan.config.classes], tf.float32, "weights")])
        signature = [vector, tf.TensorSpec([2], tf.int32), tf.TensorSpec([], tf.float32)]
        self.sample = function(sample, input_signature=signature)
        for name, part in gan.latent_parts.items():
            setattr(self, fixed_sampler(name), function(sample_fixed(part), input_signature=signature))
        self._calibrate = function(compiled_ahead(calibrate), input_signature=[vector, tf.TensorSpec([None, 2], tf.int32)])
        self._reset, self._config, self.latent_law, self.precision = reset, gan.config, gan.latent_law, gan.config.precision

    def calibrate(self) -> "Sampler":
        """Computes the standing statistics anew, from the present weights: the average moments of `standing_batches`
        batches of 16 to 64 clips. A function of weights and seed alone; returns itself."""
        config = self._config
        clips = min(max(config.batch_size, 16), 64)
        self._reset()
        for batch in range(config.standing_batches):
            index = tf.range(batch * clips, (batch + 1) * clips)
            self._calibrate(index % max(config.classes, 1), tf.stack([tf.fill([clips], config.seed), -1 - index], 1))
        return self

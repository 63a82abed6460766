"""Sampler: a generator made ready to be watched, evaluated or exported."""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfvideogan.gan import GAN, layers_of
from tfvideogan.layers.norm import StandingNorm
from tfvideogan.ops import forms
from tfvideogan.ops.video import to_unit

CHUNK = 8  # clips that a Sampler draws at once


def fixed_sampler(part: str) -> str:
    """The name of a Sampler's function that holds a part of the latent fixed."""
    return f"sample_{part}_fixed"


def in_chunks(function: Callable[..., tf.Tensor], *tensors: tf.Tensor) -> tf.Tensor:
    """`function(*tensors)` of any number N of examples, by calls with CHUNK of them and calls with one.

    The layers' large pieces are compiled by XLA, which does so anew for each N: so for two at most. And no more than two
    chunks' activations are held. Within `forms.plain()` nothing is compiled, and all is one call.

    Args:
        function: a tf.function of [n,...] tensors -> [n,...]; an example's result depends on that example alone.
        tensors: [N,...].
    """
    if forms.is_asked():
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
        self._calibrate = function(calibrate, input_signature=[vector, tf.TensorSpec([None, 2], tf.int32)])
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

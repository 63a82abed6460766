"""Random draws that belong to an example, not to a batch.

Each example carries its own seed (two int32). What is drawn for it then depends neither on the batch it stands in
nor on the replica that computes it, so one replica and many see the same noise, and a resumed run sees it again.
"""

import math
from collections.abc import Sequence

import tensorflow as tf

from tfvideogan.ops import pieces


def fork(seeds: tf.Tensor, stream: int) -> tf.Tensor:
    """Seeds [N,2] int32 of an independent stream; `stream` numbers the uses one example's seed is put to."""
    return seeds + tf.constant([[stream * 1_000_003, 0]], tf.int32)  # the generator hashes its key: distinct is enough


def normal(seeds: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """N(0,1) draws, float32 [N,*shape], from seeds [N,2] int32."""
    return tf.map_fn(lambda seed: tf.random.stateless_normal(shape, seed), seeds, fn_output_signature=tf.TensorSpec(shape, tf.float32))


def uniform(seeds: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """U[0,1) draws, float32 [N,*shape], from seeds [N,2] int32."""
    return tf.map_fn(lambda seed: tf.random.stateless_uniform(shape, seed), seeds, fn_output_signature=tf.TensorSpec(shape, tf.float32))


def bits(seeds: tf.Tensor, words: int) -> tf.Tensor:
    """Random bits, int32 [N,words], from seeds [N,2] int32."""
    spec = tf.TensorSpec([words], tf.int32)
    return tf.map_fn(lambda seed: tf.random.stateless_uniform([words], seed, None, None, tf.int32), seeds, fn_output_signature=spec)


def added(x: tf.Tensor, seeds: tf.Tensor, deviation: float) -> tf.Tensor:
    """x [N,...] and N(0, deviation^2) noise, from seeds [N,2] int32; in x's dtype.

    For maps, of which TensorFlow's draws would take a quarter of MoCoGAN's step: 16 random bits choose among the middles of
    65,536 equally likely parts of the normal law. What is lost are values of more than 4.2 deviations, 2 in 100,000.
    """
    count = math.prod(x.shape[1:])
    parts = 1 << 16
    words = bits(seeds, -(-count // 2))
    middles = deviation * tf.math.ndtri((tf.range(parts, dtype=tf.float32) + 0.5) / parts)

    @tf.custom_gradient
    def add(x: tf.Tensor):
        return pieces.compiled(_chosen_added, x, words, middles)[0], lambda dy: dy

    return add(x)


def _chosen_added(x, words, middles):
    chosen = tf.reshape(tf.cast(tf.bitcast(words, tf.uint16), tf.int32), [-1, 2 * words.shape[1]])[:, : math.prod(x.shape[1:])]
    return [tf.cast(tf.cast(x, tf.float32) + tf.reshape(tf.gather(middles, chosen), [-1, *x.shape[1:]]), x.dtype)]

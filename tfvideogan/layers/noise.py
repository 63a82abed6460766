"""Random draws that belong to an example, not to a batch.

Each example carries its own seed (two int32). What is drawn for it then depends neither on the batch it stands in
nor on the replica that computes it, so one replica and many see the same noise, and a resumed run sees it again.
"""

from collections.abc import Sequence

import tensorflow as tf


def fork(seeds: tf.Tensor, stream: int) -> tf.Tensor:
    """Seeds [N,2] int32 of an independent stream; `stream` numbers the uses one example's seed is put to."""
    return seeds + tf.constant([[stream * 1_000_003, 0]], tf.int32)  # the generator hashes its key: distinct is enough


def normal(seeds: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """N(0,1) draws, float32 [N,*shape], from seeds [N,2] int32."""
    return tf.map_fn(lambda seed: tf.random.stateless_normal(shape, seed), seeds, fn_output_signature=tf.TensorSpec(shape, tf.float32))


def uniform(seeds: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """U[0,1) draws, float32 [N,*shape], from seeds [N,2] int32."""
    return tf.map_fn(lambda seed: tf.random.stateless_uniform(shape, seed), seeds, fn_output_signature=tf.TensorSpec(shape, tf.float32))

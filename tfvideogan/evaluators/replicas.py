"""Spreads an evaluator's clips over the replicas of a strategy."""

import tensorflow as tf

from tfvideogan.evaluators.evaluator import Evaluator


def spread(evaluator: Evaluator, strategy: tf.distribute.Strategy) -> None:
    """Spreads an evaluator's clips over the replicas of a strategy of one process, in whose scope it was loaded."""
    replicas, compute = strategy.num_replicas_in_sync, evaluator.compute

    def replica(video: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return compute(video)  # a tf.function itself, which strategy.run would hand all replicas' values at once

    on_all = tf.function(lambda video: strategy.run(replica, args=(video,)), autograph=False)

    def run(video: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        share = -(-len(video) // replicas)
        index = tf.minimum(tf.range(share * replicas), len(video) - 1)  # the last clip fills up the last replica's share
        parts = tf.split(tf.gather(video, index), replicas)
        found = on_all(strategy.experimental_distribute_values_from_function(lambda context: parts[context.replica_id_in_sync_group]))
        features, logits = (tf.concat(strategy.experimental_local_results(part), 0)[: len(video)] for part in found)
        return features, logits

    evaluator.run = run

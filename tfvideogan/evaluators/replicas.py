"""An evaluator on the replicas of a strategy, which share its clips."""

import tensorflow as tf

from tfvideogan.evaluators.evaluator import Evaluator
from tfvideogan.evaluators.load import load


def load_on(strategy: tf.distribute.Strategy, spec: str, sha256: str) -> Evaluator:
    """The evaluator that a spec names (see `load`), spread over the replicas of a strategy of one process."""
    with strategy.scope():
        evaluator = load(spec, sha256)
    if strategy.num_replicas_in_sync > 1:
        spread(evaluator, strategy)
    return evaluator


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

"""The training step, the same for every model, strategy and precision."""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfvideogan.config import Config
from tfvideogan.gan import GAN, GENERATOR_STEP, Batch
from tfvideogan.layers import noise
from tfvideogan.optimizers import make_optimizer

BACKWARD = "backward"  # name scope of gradients that layers write by hand; TensorFlow's own stand in gradient_tape/
Step = Callable[[list[Batch]], dict[str, tf.Tensor]]


def make_optimizers(config: Config) -> dict[str, keras.optimizers.Optimizer]:
    """One optimizer for each player."""
    return {
        "d_optimizer": make_optimizer(config, config.d_learning_rate),
        "g_optimizer": make_optimizer(config, config.g_learning_rate),
    }


def make_step(gan: GAN, optimizers: dict[str, keras.optimizers.Optimizer], step: tf.Variable, strategy: tf.distribute.Strategy) -> Step:
    """The training step: `d_steps` discriminator updates, each with its own batch and followed by D's constraints, one
    generator update, the average.

    The same function for every model, strategy and precision; compiles with XLA.

    Returns:
        A function of the list of `d_steps` (distributed) batches, to be wrapped in tf.function. Returns named scalars:
        the loss terms, what the model watches, and the gradients' global norms (of a replica's own gradient, averaged).
    """
    config, replicas = gan.config, strategy.num_replicas_in_sync

    def update(
        loss: Callable, batch: Batch, before: dict[str, tf.Tensor], network: keras.Model, optimizer: keras.optimizers.Optimizer, player: str
    ) -> dict[str, tf.Tensor]:
        weights = [weight.value for weight in network.trainable_variables]
        # Not while an update before is under way, though G's pass would not have to wait for it: memory is for one at a time.
        with tf.control_dependencies(list(before.values())):
            batch = tf.nest.map_structure(tf.identity, batch)
        with tf.name_scope(f"{player}_step"):
            # Only the player's weights are watched: the other network is run, not recorded.
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(weights)
                terms, watched = loss(batch)
                total = tf.add_n(list(terms.values()))
                if config.weight_decay:
                    total += config.weight_decay * tf.add_n([tf.nn.l2_loss(weight) for weight in weights])  # of gradient w
                total = optimizer.scale_loss(total / replicas)  # the optimizer sums over replicas
            with tf.name_scope(BACKWARD):
                # An embedding's gradient is of slices, some of the same row: the norm wants their sum.
                gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(total, weights)]
            norm = tf.linalg.global_norm(gradients) * (replicas / loss_scale(optimizer))
            optimizer.apply(gradients, network.trainable_variables)
        return {**terms, **watched, f"{player}_gradient_norm": norm}

    def loss_scale(optimizer: keras.optimizers.Optimizer) -> tf.Tensor | float:
        return optimizer.dynamic_scale.value if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else 1.0

    def d_step(batch: Batch, before: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return update(gan.discriminator_loss, batch, before, gan.discriminator, optimizers["d_optimizer"], "d")

    def g_step(batch: Batch, before: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        batch = {**batch, "seed": noise.fork(batch["seed"], GENERATOR_STEP)}
        return update(gan.generator_loss, batch, before, gan.generator, optimizers["g_optimizer"], "g")

    def constrain(weight: tf.Variable, constraint: Callable, reads: tuple[tf.Variable, ...]) -> None:
        weight.assign(constraint(weight, *reads))

    def average(ema: tf.Variable, weight: tf.Tensor, decay: tf.Tensor) -> None:
        ema.assign(decay * ema + (1.0 - decay) * weight)

    def train_step(batches: list[Batch]) -> dict[str, tf.Tensor]:
        scalars: dict[str, tf.Tensor] = {}
        for batch in batches:
            scalars = strategy.run(d_step, args=(batch, scalars))
            for weight, constraint, reads in gan.discriminator_constraints(step + 1):
                strategy.extended.update(weight, constrain, args=(constraint, reads), group=False)
        scalars |= strategy.run(g_step, args=(batches[-1], scalars))
        step.assign_add(1)
        decay = tf.where(step > config.ema_start_step, config.ema_decay, 0.0)  # before, the average is a copy
        for ema, weight, averaged in gan.ema_pairs():
            strategy.extended.update(ema, average, args=(weight, decay if averaged else 0.0), group=False)
        return {name: strategy.reduce("MEAN", value, axis=None) for name, value in scalars.items()}

    return train_step

"""The training step, the same for every model, strategy and precision."""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfvideogan.config import Config
from tfvideogan.gan import GAN, GENERATOR_STEP, Batch
from tfvideogan.layers import noise

Step = Callable[[list[Batch]], dict[str, tf.Tensor]]


def make_optimizers(config: Config) -> dict[str, keras.optimizers.Optimizer]:
    """Adam for each player; under float16 with loss scaling."""

    def adam(learning_rate: float) -> keras.optimizers.Optimizer:
        optimizer = keras.optimizers.Adam(learning_rate, beta_1=config.beta_1, beta_2=config.beta_2, epsilon=config.adam_epsilon)
        return keras.optimizers.LossScaleOptimizer(optimizer) if config.precision == "mixed_float16" else optimizer

    return {"d_optimizer": adam(config.d_learning_rate), "g_optimizer": adam(config.g_learning_rate)}


def make_step(gan: GAN, optimizers: dict[str, keras.optimizers.Optimizer], step: tf.Variable, strategy: tf.distribute.Strategy) -> Step:
    """The training step: `d_steps` discriminator updates, each with its own batch, one generator update, the average.

    The same function for every model, strategy and precision; compiles with XLA.

    Returns:
        A function of the list of `d_steps` (distributed) batches, to be wrapped in tf.function. Returns named scalars:
        the loss terms, what the model watches, and the gradients' global norms (of a replica's own gradient, averaged).
    """
    config, replicas = gan.config, strategy.num_replicas_in_sync

    def update(
        loss: Callable, batch: Batch, network: keras.Model, optimizer: keras.optimizers.Optimizer, player: str
    ) -> dict[str, tf.Tensor]:
        weights = [weight.value for weight in network.trainable_variables]
        with tf.name_scope(f"{player}_step"):
            # Only the player's weights are watched: the other network is run, not recorded.
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(weights)
                terms, watched = loss(batch)
                total = optimizer.scale_loss(tf.add_n(list(terms.values())) / replicas)  # the optimizer sums over replicas
            gradients = tape.gradient(total, weights)
            norm = tf.linalg.global_norm(gradients) * (replicas / loss_scale(optimizer))
            optimizer.apply(gradients, network.trainable_variables)
        return {**terms, **watched, f"{player}_gradient_norm": norm}

    def loss_scale(optimizer: keras.optimizers.Optimizer) -> tf.Tensor | float:
        return optimizer.dynamic_scale.value if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else 1.0

    def replica_step(batches: list[Batch]) -> dict[str, tf.Tensor]:
        for batch in batches:
            scalars = update(gan.discriminator_loss, batch, gan.discriminator, optimizers["d_optimizer"], "d")
        batch = {**batches[-1], "seed": noise.fork(batches[-1]["seed"], GENERATOR_STEP)}
        return scalars | update(gan.generator_loss, batch, gan.generator, optimizers["g_optimizer"], "g")

    def average(ema: tf.Variable, weight: tf.Tensor, decay: tf.Tensor) -> None:
        ema.assign(decay * ema + (1.0 - decay) * weight)

    def train_step(batches: list[Batch]) -> dict[str, tf.Tensor]:
        scalars = strategy.run(replica_step, args=(batches,))
        step.assign_add(1)
        decay = tf.where(step > config.ema_start_step, config.ema_decay, 0.0)  # before, the average is a copy
        for ema, weight, averaged in gan.ema_pairs():
            strategy.extended.update(ema, average, args=(weight, decay if averaged else 0.0), group=False)
        return {name: strategy.reduce("MEAN", value, axis=None) for name, value in scalars.items()}

    return train_step

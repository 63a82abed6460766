"""The optimizers a Config asks for. Adam is Keras' formula as one operation; RMSProp is another formula than Keras'.

Learning rates are read off the Config and the count of steps whenever they are used: no optimizer, and so no checkpoint, holds one.
"""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfvideogan.config import Config
from tfvideogan.gan import GAN


def make_optimizers(gan: GAN, step: tf.Variable) -> dict[str, keras.optimizers.Optimizer]:
    """The optimizer of each player, built; under float16 with loss scaling. `step` counts generator steps, which the rates follow.

    Raises: ValueError if the model's `learning_rates` name a weight twice, or one that neither player trains.
    """
    rate_of: dict[int, float] = {}
    for name, (layers, rate) in gan.learning_rates().items():
        weights = [id(weight) for layer in layers for weight in layer.trainable_variables]
        if rate_of.keys() & weights:
            raise ValueError(f"learning_rates: {name} has weights of another group")
        rate_of |= dict.fromkeys(weights, rate)
    made = {}
    for player, network, rate in (
        ("d_optimizer", gan.discriminator, gan.config.d_learning_rate),
        ("g_optimizer", gan.generator, gan.config.g_learning_rate),
    ):
        weights = network.trainable_variables
        rates = [rate_of.pop(id(weight), rate) for weight in weights]
        made[player] = make_optimizer(gan.config, rates, schedule(gan.config, step))
        made[player].build(weights)
    if rate_of:
        raise ValueError(f"learning_rates: {len(rate_of)} of the weights are trained by neither player")
    return made


def make_optimizer(config: Config, rates: Sequence[float], factor: Callable[[], tf.Tensor]) -> keras.optimizers.Optimizer:
    """An optimizer of weights with these learning rates, all times what `factor` gives."""
    if config.optimizer == "adam":
        optimizer = Adam(rates, factor, config.beta_1, config.beta_2, config.adam_epsilon)
    else:
        optimizer = RMSProp(rates, factor, config.rmsprop_decay, config.rmsprop_epsilon)
    return LossScaleOptimizer(optimizer) if config.precision == "mixed_float16" else optimizer


def schedule(config: Config, step: tf.Variable) -> Callable[[], tf.Tensor]:
    """What the learning rates are multiplied by, a float32 scalar, of the number of generator steps done."""

    def factor() -> tf.Tensor:
        done = tf.cast(step, tf.float32)
        if config.learning_rate_schedule == "linear":
            left = (config.steps - done) / max(config.steps - config.decay_start_step, 1)
            return tf.clip_by_value(left, 0.0, 1.0)
        if config.learning_rate_schedule == "halving":
            return tf.pow(0.5, tf.floor(done / config.decay_every_steps))
        return tf.constant(1.0)

    return factor


class Adam(keras.optimizers.Adam):
    """Keras' Adam with one operation for each weight, in place of some thirty: a quarter of the training step's operations less.

    Args:
        rates: the learning rate of each weight, in the order of `build`.
        factor: gives what all rates are multiplied by.
        beta_1, beta_2, epsilon: of the formula.
    """

    def __init__(self, rates: Sequence[float], factor: Callable[[], tf.Tensor], beta_1: float, beta_2: float, epsilon: float):
        super().__init__(factor, beta_1, beta_2, epsilon)
        self.rates = tuple(rates)

    @property
    def slots(self) -> dict[str, list[keras.Variable]]:
        """What is kept of every weight, by name."""
        return {"momentum": self._momentums, "velocity": self._velocities}

    def apply(self, grads: list[tf.Tensor], trainable_variables: list[keras.Variable] | None = None) -> None:
        step, factor = tf.cast(self.iterations + 1, tf.float32), self.learning_rate
        constants = [tf.constant(constant, tf.float32) for constant in (self.beta_1, self.beta_2, self.epsilon)]
        # Once for all weights. Past Keras' tracking, which is for what is saved.
        object.__setattr__(self, "_constants", [*(tf.pow(beta, step) for beta in constants[:2]), *constants])
        object.__setattr__(self, "_rates", {rate: factor * rate for rate in set(self.rates)})
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        beta1_power, beta2_power, beta1, beta2, epsilon = self._constants
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=beta1_power,
            beta2_power=beta2_power,
            lr=self._rates[self.rates[index]],
            beta1=beta1,
            beta2=beta2,
            epsilon=epsilon,
            grad=tf.convert_to_tensor(gradient),
        )


def _handle(variable: keras.Variable | tf.Variable) -> tf.Tensor:
    """Of this replica's copy."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


class RMSProp(keras.optimizers.Optimizer):
    """v' = decay * v + (1 - decay) * g^2, w' = w - rate * g / (sqrt(v') + epsilon), from v = 0; as Chainer (and Torch).

    With Keras' sqrt(v + epsilon) an epsilon of 1e-8 would slow every weight whose gradient is below 1e-4; here only below 1e-8.

    Args:
        rates: the learning rate of each weight, in the order of `build`.
        factor: gives what all rates are multiplied by.
        decay, epsilon: of the formula.
    """

    def __init__(self, rates: Sequence[float], factor: Callable[[], tf.Tensor], decay: float, epsilon: float):
        super().__init__(factor)
        self.rates, self.decay, self.epsilon = tuple(rates), decay, epsilon

    @property
    def slots(self) -> dict[str, list[keras.Variable]]:
        """What is kept of every weight, by name."""
        return {"square": self.squares}

    def build(self, variables: list[keras.Variable]) -> None:
        if not self.built:
            super().build(variables)
            self.squares = self.add_optimizer_variables(variables, "square")

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        square, rate = self.squares[index], learning_rate * self.rates[index]
        self.assign(square, self.decay * square + (1.0 - self.decay) * tf.square(gradient))
        self.assign_sub(variable, rate * gradient / (tf.sqrt(tf.convert_to_tensor(square)) + self.epsilon))


class LossScaleOptimizer(keras.optimizers.LossScaleOptimizer):
    """Keras' loss scaling, with finiteness decided over all replicas: Keras looks at the first one's gradients alone."""

    @property
    def slots(self) -> dict[str, list[keras.Variable]]:
        """What is kept of every weight, by name."""
        return self.inner_optimizer.slots

    def apply(self, grads: list[tf.Tensor], trainable_variables: list[keras.Variable] | None = None) -> None:
        finite = tf.cast(self.check_finite(grads), tf.float32)
        context = tf.distribute.get_replica_context()
        everywhere = context.all_reduce(tf.distribute.ReduceOp.SUM, finite) == context.num_replicas_in_sync
        first = tf.where(everywhere, grads[0], float("nan"))  # one that is not finite, in every replica, is enough
        super().apply([first, *grads[1:]], trainable_variables)

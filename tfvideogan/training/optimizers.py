"""The optimizer a Config asks for. Adam is Keras' formula as one operation; RMSProp is another formula than Keras'."""

import keras
import tensorflow as tf

from tfvideogan.config import Config


def make_optimizer(config: Config, learning_rate: float) -> keras.optimizers.Optimizer:
    """The optimizer of one player; under float16 with loss scaling."""
    if config.optimizer == "adam":
        optimizer = Adam(learning_rate, beta_1=config.beta_1, beta_2=config.beta_2, epsilon=config.adam_epsilon)
    else:
        optimizer = RMSProp(learning_rate, config.rmsprop_decay, config.rmsprop_epsilon)
    return keras.optimizers.LossScaleOptimizer(optimizer) if config.precision == "mixed_float16" else optimizer


class Adam(keras.optimizers.Adam):
    """Keras' Adam with one operation for each weight, in place of some thirty: a quarter of the training step's operations less."""

    def apply(self, grads: list[tf.Tensor], trainable_variables: list[keras.Variable] | None = None) -> None:
        step = tf.cast(self.iterations + 1, tf.float32)
        rates = [tf.constant(rate, tf.float32) for rate in (self.beta_1, self.beta_2, self.epsilon)]
        # Once for all weights. Past Keras' tracking, which is for what is saved.
        object.__setattr__(self, "_rates", [*(tf.pow(beta, step) for beta in rates[:2]), *rates, tf.convert_to_tensor(self.learning_rate)])
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: keras.Variable) -> None:
        index = self._get_variable_index(variable)
        beta1_power, beta2_power, beta1, beta2, epsilon, learning_rate = self._rates
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=beta1_power,
            beta2_power=beta2_power,
            lr=learning_rate,
            beta1=beta1,
            beta2=beta2,
            epsilon=epsilon,
            grad=tf.convert_to_tensor(gradient),
        )


def _handle(variable: keras.Variable | tf.Variable) -> tf.Tensor:
    """Of this replica's copy."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


class RMSProp(keras.optimizers.Optimizer):
    """v' = decay * v + (1 - decay) * g^2, w' = w - learning_rate * g / (sqrt(v') + epsilon), from v = 0; as Chainer (and Torch).

    With Keras' sqrt(v + epsilon) an epsilon of 1e-8 would slow every weight whose gradient is below 1e-4; here only below 1e-8.
    """

    def __init__(self, learning_rate: float, decay: float, epsilon: float):
        super().__init__(learning_rate)
        self.decay, self.epsilon = decay, epsilon

    def build(self, variables: list[keras.Variable]) -> None:
        if not self.built:
            super().build(variables)
            self.squares = self.add_optimizer_variables(variables, "square")

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        square = self.squares[self._get_variable_index(variable)]
        self.assign(square, self.decay * square + (1.0 - self.decay) * tf.square(gradient))
        self.assign_sub(variable, learning_rate * gradient / (tf.sqrt(tf.convert_to_tensor(square)) + self.epsilon))

    def get_config(self) -> dict:
        return {**super().get_config(), "decay": self.decay, "epsilon": self.epsilon}

"""What tests of the forms share: numbers, and values and gradients of two functions side by side."""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf


def random(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.random.stateless_normal(shape, [seed, 7])


def both(fast: Callable, plain: Callable, inputs: list[tf.Tensor]) -> list[list[np.ndarray]]:
    """Values and gradients of two functions, in a graph as training has it."""

    def run(function: Callable, *inputs: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = function(*inputs)
            loss = tf.reduce_sum(y * random(*y.shape, seed=9))
        return [y, *tape.gradient(loss, inputs)]

    return [[value.numpy() for value in tf.function(functools.partial(run, one), autograph=False)(*inputs)] for one in (fast, plain)]

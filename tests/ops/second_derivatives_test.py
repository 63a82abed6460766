"""Gradients of gradients, as R1 takes them: the fast forms against the plain formulas, and the discriminators whole."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tfvideogan import models
from tfvideogan.layers import spectral
from tfvideogan.ops import convolution, forms, fused, noise, pieces, relu
from tfvideogan.ops.resample import UPSAMPLING, downsample


def random(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.random.stateless_normal(shape, [seed, 7])


def penalty_gradients(function: Callable, inputs: list[tf.Tensor], penalized: int, dtype: tf.DType = tf.float32) -> list[np.ndarray]:
    """Of |d sum(weights * function^2) / d inputs[:penalized]|^2: the gradients by all inputs, computed in dtype."""

    def run(*inputs: tf.Tensor) -> list[tf.Tensor]:
        inputs = [tf.cast(tensor, dtype) for tensor in inputs]
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                y = tf.cast(function(*inputs), tf.float32)
                score = tf.reduce_sum(y * y * random(*y.shape, seed=9))
            gradients = inner.gradient(score, inputs[:penalized])
            penalty = tf.add_n([tf.reduce_sum(tf.square(tf.cast(gradient, tf.float32))) for gradient in gradients])
        return [tf.cast(gradient, tf.float32) for gradient in outer.gradient(penalty, inputs)]

    return [gradient.numpy() for gradient in tf.function(run, autograph=False)(*inputs)]


def gru(*inputs: tf.Tensor) -> tf.Tensor:
    return tf.stack(fused.gru(*inputs))


def gru_from(initial: tf.Tensor, *inputs: tf.Tensor) -> tf.Tensor:
    return tf.stack(fused.gru(*inputs, initial=initial))


def norm(x: tf.Tensor, gain: tf.Tensor, shift: tf.Tensor, per_frame: bool, relu: bool) -> tf.Tensor:
    return fused.normalize(x, tf.cast(gain, tf.float32), tf.cast(shift, tf.float32), 1e-3, per_frame, relu)[0]


def doubled(x: tf.Tensor, kernel: tf.Tensor, upsampling: str) -> tf.Tensor:
    return convolution.upsample_and_convolve(x, kernel, UPSAMPLING[upsampling])


def convolved(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, shortcut: tf.Tensor) -> tf.Tensor:
    return convolution.epilogue(convolution.convolve(x, kernel, [1, 1], "SAME"), bias, shortcut, relu=True)


# Name: function, shapes of its inputs, how many of them are penalized.
FORMS = {
    "relu": (relu.relu, [(2, 4, 4, 3)], 1),
    "convolve by products": (functools.partial(convolution.convolve, strides=[1, 1], padding="SAME"), [(2, 4, 4, 3), (3, 3, 3, 4)], 2),
    "convolve by strides": (functools.partial(convolution.convolve, strides=[2, 2], padding="SAME"), [(2, 8, 8, 3), (4, 4, 3, 4)], 2),
    "convolve clips": (
        functools.partial(convolution.convolve, strides=[2, 2, 2], padding="SAME"),
        [(2, 4, 8, 8, 3), (4, 4, 4, 3, 2)],
        2,
    ),
    "convolve whole maps": (functools.partial(convolution.convolve, strides=[1, 1], padding="VALID"), [(2, 4, 4, 3), (4, 4, 3, 5)], 2),
    "convolve by oneDNN": (functools.partial(convolution.convolve, strides=[1, 1], padding="SAME"), [(2, 20, 20, 3), (3, 3, 3, 4)], 2),
    "convolve transposed": (
        functools.partial(convolution.convolve_transposed, strides=[2, 2], padding="SAME"),
        [(2, 4, 4, 4), (4, 4, 3, 4)],
        2,
    ),
    "doubling, nearest": (functools.partial(doubled, upsampling="nearest"), [(2, 4, 4, 3), (3, 3, 3, 4)], 2),
    "doubling, bilinear": (functools.partial(doubled, upsampling="bilinear"), [(2, 4, 4, 3), (3, 3, 3, 4)], 2),
    "pooling": (convolution.convolve_and_pool, [(2, 8, 8, 3), (3, 3, 3, 4)], 2),
    "pooling clips": (convolution.convolve_and_pool, [(2, 4, 8, 8, 3), (3, 3, 3, 3, 2)], 2),
    "downsample": (downsample, [(2, 3, 4, 4, 3)], 1),
    "epilogue": (convolved, [(2, 6, 6, 3), (3, 3, 3, 4), (4,), (2, 6, 6, 4)], 4),
    "normalize": (functools.partial(norm, per_frame=False, relu=False), [(3, 2, 9, 4), (1, 4), (1, 4)], 3),
    "normalize frames, relu": (functools.partial(norm, per_frame=True, relu=True), [(3, 2, 16, 4), (3, 4), (3, 4)], 3),
    "gru": (gru, [(3, 3, 3, 6), (3, 3, 3, 3), *[(2, 4, 4, 9)] * 3], 5),
    "gru from a state": (gru_from, [(2, 4, 4, 3), (3, 3, 3, 6), (3, 3, 3, 3), *[(2, 4, 4, 9)] * 2], 5),
    "spectral norm": (lambda kernel: spectral.spectral_normalize(kernel, random(1, 4, seed=3))[0], [(3, 3, 2, 4)], 1),
}


WITH_PIECES = "relu", "epilogue", "normalize", "normalize frames, relu", "gru", "gru from a state"


@pytest.mark.parametrize(("name", "xla"), [(name, False) for name in FORMS] + [(name, True) for name in WITH_PIECES])
def test_a_form_has_the_plain_formulas_second_derivatives(name, xla, monkeypatch):
    monkeypatch.setattr(pieces, "LARGE", 1 if xla else 1 << 60)
    function, shapes, penalized = FORMS[name]
    inputs = [random(*shape, seed=i) / 2 for i, shape in enumerate(shapes)]
    fast = penalty_gradients(function, inputs, penalized)
    with forms.plain():
        plain = penalty_gradients(function, inputs, penalized)
        rounded = penalty_gradients(function, inputs, penalized, tf.bfloat16) if name != "spectral norm" else plain
    fast_rounded = penalty_gradients(function, inputs, penalized, tf.bfloat16) if name != "spectral norm" else plain
    for a, b in zip(fast, plain, strict=True):
        assert np.linalg.norm(a - b) < 1e-4 * np.linalg.norm(b)
    for a, plainly, b in zip(fast_rounded, rounded, plain, strict=True):
        assert np.linalg.norm(a - b) < 0.03 * np.linalg.norm(b) + 1.5 * np.linalg.norm(plainly - b)


def r1(model: str, changes: dict) -> list[np.ndarray]:
    """The gradients by D's weights of the mean of |d score / d video|^2, of the sum of each clip's scores."""
    gan = models.build(small(model, **changes))
    for index, weight in enumerate(gan.discriminator.trainable_variables):  # biases too, and of a size that gradients are of
        weight.assign(random(*weight.shape, seed=index) / np.sqrt(max(np.prod(weight.shape[:-1]), 4)))
    n, seeds = 2, tf.constant([[0, 1], [0, 2]])
    video = tf.tanh(noise.normal(seeds, [gan.config.frames, 32, 32, 3]))
    weights = [weight.value for weight in gan.discriminator.trainable_variables]

    def run(video: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(weights)
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(video)
                if model == "mocogan":
                    scores = gan.discriminator(video[:, 1], video, seeds, mode="train")
                elif model == "vgan":
                    scores = gan.discriminator(video, mode="train")
                else:
                    scores = gan.discriminator(video, tf.range(n), seeds, mode="train")
                score = tf.add_n([tf.reduce_sum(value) for value in tf.nest.flatten(scores)])
            penalty = tf.reduce_sum(tf.square(inner.gradient(score, video))) / n
        return outer.gradient(penalty, weights, unconnected_gradients="zero")

    with spectral.hold():
        return [gradient.numpy() for gradient in tf.function(run, autograph=False)(video)]


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        ("dvdgan", {}),
        pytest.param("dvdgan", {"recompute": True, "attention": 8}, marks=pytest.mark.slow),
        ("mocogan", {}),
        ("tgan", {}),
        ("vgan", {}),
    ],
)
def test_a_discriminator_has_the_gradient_of_r1(model, changes, monkeypatch):
    monkeypatch.setattr(pieces, "LARGE", 1 << 12)
    fast = r1(model, changes)
    with forms.plain():
        plain = r1(model, changes)
    total = np.sqrt(sum(np.sum(gradient**2) for gradient in plain))
    assert np.isfinite(total) and total > 0
    for a, b in zip(fast, plain, strict=True):
        assert np.linalg.norm(a - b) < 1e-3 * np.linalg.norm(b) + 1e-6 * total

"""Spectrally normalized layers: convolution, dense, embedding.

The kernel w, as a matrix [inputs, outputs], is divided by its largest singular value sigma(w) (Miyato et al. 2018).
One power iteration a pass finds it: v = |u w^T|, s = v w, u' = |s|, sigma = s . u'; passes within `hold()` share one. With
u' and v held constant the gradient through sigma is the textbook one, so the gradient of f(w / sigma(w)) is orthogonal to w.
Keras' own SpectralNormalization wrapper does not differentiate through sigma.

Kernels are initialized orthogonally (BigGAN, DVD-GAN). Normalization runs in float32 whatever the policy.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from tfvideogan.layers import Mode
from tfvideogan.ops.convolution import convolve, convolve_and_pool, epilogue, upsample_and_convolve

_held: dict["SpectralLayer", None] | None = None


@contextlib.contextmanager
def hold() -> Iterator[dict["SpectralLayer", None]]:
    """What is called or traced within it leaves u as it is. Gives the layers, in order, that are to `iterate` once afterwards."""
    global _held
    before, _held = _held, {}
    try:
        yield _held
    finally:
        _held = before


def spectral_normalize(kernel: tf.Tensor, u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """One power iteration. Args: kernel [..., out], u [1, out]. Returns: kernel / sigma, and the next u [1, out]."""
    matrix = tf.reshape(kernel, [-1, kernel.shape[-1]])
    v = _unit(tf.matmul(u, tf.stop_gradient(matrix), transpose_b=True))
    s = tf.matmul(v, matrix)
    u = _unit(tf.stop_gradient(s))
    return kernel / tf.matmul(s, u, transpose_b=True), u


def _unit(row: tf.Tensor) -> tf.Tensor:
    """A row [1,n] divided by its length."""
    return row * tf.math.rsqrt(tf.maximum(2.0 * tf.nn.l2_loss(row), 1e-12))


_given = threading.local()  # of a thread, for each replica is traced in its own


@contextlib.contextmanager
def given(kernels: dict["SpectralLayer", tf.Tensor]) -> Iterator[None]:
    """Within it, in this thread, these are the layers' normalized kernels: none is normalized, no `u` assigned."""
    before, _given.kernels = getattr(_given, "kernels", {}), {id(layer): kernel for layer, kernel in kernels.items()}
    try:
        yield
    finally:
        _given.kernels = before


class SpectralLayer(keras.layers.Layer):
    """A layer with one spectrally normalized kernel of the given shape, outputs last."""

    def __init__(self, shape: Sequence[int], bias: bool, dtype: str | None = None):
        super().__init__(dtype=dtype)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="orthogonal", autocast=False)
        self.bias = self.add_weight(name="bias", shape=shape[-1:], initializer="zeros") if bias else None
        # Every replica computes the same u from the same kernel, so the first one's is as good as any.
        self.u = self.add_weight(
            name="u", shape=(1, shape[-1]), initializer="random_normal", trainable=False, autocast=False, aggregation="only_first_replica"
        )
        self.built = True

    def normalized_kernel(self, mode: Mode) -> tf.Tensor:
        """The kernel over its largest singular value, in the compute dtype."""
        kernel = getattr(_given, "kernels", {}).get(id(self))
        if kernel is not None:
            return kernel
        kernel, u = spectral_normalize(tf.convert_to_tensor(self.kernel.value), self.u.value)
        if mode == "train" and _held is None:
            self.u.assign(u)
        elif mode == "train" and _held is not None:
            _held[self] = None
        return tf.cast(kernel, self.compute_dtype)

    def iterate(self) -> None:
        """The power iteration that passes within `hold()` left out."""
        self.u.assign(spectral_normalize(self.kernel.value, self.u.value)[1])


class SpectralConv(SpectralLayer):
    """Convolution, stride 1, same padding. Args: inputs, outputs: widths. kernel: its extent, two or three numbers."""

    def __init__(self, inputs: int, outputs: int, kernel: Sequence[int], bias: bool = True):
        super().__init__([*kernel, inputs, outputs], bias)

    def call(
        self,
        x: tf.Tensor,
        mode: Mode,
        upsample: Callable[[tf.Tensor], tf.Tensor] | None = None,
        pool: bool = False,
        relu: bool = False,
        shortcut: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """[..., inputs] -> [..., outputs], channels last: of [N,H,W,C] by a 2-D kernel, of [N,T,H,W,C] by a 3-D one.

        Args:
            x: the map.
            mode: "train" keeps the power iteration.
            upsample: of ops.resample; doubles the map before the convolution.
            pool: halves every axis after it.
            relu: rectifies the sum, and may make 0 of NaN.
            shortcut: is added to the outputs before that.
        """
        kernel = self.normalized_kernel(mode)
        if upsample is not None:
            y = upsample_and_convolve(x, kernel, upsample)
        else:
            y = convolve_and_pool(x, kernel) if pool else convolve(x, kernel, [1] * (len(kernel.shape) - 2), "SAME")
        addends = [addend for addend in (self.bias, shortcut) if addend is not None]
        return epilogue(y, *(tf.cast(addend, y.dtype) for addend in addends), relu=relu)


class SpectralDense(SpectralLayer):
    """Linear map [N, inputs] -> [N, outputs]."""

    def __init__(self, inputs: int, outputs: int, bias: bool, dtype: str | None = None):
        super().__init__([inputs, outputs], bias, dtype)

    def call(self, x: tf.Tensor, mode: Mode) -> tf.Tensor:
        y = tf.matmul(x, self.normalized_kernel(mode))
        return y if self.bias is None else epilogue(y, tf.cast(self.bias, y.dtype))


class SpectralEmbedding(SpectralLayer):
    """Rows of a normalized table: labels [N] int32 -> [N, width]."""

    def __init__(self, classes: int, width: int, dtype: str | None = None):
        super().__init__([classes, width], bias=False, dtype=dtype)

    def call(self, label: tf.Tensor, mode: Mode) -> tf.Tensor:
        return tf.gather(self.normalized_kernel(mode), label)

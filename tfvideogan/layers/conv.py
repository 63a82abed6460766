"""Plain convolutions and transposed convolutions of one, two or three axes, channels last: ops/convolution.py computes them.

"SAME" and "VALID" are a table's padding where the two meet: a transposed or strided 4/2/1 layer on an even map, and 3/1/1, are
"SAME"; 4/1/0 on 1x1 or 4x4 is "VALID".
"""

from collections.abc import Sequence
from typing import TypeAlias

import keras
import tensorflow as tf

from tfvideogan.ops import convolution

Initializer: TypeAlias = str | keras.initializers.Initializer


class Conv(keras.layers.Layer):
    """Convolution.

    Args:
        inputs, outputs: widths.
        kernel: its extent along each axis, one to three numbers.
        stride: along every axis, or one for each.
        padding: "SAME" or "VALID".
        bias: whether a bias is added.
        initializer: of the kernel [*kernel, inputs, outputs].
        bias_initializer: of the bias, which starts at 0 unless a paper says otherwise.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Sequence[int],
        stride: int | Sequence[int],
        padding: str,
        bias: bool,
        initializer: Initializer,
        dtype: str | None = None,
        bias_initializer: Initializer = "zeros",
    ):
        super().__init__(dtype=dtype)
        self.channels = outputs
        self.strides, self.padding = [stride] * len(kernel) if isinstance(stride, int) else [*stride], padding
        self.kernel = self.add_weight(name="kernel", shape=self.kernel_shape([*kernel], inputs, outputs), initializer=initializer)
        self.bias = self.add_weight(name="bias", shape=[outputs], initializer=bias_initializer) if bias else None
        self.built = True

    convolve = staticmethod(convolution.convolve)

    @staticmethod
    def kernel_shape(kernel: list[int], inputs: int, outputs: int) -> list[int]:
        return [*kernel, inputs, outputs]

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N,...,inputs] -> [N,...,outputs]."""
        y = self.convolve(x, tf.convert_to_tensor(self.kernel.value), self.strides, self.padding)
        return y if self.bias is None else convolution.epilogue(y, tf.cast(self.bias, y.dtype))


class ConvTranspose(Conv):
    """Transposed convolution: as `Conv`, with the kernel [*kernel, outputs, inputs]. "SAME" multiplies every axis by the stride."""

    convolve = staticmethod(convolution.convolve_transposed)

    @staticmethod
    def kernel_shape(kernel: list[int], inputs: int, outputs: int) -> list[int]:
        return [*kernel, outputs, inputs]

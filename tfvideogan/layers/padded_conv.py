"""2-D convolutions with PyTorch's padding, which TensorFlow's "SAME" has for a stride of 1 alone.

A stride of 2 by a 3x3 kernel with padding 1 begins one pixel before the picture; "SAME" begins on it, and ends one after. The transposed
convolution is likewise one pixel off: PyTorch's output(2i + k - 1) += x(i) w(k) keeps the end that "SAME" cuts off.
"""

import keras
import tensorflow as tf

from tfvideogan.layers.conv import Conv, ConvTranspose, Initializer


class PaddedConv(Conv):
    """Convolution of pictures with as many pixels around them on each side.

    Args:
        inputs, outputs: widths.
        kernel: its extent along both axes.
        stride: along both axes.
        padding: pixels around the picture.
        reflect: they mirror the picture about its outermost pixels, else they are zeros.
        initializer, bias_initializer: of the kernel [kernel,kernel,inputs,outputs] and the bias.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int,
        padding: int,
        reflect: bool,
        initializer: Initializer,
        bias_initializer: Initializer,
        dtype: str | None = None,
    ):
        same = not reflect and stride == 1 and kernel == 2 * padding + 1
        super().__init__(inputs, outputs, [kernel] * 2, stride, "SAME" if same else "VALID", True, initializer, dtype, bias_initializer)
        self.around, self.reflect = padding, reflect

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N,H,W,inputs] -> [N,(H + 2 padding - kernel) // stride + 1,..,outputs]."""
        if self.padding == "VALID" and self.around:
            x = tf.pad(x, [[0, 0], [self.around] * 2, [self.around] * 2, [0, 0]], "REFLECT" if self.reflect else "CONSTANT")
        return super().call(x)


class DoublingConv(ConvTranspose):
    """PyTorch's transposed convolution of kernel 3, stride 2, padding 1 and output padding 1: height and width exactly doubled.

    Args:
        inputs, outputs: widths.
        initializer, bias_initializer: of the kernel [3,3,outputs,inputs] and the bias.
    """

    def __init__(self, inputs: int, outputs: int, initializer: Initializer, bias_initializer: Initializer):
        super().__init__(inputs, outputs, [3, 3], 2, "VALID", True, initializer, None, bias_initializer)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N,H,W,inputs] -> [N,2H,2W,outputs]."""
        return super().call(x)[:, 1:, 1:]  # of 2H + 1 rows: without padding, x(i) w(k) falls on row 2i + k


def kernel() -> keras.initializers.Initializer:
    """N(0,.02^2), what pix2pix and its descendants start every kernel from. Made anew for each layer: an initializer that is used twice
    draws the same numbers twice."""
    return keras.initializers.RandomNormal(0.0, 0.02)


def torch_bias(fan: int) -> keras.initializers.Initializer:
    """PyTorch's first biases of a convolution: U(-1/sqrt(fan), 1/sqrt(fan)). `fan` is 9 times the inputs of a 3x3 kernel, of a transposed
    convolution 9 times its outputs."""
    return keras.initializers.RandomUniform(-(fan**-0.5), fan**-0.5)

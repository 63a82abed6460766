"""What an evaluator promises: whatever turns clips into features and logits is one."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf


class Evaluator(Protocol):
    """A network that looks at clips.

    Attributes:
        name: suffix of the scores' names.
        sha256: of its weights.
        labels: names of its classes, or empty.
        protocol: what else of it a reader of scores must know.
        run: what a call uses for `compute`: itself, or `strategy.spread`'s form of it.
    """

    name: str
    sha256: str
    labels: tuple[str, ...]
    protocol: dict[str, object]
    run: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

    def __call__(self, video: tf.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Clips [N,T,H,W,3] in [-1,1] -> features and logits, [N,F] and [N,C]; of single frames [N,T,F] and [N,T,C].

        Raises: UserError for a number of frames that it does not take.
        """
        ...

    def compute(self, video: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The same as tensors, in any tf.function and on any replica, of clips that it takes."""
        ...

"""Source: the SavedModel that other formats are made from."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tfvideogan.generation.module import Generator

Arrays = dict[str, np.ndarray]


class Source:
    """An exported module, and the one function of it that is converted: `generate`, as its signature for servers has it, of plain
    operations. It reads named inputs and draws nothing: seeds and truncations are for whoever calls it.

    Args:
        generator: as `module.from_module` reads it; its name is the folder of the SavedModel.

    Attributes:
        specs: of the inputs, by name.
        video: of the output, float32 [N,T,H,W,3] in [0,1].
    """

    def __init__(self, generator: Generator):
        self.generator, self.folder = generator, Path(generator.name)
        self.module, self.signature = generator.source, generator.source.signatures["serving_default"]
        self.specs: dict[str, tf.TensorSpec] = self.signature.structured_input_signature[1]
        self.video: tf.TensorSpec = self.signature.structured_outputs["video"]

    def function(self, clips: int | None) -> tf.types.experimental.PolymorphicFunction:
        """The signature, of positional arguments: of any number of clips (None), or of this one."""

        def generate(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            video = self.signature(**dict(zip(self.specs, inputs, strict=True)))["video"]
            return {"video": tf.ensure_shape(video, [clips, *video.shape[1:]])}

        specs = [tf.TensorSpec([clips, *spec.shape[1:]], spec.dtype, name) for name, spec in self.specs.items()]
        return tf.function(generate, input_signature=specs, autograph=False)

    def example(self, seed: int) -> Arrays:
        """Inputs of one clip to compare formats on: latents of the normal distribution, pictures of noise, numbers that there are."""
        draw = np.random.default_rng(seed)

        def one(name: str, spec: tf.TensorSpec) -> np.ndarray:
            shape = [1, *spec.shape[1:]]
            if spec.dtype.is_integer:
                return draw.integers(0, max(self.generator.config.classes, 1) if name == "label" else 2, shape).astype(
                    spec.dtype.as_numpy_dtype
                )
            return (draw.standard_normal(shape) if len(shape) == 2 else draw.random(shape)).astype(np.float32)

        return {name: one(name, spec) for name, spec in self.specs.items()}

    def __call__(self, inputs: Arrays) -> np.ndarray:
        return self.signature(**{name: tf.constant(value) for name, value in inputs.items()})["video"].numpy()

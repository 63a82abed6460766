"""The latents that seeds stand for, of a module that reads them by name: those of the first clip that `sample` draws."""

import numpy as np
import tensorflow as tf

from tfvideogan import models
from tfvideogan.gan import LATENT
from tfvideogan.generation.module import Generator, specs_of
from tfvideogan.ops import noise
from tfvideogan.ops.latent import Distribution


def width(generator: Generator) -> int:
    """Numbers in a latent; 0 of a generator without one."""
    return next((spec.shape[-1] for spec in specs_of(generator.source.generate) if spec.name == "z"), 0)


def distribution(generator: Generator) -> Distribution:
    """Of its latents. Raises UserError if its model is none of these."""
    return models.find(generator.config.model).Model.latent_distribution


def parts(generator: Generator) -> dict[str, slice]:
    """Which of the numbers are a clip's content and which its motion; empty if the model does not tell them apart, or the module is of
    before 0.2 and does not say."""
    return {name: slice(*part.numpy().tolist()) for name, part in getattr(generator.source, "latent_parts", {}).items()}


def of_seeds(generator: Generator, seeds: list[int]) -> np.ndarray:
    """float32 [N,width], not truncated: of each --seed, the latent of the first clip in the first row."""
    first = [tf.random.experimental.stateless_fold_in(tf.constant([seed, 0]), 0, "philox") for seed in seeds]
    return distribution(generator).draw(noise.fork(tf.stack(first), LATENT), width(generator)).numpy()

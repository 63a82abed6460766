"""Interpolation sheets: clips between two latents, of one class or from one class to another.

A generator that has learned its classes changes steadily along a row; one that has stored clips jumps from one to the
next (DVD-GAN's authors see this on UCF-101, arXiv 1907.06571, 4.3).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfvideogan.generation.module import specs_of
from tfvideogan.ops.latent import Distribution


def interpolate(
    module: tf.Module, distribution: Distribution, pairs: Sequence[tuple[int, int]], steps: int, seed: int, truncation: float
) -> Iterator[np.ndarray]:
    """A row of clips for each pair of labels, from the one to the other; equal labels stay within a class.

    Latents go between two draws by their own distribution. The labels' embeddings go in a straight line, if the module has
    `blend`; if not, the label changes at the middle of the row.

    Args:
        module: a Sampler or an exported module: `generate(z [N,width], label [N]) -> [N,T,H,W,3] in [0,1]`, or without labels, and perhaps
            `blend(z, weights of the classes [N,classes])`, which gives the same.
        distribution: of the module's latents.
        pairs: labels of the first and last clip of each row.
        steps: clips in a row, at least 2.
        seed: of the latents; row r draws the same whatever the others are.
        truncation: of the latents; 1 is none.
    Yields: [steps,T,H,W,3] float32 in [0,1].
    Raises: ValueError for fewer than 2 steps.
    """
    if steps < 2:
        raise ValueError(f"steps={steps}: expected at least 2, the two ends")
    specs = {spec.name: spec for spec in specs_of(module.generate)}
    for row, (first, last) in enumerate(pairs):
        ends = distribution.draw(tf.constant([[seed, 2 * row], [seed, 2 * row + 1]]), specs["z"].shape[-1])
        share = tf.linspace(0.0, 1.0, steps)[:, None]  # of the last
        z = distribution.truncate(distribution.interpolate(ends[:1], ends[1:], share), truncation)
        if first != last and hasattr(module, "blend"):
            one_hot = tf.one_hot([first, last], module.blend.input_signature[1].shape[-1])
            yield module.blend(z, (1 - share) * one_hot[:1] + share * one_hot[1:]).numpy()
        else:
            inputs = {"z": z, "label": tf.where(share[:, 0] < 0.5, first, last)}
            yield module.generate(**{name: inputs[name] for name in specs}).numpy()


def names(pairs: Sequence[tuple[int, int]], labels: Sequence[str]) -> list[str]:
    """Names of the rows: "wave1" within a class, "wave1 to jack" across."""
    return [labels[first] if first == last else f"{labels[first]} to {labels[last]}" for first, last in pairs]

"""Sliced Wasserstein distance, SWD (Karras et al. 2018, Progressive GAN, arXiv:1710.10196, 5 and appendix B): of image patches.

How far the patches of two sets of images are apart at each scale, from fine texture to coarse layout.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

PATCH = 7  # pixels a side
LEAST = 16  # pixels a side of the coarsest level
BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
DIRECTIONS_AT_A_TIME = 64  # bounds the memory: projections of 2,048 images x 128 patches on 64 directions are 67 MB


class Recipe(NamedTuple):
    """How patches are drawn and compared.

    Attributes:
        patches: of each image, at each level.
        directions: that the patches are projected on.
        of_each_patch: bring each patch to mean 0 and deviation 1; else each color, over all patches of a set.
        scale: what the distances are multiplied by.
    """

    patches: int
    directions: int
    of_each_patch: bool
    scale: float


PROGRESSIVE_GAN = Recipe(patches=128, directions=512, of_each_patch=False, scale=1000.0)
TFGAN = Recipe(patches=64, directions=147, of_each_patch=True, scale=1.0)  # tensorflow_gan.eval.sliced_wasserstein_distance


def sliced_wasserstein_distance(real: np.ndarray, fake: np.ndarray, seed: int, recipe: Recipe = PROGRESSIVE_GAN) -> np.ndarray:
    """Mean |difference| of sorted projections of patches, on random directions, at each level of a Laplacian pyramid; 0 is best.

    Depends on the number of images: the paper takes 8,192 of each set.

    Args:
        real, fake: [N,H,W,3], as many of each; their range does not matter, as patches are normalized.
        seed: of places and directions. One seed gives both sets the same places, so that a set and itself are 0 apart.
        recipe: PROGRESSIVE_GAN's or TFGAN's; their values do not compare.
    Returns: [levels], from the full size, halved each time, down to 16 pixels or just above.
    Raises: ValueError for shapes that differ, no colors, fewer than 16 pixels a side, or values not finite.
    """
    real, fake = _images("real", real), _images("fake", fake)
    if real.shape != fake.shape:
        raise ValueError(f"real images of shape {list(real.shape)} and fake ones of {list(fake.shape)}: expected the same")
    levels = len(level_sizes(min(real.shape[1:3])))
    distances = []
    for level in range(levels):
        real_patches, fake_patches = (_patches(images, level, levels, seed, recipe) for images in (real, fake))
        distances.append(_distance(real_patches, fake_patches, np.random.default_rng([seed, level]), recipe))
    return np.array(distances)


def level_sizes(size: int) -> list[int]:
    """Pixels a side of the pyramid's levels: halved, and rounded up, as long as 16 are left after rounding down. 63 -> 63, 32."""
    return [-(-size // 2**level) for level in range(int(np.log2(size // LEAST)) + 1)] if size >= LEAST else []


def laplacian_level(images: np.ndarray, level: int, levels: int) -> np.ndarray:
    """One level of a Laplacian pyramid (Burt and Adelson 1983): [N,H,W,C] -> [N,H / 2^level,W / 2^level,C], float32.

    A level is the image less what is left of it in the next one; the last is the image itself, made small.
    """
    images = np.asarray(images, np.float32)
    for _ in range(level):
        images = _shrink(images)
    return images if level == levels - 1 else images - _grow(_shrink(images), images.shape[1:3])


def _patches(images: np.ndarray, level: int, levels: int, seed: int, recipe: Recipe) -> np.ndarray:
    """Normalized patches of a level: [N * patches,7 * 7 * 3], float32 like the projections: sorted twice as fast."""
    draw = np.random.default_rng([seed, level, 1])
    found = []
    for start in range(0, len(images), 256):  # the pyramid of a few images at a time
        part = laplacian_level(images[start : start + 256], level, levels)
        n, height, width, _ = part.shape
        top = draw.integers(height - PATCH + 1, size=[n, recipe.patches])
        left = draw.integers(width - PATCH + 1, size=[n, recipe.patches])
        windows = np.lib.stride_tricks.sliding_window_view(part, (PATCH, PATCH), axis=(1, 2))  # [n,h,w,3,7,7]
        found.append(windows[np.arange(n)[:, None], top, left].reshape([-1, 3, PATCH, PATCH]))
    patches = np.concatenate(found)
    axes = (1, 2, 3) if recipe.of_each_patch else (0, 2, 3)
    mean = patches.mean(axes, dtype=np.float64, keepdims=True)
    deviation = patches.std(axes, dtype=np.float64, keepdims=True)
    # Flat patches have no deviation: 0, where TF-GAN has nan.
    patches -= mean.astype(np.float32)
    patches /= np.where(deviation > 0, deviation, 1).astype(np.float32)
    return patches.reshape([len(patches), -1])


def _distance(real: np.ndarray, fake: np.ndarray, draw: np.random.Generator, recipe: Recipe) -> float:
    directions = draw.normal(size=[real.shape[1], recipe.directions])
    directions = (directions / np.linalg.norm(directions, axis=0)).T.astype(np.float32)

    def total(start: int) -> float:
        some = directions[start : start + DIRECTIONS_AT_A_TIME]
        a, b = (np.sort(some @ patches.T, axis=1) for patches in (real, fake))
        return np.abs(a - b).mean(1, dtype=np.float64).sum()

    with ThreadPoolExecutor() as pool:  # sorting lets go of Python's lock
        return recipe.scale * sum(pool.map(total, range(0, recipe.directions, DIRECTIONS_AT_A_TIME))) / recipe.directions


def _shrink(images: np.ndarray) -> np.ndarray:
    """Half the size, rounded up: [N,H,W,C] -> [N,H/2,W/2,C]."""
    return _blur(images, 1.0)[:, ::2, ::2]


def _grow(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Twice the size, less at most one row and column: [N,h,w,C] -> [N,*size,C]."""
    n, height, width, channels = images.shape
    spread = np.zeros([n, 2 * height, 2 * width, channels], np.float32)
    spread[:, ::2, ::2] = images
    return _blur(spread, 2.0)[:, : size[0], : size[1]]


def _blur(images: np.ndarray, gain: float) -> np.ndarray:
    """The 5 x 5 binomial filter, `gain` times along each axis; edges reflected."""
    for axis in (1, 2):
        pad = [(2, 2) if i == axis else (0, 0) for i in range(4)]
        padded, length = np.pad(images, pad, mode="reflect"), images.shape[axis]
        images = sum(np.float32(gain * weight) * np.take(padded, range(i, i + length), axis=axis) for i, weight in enumerate(BINOMIAL))
    return images


def _images(name: str, images: np.ndarray) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[3] != 3 or not len(images) or min(images.shape[1:3]) < LEAST:
        raise ValueError(f"{name} images of shape {list(images.shape)}: expected [N,H,W,3] of at least {LEAST} pixels a side")
    if not np.isfinite(images).all():
        raise ValueError(f"{name} images hold NaN or infinity: expected finite values")
    return images

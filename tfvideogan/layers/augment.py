"""Differentiable augmentation of the clips that a discriminator sees, real and generated alike: color, translation and cutout of
"Differentiable Augmentation for Data-Efficient GAN Training", Zhao, Liu, Lin, Zhu, Han, arXiv 2006.10738, NeurIPS 2020.

What is drawn for a clip is the same for all of its frames: what moves in it moves as before.
"""

import math

import tensorflow as tf

from tfvideogan.ops import noise

BRIGHTNESS, SATURATION, CONTRAST = 0.5, 1.0, 0.5  # half ranges about 0, 1 and 1 (their code)
TRANSLATION, CUTOUT = 1 / 8, 1 / 2  # of height and width: the farthest move, and the sides of what is cut out (their section 3)
DRAWS = 12  # of a clip: seven places in ranges, and five that decide what is applied


def augment(video: tf.Tensor, seeds: tf.Tensor, strength: float, probability: tf.Tensor | float, per_frame: bool) -> tf.Tensor:
    """Clips, each changed by what its seed draws; each of the five changes is applied with a probability of its own.

    Args:
        video: clips [N,T,H,W,3] in [-1,1], or frames [N,H,W,3], float32; or flows, of two channels, which have no color to change.
        seeds: [N,2] int32.
        strength: in [0,1], what all ranges are multiplied by; 1 is the paper's.
        probability: in [0,1], of each of brightness, saturation, contrast, translation and cutout.
        per_frame: every frame of a clip has draws of its own.

    Returns: of the same shape; colors may leave [-1,1], what moves in from outside or is cut out is 0.
    """
    frames = math.prod(video.shape[1:-3])  # 1 for frames
    alone = frames if per_frame else 1
    draws = tf.reshape(noise.uniform(seeds, [alone, DRAWS]), [-1, DRAWS])
    places, applied = draws[:, :7], draws[:, 7:] < probability
    x = tf.reshape(video, [-1, frames // alone, *video.shape[-3:]])  # [n,t,H,W,C], n as many as are drawn for

    if video.shape[-1] == 3:
        x = recolored(x, *(_drawn(places, applied, i, strength, r) for i, r in enumerate((BRIGHTNESS, SATURATION, CONTRAST))))
    for i, axis in enumerate((2, 3)):
        farthest = round(strength * TRANSLATION * x.shape[axis])
        move = tf.cast(places[:, 3 + i] * (2 * farthest + 1), tf.int32) - farthest  # -farthest..farthest, all alike
        x = moved(x, tf.where(applied[:, 3], move, 0), axis)
    inside = tf.reshape(applied[:, 4], [-1, 1, 1, 1, 1])
    for i, axis in enumerate((2, 3)):
        inside &= _stretch(places[:, 5 + i], round(strength * CUTOUT * x.shape[axis]), x.shape[axis], axis)
    return tf.reshape(tf.where(inside, 0.0, x), [-1, *video.shape[1:]])


def recolored(x: tf.Tensor, brightness: tf.Tensor, saturation: tf.Tensor, contrast: tf.Tensor) -> tf.Tensor:
    """x + b; then each pixel's distance from its gray times 1 + s; then from the clip's mean times 1 + c.

    Args:
        x: clips [N,T,H,W,3].
        brightness, saturation, contrast: b, s and c, [N,1,1,1,1]; 0 changes nothing.
    """
    x += brightness
    x += saturation * (x - tf.reduce_mean(x, -1, keepdims=True))
    return x + contrast * (x - tf.reduce_mean(x, [1, 2, 3, 4], keepdims=True))


def moved(x: tf.Tensor, places: tf.Tensor, axis: int) -> tf.Tensor:
    """x [N,...] moved along an axis by so many places [N] int32, with zeros behind it. Its gradient is moved back, at any order."""
    size, rank = x.shape[axis], len(x.shape)

    @tf.custom_gradient
    def move(x: tf.Tensor):
        source = tf.range(size) - places[:, None]  # [N,size]
        there = tf.cast((source >= 0) & (source < size), x.dtype)
        found = tf.gather(x, tf.clip_by_value(source, 0, size - 1), axis=axis, batch_dims=1)
        return found * _along(there, axis, rank), lambda dy: moved(dy, -places, axis)

    return move(x)


def _along(x: tf.Tensor, axis: int, rank: int) -> tf.Tensor:
    """[N,size] -> [N,1,..,size,..,1], of that rank."""
    return tf.reshape(x, [-1, *(x.shape[1] if i == axis else 1 for i in range(1, rank))])


def _drawn(places: tf.Tensor, applied: tf.Tensor, i: int, strength: float, half: float) -> tf.Tensor:
    """U[-strength * half, strength * half) where it is applied, else 0: [N,1,1,1,1]."""
    value = tf.where(applied[:, i], strength * half * (2.0 * places[:, i] - 1.0), 0.0)
    return tf.reshape(value, [-1, 1, 1, 1, 1])


def _stretch(place: tf.Tensor, length: int, size: int, axis: int) -> tf.Tensor:
    """Whether a place along an axis of a clip lies in a stretch whose middle is anywhere from 0 to size: bool [N,1,..,size,..,1]."""
    first = tf.cast(place * (size + 1), tf.int32) - length // 2
    index = tf.range(size) - first[:, None]
    return _along((index >= 0) & (index < length), axis, 5)

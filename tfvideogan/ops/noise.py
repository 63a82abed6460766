"""Random draws that belong to an example, not to a batch.

Each example carries its own seed (two int32). What is drawn for it depends neither on the batch it stands in nor on the replica that
computes it, so one replica and many see the same noise, and a resumed run sees it again. Nor does it depend on who computes: the
generator is written out, and whatever follows is exactly rounded, so a seed gives the same numbers eagerly, in a graph, compiled by
XLA, and on any device. Longer draws begin as shorter ones.
"""

import functools
import math
import statistics
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfvideogan.ops import pieces

ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)  # of four rounds each, in turn
PARITY = 0x1BD11BDA
_left, _right = tf.bitwise.left_shift, tf.bitwise.right_shift


def fork(seeds: tf.Tensor, stream: int) -> tf.Tensor:
    """Seeds [N,2] int32 of an independent stream; `stream` numbers the uses one example's seed is put to."""
    return seeds + tf.constant([[stream * 1_000_003, 0]], tf.int32)  # the generator hashes its key: distinct is enough


def normal(seeds: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """N(0,1) draws, float32 [N,*shape], from seeds [N,2] int32.

    Each is the sum of two, of variance 1/2, that take the middles of 65,536 equally likely parts of the normal law: one addition, which
    rounds alike everywhere, as logarithms do not. The law is within 8e-6 of the normal distribution function, with a fourth moment of
    2.9996 and a tail beyond 4.5 of 0.94 of the normal one; values reach 6.1.
    """
    return tf.reshape(_normal(bits(seeds, math.prod(shape))), [_examples(seeds), *shape])


def uniform(seeds: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """U[0,1) draws, multiples of 2^-24, float32 [N,*shape], from seeds [N,2] int32."""
    words = bits(seeds, math.prod(shape))
    return tf.reshape(tf.cast(_right(words, np.uint32(8)), tf.float32) * 2.0**-24, [_examples(seeds), *shape])


def added(x: tf.Tensor, seeds: tf.Tensor, deviation: float) -> tf.Tensor:
    """x [N,...] and N(0, deviation^2) noise, from seeds [N,2] int32; summed in float32, in x's dtype."""
    words = bits(seeds, math.prod(x.shape[1:]))

    @tf.custom_gradient
    def add(x: tf.Tensor):
        return pieces.compiled(_added, x, words, tf.constant(deviation))[0], lambda dy: dy

    return add(x)


def bits(seeds: tf.Tensor, words: int) -> tf.Tensor:
    """Random bits, uint32 [N,words], from seeds [N,2] int32: words 2i and 2i + 1 are `threefry` of the seed and counter (i, 0)."""
    if not words:
        return tf.zeros([_examples(seeds), 0], tf.uint32)
    counter = tf.cast(tf.range(-(-words // 2)), tf.uint32)[None]
    (pairs,) = pieces.compiled(_pairs, counter, seeds, numbers=words * (seeds.shape[0] or 1))
    return tf.reshape(tf.bitcast(pairs, tf.uint32), [-1, 2 * counter.shape[1]])[:, :words]


def _examples(seeds: tf.Tensor) -> int | tf.Tensor:
    return tf.shape(seeds)[0] if seeds.shape[0] is None else seeds.shape[0]


def threefry(key: Sequence[tf.Tensor], counter: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Two random words of a key of two and a counter of two, all uint32, of shapes that broadcast.

    Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", table 2).
    """
    keys = (*key, key[0] ^ key[1] ^ np.uint32(PARITY))
    x, y = counter[0] + keys[0], counter[1] + keys[1]
    for four in range(5):
        for distance in ROTATIONS[four % 2]:
            x = x + y
            y = (_left(y, np.uint32(distance)) | _right(y, np.uint32(32 - distance))) ^ x
        x, y = x + keys[(four + 1) % 3], y + keys[(four + 2) % 3] + np.uint32(four + 1)
    return x, y


@functools.cache
def _quantiles() -> np.ndarray:
    """Middles of 65,536 equally likely parts of N(0,1/2), scaled so that their variance is 1/2."""
    law = statistics.NormalDist()
    middles = np.array([law.inv_cdf((i + 0.5) / 65536) for i in range(65536)])
    return (middles / np.sqrt(2 * np.mean(middles**2))).astype(np.float32)


def _pairs(counter, seeds):
    keys = tf.bitcast(seeds, tf.uint32)
    # A scalar 0: an array of more than 1,000 would be a Fill, which GPUs lack for uint32.
    first, second = threefry((keys[:, :1], keys[:, 1:]), (counter, tf.constant(0, tf.uint32)))
    return [tf.cast(first, tf.uint64) | _left(tf.cast(second, tf.uint64), np.uint64(32))]  # one result: of two, XLA draws each twice


def _normal(words: tf.Tensor) -> tf.Tensor:
    quantiles = tf.constant(_quantiles())
    low, high = (tf.gather(quantiles, tf.cast(half, tf.int32)) for half in (words & 0xFFFF, _right(words, np.uint32(16))))
    return low + high


def _added(x, words, deviation):
    return [tf.cast(tf.cast(x, tf.float32) + deviation * tf.reshape(_normal(words), [-1, *x.shape[1:]]), x.dtype)]

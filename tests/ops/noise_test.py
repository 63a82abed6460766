"""Draws of examples: the generator's published vectors, the laws, and that a seed alone decides."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan.ops import forms, noise, pieces


@pytest.fixture(params=["compiled", "plain"])
def limit(request, monkeypatch):
    monkeypatch.setattr(pieces, "LARGE", 1 if request.param == "compiled" else 1 << 60)


def seeds_of(n: int, stream: int = 0) -> tf.Tensor:
    return noise.fork(tf.stack([tf.zeros([n], tf.int32), tf.range(n)], 1), stream)


# Of Random123, "threefry2x32 20": counter, key, result.
KNOWN = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
@pytest.mark.parametrize("xla", [False, True])
def test_threefry_gives_its_published_vectors(counter, key, result, xla):
    words = [tf.constant(word, tf.uint32) for word in (*key, *counter)]
    drawn = tf.function(lambda a, b, c, d: noise.threefry((a, b), (c, d)), autograph=False, jit_compile=xla)(*words)
    assert tuple(int(word) for word in drawn) == result


def test_bits_are_threefry_of_the_seed_and_the_number_of_the_pair(limit):
    seed = np.array([0x13198A2E, 0x03707344], np.uint32)
    drawn = noise.bits(tf.constant([[0, 0], seed.view(np.int32)]), 5).numpy()
    assert drawn.shape == (2, 5) and tuple(drawn[0, :2]) == KNOWN[0][2]
    key = tuple(tf.constant(word) for word in seed)
    pairs = [noise.threefry(key, (tf.constant(i, tf.uint32), tf.constant(0, tf.uint32))) for i in range(3)]
    np.testing.assert_array_equal(drawn[1], np.array(pairs).ravel()[:5])


@pytest.mark.parametrize("draw", [noise.normal, noise.uniform])
def test_draws_are_the_same_eagerly_in_a_graph_and_compiled(draw, limit):
    def several(seeds: tf.Tensor) -> list[tf.Tensor]:
        return [draw(noise.fork(seeds, stream), [257]) for stream in (0, 7)]

    eager = several(seeds_of(64))
    for xla in (None, True):
        np.testing.assert_array_equal(tf.function(several, autograph=False, jit_compile=xla)(seeds_of(64)), eager)


@pytest.mark.parametrize("draw", [noise.normal, noise.uniform])
def test_a_seed_alone_decides(draw, limit):
    seeds = seeds_of(6)
    draws = draw(seeds, [5]).numpy()
    np.testing.assert_array_equal(draw(seeds[3:5], [5]), draws[3:5])
    np.testing.assert_array_equal(draw(seeds, [11])[:, :5], draws)  # a longer draw begins as a shorter one
    assert draw(seeds, []).shape == [6] and draw(seeds[:0], [5]).shape == [0, 5]
    many = np.concatenate([draw(seeds_of(500, stream), [4]).numpy() for stream in range(4)])
    assert len({row.tobytes() for row in many}) == 2000


def normal_law(x: np.ndarray) -> np.ndarray:
    return np.array([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x])


def furthest(draws: np.ndarray, law) -> float:
    """Kolmogorov and Smirnov's distance of the draws from a continuous law, times the root of their number."""
    ordered = np.sort(draws.ravel())
    expected, n = law(ordered), ordered.size
    return max(np.max(np.arange(1, n + 1) / n - expected), np.max(expected - np.arange(n) / n)) * math.sqrt(n)


def test_draws_follow_their_laws():
    normal, uniform = noise.normal(seeds_of(400, 3), [500]).numpy(), noise.uniform(seeds_of(400, 4), [500]).numpy()
    n = normal.size
    assert furthest(normal, normal_law) < 1.95 and furthest(uniform, lambda x: x) < 1.95  # beyond with probability 0.001
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)):
        assert abs(np.mean(normal.astype(np.float64) ** power) - moment) < 4 * math.sqrt(spread / n)
    assert uniform.min() >= 0 and uniform.max() < 1
    assert abs(np.abs(normal).max() - 4.5) < 0.8  # of 200,000
    assert np.unique(uniform).size > 0.99 * n and np.unique(normal).size > 0.9 * n


def test_draws_of_seeds_streams_and_places_are_independent():
    n, count = 300, 300
    limit = 4.5 / math.sqrt(n * count)
    first = noise.normal(seeds_of(n), [count]).numpy().astype(np.float64)
    for other in (
        np.roll(first, 1, 0),  # of the next seed
        np.roll(first, 1, 1),  # of the next place
        np.roll(first, 2, 1),
        noise.normal(seeds_of(n, 1), [count]).numpy(),  # of another stream
        noise.normal(seeds_of(n) + [[1, 0]], [count]).numpy(),  # of another run's seed
    ):
        for power in (1, 2):
            a, b = first**power, other.astype(np.float64) ** power
            assert abs(np.mean((a - a.mean()) * (b - b.mean())) / (a.std() * b.std())) < limit
    words = noise.bits(seeds_of(n), count).numpy()
    ones = (words[..., None] >> np.arange(32, dtype=np.uint32)) & 1
    assert np.abs(ones.mean((0, 1)) - 0.5).max() < 4.5 / 2 / math.sqrt(words.size)
    changed = noise.bits(seeds_of(n) + [[0, 1 << 20]], count).numpy() ^ words  # one bit of the seed changes half of all
    assert abs(np.unpackbits(changed.view(np.uint8)).mean() - 0.5) < 4.5 / 2 / math.sqrt(32 * words.size)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_added_noise_is_a_normal_draw_times_the_deviation(limit, dtype):
    seeds = seeds_of(2)
    x = tf.cast(tf.fill([2, 11, 11, 3], 5.0), dtype)  # an odd number of values each
    expected = 5.0 + 0.5 * noise.normal(seeds, x.shape[1:])
    np.testing.assert_allclose(tf.cast(noise.added(x, seeds, 0.5), tf.float32), expected, rtol=1e-6 if dtype == tf.float32 else 2**-8)
    np.testing.assert_array_equal(noise.added(x[1:], seeds[1:], 0.5)[0], noise.added(x, seeds, 0.5)[1])  # of the example, not the batch
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(noise.added(x, seeds, 0.5) * 3.0)
    assert np.all(tape.gradient(y, x) == 3.0)


def test_every_operation_of_a_draw_has_a_kernel_for_gpus():
    from tensorflow.python.framework.kernels import get_registered_kernels_for_op

    def fits(kernel, operation: tf.Operation) -> bool:
        allowed = [(operation.get_attr(c.name).as_datatype_enum, c.allowed_values.list.type) for c in kernel.constraint]
        return kernel.device_type == "GPU" and all(kind in kinds for kind, kinds in allowed)

    with forms.plain():
        graph = tf.function(lambda seeds: noise.normal(seeds, [9]), autograph=False).get_concrete_function(tf.TensorSpec([4, 2], tf.int32))
    integers = [o for o in graph.graph.get_operations() if any(t.dtype in (tf.uint32, tf.uint64) for t in (*o.inputs, *o.outputs))]
    assert len(integers) > 100
    for operation in integers:
        assert any(fits(kernel, operation) for kernel in get_registered_kernels_for_op(operation.type).kernel), operation


def test_no_numbers_are_drawn_for_every_example():
    seeds = tf.constant([[0, 1], [0, 2]])
    assert noise.uniform(seeds, [0]).shape == (2, 0) and noise.normal(seeds, [3, 0]).shape == (2, 3, 0)

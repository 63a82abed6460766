"""The warp against NumPy, written apart from it, and against finite differences."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan.layers.warp import warp


def reference_warp(frames: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Pixel by pixel: hat functions around the clamped position, over all pixels of the frame."""
    n, height, width, _ = frames.shape
    result = np.zeros_like(frames)
    for i, y, x in itertools.product(range(n), range(height), range(width)):
        px = min(max(x + flow[i, y, x, 0], 0), width - 1)
        py = min(max(y + flow[i, y, x, 1], 0), height - 1)
        across = np.maximum(1 - abs(np.arange(width) - px), 0)
        down = np.maximum(1 - abs(np.arange(height) - py), 0)
        result[i, y, x] = np.einsum("h,w,hwc->c", down, across, frames[i])
    return result


def frames_and_flow(seed: int = 0, reach: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """[2,4,5,2] and a flow that leaves the frame on every side, and is nowhere near a whole pixel: there the warp has a kink."""
    draw = np.random.default_rng(seed)
    flow = draw.uniform(-reach, reach, [2, 4, 5, 2])
    return draw.standard_normal([2, 4, 5, 2]), np.floor(flow) + 0.1 + 0.8 * (flow - np.floor(flow))


def differences(function, x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """The gradient of a scalar function, by central differences in float64."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


def test_by_hand():
    row = tf.reshape(tf.constant([0.0, 10.0, 20.0, 40.0]), [1, 1, 4, 1])

    def moved(dx: float) -> list[float]:
        return warp(row, tf.constant([dx, 0.0]) * tf.ones([1, 1, 4, 1]))[0, 0, :, 0].numpy().tolist()

    assert moved(1.0) == [10, 20, 40, 40]  # content goes to the left, and the border goes on
    assert moved(-1.0) == [0, 0, 10, 20]
    assert moved(0.25) == [2.5, 12.5, 25, 40]
    assert moved(100.0) == [40] * 4 and moved(-100.0) == [0] * 4
    column = tf.transpose(row, [0, 2, 1, 3])
    assert warp(column, tf.constant([0.0, 0.5]) * tf.ones([1, 4, 1, 1]))[0, :, 0, 0].numpy().tolist() == [5, 15, 30, 40]


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64, tf.bfloat16, tf.float16])
def test_zero_flow_is_the_identity_to_the_last_bit(dtype):
    frames = tf.cast(tf.random.stateless_normal([3, 8, 6, 3], [0, 1]) * 100, dtype)
    still = warp(frames, tf.zeros([3, 8, 6, 2], dtype))
    assert still.dtype == dtype
    np.testing.assert_array_equal(tf.cast(still, tf.float64), tf.cast(frames, tf.float64))


@pytest.mark.parametrize("reach", [1.0, 3.0, 20.0])
def test_values_are_the_references(reach):
    frames, flow = frames_and_flow(reach=reach)
    expected = reference_warp(frames, flow)
    np.testing.assert_allclose(warp(tf.constant(frames), tf.constant(flow)), expected, atol=1e-12)
    single = warp(tf.constant(frames, tf.float32), tf.constant(flow, tf.float32))
    np.testing.assert_allclose(single, expected, atol=1e-5)


def test_bfloat16_is_computed_in_float32():
    frames, flow = frames_and_flow()
    low_frames, low_flow = tf.cast(frames, tf.bfloat16), tf.cast(flow, tf.bfloat16)
    exact = warp(tf.cast(low_frames, tf.float32), tf.cast(low_flow, tf.float32))
    warped = warp(low_frames, low_flow)
    assert warped.dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(warped, tf.float32), tf.cast(tf.cast(exact, tf.bfloat16), tf.float32))  # rounded once


def test_gradients_are_those_of_finite_differences():
    frames, flow = frames_and_flow()
    weights = np.random.default_rng(1).standard_normal(frames.shape)
    x, f = tf.constant(frames), tf.constant(flow)
    with tf.GradientTape() as tape:
        tape.watch([x, f])
        total = tf.reduce_sum(weights * warp(x, f))
    to_frames, to_flow = tape.gradient(total, [x, f])
    np.testing.assert_allclose(to_frames, differences(lambda v: np.sum(weights * reference_warp(v, flow)), frames), atol=1e-7)
    np.testing.assert_allclose(to_flow, differences(lambda v: np.sum(weights * reference_warp(frames, v)), flow), atol=1e-7)
    assert np.abs(to_flow).max() > 1 and np.any(np.asarray(to_flow) == 0)  # beyond the border nothing changes


def test_at_a_whole_pixel_the_flows_gradient_is_that_of_the_right_side():
    row, flow = tf.reshape(tf.constant([1.0, 4.0, 9.0, 16.0]), [1, 1, 4, 1]), tf.zeros([1, 1, 4, 2])
    with tf.GradientTape() as tape:
        tape.watch(flow)
        total = tf.reduce_sum(warp(row, flow))
    np.testing.assert_array_equal(tape.gradient(total, flow)[0, 0, :, 0], [3, 5, 7, 0])


def test_second_derivatives_are_those_of_finite_differences():
    # Of the norm of a gradient, as a penalty on gradients has: mixed in frames and flow, and in dx and dy.
    frames, flow = frames_and_flow()
    weights = np.random.default_rng(1).standard_normal(frames.shape)

    @tf.function(autograph=False)
    def penalty(x: tf.Tensor, f: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch([x, f])
            total = tf.reduce_sum(weights * tf.square(warp(x, f)))
        return tf.add_n([tf.reduce_sum(tf.square(g)) for g in tape.gradient(total, [x, f])])

    x, f = tf.constant(frames), tf.constant(flow)
    with tf.GradientTape() as tape:
        tape.watch([x, f])
        total = penalty(x, f)
    to_frames, to_flow = tape.gradient(total, [x, f])
    expected = differences(lambda v: float(penalty(tf.constant(v), f)), frames)
    np.testing.assert_allclose(to_frames, expected, rtol=1e-5, atol=1e-4)
    expected = differences(lambda v: float(penalty(x, tf.constant(v))), flow)
    np.testing.assert_allclose(to_flow, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("compiled", [False, True])
def test_in_a_graph_and_by_xla_it_is_the_same(compiled):
    frames, flow = (tf.constant(v, tf.float32) for v in frames_and_flow())

    def function(x: tf.Tensor, f: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch([x, f])
            y = warp(x, f)
            total = tf.reduce_sum(y * y * y)
        return y, *tape.gradient(total, [x, f])

    free = [tf.TensorSpec([None, *v.shape[1:]], tf.float32) for v in (frames, flow)]
    graph = tf.function(function, None if compiled else free, autograph=False, jit_compile=compiled)
    for result, expected in zip(graph(frames, flow), function(frames, flow), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_a_flow_that_is_no_number_makes_no_number():
    frames, flow = (np.array(v, np.float32) for v in frames_and_flow())
    flow[0, 2, 3, 0], flow[1, 0, 0, 1] = np.nan, np.inf
    warped = warp(tf.constant(frames), tf.constant(flow)).numpy()
    assert np.all(np.isnan(warped[0, 2, 3])) and np.isnan(warped).sum() == 2
    np.testing.assert_allclose(warped[1, 0, 0], reference_warp(frames, np.where(np.isinf(flow), 50, flow))[1, 0, 0], atol=1e-5)

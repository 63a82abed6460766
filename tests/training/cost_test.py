"""The counters of `train --dry_run`, on a graph small enough for the head."""

import pytest
import tensorflow as tf

from tests.conftest import small
from tfvideogan.training import cost


def test_what_nobody_reads_is_not_counted():
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [2, 4, 4, 3])
        w = tf.zeros([3, 3, 3, 5])
        with tf.GradientTape() as tape:
            tape.watch(w)
            y = tf.nn.conv2d(x, w, 1, "SAME")
        (gradient,) = tape.gradient(y, [w])
        tf.nn.conv2d(x, w, 2, "SAME")
        needed = cost._needed(graph, [gradient])
        needed_by_both = cost._needed(graph, [y, gradient])
    convolution = 2 * (2 * 4 * 4 * 5) * (3 * 3 * 3)  # two for each product and sum, outputs, kernel
    assert sum(cost._flops(operation) for operation in needed) == convolution  # the gradient of w does not need y
    assert sum(cost._flops(operation) for operation in needed_by_both) == 2 * convolution


def live(build) -> int:
    with tf.Graph().as_default() as graph:
        return cost._live(cost._needed(graph, [build(tf.compat.v1.placeholder(tf.float32, [256]))]))  # 1 KiB


def test_a_tensor_lives_until_its_last_reader_is_done():
    matmul = tf.linalg.matmul

    def chain(x):  # 16 numbers a row and column: 1 KiB each
        x = tf.reshape(x, [16, 16])
        return matmul(matmul(matmul(x, x), x), x)

    def kept(x):
        x = tf.reshape(x, [16, 16])
        y = matmul(x, x)
        return matmul(matmul(matmul(y, x), x), y)

    assert live(chain) == 3 * 1024  # the placeholder, and one that becomes another
    assert live(kept) == 4 * 1024  # and y


def test_what_is_done_in_place_takes_no_memory():
    assert live(lambda x: tf.nn.relu(tf.tile(x, [2]) + 1.0)) == 3 * 1024
    assert live(lambda x: tf.nn.relu(x)) == 2 * 1024  # not in the batch's place


def test_what_is_ready_runs_first():
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [2, 2])
        a = tf.linalg.matmul(x, x, name="a")
        tf.linalg.matmul(a, x, name="b")
        tf.linalg.matmul(x, x, name="c", transpose_a=True)
        assert [operation.name for operation in cost._by_turns(graph.get_operations())] == ["Placeholder", "a", "c", "b"]


def test_gradients_run_last():
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [2, 2], name="x")
        with tf.name_scope("d_step/backward"):
            tf.linalg.matmul(x, x, name="a")
        tf.linalg.matmul(tf.linalg.matmul(x, x, name="b"), x, name="c")
        assert [operation.name for operation in cost._by_turns(graph.get_operations())] == ["x", "b", "c", "d_step/backward/a"]


def test_what_a_gradient_reads_twice_is_kept_once():
    with tf.Graph().as_default() as graph:
        with tf.name_scope("d_step"):
            y = tf.linalg.matmul(*[tf.compat.v1.placeholder(tf.float32, [16, 16], name="x")] * 2)  # 1 KiB
            row = tf.reshape(y, [1, 256])
        with tf.name_scope("d_step/backward/"):
            tf.linalg.matmul(y, y)
            tf.linalg.matmul(row, row, transpose_b=True)
        assert cost._kept(graph.get_operations(), "d_step") == 1024


@pytest.mark.slow
def test_a_step_is_its_updates_in_turn():
    one, two = (cost.measure(small("vgan", d_steps=n)) for n in (1, 2))
    _, _, d_update, g_update = cost._updates(small("vgan", d_steps=2))
    assert two.flops - one.flops == sum(cost._flops(operation) for operation in d_update)
    assert one.live == max(cost._live(d_update), cost._live(g_update))
    clips, seeds = 4 * 8 * 32 * 32 * 3 * 4, 4 * 2 * 4  # of the other batch
    assert two.live - one.live == clips + seeds

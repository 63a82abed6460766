"""Pieces of a graph: what is compiled, and how often each is traced."""

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan.ops import forms, pieces

traced = []


def double(x):
    traced.append(tuple(x.shape))
    return [2 * x]


@pytest.fixture(autouse=True)
def afresh(monkeypatch):
    monkeypatch.setattr(pieces, "LARGE", 4)
    traced.clear()
    pieces._traced.cache_clear()


def call(*shape: int, numbers: int | None = None) -> int:
    """How often `double` runs in Python where a graph calls it twice."""
    before = len(traced)
    called = tf.function(
        lambda x: pieces.compiled(double, pieces.compiled(double, x, numbers=numbers)[0], numbers=numbers)[0], autograph=False
    )
    np.testing.assert_array_equal(called(tf.ones(shape)), 4 * np.ones(shape))
    return len(traced) - before


def test_a_large_piece_is_traced_once_for_each_kind_of_tensors():
    assert [call(2, 4), call(2, 4), call(3, 4)] == [1, 0, 1]


def test_a_small_piece_is_a_part_of_the_graph():
    assert [call(2, 3), call(2, 3)] == [2, 2]  # numbers of an example count, not of a batch
    assert [call(2, 3, numbers=4), call(2, 8, numbers=3)] == [1, 2]


def test_plain_pieces_are_a_part_of_the_graph():
    with forms.plain():
        assert call(2, 8) == 2

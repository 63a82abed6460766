"""Pieces of a graph: how often each is traced, and when it is compiled."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan.ops import pieces


def test_a_piece_is_traced_once_for_each_kind_of_tensors():
    shapes = []

    def double(x):
        shapes.append(tuple(x.shape))
        return [2 * x]

    for shape in ([2, 3], [2, 3], [4, 3]):
        called = tf.function(lambda x: pieces.once_traced(double, x)[0] + pieces.once_traced(double, x)[0], autograph=False)
        np.testing.assert_array_equal(called(tf.ones(shape)), 4 * np.ones(shape))
    assert shapes == [(2, 3), (4, 3)]


AHEAD = """
import threading, tensorflow as tf
from tfvideogan.layers import pieces

def double(x):
    return [2 * x]

traced = tf.function(pieces.compiled_ahead(lambda x: pieces.once_traced(double, x, xla=True)[0]), autograph=False)
for shape in ([3], [None]):  # of unknown shape: for when it is called
    traced.get_concrete_function(tf.TensorSpec(shape))
for thread in threading.enumerate()[1:]:
    thread.join()
tf.print("traced")
tf.print(traced(tf.ones([3])))
"""


def test_a_piece_is_compiled_while_the_graph_that_calls_it_is_not_run_yet():
    told = {"TF_CPP_VMODULE": "device_compilation_profiler=1", "TF_CPP_MIN_LOG_LEVEL": "0"}
    process = subprocess.run([sys.executable, "-c", AHEAD], check=True, stderr=subprocess.PIPE, text=True, env=os.environ | told)
    lines = process.stderr.splitlines()
    (compiled,) = (number for number, line in enumerate(lines) if "Compiled __inference_double" in line)
    assert compiled < lines.index("traced") < lines.index("[2 2 2]")
    assert "Traceback" not in "".join(lines)


def test_of_a_trace_that_fails_nothing_is_compiled(monkeypatch):
    compiled = []
    monkeypatch.setattr(pieces, "_compile", compiled.append)

    def double(x):
        return [2 * x]

    def fails(x):
        pieces.once_traced(double, x, xla=True)
        raise RuntimeError("a mistake")

    with pytest.raises(RuntimeError, match="a mistake"):
        tf.function(pieces.compiled_ahead(fails), autograph=False).get_concrete_function(tf.TensorSpec([3]))
    assert not compiled
    assert pieces._ahead is None

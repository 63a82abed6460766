"""--strategy and --cpu_replicas."""

import subprocess
import sys

import pytest

from tfvideogan.training.strategy import threads_of_replica


@pytest.mark.parametrize(("threads", "replicas", "share"), [(2, 1, 2), (2, 2, 1), (8, 2, 4), (9, 2, 4), (2, 8, 1)])
def test_replicas_of_one_cpu_share_its_threads(threads, replicas, share):
    assert threads_of_replica(threads, replicas) == share


SET = """
import os, tensorflow as tf
from tfvideogan.training.strategy import make_strategy
os.cpu_count = lambda: 8
assert make_strategy("auto", 4).num_replicas_in_sync == 4
assert tf.config.threading.get_intra_op_parallelism_threads() == 2
"""


def test_an_operation_of_a_replica_keeps_to_its_share():
    subprocess.run([sys.executable, "-c", SET], check=True)

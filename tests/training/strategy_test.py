"""--strategy and --cpu_replicas."""

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import tensorflow as tf

from tfvideogan.config import UserError
from tfvideogan.training.strategy import is_chief, leave_cluster, make_strategy, threads_of_replica


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


@pytest.mark.parametrize("text", ["", " \n", "{}", '{"cluster": {}}', '{"cluster": null, "task": {"type": "worker", "index": 0}}'])
def test_an_empty_tf_config_is_no_cluster(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    assert make_strategy("auto", 1).num_replicas_in_sync == 1
    with pytest.raises(UserError, match="--strategy=multiworker: the environment variable TF_CONFIG names no cluster"):
        make_strategy("multiworker", 1)


TWO = {"worker": ["a:1", "b:1"]}


@pytest.mark.parametrize(
    "told, message",
    [
        ("{'cluster'", "got no JSON of a cluster and a task"),
        ("[1]", "got no JSON of a cluster and a task"),
        ({"cluster": ["a:1", "b:1"]}, "got no JSON of a cluster and a task"),
        ({"cluster": TWO}, "got task None None, expected worker 0 to 1"),
        ({"cluster": TWO, "task": {"type": "worker", "index": 2}}, "got task worker 2, expected worker 0 to 1"),
        ({"cluster": TWO, "task": {"type": "worker", "index": "-1"}}, "got task worker -1, expected worker 0 to 1"),
        ({"cluster": TWO, "task": {"type": "worker", "index": "first"}}, "got no JSON of a cluster and a task"),
        ({"cluster": {**TWO, "ps": ["c:1"]}, "task": {"type": "ps", "index": 0}}, "got task ps 0, expected worker 0 to 1"),
        ({"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 1}}, "expected one chief at most"),
        ({"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}, "expected one chief at most, and workers"),
        ({"cluster": {"worker": {"1": "a:1"}}, "task": {"type": "worker", "index": 1}}, "expected one chief at most, and workers"),
    ],
)
def test_a_tf_config_that_does_not_say_what_this_process_is_is_refused(told, message, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", told if isinstance(told, str) else json.dumps(told))
    with pytest.raises(UserError, match=f"^TF_CONFIG.*[:,] {re.escape(message)}"):
        make_strategy("auto", 1)


@pytest.mark.parametrize("name", ["one", "mirrored"])
def test_one_process_does_not_join_a_cluster(name, monkeypatch, caplog):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": TWO, "task": {"type": "worker", "index": 0}}))
    with caplog.at_level("WARNING", logger="absl"):
        assert make_strategy(name, 1).num_replicas_in_sync == 1
        assert "TF_CONFIG" not in os.environ
        monkeypatch.setenv("TF_CONFIG", "{no JSON")
        leave_cluster("sample")
    assert "TF_CONFIG" not in os.environ
    assert caplog.messages == [f"{who} runs in one process: TF_CONFIG is not read" for who in (f"--strategy={name}", "sample")]


@pytest.mark.parametrize(
    "cluster",
    [
        {"worker": ["a:1"]},
        {"worker": ["a:1", "b:1", "c:1"]},
        {"chief": ["a:1"], "worker": ["b:1", "c:1"]},
        {"chief": ["a:1"]},
        {"chief": ["a:1"], "worker": ["b:1"], "ps": ["d:1"]},
    ],
)
def test_every_cluster_has_one_chief(cluster, monkeypatch):
    chiefs = []
    for kind in ("chief", "worker"):
        for index in range(len(cluster.get(kind, ()))):
            monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}}))
            if is_chief(SimpleNamespace(cluster_resolver=tf.distribute.cluster_resolver.TFConfigClusterResolver())):
                chiefs.append((kind, index))
    assert chiefs == [("chief" if "chief" in cluster else "worker", 0)]


WAITING = """
import ctypes, tensorflow as tf
from tfvideogan.training.strategy import _time_limit
cluster = tf.train.ClusterSpec({"chief": ["a:1"], "worker": ["b:1"]})
with _time_limit(cluster, 100):
    pass
with _time_limit(cluster, 0.5):
    ctypes.PyDLL(None).sleep(100)  # as TensorFlow does: no thread of Python's runs meanwhile
"""


def test_the_wait_for_other_workers_has_an_end_and_names_them():
    done = subprocess.run([sys.executable, "-c", WAITING], capture_output=True, text=True, timeout=90)
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == (
        "TF_CONFIG: got no answer in 0.5 s, expected 2 workers, a:1, b:1. Start all of them anew."
    )

"""Clips from tf.data service: a dispatcher and two workers on loopback, in a process that knows TensorFlow alone."""

import itertools
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import tensorflow as tf

from tests.data.order_test import assert_same, counted, take
from tests.data.sources.prepared_test import load, prepare_shapes
from tests.programs_test import ENVIRONMENT, fail, free_port
from tests.training import toy
from tfvideogan import data
from tfvideogan.config import Config, RunFailed, UserError
from tfvideogan.data import service
from tfvideogan.training.loop import train

SERVERS = """
import tensorflow as tf
from tensorflow.data.experimental.service import DispatchServer, DispatcherConfig, WorkerConfig, WorkerServer
dispatcher = DispatchServer(DispatcherConfig())
address = dispatcher.target.removeprefix("grpc://")
workers = [WorkerServer(WorkerConfig(dispatcher_address=address, heartbeat_interval_ms=200)) for _ in range(2)]
print(address, flush=True)
dispatcher.join()
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """HOST:PORT of a dispatcher with two workers."""
    elsewhere = {name: value for name, value in ENVIRONMENT.items() if name != "PYTHONPATH"}
    servers = subprocess.Popen(
        [sys.executable, "-c", SERVERS], env=elsewhere, cwd=tmp_path_factory.mktemp("elsewhere"), stdout=subprocess.PIPE, text=True
    )
    assert servers.stdout
    yield servers.stdout.readline().strip()
    servers.kill()
    servers.wait()


@pytest.mark.parametrize(
    "start, part", [(0, {}), (3, {"worker": 1, "workers": 2, "replicas": 2})], ids=["whole", "resumed, a worker's part"]
)
def test_the_batches_are_those_that_are_read_here(start, part, address, tmp_path):
    prepare_shapes(tmp_path)
    local = load(tmp_path)
    served = service.served_by(local, address)
    expected = take(local.batches(8, start=start, **part), 30)  # several epochs of 20 clips
    got = take(served.batches(8, start=start, **part), 30)
    assert served.batches(8, **part).element_spec == local.batches(8, **part).element_spec
    for one, other in zip(expected, got, strict=True):
        assert_same(one, other)


@pytest.fixture
def signals_restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.slow
def test_a_run_by_the_service_is_the_run_that_reads_here(address, tmp_path, monkeypatch, signals_restored):
    prepare_shapes(tmp_path / "data")
    monkeypatch.setattr("tfvideogan.models.find", lambda name: toy)
    monkeypatch.setattr("tfvideogan.training.monitoring.Monitoring.sample", lambda self, step: None)

    def run(folder: str, steps: int, address: str = "") -> dict[str, np.ndarray]:
        config = toy.config_of(dataset="prepared", data_dir=str(tmp_path / "data"), steps=steps, d_steps=2)
        dataset = data.load(config, "train")
        train(config, service.served_by(dataset, address) if address else dataset, str(tmp_path / folder), tf.distribute.get_strategy())
        return toy.held(tmp_path / folder, steps)

    run("served", 2, address)
    toy.assert_equal(run("served", 5, address), run("local", 5))


def test_a_data_set_that_python_reads_is_refused():
    made_up = data.load(Config(frames=3, size=24), "train")
    with pytest.raises(
        UserError, match=r"^--data_service=a:1: got a --dataset that is read by Python \(.*PyFunc.*\), .* expected prepared"
    ):
        service.served_by(made_up, "a:1")


@pytest.mark.parametrize("address", ["host", "host:", ":5000", "host:port", "host:0", "host:65536", "host:²"])
def test_an_address_is_a_host_and_a_port(address):
    with pytest.raises(UserError, match=f"^--data_service={address}: expected HOST:PORT"):
        service.served_by(counted(3), address)


def test_a_dispatcher_that_does_not_answer_is_one_line(monkeypatch):
    monkeypatch.setattr(service, "ANSWER_SECONDS", 0.3)
    with pytest.raises(UserError, match=r"^--data_service=localhost:\d+: got no answer in 0.3 s \(.*\), expected the dispatcher"):
        service.served_by(counted(3), f"localhost:{free_port()}")


def test_a_host_that_is_no_name_is_one_line(monkeypatch):
    monkeypatch.setattr(service, "ANSWER_SECONDS", 0.0)
    with pytest.raises(UserError, match=r"^--data_service=a\.\.b:5000: got no answer in 0 s \(.*\), expected the dispatcher"):
        service.served_by(counted(3), "a..b:5000")


def test_another_server_than_a_dispatcher_is_one_line(monkeypatch):
    monkeypatch.setattr(service, "BATCH_SECONDS", 1.0)
    with socket.create_server(("localhost", 0)) as other:
        served = service.served_by(counted(3), f"localhost:{other.getsockname()[1]}")
        with pytest.raises(tf.errors.OpError, match=r"RunFailed: --data_service=localhost:\d+: batch 0 did not come in 1 s"):
            next(iter(served.batches(2)))


def batch(number: int) -> tuple[int, dict[str, tf.Tensor]]:
    return number, {"label": tf.fill([100], number)}


def numbers(served: Callable, first: int, count: int) -> list[int]:
    return [int(found["label"][0]) for found in itertools.islice(service.in_order(served, first, "a:1"), count)]


def test_batches_that_come_in_any_order_are_put_in_order():
    assert numbers(lambda: map(batch, [6, 7, 5, 9, 8, 10]), 5, 6) == [5, 6, 7, 8, 9, 10]


def test_a_batch_that_does_not_come_ends_the_run(monkeypatch):
    monkeypatch.setattr(service, "BATCH_SECONDS", 0.5)
    with pytest.raises(RunFailed, match="batch 1 did not come in 0.5 s, or 4 GiB of later ones .2 came.*Start the same command again"):
        numbers(lambda: map(batch, [0, 2, 3]), 0, 2)


def test_batches_do_not_wait_for_a_lost_one_without_end(monkeypatch):
    monkeypatch.setattr(service, "AHEAD_BYTES", 4000)
    with pytest.raises(RunFailed, match=r"batch 1 did not come .* \(11 came\)"):  # of 400 bytes each
        numbers(lambda: map(batch, itertools.chain([0], itertools.count(2))), 0, 2)


def test_an_error_of_the_service_is_one_line():
    def broken() -> Iterator:
        yield batch(0)
        raise tf.errors.UnavailableError(None, None, "the dispatcher is gone\nTraceback")

    with pytest.raises(RunFailed, match=r"^--data_service=a:1: the dispatcher is gone\. Start the same command again"):
        numbers(broken, 0, 2)


@pytest.mark.slow
def test_train_tells_of_a_data_set_that_python_reads(tmp_path):
    err = fail("train", "--model=mocogan", "--dataset=moving_shapes", f"--workdir={tmp_path / 'run'}", "--data_service=localhost:1")
    assert err.splitlines()[-1].startswith("train: --data_service=localhost:1: got a --dataset that is read by Python")

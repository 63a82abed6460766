"""--data_service: training clips made by tf.data service, by workers on other machines; the same batches in the same order.

The dispatcher hands out the batches' numbers, each to one worker; what comes back in any order is put in order here. A worker runs a
graph alone, without this package: of the sources, those that are read by TensorFlow's own operations.
"""

import contextlib
import dataclasses
import itertools
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator

import tensorflow as tf

from tfvideogan.config import RunFailed, UserError
from tfvideogan.data import Batch, Dataset, in_floats

ANSWER_SECONDS = 60.0  # for the dispatcher to take a connection
BATCH_SECONDS = 300.0  # for a batch to come; the first one waits for the workers to start
AHEAD_BYTES = 4 << 30  # of batches that wait for one before them: more, and that one is taken for lost
MOST_PORT = 65535
AGAIN = "Start the same command again: the run goes on from its last checkpoint."
PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}  # operations that call a function of this process


@dataclasses.dataclass(frozen=True)
class ServedDataset(Dataset):
    """A Dataset whose training batches are made by the workers of a tf.data service. Else it is read here.

    Attributes:
        address: HOST:PORT of the dispatcher.
    """

    address: str = ""

    def batches(self, batch_size: int, start: int = 0, worker: int = 0, workers: int = 1, replicas: int = 1) -> tf.data.Dataset:
        """As `Dataset.batches`, bit for bit. Pictures travel as uint8.

        Raises: what `Dataset.batches` does; and while they are read, RunFailed where a batch does not come.
        """
        example, share = self.examples(batch_size, worker, workers, replicas)
        first = start * replicas
        numbers = tf.data.Dataset.range(first, tf.int64.max)  # of the elements: what the dispatcher hands out
        positions = numbers.flat_map(lambda number: tf.data.Dataset.range(number * share, (number + 1) * share))
        made = positions.map(lambda at: (at // share, example(at)), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        made = made.batch(share, drop_remainder=True).map(lambda numbers, batch: (numbers[0], batch))

        def served() -> Iterator[tuple[tf.Tensor, Batch]]:
            sharing = tf.data.experimental.service.ShardingPolicy.DYNAMIC  # each number to one worker
            # Uncompressed: pictures that were decoded hardly get smaller by what it has.
            return iter(made.apply(tf.data.experimental.service.distribute(sharing, f"grpc://{self.address}", compression=None)))

        _, spec = made.element_spec
        return in_floats(tf.data.Dataset.from_generator(lambda: in_order(served, first, self.address), output_signature=spec))


def served_by(dataset: Dataset, address: str) -> ServedDataset:
    """The data set, its training batches made by the service.

    Args:
        dataset: its files lie at the same paths for the workers.
        address: HOST:PORT of the dispatcher.

    Raises: UserError if nobody answers there, or the data set is read by Python.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= MOST_PORT:
        raise UserError(f"--data_service={address}: expected HOST:PORT, of the dispatcher of a tf.data service")
    found = python_operations(dataset)
    if found:
        raise UserError(
            f"--data_service={address}: got a --dataset that is read by Python ({', '.join(found)}), which the service's workers do not "
            "have; expected prepared, of TFRecord files (tfvideogan.prepare makes them)"
        )
    _connect(host, int(port), address)
    kept = {field.name: getattr(dataset, field.name) for field in dataclasses.fields(Dataset)}
    return ServedDataset(**kept, address=address)


def python_operations(dataset: Dataset) -> list[str]:
    """The operations of a training example's graph that call Python."""
    example, _ = dataset.examples(1, 0, 1, 1)
    graph = tf.function(example, autograph=False).get_concrete_function(tf.TensorSpec([], tf.int64)).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return sorted({node.op for node in nodes} & PYTHON)


def _connect(host: str, port: int, address: str) -> None:
    """Raises UserError if nobody takes a connection in ANSWER_SECONDS: TensorFlow itself would wait for ever."""
    end = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            socket.create_connection((host, port), timeout=max(end - time.monotonic(), 0.1)).close()
            return
        except (OSError, UnicodeError) as error:  # the latter for a host that is no name
            if time.monotonic() >= end:
                raise UserError(
                    f"--data_service={address}: got no answer in {ANSWER_SECONDS:g} s ({error}), "
                    "expected the dispatcher of a tf.data service"
                ) from error
            time.sleep(min(0.5, ANSWER_SECONDS))


def in_order(served: Callable[[], Iterator[tuple[tf.Tensor, Batch]]], first: int, address: str) -> Iterator[Batch]:
    """The batches of an iterator of (number, batch), which come in any order, by their numbers from `first` on.

    Args:
        served: makes the iterator, which may wait for ever.
        first: number of the first batch.
        address: named in errors.

    Raises: RunFailed if the next one does not come, or the iterator fails.
    """
    come: queue.Queue = queue.Queue(maxsize=1)
    left = threading.Event()

    def put(what: object) -> None:
        while not left.is_set():
            with contextlib.suppress(queue.Full):
                return come.put(what, timeout=1.0)

    def pull() -> None:
        try:
            for number, batch in served():
                put((int(number), batch))
                if left.is_set():
                    return
        except Exception as error:  # raised anew where the batches are read
            put(error)

    threading.Thread(target=pull, daemon=True).start()
    waiting: dict[int, Batch] = {}
    try:
        for number in itertools.count(first):
            end = time.monotonic() + BATCH_SECONDS
            while number not in waiting:
                got = None
                with contextlib.suppress(queue.Empty):
                    got = come.get(timeout=max(end - time.monotonic(), 0.0))
                if isinstance(got, Exception):
                    raise RunFailed(f"--data_service={address}: {str(got).splitlines()[0]}. {AGAIN}") from got
                if got is None or sum(map(_bytes, waiting.values())) > AHEAD_BYTES:
                    raise RunFailed(
                        f"--data_service={address}: batch {number} did not come in {BATCH_SECONDS:g} s, or {AHEAD_BYTES >> 30} GiB of "
                        f"later ones ({len(waiting)} came): does the service have workers, and was none lost? {AGAIN}"
                    )
                waiting[got[0]] = got[1]
            yield waiting.pop(number)
    finally:
        left.set()


def _bytes(batch: Batch) -> int:
    return sum(int(tf.size(entry)) * entry.dtype.size for entry in batch.values())

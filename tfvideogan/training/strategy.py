"""How a program spreads its work over devices: --strategy, and what follows from it."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import tensorflow as tf
from absl import logging

from tfvideogan.config import RunFailed, UserError

TF_CONFIG = "TF_CONFIG"  # TensorFlow's environment variable: the cluster, and which task of it this process is
WAIT_SECONDS = 600  # for the other workers to start
WATCH = """
import os, signal, sys, time
process, seconds, line = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
end = time.monotonic() + seconds
while os.getppid() == process and time.monotonic() < end:
    time.sleep(0.1)
if os.getppid() == process:
    print(line, file=sys.stderr, flush=True)
    os.kill(process, signal.SIGHUP)
"""


def make_strategy(name: str, cpu_replicas: int) -> tf.distribute.Strategy:
    """The tf.distribute strategy of a --strategy word. Call before anything else touches a device.

    auto: tpu if TPU_NAME is set, multiworker if TF_CONFIG names a cluster, mirrored if there are several GPUs, else one. Waits
    WAIT_SECONDS for the other workers, then ends the process with 1 and one line.

    Raises: UserError where there is no TPU or cluster, and for a TF_CONFIG that does not say what this process is; RunFailed where it
        cannot join the cluster.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if cpu_replicas > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * cpu_replicas)
        threads = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count() or 1  # 0: as many as there are cores
        tf.config.threading.set_intra_op_parallelism_threads(threads_of_replica(threads, cpu_replicas))
    cluster = _cluster() if name in ("auto", "multiworker") else None
    if name == "auto":
        name = (
            "tpu"
            if os.environ.get("TPU_NAME")
            else "multiworker"
            if cluster
            else "mirrored"
            if len(gpus) > 1 or cpu_replicas > 1
            else "one"
        )
    if name == "tpu":
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(os.environ.get("TPU_NAME", "local"))
        except (ValueError, tf.errors.OpError) as error:
            raise UserError("--strategy=tpu: found no TPU; set TPU_NAME, or use --strategy=auto") from error
        return tf.distribute.TPUStrategy(resolver)
    if name == "multiworker":
        if not cluster:
            raise UserError("--strategy=multiworker: the environment variable TF_CONFIG names no cluster")
        with _time_limit(cluster, WAIT_SECONDS):
            return tf.distribute.MultiWorkerMirroredStrategy()
    leave_cluster(f"--strategy={name}")  # MirroredStrategy reads TF_CONFIG too
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(None if gpus else [device.name for device in tf.config.list_logical_devices("CPU")])
    return tf.distribute.OneDeviceStrategy("GPU:0" if gpus else "CPU:0")


def set_up_devices(tf32: bool) -> None:
    """What every program does before a device is touched: GPUs' memory is taken as it is needed, not all at once, so that several
    programs share one; float32 products and convolutions on GPUs are of 10 bits (TF32), or of float32's 23."""
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    for gpu in tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):  # devices are in use, as in a notebook: they stay as they are
            tf.config.experimental.set_memory_growth(gpu, True)


def compiles_whole(xla: str, strategy: tf.distribute.Strategy) -> bool:
    """Whether XLA compiles each update whole: where --xla asks for it, and by itself on one GPU. On a CPU it compiles the pieces that
    gain by it. A TPU's updates are compiled by its strategy."""
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return False
    one_gpu = strategy.num_replicas_in_sync == 1 and bool(tf.config.list_physical_devices("GPU"))
    return xla == "true" or (xla == "auto" and one_gpu)


def leave_cluster(who: str) -> None:
    """Takes TF_CONFIG out of the environment, with a word: `who` runs in one process, and waits for no other."""
    if os.environ.pop(TF_CONFIG, "").strip():
        logging.warning("%s runs in one process: TF_CONFIG is not read", who)


def _cluster() -> tf.train.ClusterSpec | None:
    """The cluster of TF_CONFIG; None if it is not set, empty, or names none. Raises UserError for what is wrong in it."""
    text = os.environ.get(TF_CONFIG, "")
    if not text.strip():
        os.environ.pop(TF_CONFIG, None)  # TensorFlow reads an empty one as JSON
        return None
    try:
        told = json.loads(text)
        cluster, task = tf.train.ClusterSpec(told.get("cluster") or {}), told.get("task") or {}
        kind, index = task.get("type"), int(task["index"]) if "index" in task else None
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f'{TF_CONFIG}={text}: got no JSON of a cluster and a task ({error}), expected {{"cluster": {{"worker": ["HOST:PORT", ...]}}, '
            '"task": {"type": "worker", "index": 0}}'
        ) from error
    if not cluster.jobs:
        return None
    places = {job: cluster.task_indices(job) for job in cluster.jobs if job in ("chief", "worker")}
    if len(places.get("chief", ())) > 1 or not places or any(indices != list(range(len(indices))) for indices in places.values()):
        raise UserError(f"{TF_CONFIG}: got cluster {cluster.as_dict()}, expected one chief at most, and workers numbered from 0 on")
    if kind not in places or index not in places[kind]:
        expected = " or ".join(f"{job} 0 to {len(indices) - 1}" for job, indices in places.items())
        raise UserError(f"{TF_CONFIG}: got task {kind} {index}, expected {expected}")
    return cluster


@contextlib.contextmanager
def _time_limit(cluster: tf.train.ClusterSpec, seconds: float) -> Iterator[None]:
    """Ends the process, with 1 and one line, where the workers of a cluster do not start in time.

    TensorFlow waits for them without end, in native code that lets neither threads nor Python's signal handlers run: another process
    watches the time.
    """
    workers = [address for job in ("chief", "worker") if job in cluster.jobs for address in cluster.job_tasks(job)]
    line = f"{TF_CONFIG}: got no answer in {seconds:g} s, expected {len(workers)} workers, {', '.join(workers)}. Start all of them anew."
    logging.info("waiting for %d workers, %g s at most", len(workers), seconds)
    libc = ctypes.CDLL(None)
    libc.signal.restype = ctypes.c_void_p
    before = libc.signal(signal.SIGHUP, libc._exit)  # with the number of the signal, which is 1
    at_sigterm = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    watch = subprocess.Popen([sys.executable, "-c", WATCH, str(os.getpid()), str(seconds), line])
    try:
        yield
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise RunFailed(f"{TF_CONFIG}: cannot join the cluster: {str(error).splitlines()[0]}") from error
    finally:
        watch.kill()
        watch.wait()
        libc.signal(signal.SIGHUP, ctypes.c_void_p(before))
        signal.signal(signal.SIGTERM, at_sigterm)


def threads_of_replica(threads: int, cpu_replicas: int) -> int:
    """Of the threads that compute, those that one operation of a replica spreads over: the others are the other replicas'.

    Two replicas of DVD-GAN on two cores take 0.8 of the time that they take when the operations of both use both cores.
    """
    return max(threads // cpu_replicas, 1)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the files: exactly one of a cluster does, the chief, or worker 0 where there is no chief."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    return resolver.task_type == "chief" or ("chief" not in resolver.cluster_spec().jobs and resolver.task_id == 0)

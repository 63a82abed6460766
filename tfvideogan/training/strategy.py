"""How a program spreads its work over devices: --strategy, and what follows from it."""

import json
import os

import tensorflow as tf

from tfvideogan.config import UserError


def make_strategy(name: str, cpu_replicas: int) -> tf.distribute.Strategy:
    """The tf.distribute strategy of a --strategy word. Call before anything else touches a device.

    auto: tpu if TPU_NAME is set, multiworker if TF_CONFIG names a cluster, mirrored if there are several GPUs, else one.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if cpu_replicas > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * cpu_replicas)
        threads = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count() or 1  # 0: as many as there are cores
        tf.config.threading.set_intra_op_parallelism_threads(threads_of_replica(threads, cpu_replicas))
    cluster = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster")
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
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(None if gpus else [device.name for device in tf.config.list_logical_devices("CPU")])
    return tf.distribute.OneDeviceStrategy("GPU:0" if gpus else "CPU:0")


def threads_of_replica(threads: int, cpu_replicas: int) -> int:
    """Of the threads that compute, those that one operation of a replica spreads over: the others are the other replicas'.

    Two replicas of DVD-GAN on two cores take 0.8 of the time that they take when the operations of both use both cores.
    """
    return max(threads // cpu_replicas, 1)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the files."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.task_type or resolver.task_type == "chief" or resolver.task_id == 0

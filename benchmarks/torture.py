"""Kills a training run at random instants, starts it again each time, and holds the end against a run that was never stopped.

    python -m benchmarks.torture --kills=25 [--replicas=2 | --workers=2] [--precision=mixed_bfloat16] [--model=dvdgan]

Weights, spectral vectors, averages, optimizers (every tensor of the last checkpoint), metrics.jsonl and the exported
module must agree bit for bit. Of the kills a third fall into the start-up, a third anywhere later, evaluations included, and a third
into the writing of a checkpoint. Prints a line a kill and one JSON line; exit code 1 if anything differs.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import app, flags

KILLS = flags.DEFINE_integer("kills", 25, "Times the run is killed.")
REPLICAS = flags.DEFINE_integer("replicas", 1, "CPU replicas of the run.")
WORKERS = flags.DEFINE_integer("workers", 1, "Processes of the run; one of them is killed, the others must end by themselves.")
PRECISION = flags.DEFINE_string("precision", "float32", "As of tfvideogan.train.")
MODEL = flags.DEFINE_string("model", "dvdgan", "As of tfvideogan.train.")
FLAGFILE = flags.DEFINE_string("flagfile_of_run", "benchmarks/torture.flags", "The run: as small as can be.")
STEPS = flags.DEFINE_integer("steps", 200, "Steps of the run.")
SEED = flags.DEFINE_integer("seed", 0, "Seed of the instants.")
PATIENCE = 180  # seconds in which the workers that are left must end


def start(workdir: Path, log: Path) -> list[subprocess.Popen]:
    """The run's processes, one a worker."""
    command = [sys.executable, "-m", "tfvideogan.train", f"--flagfile={FLAGFILE.value}", f"--model={MODEL.value}"]
    command += [f"--precision={PRECISION.value}", f"--steps={STEPS.value}", f"--workdir={workdir}", f"--cpu_replicas={REPLICAS.value}"]
    cluster = {"worker": [f"localhost:{free_port()}" for _ in range(WORKERS.value)]}
    processes = []
    for index in range(WORKERS.value):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
        if WORKERS.value > 1:
            environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        with open(log, "a") as file:
            processes.append(subprocess.Popen(command, env=environment, stdout=file, stderr=file))
    return processes


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def finish(processes: list[subprocess.Popen], log: Path) -> None:
    for process in processes:
        if process.wait():
            raise SystemExit(f"the run failed with exit code {process.returncode}; see {log}")


def last_step(workdir: Path) -> int:
    steps = [int(file.stem[5:]) for file in (workdir / "checkpoints").glob("ckpt-*.index")]
    return max(steps, default=-1)


def wait_for_a_step(workdir: Path, after: int, processes: list[subprocess.Popen]) -> None:
    """Returns when a checkpoint of a later step is there, or a process has ended."""
    while last_step(workdir) <= after and all(process.poll() is None for process in processes):
        time.sleep(0.02)


def torn(workdir: Path) -> list[str]:
    """Files of a checkpoint that is being written, or that a killed run left so."""
    return [file.name for file in (workdir / "checkpoints").glob("*tempstate*")]


def example(spec: tf.TensorSpec) -> tf.Tensor:
    """Three of what a module takes: numbers of [0,1], or zeros of whole ones."""
    shape = [3 if length is None else length for length in spec.shape]
    drawn = np.random.default_rng(0).uniform(size=shape) if spec.dtype.is_floating else np.zeros(shape)
    return tf.constant(drawn, spec.dtype)


def differences(a: Path, b: Path) -> list[str]:
    """Names of what differs between two finished runs."""
    found = []
    readers = [tf.train.load_checkpoint(str(run / "checkpoints" / f"ckpt-{STEPS.value}")) for run in (a, b)]
    names = [set(reader.get_variable_to_shape_map()) - {"_CHECKPOINTABLE_OBJECT_GRAPH"} for reader in readers]
    names = [{name for name in some if "save_counter" not in name} for some in names]
    found += sorted(names[0] ^ names[1])
    found += [n for n in sorted(names[0] & names[1]) if not np.array_equal(*(reader.get_tensor(n) for reader in readers))]
    if (a / "metrics.jsonl").read_bytes() != (b / "metrics.jsonl").read_bytes():
        found.append("metrics.jsonl")
    modules = [tf.saved_model.load(str(run / "export")) for run in (a, b)]
    signatures = [module.signatures["serving_default"] for module in modules]
    inputs = {name: example(spec) for name, spec in signatures[0].structured_input_signature[1].items()}
    if not np.array_equal(*(signature(**inputs)["video"] for signature in signatures)):
        found.append("export: video")
    pairs = zip(*(module.variables for module in modules), strict=True)
    found += [f"export: {x.name}" for x, y in pairs if not np.array_equal(x.numpy(), y.numpy())]
    return found


def main(_: list[str]) -> None:
    folder, draw = Path(tempfile.mkdtemp(prefix="torture_")), random.Random(SEED.value)
    whole, killed = folder / "whole", folder / "killed"
    began = time.time()
    processes = start(whole, folder / "whole.log")
    wait_for_a_step(whole, 0, processes)
    start_up = time.time() - began
    finish(processes, folder / "whole.log")
    work = time.time() - began - start_up
    print(f"uninterrupted: {start_up:.0f} s to the first step, {work:.0f} s after it", flush=True)
    before_first_step = during_writing = finished = 0
    for kill in range(KILLS.value):
        at = last_step(killed)
        if at >= STEPS.value:
            finished += 1  # the run is over; what is killed from here on is its export
        processes = start(killed, folder / "killed.log")
        victim = draw.choice(processes)
        kind = draw.choice(["start", "work", "writing"])
        if kind == "start":
            time.sleep(draw.uniform(0, start_up))
        else:  # spread over the run, which shall last until the last of them
            wait_for_a_step(killed, at, processes)
            time.sleep(draw.uniform(0, 2.5 * work / KILLS.value))
        while kind == "writing" and not torn(killed) and victim.poll() is None:
            time.sleep(0.0005)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        for process in processes:
            process.wait(timeout=PATIENCE)
        now = last_step(killed)
        left = torn(killed)
        before_first_step += now == at
        during_writing += bool(left)
        print(f"kill {kill + 1}: step {at} -> {now}{', while writing ' + left[0] if left else ''}", flush=True)
    finish(start(killed, folder / "killed.log"), folder / "killed.log")
    different = differences(whole, killed)
    result = {
        "kills": KILLS.value, "model": MODEL.value, "precision": PRECISION.value, "replicas": REPLICAS.value, "workers": WORKERS.value,
        "steps": STEPS.value, "without_progress": before_first_step, "while_writing": during_writing, "after_the_end": finished,
        "different": different, "folder": str(folder),
    }  # fmt: skip
    print(json.dumps(result))
    sys.exit(bool(different))


if __name__ == "__main__":
    app.run(main)

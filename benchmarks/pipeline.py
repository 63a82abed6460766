"""How fast each reader gives clips, beside naive decoding and beside what training takes; and whether its memory stays flat.

    python -m benchmarks.pipeline --videos=DIR [--memory_clips=100000]

DIR holds a folder of videos for each class, as UCF-101's. Everything is measured in one process, one after the other: batches
of 16, after the first two; clips/s, and CPU time a clip, of this process, which other work on the machine changes less. "Naive" decodes a
whole video with PyAV for each clip, picks the frames and resizes them, once in a loop and once on all cores; the training
step is DVD-GAN's at this size, narrow (ch 12) to be hungry.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import av
import numpy as np
import tensorflow as tf
from absl import app, flags
from tqdm import tqdm

from tfvideogan import data, models, prepare
from tfvideogan.data.clips import crop, fit
from tfvideogan.data.preparation.preparing import Settings
from tfvideogan.data.service import served_by
from tfvideogan.data.sources import listing
from tfvideogan.models.dvdgan import Config
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.step import make_step

VIDEOS = flags.DEFINE_string("videos", None, "Folder with a folder of videos for each class.", required=True)
SECONDS = flags.DEFINE_float("seconds", 10.0, "To measure each reader for.")
MEMORY_CLIPS = flags.DEFINE_integer("memory_clips", 0, "Clips to read of the prepared set, printing the memory at every tenth.")
SIZE = flags.DEFINE_integer("size", 64, "Height and width of a clip.")
FRAMES = flags.DEFINE_integer("frames", 16, "Frames of a clip.")
BATCH = 16
SERVERS = """
from tensorflow.data.experimental.service import DispatchServer, DispatcherConfig, WorkerConfig, WorkerServer
dispatcher = DispatchServer(DispatcherConfig())
address = dispatcher.target.removeprefix("grpc://")
workers = [WorkerServer(WorkerConfig(dispatcher_address=address)) for _ in range(2)]
print(address, flush=True)
dispatcher.join()
"""


def config(**changes: object) -> Config:
    base = {"dataset": "folder", "data_dir": VIDEOS.value, "size": SIZE.value, "frames": FRAMES.value, "stride": 1, "batch_size": 8}
    return Config(**{**base, "channels": 12, "k": 4, "d_steps": 1, "classes": 0, **changes})


def speed(batches: Iterator[int]) -> tuple[float, float]:
    """(clips/s, CPU seconds a clip) of batches that say how many clips they have; the first two are not counted."""
    for _ in range(2):
        next(batches)
    start, cpu, clips = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < SECONDS.value:
        clips += next(batches)
    return clips / (time.perf_counter() - start), (time.process_time() - cpu) / clips


def reader(**changes: object) -> Iterator[int]:
    dataset = data.load(config(**changes), "train")
    return (len(batch["label"]) for batch in dataset.batches(BATCH))


def served(prepared: str) -> Iterator[int]:
    """Training batches of a prepared set, by tf.data service: two workers in another process of this machine, ended with the last batch."""
    servers = subprocess.Popen([sys.executable, "-c", SERVERS], stdout=subprocess.PIPE, text=True)
    assert servers.stdout
    try:
        dataset = served_by(data.load(config(dataset="prepared", data_dir=prepared), "train"), servers.stdout.readline().strip())
        for batch in dataset.batches(BATCH):
            yield len(batch["label"])
    finally:
        servers.kill()
        servers.wait()


def naive_clip(path: str, seed: int) -> np.ndarray:
    with av.open(path) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    start = np.random.default_rng(seed).integers(len(frames) - FRAMES.value + 1)
    return crop(fit(tf.constant(frames[start : start + FRAMES.value]), SIZE.value, SIZE.value), SIZE.value, SIZE.value).numpy()


def files() -> list[str]:
    names = (os.path.join(folder, name) for folder, _, names in os.walk(VIDEOS.value) for name in names)
    return sorted(name for name in names if name.endswith((".avi", ".mp4", ".mkv", ".webm")))


def naive_loop() -> Iterator[int]:
    for number, path in enumerate(itertools.cycle(files())):
        naive_clip(path, number)
        yield 1


def naive_parallel() -> Iterator[int]:
    paths = files()

    def clip(number: tf.Tensor) -> tf.Tensor:
        return tf.numpy_function(lambda number: naive_clip(paths[number % len(paths)], int(number)), [number], tf.uint8)

    batches = tf.data.Dataset.range(1 << 40).map(clip, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH).prefetch(2)
    return (BATCH for _ in batches)


def training() -> Iterator[int]:
    """Steps of DVD-GAN on one batch: the clips that they take."""
    one = config(dataset="moving_shapes", data_dir="", classes=12)
    strategy = tf.distribute.OneDeviceStrategy("GPU:0" if tf.config.list_physical_devices("GPU") else "CPU:0")
    with strategy.scope():
        gan = models.build(one)
        count = tf.Variable(0, dtype=tf.int64, trainable=False)
        optimizers = make_optimizers(gan, count)
        step = make_step(gan, optimizers, count, strategy)
    batch = next(iter(data.load(one, "train").batches(one.batch_size)))
    while True:
        float(step([batch] * one.d_steps)["d_gradient_norm"])  # waits for the device
        yield one.batch_size * one.d_steps


def measure(prepared: str, lossless: str) -> dict[str, tuple[float, float]]:
    listing.CACHE_BYTES = 0  # these few videos would stay in memory, as a data set of use does not
    readers: dict[str, Callable[[], Iterator[int]]] = {
        "naive, a loop": naive_loop,
        "naive, all cores": naive_parallel,
        "folder, as it lies": reader,
        "prepared, JPEG": lambda: reader(dataset="prepared", data_dir=prepared),
        "prepared, by a service": lambda: served(prepared),
        "prepared, lossless": lambda: reader(dataset="prepared", data_dir=lossless),
        "moving_shapes": lambda: reader(dataset="moving_shapes", data_dir=""),
        "training step takes": training,
    }
    speeds = {}
    for name, make in readers.items():
        batches = make()
        speeds[name] = speed(batches)
        del batches  # and what runs ahead for it
        print(f"{name:22} {speeds[name][0]:10.2f} clips/s {1000 * speeds[name][1]:10.2f} ms of CPU a clip", flush=True)
    return speeds


def resident() -> float:
    """MiB of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(prepared: str, clips: int) -> list[float]:
    """MiB in memory at every tenth of so many clips."""
    batches = iter(data.load(config(dataset="prepared", data_dir=prepared), "train").batches(BATCH))
    sizes = []
    for tenth in range(10):
        for _ in tqdm(range(clips // 10 // BATCH), f"memory, {tenth + 1}/10", disable=None):
            next(batches)
        sizes.append(resident())
        print(f"after {(tenth + 1) * clips // 10} clips {sizes[-1]:.1f} MiB", flush=True)
    return sizes


def main(_: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("jpeg", "lossless"):
            settings = {"videos": VIDEOS.value, "output": f"{folder}/{name}", "size": SIZE.value, "min_frames": FRAMES.value}
            prepare.main(Settings(**settings, lossless=name == "lossless", workers=1))
        sizes = memory(f"{folder}/jpeg", MEMORY_CLIPS.value) if MEMORY_CLIPS.value else []
        speeds = measure(f"{folder}/jpeg", f"{folder}/lossless")
    for name in ("naive, a loop", "naive, all cores", "prepared, by a service", "training step takes"):
        (fast, fast_cpu), (slow, slow_cpu) = speeds["prepared, JPEG"], speeds[name]
        print(f"prepared, JPEG: {fast / slow:.1f} x the clips/s of {name!r}, {slow_cpu / fast_cpu:.1f} x fewer CPU seconds")
    if sizes:
        print(f"memory grew by {sizes[-1] - sizes[0]:.1f} MiB over the last nine tenths of {MEMORY_CLIPS.value} clips")
    print(json.dumps({"cores": os.cpu_count(), "clips_per_second, cpu_seconds": speeds, "memory_mib": sizes}))


if __name__ == "__main__":
    app.run(main)

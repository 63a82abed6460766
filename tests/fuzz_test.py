"""Fuzzing: whatever the flags say and however a file is damaged, the end is a result or one clear line.

`make test` tries a few; TFVIDEOGAN_FUZZ=500 tries so many configs of each model and so many files.
"""

import dataclasses
import multiprocessing
import os
import random
import re
import resource
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import small
from tests.data.decode_test import noise_video
from tests.data.sources.folder_test import write
from tfvideogan import cli, models
from tfvideogan import train as trainer
from tfvideogan.config import UserError, to_flags
from tfvideogan.data import decode
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.step import make_step

WANTED = int(os.environ.get("TFVIDEOGAN_FUZZ", 0))
NUMBERS = ["-1", "0", "1", "2", "3", "4", "5", "7", "8", "12", "16", "32", "48"]
REALS = ["-1", "0", "1e-30", "0.5", "0.999", "1", "2", "1e30", "inf", "-inf", "nan"]
WORDS = ["", "nonsense", "[", "a/b", "-1", "\N{SNOWMAN}"]
SECONDS = 60  # in which a damaged file must be done with


def texts(field: dataclasses.Field) -> st.SearchStrategy[str]:
    """What a flag may be given: values of its type, the words of its help, which name the choices, and nonsense."""
    choices = {bool: ["true", "false"], int: NUMBERS, float: REALS, str: re.findall(r"[\w/]+", field.metadata["help"])}
    return st.sampled_from(choices[field.type]) | st.sampled_from(choices[field.type] + WORDS)


@st.composite
def command_lines(draw, model: str) -> list[str]:
    """The least config of a model with a few of its flags changed."""
    fields = [field for field in dataclasses.fields(models.find(model).Config) if field.name not in ("model", "batch_size", "channels")]
    changed = draw(st.lists(st.sampled_from(fields), min_size=1, max_size=4, unique_by=lambda field: field.name))
    return to_flags(small(model)).split("\n")[:-1] + [f"--{field.name}={draw(texts(field))}" for field in changed]


def parsed(arguments: list[str]):
    """The Config of a command line, as `launch` gets it."""
    try:
        return cli.parse(["train", *arguments], (), None)
    finally:
        for name in {field.name for model in models.names() for field in dataclasses.fields(models.find(model).Config)}:
            if name in flags.FLAGS:
                delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()


def one_step(config) -> None:
    dataset = models.dataset(config, config.split)
    config = trainer._with_classes(config, dataset)
    gan, count = models.build(config), tf.Variable(0, dtype=tf.int64, trainable=False)
    optimizers = make_optimizers(gan, count)
    step = make_step(gan, optimizers, count, tf.distribute.get_strategy())
    batches = iter(dataset.batches(config.batch_size))
    assert all(value.shape == () for value in step([next(batches) for _ in range(config.d_steps)]).values())


@pytest.mark.slow
@pytest.mark.parametrize("model", models.names())
def test_a_config_is_refused_in_one_line_or_trains(model):
    outcomes = {"trained": 0, "refused": 0}

    @settings(max_examples=WANTED or 8, derandomize=not WANTED, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(command_lines(model))
    def attempt(arguments):
        try:
            one_step(parsed(arguments))
            outcomes["trained"] += 1
        except (UserError, flags.Error) as error:
            assert re.search(r"--?\w+", str(error)) and len(str(error)) < 1000 and "Traceback" not in str(error), str(error)
            outcomes["refused"] += 1

    attempt()
    print(model, outcomes)
    assert all(outcomes.values())


def undamaged(folder: Path) -> list[Path]:
    """A small video of each kind, and real ones where there are any."""
    files = [noise_video(folder / "a.mp4", 12, g="6"), write(folder / "a.avi", 8, "mpeg4"), write(folder / "a.mkv", 8)]
    frames = np.random.default_rng(0).integers(0, 256, [6, 16, 16, 3], np.uint8)
    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[0].save(folder / "a.gif", save_all=True, append_images=pictures[1:], duration=40)
    strip = Image.fromarray(np.concatenate(list(frames), 1))
    for name in ("a.png", "a.jpg", "a.bmp", "a.webp"):
        strip.save(folder / name)
    files += [folder / name for name in ("a.gif", "a.png", "a.jpg", "a.bmp", "a.webp")]
    if real := os.environ.get("TFVIDEOGAN_TEST_DATA"):
        files += [next(Path(real).glob(pattern)) for pattern in ("ucf101_mini/UCF-101/*/*.avi", "actions/*/*.mp4")]
    return files


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Bytes changed, cut off, cut out, doubled, or set to zero; headers more often than the rest."""
    content = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 3, 30])):
        end = draw.choice([len(content)] * 3 + [min(len(content), 200)])
        start, length = draw.randrange(max(end, 1)), draw.choice([1, 4, 100, 5000])
        part = slice(start, start + length)
        match draw.randrange(6):
            case 0:
                content[start : start + 1] = bytes([draw.randrange(256)])
            case 1:
                content[part] = draw.randbytes(len(content[part]))
            case 2:
                del content[draw.randrange(len(content) + 1) :]
            case 3:
                del content[part]
            case 4:
                content[start:start] = content[part]
            case 5:
                content[part] = bytes([draw.choice([0, 255])]) * len(content[part])
    return bytes(content)


def look_at(path: str) -> tuple[str, int, int]:
    """(outcome, peak memory in MB, open files) of a process that probes a file, reads clips of it and decodes it whole."""
    outcome = "read"
    try:
        facts = decode.probe(path)
        if facts.frames > 1_000_000 or facts.height * facts.width > decode.MOST_PIXELS:
            raise AssertionError(f"{facts.frames} frames of {facts.width}x{facts.height}")
        decode.read(path, [0], facts)
        decode.read(path, [facts.frames // 2, facts.frames - 1], facts)
        outcome = "damaged"
        for frame in decode.stream(path, facts):
            assert frame.dtype == np.uint8
        outcome = "read"
    except ValueError as error:
        assert str(error).strip()
        outcome = outcome if outcome == "damaged" else "refused"
    return outcome, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, len(os.listdir("/proc/self/fd"))


def test_a_damaged_file_is_read_or_refused(tmp_path):
    draw, outcomes, memory, opened = random.Random(WANTED), {"read": 0, "damaged": 0, "refused": 0}, [], []
    whole = undamaged(tmp_path / "whole")
    assert all(look_at(str(file))[0] == "read" for file in whole)
    contents = [(file.suffix, file.read_bytes()) for file in whole]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:  # a crash of FFmpeg's ends the process, not the tests
        for number in range(WANTED or 60):
            suffix, content = contents[number % len(contents)]
            path = tmp_path / f"{number}{suffix}"
            path.write_bytes(damaged(content, draw))
            outcome, peak, files = pool.submit(look_at, str(path)).result(timeout=SECONDS)
            outcomes[outcome] += 1
            memory.append(peak)
            opened.append(files)
            path.unlink()
    print(outcomes, "peak MB:", memory[len(memory) // 4], "->", memory[-1], "open files:", opened[0], "->", opened[-1])
    assert outcomes["read"] and outcomes["refused"]
    assert memory[-1] < memory[len(memory) // 4] + 400
    assert opened[-1] <= opened[len(opened) // 4] + 2


def test_a_frame_too_large_is_refused_before_it_is_decoded(tmp_path):
    picture = Image.fromarray(np.zeros([8, 8, 3], np.uint8))
    picture.save(tmp_path / "a.gif", save_all=True, append_images=[Image.fromarray(np.full([8, 8, 3], 9, np.uint8))])
    content = bytearray((tmp_path / "a.gif").read_bytes())
    content[6:10] = (16000).to_bytes(2, "little") * 2
    (tmp_path / "a.gif").write_bytes(content)
    with pytest.raises(ValueError, match="frames of 16000x16000: expected at most 33554432 pixels"):
        decode.probe(str(tmp_path / "a.gif"))
    write(tmp_path / "line.mkv", 2, size=(2, 100))
    with pytest.raises(ValueError, match="frames of 100x2: expected .* at most 32 to 1"):
        decode.probe(str(tmp_path / "line.mkv"))
    Image.new("1", (60000, 6000)).save(tmp_path / "strip.png")  # 53 kB
    with pytest.raises(ValueError, match="too large"):
        decode.probe(str(tmp_path / "strip.png"))

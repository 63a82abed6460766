"""The programs as a user runs them: each in a process of its own."""

import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
from PIL import Image, ImageSequence

import tfvideogan.generation.module
from tests.conftest import small
from tfvideogan import models
from tfvideogan.data.sources import moving_shapes
from tfvideogan.generation import pictures

TINY = (
    "--dataset=moving_shapes/plain --size=32 --frames=4 --channels=2 --batch_size=4 --k=2 --stride=1 --latent=8 --embedding=8 "
    "--ema_start_step=2 --ema_decay=0.5 --standing_batches=2 --log_every_steps=1 --sample_every_steps=100 --checkpoint_every_steps=2 "
    "--keep_checkpoints=100 --evaluate_videos=64"
).split()
TWO = ["--strategy=mirrored", "--cpu_replicas=2"]
ENVIRONMENT = {
    **os.environ,
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "PYTHONPATH": str(Path(__file__).parents[1]),
    "XDG_CACHE_HOME": tempfile.mkdtemp(),  # features of real clips
}


def start(program: str, *flags: str, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "-m", f"tfvideogan.{program}", *flags]
    return subprocess.Popen(command, env=ENVIRONMENT | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(program: str, *flags: str) -> str:
    """stdout of a program that must succeed."""
    process = start(program, *flags)
    out, err = process.communicate(timeout=560)
    assert process.returncode == 0, err[-3000:]
    return out


def fail(program: str, *flags: str) -> str:
    """stderr of a program that must refuse."""
    process = start(program, *flags)
    _, err = process.communicate(timeout=560)
    assert process.returncode == 2, err[-3000:]
    return err


def train(workdir: Path, *flags: str) -> None:
    run("train", *TINY, f"--workdir={workdir}", *flags)


def losses(workdir: Path) -> dict[tuple[int, str], float]:
    """Every loss and score that TensorBoard was told, by step and name; of a step told twice, the last."""
    found = {}
    for file in sorted((workdir / "logs").glob("events*"), key=lambda path: path.stat().st_mtime):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                if value.tag.startswith(("loss/", "scores/")):
                    found[event.step, value.tag] = float(tf.make_ndarray(value.tensor))
    return found


def tensors(workdir: Path, step: int) -> dict[str, np.ndarray]:
    """Everything in the checkpoint of a step: weights, averages, optimizers."""
    reader = tf.train.load_checkpoint(str(workdir / "checkpoints" / f"ckpt-{step}"))
    names = [name for name in reader.get_variable_to_shape_map() if "save_counter" not in name and "OBJECT_GRAPH" not in name]
    return {name: reader.get_tensor(name) for name in names}


def kill_after(workdir: Path, step: int, *flags: str) -> None:
    """Starts training and kills it, without warning, once it has saved that step and gone on."""
    process = start("train", *TINY, f"--workdir={workdir}", *flags)
    end = time.time() + 300
    while not (workdir / "checkpoints" / f"ckpt-{step}.index").exists():
        assert process.poll() is None and time.time() < end, process.communicate()[1][-3000:]
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def cut_back(run: Path, to: Path, step: int) -> None:
    """A copy of a run as a kill after that step was saved leaves it, without the time to train one. Its logs are empty."""
    shutil.copytree(run, to, ignore=lambda folder, names: [name for name in names if name == "logs" or saved_after(name, step)])


def saved_after(name: str, step: int) -> bool:
    """Whether it is a file of the checkpoint of a later step."""
    number = re.match(r"ckpt-(\d+)\.", name)
    return bool(number) and int(number[1]) > step


def assert_same_run(a: Path, b: Path, step: int, least: int = 600, since: int = 0) -> None:
    """That both hold the same at that step, and that both told of the same losses in all steps after `since`."""
    first, second = tensors(a, step), tensors(b, step)
    assert first.keys() == second.keys() and len(first) > least  # 600: all of a tiny DVD-GAN and its two Adams
    different = [name for name in first if not np.array_equal(first[name], second[name])]
    assert not different
    one, other = ({key: value for key, value in losses(run).items() if key[0] > since} for run in (a, b))
    assert one == other and len(one) >= step - since


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run of 8 tiny steps."""
    workdir = tmp_path_factory.mktemp("run") / "whole"
    train(workdir, "--steps=8", "--evaluate_every_steps=8")
    return workdir


@pytest.mark.slow
def test_a_killed_and_resumed_run_is_the_run_that_was_never_stopped(trained, tmp_path):
    kill_after(tmp_path / "run", 4, "--steps=8", "--evaluate_every_steps=8")
    train(tmp_path / "run", "--steps=8", "--evaluate_every_steps=8")
    assert_same_run(trained, tmp_path / "run", 8)
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == (trained / "metrics.jsonl").read_text()


@pytest.mark.slow
def test_two_replicas_resume_exactly_and_give_the_losses_of_one(trained, tmp_path):
    two = "--strategy=mirrored", "--cpu_replicas=2", "--steps=8", "--evaluate_every_steps=8"
    train(tmp_path / "whole", *two)
    kill_after(tmp_path / "killed", 4, *two)
    train(tmp_path / "killed", *two)
    assert_same_run(tmp_path / "whole", tmp_path / "killed", 8)
    one, both = losses(trained), losses(tmp_path / "whole")
    assert one.keys() == both.keys()
    for (step, name), value in one.items():
        if step <= 2:  # later the difference of rounding has grown through the updates
            assert both[step, name] == pytest.approx(value, rel=1e-4, abs=1e-4), (step, name)


@pytest.mark.slow
def test_a_batch_in_parts_resumes_exactly_and_has_the_same_parts_on_two_replicas(tmp_path):
    flags = "--accumulate_steps=2", "--steps=4"
    train(tmp_path / "one", *flags)
    train(tmp_path / "whole", *flags, *TWO)
    cut_back(tmp_path / "whole", tmp_path / "halves", 2)
    train(tmp_path / "halves", *flags, *TWO)
    assert_same_run(tmp_path / "whole", tmp_path / "halves", 4, since=2)
    one, both = losses(tmp_path / "one"), losses(tmp_path / "whole")
    assert one.keys() == both.keys()
    for (step, name), value in one.items():
        if step <= 2:
            assert both[step, name] == pytest.approx(value, rel=1e-4, abs=1e-4), (step, name)


VARIANTS = {  # the least of every model, with what is special about its steps
    **{name: small(name) for name in models.names() if name != "dvdgan"},  # which the tests above and below train
    "tgan conditional": small("tgan", conditional=True, loss="vanilla"),
    "vgan conditional": small("vgan", conditional=True),
    "ftgan texture": small("ftgan", phase="texture"),
    "ftgan joint": small("ftgan", phase="joint"),
    "mocogan self_feed": small("mocogan", epsilon="self_feed", category_to="motion", hidden=8),
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_model_resumes_exactly_on_two_replicas_and_goes_through_every_program(variant, tmp_path):
    changes = dict(log_every_steps=1, checkpoint_every_steps=3, sample_every_steps=6, evaluate_videos=32, standing_batches=2, steps=6)
    flags = [f"--{name}={value}" for name, value in vars(dataclasses.replace(VARIANTS[variant], **changes)).items()]
    run("train", *flags, f"--workdir={tmp_path}/one", "--steps=2")
    run("train", *flags, f"--workdir={tmp_path}/whole", *TWO)
    cut_back(tmp_path / "whole", tmp_path / "halves", 3)
    run("train", *flags, f"--workdir={tmp_path}/halves", *TWO)
    assert_same_run(tmp_path / "whole", tmp_path / "halves", 6, least=50, since=3)
    one, both = losses(tmp_path / "one"), losses(tmp_path / "whole")
    assert {name for _, name in one} == {name for _, name in both}
    # Of a flat map vid2vid's instance norms leave rounding alone, and magnify it: 3e-3 of a loss in the first step, 3e-2 in the second.
    tolerance = 5e-2 if variant == "vid2vid" else 1e-3
    for (step, name), value in one.items():
        assert both[step, name] == pytest.approx(value, rel=tolerance, abs=tolerance), (step, name)
    run("evaluate", f"--workdir={tmp_path}/whole", "--metrics=fid")
    run("sample", f"--workdir={tmp_path}/whole", f"--output={tmp_path}/clips.png", "--num_videos=1", "--labels=0")
    run("export", f"--workdir={tmp_path}/whole", f"--output={tmp_path}/module")
    run("sample", f"--module={tmp_path}/module", f"--output={tmp_path}/again.png", "--num_videos=1", "--labels=0")
    assert (tmp_path / "clips.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    kind = models.find(VARIANTS[variant].model).Model
    predicts = variant in ("dvdgan_fp", "vgan conditional")
    if kind.unrolls or predicts:
        for name, where in (("whole", "workdir"), ("module", "module")):
            run("sample", f"--{where}={tmp_path}/{name}", f"--output={tmp_path}/{name}.gif", "--num_videos=1", "--labels=0", "--frames=11")
        assert len(list(ImageSequence.Iterator(Image.open(tmp_path / "whole.gif")))) == 11
        assert (tmp_path / "whole.gif").read_bytes() == (tmp_path / "module.gif").read_bytes()
    if predicts:
        futures = [f"--futures={1 + kind.unrolls}"]  # VGAN's has no latent
        out = run("evaluate", f"--module={tmp_path}/module", *futures, f"--report={tmp_path}/report")
        for metric in ("fvd/moving_shapes", "fid/moving_shapes/copy_last", "ssim/predicted", "psnr/copy_last"):
            assert re.search(rf"^{metric} +-?\d", out, re.M), out
        assert "Frame by frame" in (tmp_path / "report" / "report.html").read_text()
    elif not kind.unrolls:
        out = fail("sample", f"--workdir={tmp_path}/whole", f"--output={tmp_path}/long.gif", "--frames=16")
        assert re.search(
            rf"^sample: --frames=16: .* holds a {kind.__module__.split('.')[-1]} of \d+ frames, which makes no others$", out, re.M
        )
    fix = ["--fix=content", "--num_videos=2", "--labels=0"]
    if "content" in models.build(VARIANTS[variant]).latent_parts and variant != "ftgan texture":  # a translation fixes nothing
        for name, where in (("whole", "workdir"), ("module", "module")):
            run("sample", f"--{where}={tmp_path}/{name}", f"--output={tmp_path}/{name}.png", *fix)
        assert (tmp_path / "whole.png").read_bytes() == (tmp_path / "module.png").read_bytes()
    else:
        out = fail("sample", f"--module={tmp_path}/module", f"--output={tmp_path}/fixed.png", *fix)
        assert re.search(r"^sample: --fix=content: the latent of .* has no part for it$", out, re.M)


@pytest.mark.slow
def test_two_workers_train_together_and_only_the_chief_writes(trained, tmp_path):
    ports = [free_port(), free_port()]
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    workers = []
    for index in range(2):
        tf_config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        flags = [*TINY, "--steps=4", "--strategy=multiworker", f"--workdir={tmp_path / f'worker{index}'}"]
        workers.append(start("train", *flags, TF_CONFIG=tf_config))
    for worker in workers:
        _, err = worker.communicate(timeout=560)
        assert worker.returncode == 0, err[-3000:]
    assert (tmp_path / "worker0" / "checkpoints" / "ckpt-4.index").exists()
    assert not (tmp_path / "worker1").exists()
    one, both = losses(trained), losses(tmp_path / "worker0")
    for (step, name), value in both.items():
        if step <= 2:
            assert one[step, name] == pytest.approx(value, rel=1e-4, abs=1e-4), (step, name)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def test_the_run_folder_holds_what_is_promised(trained):
    assert {path.name for path in trained.iterdir()} >= {"run.flags", "checkpoints", "logs", "samples", "metrics.jsonl", "export"}
    flags = dict(line[2:].split("=", 1) for line in (trained / "run.flags").read_text().splitlines())
    assert flags["model"] == "dvdgan" and flags["classes"] == "12" and flags["beta_2"] == "0.999" and flags["flip"] == "false"
    records = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert {record["metric"] for record in records} == {"is/moving_shapes", "fid/moving_shapes", "accuracy/moving_shapes"}
    assert {record["step"] for record in records} == {0, 8}
    wanted = "evaluator evaluator_sha256 num_real num_fake frames stride size resize seed ema truncation".split()
    for record in records:
        assert record["stderr"] >= 0 and set(wanted) <= set(record["protocol"])
        assert record["protocol"]["num_fake"] == 64 and len(record["protocol"]["evaluator_sha256"]) == 64


def test_tensorboard_is_told_everything(trained):
    tags = set()
    for file in (trained / "logs").glob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                tags.add(value.tag)
                if value.tag.startswith("samples/"):
                    assert bytes(tf.make_ndarray(value.tensor)[2]).startswith(b"GIF89a")
    assert tags >= {
        "loss/d_spatial", "loss/d_temporal", "loss/g_spatial", "loss/g_temporal", "scores/score_real_spatial",
        "scores/score_fake_temporal", "gradients/d_gradient_norm", "gradients/g_gradient_norm", "speed/videos_per_second",
        "speed/share_of_time_waiting_for_data", "metrics/fid/moving_shapes", "samples/ema", "samples/raw", "config",
    }  # fmt: skip


def test_sample_evaluate_and_export_of_a_run(trained, tmp_path):
    for suffix, source in {"gif": f"--workdir={trained}", "mp4": f"--module={trained}/export"}.items():
        run("sample", source, f"--output={tmp_path}/clips.{suffix}", "--labels=ring_up,3", "--num_videos=2", "--seed=5")
        assert (tmp_path / f"clips.{suffix}").stat().st_size > 500
    out = run("evaluate", f"--workdir={trained}", "--metrics=fid", "--num_videos=32", "--truncation=0.5")
    last = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])
    assert "fid/moving_shapes" in out and last["protocol"]["truncation"] == 0.5 and last["protocol"]["num_fake"] == 32


def scores(file: Path) -> dict[str, dict]:
    """The records of a metrics.jsonl by metric; of one measured twice, the last."""
    return {record["metric"]: record for record in map(json.loads, file.read_text().splitlines())}


def test_an_exported_module_is_evaluated_and_reported(trained, tmp_path):
    flags = (
        "--metrics=is,fid,swd,ssim,acd_shape",
        "--num_real=96",
        "--repeats=2",
        "--num_videos=64",
        "--curve=0.5,1",
        "--audit_videos=64",
        f"--report={tmp_path}",
        f"--cache_dir={tmp_path}/cache",
    )
    run("evaluate", f"--module={trained / 'export'}", *flags)
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {record["step"] for record in records} == {8}
    told = records[0]["protocol"]
    assert (told["num_real"], told["num_fake"], told["repeats"], told["labels"]) == (96, 64, 2, "shares of the real clips")
    judged = {(record["metric"], record["protocol"]["truncation"]) for record in records}
    assert {("is/moving_shapes", 0.5), ("fid/moving_shapes", 1.0), ("swd/frames", 1.0), ("ssim/same_class", 1.0)} <= judged
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/gif;base64,") == 4 and "<svg" in page and "ring_right" not in page  # names are in the picture
    assert not re.search(r"(src|href)=.(?!data:|#)", page)  # nothing from elsewhere: # is a part of the chart itself
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 3  # real clips, and the audit's training and held-out ones


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Videos that anyone could have made: real/<class>/*.mp4, and fake/<class>/*.mp4, the same with noise."""
    root, draw = tmp_path_factory.mktemp("folders"), np.random.default_rng(0)
    for i in range(80):
        video, label = moving_shapes.render(i, 10, 40, "plain")
        noisy = np.clip(video + draw.normal(0, 20, video.shape), 0, 255).astype(np.uint8)
        for kind, pixels in (("real", video), ("fake", noisy)):
            file = root / kind / moving_shapes.LABELS[label] / f"{i:03d}.mp4"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(pictures.mp4_bytes(pixels, fps=8))
    return root


FOLDERS = "--frames=8 --size=32 --metrics=is,m_is,fid,accuracy,ssim,psnr,acd_frame --paired".split()


def test_two_folders_of_videos_are_evaluated(folders, tmp_path):
    where = f"--real={folders / 'real'}", f"--fake={folders / 'fake'}"
    run("evaluate", *where, *FOLDERS, f"--report={tmp_path}")
    found = scores(tmp_path / "metrics.jsonl")
    of_evaluator = [f"{name}/moving_shapes" for name in ("is", "m_is", "fid", "accuracy")]
    assert list(found) == [*of_evaluator, "acd_frame/color", "ssim/paired", "psnr/paired"]
    told = found["fid/moving_shapes"]["protocol"]
    assert (told["num_real"], told["num_fake"], told["frames"], told["size"]) == (80, 80, 8, 32) and told["real"] == str(folders / "real")
    # Noise of 20 of 255: 22 dB, and more after resizing and compression.
    assert 22 < found["psnr/paired"]["value"] < 40 and 0.3 < found["ssim/paired"]["value"] < 0.99
    assert "generated" in (tmp_path / "report.html").read_text()


def test_where_no_metric_can_be_computed_evaluate_says_why_and_ends_with_2(folders, tmp_path):
    where = f"--real={folders / 'real'}", f"--fake={folders / 'fake'}", "--frames=8", "--size=8", f"--report={tmp_path}"
    *before, error = fail("evaluate", *where, "--metrics=swd,ssim", "--paired").splitlines()
    assert any("--evaluator=moving_shapes knows moving_shapes alone" in line for line in before)
    assert error == (
        "evaluate: --metrics=swd,ssim: none of them can be computed: no swd: frames of fewer than 16 pixels; "
        "no ssim: frames of 8 pixels a side, where it takes at least 11"
    )


@pytest.mark.slow
def test_two_replicas_evaluate_as_one(folders, tmp_path):
    where = f"--real={folders / 'real'}", f"--fake={folders / 'fake'}", "--cache_dir="
    run("evaluate", *where, *FOLDERS, f"--report={tmp_path / 'one'}")
    run("evaluate", *where, *FOLDERS, f"--report={tmp_path / 'two'}", "--strategy=mirrored", "--cpu_replicas=2")
    one, two = (scores(tmp_path / name / "metrics.jsonl") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for metric, record in one.items():
        assert two[metric]["value"] == pytest.approx(record["value"], rel=1e-3, abs=1e-3), metric


def test_an_exported_module_answers_the_contract_without_this_package(trained, tmp_path):
    script = """
import sys, numpy as np, tensorflow as tf, tensorflow_hub as hub
m = hub.load(sys.argv[1])
assert not any(name.startswith("tfvideogan") for name in sys.modules)
one, seed = tf.constant(1.0), tf.constant([1, 2])
for n in (1, 3):
    z, label = tf.random.stateless_normal([n, 8], [0, 0]), tf.range(n)
    video = m.generate(z, label)
    assert video.shape == (n, 4, 32, 32, 3) and video.dtype == tf.float32, video.shape
    assert 0 <= float(tf.reduce_min(video)) < float(tf.reduce_max(video)) <= 1
    np.testing.assert_allclose(m.signatures["serving_default"](z=z, label=label)["video"], video, atol=1e-4)
    sample = m.sample(label, seed, one).numpy()
    np.testing.assert_array_equal(m.sample(label, seed, one), sample)
    assert np.abs(sample - m.sample(label, tf.constant([1, 3]), one).numpy()).max() > 1e-3
assert len(m.trainable_variables) > 20 and len(m.variables) > len(m.trainable_variables)
np.save(sys.argv[2], sample)
"""
    command = [sys.executable, "-c", script, str(trained / "export"), str(tmp_path / "sample.npy")]
    environment = {key: value for key, value in ENVIRONMENT.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]

    from tfvideogan.models.dvdgan import Config

    flags = dict(flag[2:].split("=") for flag in TINY)
    types = {name: type(value) for name, value in vars(Config()).items()}
    config = Config(**{name: types[name](value) for name, value in flags.items()}, classes=12)
    expected = tfvideogan.training.run_folder.from_run(str(trained), config, best=False).source.sample(
        tf.range(3), tf.constant([1, 2]), tf.constant(1.0)
    )
    np.testing.assert_allclose(np.load(tmp_path / "sample.npy"), expected, atol=1e-4)
    assert (trained / "export" / "assets" / "labels.txt").read_text().splitlines()[0] == "ring_right"
    assert "ring_right" in (trained / "export" / "README.md").read_text()


@pytest.mark.slow
def test_a_module_in_bfloat16_draws_nearly_the_same(trained, tmp_path):
    run("export", f"--workdir={trained}", f"--output={tmp_path}/module", "--export_precision=mixed_bfloat16")
    modules = [hub.load(str(path)) for path in (trained / "export", tmp_path / "module")]  # held: their variables go with them
    drawn = [module.sample(tf.range(3), tf.constant([1, 2]), tf.constant(1.0)) for module in modules]
    assert all(clips.dtype == tf.float32 for clips in drawn)
    assert 0 < np.abs(drawn[0] - drawn[1]).mean() < 0.01
    assert "computing in mixed_bfloat16" in (tmp_path / "module" / "README.md").read_text()


# Runs many programs, each in a process forked where the slow imports are done; writes each one's exit code and stderr.
FORKING = """
import json, os, runpy, sys
import av, keras, numpy, tensorflow, tensorflow_hub
from tensorboard.plugins.hparams import api
folder, cases = sys.argv[1], json.loads(sys.argv[2])
for number, flags in enumerate(cases):
    path = f"{folder}/case{number}"
    child = os.fork()
    if child == 0:
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), 2)
        sys.argv = [f"{flags[0]}.py", *flags[1:]]
        code = 0
        try:
            runpy.run_module(f"tfvideogan.{flags[0]}", run_name="__main__")
        except SystemExit as stop:
            code = stop.code
        sys.stderr.flush()
        os._exit(code or 0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    json.dump([code, open(path).read()], open(path + ".json", "w"))
"""


def test_every_mistake_gets_one_line_and_exit_code_2(trained, tmp_path):
    for folder in ("empty", "unreadable/a", "noclass", "hollow/a", "hollow/b"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "unreadable" / "a" / "x.mp4").write_text("no video")
    (tmp_path / "hollow" / "a" / "x.mp4").write_text("no video")
    new = f"--workdir={tmp_path / 'new'}"
    folder = ["train", *TINY, new, "--dataset=folder"]
    cases = [
        (["train", "--stepss=3"], "stepss.*Did you mean.*steps"),
        (["train", "--steps=many"], "steps.*many"),
        (["train", "--model=dvdgann"], "--model=dvdgann: expected one of .*Did you mean dvdgan"),
        (["train", *TINY, new, "--size=48"], "--size=48: expected 32, 64, 128 or 256 for --model=dvdgan"),
        (["train", *TINY], "--workdir is missing"),
        (["train", *TINY, new, "--cpu_replicas=0"], "--cpu_replicas=0: .*positive integer"),
        (["train", *TINY, new, "--accumulate_steps=0"], "--accumulate_steps=0: expected at least 1"),
        (["train", *TINY, new, "--accumulate_steps=3"], "--batch_size=4: expected a multiple of 3, .*--accumulate_steps=3"),
        (["train", *TINY, new, "--accumulate_steps=4", *TWO], r"--batch_size=4: expected a multiple of 8, .*replicas \(2\)"),
        (["train", *TINY, new, "--dataset=moving_shape"], "--dataset=moving_shape: .*moving_shapes"),
        ([*folder, f"--data_dir={tmp_path}/nowhere"], "--data_dir=.*nowhere"),
        ([*folder, f"--data_dir={tmp_path}/noclass"], "--data_dir=.*noclass"),
        ([*folder, f"--data_dir={tmp_path}/hollow"], "hollow.*b"),
        ([*folder, f"--data_dir={tmp_path}/unreadable"], "unreadable"),
        (["train", *TINY, f"--workdir={trained}", "--channels=3"], r"--channels=3 \(was 2\)"),
        (["train", "--flagfile=nowhere.flags"], "nowhere.flags"),
        (["evaluate", f"--workdir={tmp_path}/empty"], "empty.*no checkpoint"),
        (["evaluate", f"--workdir={tmp_path}/nowhere"], "no such folder"),
        (["evaluate", f"--workdir={trained}", "--metrics=fvvd"], "fvvd"),
        (["evaluate", f"--real={tmp_path}/hollow"], "--real and --fake go together"),
        (["evaluate", f"--real={tmp_path}/nowhere", f"--fake={tmp_path}/hollow"], "--real=.*nowhere: no such folder"),
        (["evaluate", f"--real={tmp_path}/unreadable", f"--fake={tmp_path}/hollow"], "--real=.*unreadable: none of its 1 videos"),
        (["evaluate", f"--real={tmp_path}/noclass", f"--fake={tmp_path}/hollow"], "--real=.*noclass: no subfolders"),
        (["evaluate", f"--workdir={trained}", "--paired"], "--paired: expected --real and --fake"),
        (["evaluate", f"--workdir={trained}", "--strategy=multiworker"], "--strategy=multiworker: evaluate runs in one process"),
        (["evaluate", f"--workdir={trained}", "--curve=much"], "--curve=much: .*expected numbers"),
        (["evaluate", f"--workdir={trained}", "--num_videos=1"], "--num_videos=1: expected at least 2"),
        (["evaluate", f"--workdir={trained}", "--audit_videos=-1"], "--audit_videos=-1: expected 0 or more"),
        (["evaluate", f"--workdir={trained}", "--num_real=1"], "--num_real=1: expected at least 2, or 0 for all"),
        (["export", f"--workdir={trained}", f"--output={tmp_path}/empty"], "--output=.*empty.*--overwrite"),
        (
            ["sample", f"--module={trained}/export", "--output=x.gif", "--frames=3"],
            "--frames=3: expected --workdir, .* the 4 frames it has",
        ),
        (["sample", f"--workdir={trained}", "--output=x.gif", "--fix=content"], "--fix=content: the latent of .* has no part for it"),
        (["sample", f"--workdir={trained}", "--output=x.gif", "--fix=colour"], "fix.*content.*motion"),
        (["sample", f"--workdir={trained}", "--output=x.jpg"], "--output=x.jpg: expected .gif, .mp4 or .png"),
        (["sample", f"--workdir={trained}", "--output=x.gif", "--labels=hexagon"], "--labels=hexagon"),
        (["evaluate", f"--module={trained}/export", "--frames=9"], "--frames=9: expected --workdir, .* the 4 frames it has"),
        (["evaluate", f"--workdir={trained}", "--futures=2", "--num_videos=2"], "--futures=2: expected 1, as .* continues no clips"),
    ]
    command = [sys.executable, "-c", FORKING, str(tmp_path), json.dumps([flags for flags, _ in cases])]
    subprocess.run(command, env=ENVIRONMENT, capture_output=True, timeout=300, check=True)
    for number, (flags, wanted) in enumerate(cases):
        code, err = json.loads((tmp_path / f"case{number}.json").read_text())
        lines = [line for line in err.splitlines() if line.startswith(f"{flags[0]}: ")]
        assert code == 2, (flags, code, err[-2000:])
        assert len(lines) == 1 and "Traceback" not in err, (flags, err[-2000:])
        assert re.search(wanted, lines[0]), (wanted, lines[0])
    assert not (tmp_path / "new" / "run.flags").exists()  # nothing half-written


@pytest.mark.slow
def test_real_videos_train(real_videos, tmp_path):
    flags = [
        "--dataset=folder",
        f"--data_dir={real_videos / 'actions'}",
        "--max_stride=3",
        "--flip",
        "--steps=2",
        "--precision=mixed_bfloat16",
    ]
    train(tmp_path / "run", *flags)
    run("sample", f"--workdir={tmp_path / 'run'}", f"--output={tmp_path}/clips.png", "--num_videos=1")
    assert (tmp_path / "run" / "labels.txt").read_text().split() == ["bend", "jack", "wave1", "wave2"]

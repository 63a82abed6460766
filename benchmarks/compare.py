"""Every model for the same time on the same clips: `python -m benchmarks.compare [--minutes=10] [--models=dvdgan,mocogan,tgan,vgan]`.

Each model trains with its own small flagfile (quickstart.flags, or MODEL_shapes.flags: 8 frames of 32x32, moving_shapes/plain) until its
time is over, counted from its first steps on, so that tracing is not; then the shipped evaluator judges it. Prints a table in Markdown.
Only rows of one run compare, and only on a machine that does nothing else.
"""

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import app, flags

from tfvideogan.training.run_folder import METRICS as RECORDS
from tfvideogan.training.run_folder import newest_first

MINUTES = flags.DEFINE_float("minutes", 10, "Training time of each model.")
MODELS = flags.DEFINE_list("models", ["dvdgan", "mocogan", "tgan", "vgan"], "Models, one a row.")
VIDEOS = flags.DEFINE_integer("videos", 2400, "Clips of each set that are judged.")
FLAGFILES = {"dvdgan": "configs/quickstart.flags"}
METRICS = "fid,kid,is,accuracy,precision_recall"
SHOWN = ("fid", "kid", "is", "accuracy", "precision", "recall")
FIRST = 10  # steps before the time begins


def main(_: list[str]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="compare_"))
    print(f"runs in {folder}", flush=True)
    rows = [row(model, folder / model) for model in MODELS.value]
    names = list(rows[0])
    for cells in (names, ["---"] * len(names), *([one[name] for name in names] for one in rows)):
        print(f"| {' | '.join(cells)} |")


def row(model: str, workdir: Path) -> dict[str, str]:
    """Trains and judges one model."""
    command = [sys.executable, "-m", "tfvideogan.train", f"--flagfile={FLAGFILES.get(model, f'configs/{model}_shapes.flags')}"]
    command += ["--steps=1000000", "--evaluate_every_steps=0", "--sample_every_steps=1000000", f"--log_every_steps={FIRST}"]
    log = workdir.with_suffix(".log")
    with open(log, "w") as file:
        process = subprocess.Popen([*command, f"--workdir={workdir}"], stdout=file, stderr=file)
    while not re.search(rf"step {FIRST}/", log.read_text()):
        if process.poll() is not None:
            raise SystemExit(f"{model}: the run failed with exit code {process.returncode}; see {log}")
        time.sleep(0.1)
    began = time.time()
    time.sleep(60 * MINUTES.value)
    process.send_signal(signal.SIGTERM)
    seconds = time.time() - began
    process.wait()
    step = int(newest_first(workdir)[0].name[5:])
    print(f"{model}: {step} steps", flush=True)
    command = [sys.executable, "-m", "tfvideogan.evaluate", f"--workdir={workdir}", f"--metrics={METRICS}"]
    subprocess.run([*command, f"--evaluate_videos={VIDEOS.value}"], check=True, stderr=subprocess.DEVNULL)
    records = [json.loads(line) for line in (workdir / RECORDS).read_text().splitlines()]
    scores = {record["metric"].split("/")[0]: f"{record['value']:.3g} ± {record['stderr']:.1g}" for record in records}
    parameters = re.search(r"(\d+) generator and (\d+) discriminator parameters", log.read_text())
    batch = int(re.search(r"--batch_size=(\d+)", (workdir / "run.flags").read_text())[1])
    return {
        "model": model,
        **{name.upper() if len(name) < 4 else name: scores[name] for name in SHOWN},
        "parameters of G": f"{int(parameters[1]):,}",
        "of D": f"{int(parameters[2]):,}",
        "steps": str(step),
        "videos/s": f"{(step - FIRST) * batch / seconds:.0f}",
    }


if __name__ == "__main__":
    app.run(main)

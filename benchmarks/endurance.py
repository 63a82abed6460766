"""Whether memory, open files, threads and the time of a step grow in a long run: `python -m benchmarks.endurance [--steps=20000]`.

Trains the smallest run there is, with log lines, samples, evaluations and checkpoints, and looks at its process from outside.
Prints a row every `--rows`-th of the run, and one JSON line: what grew from the row at a tenth of the run to the last.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import app, flags

from tfvideogan.training.run_folder import newest_first

STEPS = flags.DEFINE_integer("steps", 20_000, "Steps of the run.")
ROWS = flags.DEFINE_integer("rows", 20, "Rows of the table.")
EVERY = {"log": 50, "checkpoint": 100, "sample": 500, "evaluate": 1000}  # steps


def main(_: list[str]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="endurance_"))
    command = [sys.executable, "-m", "tfvideogan.train", "--flagfile=benchmarks/endurance.flags", f"--steps={STEPS.value}"]
    command += [f"--{name}_every_steps={steps}" for name, steps in EVERY.items()] + [f"--workdir={folder / 'run'}"]
    rows, began = [], time.perf_counter()
    print(f"{'step':>8} {'seconds':>8} {'ms/step':>8} {'RSS MB':>8} {'files':>6} {'threads':>8} {'run MB':>7}", flush=True)
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    while process.poll() is None:
        newest = newest_first(folder / "run")
        step = int(newest[0].name[5:]) if newest else 0
        if step >= STEPS.value * (len(rows) + 1) / ROWS.value:
            seconds = time.perf_counter() - began
            last_step, last_seconds = (rows[-1]["step"], rows[-1]["seconds"]) if rows else (0, 0.0)
            row = {"step": step, "seconds": seconds, "ms": 1000 * (seconds - last_seconds) / (step - last_step), **look(process.pid)}
            row["run_mb"] = sum(file.stat().st_size for file in (folder / "run").rglob("*") if file.is_file()) / 1e6
            rows.append(row)
            print("{step:8d} {seconds:8.0f} {ms:8.1f} {rss_mb:8.0f} {files:6d} {threads:8d} {run_mb:7.1f}".format(**row), flush=True)
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"the run failed with exit code {process.returncode}; see {folder}/log")
    early = rows[len(rows) // 10]
    growth = {name: round(rows[-1][name] - early[name], 1) for name in ("ms", "rss_mb", "files", "threads")}
    print(json.dumps({"steps": STEPS.value, "from_step": early["step"], "growth": growth, "folder": str(folder)}))


def look(pid: int) -> dict[str, int]:
    """Memory, open files and threads of a process."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {
        "rss_mb": int(status["VmRSS"].split()[0]) // 1024,
        "threads": int(status["Threads"]),
        "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
    }


if __name__ == "__main__":
    app.run(main)

"""Settings of training, each for the same time on the same clips: judged, ranked, and shown on one page.

    python -m benchmarks.compare --output=DIR [--minutes=10] [--points=2] [--seeds=1]
        [--models=dvdgan,mocogan,...] [--setting="NAME --flagfile=FILE --flag=value ..."]... [--common="--data_dir=DIR ..."]

A model's setting is its small flagfile (quickstart.flags, or MODEL_shapes.flags: 8 frames of 32x32, moving_shapes/plain). --common goes to
every setting: a folder of clips, what is held out of it, --evaluator trained on it.

A model that is learned in phases has a flagfile for each (FTGAN); in a setting, "NAME --flagfile=FILE then --flagfile=FILE". Phases share
the time equally, the last begins with what those before it learned (--init_from), and it alone is judged.

Time counts from the first steps on, so that tracing is not of it; it is cut into --points parts, after each of which the run is stopped
and judged: scores are curves over minutes. Killed, the same command goes on where it was; of a part that was cut short, the time counts.
Prints the table in Markdown, best FID first; the page is DIR/index.html. Only rows of one run compare, and only on a machine that does
nothing else.
"""

import argparse
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from benchmarks import compare_page
from benchmarks.compare_page import Point, Trial
from tfvideogan.files import write_whole
from tfvideogan.training.run_folder import METRICS as RECORDS
from tfvideogan.training.run_folder import newest_first

USUAL = "dvdgan,mocogan,tgan,vgan"
FLAGFILES = {
    "dvdgan": ["configs/quickstart.flags"],
    "ftgan": [f"configs/ftgan_shapes_{phase}.flags" for phase in ("flow", "texture", "joint")],
}
METRICS = "fid,kid,is,accuracy,precision_recall,density_coverage"
NEVER = 10**9  # steps
LOG_EVERY = 5  # steps: time begins with the first line that tells of one


class Setting(NamedTuple):
    """A row: its name, and flags of `tfvideogan.train`, of each phase."""

    name: str
    phases: list[list[str]]


class Time(NamedTuple):
    """Of each run: seconds of training, parts of it after each of which the run is judged, and clips that are."""

    seconds: float
    parts: int
    videos: int


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of the runs and of the page")
    parser.add_argument("--minutes", type=float, default=10, help="training time of each setting and seed")
    parser.add_argument("--points", type=int, default=2, help="how often each run is judged: after equal parts of its time")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each setting: with seeds 0, 1, ...")
    parser.add_argument("--models", default="", help=f"models, by comma, one a setting; without --setting too: {USUAL}")
    parser.add_argument("--setting", action="append", default=[], help="a name, and flags of tfvideogan.train; several times")
    parser.add_argument("--common", default="", help="flags of every setting")
    parser.add_argument("--videos", type=int, default=2400, help="clips of each set that are judged, at most")
    asked = parser.parse_args(arguments)
    for name, least in (("points", 1), ("seeds", 1), ("videos", 2)):
        if getattr(asked, name) < least:
            parser.error(f"--{name}={getattr(asked, name)}: expected at least {least}")
    if asked.minutes <= 0:
        parser.error(f"--minutes={asked.minutes:g}: expected above 0")
    try:
        rows = list(settings(asked.models or ("" if asked.setting else USUAL), asked.setting))
    except ValueError as error:
        parser.error(str(error))

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the run under way is stopped, and its time written down
    seeds = "1 seed" if asked.seeds == 1 else f"{asked.seeds} seeds"
    told = f"{asked.minutes:g} minutes of training each, {seeds}, {asked.videos} clips judged at most; {asked.common}"
    each, trials, table = Time(60 * asked.minutes, asked.points, asked.videos), [], []
    for seed in range(asked.seeds):  # a whole table of one seed first
        for name, phases in rows:
            whole = [[*flags, *shlex.split(asked.common), f"--seed={seed}"] for flags in phases]
            trials.append(finished(asked.output, name, seed, whole, each))
            table = compare_page.rows(trials)
            compare_page.write(asked.output / "index.html", trials, table, told)
    names = list(table[0])
    for cells in (names, ["---"] * len(names), *([row[name] for name in names] for row in table)):
        print(f"| {' | '.join(cells)} |")
    print(f"page: {asked.output / 'index.html'}")


def settings(models: str, named: list[str]) -> Iterator[Setting]:
    """Those of models, by comma, and those given by a name and flags. Raises ValueError for what is none."""
    for model in filter(None, models.split(",")):
        files = FLAGFILES.get(model, [f"configs/{model}_shapes.flags"])
        if missing := [file for file in files if not Path(file).is_file()]:
            raise ValueError(f"--models={model}: got no {missing[0]}; name its flagfile with --setting")
        yield Setting(model, [[f"--flagfile={file}"] for file in files])
    for text in named:
        name, *arguments = shlex.split(text) or [""]
        if not re.fullmatch(r"\w([\w.+-]*\w)?", name):
            raise ValueError(f"--setting={text}: expected a name of letters, digits, dots and dashes, then flags")
        phases: list[list[str]] = [[]]
        for argument in arguments:
            if argument == "then":
                phases.append([])
            else:
                phases[-1].append(argument)
        yield Setting(name, phases)


def finished(output: Path, name: str, seed: int, phases: list[list[str]], each: Time) -> Trial:
    """One run, trained and judged until its time is over; what is done already is kept. Runs of phases before the last are beside it."""
    folder = output / name / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    begun = folder / "arguments.json"
    told = {"phases": phases, "time": each._asdict()}
    if not begun.exists():
        write_whole(begun, json.dumps(told))
    elif (before := json.loads(begun.read_text())) != told:
        fail(f"--output={output}: {folder} was begun otherwise, with {before}; expected {told}")

    *earlier, last = phases
    share, learned = each.seconds / len(phases), []
    for number, arguments in enumerate(earlier, 1):
        learned.append(folder / f"phase{number}")
        learned[-1].mkdir(exist_ok=True)
        print(f"{name}, seed {seed}: phase {number} of {len(phases)}, for {share / 60:.3g} minutes", flush=True)
        train_until(learned[-1], arguments, share)
    if learned:
        last = [*last, f"--init_from={','.join(str(one / 'run') for one in learned)}"]
    before_it, progress = each.seconds - share, folder / "progress.jsonl"
    for number in range(1, each.parts + 1):
        until = share * number / each.parts
        print(f"{name}, seed {seed}: training until minute {(before_it + until) / 60:.3g} of {each.seconds / 60:.3g}", flush=True)
        train_until(folder, last, until)
        if not any("scores" in entry and entry["part"] == number for entry in done(folder)):
            scores = judge(folder, each.videos)
            write_line(progress, {"seconds": 0.0, "part": number, "step": step_of(folder), "scores": scores})
    judged = [entry for entry in done(folder) if "scores" in entry]
    minutes = [(before_it + share * entry["part"] / each.parts) / 60 for entry in judged]
    points = tuple(Point(minute, entry["step"], entry["scores"]) for minute, entry in zip(minutes, judged, strict=True))
    parameters = re.search(r"(\d+) generator and (\d+) discriminator parameters", (folder / "train.log").read_text())
    batch = re.search(r"--batch_size=(\d+)", (folder / "run" / "run.flags").read_text())
    if not parameters or not batch:
        fail(f"{folder}: got no run there that train wrote, expected one")
    clips = folder / "clips.gif"
    if not clips.exists():
        program("sample", folder, f"--output={clips}", f"--seed={seed}")
    videos = points[-1].step * int(batch[1]) / share
    flags = " then ".join(shlex.join(arguments) for arguments in phases)
    return Trial(name, seed, flags, points, int(parameters[1]), int(parameters[2]), videos, clips, warnings_of(folder))


def done(folder: Path) -> list[dict]:
    """What a run's progress.jsonl tells."""
    progress = folder / "progress.jsonl"
    return [json.loads(line) for line in progress.read_text().splitlines()] if progress.exists() else []


def train_until(folder: Path, arguments: list[str], seconds: float) -> None:
    """Trains a run until it has had so much time in all."""
    before = sum(entry["seconds"] for entry in done(folder))
    if before < seconds:
        train(folder, arguments, seconds - before, folder / "progress.jsonl")


def train(folder: Path, arguments: list[str], seconds: float, progress: Path) -> None:
    """Trains a run on for so long, and writes down how long it was, also if this program is stopped meanwhile."""
    before, log = step_of(folder), folder / "train.log"
    command = [sys.executable, "-m", "tfvideogan.train", *arguments, f"--steps={NEVER}", "--evaluate_every_steps=0"]
    command += [f"--sample_every_steps={NEVER}", f"--checkpoint_every_steps={NEVER}", f"--log_every_steps={LOG_EVERY}"]
    with open(log, "a") as file:
        start = file.tell()
        process = subprocess.Popen([*command, f"--workdir={folder / 'run'}"], stdout=file, stderr=file)
    began = None
    try:
        while process.poll() is None and (began is None or time.time() < began + seconds):
            time.sleep(0.1)
            if began is None and re.search(rf"step \d+/{NEVER}", log.read_text()[start:]):
                began = time.time()
    finally:
        process.send_signal(signal.SIGTERM)
        lasted = time.time() - began if began else 0.0
        process.wait()
        if step_of(folder) > before:
            write_line(progress, {"seconds": lasted, "step": step_of(folder)})
    if lasted < seconds:
        fail(f"{folder}: the run ended by itself: {last_line(log)}")


def judge(folder: Path, videos: int) -> dict[str, tuple[float | None, float | None]]:
    """Scores of the newest checkpoint with their errors, by metric."""
    report = folder / "report"
    (report / RECORDS).unlink(missing_ok=True)
    program("evaluate", folder, f"--metrics={METRICS}", f"--evaluate_videos={videos}", f"--report={report}", "--curve=")
    records = [json.loads(line) for line in (report / RECORDS).read_text().splitlines()]
    return {record["metric"].split("/")[0]: (record["value"], record["stderr"]) for record in records}


def warnings_of(folder: Path) -> tuple[str, ...]:
    """What the last judgment of a run warned of, each once."""
    records = folder / "report" / RECORDS
    lines = records.read_text().splitlines() if records.exists() else []
    return tuple(dict.fromkeys(record["warning"] for record in map(json.loads, lines) if "warning" in record))


def program(verb: str, folder: Path, *arguments: str) -> None:
    """Runs `tfvideogan VERB --workdir=` of a run."""
    log = folder / f"{verb}.log"
    with open(log, "w") as file:
        command = [sys.executable, "-m", f"tfvideogan.{verb}", f"--workdir={folder / 'run'}", *arguments]
        if subprocess.run(command, stdout=file, stderr=file).returncode:
            fail(f"{folder}: {verb} failed: {last_line(log)}")


def step_of(folder: Path) -> int:
    """Steps done at the newest checkpoint."""
    found = newest_first(folder / "run")
    return int(found[0].name[5:]) if found else 0


def write_line(path: Path, entry: dict) -> None:
    with open(path, "a") as file:
        file.write(json.dumps(entry) + "\n")


def last_line(log: Path) -> str:
    return (log.read_text().splitlines() or ["no message"])[-1]


def fail(message: str) -> NoReturn:
    print(f"compare: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])

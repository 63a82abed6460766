"""benchmarks.compare: settings that train for the same time, stopped and resumed, ranked on a page."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import compare, compare_page
from benchmarks.compare_page import Point, Trial
from tests.programs_test import ENVIRONMENT

COMMAND = "-m", "benchmarks.compare"


def trial(folder: Path, name: str, seed: int, *fids: float) -> Trial:
    clips = folder / "clips.gif"
    Image.new("RGB", (4, 4)).save(clips)
    points = tuple(Point(2.0 * i, 10 * i, {"fid": (fid, 0.5), "copying": (0.5, 0.1)}) for i, fid in enumerate(fids, 1))
    return Trial(name, seed, f"--seed={seed} --name=<{name}>", points, 1000, 2000, 3.0, clips, ("fid of 40 clips: too few",))


def test_scores_of_several_seeds_have_the_error_of_their_spread_and_of_one_its_own():
    assert compare_page.over_seeds([(3.0, 0.2)]) == (3.0, 0.2)
    mean, error = compare_page.over_seeds([(1.0, 9.0), (2.0, 9.0), (6.0, 9.0)])
    assert mean == 3.0 and error == pytest.approx(math.sqrt(7 / 3))  # deviations -2, -1, 3: variance 14 / 2, of a mean of three
    assert math.isnan(compare_page.over_seeds([(None, None)])[0])


def test_the_page_ranks_settings_and_needs_no_other_file(tmp_path):
    trials = [trial(tmp_path, "worse", 0, 30, 20), trial(tmp_path, "better", 0, 40, 9), trial(tmp_path, "better", 1, 40, 11)]
    rows = compare_page.rows(trials)
    assert [row["setting"] for row in rows] == ["better", "worse"]
    assert (rows[0]["FID"], rows[1]["FID"], rows[0]["steps"], rows[0]["accuracy"]) == ("10 ± 1", "20 ± 0.5", "20, 20", "-")
    compare_page.write(tmp_path / "index.html", trials, rows, "two & two")
    page = (tmp_path / "index.html").read_text()
    assert not re.search(r"(src|href)=.(?!data:|#)", page) and "two &amp; two" in page and "&lt;worse&gt;" in page
    assert page.count("<li>fid of 40 clips: too few</li>") == 1
    assert page.count("<svg") == 2 and page.count("data:image/gif") == 2  # no recall: two of three charts
    assert compare_page.rows([trial(tmp_path, "apart", 0, 70), trial(tmp_path, "apart", 1, 110)])[0]["FID"] == "90 ± 20"


@pytest.fixture
def stubbed(monkeypatch):
    """`finished` with runs that only count: what was trained, in seconds, and how often it was judged."""
    trained, judged = [], []

    def train(folder, arguments, seconds, progress):
        trained.append(seconds)
        (folder / "asked.json").write_text(json.dumps(arguments))
        (folder / "run").mkdir(exist_ok=True)
        (folder / "run" / "run.flags").write_text("--batch_size=6\n")
        (folder / "train.log").write_text("12 generator and 34 discriminator parameters")
        compare.write_line(progress, {"seconds": seconds, "step": 0})

    def judge(folder, videos):
        judged.append(folder)
        return {"fid": (1.0, 0.1)}

    for name, stub in (("train", train), ("judge", judge), ("program", lambda *_: None), ("step_of", lambda folder: 100)):
        monkeypatch.setattr(compare, name, stub)
    return trained, judged


EACH = compare.Time(120, 2, 64)


def test_parts_have_the_same_time_and_what_is_done_is_kept(stubbed, tmp_path, capsys):
    trained, judged = stubbed
    found = compare.finished(tmp_path, "a", 0, [["--x=1"]], EACH)
    assert trained == [60, 60] and [point.minutes for point in found.points] == [1, 2] and judged == [tmp_path / "a" / "0"] * 2
    assert (found.generator, found.discriminator, found.videos) == (12, 34, 100 * 6 / 120)
    assert compare.finished(tmp_path, "a", 0, [["--x=1"]], EACH) == found and len(trained) == len(judged) == 2
    for arguments, each in (([["--x=2"]], EACH), ([["--x=1"]], EACH._replace(seconds=60))):
        with pytest.raises(SystemExit) as ended:
            compare.finished(tmp_path, "a", 0, arguments, each)
        assert ended.value.code == 2 and "was begun otherwise" in capsys.readouterr().err


def test_a_judgments_warnings_are_told_once(stubbed, tmp_path):
    report = tmp_path / "a" / "0" / "report"
    report.mkdir(parents=True)
    warned = {"fid": "few", "kid": "few", "recall": "fewer"}
    records = [{"metric": "is"}, *({"metric": metric, "warning": text} for metric, text in warned.items())]
    (report / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert compare.finished(tmp_path, "a", 0, [["--x=1"]], EACH).warnings == ("few", "fewer")


def test_the_time_of_a_part_that_was_cut_short_counts(stubbed, tmp_path):
    trained, judged = stubbed
    compare.finished(tmp_path, "a", 0, [["--x=1"]], EACH)
    progress = tmp_path / "a" / "0" / "progress.jsonl"
    progress.write_text(json.dumps({"seconds": 45.0, "step": 7}) + "\n")
    trained.clear()
    compare.finished(tmp_path, "a", 0, [["--x=1"]], EACH)
    assert trained == [15, 60] and len(judged) == 4


def test_phases_share_the_time_and_the_last_begins_with_the_others(stubbed, tmp_path):
    trained, judged = stubbed
    (setting,) = compare.settings("", ["b --x=1 then --x=2 --y then --x=3"])
    assert setting.phases == [["--x=1"], ["--x=2", "--y"], ["--x=3"]]
    found = compare.finished(tmp_path, "b", 0, setting.phases, EACH)
    folder = tmp_path / "b" / "0"
    assert trained == [40, 40, 20, 20] and judged == [folder] * 2 and [point.minutes for point in found.points] == [5 / 3, 2]
    assert found.videos == 100 * 6 / 40 and found.flags == "--x=1 then --x=2 --y then --x=3"
    assert json.loads((folder / "phase2" / "asked.json").read_text()) == ["--x=2", "--y"]
    assert json.loads((folder / "asked.json").read_text()) == ["--x=3", f"--init_from={folder}/phase1/run,{folder}/phase2/run"]
    assert compare.finished(tmp_path, "b", 0, setting.phases, EACH) == found and len(trained) == 4


@pytest.mark.parametrize(
    "argument, told",
    [
        ("--models=nogan", "got no configs/nogan_shapes.flags"),
        ("--setting=../a --flagfile=configs/quickstart.flags", "expected a name"),
        ("--minutes=0", "expected above 0"),
        ("--points=0", "expected at least 1"),
    ],
)
def test_settings_that_are_none_are_refused_in_one_line(argument, told, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        compare.main([f"--output={tmp_path}", argument])
    assert ended.value.code == 2 and told in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_two_settings_train_and_are_judged(tmp_path):
    small = "--channels=4 --batch_size=4 --evaluate_videos=64"
    asked = [f"--output={tmp_path}", "--minutes=0.1", "--points=2", "--videos=64"]
    asked += [
        f"--setting=vgan --flagfile=configs/vgan_shapes.flags {small}",
        f"--setting=mo --flagfile=configs/mocogan_shapes.flags {small}",
    ]
    ended = subprocess.run([sys.executable, *COMMAND, *asked], env=ENVIRONMENT, capture_output=True, text=True, timeout=1800)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "| setting | FID |" in ended.stdout and (tmp_path / "index.html").read_text().count("<svg") == 3
    for name in ("vgan", "mo"):
        entries = [json.loads(line) for line in (tmp_path / name / "0" / "progress.jsonl").read_text().splitlines()]
        judged = [entry for entry in entries if "scores" in entry]
        assert [entry["part"] for entry in judged] == [1, 2] and judged[0]["step"] < judged[1]["step"]
        assert {"fid", "recall", "coverage", "copying"} <= judged[1]["scores"].keys()
        assert sum(entry["seconds"] for entry in entries) == pytest.approx(6, abs=3)

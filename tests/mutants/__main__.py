"""Tries every fault of the lists on a copy of the tree; tells which are killed, and which survive.

    python -m tests.mutants [--only=AREA,...] [--seconds=N] [--rotate=N]

A fault is killed if a fast test named in it fails. The tests that killed one are run once more on the tree as it is, where they must
pass. The exit code is 1 if a fault survives that gives no reason, or if one is killed in spite of its reason.
"""

import argparse
import importlib
import multiprocessing
import os
import pkgutil
import shlex
import shutil
import sys
import tempfile
import time
from pathlib import Path

import keras  # noqa: F401  the slow imports, done once: a fault is tried in a process forked here
import pytest
import tensorflow as tf  # noqa: F401

from tests import mutants
from tests.mutants import Mutant

ROOT = Path(__file__).parents[2]
LIMIT = 600  # seconds that the tests of one fault may take; a fault that hangs is noticed too


def areas() -> dict[str, list[Mutant]]:
    """The lists, by the names of their files."""
    names = [module.name for module in pkgutil.iter_modules(mutants.__path__) if not module.name.startswith("__")]
    lists = {name: getattr(importlib.import_module(f"tests.mutants.{name}"), "MUTANTS", None) for name in names}
    return {name: entries for name, entries in lists.items() if entries is not None}


class Failures:
    """Plugin of pytest: collects the names of the tests that fail."""

    def __init__(self):
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.names.append(report.nodeid)


def in_child(tree: Path, arguments: list[str], answer, log: Path) -> None:
    """Runs pytest in a forked process, in `tree`; sends the exit code and the tests that failed."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "tfvideogan")]:
        del sys.modules[name]
    sys.dont_write_bytecode = True  # a file's fault may have the size and the second of the one before
    os.environ.pop("PYTEST_ADDOPTS", None)
    os.chdir(tree)
    sys.path[0] = str(tree)
    failures = Failures()
    code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", *arguments], plugins=[failures])
    answer.send((int(code), failures.names))


def run_tests(tree: Path, arguments: list[str]) -> tuple[bool, list[str]]:
    """Whether a test failed (or the time was up), and which. Raises RuntimeError if pytest could not run them."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    log = tree.parent / "log"
    process = context.Process(target=in_child, args=(tree, arguments, sender, log))
    process.start()
    sender.close()
    try:
        if not receiver.poll(LIMIT):
            return True, []
        code, failed = receiver.recv()
    except EOFError:  # the process died, as of a crash in native code
        return True, []
    finally:
        process.kill()
        process.join()
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"pytest {shlex.join(arguments)} ended with {pytest.ExitCode(code)!r}:\n{log.read_text()[-3000:]}")
    return code == pytest.ExitCode.TESTS_FAILED, failed


def attempt(mutant: Mutant, tree: Path) -> tuple[bool, list[str]]:
    """`run_tests` with the fault in the tree."""
    file = tree / mutant.file
    right = file.read_text()
    file.write_text(mutant.apply(right))
    try:
        return run_tests(tree, shlex.split(mutant.tests))
    finally:
        file.write_text(right)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--only", default="", help="areas, by comma; empty: all")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no fault is begun after that")
    parser.add_argument("--rotate", type=int, default=0, help="begin with the fault of this number (modulo all)")
    flags = parser.parse_args()
    lists = areas()
    chosen = flags.only.split(",") if flags.only else list(lists)
    if unknown := set(chosen) - set(lists):
        parser.error(f"--only={flags.only}: got {', '.join(sorted(unknown))}, expected some of {', '.join(lists)}")
    todo = [(area, mutant) for area in chosen for mutant in lists[area]]
    first = flags.rotate % max(len(todo), 1)
    todo = todo[first:] + todo[:first]
    for _, mutant in todo:
        mutant.apply((ROOT / mutant.file).read_text())

    began, killers, done, bad = time.monotonic(), set(), 0, []
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "runs", "__pycache__"))
        for area, mutant in todo:
            if (since := time.monotonic()) - began > flags.seconds:
                break
            done += 1
            killed, failed = attempt(mutant, tree)
            killers |= set(failed)
            if killed == bool(mutant.survives):
                bad.append(mutant)
            verdict = "killed  " if killed else "SURVIVES" if not mutant.survives else "survives"
            by = " ".join(failed) or ("no answer" if killed else mutant.survives)
            print(f"{verdict} {area:10} {time.monotonic() - since:4.0f} s  {mutant.why}  [{by}]", flush=True)
        red, failed = run_tests(tree, sorted(killers)) if killers else (False, [])
    print(f"{done} of {len(todo)} faults tried in {time.monotonic() - began:.0f} s, {len(bad)} not as they should be")
    for mutant in bad:
        print(f"  {mutant.file}: {mutant.why}" + (f" (killed, though: {mutant.survives})" if mutant.survives else " (survives)"))
    if red:
        print(f"red without any fault: {' '.join(failed) or 'no answer'}; what they killed counts for nothing")
    return int(bool(bad) or red)


if __name__ == "__main__":
    sys.exit(main())

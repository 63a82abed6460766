"""The lists of faults fit the code, so that `make mutants` can try each."""

import shlex
from pathlib import Path

import pytest

from tests.mutants import Mutant
from tests.mutants.__main__ import areas

ROOT = Path(__file__).parents[2]
ALL = [pytest.param(mutant, id=f"{area}{number}") for area, mutants in areas().items() for number, mutant in enumerate(mutants)]


@pytest.mark.parametrize("mutant", ALL)
def test_a_fault_stands_in_one_place_and_names_tests_there_are(mutant):
    text = (ROOT / mutant.file).read_text()
    assert mutant.apply(text) != text and mutant.why
    files = [argument.split("::")[0] for argument in shlex.split(mutant.tests) if ".py" in argument]
    assert files and all((ROOT / file).is_file() for file in files)


@pytest.mark.parametrize("text, times", [("x = 1", 0), ("y = 2; y = 2", 2)])
def test_a_fault_of_no_place_or_two_is_an_error(text, times):
    with pytest.raises(ValueError, match=f"f.py: got 'y = 2' {times} times, expected it once"):
        Mutant("f.py", "y = 2", "y = 3", "tests/f_test.py", "a fault").apply(text)

"""What programs print in a terminal, in a narrow one too."""

import os

import pytest

from tfvideogan import list as lists
from tfvideogan import terminal
from tfvideogan.training import monitoring


@pytest.fixture
def shown(monkeypatch):
    """Sets the columns of the terminal."""
    return lambda columns: monkeypatch.setattr(os, "get_terminal_size", lambda file: os.terminal_size((columns, 24)))


def test_lists_fit_into_a_terminal_and_are_a_line_each_in_a_pipe(shown, capfd):
    assert lists.main(["models"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == len(lists.models())
    shown(80)
    assert lists.main(["models"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80 and sum(line[:1] == " " for line in lines) >= len(lists.models())
    assert {line.split()[0] for line in lines if line[:1] != " "} == {*lists.models()}


@pytest.mark.parametrize("columns, widest", [(80, 80), (200, 120), (0, 120), (20, monitoring.BEFORE + 2 + terminal.LEAST)])
def test_lines_of_the_log_fit_into_the_terminal(columns, widest, shown):
    shown(columns)
    parts = [f"loss_{number} {number}" for number in range(100)]
    lines = monitoring.wrapped(parts).splitlines()
    told = [len(line) + (monitoring.BEFORE if number == 0 else 0) for number, line in enumerate(lines)]
    assert widest - 20 < max(told) <= widest and all(line[:2] == "  " for line in lines[1:])
    assert "  ".join(" ".join(line.split()) for line in lines).split() == " ".join(parts).split()


def test_a_file_has_no_columns(tmp_path):
    with (tmp_path / "log").open("w") as file:
        assert terminal.columns(file) is None

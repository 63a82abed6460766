"""--device_memory_gib: which part of a batch fits."""

import dataclasses

import pytest

from tests.conftest import small
from tfvideogan.config import UserError
from tfvideogan.ops import forms
from tfvideogan.training import cost, fitting

GIB = 2**30


def made_up(config) -> cost.Cost:
    """2 GiB of variables, 1 GiB of gradients, 0.5 GiB and for each clip 1, or with recomputation a quarter."""
    live = GIB * (0.5 + config.batch_size * (0.25 if getattr(config, "recompute", False) else 1))
    return cost.Cost(0, 0, variables=2 * GIB, gradients=GIB, flops=0, activations=0, live=live)


def table(monkeypatch, gib: float, **changes) -> list[tuple]:
    monkeypatch.setattr(cost, "measure", made_up)
    monkeypatch.setattr(cost, "batch_bytes", lambda config: 0)
    found = fitting.fits(small("dvdgan", **{"batch_size": 64, **changes}), gib)
    return [(fit.devices, fit.recompute, fit.clips, fit.accumulate_steps, fit.peak / GIB, fit.fits) for fit in found]


def test_the_largest_part_that_fits_is_found(monkeypatch):
    assert table(monkeypatch, 24.0) == [
        (1, False, 16, 4, pytest.approx(2 + 0.5 + 16 + 1), True),  # 19.5: a fifth more is 23.4
        (8, False, 8, 1, pytest.approx(2 + 0.5 + 8), True),
        (1, True, 64, 1, pytest.approx(2 + 0.5 + 16), True),
        (8, True, 8, 1, pytest.approx(2 + 0.5 + 2), True),
    ]


def test_a_sixth_of_the_memory_is_left_free(monkeypatch):
    assert table(monkeypatch, 22.0)[0] == (
        1,
        False,
        8,
        8,
        pytest.approx(2 + 0.5 + 8 + 1),
        True,
    )  # 16 clips: 19.5, and 23.4 with a fifth more


def test_what_does_not_fit_is_said(monkeypatch):
    assert table(monkeypatch, 4.0)[0] == (1, False, 1, 64, pytest.approx(2 + 0.5 + 1 + 1), False)
    report = fitting.report(small("dvdgan", batch_size=12), 4.0)
    assert "does not fit" in report and "8 devices cannot share 12 clips" in report


def test_no_memory_is_refused():
    with pytest.raises(UserError, match="--device_memory_gib=-1: expected more than 0"):
        fitting.fits(small("vgan"), -1.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgan", "tgan"])
def test_the_line_is_what_the_parts_cost(name):
    config = small(name, batch_size=16)
    with forms.accelerated():
        whole = cost.measure(config)
        limit = 0.7 * fitting.MARGIN * whole.peak / GIB
        fit = fitting.fits(config, limit)[0]
        parts = cost.measure(dataclasses.replace(config, accumulate_steps=fit.accumulate_steps))
    assert fit.devices == 1 and fit.fits and 1 < fit.accumulate_steps <= 16
    assert fit.peak == pytest.approx(parts.peak, rel=0.05) and fit.peak >= 0.999 * parts.peak

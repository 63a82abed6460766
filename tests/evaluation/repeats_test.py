"""The records of several sets of generated clips as one list, by numbers one can check by hand."""

import pytest

from tfvideogan.evaluation.repeats import averaged


def record(value: float | None, metric: str = "is/means") -> dict:
    return {"metric": metric, "value": value, "stderr": 9.0, "real": 7.0, "protocol": {"repeats": 3}}


def test_one_set_stays_as_it_is():
    records = [record(1.0), record(2.0, "fid/means")]
    assert averaged([records]) == records


def test_several_sets_are_averaged():
    # Deviations of 1, 2 and 6 from their mean 3: squares 4, 1, 9 of sum 14.
    first, second = averaged([[record(1.0), record(5.0, "fid/means")], [record(2.0), record(5.0, "fid/means")], [record(6.0), record(5.0)]])
    assert first["value"] == 3 and first["std"] == pytest.approx((14 / 3) ** 0.5)
    assert first["stderr"] == pytest.approx((14 / 2) ** 0.5 / 3**0.5)
    assert (first["metric"], first["real"], first["protocol"]) == ("is/means", 7.0, {"repeats": 3})
    assert (second["metric"], second["value"], second["stderr"], second["std"]) == ("fid/means", 5, 0, 0)


def test_what_is_infinite_once_is_infinite():
    (found,) = averaged([[record(1.0)], [record(None)]])
    assert (found["value"], found["stderr"], found["std"]) == (None, None, None)

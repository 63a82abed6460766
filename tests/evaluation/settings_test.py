"""What an evaluation may be asked for."""

import pytest

from tfvideogan.config import UserError
from tfvideogan.evaluation.scores import METRICS
from tfvideogan.evaluation.settings import Settings, chosen_metrics, truncations


@pytest.mark.parametrize(
    "values, words",
    [
        ({"real_videos": 1}, "--num_real=1: expected at least 2, or 0 for all"),
        ({"real_videos": -1}, "--num_real=-1"),
        ({"is_splits": 0}, "--is_splits=0: expected at least 1"),
        ({"repeats": 0}, "--repeats=0: expected at least 1"),
    ],
)
def test_values_that_no_evaluation_has_are_refused(values, words):
    with pytest.raises(UserError, match=words):
        Settings(("is",), **values)


def test_all_real_clips_and_two_may_be_asked_for():
    assert [Settings(("is",), real_videos=videos).real_videos for videos in (None, 0, 2)] == [None, 0, 2]


def test_metrics_are_chosen_by_name_once_each():
    assert chosen_metrics(["all"]) == METRICS
    assert chosen_metrics(["fid", "is", "fid"]) == ("fid", "is")
    with pytest.raises(UserError, match="--metrics=is,fvvd: no metric fvvd; expected all, or some of is,"):
        chosen_metrics(["is", "fvvd"])
    with pytest.raises(UserError, match="--metrics=: none; expected"):
        chosen_metrics([])


def test_truncations_are_numbers():
    assert truncations(["0.25", "1", ""]) == (0.25, 1.0)
    with pytest.raises(UserError, match="--curve=much: .*much.*; expected numbers"):
        truncations(["much"])
    for text in ("nan", "-inf"):
        with pytest.raises(UserError, match=f"--curve=0.5,{text}: expected finite numbers"):
            truncations(["0.5", text])

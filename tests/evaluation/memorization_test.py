"""Nearest training clips, and the audit's numbers, by hand."""

import tracemalloc

import numpy as np
import pytest

from tfvideogan.evaluation import memorization
from tfvideogan.evaluation.memorization import Audit, audit, nearest

TRAINING = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])


def test_nearest_by_hand():
    indices, distances = nearest(np.array([[3.0, 4.0], [10.0, 1.0]]), TRAINING, 2)
    assert indices.tolist() == [[0, 2], [1, 0]]
    assert distances[0].tolist() == pytest.approx([5, np.sqrt(9 + 36)]) and distances[1].tolist() == pytest.approx([1, np.sqrt(101)])


@pytest.mark.parametrize("queries, references", [(1024, 2048), (7, 5), (10, 2)])
def test_blocks_change_nothing(monkeypatch, queries, references):
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(33, 6)), draw.normal(size=(29, 6))
    monkeypatch.setattr(memorization, "QUERIES", queries)
    monkeypatch.setattr(memorization, "REFERENCES", references)
    indices, distances = nearest(a, b, 4)
    every = np.sqrt(np.sum(np.square(a[:, None] - b[None]), -1))
    np.testing.assert_array_equal(indices, np.argsort(every, 1)[:, :4])
    np.testing.assert_allclose(distances, np.sort(every, 1)[:, :4], rtol=1e-12)


def test_a_copy_is_at_distance_0_however_far_from_the_origin():
    training = np.random.default_rng(1).normal(size=(50, 40)).astype(np.float32) + 1e4
    indices, distances = nearest(training[[7, 3]], training, 1)
    assert indices[:, 0].tolist() == [7, 3] and distances[:, 0].tolist() == [0, 0]


def test_of_equal_distances_the_first_is_named():
    assert nearest(np.array([[5.0, 5.0]]), np.concatenate([TRAINING, TRAINING]), 6)[0].tolist() == [[0, 1, 2, 3, 4, 5]]


def test_memory_does_not_grow_with_the_product():
    draw = np.random.default_rng(2)
    queries, references = draw.normal(size=(2000, 8)), draw.normal(size=(12_000, 8))  # all distances would take 192 MB
    tracemalloc.start()
    nearest(queries, references, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120e6


def distances(samples: list[float], held_out: list[float]) -> Audit:
    def column(values):
        return np.array(values)[:, None]

    return Audit(column(samples).astype(int), column(samples), column(held_out).astype(int), column(held_out))


def test_the_audit_by_hand():
    held_out = [float(i) for i in range(1, 102)]  # percentile q is 1 + q
    found = distances([0.5, 1.5, 5.5, 51.0, 200.0], held_out)
    assert [found.closer_than(q) for q in (1, 5, 50)] == [2 / 5, 3 / 5, 3 / 5]  # below 2, below 6, below 51
    # Held-out clips farther than each: 101, 100, 96, 50 and one equal, 0; of 5 * 101 pairs.
    assert found.copying() == pytest.approx((101 + 100 + 96 + 50.5 + 0) / 505)
    assert found.summary()["median_distance"] == 5.5 and found.summary()["median_held_out_distance"] == 51


def test_copies_and_strangers_are_told_apart():
    draw = np.random.default_rng(3)
    training, held_out, fresh = (draw.normal(size=(n, 10)) for n in (500, 400, 300))
    honest = audit(fresh, training, held_out, 3).summary()
    assert honest["copying"] == pytest.approx(0.5, abs=0.07) and honest["closer_than_p5"] == pytest.approx(0.05, abs=0.05)
    copies = audit(training[:300] + 0.01, training, held_out, 3)
    assert copies.summary()["copying"] == 1 and copies.closer_than(1) == 1
    assert copies.neighbors[:, 0].tolist() == list(range(300)) and copies.held_out_neighbors.shape == (400, 3)


def test_what_cannot_be_audited_is_refused():
    with pytest.raises(ValueError, match="neighbors=4: expected 1 to 3"):
        nearest(TRAINING, TRAINING, 4)
    with pytest.raises(ValueError, match=r"features of shapes \[3, 2\] and \[3, 1\]"):
        nearest(TRAINING, TRAINING[:, :1], 1)
    with pytest.raises(ValueError, match="1 of 3 clips have features that are not finite"):
        nearest(np.array([[0.0, 0.0], [np.nan, 0.0], [1.0, 1.0]]), TRAINING, 1)
    with pytest.raises(ValueError, match="0 samples and 3 held-out clips: expected at least 1 of each"):
        audit(np.zeros([0, 2]), TRAINING, TRAINING, 1)

"""The order of clips, batches, workers and resuming: promises of `Dataset`, whatever its source."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan import data
from tfvideogan.config import Config, UserError
from tfvideogan.data.source import Source


def counted(size: int, seed: int = 3) -> data.Dataset:
    """Clips of one pixel: the label is the clip's index, and the first value is drawn from its seed."""

    def clip(index, seed, training):
        noise = tf.random.stateless_uniform([1, 1, 1, 3], seed, maxval=256, dtype=tf.int32)
        return {"video": tf.cast(noise, tf.uint8), "label": tf.cast(index, tf.int32)}

    return data.Dataset(("a",), size, Source(("a",), size, clip), seed)


def take(batches: tf.data.Dataset, count: int) -> list[dict[str, np.ndarray]]:
    return list(itertools.islice(batches.as_numpy_iterator(), count))


def joined(batches: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]):
    for name in ("video", "label", "seed"):
        np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("size", [1, 2, 3, 17, 100])
def test_an_epoch_has_every_clip_once_and_batches_run_over_its_end(size):
    epochs = joined(take(counted(size).batches(size + 1), 3 * size))["label"][: 3 * size].reshape(3, size)
    assert (np.sort(epochs, 1) == np.arange(size)).all()
    if size >= 17:
        assert (epochs[0] != epochs[1]).any() and (epochs[0] != np.arange(size)).any()


def test_another_seed_is_another_order():
    one, other = (take(counted(100, seed).batches(100), 1)[0]["label"] for seed in (0, 1))
    assert (one != other).any()


def test_seed_is_the_runs_seed_and_the_number_of_the_example():
    batch = take(counted(5).batches(4, start=2), 1)[0]
    np.testing.assert_array_equal(batch["seed"], [[3, 8], [3, 9], [3, 10], [3, 11]])
    assert batch["video"].dtype == np.float32 and batch["label"].dtype == batch["seed"].dtype == np.int32


@pytest.mark.parametrize("start", [1, 7])
def test_resuming_gives_what_an_uninterrupted_run_sees(start):
    for one, other in zip(take(counted(10).batches(4), 12)[start:], take(counted(10).batches(4, start=start), 12 - start), strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("start", [0, 3])
def test_workers_and_replicas_share_the_global_batches_of_one(start):
    whole = take(counted(10).batches(8, start=start), 3)
    parts = [take(counted(10).batches(8, start=start, worker=worker, workers=2, replicas=2), 6) for worker in range(2)]
    for step, batch in enumerate(whole):
        pieces = [parts[worker][2 * step + replica] for worker in range(2) for replica in range(2)]
        assert all(piece["label"].shape == (2,) for piece in pieces)
        assert_same(batch, joined(pieces))


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(UserError, match="--batch_size=6: expected a multiple of 4"):
        counted(10).batches(6, workers=2, replicas=2)


def test_once_is_in_order_with_a_last_partial_batch():
    batches = list(counted(10).once(4).as_numpy_iterator())
    assert [len(batch["label"]) for batch in batches] == [4, 4, 2]
    np.testing.assert_array_equal(joined(batches)["label"], np.arange(10))
    assert_same(joined(batches), joined(list(counted(10).once(4).as_numpy_iterator())))


def test_batches_have_static_shapes():
    spec = counted(10).batches(4).element_spec
    assert spec["video"].shape == [4, 1, 1, 1, 3] and spec["label"].shape == [4] and spec["seed"].shape == [4, 2]


def test_unknown_names_are_refused():
    with pytest.raises(
        UserError, match=r"--dataset=moving_shape: expected one of .*folder, .*moving_shapes, .*ucf101; did you mean moving_shapes\?"
    ):
        data.load(Config(dataset="moving_shape"), "train")
    with pytest.raises(UserError, match="--dataset=decode: expected one of"):
        data.load(Config(dataset="decode"), "train")  # a file of this folder, but not a data set
    with pytest.raises(UserError, match="--split=validation: expected one of train, test, train\\+test"):
        data.load(Config(), "validation")


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_together_show_each_clip_once_an_epoch(workers):
    size, batch_size, epochs = 30, 8, 4  # 30 is no multiple of 8: batches run over the ends of epochs
    steps = size * epochs // batch_size
    parts = [take(counted(size).batches(batch_size, worker=worker, workers=workers), steps) for worker in range(workers)]
    shown = np.concatenate([parts[worker][step]["label"] for step in range(steps) for worker in range(workers)])
    for epoch in shown.reshape(epochs, size):
        assert np.bincount(epoch, minlength=size).tolist() == [1] * size
    by_worker = [set(np.concatenate([batch["seed"][:, 1] for batch in part])) for part in parts]  # numbers of examples: no two share one
    assert sum(map(len, by_worker)) == len(set().union(*by_worker)) == steps * batch_size


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_run_resumed_within_an_epoch_goes_on_with_the_clips_that_are_left(workers):
    size, batch_size, done = 48, 8, 2

    def shown(start: int, steps: int) -> set[int]:
        parts = [take(counted(size).batches(batch_size, start=start, worker=worker, workers=workers), steps) for worker in range(workers)]
        return {int(label) for part in parts for batch in part for label in batch["label"]}

    before, after = shown(0, done), shown(done, size // batch_size - done)
    assert len(before) == done * batch_size and after == set(range(size)) - before

"""The shipped evaluator and others of its kind: their files, what they see, how they are trained."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.data.sources.folder_test import write
from tfvideogan import data, train_evaluator
from tfvideogan.config import RunFailed, UserError
from tfvideogan.evaluators import classifier

LABELS = ("bend", "jack", "wave1")
SHAPES = data.load(train_evaluator.Config(size=32, frames=8, batch_size=24), "test")


@pytest.fixture(scope="module")
def shapes() -> classifier.Evaluator:
    return classifier.load("moving_shapes")


def untrained(path) -> classifier.Evaluator:
    classifier.save(path, classifier.VideoClassifier(len(LABELS)), LABELS)
    return classifier.load(str(path))


def test_the_shipped_evaluator_knows_real_clips(shapes):
    assert shapes.labels == SHAPES.labels
    batches = list(SHAPES.once(48).take(5))
    logits = np.concatenate([shapes(batch["video"])[1] for batch in batches])
    assert np.mean(logits.argmax(1) == np.concatenate([batch["label"] for batch in batches])) > 0.97


@pytest.mark.parametrize("size, frames", [(32, 2), (48, 16), (256, 3)])
def test_one_evaluator_takes_any_size_and_length(shapes, size, frames):
    features, logits = shapes(tf.zeros([2, frames, size, size, 3]))
    assert features.shape == (2, 128) and logits.shape == (2, 12) and np.isfinite(logits).all()


def test_it_looks_at_eight_frames_evenly_over_the_clip():
    times = tf.reshape(tf.range(16.0), [1, 16, 1, 1, 1]) * tf.ones([1, 1, 40, 40, 3])
    assert classifier.VideoClassifier.look(times)[0, :, 0, 0, 0].numpy() == pytest.approx([0, 2, 4, 6, 9, 11, 13, 15])


def test_it_resizes_with_antialiasing():
    column = tf.range(128) % 4  # 128 -> 32: of each four columns the middle two are white, and alone they would be seen
    stripes = tf.cast((column == 1) | (column == 2), tf.float32)
    small = classifier.VideoClassifier.look(stripes[None, None, None, :, None] * tf.ones([1, 8, 128, 1, 3]))
    assert small.numpy()[:, :, :, 2:-2] == pytest.approx(0.5, abs=0.15)


def test_a_file_holds_the_whole_evaluator(tmp_path):
    file = tmp_path / "mine.npz"
    network = classifier.VideoClassifier(3)
    classifier.save(file, network, LABELS)
    evaluator = classifier.load(str(file))
    assert (evaluator.name, evaluator.labels) == ("mine", LABELS)
    assert evaluator.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    video = tf.random.stateless_uniform([2, 8, 32, 32, 3], [0, 0], -1, 1)
    np.testing.assert_allclose(evaluator(video)[1], network(network.look(video))[1], atol=0.01)  # float16 weights


@pytest.mark.parametrize("content", [b"", b"no npz", "half"], ids=["empty", "text", "half"])
def test_a_damaged_file_is_a_users_mistake(tmp_path, content):
    file = tmp_path / "mine.npz"
    untrained(file)
    file.write_bytes(file.read_bytes()[:5000] if content == "half" else content)
    with pytest.raises(UserError, match="--evaluator=.*mine.npz"):
        classifier.load(str(file))


def test_a_file_that_cannot_be_written_whole_leaves_the_one_before(tmp_path, monkeypatch):
    def full(file, **arrays: np.ndarray) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    untrained(tmp_path / "mine.npz")
    before = (tmp_path / "mine.npz").read_bytes()
    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        untrained(tmp_path / "mine.npz")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


@pytest.fixture
def output(tmp_path, monkeypatch):
    """Where train_evaluator is to write."""
    monkeypatch.setattr(train_evaluator, "OUTPUT", SimpleNamespace(value=str(tmp_path / "mine.npz")))
    return tmp_path / "mine.npz"


@pytest.mark.parametrize(
    "names, told",
    [
        (("train/a", "train/b", "val/a", "val/b"), "class 'a' has 2 videos, none of them for --split=test"),
        (("a",), "--dataset=folder: got one class, a; expected at least 2"),
    ],
)
def test_videos_that_will_not_do_are_refused_before_the_training(names, told, tmp_path, output, monkeypatch):
    monkeypatch.setattr(train_evaluator, "fit", lambda *_: pytest.fail("trained"))
    for name in names:
        write(tmp_path / "videos" / name / "1.mkv", 8)
    with pytest.raises(UserError, match=told):
        train_evaluator.main(train_evaluator.Config(dataset="folder", data_dir=str(tmp_path / "videos"), size=32, frames=8, steps=1))
    assert not output.exists()


def test_a_loss_that_is_not_finite_ends_the_training_and_nothing_is_written(output):
    config = train_evaluator.Config(size=32, frames=8, batch_size=4, steps=4, learning_rate=1e30, log_every_steps=1)
    with pytest.raises(RunFailed, match=r"^step \d: the loss is not finite; nothing is written. Lower --learning_rate=1e\+30"):
        train_evaluator.main(config)
    assert not output.exists()


def test_an_absent_file_is_a_users_mistake():
    with pytest.raises(UserError, match="--evaluator=moving_shape: expected .*moving_shapes"):
        classifier.load("moving_shape")


@pytest.mark.slow
def test_training_learns_and_knows_other_classes(real_videos, tmp_path):
    config = train_evaluator.Config(
        dataset="folder", data_dir=str(real_videos / "actions"), split="train+test", size=32, frames=8, batch_size=8, steps=20
    )
    dataset = data.load(config, "train+test")
    network = classifier.VideoClassifier(len(dataset.labels))
    train_evaluator.fit(network, config, dataset)
    classifier.save(tmp_path / "actions.npz", network, dataset.labels)
    evaluator = classifier.load(str(tmp_path / "actions.npz"))
    features, logits = evaluator(tf.random.stateless_uniform([8, 8, 32, 32, 3], [0, 0]))
    assert evaluator.labels == dataset.labels and features.shape == (8, 128) and logits.shape == (8, 4)

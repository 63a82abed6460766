"""Any character that a file system allows works in every path: `[`, `]`, `*`, `?` and a backslash are patterns to TensorFlow."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tests.data.decode_test import noise_video
from tfvideogan import data, models, prepare
from tfvideogan.config import Config
from tfvideogan.data.preparation.preparing import Settings
from tfvideogan.evaluators import classifier, published
from tfvideogan.files import without_patterns
from tfvideogan.generation import module
from tfvideogan.training.run_folder import Run, append_records, from_run, read_records

NAME = "a [b] c*d ?e \\f"


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / NAME
    made.mkdir()
    (tmp_path / "a b cd e f").mkdir()  # what a pattern might find
    return made


def test_a_run_is_saved_restored_exported_and_loaded(folder):
    config = small("vgan", keep_checkpoints=2, standing_batches=1)
    run = Run(str(folder / "run"), config, models.build(config), ("a",))
    run.claim()
    for step in range(4):
        run.step.assign(step)
        run.save()
    append_records(run.path, 3, [{"metric": "fid", "value": 1.0, "stderr": 0.1, "protocol": {}}])
    assert [file.name for file in sorted((folder / "run" / "checkpoints").glob("*.index"))] == ["ckpt-2.index", "ckpt-3.index"]
    assert read_records(run.path)[0]["step"] == 3
    generator = from_run(str(folder / "run"), config, best=False)
    module.write(generator, str(folder / "module"), overwrite=False)
    loaded = module.from_module(str(folder / "module"), config)
    assert loaded.labels == ("a",) and loaded.step == 3
    asked = tf.constant([0, 0]), tf.constant([1, 2]), tf.constant(1.0)
    np.testing.assert_allclose(loaded.source.sample(*asked), generator.source.sample(*asked), atol=1e-5)
    again = module.write(generator, str(folder / "module"), overwrite=True)
    assert again is None and sorted(path.name for path in folder.iterdir()) == ["module", "run"]


@pytest.mark.parametrize("dataset", ["folder", "prepared"])
def test_videos_are_read_prepared_and_remembered(folder, dataset):
    for i, name in enumerate(("run [1]", "run [1]", "walk*", "walk*")):
        noise_video(folder / "videos" / name / f"{i} [x].mp4", 8 + i)  # of other lengths: no duplicates
    source = folder / "videos"
    if dataset == "prepared":
        source = folder / "prepared"
        prepare.main(Settings(videos=str(folder / "videos"), output=str(source), size=16, min_frames=4, workers=1))
    config = Config(dataset=dataset, data_dir=str(source), frames=4, size=16, stride=1)
    clips = data.load(config, "train")
    assert clips.labels == ("run [1]", "walk*") and clips.size == 4
    assert next(iter(clips.batches(4)))["video"].shape == (4, 4, 16, 16, 3)


def test_evaluators_weights_are_read(folder):
    network = classifier.VideoClassifier(2)
    classifier.save(folder / "mine [2].npz", network, ("a", "b"))
    assert classifier.load(str(folder / "mine [2].npz")).labels == ("a", "b")
    tf.train.Checkpoint(w=tf.Variable(3.0)).write(str(folder / "weights [3]"))
    found, _ = published.find(f"i3d:{folder / 'weights [3]'}", "", "expected weights")
    assert 3.0 in [value for value in published.tensors("i3d:x", found).values() if np.shape(value) == () and not isinstance(value, bytes)]


def test_a_folder_without_patterns_is_itself_and_the_other_is_found_under_another_name(folder, tmp_path):
    (folder / "file").write_text("content")
    with without_patterns(folder) as place:
        assert place != str(folder) and not set("[]*?\\") & set(place)
        assert (Path(place) / "file").read_text() == "content" and tf.io.gfile.glob(f"{place}/*")
    assert not Path(place).exists() and (folder / "file").exists()
    with without_patterns(tmp_path) as place:
        assert place == str(tmp_path)

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.data.decode_test import noise_video
from tfvideogan import cli, data, prepare
from tfvideogan.config import Config, UserError
from tfvideogan.data.preparation.preparing import Settings
from tfvideogan.data.sources import prepared
from tfvideogan.data.sources.moving_shapes import LABELS, VARIANTS, render
from tfvideogan.data.sources.moving_shapes_builder import MovingShapes, MovingShapesConfig


def prepare_shapes(folder: Path, name: str = "tiny", file_format: str = "tfrecord") -> MovingShapes:
    config = MovingShapesConfig(name=name, variant="mixed", frames=9, size=24, most=20)
    builder = MovingShapes(config=config, data_dir=folder, file_format=file_format)
    builder.download_and_prepare()
    return builder


def load(folder: Path, split: str = "train", **changes: object) -> data.Dataset:
    return data.load(Config(**{"dataset": "prepared", "data_dir": str(folder), "frames": 3, "size": 24, "stride": 2, **changes}), split)


def stored(builder: MovingShapes, split: str) -> list[dict]:
    """The examples in the order of the files, read by TFDS."""
    if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
        return list(builder.as_data_source(split))
    return list(tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False)))


def test_the_builder_writes_what_render_draws(tmp_path):
    assert set(MovingShapes.builder_configs) == set(VARIANTS)
    for split, first in (("train", 0), ("test", 48_000)):
        examples = stored(prepare_shapes(tmp_path), split)
        assert sorted(example["index"] for example in examples) == list(range(first, first + 20))
        for example in examples:
            video, label = render(example["index"], 9, 24, "mixed")
            np.testing.assert_array_equal(example["video"], video)
            assert example["label"] == label


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_clips_are_found_by_their_number(tmp_path, file_format):
    if file_format == "array_record":
        pytest.importorskip("array_record")
    builder = prepare_shapes(tmp_path, file_format=file_format)
    dataset = load(tmp_path, "train+test")
    assert dataset.labels == LABELS and dataset.size == 40
    clips = [
        (video, label)
        for batch in dataset.once(16).as_numpy_iterator()
        for video, label in zip(batch["video"], batch["label"], strict=True)
    ]
    examples = [example for split in ("train", "test") for example in stored(builder, split)]
    for (video, label), example in zip(clips, examples, strict=True):
        np.testing.assert_allclose(video, np.stack(example["video"])[[2, 4, 6]] / 127.5 - 1, atol=1e-6)  # 5 of 9 frames, from 2 on
        assert label == example["label"]
    one, other = (next(load(tmp_path, max_stride=4).batches(30).as_numpy_iterator())["video"] for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_the_last_frame_stands_in_where_a_video_is_too_short(tmp_path):
    example = stored(prepare_shapes(tmp_path), "train")[0]
    video = next(load(tmp_path, frames=12, stride=1).once(1).as_numpy_iterator())["video"][0]
    np.testing.assert_allclose(video, example["video"][[0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8]] / 127.5 - 1, atol=1e-6)


def test_lengths_are_those_of_the_records(tmp_path):
    path, records = tmp_path / "a.tfrecord", [b"", b"one", b"\0" * 70_000, b"last\0"]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    whole = path.read_bytes()
    assert prepared.record_lengths(str(path)).tolist() == [0, 3, 70_000, 5]
    for cut in (1, 30):
        path.write_bytes(whole[:-cut])
        with pytest.raises(UserError, match=r"a\.tfrecord: ends within record [23]; prepare the data set again"):
            prepared.record_lengths(str(path))


def test_mistakes_are_told_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"--data_dir=.*: no data set prepared by TFDS \(no features.json\)"):
        load(tmp_path)
    with pytest.raises(UserError, match="--data_dir=: no data set prepared by TFDS"):
        load("")
    folder = Path(prepare_shapes(tmp_path).data_dir)
    with pytest.raises(UserError, match="--dataset=prepared/x: expected prepared, without a variant"):
        load(folder, dataset="prepared/x")
    prepare_shapes(tmp_path, "second")
    with pytest.raises(UserError, match="expected one data set, found .*second.*, .*tiny.*"):
        load(tmp_path)
    assert load(folder).size == 20  # the folder itself is one


def test_a_split_or_feature_that_is_not_there_is_named(tmp_path):
    image, label = np.zeros([8, 8, 3], np.uint8), tfds.features.ClassLabel(num_classes=2)
    for folder, features, example in (
        ("images", {"image": tfds.features.Image()}, {"image": image}),
        ("videos", {"video": tfds.features.Video(), "label": label}, {"video": [image], "label": 1}),
    ):
        features = tfds.features.FeaturesDict(features)
        (tmp_path / folder).mkdir()
        with tf.io.TFRecordWriter(str(tmp_path / folder / f"{folder}-train.tfrecord-00000-of-00001")) as writer:
            writer.write(features.serialize_example(features.encode_example(example)))
        tfds.folder_dataset.write_metadata(data_dir=tmp_path / folder, features=features)
    with pytest.raises(UserError, match="images has image; expected a video and a class label"):
        load(tmp_path / "images")
    with pytest.raises(UserError, match="--split=train\\+test: .*videos has train$"):
        load(tmp_path / "videos", "train+test")


def test_clips_of_a_number_of_frames_a_second_at_a_variable_rate(tmp_path):
    times = [0, 5, 10, 40, 45, 100, 101, 130]  # hundredths of a second
    noise_video(tmp_path / "videos" / "a.mp4", 8, times)
    prepare.main(Settings(videos=str(tmp_path / "videos"), output=str(tmp_path / "out"), size=24, min_frames=2, lossless=True, workers=1))
    (example,) = tfds.builder_from_directory(str(tmp_path / "out")).as_dataset(split="train").as_numpy_iterator()
    dataset = load(tmp_path / "out", frames=4, fps=4)  # 0.75 s fit from frames 0 to 4, so the middle starts at 2
    video = next(dataset.once(1).as_numpy_iterator())["video"][0]
    np.testing.assert_allclose(video, example["video"][[2, 2, 4, 4]] / 127.5 - 1, atol=1e-6)  # on show at 0.10, 0.35, 0.60, 0.85 s
    raw = data.load(Config(dataset="folder", data_dir=str(tmp_path / "videos"), frames=4, size=24, fps=4), "train")
    np.testing.assert_allclose(next(raw.once(1).as_numpy_iterator())["video"][0], video, atol=1e-6)


def test_without_times_there_are_no_frames_a_second(tmp_path):
    folder = prepare_shapes(tmp_path).data_dir
    with pytest.raises(UserError, match="--fps=8: .* has no times of frames; use --stride, or prepare it with tfvideogan.prepare"):
        load(folder, fps=8)


def test_lengths_that_do_not_fit_the_shards_are_noticed(tmp_path):
    noise_video(tmp_path / "videos" / "a.mp4", 20)
    prepare.main(Settings(videos=str(tmp_path / "videos"), output=str(tmp_path / "out"), size=24, workers=1))
    shard = tmp_path / "out" / "folder-train.tfrecord-00000-of-00001"
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(UserError, match="folder-train.tfrecord-00000-of-00001: not of the length in .*lengths-train.npy; prepare"):
        load(tmp_path / "out")


@pytest.mark.parametrize("change", ["removed", "overwritten"])
def test_shards_that_break_while_training_end_it_with_one_line(tmp_path, monkeypatch, capsys, change):
    prepare_shapes(tmp_path)
    dataset = load(tmp_path)
    for shard in tmp_path.rglob("*-train.tfrecord*"):
        length = shard.stat().st_size
        shard.unlink()
        if change == "overwritten":
            shard.write_bytes(b"\1" * length)
    monkeypatch.setattr(cli, "parse", lambda *arguments: None)
    with pytest.raises(SystemExit) as caught:
        cli.launch(lambda _: next(iter(dataset.batches(2))))
    line = capsys.readouterr().err.splitlines()[-1]
    assert caught.value.code == 1 and ("No such file" if change == "removed" else "corrupted") in line and "{{" not in line


def test_records_are_freed(tmp_path):
    features = {"video": tfds.features.Video(), "label": tfds.features.ClassLabel(num_classes=2)}
    features = tfds.features.FeaturesDict(features)
    image = tf.io.encode_png(np.random.default_rng(0).integers(0, 256, [400, 600, 3], np.uint8)).numpy()  # of 0.7 MB
    with tf.io.TFRecordWriter(str(tmp_path / "videos-train.tfrecord-00000-of-00001")) as writer:
        writer.write(features.serialize_example(features.encode_example({"video": [image] * 3, "label": 1})))
    tfds.folder_dataset.write_metadata(data_dir=tmp_path, features=features)
    batches = load(tmp_path, frames=1, stride=1).batches(1).as_numpy_iterator()

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    for _ in range(30):
        next(batches)
    before = resident()
    for _ in range(150):
        next(batches)
    assert resident() - before < 100e6  # of 330 MB read

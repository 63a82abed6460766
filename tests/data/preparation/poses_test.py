"""Poses in prepared sets: from videos and OpenPose's files to what Everybody Dance Now reads."""

import dataclasses
import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from tests.conftest import LEAST, small
from tests.data.pose_normalization_test import person
from tests.data.preparation.prepare_test import examples, files, message, rejected, settings
from tests.data.sources.folder_test import write
from tests.programs_test import run
from tfvideogan import models, prepare
from tfvideogan.data import pictures, pose_estimation, poses
from tfvideogan.data.clips import place, shape
from tfvideogan.data.preparation import figures, preparing
from tfvideogan.data.preparation.preparing import Settings
from tfvideogan.data.stick_figure import draw
from tfvideogan.generation.pictures import grid
from tfvideogan.training.run_folder import from_run

FRAMES = 9
HEIGHT, WIDTH = 48, 96  # of the raw videos; written at 24x48, or cropped to 24x24


def points_of(video: int) -> np.ndarray:
    """A body of 18 joints that goes to the right, and comes closer where `video` is odd."""
    return np.stack([person(30 + 8 * video + 0.5 * t * (video % 2), 20 + 4 * video, x=30 + 3 * t) for t in range(FRAMES)])


def made_in(tmp_path: Path) -> Path:
    """Three videos, and OpenPose's files of each."""
    for video in range(3):
        write(tmp_path / "videos" / f"{video}.mkv", FRAMES, size=(HEIGHT, WIDTH))
        folder = tmp_path / "poses" / f"{video}"
        folder.mkdir(parents=True)
        for t, points in enumerate(points_of(video)):
            people = [{"pose_keypoints_2d": points[:18].ravel().tolist()}]
            (folder / f"{video}_{t:012d}_keypoints.json").write_text(json.dumps({"people": people}))
    return tmp_path


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return made_in(tmp_path)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """The set of these videos."""
    root = made_in(tmp_path_factory.mktemp("poses"))
    prepare.main(of_poses(root, preview=True))
    return root / "out"


def of_poses(root: Path, output: str = "out", **changes) -> Settings:
    given = {"dataset": "poses", "poses": str(root / "poses"), "size": 24, "crop": False, "lossless": True, "max_rejected": 0.0}
    return settings(root / "videos", root / output, **{**given, **changes})


def config_of(folder: Path, phase: str, **changes) -> models.everybody_dance_now.Config:
    given = {**LEAST["everybody_dance_now"], "dataset": "prepared", "data_dir": str(folder), "phase": phase, "size": 24, "width": 48}
    return small("everybody_dance_now", **{**given, "halvings": 1, "face_size": 16, "batch_size": 2, "frames": 3, **changes})


def test_a_record_holds_figures_key_points_and_faces_of_the_written_frames(prepared):
    found = examples(prepared)
    assert sorted(found) == ["0.mkv", "1.mkv", "2.mkv"]
    for video in range(3):
        record = found[f"{video}.mkv"]
        expected = poses.smooth(points_of(video) * [0.5, 0.5, 1])
        np.testing.assert_allclose(record["key_points"].reshape([FRAMES, 130, 3]), expected, atol=1e-4)
        np.testing.assert_array_equal(record["source"], [draw(frame, 24, 48) for frame in expected])
        np.testing.assert_allclose(record["face"], expected[:, 0, 1::-1], atol=1e-4)
        np.testing.assert_array_equal(record["figure_size"], [24, 48])
        assert record["video"].shape == record["source"].shape == (FRAMES, 24, 48, 3)
    sheet = np.asarray(Image.open(prepared / "preview.png"))
    assert sheet.shape[0] == 2 * 25 and np.all(sheet[26:49, -24:] > 250, -1).mean() > 0.5  # figures on white below the frames


def test_figures_are_cropped_with_their_frames_and_cut_into_records(raw):
    prepare.main(of_poses(raw, crop=True, clip_frames=4))
    found = [one for one in tfds_examples(raw / "out") if one["file"] == b"0.mkv"]
    assert sorted(len(one["times"]) for one in found) == [4, 4]
    record = min(found, key=lambda one: one["times"][0])
    expected = poses.smooth(points_of(0) * [0.5, 0.5, 1] - [12, 0, 0])[:4]
    np.testing.assert_array_equal(record["source"], [draw(frame, 24, 24) for frame in expected])
    np.testing.assert_allclose(record["key_points"].reshape([4, 130, 3])[:, 0], expected[:, 0], atol=1e-4)


def tfds_examples(folder: Path) -> list[dict]:
    return list(tfds.builder_from_directory(str(folder)).as_dataset(split="train").as_numpy_iterator())


@pytest.mark.parametrize("phase", ["global", "local", "face"])
def test_everybody_dance_now_reads_the_set_in_every_phase(prepared, phase):
    config = config_of(prepared, phase)
    batch = next(iter(models.dataset(config, "train").batches(2)))
    assert batch["source"].shape == batch["video"].shape == (2, 3, 24, 48, 3)
    gan = models.build(config)
    terms, _ = gan.generator_loss(batch)
    assert all(np.isfinite(term) for term in terms.values())
    assert ("face" in batch) == (phase == "face")


def test_clips_faces_are_where_their_figures_are(prepared):
    for changes, scale in (({"size": 24, "width": 48}, 1), ({"size": 48, "width": 48, "face_size": 32}, 2)):
        config = config_of(prepared, "face", **changes)
        for batch in models.dataset(config, "train").once(1):
            centers, figures_shown = batch["face"].numpy()[0], batch["source"].numpy()[0]
            for center, figure in zip(centers, figures_shown, strict=True):
                # COCO's nose is the one joint of pure blue.
                blue = (figure[..., 2] > 0.2) & (figure[..., 0] < -0.2) & (figure[..., 1] < -0.2)
                if blue.any():
                    assert abs(np.argwhere(blue).mean(0) - center).max() <= scale, changes


def test_stopped_and_begun_again_the_files_are_the_same(raw, monkeypatch):
    prepare.main(of_poses(raw, "whole", videos_per_shard=1))
    made = []

    def drawn(*arguments):
        made.append(arguments)
        if len(made) == FRAMES + 3:
            raise KeyboardInterrupt
        return draw(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(figures, "draw", drawn)
        with pytest.raises(KeyboardInterrupt):
            prepare.main(of_poses(raw, "stopped", videos_per_shard=1))
        assert (raw / "stopped" / "unfinished").exists()
        prepare.main(of_poses(raw, "stopped", videos_per_shard=1))
        assert len(made) == FRAMES + 3 + 2 * FRAMES  # the first video's are not drawn again
    whole, stopped = files(raw / "whole"), files(raw / "stopped")
    assert whole.keys() == stopped.keys() and all(whole[name] == stopped[name] for name in whole)


def test_videos_whose_poses_are_missing_or_do_not_fit_are_rejected(raw):
    shutil.rmtree(raw / "poses" / "0")
    next((raw / "poses" / "1").iterdir()).unlink()
    for file in sorted((raw / "poses" / "2").iterdir())[:5]:
        file.write_text('{"people": []}')
    write(raw / "videos" / "3.mkv", FRAMES + 1, size=(HEIGHT, WIDTH))
    shutil.copytree(raw / "poses" / "2", raw / "poses" / "3")
    message(of_poses(raw))
    reasons = rejected(raw / "out")
    assert "got no folder" in reasons["0.mkv"] and "its poses (--poses)" in reasons["0.mkv"]
    assert "got poses of 8 frames" in reasons["1.mkv"] and "expected those of 9" in reasons["1.mkv"]
    assert reasons["2.mkv"] == "a body is seen in 4 of 9 frames, where at least half are wanted"
    assert "got poses of 9 frames" in reasons["3.mkv"]


def test_without_the_estimator_or_a_set_to_fit_to_there_is_one_line(raw, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    pose_estimation.network.cache_clear()
    found = message(of_poses(raw, poses=""))
    assert "--dataset=poses: needs mediapipe, which estimates poses: pip install tfvideogan[pose]" in found and "or give --poses" in found
    assert not (raw / "out").exists()
    assert "no such folder, expected one of OpenPose's files" in message(of_poses(raw, poses="nowhere"))
    assert "got no set of poses in" in message(of_poses(raw, normalize_to=str(raw / "videos")))
    with pytest.raises(Exception, match="--poses=x: expected none of --dataset=folder; it is of poses"):
        settings(raw, raw, poses="x")


def test_a_source_is_fitted_to_the_dancer_of_a_run(raw):
    prepare.main(of_poses(raw, "target"))
    (raw / "run").mkdir()
    (raw / "run" / "run.flags").write_text(f"--model=everybody_dance_now\n--data_dir={raw / 'target'}\n")
    target = figures.target_of(str(raw / "run"))
    assert (target.height, target.width, target.joints, len(target.floor.rows)) == (24, 48, 18, 3 * FRAMES)
    # The source is half as tall, at the top left of frames of another shape.
    shutil.rmtree(raw / "videos")
    shutil.rmtree(raw / "poses")
    write(raw / "videos" / "s.mkv", FRAMES, size=(64, 64))
    (raw / "poses" / "s").mkdir(parents=True)
    source = np.stack([person(20 + t, 12, x=20) for t in range(FRAMES)])
    for t, points in enumerate(source):
        people = [{"pose_keypoints_2d": points[:18].ravel().tolist()}]
        (raw / "poses" / "s" / f"{t}.json").write_text(json.dumps({"people": people}))
    prepare.main(of_poses(raw, "fitted", normalize_to=str(raw / "run")))
    (record,) = examples(raw / "fitted").values()
    np.testing.assert_array_equal(record["figure_size"], [24, 48])
    assert record["video"].shape[1:3] == (24, 24) and record["source"].shape[1:3] == (24, 48)
    fitted = record["key_points"].reshape([FRAMES, 130, 3])
    expected = poses.smooth(figures.normalize(poses.placed(source, 24 / 64, 12, 0), target.floor, 48))
    np.testing.assert_allclose(fitted, expected, atol=1e-4)
    found = figures.floor(fitted)
    assert found.heights.max() == pytest.approx(target.floor.heights.max(), rel=0.05)  # 4.5 as it came


@pytest.mark.slow
def test_a_fitted_source_is_danced_by_a_run(raw):
    """From raw videos to frames of another dancer, more than the pairs of training, as docs/data.md has it."""
    given = {"dataset": "prepared", "data_dir": str(raw / "target"), "short_side": 0, "steps": 2, "batch_size": 2, "face_size": 16}
    prepare.main(of_poses(raw, "target"))
    config = config_of(raw / "target", "global", **{**given, "frames": 2, "log_every_steps": 1, "sample_every_steps": 2})
    run("train", *(f"--{name}={value}" for name, value in vars(config).items()), f"--workdir={raw / 'run'}")
    prepare.main(of_poses(raw, "fitted", normalize_to=str(raw / "run"), held_out="."))
    asked = [f"--output={raw / 'danced'}", "--frames=7", "--num_videos=1"]
    run("sample", f"--workdir={raw / 'run'}", "--dataset=prepared", f"--data_dir={raw / 'fitted'}", *asked)
    danced = np.stack([pictures.picture(str(raw / "danced" / name)) for name in pictures.names(str(raw / "danced"))])
    fitted = dataclasses.replace(config, data_dir=str(raw / "fitted"))
    batch = next(iter(models.dataset(dataclasses.replace(fitted, frames=7), "test").once(3)))
    made = from_run(str(raw / "run"), fitted, best=False).in_turn(batch).numpy()
    np.testing.assert_allclose(danced, grid(np.round(made * 255).astype(np.uint8), 1), atol=1)
    assert made.shape == (3, 7, 24, 48, 3) and np.abs(made[:, 6] - made[:, 0]).max() > 0.01


def test_bodies_of_other_joints_become_the_targets_or_are_refused():
    target = figures.Target(24, 48, figures.floor(points_of(0)), 23)
    facts = figures.Facts(24, 48, np.zeros(FRAMES, np.float32))
    of_25 = np.stack([person(20, 10, joints=25)] * FRAMES)
    assert figures.fitted(of_25, facts, target).shape == (FRAMES, 23 + poses.REST, 3)
    with pytest.raises(ValueError, match="got bodies of 18 joints, expected 23 as of --normalize_to"):
        figures.fitted(points_of(0), facts, target)


class Found:
    """In place of MediaPipe's networks: a detector that has seen the person, and landmarks that are the colors of a frame's dots."""

    def __init__(self, middle, top, size, present: float = 1.0):
        self.middle, self.top, self.size, self.present = np.array(middle), np.array(top), size, present
        self.detected = 0

    def __call__(self, name: str):
        return self.detector if name == pose_estimation.DETECTOR else self.landmarks

    def detector(self, picture: np.ndarray) -> list[np.ndarray]:
        assert picture.shape == (224, 224, 3) and -1 <= picture.min() <= picture.max() <= 1
        self.detected += 1
        boxes, scores = np.zeros([1, 2254, 12], np.float32), np.full([1, 2254, 1], -9, np.float32)
        height, width = self.size
        side = max(height, width)
        margin = np.array([side - width, side - height]) / 2
        scores[0, 1000] = 3
        anchor = pose_estimation.anchors()[1000]
        for part, point in ((slice(4, 6), self.middle), (slice(6, 8), self.top)):
            boxes[0, 1000, part] = ((point + margin) / side - anchor) * 224
        return [boxes, scores]

    def landmarks(self, picture: np.ndarray) -> list[np.ndarray]:
        assert picture.shape == (256, 256, 3) and 0 <= picture.min() <= picture.max() <= 1
        y, x = np.mgrid[:256, :256] + 0.5
        found = np.full([39, 5], -9, np.float32)
        for landmark, channel in ((0, 0), (27, 1), (28, 2)):  # nose, ankles
            weight = picture[..., channel]
            found[landmark] = [(x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum(), 0, 4, 4]
        found[33], found[34] = [128, 128, 0, 0, 0], [128, 30, 0, 0, 0]
        return [found.reshape([1, 195]), np.full([1, 1], self.present)]


def test_landmarks_are_found_in_a_turned_square_and_put_back_where_they_are(monkeypatch):
    frame, dots = np.zeros([60, 90, 3], np.uint8), {0: (30, 12), 1: (60, 40), 2: (50, 50)}  # of each channel, x and y
    for channel, (x, y) in dots.items():
        frame[y - 2 : y + 3, x - 2 : x + 3, channel] = 255
    found = Found((45, 32), (30, 14), frame.shape[:2])  # the person leans to the left
    monkeypatch.setattr(pose_estimation, "network", found)
    tracker = pose_estimation.Tracker()
    body = tracker(frame)[:23]
    layout = poses.LAYOUTS[23]
    places = {layout.nose: dots[0], layout.ankles[1]: dots[1], layout.ankles[0]: dots[2]}
    assert np.flatnonzero(body[:, 2]).tolist() == sorted(places)
    for joint, (x, y) in places.items():
        np.testing.assert_allclose(body[joint, :2], [x + 0.5, y + 0.5], atol=0.5)
    np.testing.assert_allclose(tracker.around[0], [45, 32], atol=0.5)
    up = tracker.around[1] - tracker.around[0]
    np.testing.assert_allclose(up / np.linalg.norm(up), np.array([-15, -18]) / np.hypot(15, 18), atol=0.01)  # it leans as before
    tracker(frame)
    assert found.detected == 1  # followed
    found.present = 0.2
    assert not tracker(frame).any() and found.detected == 2 and tracker.around is None


def test_joints_that_are_unsure_or_outside_are_not_seen():
    landmarks = np.ones([39, 3])
    landmarks[:, :2] = np.arange(39)[:, None] + 1
    landmarks[14, 2] = 0.4  # right elbow
    landmarks[16, 0] = 100  # right wrist
    body = pose_estimation.joints(landmarks, 50, 50)
    assert body.shape == (23, 3) and not body[[2, 3, 12, 17]].any()  # and small toes
    np.testing.assert_array_equal(body[0], [12.5, 12.5, 1])  # the neck: landmarks 11 and 12 are at 12 and 13
    np.testing.assert_array_equal(body[7, :2], [24.5, 24.5])
    np.testing.assert_array_equal(body[[18, 10, 15], 0], [1, 29, 28])
    assert pose_estimation.anchors().shape == (2254, 2)
    np.testing.assert_allclose(pose_estimation.anchors()[[0, 1, 2, 2253]], [[1 / 56, 1 / 56]] * 2 + [[3 / 56, 1 / 56], [13 / 14, 13 / 14]])


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mediapipe") is None, reason="needs mediapipe")
def test_mediapipe_sees_the_dancer_where_openpose_did(real_videos):
    """By the colors of the figures: that of each body, drawn by OpenPose's joints, is near ours."""
    tracker, distances = pose_estimation.Tracker(), []
    for name in pictures.names(str(real_videos / "dancer" / "frames"))[:400:40]:
        frame = pictures.picture(str(real_videos / "dancer" / "frames" / name))
        theirs = pictures.picture(str(real_videos / "dancer" / "poses" / name.replace(".jpg", ".png")))
        ours = draw(tracker(frame), *frame.shape[:2])
        inked = [np.argwhere((figure < 250).any(-1)) for figure in (ours, theirs)]
        between = np.linalg.norm(inked[0][:, None] - inked[1][None], axis=-1)
        distances.append((between.min(0).mean() + between.min(1).mean()) / 2)
    assert np.mean(distances) < 3, distances  # pixels of 256x128


def test_the_tracker_is_what_estimates_a_videos_poses(raw, monkeypatch):
    class Known:
        def __init__(self):
            self.rest = iter(points_of(1))

        def __call__(self, frame):
            assert frame.shape == (HEIGHT, WIDTH, 3)
            return next(self.rest)

    for module in (figures, preparing):
        monkeypatch.setattr(module, "Tracker", Known)
    prepare.main(of_poses(raw, poses=""))
    expected = poses.smooth(points_of(1) * [0.5, 0.5, 1])
    for record in examples(raw / "out").values():
        np.testing.assert_allclose(record["key_points"].reshape([FRAMES, 130, 3]), expected, atol=1e-4)


def test_places_are_moved_as_frames_are():
    config = config_of(Path(), "face", size=20, width=20, short_side=30, face_size=16)
    video = np.zeros([3, 60, 80, 3], np.uint8)
    video[:, 30:34, 40:44] = 255
    shown = shape(config, tf.constant(video), tf.constant([0, 0]), False).numpy()[0, ..., 0]
    middle = np.argwhere(shown > 128).mean(0) + 0.5
    found = place(config, tf.constant([[32.0, 42.0]] * 3), tf.constant([60, 80])).numpy()
    assert abs(found[0] - middle).max() <= 1

"""Films of faces with files of their key points."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.face_maps_test import points_of
from tfvideogan import data, models
from tfvideogan.config import Clips, UserError
from tfvideogan.data import face_maps

FRAMES, HEIGHT, WIDTH = 6, 96, 128


def write_film(root: Path, name: str = "") -> np.ndarray:
    """A face that goes to the right, in a film of that name, or the one film. Its key points [T,68,2]."""
    draw, points = np.random.default_rng(0), [points_of(48, left=30 + 2 * t, top=20) for t in range(FRAMES)]
    for part in ("video", "source"):
        (root / part / name).mkdir(parents=True)
    for t, of_frame in enumerate(points):
        Image.fromarray(draw.integers(0, 256, [HEIGHT, WIDTH, 3], np.uint8)).save(root / "video" / name / f"{t}.png")
        lines = [f"{x:.3f},{y:.3f}" for x, y in of_frame]
        (root / "source" / name / f"{t}.txt").write_text("\n".join(lines))
    return np.stack(points)


def config_of(root: Path, **changes) -> Clips:
    return Clips(**{"dataset": "faces", "data_dir": str(root), "frames": 3, "size": 32, "batch_size": 2, **changes})


def test_a_clip_is_the_box_of_the_films_first_frame_and_its_maps(tmp_path):
    points = write_film(tmp_path, "talk")
    dataset = data.load(config_of(tmp_path), "train", ["flow"])
    assert dataset.size == FRAMES - 2 and dataset.labels == ("face",)
    last = list(dataset.once(1))[-1]  # frames 3, 4, 5
    assert (
        last["source"].shape == (1, 3, 32, 32, 15) and last["video"].shape == (1, 3, 32, 32, 3) and last["flow"].shape == (1, 3, 32, 32, 2)
    )
    around = face_maps.box(points[0].round(3), HEIGHT, WIDTH)
    whole = np.stack([np.asarray(Image.open(tmp_path / "video" / "talk" / f"{t}.png")) for t in (3, 4, 5)])
    frames = face_maps.cut(whole, around, 32)
    np.testing.assert_allclose(last["video"][0], frames / 127.5 - 1, atol=1e-6)
    top, left, side = around
    moved = (points[3:].round(3).astype(np.float32) - [left, top]) * (32 / side)
    expected = np.stack([face_maps.draw(*one) for one in zip(moved, frames, strict=True)])
    np.testing.assert_allclose(last["source"][0], expected / 127.5 - 1, atol=1e-6)


def test_maps_are_mirrored_with_their_frames(tmp_path):
    write_film(tmp_path)
    plain = data.load(config_of(tmp_path, frames=FRAMES), "train")
    both = data.load(config_of(tmp_path, frames=FRAMES, flip=True), "train")
    whole, seen = next(iter(plain.once(1))), set()
    for batch in both.batches(1).take(8):
        turned = not np.array_equal(batch["video"], whole["video"])
        for name in ("video", "source"):
            np.testing.assert_array_equal(batch[name], whole[name][:, :, :, ::-1] if turned else whole[name])
        seen.add(turned)
    assert seen == {True, False}


def test_the_model_of_the_flagfile_reads_them_and_films_are_held_out(tmp_path):
    write_film(tmp_path, "one"), write_film(tmp_path, "two")
    faces = {"dataset": "faces", "data_dir": str(tmp_path), "size": 32, "width": 32, "frames": 3, "held_out": "two"}
    reads = {"source_labels": 0, "source_channels": 15, "instances": False, "foreground": ""}
    config = models.find("vid2vid").Config(**faces, **reads)
    train, test = (models.dataset(config, split) for split in ("train", "test"))
    assert (train.size, test.size) == (4, 4)
    with pytest.raises(UserError, match=r"got 'source' of float32 \[3, 32, 32, 15\], expected float32 \[3, 32, 32, 3\]"):
        models.dataset(dataclasses.replace(config, source_channels=3), "train")


def remove(place: str):
    return lambda root: (root / place).unlink()


@pytest.mark.parametrize(
    "changes, spoil, told",
    [
        ({"width": 64}, None, "--width=64: got frames of 32x64, expected square ones for --dataset=faces"),
        ({"dataset": "faces/x"}, None, "--dataset=faces/x .*: expected faces alone"),
        ({"random_crop": True}, None, "--random_crop=True .*: expected faces alone"),
        ({"short_side": 64}, None, "--short_side=64: expected faces alone"),
        ({"frames": 7}, None, "--frames=7 --split=train: got no 7 frames in a row, of films of 6"),
        ({"data_dir": "nowhere"}, None, "--data_dir=nowhere: got no folder source, expected source, of key points, and video"),
        ({}, remove("source/talk/5.txt"), r"got 5 files of key points in \S*talk and 6 frames"),
        ({}, lambda root: (root / "source/talk/5.txt").rename(root / "source/talk/6.txt"), "got key points 6.txt beside frame 5.png"),
        ({}, lambda root: (root / "source/talk/2.txt").write_text("1,2\n"), r"talk/2.txt: got 1 lines, expected 68 of x,y"),
        ({}, lambda root: (root / "source/talk").rename(root / "source/walk"), r"got 0 files of key points in \S*talk and 6 frames"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path, changes, spoil, told):
    write_film(tmp_path, "talk")
    if spoil:
        spoil(tmp_path)
    with pytest.raises(UserError, match=told):
        data.load(config_of(tmp_path, **changes), "train")


def test_without_opencv_it_is_one_line_before_anything_is_read(tmp_path, monkeypatch):
    write_film(tmp_path, "talk")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"--dataset=faces: OpenCV is not installed; pip install tfvideogan\[flow\]"):
        data.load(config_of(tmp_path), "train")

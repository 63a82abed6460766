"""Pairs of folders: matched by name, cut alike."""

import dataclasses
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.data.decode_test import noise_video
from tfvideogan import cli, data
from tfvideogan.config import Config, UserError


def write(folder, names: list[str], shift: int) -> None:
    """Frames of 20x40 of one gray each, a step of 10 apart, and a white column at 8 * number."""
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        picture = np.full([20, 40, 3], 10 * number + shift, np.uint8)
        picture[:, 8 * number] = 255
        Image.fromarray(picture).save(folder / name)


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "source", [f"f{i}.png" for i in (1, 2, 3, 10)], 0)
    write(tmp_path / "video", [f"f{i}.bmp" for i in (1, 2, 3, 10)], 100)
    return tmp_path


def config_of(root, **changes) -> Config:
    return Config(
        **{"dataset": "pairs", "data_dir": str(root), "frames": 2, "size": 20, "width": 40, "stride": 1, "batch_size": 2, **changes}
    )


def grays(batch) -> np.ndarray:
    """[2 entries, N, T]"""
    return np.stack([np.round(batch[name].numpy()[:, :, 0, -1, 0] * 127.5 + 127.5) for name in ("source", "video")])


def test_clips_begin_at_every_frame_and_pairs_stay_together(root):
    dataset = data.load(config_of(root), "train")
    assert dataset.size == 3
    (batch,) = dataset.once(3)
    np.testing.assert_array_equal(grays(batch)[1], [[100, 110], [110, 120], [120, 130]])  # f10 comes after f3
    np.testing.assert_array_equal(grays(batch)[0] + 100, grays(batch)[1])
    assert batch["video"].shape == (3, 2, 20, 40, 3)


def test_random_crops_and_flips_are_the_same_for_both(root):
    config = config_of(root, size=16, width=16, short_side=20, random_crop=True, flip=True)
    batch = next(iter(data.load(config, "train").batches(8)))
    for source, video in zip(batch["source"].numpy(), batch["video"].numpy(), strict=True):
        np.testing.assert_array_equal(source.max((0, 1, 3)) == 1, video.max((0, 1, 3)) == 1)  # the columns of white
    small = next(iter(data.load(config_of(root, size=10, width=20), "train").once(1)))
    assert set(np.unique(np.round(small["source"] * 127.5 + 127.5))) <= {0, 10, 255}  # no colors are mixed
    assert len(np.unique(np.round(small["video"] * 127.5 + 127.5))) > 3


def test_no_clip_reaches_from_one_split_into_the_other(root):
    config = config_of(root, held_out="f3|f10")
    assert (data.load(config, "train").size, data.load(config, "test").size) == (1, 1)
    assert data.load(config, "train+test").size == 2
    with pytest.raises(UserError, match=r"--frames=3 --split=test: got no 3 frames in a row"):
        data.load(dataclasses.replace(config, frames=3), "test")


def test_a_pattern_that_holds_nothing_out_is_refused(root):
    with pytest.raises(UserError, match="--held_out=g3: found in none of 4 names, the first f1; expected it in some"):
        data.load(config_of(root, held_out="g3"), "train")


def test_faces_are_centers_in_the_frame_as_it_is_read(root):
    (root / "faces.csv").write_text("frame,top,bottom,left,right\n" + "".join(f"f{i},4,8,{i},{i + 4}\n" for i in (1, 2, 3, 10)))
    config = config_of(root, size=10, width=10)  # half the size, and the middle of it: 5 columns less on each side
    batch = next(iter(data.load(config, "train", ("face",)).once(1)))
    np.testing.assert_array_equal(batch["face"], [[[3, -4], [3, -3]]])  # (1 + 2) / 2 - 5 = -3.5, to even
    with pytest.raises(UserError, match="--flip or --random_crop: expected neither, with faces.csv"):
        data.load(dataclasses.replace(config, flip=True), "train", ("face",))
    (root / "faces.csv").write_text("frame,top,bottom,left,right\nf1,4,8,1,5\n")
    with pytest.raises(UserError, match="faces.csv: got no line of frame f10, expected one for each frame"):
        data.load(config, "train", ("face",))


def test_films_are_matched_by_name(tmp_path):
    for folder in ("source", "video"):
        (tmp_path / folder).mkdir()
        noise_video(tmp_path / folder / "a.mp4", 5, g="6")
    write(tmp_path / "source" / "b", ["1.png", "2.png"], 0)
    write(tmp_path / "video" / "b", ["1.png", "2.png"], 50)
    assert data.load(config_of(tmp_path), "train").size == 4 + 1
    assert data.load(config_of(tmp_path, held_out="^b/"), "test").size == 1
    shutil.rmtree(tmp_path / "video" / "b")
    with pytest.raises(UserError, match="got b in one of source and video, expected every film in both"):
        data.load(config_of(tmp_path), "train")


def test_pairs_that_differ_are_refused(root):
    (root / "video" / "f2.bmp").rename(root / "video" / "f4.bmp")
    with pytest.raises(UserError, match="got frame f3 beside source f2, expected frames of the same names"):
        data.load(config_of(root), "train")
    (root / "video" / "f4.bmp").unlink()
    with pytest.raises(UserError, match="video and its source: got 4 frames of 40x20 and 3 frames of 40x20, expected the same"):
        data.load(config_of(root), "train")
    with pytest.raises(UserError, match="got no folder source, expected source and video"):
        data.load(config_of(root / "video"), "train")


def test_instances_that_differ_are_refused(root):
    shutil.copytree(root / "source", root / "instances")
    (root / "instances" / "f10.png").rename(root / "instances" / "f11.png")
    config = config_of(root, dataset="pairs/labels")
    with pytest.raises(UserError, match="got frame f10 beside instances f11, expected frames of the same names"):
        data.load(config, "train")
    (root / "instances" / "f11.png").unlink()
    with pytest.raises(UserError, match="video and its instances: got 3 frames of 40x20 and 4 frames of 40x20, expected the same"):
        data.load(config, "train")


def test_films_of_one_name_are_refused_and_what_is_no_film_is_told(tmp_path, caplog):
    for part in ("source", "video"):
        noise_video(tmp_path / part / "a.mp4", 5, g="6")
    (tmp_path / "video" / "notes.txt").write_text("any")
    (tmp_path / "source" / "Thumbs.db").write_text("any")
    with caplog.at_level("WARNING"):
        found = data.load(config_of(tmp_path), "train").source
    assert found.size == 4 and found.files == ("video/a.mp4\t5 frames of 64x48",)
    assert caplog.messages == ["not read, files ending in .db: source/Thumbs.db", "not read, files ending in .txt: video/notes.txt"]
    noise_video(tmp_path / "video" / "a.mkv", 5, g="6")
    with pytest.raises(UserError, match="got a.mkv and a.mp4 in video, expected one film of a name"):
        data.load(config_of(tmp_path), "train")


def test_what_lies_among_frames_is_told(root, caplog):
    (root / "source" / "f1.txt").write_text("any")
    with caplog.at_level("WARNING"):
        data.load(config_of(root), "train")
    assert caplog.messages == ["not read, files ending in .txt: source/f1.txt"]


@pytest.mark.parametrize("part", ["source", "video"])
def test_a_film_that_goes_while_training_ends_it_with_one_line(root, part, monkeypatch, capsys):
    dataset = data.load(config_of(root), "train")
    shutil.rmtree(root / part)
    monkeypatch.setattr(cli, "parse", lambda *arguments: None)
    with pytest.raises(SystemExit) as caught:
        cli.launch(lambda _: list(dataset.once(1)))
    line = capsys.readouterr().err.splitlines()[-1]
    assert caught.value.code == 1 and "cannot be read any more: " in line and str(root / part) in line


def test_labels_are_numbers_that_are_cut_with_their_frames_and_flow_is_of_the_clip(root):
    pytest.importorskip("cv2")
    draw = np.random.default_rng(0)
    shown = draw.integers(0, 256, [20, 60, 3]).astype(np.uint8)
    shown = np.array(Image.fromarray(shown[::4, ::4]).resize((60, 20), Image.Resampling.BICUBIC))
    shutil.rmtree(root / "source")
    for name in ("source", "instances"):
        (root / name).mkdir()
    for t, stem in enumerate(("f1", "f2", "f3", "f10")):  # all goes two pixels to the left with each frame
        window = np.s_[:, 2 * t : 2 * t + 40]
        Image.fromarray(shown[window]).save(root / "video" / f"{stem}.bmp")
        for name, part in (("source", 0), ("instances", 1)):
            Image.fromarray(shown[window][..., part] // 32).save(root / name / f"{stem}.png")
    config = config_of(root, dataset="pairs/labels", frames=3, flip=True)
    batch = next(iter(data.load(config, "train", ("instances", "flow")).batches(8)))
    video = np.round(batch["video"].numpy() * 127.5 + 127.5).astype(int)
    for name, part in (("source", 0), ("instances", 1)):
        assert batch[name].dtype == "int32" and batch[name].shape == (8, 3, 20, 40)
        np.testing.assert_array_equal(batch[name], video[..., part] // 32)
    across = np.median(batch["flow"][:, 1:, 4:-4, 6:-6, 0], (1, 2, 3))
    np.testing.assert_allclose(abs(across), 2, atol=0.3)
    assert len(set(np.sign(across))) == 2  # mirrored clips go to the right


def test_labels_without_instances_lack_them(root):
    assert "instances" not in data.load(config_of(root, dataset="pairs/labels"), "train", ("instances",)).source.more
    with pytest.raises(UserError, match="--dataset=pairs/poses --fps=0: expected pairs, pairs/labels or pairs/densepose"):
        data.load(config_of(root, dataset="pairs/poses"), "train")


def test_parts_of_bodies_stand_before_the_source(root):
    with pytest.raises(UserError, match=r"--dataset=pairs/densepose: got no \S+/densepose, expected DensePose's pictures of \S+/source"):
        data.load(config_of(root, dataset="pairs/densepose"), "train")
    (root / "densepose").mkdir()
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 25, [4, 20, 40, 3]).astype(np.uint8)
    for stem, picture in zip(("f1", "f2", "f3", "f10"), pictures, strict=True):
        Image.fromarray(picture).save(root / "densepose" / f"{stem}.png")
    alone, both = (next(iter(data.load(config_of(root, dataset=name, frames=4), "train").once(1))) for name in ("pairs", "pairs/densepose"))
    made = np.round(both["source"][0] * 127.5 + 127.5).astype(int)
    assert made.shape == (4, 20, 40, 6)
    np.testing.assert_array_equal(both["source"][..., 3:], alone["source"])
    np.testing.assert_array_equal(made[..., :2], pictures[..., :2])
    np.testing.assert_array_equal(made[..., 2], pictures[..., 2].astype(int) * 255 // 24)
    turned = data.load(config_of(root, dataset="pairs/densepose", frames=4, flip=True), "train").batches(8)
    for clip in next(iter(turned))["source"]:
        assert any(np.array_equal(clip, one) for one in (both["source"][0], both["source"][0, :, :, ::-1]))

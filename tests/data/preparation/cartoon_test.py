"""Photos and cartoons as they lie, prepared and read: `prepare --dataset=cartoon`, `--dataset=cartoon`."""

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.data.decode_test import noise_video
from tfvideogan import data, prepare
from tfvideogan.config import Config, RunFailed, UserError
from tfvideogan.data.preparation import cartoon
from tfvideogan.data.preparation.cartoon import edge_smoothed
from tfvideogan.data.preparation.preparing import Settings
from tfvideogan.data.sources.renderings import render


def smoothed_by_hand(picture: np.ndarray) -> np.ndarray:
    """Pixel by pixel, as public code has it: the Gaussian's weighted mean around each pixel that is near an edge."""
    edges = cv2.Canny(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 100, 200)
    padded, edges = np.pad(picture, [(2, 2), (2, 2), (0, 0)], "reflect").astype(np.float64), np.pad(edges, 2)
    line = np.exp(-(np.arange(-2, 3) ** 2) / (2 * 1.1**2))
    weights = np.outer(line, line) / line.sum() ** 2
    result = picture.copy()
    for y, x in np.ndindex(picture.shape[:2]):
        if edges[y : y + 5, x : x + 5].any():
            result[y, x] = np.round(np.einsum("ab,abc->c", weights, padded[y : y + 5, x : x + 5]))
    return result


def test_edges_are_smoothed_as_the_sheet_says():
    cartoon = render(2, "cartoon", 1, 40, 56)[0]
    smoothed, expected = edge_smoothed(cartoon), smoothed_by_hand(cartoon)
    assert np.abs(smoothed.astype(int) - expected).max() <= 1
    np.testing.assert_array_equal(np.any(smoothed != cartoon, -1) & ~np.any(expected != cartoon, -1), False)
    assert 0.02 < np.any(smoothed != cartoon, -1).mean() < 0.9
    np.testing.assert_array_equal(edge_smoothed(np.full([8, 8, 3], 100, np.uint8)), 100)  # without edges nothing changes


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """(the folder of pictures and a video, the prepared one)"""
    root = tmp_path_factory.mktemp("cartoon")
    for kind, style in (("photos", "photo"), ("cartoons", "cartoon")):
        (root / "raw" / kind / "deep").mkdir(parents=True)
        for i in range(3):
            Image.fromarray(render(i, style, 1, 30, 44)[0]).save(root / "raw" / kind / "deep" / f"{i}.png")
    noise_video(root / "raw" / "cartoons" / "film.mp4", 50, g="6")
    prepare.main(settings(root, preview=True))
    return root


def settings(root, **changes) -> Settings:
    given = {"dataset": "cartoon", "videos": str(root / "raw"), "output": str(root / "made"), "size": 16, "crop": False}
    return Settings(**{**given, "every_seconds": 0.8, **changes})


def test_pictures_and_frames_of_films_are_prepared_with_their_smoothed_ones(prepared):
    made = prepared / "made"
    photos, cartoons, smoothed = (sorted(file.name for file in (made / kind).iterdir()) for kind in ("photos", "cartoons", "smoothed"))
    assert photos == ["deep_0_png.png", "deep_1_png.png", "deep_2_png.png"]
    films = [name for name in cartoons if name.startswith("film_mp4_")]
    assert films[0] == "film_mp4_000000.png" and len(films) > 1 and cartoons == smoothed == [*photos, *films]
    for name in cartoons:
        cartoon, made_of_it = (np.asarray(Image.open(made / kind / name)) for kind in ("cartoons", "smoothed"))
        assert min(cartoon.shape[:2]) == 16
        np.testing.assert_array_equal(made_of_it, edge_smoothed(cartoon))
    assert np.asarray(Image.open(made / "photos" / photos[0])).shape == (16, 23, 3)  # the long side is kept
    assert np.asarray(Image.open(made / "preview.png")).shape[0] == 2 * 16


def test_what_is_there_is_not_made_again_and_what_lacks_is(prepared):
    made = prepared / "made"
    kept, lost = made / "photos" / "deep_0_png.png", made / "smoothed" / "deep_1_png.png"
    before, content = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    prepare.main(settings(prepared))
    assert kept.stat().st_mtime_ns == before and lost.read_bytes() == content
    with pytest.raises(UserError, match=r"holds a data set of other settings: --size=24 \(was 16\)"):
        prepare.main(settings(prepared, size=24))


def test_a_full_disk_rejects_no_picture(prepared, monkeypatch):
    lost = prepared / "made" / "photos" / "deep_1_png.png"
    content = lost.read_bytes()
    lost.unlink()

    def full(path: str, *_: object) -> None:
        raise OSError(f"{path}: cannot be written: No space left on device")

    whole = cartoon.write_whole
    monkeypatch.setattr(cartoon, "write_whole", lambda path, *rest: (full if path.endswith(".png") else whole)(path, *rest))
    with pytest.raises(RunFailed, match="deep_1_png.png: cannot be written: No space left .* start the same command again"):
        prepare.main(settings(prepared, max_rejected=1.0))
    monkeypatch.undo()
    prepare.main(settings(prepared))
    assert lost.read_bytes() == content


def test_the_set_is_read_as_unpaired_pictures(prepared):
    config = Config(dataset="cartoon", data_dir=str(prepared / "made"), frames=1, size=12, width=20, short_side=0, batch_size=2, stride=1)
    dataset = data.load(config, "train", ("smoothed",))
    assert dataset.size == 3
    batch = next(iter(dataset.batches(2)))
    assert all(batch[name].shape == (2, 1, 12, 20, 3) for name in ("source", "video", "smoothed"))
    held = Config(**{**vars(config), "held_out": "photos/deep_0|cartoons/film"})
    assert (data.load(held, "train").size, data.load(held, "test").size) == (2, 1)
    with pytest.raises(UserError, match="--frames=2: expected 1 for --dataset=cartoon"):
        data.load(Config(**{**vars(config), "frames": 2}), "train")
    with pytest.raises(UserError, match="--data_dir=: got no folder photos"):
        data.load(Config(**{**vars(config), "data_dir": ""}), "train")


def test_files_that_would_be_written_alike_and_those_that_are_not_read_are_named(tmp_path, caplog):
    for number, name in enumerate(("photos/a.png", "photos/b/c.png", "photos/b_c.png", "cartoons/a.png")):
        (tmp_path / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(render(number, "photo", 1, 20, 20)[0]).save(tmp_path / "raw" / name)
    (tmp_path / "raw" / "photos" / "b" / "d.heic").write_text("any")
    with caplog.at_level("WARNING"):
        prepare.main(settings(tmp_path, max_rejected=0.5))
    assert sorted(file.name for file in (tmp_path / "made" / "photos").iterdir()) == ["a_png.png", "b_c_png.png"]
    assert "left out photos/b_c.png: written as b_c_png, as b/c.png is; expected another name" in caplog.messages
    assert "not read, files ending in .heic: photos/b/d.heic" in caplog.messages


def test_a_folder_without_cartoons_and_a_damaged_picture_are_refused(prepared, tmp_path):
    (tmp_path / "raw" / "photos").mkdir(parents=True)
    (tmp_path / "raw" / "photos" / "a.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="got no picture or video in cartoons"):
        prepare.main(settings(tmp_path))
    (tmp_path / "raw" / "cartoons").mkdir()
    Image.fromarray(render(0, "cartoon", 1, 20, 20)[0]).save(tmp_path / "raw" / "cartoons" / "b.png")
    with pytest.raises(UserError, match=r"1 of 2 files cannot be used, the first photos/a.png: .*--max_rejected=0.05"):
        prepare.main(settings(tmp_path))

"""Flow in prepared sets: from videos to the clips that training reads."""

import json
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.data.optical_flow_test import Constant
from tests.data.preparation.prepare_test import examples, files, message, settings
from tests.data.sources.moving_shapes_test import shrunk
from tests.programs_test import run
from tfvideogan import data, models, prepare
from tfvideogan.config import Clips, UserError
from tfvideogan.data import optical_flow
from tfvideogan.data.preparation import records
from tfvideogan.data.preparation.preparing import Settings
from tfvideogan.data.sources.moving_shapes import flow, render

FRAMES, SIZE = 9, 32
SCENES = (12, 17, 22)  # a textured ring to the right, square to the left, triangle up; one a class, in the order of the labels
LIMIT = 6.0
ROUNDING = LIMIT / 254 + 1e-5


def write(path: Path, frames: np.ndarray) -> None:
    """uint8 [T,H,W,3] as a video that keeps every bit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10, pix_fmt="bgr0", height=frames.shape[1], width=frames.shape[2])
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Moving shapes as videos, one a class."""
    folder = tmp_path_factory.mktemp("videos")
    for number, index in enumerate(SCENES):
        write(folder / f"{number}" / "a.mkv", render(index, FRAMES, SIZE, "textured")[0])
    return folder


@pytest.fixture(scope="module")
def estimated(videos, tmp_path_factory) -> Path:
    """Them, prepared with DIS."""
    pytest.importorskip("cv2")
    output = tmp_path_factory.mktemp("dis") / "out"
    prepare.main(settings(videos, output, flow="dis", flow_limit=LIMIT, preview=True))
    return output


@pytest.fixture(scope="module")
def exact(videos, tmp_path_factory) -> Path:
    """Them, prepared with an estimator that is never wrong."""
    known = {render(index, FRAMES, SIZE, "textured")[0].tobytes(): flow(index, FRAMES, SIZE, "textured") for index in SCENES}
    output = tmp_path_factory.mktemp("exact") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optical_flow, "estimate", lambda frames, method: known.get(frames.tobytes(), np.zeros([*frames.shape[:3], 2])))
        prepare.main(settings(videos, output, flow="oracle", flow_limit=LIMIT, lossless=True))
    return output


@pytest.fixture(scope="module")
def whole(exact) -> dict[str, np.ndarray]:
    """The whole videos, with flows that are never wrong."""
    return clips(exact)


def load(folder: Path, **changes: object) -> data.Dataset:
    changes = {"dataset": "prepared", "data_dir": str(folder), "frames": FRAMES, "size": SIZE, **changes}
    return data.load(Clips(**changes), "train", ["video", "flow"])


def clips(folder: Path, **changes: object) -> dict[str, np.ndarray]:
    """The middle of every video, in the order of SCENES."""
    batch = next(load(folder, **changes).once(len(SCENES)).as_numpy_iterator())
    order = np.argsort(batch["label"])
    return {name: value[order] for name, value in batch.items()}


def test_what_the_estimator_found_is_read_to_half_a_level(exact, whole):
    for number, index in enumerate(SCENES):
        np.testing.assert_allclose(whole["flow"][number], flow(index, FRAMES, SIZE, "textured"), atol=ROUNDING)
    assert whole["flow"].dtype == np.float32 and abs(whole["flow"]).max() > 2
    (example, *_) = tfds.builder_from_directory(str(exact)).as_dataset(split="train").as_numpy_iterator()
    assert example["flow"].shape == (FRAMES, SIZE, SIZE, 3) and example["flow_limit"] == LIMIT and example["flow_estimator"] == b"oracle"


def test_flows_are_made_for_those_who_read_them(exact):
    config = Clips(dataset="prepared", data_dir=str(exact), frames=1, size=SIZE)
    assert "flow" not in data.load(config, "train").specs
    assert data.load(config, "train", ["flow"]).specs["flow"].shape.as_list() == [None, 1, SIZE, SIZE, 2]


def test_with_a_stride_flows_add_up(exact):
    batch = clips(exact, frames=3, stride=4)
    for number, index in enumerate(SCENES):
        expected = flow(index, 3, SIZE, "textured")
        inside = shrunk(np.any(expected != 0, -1), 1)
        inside[0] = False
        assert inside.sum() > 20 and abs(batch["flow"][number] - expected)[inside].max() < 4 * ROUNDING


def test_the_frame_that_stands_in_has_not_moved(exact):
    batch = clips(exact, frames=3, fps=20.0)  # of 10 frames a second
    shown_again = np.all(batch["video"][:, 1:] == batch["video"][:, :-1], (2, 3, 4))
    assert shown_again.sum() == len(SCENES)  # each frame twice, so one of two steps is none
    np.testing.assert_array_equal(np.any(batch["flow"][:, 1:], (2, 3, 4)), ~shown_again)


def test_flows_start_and_are_mirrored_with_their_clips(exact, whole):
    batch = next(load(exact, frames=2, flip=True).batches(40).as_numpy_iterator())
    found = set()
    for video, moves, label in zip(batch["video"], batch["flow"], batch["label"], strict=True):
        matches = [
            (start, mirrored)
            for start in range(FRAMES - 1)
            for mirrored in (False, True)
            if np.array_equal(video, whole["video"][label][start : start + 2, :, :: -1 if mirrored else 1])
        ]
        assert len(matches) == 1
        ((start, mirrored),) = matches
        expected = whole["flow"][label][start : start + 2]
        np.testing.assert_array_equal(moves, expected[:, :, ::-1] * np.float32([-1, 1]) if mirrored else expected)
        found.add((start, mirrored))
    assert len(found) >= 8


def test_estimates_are_near_the_exact_flow(estimated):
    moves = clips(estimated)["flow"]
    for number, index in enumerate(SCENES):
        truth = flow(index, FRAMES, SIZE, "textured")[1:]
        errors = np.linalg.norm(moves[number, 1:] - truth, axis=-1)
        shape = np.any(truth != 0, -1)
        length = np.linalg.norm(truth, axis=-1)[shape].mean()
        print(index, "length", length, "error inside", errors[shape].mean(), "outside", errors[shrunk(~shape, 2)].mean())
        assert errors[shape].mean() < 0.5 * length and errors[shrunk(~shape, 2)].mean() < 0.25 * length


def test_a_saved_model_estimates_too(videos, tmp_path):
    module = Constant()
    tf.saved_model.save(module, str(tmp_path / "module"), signatures=module.serve)
    prepare.main(settings(videos / "0", tmp_path / "out", size=16, flow=str(tmp_path / "module"), flow_limit=2.0))
    (example,) = examples(tmp_path / "out").values()
    assert (example["flow"][..., 1] == 128 + 64).all()  # it finds 1 pixel everywhere
    assert example["flow_estimator"].decode() == str(tmp_path / "module")


def test_the_preview_shows_flows_as_colors(estimated):
    sheet = tf.io.decode_png((estimated / "preview.png").read_bytes()).numpy()
    rows = sheet[:, -8 * (SIZE + 1) :].reshape([-1, SIZE + 1, 8, SIZE + 1, 3])[:, :SIZE, :, :SIZE]  # of clips and flows in turn
    assert rows.shape[0] == 2 * len(SCENES)
    means = rows[1::2].reshape([3, -1, 3]).min(1)  # white where nothing moves
    assert (rows[1::2] >= 250).all(-1).mean() > 0.3
    assert means[0, 0] < 100 and means[1, 1] < 200, means  # to the right the way back is to the left, cyan; to the left, red
    page = (estimated / "preview.html").read_text()
    assert "<td>flow</td><td>dis</td>" in page and f"<td>flow_limit</td><td>{LIMIT}</td>" in page


def test_blocks_of_a_video_do_not_show_in_its_flow_nor_do_stops(videos, estimated, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "BLOCK", 4)
    one, written = settings(videos, tmp_path / "out", flow="dis", flow_limit=LIMIT, videos_per_shard=1), []
    write_shard = records.write

    def interrupted(*arguments: object) -> None:
        written.append(arguments)
        if len(written) == 2:
            raise KeyboardInterrupt
        write_shard(*arguments)

    monkeypatch.setattr(records, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare.main(one)
    assert "--flow_limit=7.0 (was 6.0)" in message(settings(videos, tmp_path / "out", flow="dis", flow_limit=7.0, videos_per_shard=1))
    prepare.main(one)
    assert len(written) == 4  # the first shard was kept
    one, other = (examples(folder) for folder in (tmp_path / "out", estimated))
    assert one.keys() == other.keys() and len(one) == len(SCENES)
    for name in one:
        np.testing.assert_array_equal(one[name]["flow"], other[name]["flow"])


def test_other_settings_and_sets_of_earlier_versions_are_told_apart(estimated, videos, tmp_path):
    assert "--flow=farneback (was dis)" in message(settings(videos, estimated, flow="farneback", flow_limit=LIMIT))
    assert "--flow= (was dis)" in message(settings(videos, estimated))
    prepare.main(settings(videos, tmp_path / "out"))
    known = json.loads((tmp_path / "out" / "prepare.json").read_text())
    assert "flow_limit" not in known
    del known["flow"]  # as there was no such setting
    (tmp_path / "out" / "prepare.json").write_text(json.dumps(known))
    prepare.main(settings(videos, tmp_path / "out"))  # complete
    assert "--flow=dis (was )" in message(settings(videos, tmp_path / "out", flow="dis"))
    config = models.find("ftgan").Config(dataset="prepared", data_dir=str(tmp_path / "out"), frames=8, size=32)
    with pytest.raises(UserError, match="--dataset=prepared: got label, seed, video, expected 'flow' too for --model=ftgan"):
        models.dataset(config, "train")


def test_mistakes_are_told_before_anything_is_written(videos, tmp_path, monkeypatch):
    assert "--flow=tvl1: got no such estimator, expected dis, farneback, or a SavedModel" in message(
        settings(videos, tmp_path / "out", flow="tvl1")
    )
    assert "--flow=dis: got frames of 8x8, expected a side of at least 12" in message(
        settings(videos, tmp_path / "out", flow="dis", size=8)
    )
    monkeypatch.setitem(sys.modules, "cv2", None)
    told = message(settings(videos, tmp_path / "out", flow="dis"))
    assert told == "--flow=dis: OpenCV is not installed; pip install tfvideogan[flow]"
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="--flow=dis: expected none of --dataset=cartoon"):
        Settings(dataset="cartoon", flow="dis")
    with pytest.raises(UserError, match="--flow_limit=0: expected more than 0"):
        Settings(flow_limit=0.0)


@pytest.mark.slow
def test_two_workers_write_the_same_and_ftgan_trains_on_it(videos, estimated, tmp_path):
    one = vars(settings(videos, tmp_path / "out", flow="dis", flow_limit=LIMIT, preview=True, workers=2))
    run("prepare", *(f"--{name}={value}" for name, value in one.items()))
    assert files(tmp_path / "out") == files(estimated)
    run(
        "train",
        *("--model=ftgan", "--phase=joint", "--dataset=prepared", f"--data_dir={tmp_path}/out", f"--workdir={tmp_path}/run"),
        *("--size=32", "--frames=8", "--channels=2", "--latent=8", "--batch_size=4", f"--flow_limit={LIMIT}", "--flip"),
        *("--steps=2", "--log_every_steps=1", "--checkpoint_every_steps=2", "--sample_every_steps=100", "--standing_batches=2"),
    )
    assert (tmp_path / "run" / "checkpoints").is_dir()

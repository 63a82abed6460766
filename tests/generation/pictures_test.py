"""The two doors are exact, folding keeps order, and the files hold the clips that went in."""

import io
import itertools
import math

import av
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfvideogan.config import UserError
from tfvideogan.generation import pictures
from tfvideogan.ops import video

ALL = np.arange(256, dtype=np.uint8)


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    """uint8 [4,6,16,24,3]: a square that moves to the right over a background of the clip's own colour."""
    clips = np.empty([4, 6, 16, 24, 3], np.uint8)
    for n, colour in enumerate([(200, 40, 40), (40, 160, 60), (50, 60, 200), (120, 120, 120)]):
        clips[n] = colour
        for t in range(6):
            clips[n, t, 4:12, 2 * t : 2 * t + 8] = 240
    return clips


def read_gif(content: bytes) -> tuple[np.ndarray, list[int], int]:
    """Frames [T,H,W,3], milliseconds of each, and the number of repeats (0: for ever)."""
    image = Image.open(io.BytesIO(content))
    frames, durations = [], []
    for i in range(image.n_frames):
        image.seek(i)
        frames.append(np.asarray(image.convert("RGB")))
        durations.append(image.info["duration"])
    return np.stack(frames), durations, image.info["loop"]


def read_mp4(content: bytes) -> tuple[np.ndarray, float, str]:
    """Frames [T,H,W,3], frames a second, and the codec."""
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
        return frames, float(stream.average_rate), stream.codec_context.name


def mean_difference(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b).mean())


def test_uint8_survives_both_doors():
    inside = video.from_uint8(ALL)
    assert inside.dtype == tf.float32 and inside[0] == -1.0 and inside[255] == 1.0
    np.testing.assert_array_equal(video.to_uint8(inside), ALL)
    np.testing.assert_allclose(video.to_unit(inside), ALL / 255.0, atol=1e-6)


def test_doors_clip_what_is_outside():
    np.testing.assert_array_equal(video.to_unit(tf.constant([-3.0, -1.0, 0.0, 1.0, 3.0])), [0, 0, 0.5, 1, 1])
    np.testing.assert_array_equal(video.to_uint8(tf.constant([-3.0, 3.0])), [0, 255])


def test_to_uint8_rounds_to_nearest():
    np.testing.assert_array_equal(video.to_uint8(video.from_uint8(tf.constant([10.4, 10.6]))), [10, 11])


def test_fold_keeps_the_order_of_frames_and_unfold_undoes_it():
    clips = tf.reshape(tf.range(2 * 3 * 4), [2, 3, 4])
    folded = video.fold(clips)
    np.testing.assert_array_equal(folded[:, 0], [0, 4, 8, 12, 16, 20])  # clip 0 whole, then clip 1
    np.testing.assert_array_equal(video.unfold(folded, 3), clips)


def test_grid_places_clips_row_by_row_and_leaves_the_rest_black(clips):
    picture = pictures.grid(clips[:3], columns=2)
    assert picture.shape == (6, 2 * 17, 2 * 25, 3)
    np.testing.assert_array_equal(picture[:, :16, :24], clips[0])
    np.testing.assert_array_equal(picture[:, :16, 25:49], clips[1])
    np.testing.assert_array_equal(picture[:, 17:33, :24], clips[2])
    assert not picture[:, 17:, 25:].any() and not picture[:, 16].any() and not picture[:, :, 24].any()


def test_grid_writes_the_names_beside_their_rows(clips):
    plain, named = pictures.grid(clips, 2), pictures.grid(clips, 2, ["run", "jump"])
    names = named[:, :, : named.shape[2] - plain.shape[2]]
    np.testing.assert_array_equal(named[:, :, names.shape[2] :], plain)
    assert names[0, :17].any() and names[0, 17:].any()
    assert not pictures.grid(clips, 2, ["run", ""])[0, 17:, : names.shape[2] // 2].any()


def test_contact_sheet_shows_the_first_and_last_frame(clips):
    sheet = pictures.contact_sheet(clips, frames=3)
    assert sheet.shape == (4 * 17, 3 * 25, 3)
    for column, t in enumerate([0, 2, 5]):
        np.testing.assert_array_equal(sheet[17:33, column * 25 : column * 25 + 24], clips[1, t])
    assert pictures.contact_sheet(clips, frames=100).shape[1] == 6 * 25  # no frame is shown twice


def test_gif_is_exact_with_few_colours_and_plays_for_ever(clips):
    picture = pictures.grid(clips, 2)
    frames, durations, loop = read_gif(pictures.gif_bytes(picture, fps=10))
    np.testing.assert_array_equal(frames, picture)
    assert durations == [100] * 6 and loop == 0


@pytest.mark.parametrize("fps, milliseconds", [(8, 750), (30, 200), (1, 6000), (100, 120)])
def test_gif_lasts_as_long_as_the_clip(clips, fps, milliseconds):
    assert sum(read_gif(pictures.gif_bytes(clips[0], fps))[1]) == milliseconds  # 100 fps: GIFs stop at 50


def test_gif_palette_covers_the_whole_picture():
    # 260 columns and 65 * 50,000 pixels: a palette from every 65th pixel would know four columns only.
    columns = np.broadcast_to(np.arange(260)[None, None, :, None] * [0.9, 0.5, 0.2], [16, 780, 260, 3]).astype(np.uint8)
    assert mean_difference(read_gif(pictures.gif_bytes(columns, 8))[0][:1], columns[:1]) < 1.5


@pytest.mark.parametrize("codecs, codec", [({"libx264"}, "h264"), (set(), "mpeg4")])
def test_mp4_pads_odd_sides_and_keeps_frames_rate_and_colours(clips, monkeypatch, codecs, codec):
    if not codecs <= av.codecs_available:
        pytest.skip("FFmpeg came without x264")
    monkeypatch.setattr(av, "codecs_available", codecs)
    picture = pictures.grid(clips, 1)[:, :67, :25]
    frames, fps, name = read_mp4(pictures.mp4_bytes(picture, 12.5))
    assert frames.shape == (6, 68, 26, 3) and fps == 12.5 and name == codec
    assert mean_difference(frames[:, :67, :25], picture) < 6  # halved chroma blurs the edges


def test_write_chooses_by_ending(clips, tmp_path):
    names = ["run", "jump"]
    for ending in ("gif", "mp4", "png"):
        pictures.write(tmp_path / "new" / f"clips.{ending}", clips, 8, columns=2, row_names=names)
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["clips.gif", "clips.mp4", "clips.png"]  # nothing half-written
    picture = pictures.grid(clips, 2, names)
    assert mean_difference(read_gif((tmp_path / "new/clips.gif").read_bytes())[0], picture) < 0.1
    assert len(read_mp4((tmp_path / "new/clips.mp4").read_bytes())[0]) == 6
    sheet = np.asarray(Image.open(tmp_path / "new/clips.png"))
    np.testing.assert_array_equal(sheet, pictures.contact_sheet(clips, pictures.SHEET_FRAMES, ["run", "", "jump", ""]))


@pytest.mark.parametrize("ending", [".gif", ".mp4", ".png", ""])
def test_frames_that_come_in_parts_give_the_same_file(clips, tmp_path, ending):
    pictures.write(tmp_path / f"whole{ending}", clips, 8, 2, ["run", "jump"])
    with pictures.opened(tmp_path / f"parts{ending}", 6, 8, 2, ["run", "jump"]) as add:
        for part in (clips[:, :1], clips[:, 1:5], clips[:, 5:]):
            add(part)
    whole, parts = tmp_path / f"whole{ending}", tmp_path / f"parts{ending}"
    if ending == ".gif":  # the palette is of the first part
        np.testing.assert_array_equal(*(read_gif(file.read_bytes())[0] for file in (whole, parts)))
    elif ending:
        assert whole.read_bytes() == parts.read_bytes()
    else:
        assert [file.name for file in sorted(parts.iterdir())] == [f"{t:06d}.png" for t in range(6)]
        frames = np.stack([np.asarray(Image.open(parts / f"{t:06d}.png")) for t in range(6)])
        np.testing.assert_array_equal(frames, pictures.grid(clips, 2, ["run", "jump"]))


def test_a_gif_of_frames_that_do_not_change_lasts_as_long(clips):
    still = np.repeat(clips[0, :1], 5, 0)
    still[3:, 2, 3] = 0  # one pixel, from the fourth frame on
    frames, durations, _ = read_gif(pictures.gif_bytes(still, 10))
    np.testing.assert_array_equal(frames, still)
    assert durations == [100] * 5


def test_a_file_that_breaks_off_is_not_there(clips, tmp_path):
    with pytest.raises(RuntimeError), pictures.opened(tmp_path / "clips.mp4", 6, 8, 2) as add:
        add(clips[:, :2])
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_folder_of_a_longer_clip_is_left_as_it_is(clips, tmp_path):
    pictures.write(tmp_path / "frames", clips, 8, columns=2)
    pictures.write(tmp_path / "frames", clips, 8, columns=2)
    before = {file: file.read_bytes() for file in (tmp_path / "frames").iterdir()}
    with pytest.raises(UserError, match="--output=.*frames: holds 000004.png of a longer clip, .* expected a new folder"):
        pictures.write(tmp_path / "frames", clips[:, :4], 8, columns=2)
    assert {file: file.read_bytes() for file in (tmp_path / "frames").iterdir()} == before


def test_write_refuses_other_endings_and_speeds(clips, tmp_path):
    with pytest.raises(UserError, match="--output=.*clips.webp: expected .gif, .mp4 or .png, or a folder"):
        pictures.write(tmp_path / "clips.webp", clips, 8, columns=2)
    for fps in (0, -1, math.nan, math.inf, 1e-9, 1e9):
        with pytest.raises(UserError, match=f"--play_fps={fps:g}: expected 0.01 to 1000".replace("+", r"\+")):
            pictures.write(tmp_path / "clips.mp4", clips, fps, columns=2)
    for name, fps in itertools.product(("clips.gif", "clips.mp4"), (0.01, 1000)):
        pictures.write(tmp_path / name, clips, fps, columns=2)


def test_tensorboard_gets_the_animation(clips, tmp_path):
    with tf.summary.create_file_writer(str(tmp_path)).as_default(step=7):
        pictures.summary_gif("samples", clips[0], fps=10)
    events = [tf.compat.v1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset([str(next(tmp_path.iterdir()))])]
    value = events[-1].summary.value[0]
    width, height, gif = tf.make_ndarray(value.tensor)
    assert events[-1].step == 7 and value.tag == "samples" and value.metadata.plugin_data.plugin_name == "images"
    assert (width, height) == (b"24", b"16")
    np.testing.assert_array_equal(read_gif(gif)[0], clips[0])

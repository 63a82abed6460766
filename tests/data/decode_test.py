"""From files to frames: what each kind of file is, and that the frames asked for are the frames that come."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.data.sources.folder_test import config, write
from tfvideogan import data
from tfvideogan.data import decode


def all_frames(path: Path) -> np.ndarray:
    """Decoded plainly, from the first to the last."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def noise_video(path: Path, frames: int, times: list[int] | None = None, **options: str) -> Path:
    """H.264 of blurred noise at 20 fps, or with frames at these hundredths of a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = np.random.default_rng(0).integers(0, 256, [frames, 6, 8, 3], np.uint8).repeat(8, 1).repeat(8, 2)
    container_options = {"movflags": options.pop("movflags")} if "movflags" in options else {}
    with av.open(str(path), "w", options=container_options) as container:
        stream = container.add_stream("libx264", rate=100 if times else 20, options=options)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            if times:
                frame.pts = times[number]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def rotate(path: Path) -> Path:
    """Marks an mp4 as filmed with the camera on its side, as a telephone does: by the matrix in its track header."""
    content = bytearray(path.read_bytes())
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    track = content.index(b"tkhd")
    place = content.index(upright, track)
    content[place : place + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)  # a quarter turn clockwise
    path.write_bytes(content)
    return path


def test_reading_from_a_key_frame_gives_the_same_frames(tmp_path):
    path = noise_video(tmp_path / "a.mp4", 90, g="20", bf="3")
    facts, frames = decode.probe(str(path)), all_frames(path)
    assert facts.frames == 90 and len(facts.keys) >= 4 and (facts.height, facts.width) == (48, 64)
    np.testing.assert_allclose(facts.times, np.arange(90) / 20, atol=1e-4)
    for start in range(90):
        indices = [index for index in (start, start + 1, start + 7) if index < 90]
        np.testing.assert_array_equal(decode.read(str(path), indices, facts), frames[indices])


def test_a_clip_late_in_a_video_is_not_decoded_from_its_start(tmp_path, monkeypatch):
    path = noise_video(tmp_path / "a.mp4", 90, g="20", bf="3")
    facts, decoded, frames = decode.probe(str(path)), [], decode._frames
    monkeypatch.setattr(decode, "_frames", lambda *arguments: (decoded.append(one[0]) or one for one in frames(*arguments)))
    decode.read(str(path), [70, 75], facts)
    assert 60 <= decoded[0] and decoded[-1] == 75


def test_where_a_key_frame_is_not_found_reading_starts_at_the_first(tmp_path):
    path = noise_video(tmp_path / "a.mp4", 90, g="20", bf="3")
    facts = decode.probe(str(path))
    wrong = decode.Facts(facts.height, facts.width, facts.times, tuple((number + 5, pts + 1) for number, pts in facts.keys))
    np.testing.assert_array_equal(decode.read(str(path), [50, 51], wrong), all_frames(path)[[50, 51]])


def test_real_files_are_read_as_plain_decoding_reads_them(real_videos):
    files = sorted((real_videos / "ucf101_mini" / "UCF-101").rglob("*.avi")) + [real_videos / "clips" / "carphone.mp4"]
    assert len(files) == 3
    for path in files:
        facts, frames = decode.probe(str(path)), all_frames(path)
        assert facts.frames == len(frames) and frames.shape[1:3] == (facts.height, facts.width)
        assert (np.diff(facts.times) > 0).all()
        for indices in ([0, 3], [55, 60, 61], [len(frames) - 2, len(frames) - 1]):
            np.testing.assert_array_equal(decode.read(str(path), indices, facts), frames[indices])
        np.testing.assert_array_equal(np.stack(list(decode.stream(str(path), facts))), frames)


def test_times_of_a_variable_frame_rate(tmp_path):
    times = [0, 5, 10, 40, 45, 100, 101, 130]
    facts = decode.probe(str(noise_video(tmp_path / "a.mp4", 8, times)))
    np.testing.assert_allclose(facts.times, np.array(times) / 100, atol=1e-3)


def test_a_video_filmed_on_its_side_is_turned_upright(tmp_path):
    lying = write(tmp_path / "lying.mp4", 3, "libx264", size=(32, 48))  # its left third is black
    facts = decode.probe(str(rotate(lying)))
    assert (facts.height, facts.width) == (48, 32)
    frame = decode.read(str(lying), [2], facts)[0]
    assert frame.shape == (48, 32, 3)
    assert frame[:12].max() < 12 and frame[20:].min() > 20  # turned clockwise, left is up


@pytest.mark.parametrize("wide", [True, False])
def test_a_strip_is_its_frames(tmp_path, wide):
    frames = np.random.default_rng(0).integers(0, 256, [5, 16, 16, 3], np.uint8)
    path = tmp_path / "strip.png"
    Image.fromarray(np.concatenate(list(frames), int(wide))).save(path)
    facts = decode.probe(str(path))
    assert (facts.frames, facts.height, facts.width) == (5, 16, 16)
    np.testing.assert_array_equal(decode.read(str(path), [1, 4], facts), frames[[1, 4]])
    np.testing.assert_array_equal(np.stack(list(decode.stream(str(path), facts))), frames)


def test_a_folder_of_frames_is_read_by_the_numbers_in_their_names(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, [12, 10, 14, 3], np.uint8)
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "frames" / f"frame{number}.png")
    facts = decode.probe(str(tmp_path / "frames"))
    assert (facts.frames, facts.height, facts.width) == (12, 10, 14)
    np.testing.assert_array_equal(decode.read(str(tmp_path / "frames"), [2, 9, 10], facts), frames[[2, 9, 10]])
    np.testing.assert_array_equal(np.stack(list(decode.stream(str(tmp_path / "frames"), facts))), frames)


def test_strips_and_folders_of_frames_are_videos_of_a_folder(tmp_path):
    frames = np.arange(6, dtype=np.uint8)[:, None, None, None] * 40 + np.zeros([1, 32, 32, 3], np.uint8)
    (tmp_path / "a" / "frames").mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "a" / "frames" / f"{number}.png")
    Image.fromarray(np.concatenate(list(frames), 1)).save(tmp_path / "a" / "strip.png")
    Image.fromarray(frames[0]).save(tmp_path / "a" / "square.png")
    dataset = data.load(config(tmp_path), "train")
    batch = next(dataset.once(2).as_numpy_iterator())
    assert dataset.size == 2
    np.testing.assert_allclose(batch["video"], np.stack([frames[1:5]] * 2) / 127.5 - 1, atol=1e-6)


def reason(path: Path) -> str:
    with pytest.raises(ValueError) as caught:
        decode.probe(str(path))
    return str(caught.value)


def test_what_is_no_video_is_said_with_its_reason(tmp_path):
    (tmp_path / "zero.mp4").write_bytes(b"")
    assert reason(tmp_path / "zero.mp4") == "empty file"
    (tmp_path / "text.mp4").write_text("no video " * 1000)
    assert reason(tmp_path / "text.mp4").startswith("cannot be decoded: Invalid data")
    whole = noise_video(tmp_path / "whole.mp4", 60).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])  # its index is at the end
    assert reason(tmp_path / "cut.mp4").startswith("cannot be decoded")
    whole = noise_video(tmp_path / "fast.mp4", 60, movflags="faststart").read_bytes()
    (tmp_path / "fastcut.mp4").write_bytes(whole[: len(whole) // 2])  # its index is at the start
    assert reason(tmp_path / "fastcut.mp4").startswith("truncated: ") and reason(tmp_path / "fastcut.mp4").endswith(
        "of its 60 frames are there"
    )
    Image.new("RGB", (50, 32)).save(tmp_path / "odd.png")
    assert reason(tmp_path / "odd.png") == "a picture of 50x32: want a strip of square frames, its long side a multiple of the short one"
    (tmp_path / "text.png").write_text("no picture")
    assert reason(tmp_path / "text.png") == "cannot be decoded: text.png is no picture"
    (tmp_path / "frames").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "frames" / "1.png")
    Image.new("RGB", (32, 33)).save(tmp_path / "frames" / "2.png")
    assert reason(tmp_path / "frames") == "frames of several sizes: the first is 32x32, not so 2.png"


def test_music_is_no_video_even_with_a_cover(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros([1, 1024], np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert reason(tmp_path / "a.mp4") == "no video stream"


def test_damage_in_the_middle_stops_the_stream_with_its_place(real_videos, tmp_path):
    whole = bytearray((real_videos / "actions" / "bend" / "person0_a.mp4").read_bytes())
    whole[len(whole) // 2 : len(whole) // 2 + 3000] = bytes(3000)
    (tmp_path / "a.mp4").write_bytes(whole)
    facts = decode.probe(str(tmp_path / "a.mp4"))
    with pytest.raises(ValueError, match=r"damaged after [1-5]?\d of its 61 frames: "):
        list(decode.stream(str(tmp_path / "a.mp4"), facts))

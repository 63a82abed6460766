"""From files to frames: what each kind of file is, and that the frames asked for are the frames that come."""

import dataclasses
import os
import random
import re
import struct
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.data.sources.folder_test import config, write
from tfvideogan import data
from tfvideogan.data import decode, pictures, videos

ENDINGS = {"TIFF": ".tif", "MPO": ".jpg", "AVIF": ".avif", "TGA": ".tga", "PPM": ".ppm", "JPEG2000": ".jp2", "WEBP": ".webp"}


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


def set_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Writes the matrix in the track header of an mp4: it shows pixel (x, y) at (a x + c y, b x + d y), but for an offset."""
    content = bytearray(path.read_bytes())
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    place = content.index(upright, content.index(b"tkhd"))
    content[place : place + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def rotate(path: Path) -> Path:
    """Marks an mp4 as filmed with the camera on its side, as a telephone does: a quarter turn clockwise."""
    return set_matrix(path, 0, 1, -1, 0)


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
    facts, decoded, frames = decode.probe(str(path)), [], videos._decoded
    monkeypatch.setattr(videos, "_decoded", lambda *arguments: (decoded.append(one) or one for one in frames(*arguments)))
    decode.read(str(path), [70, 75], facts)
    assert 6 <= len(decoded) < 30


def test_where_a_key_frame_is_not_found_reading_starts_at_the_first(tmp_path):
    path = noise_video(tmp_path / "a.mp4", 90, g="20", bf="3")
    facts = decode.probe(str(path))
    wrong = dataclasses.replace(facts, keys=tuple((number + 5, time + 10**6) for number, time in facts.keys))
    np.testing.assert_array_equal(decode.read(str(path), [50, 51], wrong), all_frames(path)[[50, 51]])


def test_what_a_seek_finds_is_believed_only_if_its_checksum_agrees(tmp_path):
    path = noise_video(tmp_path / "a.ts", 90, g="20")
    facts, frames = decode.probe(str(path)), all_frames(path)
    assert facts.checksums.size == 90 and len(facts.keys) >= 4
    shifted = dataclasses.replace(facts, stamps=np.concatenate([facts.stamps[1:], facts.stamps[-1:] + 1]))
    unchecked = dataclasses.replace(shifted, checksums=facts.checksums[:0], keys=tuple((key - 1, time) for key, time in facts.keys))
    assert (decode.read(str(path), [50], unchecked) != frames[[50]]).any()
    for number in range(0, 90, 7):
        np.testing.assert_array_equal(decode.read(str(path), [number], facts), frames[[number]])
        np.testing.assert_array_equal(decode.read(str(path), [number], shifted), frames[[number]])


def test_times_go_on_where_the_file_starts_them_again(tmp_path):
    one = noise_video(tmp_path / "a.ts", 20, g="10").read_bytes()
    (tmp_path / "twice.ts").write_bytes(one * 2)
    facts = decode.probe(str(tmp_path / "twice.ts"))
    np.testing.assert_allclose(facts.times, np.arange(40) / 20, atol=1e-3)
    np.testing.assert_array_equal(decode.read(str(tmp_path / "twice.ts"), [35], facts), all_frames(tmp_path / "twice.ts")[[35]])


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


@pytest.mark.parametrize("matrix", [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)])
def test_a_video_is_turned_and_mirrored_as_its_matrix_says(tmp_path, matrix):
    path = noise_video(tmp_path / "a.mp4", 3)
    frame = all_frames(path)[1]  # 48x64
    a, b, c, d = matrix
    shown = np.zeros_like(frame if a else frame.swapaxes(0, 1))
    for y, x in np.ndindex(frame.shape[:2]):
        to_x, to_y = a * x + c * y, b * x + d * y
        shown[to_y - (b + d < 0), to_x - (a + c < 0)] = frame[y, x]  # -1 is the last row, or column
    facts = decode.probe(str(set_matrix(path, *matrix)))
    assert (facts.height, facts.width) == shown.shape[:2]
    np.testing.assert_array_equal(decode.read(str(path), [1], facts)[0], shown)


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


def shown(folder: Path, *images: Image.Image, name: str = "{}.png", **options: object) -> np.ndarray:
    """A folder of frames as it is read."""
    folder.mkdir()
    for number, image in enumerate(images):
        image.save(folder / name.format(number), **options)
    facts = decode.probe(str(folder))
    frames = decode.read(str(folder), range(facts.frames), facts)
    assert frames.shape == (len(images), facts.height, facts.width, 3)
    return frames


def test_pictures_are_shown_as_a_viewer_shows_them(tmp_path):
    gray = np.array([[0, 255, 256, 0x8000, 0xFFFF]], np.uint16)
    assert shown(tmp_path / "png", Image.fromarray(gray))[0, 0, :, 1].tolist() == [0, 0, 1, 0x80, 0xFF]
    assert shown(tmp_path / "tif", Image.fromarray(gray), name="{}.tif")[0, 0, :, 1].tolist() == [0, 0, 1, 0x80, 0xFF]
    assert shown(tmp_path / "pgm", Image.fromarray(gray), name="{}.pgm")[0, 0, :, 1].tolist() == [0, 0, 1, 0x80, 0xFF]
    colors = np.array([[[255, 0, 0, 0], [0, 0, 255, 255], [0, 0, 0, 128]]], np.uint8)  # hidden red, blue, half of black
    assert shown(tmp_path / "alpha", Image.fromarray(colors))[0, 0].tolist() == [[255, 255, 255], [0, 0, 255], [127, 127, 127]]
    palette = Image.fromarray(colors[..., :3]).quantize(3)
    hidden = palette.getpixel((0, 0))
    assert shown(tmp_path / "palette", palette, transparency=hidden)[0, 0, :2].tolist() == [[255, 255, 255], [0, 0, 255]]
    assert shown(tmp_path / "bits", Image.fromarray(gray > 255))[0, 0, :, 2].tolist() == [0, 0, 255, 255, 255]
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert np.abs(shown(tmp_path / "cmyk", cmyk, name="{}.jpg")[0].astype(int) - [255, 0, 0]).max() < 4


@pytest.mark.parametrize("name", ["{}.jpg", "{}.png", "{}.tif", "{}.webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_the_camera_was_held(tmp_path, name, orientation):
    frame = np.zeros([16, 32, 3], np.uint8)
    frame[:8, :16], frame[:8, 16:], frame[8:, :16] = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif, "quality": 95} | ({"lossless": True} if name == "{}.webp" else {})
    frames = shown(tmp_path / "a", *[Image.fromarray(frame)] * 2, name=name, **options)
    rows_and_columns = {  # EXIF 2.3, 4.6.4: which side of what is seen the file's first row and first column are
        1: frame, 2: frame[:, ::-1], 3: frame[::-1, ::-1], 4: frame[::-1],
        5: frame.swapaxes(0, 1), 6: frame.swapaxes(0, 1)[:, ::-1], 7: frame.swapaxes(0, 1)[::-1, ::-1], 8: frame.swapaxes(0, 1)[::-1],
    }  # fmt: skip
    difference = np.abs(frames[1].astype(int) - rows_and_columns[orientation])
    assert np.median(difference) < 8 and difference.mean() < 25  # JPEG blurs the borders


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_an_animation_is_its_frames(tmp_path, name):
    frames = np.random.default_rng(0).integers(0, 256, [5, 16, 48, 3], np.uint8)
    images = [Image.fromarray(frame) for frame in frames]
    options = {} if name == "a.tif" else {"duration": [40, 80, 40, 200, 40]} | ({"lossless": True} if name == "a.webp" else {})
    images[0].save(tmp_path / name, save_all=True, append_images=images[1:], **options)
    facts = decode.probe(str(tmp_path / name))
    assert (facts.frames, facts.height, facts.width) == (5, 16, 48)
    np.testing.assert_allclose(facts.times, np.arange(5) / 25 if name == "a.tif" else [0, 0.04, 0.12, 0.16, 0.36], atol=1e-6)
    np.testing.assert_array_equal(decode.read(str(tmp_path / name), [1, 4], facts), frames[[1, 4]])
    np.testing.assert_array_equal(np.stack(list(decode.stream(str(tmp_path / name), facts))), frames)


@pytest.mark.parametrize("name, codec, pixels", [("a.apng", "apng", "rgba"), ("a.mov", "qtrle", "argb"), ("a.mkv", "ffv1", "yuva420p")])
def test_what_is_transparent_in_a_video_is_white_as_in_a_picture(tmp_path, name, codec, pixels):
    colors = np.zeros([32, 48, 4], np.uint8)
    colors[:, :16], colors[:, 16:32], colors[:, 32:] = (255, 0, 0, 0), (0, 0, 255, 255), (0, 0, 0, 128)  # hidden red, blue, half of black
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 48, pixels
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(colors, "rgba")))
        container.mux(stream.encode())
    facts = decode.probe(str(tmp_path / name))
    frame = decode.read(str(tmp_path / name), [1], facts)[0].astype(int)
    assert facts.frames == 3
    assert np.abs(frame[16, [4, 24, 44]] - [[255, 255, 255], [0, 0, 255], [127, 127, 127]]).max() <= 2


def test_frames_are_in_the_order_of_signed_numbers_too(tmp_path):
    for number in range(-3, 12):
        Image.new("L", (8, 8), 100 + number).save(tmp_path / f"t{number}.png")
    facts = decode.probe(str(tmp_path))
    assert decode.read(str(tmp_path), range(15), facts)[:, 0, 0, 0].tolist() == list(range(97, 112))
    assert decode.probe(str(tmp_path)).files[:4] == ("t-3.png", "t-2.png", "t-1.png", "t0.png")


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
    strip = "expected a strip of square frames, its long side a multiple of the short one"
    assert reason(tmp_path / "odd.png") == f"a picture of 50x32: {strip}"
    (tmp_path / "text.png").write_text("no picture")
    assert reason(tmp_path / "text.png") == "cannot be decoded: text.png is no picture"
    (tmp_path / "frames").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "frames" / "1.png")
    Image.new("RGB", (32, 33)).save(tmp_path / "frames" / "2.png")
    assert reason(tmp_path / "frames") == "frames of several sizes: the first is 32x32, not so 2.png"


@pytest.mark.parametrize("format", ["TIFF", "MPO", "AVIF", "TGA", "PPM", "JPEG2000", "WEBP"])
def test_whatever_a_damaged_picture_makes_pillow_raise_its_frames_come_or_it_is_refused(format, tmp_path):
    if format not in Image.SAVE | Image.SAVE_ALL:
        pytest.skip(f"Pillow was built without {format}")
    frames = [Image.fromarray(frame) for frame in np.random.default_rng(0).integers(0, 256, [4, 16, 16, 3], np.uint8)]
    path, draw, refused = tmp_path / f"a{ENDINGS[format]}", random.Random(5), 0
    frames[0].save(path, format, **({"save_all": True, "append_images": frames[1:]} if format in Image.SAVE_ALL else {}))
    content = path.read_bytes()
    for _ in range(80):
        changed = bytearray(content)
        for _ in range(draw.choice([1, 3, 30])):
            changed[draw.randrange(draw.choice([len(changed), 100]))] = draw.randrange(256)
        path.write_bytes(changed[: draw.choice([len(changed), draw.randrange(1, len(changed))])])
        try:
            pictures.picture(str(path))
            list(decode.stream(str(path), decode.probe(str(path))))
        except ValueError:
            refused += 1
    assert refused > 20


def test_a_telephones_jpeg_of_several_pictures_is_the_first_of_them(tmp_path):
    for number in range(3):
        shots = [Image.new("RGB", (32, 24), color) for color in ("red", "blue")]
        shots[0].save(tmp_path / f"{number}.jpg", "MPO", save_all=True, append_images=shots[1:])
    facts = decode.probe(str(tmp_path))
    assert facts.frames == 3 and np.abs(decode.read(str(tmp_path), [1], facts)[0].astype(int) - [255, 0, 0]).max() < 4
    assert reason(tmp_path / "1.jpg").startswith("a picture of 32x24: expected a strip")


def test_a_pipe_is_no_video(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")  # nobody writes: to open it would wait for ever
    assert reason(tmp_path / "a.mp4") == "no file"


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


@pytest.mark.parametrize("name, format", [("3.jpg", "JPEG"), ("3.png", "PNG"), ("3.webp", "WEBP"), ("3.tif", "TIFF"), ("3.ppm", "PPM")])
def test_a_folder_with_a_frame_cut_short_is_damaged_and_says_which(tmp_path, name, format):
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 256, [32, 32, 3], np.uint8)
        Image.fromarray(noise).save(tmp_path / name.replace("3", str(number)), format)
    assert decode.probe(str(tmp_path)).frames == 6
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content + bytes(30))
    if format in ("JPEG", "PNG", "PPM"):
        assert decode.probe(str(tmp_path)).frames == 6  # bytes too many do no harm
    (tmp_path / name).write_bytes(content[:-200])
    assert re.match(f"damaged: {name} does not decode \\(|cannot be decoded: {name} is no picture", reason(tmp_path))


def test_frames_that_go_or_change_while_they_are_used_are_told_and_another_stands_in(tmp_path, caplog):
    folder = tmp_path / "frames"
    frames = shown(folder, *[Image.new("L", (8, 8), 10 * number) for number in range(6)])
    facts = decode.probe(str(folder))
    (folder / "0.png").unlink()
    (folder / "2.png").unlink()
    Image.new("L", (9, 9), 255).save(folder / "4.png")
    with caplog.at_level("WARNING"):
        read = decode.read(str(folder), range(6), facts)
    np.testing.assert_array_equal(read, frames[[1, 1, 1, 3, 3, 5]])
    assert f"{folder}: No such file or directory; another frame stands in" in caplog.text
    for file in folder.iterdir():
        file.write_text("no picture any more")
    with pytest.raises(ValueError, match="frames: cannot be decoded: 1.png is no picture"):
        decode.read(str(folder), [1, 3], facts)


def test_a_recording_that_begins_or_ends_in_the_middle_is_what_of_it_decodes(tmp_path):
    whole = noise_video(tmp_path / "a.ts", 60, g="12", bf="2").read_bytes()
    (tmp_path / "begins.ts").write_bytes(whole[188 * 60 :])
    (tmp_path / "ends.ts").write_bytes(whole[: -188 * 4 - 50])
    for name in ("begins.ts", "ends.ts"):
        facts, frames = decode.probe(str(tmp_path / name)), all_frames(tmp_path / name)
        assert 30 < facts.frames == len(frames) < 60
        for number in range(0, len(frames), 5):
            np.testing.assert_array_equal(decode.read(str(tmp_path / name), [number], facts), frames[[number]])

"""A zoo of video files: every frame, read alone, is the frame that the ffmpeg program decodes there, and is shown when it says.

The files are made here, by the ffmpeg of imageio-ffmpeg, another build than PyAV's.
"""

import io
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfvideogan.data import decode

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="makes the files; pip install -e .[test]")

FRAMES, RATE = 40, 20
X264 = "-c:v libx264 -preset ultrafast -g 12 -x264-params "
SMALL = (
    "palette.mov tiff.mov in_avi.avi exif5.avi exif6.avi vp8_arf.webm "
    "h264_b.mp4 h264_open_gop.mkv cut.mp4 cut_open_gop.mkv hflip.mp4 rotated90.mp4 mpeg4.avi dropped.avi mpeg2.ts"
).split()

# Name of the file: options of the encoder. `@size` and `@frames` are the source's, if others; VP8 hides
# frames only in two `@passes`, and of a quiet `@pattern` of ffmpeg's.
ENCODED = {
    "h264.mp4": X264 + "bframes=0",
    "h264_b.mp4": X264 + "bframes=3",
    "h264_b_pyramid.mkv": X264 + "bframes=8:b-pyramid=normal:b-adapt=0",
    "h264_open_gop.mkv": X264 + "bframes=3:open-gop=1:b-adapt=0",
    "h264_open_gop.mp4": X264 + "bframes=3:open-gop=1:b-adapt=0",
    "h264_intra.mov": X264 + "keyint=1",
    "h264_intra_refresh.mp4": X264 + "intra-refresh=1:keyint=12",
    "h264_interlaced.mp4": X264 + "interlaced=1:bframes=2",
    "h264_high.mp4": "-c:v libx264 -preset slow -g 12 -refs 5",
    "h264_10bit.mkv": "-pix_fmt yuv420p10 -c:v libx264 -g 12",
    "h264_444.mp4": "-pix_fmt yuv444p -c:v libx264 -g 12",
    "h264_scaling_lists.mp4": X264 + "cqm=jvt",
    "h264_fragmented.mp4": X264 + "bframes=3 -movflags frag_keyframe+empty_moov",
    "h264.ts": X264 + "bframes=3",
    "h264.m2ts": X264 + "bframes=3",
    "h264.flv": X264 + "bframes=3",
    "h264.3gp": X264 + "bframes=0",
    "h264_b.avi": X264 + "bframes=3",
    "h264.h264": X264 + "bframes=3",
    "h264_odd_size.mkv": "-pix_fmt yuv444p -c:v libx264 -g 12 @size=63x47",
    "h264_one_frame.mp4": X264 + "bframes=3 @frames=1",
    "hevc.mp4": "-c:v libx265 -preset ultrafast -g 12 -x265-params log-level=none",
    "hevc_open_gop.mkv": "-c:v libx265 -x265-params log-level=none:open-gop=1:keyint=12:min-keyint=12:bframes=3",
    "hevc_closed.mov": "-c:v libx265 -x265-params log-level=none:open-gop=0:keyint=12 -tag:v hvc1",
    "mpeg4.avi": "-c:v mpeg4 -g 12 -q:v 3",
    "mpeg4_b.avi": "-c:v mpeg4 -g 12 -q:v 3 -bf 2",
    "mpeg4_b.mp4": "-c:v mpeg4 -g 12 -q:v 3 -bf 2",
    "mpeg4.m4v": "-c:v mpeg4 -g 12 -q:v 3 -f mp4",
    "xvid.avi": "-c:v libxvid -g 12 -q:v 3 -bf 1",
    "mpeg1.mpg": "-c:v mpeg1video -g 12 -q:v 3 -bf 2 -r 25",
    "mpeg2.mpg": "-c:v mpeg2video -g 12 -q:v 3 -bf 2 -r 25",
    "mpeg2.vob": "-c:v mpeg2video -g 12 -q:v 3 -r 25",
    "mpeg2.ts": "-c:v mpeg2video -g 12 -q:v 3 -bf 2 -r 25",
    "mpeg2_interlaced.mkv": "-c:v mpeg2video -g 12 -q:v 3 -bf 2 -flags +ildct+ilme -r 25",
    "mpeg2.m2v": "-c:v mpeg2video -g 12 -q:v 3 -bf 2 -r 25",
    "mjpeg.avi": "-pix_fmt yuvj420p -c:v mjpeg -q:v 3",
    "mjpeg.mov": "-pix_fmt yuvj420p -c:v mjpeg -q:v 3",
    "vp8.webm": "-c:v libvpx -g 12 -auto-alt-ref 0 -b:v 500k",
    "vp8_arf.webm": "-c:v libvpx -g 60 -auto-alt-ref 1 -lag-in-frames 16 -b:v 200k @passes=2 @size=128x96 @frames=90 @pattern=testsrc2",
    "vp8_arf.ivf": "-c:v libvpx -g 60 -auto-alt-ref 1 -lag-in-frames 16 -b:v 200k @passes=2 @size=128x96 @frames=90 @pattern=testsrc2",
    "vp8_odd_size.webm": "-c:v libvpx -g 12 -b:v 500k @size=63x47",
    "vp9.webm": "-c:v libvpx-vp9 -g 20 -auto-alt-ref 1 -lag-in-frames 16 -cpu-used 8 -deadline realtime -b:v 200k",
    "vp9_arf.mp4": "-c:v libvpx-vp9 -g 20 -auto-alt-ref 1 -lag-in-frames 16 -cpu-used 5 -b:v 100k @passes=2",
    "av1.mp4": "-c:v libsvtav1 -preset 12 -g 20 -svtav1-params log=0",
    "av1.mkv": "-c:v libaom-av1 -cpu-used 8 -g 20 -b:v 100k",
    "theora.ogv": "-c:v libtheora -g 12 -q:v 7",
    "prores.mov": "-pix_fmt yuv422p10 -c:v prores_ks",
    "dnxhr.mxf": "-pix_fmt yuv422p -c:v dnxhd -profile:v dnxhr_lb -r 25 @size=256x128",
    "ffv1.mkv": "-c:v ffv1 -g 12",
    "ffv1_odd_size.avi": "-c:v ffv1 -g 12 @size=63x47",
    "huffyuv.avi": "-pix_fmt yuv422p -c:v huffyuv",
    "utvideo.mkv": "-pix_fmt gbrp -c:v utvideo",
    "raw.avi": "-pix_fmt bgr24 -c:v rawvideo",
    "raw.y4m": "-c:v rawvideo",
    "png.mov": "-pix_fmt rgb24 -c:v png",
    "qtrle.mov": "-pix_fmt rgb24 -c:v qtrle -g 12",
    "a.gif": "-c:v gif",
    "odd_size.gif": "-c:v gif @size=63x47",
    "one_frame.gif": "-c:v gif @frames=1",
    "a.apng": "-pix_fmt rgb24 -c:v apng -plays 0",
    "wmv2.wmv": "-c:v wmv2 -g 12 -q:v 3",
    "wmv1.asf": "-c:v wmv1 -g 12 -q:v 3",
    "msmpeg4.avi": "-c:v msmpeg4 -g 12 -q:v 3",
    "flv1.flv": "-c:v flv -g 12 -q:v 3",
    "dv.dv": "-pix_fmt yuv420p -c:v dvvideo -r 25 @size=720x576 @frames=8",
    "dv.avi": "-pix_fmt yuv420p -c:v dvvideo -r 25 @size=720x576 @frames=8",
    "h263.3gp": "-c:v h263 -g 12 -q:v 3 @size=128x96",
    "h261.mkv": "-c:v h261 -g 12 -q:v 3 @size=176x144",
    "rv10.rm": "-c:v rv10 -g 12 -q:v 3",
    "cinepak.avi": "-pix_fmt rgb24 -c:v cinepak -g 12 @frames=20",
    "svq1.mov": "-pix_fmt yuv410p -c:v svq1 -g 12",
    "h264_bt709.mp4": "-vf scale=out_color_matrix=bt709 -colorspace bt709 -color_primaries bt709 -color_trc bt709 " + X264 + "bframes=2",
    "h264_full_range.mov": "-vf scale=out_range=pc -color_range pc " + X264 + "bframes=2",
    "h264_rgb.mkv": "-pix_fmt rgb24 -c:v libx264rgb -preset ultrafast -g 12",
    "h264_gray.mp4": "-pix_fmt gray -c:v libx264 -preset ultrafast -g 12",
    "h264_2x2.mp4": X264 + "bframes=2 @size=2x2",
    "h264_ntsc.mp4": "-r 30000/1001 " + X264 + "bframes=2",
    "h264_slow.mp4": "-r 1/2 @frames=60 " + X264 + "bframes=2",
    "hevc_10bit.mp4": "-pix_fmt yuv420p10 -c:v libx265 -preset ultrafast -x265-params log-level=none",
    "vvc.mp4": "-c:v libvvenc -preset faster",
    "vp9_10bit.webm": "-pix_fmt yuv420p10 -c:v libvpx-vp9 -g 20 -cpu-used 8 -deadline realtime",
    "av1_hidden.webm": "-c:v libaom-av1 -cpu-used 8 -g 60 -lag-in-frames 25 -b:v 60k @frames=60",
    "gray16.mkv": "-pix_fmt gray16le -c:v ffv1",
    "rgb48.mkv": "-pix_fmt rgb48 -c:v ffv1",
    "one_pixel.mkv": "-pix_fmt bgr0 -c:v ffv1 @size=1x1",
    "palette.mkv": "-pix_fmt pal8 -c:v png",
    "palette.mov": "-pix_fmt pal8 -c:v smc -g 12",
    "palette.avi": "-pix_fmt pal8 -c:v msrle -g 12",
    "rgb555.avi": "-pix_fmt rgb555le -c:v rawvideo",
    "tiff.mov": "-pix_fmt rgb24 -c:v tiff",
    "dpx.mov": "-pix_fmt rgb24 -c:v dpx",
    "jpeg2000.mxf": "-c:v jpeg2000 -r 25",
    "cfhd.mov": "-pix_fmt yuv422p10 -c:v cfhd @size=128x96",
    "v210.mov": "-pix_fmt yuv422p10 -c:v v210",
    "zmbv.avi": "-pix_fmt bgr0 -c:v zmbv -g 12",
    "flashsv.flv": "-pix_fmt bgr24 -c:v flashsv -g 12",
    "magicyuv.avi": "-pix_fmt gbrp -c:v magicyuv",
    "amv.avi": "-pix_fmt yuvj420p -c:v amv",
    "roq.roq": "-pix_fmt yuvj444p -c:v roqvideo -r 30 @size=64x64",
    "variable_rate.mp4": "-vf settb=1/1000,setpts=N*50+10*mod(N\\,3) -fps_mode passthrough -enc_time_base 1:1000 " + X264 + "bframes=3",
    "variable_rate.mkv": "-vf settb=1/1000,setpts=N*40+N*N -fps_mode passthrough -enc_time_base 1:1000 -c:v ffv1 -g 12",
    "dropped.avi": "-vf select=lt(mod(n\\,10)\\,4)+gt(mod(n\\,10)\\,6) -fps_mode vfr -c:v mpeg4 -g 12 -q:v 3",
    "late.mp4": X264 + "bframes=3 -output_ts_offset 5",
    "late.mkv": X264 + "bframes=3 -output_ts_offset 7.3",
    "late.ts": X264 + "bframes=3 -output_ts_offset 3600",
    "negative.mov": X264 + "bframes=0 -output_ts_offset -1 -avoid_negative_ts disabled",
}

# Name of the file: (the one it is made of, options before it, options after it). Nothing is encoded again.
COPIED = {
    "cut.mp4": ("h264_b.mp4", "-ss 1.1", ""),
    "cut.mov": ("h264_b.mp4", "-ss 0.85", "-t 0.6"),
    "cut_open_gop.mp4": ("h264_open_gop.mp4", "-ss 0.9", ""),
    "cut_open_gop.mkv": ("h264_open_gop.mp4", "-ss 0.7", ""),
    "cut_b.mkv": ("h264_b.mp4", "-ss 1.1", ""),
    "cut_intra_refresh.mp4": ("h264_intra_refresh.mp4", "-ss 0.9", ""),
    "cut_hevc.mp4": ("hevc_open_gop.mkv", "-ss 0.9", ""),
    "cut_mpeg4.mp4": ("mpeg4_b.mp4", "-ss 0.9", ""),
    "cut_vp9.webm": ("vp9.webm", "-ss 1.2", ""),
    "cut_mpeg2.mpg": ("mpeg2.mpg", "-ss 0.8", ""),
    "rotated90.mp4": ("h264_b.mp4", "-display_rotation 90", ""),
    "rotated180.mov": ("h264_b.mp4", "-display_rotation 180", ""),
    "rotated270.mkv": ("h264_b.mp4", "-display_rotation 270", ""),
    "hflip.mp4": ("h264_b.mp4", "-display_hflip", ""),
    "vflip.mov": ("h264_b.mp4", "-display_vflip", ""),
    "rotated90_hflip.mp4": ("h264_b.mp4", "-display_rotation 90 -display_hflip", ""),
    "rotated270_vflip.mp4": ("hevc.mp4", "-display_rotation 270 -display_vflip", ""),
    "in_avi.avi": ("h264_b.mp4", "", ""),
    "cut_twice.mp4": ("cut.mov", "-ss 0.2", ""),
    "fragmented.mp4": ("cut.mp4", "", "-movflags frag_keyframe+empty_moov+default_base_moof"),
    "from_ts.mp4": ("h264.ts", "", ""),
    "turned_by_message.mp4": ("h264_b.mp4", "", "-bsf:v h264_metadata=display_orientation=insert:rotate=90"),
}
PIECES = {  # a recording that begins, or ends, in the middle of a packet, or has another after it
    "begins_inside.ts": lambda folder: (folder / "mpeg2.ts").read_bytes()[188 * 30 :],
    "begins_inside_h264.ts": lambda folder: (folder / "h264.ts").read_bytes()[188 * 40 :],
    "ends_inside.mkv": lambda folder: (folder / "ffv1.mkv").read_bytes()[:-3000],
    "twice.ts": lambda folder: (folder / "h264.ts").read_bytes() * 2,
    **{f"exif{value}.avi": lambda folder, value=value: mjpeg_of(folder, value) for value in (1, 2, 5, 6)},
}


def ffmpeg(*arguments: str | int | Path, content: bytes = b"") -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, input=content, capture_output=True)
    assert done.stdout or not done.returncode, done.stderr.decode()
    return done.stdout


def source(frames: int, size: str) -> tuple[np.ndarray, list[str]]:
    """A blurred landscape that moves and changes, uint8 [T,h,w,3]; and how ffmpeg is told of it."""
    width, height = map(int, size.split("x"))
    landscape = np.random.default_rng(0).integers(0, 256, [height // 8 + 2, (width + 2 * frames) // 8 + 2, 3], np.uint8)
    landscape = landscape.repeat(8, 0).repeat(8, 1)
    pictures = np.stack([landscape[:height, 2 * t : 2 * t + width] for t in range(frames)])
    for t in range(frames):
        pictures[t, : height // 4] = 255 * (t % 3 == 0)
    return pictures, ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(RATE), "-i", "-"]


def mjpeg_of(folder: Path, orientation: int) -> bytes:
    """JPEG pictures of a camera, which say how it was held, as an AVI."""
    exif, (pictures, _) = Image.Exif(), source(8, "64x48")
    exif[0x0112] = orientation
    jpegs = []
    for picture in pictures:
        Image.fromarray(picture).save(file := io.BytesIO(), "JPEG", exif=exif, quality=95)
        jpegs.append(file.getvalue())
    path = folder / f"mjpeg{orientation}.avi"
    ffmpeg("-f", "mjpeg", "-framerate", RATE, "-i", "-", "-c", "copy", path, content=b"".join(jpegs))
    return path.read_bytes()


def make(folder: Path, name: str) -> Path:
    path = folder / name
    if path.exists():
        return path
    if name in PIECES:
        for whole in ("mpeg2.ts", "h264.ts", "ffv1.mkv"):
            make(folder, whole)
        path.write_bytes(PIECES[name](folder))
    elif name in COPIED:
        of, before, after = COPIED[name]
        ffmpeg(*before.split(), "-i", make(folder, of), "-c", "copy", *after.split(), path)
    else:
        changed = dict(re.findall(r"@(\w+)=(\S+)", ENCODED[name]))
        frames, told = source(int(changed.get("frames", FRAMES)), changed.get("size", "64x48"))
        if "pattern" in changed:
            told = ["-f", "lavfi", "-i", f"{changed['pattern']}=size={changed['size']}:rate={RATE}:duration={len(frames) / RATE}"]
        options = re.sub(r"@\S+", "", ENCODED[name]).split()
        options += [] if "-pix_fmt" in options or "gif" in name else ["-pix_fmt", "yuv420p"]
        for number in range(1, int(changed.get("passes", 1)) + 1):
            twice = ["-pass", number, "-passlogfile", folder / name] if "passes" in changed else []
            ffmpeg(*told, *options, *twice, path, content=frames.tobytes())
    return path


def decoded_by_ffmpeg(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """All frames, uint8 [T,h,w,3], and their times in seconds from the first."""
    one = ("-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "demux", "-pix_fmt", "rgb24", "-c:v", "rawvideo")
    listing = path.with_name(path.name + ".framecrc")
    pixels = ffmpeg("-i", path, *one, "-f", "rawvideo", "-", *one, "-f", "framecrc", listing)
    lines = listing.read_text().splitlines()
    base = next(line for line in lines if line.startswith("#tb")).split()[-1].split("/")
    width, height = next(line for line in lines if line.startswith("#dimensions")).split()[-1].split("x")
    stamps = np.array([int(line.split(",")[2]) for line in lines if not line.startswith("#")])
    frames = np.frombuffer(pixels, np.uint8).reshape([-1, int(height), int(width), 3])
    return frames, (stamps - stamps[0]) * (int(base[0]) / int(base[1]))


def check(path: Path, table: list[str]) -> None:
    """Adds a row to the table: the file, what is wrong with it if anything, its frames, how they are known."""
    truth, times = decoded_by_ffmpeg(path)
    facts = decode.probe(str(path))
    faults = []
    if facts.frames != len(truth):
        faults.append(f"{facts.frames} frames, not {len(truth)}")
    elif (facts.height, facts.width) != truth.shape[1:3]:
        faults.append(f"{facts.width}x{facts.height}, not {truth.shape[2]}x{truth.shape[1]}")
    else:
        whole = np.stack(list(decode.stream(str(path), facts)))
        off = np.abs(whole.astype(int) - truth).mean((1, 2, 3))
        if off.max() > 6:  # two versions of swscale differ by up to 5; one frame and the next, by 20 and more
            faults.append(f"frame {off.argmax()} is off by {off.max():.1f}")
        last = facts.frames - 1
        wrong = [i for i in range(facts.frames) if (decode.read(str(path), [i], facts) != whole[i]).any()]
        pairs = [[i, min(i + 3, last)] for i in range(0, facts.frames, 5)]
        wrong += [i for i, j in pairs if (decode.read(str(path), [i, j], facts) != whole[[i, j]]).any()]
        if wrong:
            faults.append(f"read alone, frames {wrong} are others")
        if np.abs(facts.times - times).max() > 2e-3:
            faults.append(f"times {facts.times[:4]}, not {times[:4]}")
    known = "by decoding" if facts.checksums.size else "by packets" if facts.stamps.size else "counted"
    table.append(f"{path.name:26} {len(truth):3} frames, {len(facts.keys)} keys, {known:11} {'; '.join(faults) or 'as ffmpeg'}")
    if faults:
        table[-1] = "WRONG " + table[-1]


def show(table: list[str]) -> None:
    print("\n" + "\n".join(table))
    assert not [row for row in table if row.startswith("WRONG")]


@pytest.mark.parametrize("name", SMALL)
def test_every_frame_read_alone_is_the_one_that_ffmpeg_decodes_there(tmp_path, name):
    table: list[str] = []
    check(make(tmp_path, name), table)
    show(table)


@pytest.mark.slow
def test_the_whole_zoo(tmp_path):
    table: list[str] = []
    for name in [*ENCODED, *COPIED, *PIECES]:
        check(make(tmp_path, name), table)
    assert len(table) >= 130
    show(table)


def test_a_file_that_shows_less_than_it_promises_is_cut_short(tmp_path):
    shutil.copy(make(tmp_path, "cut.mp4"), tmp_path / "whole.mp4")
    ffmpeg("-i", tmp_path / "whole.mp4", "-c", "copy", "-movflags", "faststart", tmp_path / "fast.mp4")
    content = (tmp_path / "fast.mp4").read_bytes()
    (tmp_path / "fast.mp4").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(ValueError, match="truncated: "):
        decode.probe(str(tmp_path / "fast.mp4"))

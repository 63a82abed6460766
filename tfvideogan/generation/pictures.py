"""The files that clips are shown in: grids, contact sheets, GIF, MP4, PNG. Clips here are uint8."""

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from tfvideogan.config import UserError
from tfvideogan.files import write_whole

GAP, MARGIN = 1, 3  # pixels between clips, and around row names
SHEET_FRAMES = 8  # of a contact sheet's row
PALETTE_PIXELS = 50_000  # at most, behind the palette of a GIF


def grid(videos: np.ndarray, columns: int, row_names: Sequence[str] = ()) -> np.ndarray:
    """Tiles clips row by row: uint8 [N,T,H,W,3] -> [T,H',W',3], black where N does not fill the last row."""
    n, frames, height, width, _ = videos.shape
    rows = -(-n // columns)
    tiles = np.zeros([rows * columns, frames, height + GAP, width + GAP, 3], np.uint8)
    tiles[:n, :, :height, :width] = videos
    tiles = tiles.reshape([rows, columns, *tiles.shape[1:]]).transpose(2, 0, 3, 1, 4, 5)  # [T,rows,h,columns,w,3]
    picture = tiles.reshape([frames, rows * (height + GAP), columns * (width + GAP), 3])
    names = _names(row_names, height + GAP)
    return np.concatenate([np.broadcast_to(names, [frames, *names.shape]), picture], 2) if row_names else picture


def contact_sheet(videos: np.ndarray, frames: int, row_names: Sequence[str] = ()) -> np.ndarray:
    """One clip a row, `frames` evenly spaced frames of it side by side: uint8 [N,T,H,W,3] -> [H',W',3]."""
    picked = videos[:, np.linspace(0, videos.shape[1] - 1, min(frames, videos.shape[1])).round().astype(int)]
    return grid(picked.reshape([-1, 1, *picked.shape[2:]]), picked.shape[1], row_names)[0]


def write(path: str | Path, videos: np.ndarray, fps: float, columns: int, row_names: Sequence[str] = ()) -> None:
    """Writes clips uint8 [N,T,H,W,3], `columns` a named row: .gif and .mp4 play them side by side, .png is a contact sheet
    with a clip a row. Raises UserError for another ending, and for fps of 0 or less."""
    path = Path(path)
    if not fps > 0:
        raise UserError(f"--play_fps={fps}: want more than 0")
    if path.suffix == ".png":
        names = [name if column == 0 else "" for name in row_names for column in range(columns)]
        write_whole(path, tf.io.encode_png(contact_sheet(videos, SHEET_FRAMES, names)).numpy())
    elif path.suffix == ".gif":
        write_whole(path, gif_bytes(grid(videos, columns, row_names), fps))
    elif path.suffix == ".mp4":
        write_whole(path, mp4_bytes(grid(videos, columns, row_names), fps))
    else:
        raise UserError(f"--output={path}: want .gif, .mp4 or .png")


def gif_bytes(video: np.ndarray, fps: float) -> bytes:
    """uint8 [T,H,W,3] as an animated GIF that plays for ever; a GIF counts time in hundredths of a second, at least 2 a frame."""
    # One palette for all frames: colours stay put from frame to frame, and 48 clips of 64x64x16 take 0.2 s, not 0.7.
    pixels = video.reshape([-1, 3])
    # Drawn at random: every k-th pixel would be the same few columns of each frame when k divides a multiple of the width.
    sample = np.random.default_rng(0).choice(pixels, min(len(pixels), PALETTE_PIXELS), replace=False, shuffle=False)
    palette = Image.fromarray(sample[None]).quantize(256, kmeans=5)
    frames = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in video]
    ends = np.round(np.arange(len(video) + 1) * 100 / fps)  # rounded after the sum: 8 fps is 12, 13, 13, 12, ...
    durations = [int(10 * hundredths) for hundredths in np.maximum(np.diff(ends), 2)]  # browsers play 0 and 1 as 10
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, disposal=1)
    return file.getvalue()


def mp4_bytes(video: np.ndarray, fps: float) -> bytes:
    """uint8 [T,H,W,3] as an H.264 MP4, or MPEG-4 part 2 where FFmpeg came without x264. Odd sides gain a black pixel, as
    the chroma planes have half the size."""
    codec, options = ("libx264", {"crf": "16"}) if "libx264" in av.codecs_available else ("mpeg4", {"qmax": "4"})
    video = np.pad(video, [(0, 0), (0, video.shape[1] % 2), (0, video.shape[2] % 2), (0, 0)])
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1000), options=options)
        stream.height, stream.width, stream.pix_fmt = *video.shape[1:3], "yuv420p"
        for frame in video:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def summary_gif(tag: str, video: np.ndarray, fps: float) -> None:
    """Writes uint8 [T,H,W,3] to the default summary writer as an image that TensorBoard plays."""
    metadata = tf.compat.v1.SummaryMetadata(plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="images"))
    size = [str(video.shape[2]), str(video.shape[1])]  # the images plugin wants width, height, encoded picture
    tf.summary.write(tag, tf.constant([*(s.encode() for s in size), gif_bytes(video, fps)]), metadata=metadata)


def _names(names: Sequence[str], row_height: int) -> np.ndarray:
    """The names, one a row of `row_height` pixels, white on black: uint8 [H,W,3]."""
    font = ImageFont.load_default()
    width = max([round(font.getlength(name)) for name in names], default=0) + 2 * MARGIN
    picture = Image.new("RGB", (width, row_height * len(names)))
    draw = ImageDraw.Draw(picture)
    for row, name in enumerate(names):
        draw.text((MARGIN, (row + 0.5) * row_height), name, anchor="lm", font=font)
    return np.asarray(picture)

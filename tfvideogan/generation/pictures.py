"""The files that clips are shown in: grids, contact sheets, GIF, MP4, PNG, folders of PNG. Clips here are uint8."""

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from tfvideogan.config import UserError
from tfvideogan.files import whole_file, write_whole
from tfvideogan.generation import players

GAP, MARGIN = 1, 3  # pixels between clips, and around row names
SLOWEST, FASTEST = 0.01, 1000.0  # frames a second: a GIF's counter ends at 655 s a frame
SHEET_FRAMES = 8  # of a contact sheet's row
FRAME = "{:06d}.png"  # a folder's, by its number from 0 on


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
    picked = videos[:, sheet_times(videos.shape[1], frames)]
    return grid(picked.reshape([-1, 1, *picked.shape[2:]]), picked.shape[1], row_names)[0]


def sheet_times(length: int, frames: int) -> np.ndarray:
    """The numbers of the `frames` frames, or fewer, of a contact sheet of clips of this length."""
    return np.linspace(0, length - 1, min(frames, length)).round().astype(int)


def write(path: str | Path, videos: np.ndarray, fps: float, columns: int, row_names: Sequence[str] = ()) -> None:
    """Writes clips uint8 [N,T,H,W,3], as `opened` does."""
    with opened(path, videos.shape[1], fps, columns, row_names) as add:
        add(videos)


def opened(
    path: str | Path, frames: int, fps: float, columns: int, row_names: Sequence[str] = ()
) -> contextlib.AbstractContextManager[Callable[[np.ndarray], None]]:
    """A file, or a folder, of clips whose frames come one after the other, `columns` clips a named row.

    .gif and .mp4 play the clips side by side; .png is a contact sheet with a clip a row; a path without an ending is a folder of
    PNG, one a frame. Memory does not grow with the frames. A file is there whole once the context ends, or not at all.

    Args:
        frames: that come in all.
    Returns: a context of a function that takes the next frames, uint8 [N,t,H,W,3].
    Raises: UserError for another ending, for fps that no player has, and for a folder with frames of a longer clip.
    """
    path = Path(path)
    if not SLOWEST <= fps <= FASTEST:
        raise UserError(f"--play_fps={fps:g}: expected {SLOWEST:g} to {FASTEST:g}")
    if path.suffix == ".png":
        return _sheet(path, frames, columns, row_names)
    if path.suffix in players.PLAYERS:
        return _played(path, fps, columns, row_names)
    if path.suffix:
        raise UserError(f"--output={path}: expected .gif, .mp4 or .png, or a folder, without an ending")
    if (beyond := path / FRAME.format(frames)).exists():
        raise UserError(f"--output={path}: holds {beyond.name} of a longer clip, which would stay there; expected a new folder")
    return _folder(path, columns, row_names)


@contextlib.contextmanager
def _sheet(path: Path, frames: int, columns: int, row_names: Sequence[str]) -> Iterator[Callable[[np.ndarray], None]]:
    times, seen = sheet_times(frames, SHEET_FRAMES), 0
    kept: list[np.ndarray] = []

    def add(videos: np.ndarray) -> None:
        nonlocal seen
        kept.extend(videos[:, t - seen] for t in times if seen <= t < seen + videos.shape[1])
        seen += videos.shape[1]

    yield add
    names = [name if column == 0 else "" for name in row_names for column in range(columns)]
    write_whole(path, tf.io.encode_png(contact_sheet(np.stack(kept, 1), SHEET_FRAMES, names)).numpy())


@contextlib.contextmanager
def _played(path: Path, fps: float, columns: int, row_names: Sequence[str]) -> Iterator[Callable[[np.ndarray], None]]:
    with whole_file(path) as file:
        player = players.PLAYERS[path.suffix](file, fps)
        yield lambda videos: player.add(grid(videos, columns, row_names))
        player.close()


@contextlib.contextmanager
def _folder(path: Path, columns: int, row_names: Sequence[str]) -> Iterator[Callable[[np.ndarray], None]]:
    seen = 0

    def add(videos: np.ndarray) -> None:
        nonlocal seen
        for frame in grid(videos, columns, row_names):
            write_whole(path / FRAME.format(seen), tf.io.encode_png(frame).numpy())
            seen += 1

    yield add


def gif_bytes(video: np.ndarray, fps: float) -> bytes:
    """uint8 [T,H,W,3] as an animated GIF: see `players.Gif`."""
    return _bytes(players.Gif, video, fps)


def mp4_bytes(video: np.ndarray, fps: float) -> bytes:
    """uint8 [T,H,W,3] as an MP4: see `players.Mp4`."""
    return _bytes(players.Mp4, video, fps)


def _bytes(kind: type[players.Gif] | type[players.Mp4], video: np.ndarray, fps: float) -> bytes:
    file = io.BytesIO()
    player = kind(file, fps)
    player.add(video)
    player.close()
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

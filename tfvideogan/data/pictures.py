"""Pictures, decoded by Pillow as an image viewer shows them: strips of square frames, animations, folders of frames."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from tfvideogan.data import paths
from tfvideogan.data.facts import Facts, check_size

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2", ".avif"),
)
FPS = 25  # strips and folders of frames say no times; MoCoGAN's are of 25 frames a second
ORIENTATION, LYING = 0x0112, (5, 6, 7, 8)  # EXIF's tag, and its values for rows that are columns
END_OF_JPEG, END_OF_PNG = b"\xff\xd9", b"IEND\xaeB`\x82"
ENDS = {".png": END_OF_PNG, **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), END_OF_JPEG)}  # the last bytes of a whole file


def probe(path: str) -> Facts:
    """Looks at a picture that is a video: an animation, or a strip of square frames. Raises ValueError if it is neither."""
    with paths.opened(path) as file, _image(path, file) as image:
        height, width = _size(image, file)
        frames = pages(image)
        if frames > 1:
            check_size(height, width)
            return Facts(height, width, _animation_times(path, image, frames))
    short, long = sorted((height, width))
    if long % short or long == short:
        raise ValueError(f"a picture of {width}x{height}: expected a strip of square frames, its long side a multiple of the short one")
    return Facts(short, short, np.arange(long // short, dtype=np.float32) / FPS)


def probe_folder(folder: str) -> Facts:
    """Looks at a folder of frames. Raises ValueError if there are none, of several sizes, or one is damaged."""
    files = names(folder)
    if not files:
        raise ValueError(f"no frames ({' '.join(SUFFIXES)})")
    first: tuple[int, int] | None = None
    for name in files:
        path = paths.join(folder, name)
        with paths.opened(path) as file, _image(path, file) as image:
            size = _size(image, file)
        check_size(*size)
        first = first or size
        if size != first:
            raise ValueError(f"frames of several sizes: the first is {first[1]}x{first[0]}, not so {name}")
        if not _ends_well(path):
            picture(path)
    height, width = size  # of the last, and so of all
    return Facts(height, width, np.arange(len(files), dtype=np.float32) / FPS, files=tuple(files))


def names(folder: str) -> list[str]:
    """The frames of a folder in the order of the numbers in their names: 2.png before 10.png, t-1.png before t0.png."""
    return in_order(name for name in paths.children(folder) if paths.suffix(name) in SUFFIXES and paths.is_plain(name))


def in_order(names: Iterable[str]) -> list[str]:
    """Names of files in the order of the numbers in them."""
    found = list(names)
    heads = {re.split(r"\d", name)[0] for name in found}

    def order(name: str) -> list[int | str]:
        head, *rest = re.split(r"(\d+)", name)
        numbered: list[int | str] = [int(part) if part.isdecimal() else part for part in rest]
        if numbered and head.endswith("-") and head[:-1] in heads:  # a sign, where other names are without it
            return [head[:-1], -int(rest[0]), *numbered[1:]]
        return [head, *numbered]

    return sorted(found, key=order)


def read(path: str, indices: Sequence[int], facts: Facts) -> Iterator[tuple[int, np.ndarray]]:
    """(number, frame) of the frames of these rising numbers. Raises ValueError or OSError where the picture is damaged, or gone, or
    another by now; in a folder, after the frames that are not.
    """
    wanted, fault = set(indices), None
    for number, frame in enumerate(_frames(path)) if not facts.files else _files(path, indices, facts.files):
        if isinstance(frame, Exception):
            fault = fault or frame
        elif frame.shape[:2] != (facts.height, facts.width):
            fault = fault or ValueError(f"frames of {frame.shape[1]}x{frame.shape[0]}, no longer {facts.width}x{facts.height}")
        elif number in wanted:
            yield number, frame
        if number >= indices[-1]:
            break
    if fault:
        raise fault


def stream(path: str, facts: Facts) -> Iterator[np.ndarray]:
    """Every frame in turn. Raises as `read`."""
    return (frame for _, frame in read(path, range(facts.frames), facts))


def picture(path: str) -> np.ndarray:
    """uint8 [h,w,3]. Raises ValueError if it is damaged."""
    with paths.opened(path) as file, _image(path, file) as image:
        return _pixels(path, image)


def _files(folder: str, indices: Sequence[int], files: Sequence[str]) -> Iterator[tuple[int, np.ndarray | Exception]]:
    """(number, frame), or what is wrong with it, of the frames of a folder."""
    for index in indices:
        try:
            yield index, picture(paths.join(folder, files[index]))
        except (ValueError, OSError, tf.errors.OpError) as error:
            yield index, error


def _frames(path: str) -> Iterator[np.ndarray]:
    """The frames of an animation or a strip."""
    with paths.opened(path) as file, _image(path, file) as image:
        frames = pages(image)
        if frames == 1:
            yield from _split(_pixels(path, image))
            return
        for number in range(frames):
            _seek(path, image, number)
            yield _pixels(path, image)


def pages(image: Image.Image) -> int:
    """Frames of an animation; 1 of a still picture. Raises ValueError where the file is damaged."""
    if image.format == "MPO":
        return 1  # a telephone's JPEG: what comes after the first picture is for depth, or another eye
    with _saying("damaged: its frames cannot be counted"):
        return getattr(image, "n_frames", 1)


@contextlib.contextmanager
def _saying(what: str) -> Iterator[None]:
    """Raises ValueError for what goes wrong within: of a damaged file Pillow raises all kinds, IndexError and RuntimeError among them."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"{what} ({error})") from error


def _image(path: str, file: IO[bytes]) -> Image.Image:
    """A picture of which the header is read."""
    try:
        return Image.open(file)
    except Image.DecompressionBombError as error:
        raise ValueError(f"too large: {error}") from error
    except Exception as error:  # see `_saying`
        raise ValueError(f"cannot be decoded: {path.rpartition('/')[2]} is no picture") from error


def _ends_well(path: str) -> bool:
    """Whether a file surely has its last bytes."""
    with paths.opened(path) as file:
        file.seek(-min(file.seek(0, 2), len(END_OF_PNG)), 2)
        return file.read().endswith(ENDS.get(paths.suffix(path), b"?"))


def _seek(path: str, image: Image.Image, number: int) -> None:
    with _saying(f"damaged: {path.rpartition('/')[2]} does not decode after frame {number - 1}"):
        image.seek(number)
        image.load()  # a WebP tells how long it shows a picture only then


def _size(image: Image.Image, file: IO[bytes]) -> tuple[int, int]:
    """(height, width), upright, of a picture and the file it is read from."""
    width, height = image.size
    # Pillow turns a TIFF itself, and tells its size as turned. To look for the orientation of a PNG it decodes it.
    has_orientation = image.format != "TIFF" and (image.format != "PNG" or _holds(file, b"eXIf", b"exif"))
    with _saying("damaged: its EXIF cannot be read"):
        return (width, height) if has_orientation and image.getexif().get(ORIENTATION) in LYING else (height, width)


def _holds(file: IO[bytes], *words: bytes) -> bool:
    place = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(place)
    return any(word in content for word in words)


def _animation_times(path: str, image: Image.Image, frames: int) -> np.ndarray:
    shown = []
    for number in range(frames):
        _seek(path, image, number)
        shown.append(image.info.get("duration", 0) / 1000 or 1 / FPS)
    return np.concatenate([[0.0], np.cumsum(shown[:-1])]).astype(np.float32)


def _pixels(path: str, image: Image.Image) -> np.ndarray:
    """The picture on show, uint8 [h,w,3]: upright, 16 bits of gray as 8, transparent on white."""
    with _saying(f"damaged: {path.rpartition('/')[2]} does not decode"):
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):
            gray = np.asarray(image)
            if gray.min() < 0 or gray.max() > 0xFFFF:
                raise ValueError("gray of 32 bits: expected 8 or 16")
            return np.repeat((gray >> 8).astype(np.uint8)[:, :, None], 3, 2)
        if image.mode == "F":
            raise ValueError("gray of 32 bits: expected 8 or 16")
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("RGB"))


def _split(strip: np.ndarray) -> np.ndarray:
    """A strip, wide or tall, as frames: uint8 [h,w,3] -> [T,s,s,3]."""
    height, width, _ = strip.shape
    side = min(height, width)
    if height > width:
        return strip.reshape([-1, side, side, 3])
    return strip.reshape([side, -1, side, 3]).swapaxes(0, 1)

"""GIF and MP4, written frame by frame: memory does not grow with the frames. Frames here are uint8 [T,H,W,3], of one clip or a grid."""

import struct
from fractions import Fraction
from typing import BinaryIO, cast

import av
import numpy as np
from PIL import GifImagePlugin, Image

PALETTE_PIXELS = 50_000  # at most, behind the palette of a GIF


class Gif:
    """An animated GIF that plays for ever; it counts time in hundredths of a second, at least 2 a frame.

    One palette, of the frames that come first, serves all: colors stay put from frame to frame. Of each frame only the rectangle that
    changed is written.
    """

    def __init__(self, file: BinaryIO, fps: float):
        self.file, self.fps, self.frames = file, fps, 0
        self.palette: Image.Image | None = None
        self.before = np.zeros([0, 0], np.uint8)

    def add(self, video: np.ndarray) -> None:
        """The next frames [T,H,W,3]."""
        if self.palette is None:
            self.palette = self._begin(video)
        for frame in video:
            image = Image.fromarray(frame).quantize(palette=self.palette, dither=Image.Dither.NONE)
            indices = np.asarray(image)
            changed = indices != self.before if self.frames else np.ones(indices.shape, bool)
            changed[0, 0] |= not changed.any()  # a frame must show something
            (top, *_, bottom), (left, *_, right) = (np.flatnonzero(changed.any(axis)).tolist() * 2 for axis in (1, 0))
            part = image.crop((left, top, right + 1, bottom + 1))
            for block in GifImagePlugin.getdata(part, (left, top), duration=10 * self._hundredths(), disposal=1):
                self.file.write(block)
            self.before, self.frames = indices, self.frames + 1

    def close(self) -> None:
        self.file.write(b";")

    def _hundredths(self) -> int:
        """How long this frame is shown: its end is rounded, not its length, so 8 fps is 12, 13, 12, 13. Browsers play 0 and 1 as 10."""
        start, end = np.round(np.array([self.frames, self.frames + 1]) * 100 / self.fps)
        return max(int(end - start), 2)

    def _begin(self, video: np.ndarray) -> Image.Image:
        """Writes the head, and returns an image with the palette."""
        pixels = video.reshape([-1, 3])
        # Drawn at random: every k-th pixel would be the same few columns of each frame when k divides a multiple of the width.
        sample = np.random.default_rng(0).choice(pixels, min(len(pixels), PALETTE_PIXELS), replace=False, shuffle=False)
        palette = Image.fromarray(sample[None]).quantize(256, kmeans=5)
        colors = bytes(palette.getpalette() or ())[:768].ljust(768, b"\0")
        screen = struct.pack("<HHBBB", video.shape[2], video.shape[1], 0xF7, 0, 0)  # a palette of 256 colors of 8 bits
        self.file.write(b"GIF89a" + screen + colors + b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")  # 0 repeats: for ever
        return palette


def mp4_codec() -> tuple[str, dict[str, str]]:
    """The codec of an MP4 and its options: H.264, or MPEG-4 part 2 where FFmpeg came without x264."""
    return ("libx264", {"crf": "16"}) if "libx264" in av.codecs_available else ("mpeg4", {"qmax": "4"})


class Mp4:
    """An MP4. Odd sides gain a black pixel, as the chroma planes have half the size."""

    def __init__(self, file: BinaryIO, fps: float):
        codec, options = mp4_codec()
        self.container = av.open(file, "w", format="mp4")
        stream = self.container.add_stream(codec, rate=Fraction(fps).limit_denominator(1000), options=options)
        self.stream = cast(av.VideoStream, stream)

    def add(self, video: np.ndarray) -> None:
        """The next frames [T,H,W,3]."""
        video = np.pad(video, [(0, 0), (0, video.shape[1] % 2), (0, video.shape[2] % 2), (0, 0)])
        stream = self.stream
        if not stream.codec_context.is_open:
            stream.height, stream.width, stream.pix_fmt = *video.shape[1:3], "yuv420p"
        for frame in video:
            self.container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))

    def close(self) -> None:
        self.container.mux(self.stream.encode())
        self.container.close()


PLAYERS: dict[str, type[Gif] | type[Mp4]] = {".gif": Gif, ".mp4": Mp4}

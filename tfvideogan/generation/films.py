"""Films: a video translated frame by frame into an MP4 of the same size, frame rate and sound; and single pictures.

Memory does not grow with a film's length.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfvideogan.config import RunFailed, UserError
from tfvideogan.data import decode, paths, pictures
from tfvideogan.data.facts import Facts
from tfvideogan.files import write_whole
from tfvideogan.generation.module import Generator, specs_of
from tfvideogan.generation.players import mp4_codec
from tfvideogan.ops.video import from_uint8

COPIED = {"aac", "mp3", "ac3", "eac3", "alac", "flac", "opus"}  # kinds of sound that MP4 holds; others become AAC
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
LONG = 100  # frames of a film from which on it is told how far it is
TICKS = 90_000  # a second, of films whose frames come at uneven times: MPEG's clock


class Translator:
    """A generator of single frames for pictures of any size, made anew where the size changes.

    Args:
        at: makes the generator of a height and width.
        multiple: what these have to be multiples of.
    """

    def __init__(self, at: Callable[[int, int], Generator], multiple: int):
        self.at, self.multiple, self.size = at, multiple, (0, 0)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """uint8 [h,w,3] -> the same shape. Sides that are no multiples are made longer, mirrored, and cut again."""
        height, width, _ = picture.shape
        padded = np.pad(picture, [*((0, -length % self.multiple) for length in (height, width)), (0, 0)], "symmetric")
        if padded.shape[:2] != self.size:
            self.size = padded.shape[:2]
            self.generator = self.at(*self.size)
        batch = {"source": from_uint8(tf.constant(padded[None, None]))}
        made = self.generator.draw(batch, tf.constant([self.generator.config.seed, 0]), 1.0)
        return np.round(made[0, 0, :height, :width].numpy() * 255).astype(np.uint8)


class Stream:
    """A translation that goes on from its state, for frames in turn.

    Args:
        generator: one with `start` and `next`, of --size and --width.
        instances: of each frame, gray pictures of the numbers of instances uint8 [h,w,3], if it reads them.

    Raises: UserError for a generator that reads more than these.
    """

    def __init__(self, generator: Generator, instances: Iterator[np.ndarray] | None):
        self.generator, self.instances = generator, instances
        self.specs = {spec.name: spec for spec in specs_of(generator.source.start)}
        if rest := self.specs.keys() - {"source", "instances"}:
            raise UserError(f"--source: {generator.name} reads {', '.join(rest)} too, expected one that reads its source alone")
        if (channels := [*self.specs["source"].shape[4:]]) not in ([], [3]):
            raise UserError(f"--source: {generator.name} reads {channels[0]} channels, expected labels or pictures")
        if "instances" in self.specs and instances is None:
            raise UserError(f"--source: got no folder of instances beside one of source, expected one for {generator.name}")

    def __call__(self, pictures: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """uint8 [h,w,3] each -> the same shape. Labels are gray pictures of their numbers. Raises ValueError for frames of another size,
        and for fewer than the generator begins with."""
        module, begin = self.generator.source, self.specs["source"].shape[1]
        first = list(itertools.islice(pictures, begin))
        if len(first) < begin:
            raise ValueError(f"got {len(first)} frames, expected at least {begin}")
        made, state = module.start(**self._read(first))
        yield from np.round(made[0].numpy() * 255).astype(np.uint8)
        for picture in pictures:
            made, state = module.next(state, self._read([picture]))
            yield np.round(made[0, 0].numpy() * 255).astype(np.uint8)

    def _read(self, pictures: list[np.ndarray]) -> dict[str, tf.Tensor]:
        """The generator's inputs, of frames in a row."""
        size, given = self.generator.config.frame_size, {"source": pictures}
        for picture in pictures:
            if picture.shape[:2] != size:
                raise ValueError(f"got frames of {picture.shape[1]}x{picture.shape[0]}, expected {size[1]}x{size[0]}")
        if "instances" in self.specs:
            assert self.instances is not None
            given["instances"] = list(itertools.islice(self.instances, len(pictures)))
            if [one.shape for one in given["instances"]] != [one.shape for one in pictures]:
                raise ValueError("got fewer or other frames of instances than of source, expected as many of the same size")
        return {name: self._within(name, np.stack(frames)) for name, frames in given.items()}

    def _within(self, name: str, frames: np.ndarray) -> tf.Tensor:
        numbers = self.specs[name].dtype.is_integer
        return tf.constant((frames[..., 0].astype(np.int32) if numbers else frames.astype(np.float32) / 255)[None])


def translate_picture(translator: Translator, path: str, output: str) -> None:
    """Writes a picture's translation as a PNG. Raises UserError if it is none."""
    try:
        picture = pictures.picture(path)
    except (ValueError, OSError, tf.errors.OpError) as error:
        raise UserError(f"--source={path}: {' '.join(str(error).split())}") from error
    write_whole(output, tf.io.encode_png(translator(picture)).numpy())


def translate(translated: Callable[[Iterator[np.ndarray]], Iterator[np.ndarray]], path: str, output: str) -> int:
    """Writes a film's translation, and returns the number of its frames. Whole or not at all.

    Frames keep their times. Odd sides gain a pixel, as the planes of color have half the size.

    Args:
        translated: what becomes of the frames, uint8 [h,w,3] each -> as many of the same shape.
        path: of the video, or of a folder of frames.
        output: the MP4.

    Raises: UserError for what is no video, or is damaged; RunFailed where the MP4 cannot be written.
    """
    try:
        facts = decode.probe(path)
    except ValueError as error:
        raise UserError(f"--source={path}: {error}") from error
    unfinished, number = f"{output}.tmp", -1
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    rate = decode.rate(path, facts)
    even = np.all(abs(facts.times - np.arange(facts.frames) / float(rate)) < 0.5 / float(rate))
    base = 1 / rate if even else Fraction(1, TICKS)
    codec, options = mp4_codec()
    try:
        with av.open(unfinished, "w", format="mp4") as container:
            stream = container.add_stream(codec, rate=rate.limit_denominator(1 << 16), options=options)
            stream.height, stream.width, stream.pix_fmt = facts.height + facts.height % 2, facts.width + facts.width % 2, "yuv420p"
            stream.codec_context.time_base = base
            with Sound(path, facts, container) as sound:
                pictures = iter(tqdm(decode.stream(path, facts), "frames", facts.frames, disable=facts.frames < LONG))
                for number, made in enumerate(translated(pictures)):
                    sound.mux_until(float(facts.times[number]))
                    made = np.pad(made, [(0, made.shape[0] % 2), (0, made.shape[1] % 2), (0, 0)], "edge")
                    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(made), format="rgb24")
                    frame.time_base, frame.pts = base, number if even else round(float(facts.times[number]) / base)
                    container.mux(stream.encode(frame))
                container.mux(stream.encode())
                sound.mux_until(float("inf"))
        os.replace(unfinished, output)
    except (av.FFmpegError, ValueError) as error:
        if getattr(error, "filename", None) == unfinished:  # a full disk
            raise RunFailed(f"--output={output}: {error}, after {number + 1} frames; nothing is written") from error
        raise UserError(f"--source={path}: {' '.join(str(error).split())}, after {number + 1} frames; nothing is written") from error
    finally:
        Path(unfinished).unlink(missing_ok=True)
    return number + 1


class Sound:
    """The first sound track of a video, copied into another container, or encoded as AAC where MP4 does not hold its kind.

    Args:
        path, facts: of the video; a folder of frames or a picture has no sound.
        container: it is muxed into.
    """

    def __init__(self, path: str, facts: Facts, container: av.container.OutputContainer):
        self.container, self.source, self.waiting = container, None, iter(())
        self.next: av.Packet | None = None
        if facts.files or Path(path).suffix.lower() in decode.PICTURES:
            return
        self.source = av.open(paths.opened(path) if "://" in path else path)
        tracks = [track for track in self.source.streams.audio if track.codec_context is not None]
        if not tracks:
            return
        self.track, shown = tracks[0], self.source.streams.video[0]
        start = (shown.start_time or 0) * shown.time_base  # of the picture, in seconds: the film begins with it
        self.offset = round(start / self.track.time_base)
        self.copied = self.track.codec_context.name in COPIED
        if self.copied:
            self.stream = container.add_stream_from_template(self.track)
        else:
            rate, channels = self.track.codec_context.sample_rate, self.track.codec_context.layout.nb_channels
            layout = LAYOUTS.get(channels, "stereo")  # by number: uncompressed sound does not say which it has
            self.stream = container.add_stream("aac", rate=rate, layout=layout)
            self.resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
        self.waiting = (packet for packet in self.source.demux(self.track))
        self.next = next(self.waiting, None)

    def __enter__(self) -> "Sound":
        return self

    def __exit__(self, *_) -> None:
        if self.source is not None:
            self.source.close()

    def mux_until(self, seconds: float) -> None:
        """Muxes what is heard up to a time of the film; all the rest at infinity."""
        while self.next is not None and self._time(self.next) <= seconds:
            self.container.mux(list(self._made(self.next)))
            self.next = next(self.waiting, None)

    def _time(self, packet: av.Packet) -> float:
        """Of a packet, in seconds of the film; the empty one at the end is of the time before."""
        return -1.0 if packet.pts is None else float((packet.pts - self.offset) * packet.time_base)

    def _made(self, packet: av.Packet) -> Iterator[av.Packet]:
        if self.copied:
            if packet.size:
                packet.pts, packet.dts = packet.pts - self.offset, (packet.pts if packet.dts is None else packet.dts) - self.offset
                packet.stream = self.stream
                yield packet
            return
        for frame in packet.decode():
            frame.pts = None  # counted in samples from the first on
            for part in self.resampler.resample(frame):
                yield from self.stream.encode(part)
        if not packet.size:
            yield from self.stream.encode()

"""Video files, decoded by FFmpeg (PyAV): which frames a file shows, and any of them without all that come before.

What a player shows counts. The number of packets is not the number of frames: an edit list hides some, reference frames of
VP8 and VP9 are never shown, an open GOP cut off at its start leaves frames that refer to nothing. Where packets.py is not sure
that each packet holds one frame, `probe` therefore decodes the file and keeps a checksum of every frame. `read` seeks to a
key frame before the frames wanted and takes what it finds if the checksums agree, or if packets.py is sure; else it
tries earlier key frames, and in the end decodes from the start.
"""

import dataclasses
import itertools
import struct
import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
import numpy as np
import tensorflow as tf
from av.sidedata.sidedata import Type as SideData
from av.video.reformatter import VideoReformatter

from tfvideogan.data import packets, paths
from tfvideogan.data.facts import MOST_PIXELS, Facts, check_size

DEFAULT_FPS = 25  # of files that say no times
TRIES = 3  # key frames to seek to before decoding from the start
WHOLE = 0.9  # share of its frames with which a file counts as whole, as a recording that breaks off


def _unknown(kinds: type[SideData], number: int) -> SideData:
    kind = object.__new__(kinds)
    kind._name_, kind._value_ = f"KIND_{number}", number
    return kind


# PyAV does not know every kind of data that comes with a frame, as EXIF and the views of MV-HEVC, and then would give none of it.
SideData._missing_ = classmethod(_unknown)  # type: ignore[assignment]


class Damaged(ValueError):
    """A file of which no more frames can be decoded."""


def probe(path: str) -> Facts:
    """Looks at a video. Raises ValueError, with the reason, if it is none, or cut short."""
    try:
        with _open(path) as container:
            video = _stream(container)
            promised, duration, base, rate = video.frames, video.duration, video.time_base, video.guessed_rate or DEFAULT_FPS
            kind, depth = packets.kind_of(video.codec_context, container.format.name), _reorder_depth(video.codec_context)
            found = [
                packets.Packet(packet.pts, packet.dts, packet.is_keyframe, not packet.is_discard, kind(bytes(packet)))
                for packet in container.demux(video)
                if packet.size
            ]
        _check_whole(found, promised, duration)
        plain = packets.plain(found, depth)
        with _open(path) as container:
            frames = _decoded(container, _stream(container))
            first = next(frames, None)
            if first is None:
                raise ValueError("no frame decodes")
            check_size(first.height, first.width)
            facts = Facts(first.height, first.width, np.zeros([0]), _matrix(first))
            if facts.is_lying:
                facts = dataclasses.replace(facts, height=first.width, width=first.height)
            if plain:
                stamps, keys = plain
                return dataclasses.replace(facts, times=_times(stamps.tolist(), base, rate), stamps=stamps, keys=keys)
            stamps, by_dts, checksums = _decode_all(itertools.chain([first], frames), found)
    except (av.FFmpegError, OSError, tf.errors.OpError) as error:
        raise ValueError(f"cannot be decoded: {_reason(error)}") from error
    facts = dataclasses.replace(facts, times=_times(stamps, base, rate))
    if not _are_rising(stamps):
        return facts
    marked = [(packet.dts if by_dts else packet.pts, packet.seek) for packet in found if packet.marked]
    marked = [(shown, seek) for shown, seek in marked if shown is not None]
    places = np.searchsorted(stamps, [shown for shown, _ in marked]).tolist()
    keys = tuple((place, seek) for place, (_, seek) in zip(places, marked, strict=True))
    return dataclasses.replace(facts, stamps=np.array(stamps, np.int64), by_dts=by_dts, keys=keys, checksums=checksums)


def read(path: str, indices: Sequence[int], facts: Facts) -> Iterator[tuple[int, np.ndarray]]:
    """(number, frame) of the frames of these rising numbers.

    Raises Damaged where no more frames decode, after giving the last one that does, whatever its number.
    """
    reformatter = VideoReformatter()
    before = [time for number, time in facts.keys if 0 < number <= indices[0]]
    for time in before[: -TRIES - 1 : -1]:
        with _open(path) as container:
            found = _after_key(container, time, indices, facts)
        if found is not None:
            yield from ((number, _upright(frame, facts, reformatter)) for number, frame in found.items())
            return
    wanted, number, frame, reason = set(indices), -1, None, "the file ends"
    with _open(path) as container:
        try:
            for number, frame in enumerate(_decoded(container, _stream(container))):
                if number in wanted:
                    yield number, _upright(frame, facts, reformatter)
                if number >= indices[-1]:
                    return
        except av.FFmpegError as error:
            reason = _reason(error)
    if frame is None:
        raise Damaged(f"no frame decodes: {reason}")
    if number not in wanted:
        yield number, _upright(frame, facts, reformatter)
    raise Damaged(f"damaged after frame {number}: {reason}")


def stream(path: str, facts: Facts) -> Iterator[np.ndarray]:
    """Every frame in turn. Raises Damaged where the file is."""
    reformatter, decoded = VideoReformatter(), 0
    with _open(path) as container:
        try:
            for frame in itertools.islice(_decoded(container, _stream(container)), facts.frames):
                yield _upright(frame, facts, reformatter)
                decoded += 1
        except av.FFmpegError as error:
            raise Damaged(f"damaged after {decoded} of its {facts.frames} frames: {_reason(error)}") from error


def rate(path: str) -> Fraction:
    """Frames a second on the average, or as its container guesses."""
    with _open(path) as container:
        video = _stream(container)
        return Fraction(video.average_rate or video.guessed_rate or DEFAULT_FPS)


def _open(path: str) -> av.container.InputContainer:
    return av.open(paths.opened(path) if "://" in path else path)


def _stream(container: av.container.InputContainer) -> av.video.stream.VideoStream:
    """The first video stream that is no cover picture of a piece of music. Raises ValueError if there is none that can be decoded."""
    for found in container.streams.video:
        if not found.disposition & av.stream.Disposition.attached_pic:
            if found.codec_context is None:
                raise ValueError("cannot be decoded: its codec is not known")
            check_size(found.height, found.width)
            found.codec_context.options = {"max_pixels": str(MOST_PIXELS)}  # frames may be larger than the header says
            return found
    raise ValueError("no video stream")


def _decoded(container: av.container.InputContainer, video: av.video.stream.VideoStream) -> Iterator[av.VideoFrame]:
    """The frames, as a player that opens the file there shows them: what cannot be decoded before the first is passed over."""
    begun = False
    for packet in container.demux(video):
        if not packet.size and packet.dts is not None:
            continue  # AVI's way to show a frame longer; to the decoder it would be the end of the file
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            if begun:
                raise
            continue
        for frame in frames:
            begun = True
            yield frame


def _after_key(container: av.container.InputContainer, time: int, indices: Sequence[int], facts: Facts) -> dict[int, av.VideoFrame] | None:
    """The frames of these numbers, decoded from the key frame at `time` on. None if what comes is not what the facts say."""
    video, found, wanted, starts = _stream(container), {}, set(indices), {number for number, _ in facts.keys}
    try:
        container.seek(time, stream=video)
        for frame in _decoded(container, video):
            stamp = frame.dts if facts.by_dts else frame.pts
            number = facts.frames if stamp is None else int(np.searchsorted(facts.stamps, stamp))
            if number == facts.frames or facts.stamps[number] != stamp:
                continue
            if not facts.checksums.size and starts and number not in starts:
                return None  # the seek led elsewhere than to a key frame
            starts = ()
            if number in wanted and (not facts.checksums.size or facts.checksums[number] == _checksum(frame)):
                found[number] = frame
            if number >= indices[-1] or number >= indices[0] and indices[0] not in found:
                break
    except av.FFmpegError:
        return None
    return found if len(found) == len(wanted) else None


def _decode_all(frames: Iterator[av.VideoFrame], found: list[packets.Packet]) -> tuple[list[int | None], bool, np.ndarray]:
    """(stamps, by_dts, checksums) of all frames. Where the file is damaged far from its end, what its packets promise counts too."""
    shown, decoded, checksums = [], [], []
    try:
        for frame in frames:
            shown.append(frame.pts)
            decoded.append(frame.dts)
            checksums.append(_checksum(frame))
    except av.FFmpegError:
        promised = sum(packet.shown for packet in found)
        if len(checksums) < WHOLE * promised:
            rest = [None] * (promised - len(checksums))
            if _are_rising(shown):
                rest = sorted(packet.pts for packet in found if packet.shown and (packet.pts or shown[0]) > shown[-1])
            shown += rest
            checksums += [0] * len(rest)
    while decoded[-1] is None and len(decoded) > 1:
        decoded.pop()  # of the frames that the decoder gives when nothing more comes in
    step = int(np.median(np.diff(decoded))) if len(decoded) > 1 and None not in decoded else 1
    decoded += [(decoded[-1] or 0) + step * after for after in range(1, 1 + len(shown) - len(decoded))]
    by_dts = not _are_rising(shown) and _are_rising(decoded)
    return (decoded if by_dts else shown), by_dts, np.array(checksums, np.uint32)


def _are_rising(stamps: list[int | None]) -> bool:
    return None not in stamps and all(before < after for before, after in itertools.pairwise(stamps))


def _checksum(frame: av.VideoFrame) -> int:
    found = 0
    for number, plane in enumerate(frame.planes):
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
        if not (frame.format.has_palette and number):  # a palette is one row, all of it colors
            rows = rows[:, : _row_bytes(frame.format, plane)]
        found = zlib.crc32(np.ascontiguousarray(rows), found)
    return found


def _row_bytes(format: av.VideoFormat, plane: av.video.plane.VideoPlane) -> int:
    """Bytes of a row that hold pixels; what follows them may be anything."""
    if not format.is_planar:
        return -(-plane.width * format.padded_bits_per_pixel // 8)
    return plane.width * -(-format.components[0].bits // 8)


def _matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """Facts' `matrix`, of a frame's display matrix (ISO/IEC 14496-12, 6.2.2)."""
    data = frame.side_data.get(SideData.DISPLAYMATRIX)
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data))
    return a, b, c, d


def _upright(frame: av.VideoFrame, facts: Facts, reformatter: VideoReformatter) -> np.ndarray:
    """uint8 [h,w,3], turned and mirrored as the display matrix says, to the nearest quarter turn."""
    a, b, c, d = facts.matrix  # the first frame's: of those in messages of H.264, the others have none
    if facts.is_lying:
        pixels = _pixels(frame, facts.height, facts.width, reformatter).swapaxes(0, 1)
        return pixels[:: -1 if b < 0 else 1, :: -1 if c < 0 else 1]
    pixels = _pixels(frame, facts.width, facts.height, reformatter)
    return pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _pixels(frame: av.VideoFrame, width: int, height: int, reformatter: VideoReformatter) -> np.ndarray:
    """uint8 [height,width,3], transparent on white, as pictures are."""
    if not (frame.format.has_palette or any(component.is_alpha for component in frame.format.components)):
        return reformatter.reformat(frame, width, height, "rgb24").to_ndarray()
    pixels = reformatter.reformat(frame, width, height, "rgba").to_ndarray().astype(np.uint16)
    alpha = pixels[..., 3:]
    return ((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _times(stamps: list[int | None], base: Fraction, rate: Fraction | int) -> np.ndarray:
    """Seconds from the first frame; one step of the mean rate where the file says none, or goes back."""
    if None in stamps:
        return np.arange(len(stamps), dtype=np.float32) / np.float32(rate)
    steps = np.diff(np.array(stamps, np.float64)) * float(base)
    return np.concatenate([[0.0], np.cumsum(np.where(steps > 0, steps, 1 / float(rate)))]).astype(np.float32)


def _check_whole(found: list[packets.Packet], promised: int, duration: int | None) -> None:
    """Raises ValueError if packets are missing, and not because an edit list leaves them out, or frames of AVI are shown longer."""
    shown = [packet for packet in found if packet.shown]
    span = max(_span([packet.pts for packet in shown]), _span([packet.dts for packet in shown]))  # AVI's times of showing may be off
    if len(found) < 0.99 * promised - 1 and not (duration and span >= 0.98 * duration):  # the header of an edited file may be one off
        raise ValueError(f"truncated: {len(found)} of its {promised} frames are there")


def _span(stamps: list[int | None]) -> float:
    """How long frames of these times are shown; 0 where they do not say it."""
    known = [stamp for stamp in stamps if stamp is not None]
    return (max(known) - min(known)) * len(known) / (len(known) - 1) if len(known) > 1 else 0.0


def _reorder_depth(codec: av.VideoCodecContext) -> int:
    return getattr(codec, "reorder_depth", int(codec.has_b_frames))  # older PyAV tells only whether it is 0


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)

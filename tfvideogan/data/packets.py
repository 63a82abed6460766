"""Packets of a video stream that surely hold one frame each, told by their first bytes.

Where this is sure, a file's frames are known without decoding it. It is for codecs of single pictures, for H.264 of whole
frames as MP4 and Matroska hold it (ISO/IEC 14496-10 and -15), and for MPEG-4 without B-frames, as in most AVI (ISO/IEC 14496-2).
"""

from collections.abc import Callable
from dataclasses import dataclass

import av
import numpy as np

KEY, FRAME = "key", "frame"  # decoding may start at the first, and nothing after it looks back beyond it
Kind = Callable[[bytes], str | None]  # of a packet; None where it is not sure that it holds one frame

SAYS_TIMES = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv")  # of showing; in AVI they are FFmpeg's guess, wrong with B-frames
PLAIN_PROFILES, HIGH_PROFILES = (66, 77, 88), (100, 110, 122, 244, 44)  # H.264's table A-1; the second say their chroma and depth
SLICE, PARTITION, IDR, PARAMETERS = 1, (2, 3, 4), 5, (7, 15)  # H.264's nal_unit_type, table 7-1
VOP, INTRA, PREDICTED, SPRITE = b"\x00\x00\x01\xb6", 0, 1, 3  # MPEG-4's vop_start_code and vop_coding_type
LEAST_VOP = 16  # bytes; a VOP that only says "not coded", and shows nothing, has fewer


@dataclass(frozen=True)
class Packet:
    """What is remembered of a packet.

    Attributes:
        pts, dts: when it is shown, and decoded, in units of the stream's time base.
        marked: the container calls it a key frame.
        shown: it lies within the edit list.
        kind: KEY, FRAME, or None.
    """

    pts: int | None
    dts: int | None
    marked: bool
    shown: bool
    kind: str | None

    @property
    def seek(self) -> int:
        """The time to seek to, to begin with this packet: containers are searched by decoding times."""
        return self.pts if self.dts is None else self.dts


def kind_of(codec: av.VideoCodecContext, container: str) -> Kind:
    """The test of a codec's packets in a container of FFmpeg's name."""
    if codec.name == "h264":
        return _h264(codec.extradata or b"") if container in SAYS_TIMES else lambda content: None
    if codec.name == "mpeg4":
        return _mpeg4
    return (lambda content: KEY) if codec.codec.intra_only else (lambda content: None)


def plain(packets: list[Packet], reorder_depth: int) -> tuple[np.ndarray, tuple[tuple[int, int], ...]] | None:
    """Facts' `stamps` and `keys` of a stream of one frame a packet. None where that is not sure.

    Args:
        packets: in the order of decoding.
        reorder_depth: frames that the decoder holds back to bring them into order; it drops those that come later still.
    """
    if not packets or packets[0].kind != KEY or any(packet.kind is None or packet.pts is None for packet in packets):
        return None
    pts = np.array([packet.pts for packet in packets], np.int64)
    rank = np.argsort(np.argsort(pts))
    if len(np.unique(pts)) < len(pts) or (np.arange(len(pts)) - rank).max() > reorder_depth:
        return None
    stamps = np.sort(pts[[packet.shown for packet in packets]])
    latest, keys = np.maximum.accumulate(rank), []
    for place, packet in enumerate(packets):
        if packet.marked and (packet.kind != KEY or latest[place] != place):
            return None  # an open GOP: what comes after it in the file may be shown before it
        if packet.marked:
            keys.append((int(np.searchsorted(stamps, packet.pts)), packet.seek))
    return (stamps, tuple(keys)) if len(stamps) else None


def _mpeg4(content: bytes) -> str | None:
    start = content.find(VOP)
    if start < 0 or len(content) < LEAST_VOP or content.find(VOP, start + 4) >= 0:
        return None
    return {INTRA: KEY, PREDICTED: FRAME, SPRITE: FRAME}.get(content[start + 4] >> 6)


def _h264(configuration: bytes) -> Kind:
    """`configuration`: an AVCDecoderConfigurationRecord, without which the units of a packet are not marked off by lengths."""
    if len(configuration) < 8 or configuration[0] != 1 or configuration[5] & 31 != 1:
        return lambda content: None
    prefix = (configuration[4] & 3) + 1
    parameters = configuration[8 : 8 + int.from_bytes(configuration[6:8], "big")]
    if not _whole_frames(parameters):
        return lambda content: None

    def kind(content: bytes) -> str | None:
        start, pictures, types = 0, 0, set()
        while start < len(content) - prefix:
            end = start + prefix + int.from_bytes(content[start : start + prefix], "big")
            unit = content[start + prefix : end]
            if end > len(content) or len(unit) < 2:
                return None
            type = unit[0] & 31
            if type in PARTITION or type in PARAMETERS and unit != parameters:
                return None
            if type in (SLICE, IDR):
                types.add(type)
                pictures += unit[1] >> 7  # first_mb_in_slice is 0, written as a 1, in the first slice of a picture
            start = end
        if pictures != 1 or len(types) != 1:
            return None
        return KEY if IDR in types else FRAME

    return kind


def _whole_frames(parameters: bytes) -> bool:
    """Whether a sequence parameter set (H.264, 7.3.2.1.1) allows whole frames only, and no gaps between them. False if unsure."""
    content = parameters.replace(b"\0\0\3", b"\0\0")
    bits = iter("".join(f"{byte:08b}" for byte in content[4:]))

    def flag() -> bool:
        return next(bits) == "1"

    def number() -> int:  # ue(v), 9.1
        zeros = 0
        while not flag():
            zeros += 1
        return int("1" + "".join(next(bits) for _ in range(zeros)), 2) - 1

    try:
        number()  # seq_parameter_set_id
        if content[1] in HIGH_PROFILES:
            if number() == 3:  # chroma_format_idc
                flag()  # separate_colour_plane_flag
            number(), number(), flag()  # bit depths, qpprime_y_zero_transform_bypass_flag
            if flag():  # seq_scaling_matrix_present_flag
                return False
        elif content[1] not in PLAIN_PROFILES:
            return False
        number()  # log2_max_frame_num_minus4
        order = number()  # pic_order_cnt_type
        if order == 0:
            number()  # log2_max_pic_order_cnt_lsb_minus4
        elif order == 1:
            return False
        number()  # max_num_ref_frames
        gaps = flag()
        number(), number()  # width and height in macroblocks
        return flag() and not gaps  # frame_mbs_only_flag
    except (StopIteration, IndexError):
        return False

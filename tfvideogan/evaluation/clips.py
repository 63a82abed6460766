"""What is kept of a set of clips: numbers, and a bounded number of pictures, so that memory hardly grows with the clips."""

import dataclasses
from collections.abc import Iterable

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfvideogan.evaluators.evaluator import Evaluator
from tfvideogan.metrics.average_content_distance import average_content_distance, frame_color, shape_color
from tfvideogan.metrics.psnr import psnr
from tfvideogan.metrics.ssim import WINDOW, ssim
from tfvideogan.ops.video import to_uint8

FRAMES = 2048  # at most, for the sliced Wasserstein distance; 25 MB of 64x64
PAIRS = 1000  # at most, for SSIM and PSNR
SHOWN_CLASSES, SHOWN = 8, 3  # clips that a report shows
RANGE = 2.0  # of pixels in [-1,1]


@dataclasses.dataclass(frozen=True)
class Clips:
    """A set of clips, as metrics need it. From `shape_drift` on empty, if pixels were not asked for.

    Attributes:
        features: [N,...,F] float32, by an evaluator; of one that sees single frames [N,T,F].
        logits: [N,...,C] float32.
        labels: [N] int32, the classes.
        shape_drift, frame_drift: [N], average content distance of a clip, of the shape's color and of whole frames'.
        ssim, psnr: [<= PAIRS], of pairs of clips of one class.
        frames: uint8 [<= FRAMES,H,W,3], one of each clip.
        shown: uint8 [E,T,H,W,3], the first SHOWN clips of the first SHOWN_CLASSES classes.
        shown_labels: [E].
    """

    features: np.ndarray
    logits: np.ndarray
    labels: np.ndarray
    shape_drift: np.ndarray
    frame_drift: np.ndarray
    ssim: np.ndarray
    psnr: np.ndarray
    frames: np.ndarray
    shown: np.ndarray
    shown_labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def look(batches: Iterable[tuple[tf.Tensor, tf.Tensor]], evaluator: Evaluator, videos: int, pixels: bool, name: str) -> Clips:
    """Looks at a set of clips, a batch at a time.

    Args:
        batches: (video [n,T,H,W,3] in [-1,1], label [n]); no more are taken than needed.
        evaluator: gives features and logits.
        videos: clips to take, or all if there are fewer.
        pixels: keep what metrics of pixels, and a report, need too.
        name: of the set, for the progress bar.
    """
    features, logits, labels, seen = [], [], [], 0
    pictures = Pictures()
    with tqdm(total=videos, desc=f"{name} clips", unit="clip", leave=False, disable=None) as bar:
        for video, label in batches:
            keep = min(len(video), videos - seen)
            found = evaluator(video)  # before the cut: one shape, one trace
            features.append(np.asarray(found[0])[:keep].astype(np.float32))
            logits.append(np.asarray(found[1])[:keep].astype(np.float32))
            labels.append(np.asarray(label)[:keep].astype(np.int32))
            if pixels:
                pictures.add(video[:keep].numpy(), labels[-1])
            seen += keep
            bar.update(keep)
            if seen >= videos:
                break
    return Clips(*(np.concatenate(parts) if parts else np.zeros([0, 1]) for parts in (features, logits, labels)), *pictures.arrays())


class Pictures:
    """Gathers what is measured on pixels, and the pictures that are kept."""

    def __init__(self):
        self._draw = np.random.default_rng(0)  # which frame of a clip
        self._waiting: dict[int, np.ndarray] = {}  # by class, the clip that has no partner yet
        self._shape, self._frame, self._ssim, self._psnr = [], [], [], []
        self._frames, self._shown, self._shown_labels = [], [], []

    def add(self, video: np.ndarray, labels: np.ndarray) -> None:
        """Clips [n,T,H,W,3] in [-1,1], and their classes [n]."""
        n, length, height, width, _ = video.shape
        if length > 1:
            self._shape.extend(average_content_distance(shape_color(video)))
            self._frame.extend(average_content_distance(frame_color(video)))
        for clip, label, time in zip(video, labels.tolist(), self._draw.integers(length, size=n), strict=True):
            if len(self._frames) < FRAMES:
                self._frames.append(to_uint8(clip[time]).numpy())
            if len(self._ssim) < PAIRS and min(height, width) >= WINDOW:
                self._pair(clip, label)
            if label < SHOWN_CLASSES and self._shown_labels.count(label) < SHOWN:
                self._shown.append(to_uint8(clip).numpy())
                self._shown_labels.append(label)

    def arrays(self) -> tuple[np.ndarray, ...]:
        """The fields of `Clips` from shape_drift on."""
        self._waiting.clear()
        lists = self._shape, self._frame, self._ssim, self._psnr, self._frames, self._shown, self._shown_labels
        return tuple(np.array(found) for found in lists)

    def _pair(self, clip: np.ndarray, label: int) -> None:
        """Every clip belongs to one pair at most, so that the pairs are independent."""
        other = self._waiting.pop(label, None)
        if other is None:
            self._waiting[label] = clip
            return
        self._ssim.append(ssim(clip[None], other[None], RANGE)[0])
        self._psnr.append(psnr(clip[None], other[None], RANGE)[0])

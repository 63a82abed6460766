"""Poses estimated from frames, by MediaPipe's networks (BlazePose, Bazarevsky et al., arXiv 2006.10204; Apache 2.0; the extra `[pose]`).

A detector finds a person in the whole frame; another network finds 33 landmarks in an upright square around the person, which follows from
the landmarks of the frame before, while it is sure to see one. Landmarks become BODY_23's joints: the neck is the middle of the shoulders,
the mid-hip that of the hips; it sees no small toes, and of hands and faces no more than the head's joints.

Only the networks' files are used, from where the package `mediapipe` is installed: they run by TensorFlow's own interpreter of TFLite, on
one thread, so that the same frames give the same poses.
"""

import functools
import importlib.util
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from tfvideogan.config import UserError
from tfvideogan.data import decode
from tfvideogan.data.poses import BODY_23_OF_25, REST

DETECTOR, LANDMARKS = "pose_detection/pose_detection.tflite", "pose_landmark/pose_landmark_full.tflite"
DETECTOR_SIDE, LANDMARKS_SIDE = 224, 256
STRIDES = ((8, 2), (16, 2), (32, 6))  # of the detector's grids, and boxes in each cell
SURE = 0.5  # that there is a person, and that a joint is seen
AROUND = 1.25  # times the circle around a person
# Of BODY_25's joints, in its order, the landmarks of which each is the middle; none for the small toes.
LANDMARKS_OF_25 = (
    *((0,), (11, 12), (12,), (14,), (16,), (11,), (13,), (15,)),  # nose, neck, right arm, left arm
    *((23, 24), (24,), (26,), (28,), (23,), (25,), (27,)),  # mid-hip, right leg, left leg
    *((5,), (2,), (8,), (7,), (31,), (), (29,), (32,), (), (30,)),  # eyes, ears, left foot, right foot
)


class Tracker:
    """Follows one person through the frames of a video.

    Raises: UserError where the networks are missing.
    """

    def __init__(self) -> None:
        self.detect, self.landmarks = network(DETECTOR), network(LANDMARKS)
        self.around: np.ndarray | None = None  # two points, of the person in the frame before: its middle, and the top of the circle

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """Key points of a frame uint8 [h,w,3], as data/poses.py has them: float32 [23+112,3], all 0 where nobody is seen."""
        found = self._follow(frame, self.around) if self.around is not None else None
        if found is None:
            person = self._detected(frame)
            found = self._follow(frame, person) if person is not None else None
        points = np.zeros([23 + REST, 3], np.float32)
        self.around = None
        if found is not None:
            self.around = found[33:35, :2]
            points[:23] = joints(found, *frame.shape[:2])
        return points

    def _detected(self, frame: np.ndarray) -> np.ndarray | None:
        """The middle of the person seen most clearly, and the top of the circle around it, [2,2] in pixels; none if nobody is."""
        height, width, _ = frame.shape
        side = max(height, width)
        corner = np.array([width - side, height - side]) / 2
        picture = _window(frame, corner, np.array([side / DETECTOR_SIDE, 0.0]), DETECTOR_SIDE)
        boxes, scores = self.detect(picture / 127.5 - 1)
        best = int(np.argmax(scores[0, :, 0]))
        if _sigmoid(scores[0, best, 0]) < SURE:
            return None
        points = boxes[0, best, 4:8].reshape([2, 2]) / DETECTOR_SIDE + anchors()[best]
        return points * side + corner

    def _follow(self, frame: np.ndarray, around: np.ndarray) -> np.ndarray | None:
        """Landmarks [39,3], x and y in pixels and how surely they are seen, in the square around two points; none without a person."""
        middle, up = around[0], around[1] - around[0]
        side = 2 * AROUND * np.hypot(*up)
        if side < 1:
            return None
        right = np.array([-up[1], up[0]]) / np.hypot(*up) * side / LANDMARKS_SIDE  # of a pixel of the square, in the frame
        down = np.array([-right[1], right[0]])
        corner = middle - (right + down) * LANDMARKS_SIDE / 2
        found, present, *_ = self.landmarks(_window(frame, corner, right, LANDMARKS_SIDE) / 255)
        if present[0, 0] < SURE:
            return None
        landmarks = found.reshape([39, 5])
        places = corner + landmarks[:, :1] * right + landmarks[:, 1:2] * down
        return np.concatenate([places, _sigmoid(landmarks[:, 3:4])], 1)


def joints(landmarks: np.ndarray, height: int, width: int) -> np.ndarray:
    """MediaPipe's landmarks [39,3] as BODY_23's joints [23,3]; those that are unsure or outside a frame of this size are not seen."""
    body = np.zeros([25, 3])
    for joint, of in enumerate(LANDMARKS_OF_25):
        if of:
            body[joint] = [*landmarks[list(of), :2].mean(0), landmarks[list(of), 2].min()]
    inside = (body[:, :2] >= 0).all(1) & (body[:, :2] < [width, height]).all(1)
    return np.where((inside & (body[:, 2] >= SURE))[:, None], body, 0.0)[list(BODY_23_OF_25)]


@functools.cache
def anchors() -> np.ndarray:
    """Centers of the detector's boxes, [2254,2] (x, y) in units of its picture."""
    found = []
    for stride, boxes in STRIDES:
        line = (np.arange(DETECTOR_SIDE // stride) + 0.5) * stride / DETECTOR_SIDE
        y, x = np.meshgrid(line, line, indexing="ij")
        found.append(np.repeat(np.stack([x.ravel(), y.ravel()], 1), boxes, 0))
    return np.concatenate(found)


def file_of(name: str) -> Path:
    """A network of MediaPipe's package. Raises UserError without it."""
    how = "pip install tfvideogan[pose], or beside a newer TensorFlow pip install --no-deps mediapipe==0.10.21"
    found = importlib.util.find_spec("mediapipe")
    if found is None or not found.submodule_search_locations:
        raise UserError(f"needs mediapipe, which estimates poses: {how}")
    file = Path(found.submodule_search_locations[0]) / "modules" / name
    if not file.exists():
        raise UserError(f"this version of mediapipe has no networks inside, expected 0.10.21: {how}")
    return file


def estimator() -> str:
    """What estimates poses, with the checksum of its landmarks' network. Raises UserError without it."""
    return f"MediaPipe's {Path(LANDMARKS).name}, sha256 {decode.digest(str(file_of(LANDMARKS)))}"


@functools.cache
def network(name: str):
    """A function from a picture [h,w,3] to the arrays that a network of MediaPipe's package gives. Raises UserError without it."""
    file = file_of(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow tells that LiteRT's own package will take its place
        interpreter = tf.lite.Interpreter(model_path=str(file), num_threads=1)
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0]["index"], [one["index"] for one in interpreter.get_output_details()]

    def run(picture: np.ndarray) -> list[np.ndarray]:
        interpreter.set_tensor(given, picture[None].astype(np.float32))
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in made]

    return run


def _window(frame: np.ndarray, corner: np.ndarray, right: np.ndarray, side: int) -> np.ndarray:
    """A square of a frame, uint8 [side,side,3], black beyond it: its first corner, and the upper side of its pixels, as (x, y)."""
    (x, y), (dx, dy) = corner, right
    return np.asarray(
        Image.fromarray(frame).transform((side, side), Image.Transform.AFFINE, (dx, -dy, x, dy, dx, y), Image.Resampling.BILINEAR)
    )


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))

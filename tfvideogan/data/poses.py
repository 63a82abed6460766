"""Poses: key points of one person in each frame of a video, in OpenPose's order; its files, and smoothing over time.

Key points are float32 [T,J+112,3]: x and y in pixels of the frame, and a confidence, 0 for what is not seen. First come the J joints of the
body (18 of COCO, 23 of BODY_23, 25 of BODY_25), then 70 points of the face and 21 of the left and of the right hand.
"""

import json
import re
import warnings
from dataclasses import dataclass

import numpy as np

from tfvideogan.data import paths, pictures

FACE, HAND = 70, 21
REST = FACE + 2 * HAND  # points after those of the body
WINDOW = 7  # frames, of the median
# Of BODY_25's joints, those that BODY_23 has, in its order (Everybody Dance Now's code).
BODY_23_OF_25 = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 22, 23, 12, 13, 14, 19, 20, 0, 15, 17, 16, 18)
JSON, YAML = ".json", "_pose.yml"  # ends of the names of OpenPose's files


@dataclass(frozen=True)
class Layout:
    """Where a body's joints are.

    Attributes:
        nose: its number.
        ears, ankles: right and left.
        limbs: pairs of joints, in the order in which they are drawn.
    """

    nose: int
    ears: tuple[int, int]
    ankles: tuple[int, int]
    limbs: tuple[tuple[int, int], ...]


def _limbs(text: str) -> tuple[tuple[int, int], ...]:
    return tuple((int(a), int(b)) for a, b in (pair.split("-") for pair in text.split()))


LAYOUTS = {  # by the number of joints
    18: Layout(0, (16, 17), (10, 13), _limbs("1-2 1-5 2-3 3-4 5-6 6-7 1-8 8-9 9-10 1-11 11-12 12-13 1-0 0-14 14-16 0-15 15-17")),
    23: Layout(
        *(18, (20, 22), (10, 15)),
        _limbs("0-1 1-2 2-3 0-4 4-5 5-6 0-7 7-8 8-9 9-10 10-11 10-12 7-13 13-14 14-15 15-16 15-17 0-18 18-19 19-20 18-21 21-22"),
    ),
    25: Layout(
        *(0, (17, 18), (11, 14)),
        _limbs("0-1 0-15 0-16 1-2 1-5 1-8 2-3 3-4 5-6 6-7 8-9 8-12 9-10 10-11 11-22 11-24 12-13 13-14 14-19 14-21 15-17 16-18 19-20 22-23"),
    ),
}


def layout_of(points: np.ndarray) -> Layout:
    """That of key points [...,J+112,3]."""
    return LAYOUTS[points.shape[-2] - REST]


def parts(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Body, face, left hand and right hand of key points: [...,J+112,3] -> [...,J,3], [...,70,3] and twice [...,21,3]."""
    joints = points.shape[-2] - REST
    return tuple(np.split(points, [joints, joints + FACE, joints + FACE + HAND], axis=-2))  # type: ignore[return-value]


def placed(points: np.ndarray, scale: float, x: float, y: float) -> np.ndarray:
    """Key points [...,3] times `scale`, and moved by (x, y) pixels. Those that are not seen move along, and stay unseen."""
    return (points * [scale, scale, 1.0] + [x, y, 0.0]).astype(np.float32)


def as_body_23(points: np.ndarray) -> np.ndarray:
    """Key points of BODY_25 as of BODY_23, without the heels: [...,137,3] -> [...,135,3]."""
    return np.concatenate([points[..., BODY_23_OF_25, :], points[..., 25:, :]], axis=-2)


def smooth(points: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """The median of each key point over the frames around each (Everybody Dance Now's code).

    A point whose median confidence is 0 is not seen; else the medians are of the frames that see it.
    At a video's ends there are fewer frames.

    Args:
        points: [T,K,3].
        window: frames, odd.

    Returns: float32 [T,K,3].
    """
    result = np.zeros(points.shape, np.float32)
    for t in range(len(points)):
        near = points[max(t - window // 2, 0) : t + window // 2 + 1]
        seen = near[..., 2:] > 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of points that no frame sees
            medians = np.nanmedian(np.where(seen, near, np.nan), axis=0)
        result[t] = np.where((np.median(near[..., 2:], axis=0) > 0), medians, 0.0)
    return result


def face_centers(points: np.ndarray) -> np.ndarray:
    """Row and column of each frame's face: the nose, else the middle of the ears, else the ear that is seen.

    Frames that see none have the face of the frame before, and those before the first that does have its.

    Args:
        points: [T,K,3] in pixels.

    Returns: float32 [T,2].
    Raises: ValueError where no frame sees a face.
    """
    layout, body = layout_of(points), parts(points)[0]
    nose, ears = body[:, layout.nose], body[:, layout.ears]
    weights = np.concatenate([nose[:, None, 2] > 0, (ears[..., 2] > 0) & (nose[:, None, 2] <= 0)], axis=1)  # of nose and ears
    seen = weights.any(1)
    if not seen.any():
        raise ValueError("no frame shows a face: neither the nose nor an ear is seen")
    places = np.concatenate([nose[:, None], ears], axis=1)[..., :2]
    centers = (weights[..., None] * places).sum(1) / np.maximum(weights.sum(1), 1)[:, None]
    last = np.maximum.accumulate(np.where(seen, np.arange(len(points)), np.argmax(seen)))
    return centers[last][:, ::-1].astype(np.float32)


def read(folder: str) -> np.ndarray:
    """Key points that OpenPose wrote of a video, a frame after the other in the order of the numbers in the files' names.

    JSON files have all of a frame; of YAML, NAME_pose.yml may have NAME_face.yml, NAME_hand_left.yml and NAME_hand_right.yml beside it. Of
    several people it is the one of the body seen most confidently.

    Returns: float32 [T,J+112,3].
    Raises: ValueError for a folder without such files, for damaged ones, for bodies of other joints than 18, 23 or 25, and where no frame
        shows a body.
    """
    names = [name for name in pictures.in_order(paths.children(folder)) if name.lower().endswith((JSON, YAML))]
    if not names:
        raise ValueError(f"got no file of OpenPose, expected NAME_keypoints{JSON} or NAME{YAML}")
    frames = []
    for name in names:
        try:
            frames.append(_of_json(folder, name) if name.lower().endswith(JSON) else _of_yaml(folder, name))
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"{name}: got no key points as OpenPose writes them ({error})") from error
    joints = sorted({len(frame) - REST for frame in frames if len(frame)})
    if len(joints) != 1 or joints[0] not in LAYOUTS:
        raise ValueError(f"got bodies of {', '.join(map(str, joints)) or 'no'} joints, expected one of {', '.join(map(str, LAYOUTS))}")
    return np.stack([frame if len(frame) else np.zeros([joints[0] + REST, 3]) for frame in frames]).astype(np.float32)


def _of_json(folder: str, name: str) -> np.ndarray:
    people = json.loads(paths.read_text(paths.join(folder, name)))["people"]
    if not people:
        return np.zeros([0, 3])

    def points(person: dict, part: str) -> np.ndarray:  # without _2d: OpenPose before 1.3
        return np.reshape(np.array(person.get(f"{part}_keypoints_2d", person.get(f"{part}_keypoints", [])), float), [-1, 3])

    best = max(people, key=lambda person: points(person, "pose")[:, 2].sum())
    return _joined(*(points(best, part) for part in ("pose", "face", "hand_left", "hand_right")))


def _of_yaml(folder: str, name: str) -> np.ndarray:
    stem, there = name[: -len(YAML)], set(paths.children(folder))
    found = [
        _matrix(paths.join(folder, f"{stem}_{part}.yml")) if f"{stem}_{part}.yml" in there else np.zeros([0, 0, 3])
        for part in ("pose", "face", "hand_left", "hand_right")
    ]
    if not len(found[0]):
        return np.zeros([0, 3])
    best = int(np.argmax(found[0][..., 2].sum(1)))
    return _joined(*(part[best] if best < len(part) else np.zeros([0, 3]) for part in found))


def _matrix(path: str) -> np.ndarray:
    """The array of OpenCV's YAML, [people,points,3]; of nobody, [0,0,3]."""
    text = paths.read_text(path)
    lists = {name: found[1] for name in ("sizes", "data") if (found := re.search(rf"{name}: *\[([^]]*)\]", text))}
    if "data" not in lists:
        return np.zeros([0, 0, 3])
    return np.array([float(number) for number in lists["data"].split(",")]).reshape([int(size) for size in lists["sizes"].split(",")])


def _joined(body: np.ndarray, face: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Key points [J+112,3] of parts, of which all but the body may be empty. Raises ValueError for parts of other numbers of points."""
    for part, expected in ((face, FACE), (left, HAND), (right, HAND)):
        if len(part) not in (0, expected):
            raise ValueError(f"a part of {len(part)} points, where {expected} belong")
    if not all(np.isfinite(part).all() for part in (body, face, left, right)):
        raise ValueError("got coordinates that are no finite numbers")
    rest = [part if len(part) else np.zeros([size, 3]) for part, size in ((face, FACE), (left, HAND), (right, HAND))]
    return np.concatenate([body, *rest])

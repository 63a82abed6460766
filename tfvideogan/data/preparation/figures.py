"""Poses of a video as a prepared set holds them: stick figures, key points and faces, for Everybody Dance Now.

Key points are those of the written frames: resized and cropped as these are, or placed in a target's frames and fitted
to it; then smoothed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tfvideogan.config import FLAGS_FILE, UserError, from_flags
from tfvideogan.data import paths, poses
from tfvideogan.data.facts import Facts
from tfvideogan.data.pose_estimation import Tracker
from tfvideogan.data.pose_normalization import Floor, floor, normalize
from tfvideogan.data.sources import prepared
from tfvideogan.data.stick_figure import draw

FIGURES, KEY_POINTS, FACES, SIZE = "source", "key_points", "face", "figure_size"  # names in a record
SEEN = 0.5  # of a video's frames, in which a body has to be


@dataclass(frozen=True)
class Target:
    """Whom a source is fitted to.

    Attributes:
        height, width: of its frames.
        floor: of its poses.
        joints: of its bodies.
    """

    height: int
    width: int
    floor: Floor
    joints: int


@dataclass(frozen=True)
class Poses:
    """Where the poses of videos come from, and whom they are fitted to.

    Attributes:
        folder: OpenPose's files of each video in a folder of its name, without the ending; estimated, if empty.
        target: none leaves them as they are.
    """

    folder: str
    target: Target | None

    def of_video(self, name: str, frames: int) -> Callable[[np.ndarray], np.ndarray]:
        """A function that is called with each frame uint8 [h,w,3] in turn, and gives its key points in pixels [J+112,3].

        Raises: ValueError for files that are missing, damaged, or of another number of frames.
        """
        if not self.folder:
            return Tracker()
        own = paths.join(self.folder, name.removesuffix(paths.suffix(name)))
        if not paths.is_folder(own):
            raise ValueError(f"got no folder {own} of its poses (--poses)")
        found = poses.read(own)
        if len(found) != frames:
            raise ValueError(f"got poses of {len(found)} frames in {own}, expected those of {frames}")
        rest = iter(found)
        return lambda frame: next(rest, found[-1])

    def figures(self, points: np.ndarray, facts: Facts, size: int, crop: bool) -> "Figures":
        """Those of key points [T,J+112,3] in pixels of a video.

        Args:
            facts: of the video.
            size: short side of the written frames.
            crop: to their center square.

        Raises: ValueError where too few frames show a body, none a face, and where it cannot be fitted.
        """
        seen = int((poses.parts(points)[0][..., 2] > 0).any(1).sum())
        if seen < SEEN * len(points):
            raise ValueError(f"a body is seen in {seen} of {len(points)} frames, where at least half are wanted")
        if self.target is None:
            scale = size / min(facts.height, facts.width)
            whole_height, whole_width = (round(length * scale) for length in (facts.height, facts.width))
            height, width = (size, size) if crop else (whole_height, whole_width)
            points = poses.placed(points, scale, -((whole_width - width) // 2), -((whole_height - height) // 2))
        else:
            height, width = self.target.height, self.target.width
            points = fitted(points, facts, self.target)
        points = poses.smooth(points)
        pictures = [tf.io.encode_png(draw(frame, height, width)).numpy() for frame in points]
        return Figures(height, width, points, pictures, poses.face_centers(points))


@dataclass(frozen=True)
class Figures:
    """Stick figures of a video.

    Attributes:
        height, width: of a picture.
        points: [T,J+112,3], key points in its pixels.
        pictures: T, as PNG.
        faces: [T,2], row and column of each.
    """

    height: int
    width: int
    points: np.ndarray
    pictures: list[bytes]
    faces: np.ndarray

    def features(self, frames: slice) -> dict:
        """Of a record of some of the frames."""
        return {
            FIGURES: self.pictures[frames],
            KEY_POINTS: self.points[frames].reshape([-1, 3]),
            FACES: self.faces[frames],
            SIZE: np.array([self.height, self.width], np.int64),
        }


def features(height: int | None, width: int | None) -> dict[str, tfds.features.FeatureConnector]:
    """Those of a record with figures of this size, None where it differs from one to the next."""
    return {
        FIGURES: tfds.features.Video(shape=(None, height, width, 3), encoding_format="png"),
        KEY_POINTS: tfds.features.Tensor(shape=(None, 3), dtype=np.float32),  # of all frames, one after the other
        FACES: tfds.features.Tensor(shape=(None, 2), dtype=np.float32),
        SIZE: tfds.features.Tensor(shape=(2,), dtype=np.int64),
    }


def fitted(points: np.ndarray, facts: Facts, target: Target) -> np.ndarray:
    """Key points in pixels of a video, laid whole into the middle of a target's frame, and normalized. Raises ValueError as these."""
    joints = points.shape[1] - poses.REST
    if (joints, target.joints) == (25, 23):
        points, joints = poses.as_body_23(points), 23
    if joints != target.joints:
        raise ValueError(f"got bodies of {joints} joints, expected {target.joints} as of --normalize_to")
    scale = min(target.height / facts.height, target.width / facts.width)
    left, top = (target.width - scale * facts.width) / 2, (target.height - scale * facts.height) / 2
    return normalize(poses.placed(points, scale, left, top), target.floor, target.width)


def target_of(path: str) -> Target:
    """That of --normalize_to: a run, or the prepared set that it was trained on. Raises UserError where there are no poses."""
    flag, folder, file = f"--normalize_to={path}", path, paths.join(path, FLAGS_FILE)
    if paths.is_folder(path) and FLAGS_FILE in paths.children(path):
        folder = from_flags(paths.read_text(file)).get("data_dir", "")
    found = prepared.folders(folder)
    if len(found) != 1:
        raise UserError(
            f"{flag}: got no set of poses in {folder or 'its data_dir, which is empty'}, expected one by prepare --dataset=poses"
        )
    builder = prepared.open_builder(found[0])
    if KEY_POINTS not in builder.info.features:
        raise UserError(f"{flag}: {found[0]} has {', '.join(builder.info.features)}, expected a set by prepare --dataset=poses")
    split = "train" if "train" in builder.info.splits else next(iter(builder.info.splits))
    stored = {
        KEY_POINTS: tf.io.FixedLenSequenceFeature([3], tf.float32, allow_missing=True),
        "times": tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True),
        SIZE: tf.io.FixedLenFeature([2], tf.int64),
    }
    floors, height, width, joints = [], 0, 0, 0
    for example in prepared.features(found[0], split, stored):
        points = example[KEY_POINTS].reshape([len(example["times"]), -1, 3])
        try:
            floors.append(floor(points))
        except ValueError:
            continue  # this one tells nothing
        (height, width), joints = example[SIZE].tolist(), len(points[0]) - poses.REST
    if not floors:
        raise UserError(f"{flag}: got no frame with both ankles and a head in {found[0]}, expected some")
    return Target(height, width, Floor(*(np.concatenate([getattr(one, name) for one in floors]) for name in ("rows", "heights"))), joints)

"""Pose distance of translations: poses are estimated again, of each clip and of its true one alike, by data/pose_estimation.py."""

import logging

import numpy as np

from tfvideogan.config import UserError
from tfvideogan.data import pose_estimation
from tfvideogan.evaluation.scores import mean_of
from tfvideogan.metrics.pose_distance import missed_points, pose_distance
from tfvideogan.ops.video import to_uint8

LOG = logging.getLogger(__name__)
METRIC, MISSED = "pose_distance", "missed_points"
TOLD = {
    METRIC: "mean distance in pixels of joints that both a clip and its true one show; clips without any are left out",
    MISSED: "joints of a frame that the true clip shows and the other does not, their mean number",
}


def measured(metrics: tuple[str, ...], paired: bool, missing: dict[str, str]) -> list[str]:
    """METRIC, if it is among the metrics and can be measured; `missing` gets the reason if it cannot.

    Args:
        paired: whether there are true clips.
    """
    if METRIC not in metrics:
        return []
    try:
        if not paired:
            raise UserError("the data set is unpaired")
        pose_estimation.estimator()
    except UserError as error:
        missing[METRIC] = str(error)
        LOG.warning("no %s: %s", METRIC, error)
        return []
    return [METRIC]


class PoseScores:
    """Gathers how far people are from the pose of the true clip, and what of them is not seen.

    Args:
        start: the first frame that is looked at: those before it were given.
    """

    def __init__(self, start: int):
        self.start = start
        self._distances: list[np.ndarray] = []
        self._missed: list[np.ndarray] = []

    def add(self, truth: np.ndarray, clips: np.ndarray) -> None:
        """Clips and their true ones, both [n,T,H,W,3] in [-1,1]."""
        real, made = (np.stack([key_points(clip) for clip in to_uint8(videos[:, self.start :]).numpy()]) for videos in (truth, clips))
        self._distances.append(pose_distance(real, made, 1.0))
        self._missed.append(missed_points(real, made))

    def records(self, name: str, seed: int, protocol: dict) -> list[dict]:
        """Records {"metric", "value", "stderr", "protocol"} of both, with `name` in the metrics."""
        found = {METRIC: np.concatenate(self._distances), MISSED: np.concatenate(self._missed)}
        told = {**protocol, "pose_estimator": pose_estimation.estimator(), "clips_without_joints": int(np.isnan(found[METRIC]).sum())}
        return [
            {"metric": f"{metric}/{name}", **mean_of(values, seed), "protocol": {**told, metric: TOLD[metric]}}
            for metric, values in found.items()
        ]


def key_points(clip: np.ndarray) -> np.ndarray:
    """Of the person in a clip uint8 [T,H,W,3], who is followed through it: [T,K,3]."""
    tracker = pose_estimation.Tracker()
    return np.stack([tracker(frame) for frame in clip])

"""Memorization audit: are generated clips nearer to the training clips than real clips are that were held out?

DVD-GAN's authors say of their UCF-101 model that it copies training clips (arXiv 1907.06571, 4.3); FID and IS reward that. The
yardstick is the distance of real, held-out clips to their nearest training clips: a generator that has learned the
distribution puts its samples as far away, one that copies puts them nearer (Meehan, Chaudhuri, Dasgupta 2020, arXiv 2004.05675).
Distances are Euclidean, between features of one evaluator; held-out clips must not be among the training clips. A poor
generator is far from all real clips, so `copying` below 0.5 acquits no one: look at the small percentiles, and at the pairs.
"""

import dataclasses

import numpy as np

QUERIES, REFERENCES = 1024, 2048  # clips compared at a time: 16 MB of distances
PERCENTILES = (1, 5, 10, 50)


@dataclasses.dataclass(frozen=True)
class Audit:
    """What `audit` found. Distances are float64, in units of the features.

    Attributes:
        neighbors: [N,k] int64, the training clips nearest to each sample, the nearest first.
        distances: [N,k], of these.
        held_out_neighbors: [H,k], held_out_distances: [H,k], the same of the held-out real clips.
    """

    neighbors: np.ndarray
    distances: np.ndarray
    held_out_neighbors: np.ndarray
    held_out_distances: np.ndarray

    def closer_than(self, percentile: float) -> float:
        """Share of the samples, 0 to 1, nearer to their nearest training clip than `percentile` percent of the held-out
        clips are to theirs: about percentile / 100 without memorization, more with it. Ask for no percentile below
        100 / H: the smallest distances of H clips do not tell it."""
        return float(np.mean(self.distances[:, 0] < np.percentile(self.held_out_distances[:, 0], percentile)))

    def copying(self) -> float:
        """`copying` of the nearest training clips."""
        return copying(self.distances[:, 0], self.held_out_distances[:, 0])

    def summary(self) -> dict[str, float]:
        """The audit in numbers: `copying`, `closer_than_p<q>` for q of PERCENTILES, and the median distances of both."""
        return {
            "copying": self.copying(),
            **{f"closer_than_p{q}": self.closer_than(q) for q in PERCENTILES},
            "median_distance": float(np.median(self.distances[:, 0])),
            "median_held_out_distance": float(np.median(self.held_out_distances[:, 0])),
        }


def audit(samples: np.ndarray, training: np.ndarray, held_out: np.ndarray, neighbors: int) -> Audit:
    """Looks for the training clips nearest to generated clips, and to held-out real clips as the yardstick.

    Args:
        samples: features [N,F] of generated clips.
        training: features [M,F] of the clips the generator was trained on.
        held_out: features [H,F] of real clips it was not trained on.
        neighbors: k, training clips to name for each.
    Raises: ValueError as `nearest`, and for no clips in a set.
    """
    if min(len(samples), len(held_out)) < 1:
        raise ValueError(f"{len(samples)} samples and {len(held_out)} held-out clips: expected at least 1 of each")
    return Audit(*nearest(samples, training, neighbors), *nearest(held_out, training, neighbors))


def copying(distances: np.ndarray, held_out: np.ndarray) -> float:
    """Probability that a sample, of N distances to its nearest training clip, is nearer to the training clips than a held-out clip is, of H
    distances (Mann and Whitney's U over N H): 0.5 without memorization, 1 if all samples are nearer than all held-out clips."""
    held_out = np.sort(held_out)
    left, right = (np.searchsorted(held_out, distances, side) for side in ("left", "right"))
    return float(np.mean(len(held_out) - right + 0.5 * (right - left)) / len(held_out))


def nearest(queries: np.ndarray, references: np.ndarray, neighbors: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest references of each query by Euclidean distance. Memory does not grow with N M.

    Args:
        queries: [N,F].
        references: [M,F].
        neighbors: k, at most M.
    Returns: indices [N,k] int64 and distances [N,k] float64, the nearest first; of equal distances the lower index.
    Raises: ValueError for k out of range, for features of different widths, and for features that are not finite.
    """
    if not 1 <= neighbors <= len(references):
        raise ValueError(f"neighbors={neighbors}: expected 1 to {len(references)}, the number of training clips")
    if queries.ndim != 2 or references.ndim != 2 or queries.shape[1] != references.shape[1]:
        raise ValueError(f"features of shapes {list(queries.shape)} and {list(references.shape)}: expected [N,F] and [M,F]")
    for features in (queries, references):
        if not np.isfinite(features).all():
            raise ValueError(f"{np.sum(~np.isfinite(features).all(1))} of {len(features)} clips have features that are not finite")
    middle = references.mean(0, dtype=np.float64)  # distances from here keep more digits
    indices = np.concatenate([_candidates(block - middle, references, middle, neighbors) for block in _blocks(queries, QUERIES)])
    # The products below lose half of the digits of a copy's distance: it is taken anew, and is 0.
    distances = np.empty(indices.shape)
    for column in range(neighbors):
        for start in range(0, len(queries), QUERIES):
            rows = slice(start, start + QUERIES)
            difference = queries[rows].astype(np.float64) - references[indices[rows, column]]
            distances[rows, column] = np.sqrt(np.sum(np.square(difference), 1))
    order = np.lexsort((indices, distances), axis=1)
    return np.take_along_axis(indices, order, 1), np.take_along_axis(distances, order, 1)


def _candidates(queries: np.ndarray, references: np.ndarray, middle: np.ndarray, neighbors: int) -> np.ndarray:
    """Indices [n,k] of the nearest references, in any order: |r|^2 - 2 <q,r> orders as |q - r| does."""
    best, indices = np.empty([len(queries), 0]), np.empty([len(queries), 0], np.int64)
    start = 0
    for block in _blocks(references, REFERENCES):
        block = block - middle
        scores = np.sum(np.square(block), 1) - 2 * (queries @ block.T)
        nearest = np.argpartition(scores, min(neighbors, len(block)) - 1, 1)[:, :neighbors]
        best = np.concatenate([best, np.take_along_axis(scores, nearest, 1)], 1)
        indices = np.concatenate([indices, nearest + start], 1)
        keep = np.argsort(best, 1)[:, :neighbors]
        best, indices = np.take_along_axis(best, keep, 1), np.take_along_axis(indices, keep, 1)
        start += len(block)
    return indices


def _blocks(array: np.ndarray, rows: int):
    return (array[start : start + rows] for start in range(0, len(array), rows))

"""Whether a prediction of moving shapes puts the shape where it goes: `python -m benchmarks.shape_centers --workdir=DIR | --module=EXPORT
[--clips=400] [--futures=4]`, or with --check_centers alone, whether this program finds the centers of real clips.

Continues the first frames of held-out clips and prints, as tables in Markdown:
- the median distance, in pixels, of the shape's center in each frame from that in the true one: of the prediction, of copying the
  last frame, and of going on as between the last two given frames (the center, not the pixels);
- SSIM and PSNR of each frame, beside the baselines of `evaluate`;
- how far two futures of one clip are apart: pixels, and centers.

A center is that of what differs from the clip's background. The true one is measured in the real clip in the same way; how far that is
from the center that the clip was drawn from is printed first.
"""

import dataclasses
import sys
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from absl import flags

from tfvideogan import data
from tfvideogan.cli import define_generator_flags, launch, open_generator
from tfvideogan.config import Clips, UserError
from tfvideogan.data.sources import moving_shapes
from tfvideogan.evaluation import baselines
from tfvideogan.evaluation.frames import METRICS, FrameScores
from tfvideogan.ops.video import from_unit

define_generator_flags()
CLIPS = flags.DEFINE_integer("clips", 400, "Held-out clips.")
FUTURES = flags.DEFINE_integer("futures", 4, "Continuations of each, of a generator with a latent.")
CHECK = flags.DEFINE_boolean("check_centers", False, "Only find the centers of real clips.")
BATCH = 16
NOTHING = 0.1  # of [0,1]: where no pixel differs more from the background, there is no shape


def background(clips: np.ndarray) -> np.ndarray:
    """What is behind the shape of real clips: [N,T,H,W,3] -> [N,H,W,3]. Shapes are brighter than any background, and leave every pixel
    free in some frame: so each pixel when it is darkest."""
    darkest = clips.max(-1).argmin(1)  # [N,H,W]
    return np.take_along_axis(clips, darkest[:, None, :, :, None], 1)[:, 0]


def centers(frames: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Centroids (x, y) in pixels of what differs from the background; NaN where nothing does: [N,T,H,W,3], [N,H,W,3] in [0,1] -> [N,T,2].

    A pixel counts in full from three quarters of the frame's largest difference on, and not at all up to a quarter: edges count in part,
    and neither noise nor the background's pattern moves the center.
    """
    apart = abs(frames - behind[:, None]).max(-1)
    largest = apart.max((2, 3), keepdims=True)
    weight = np.clip(2 * apart / np.maximum(largest, 1e-6) - 0.5, 0, 1) * (largest > NOTHING)
    down, across = np.arange(apart.shape[2]) + 0.5, np.arange(apart.shape[3]) + 0.5
    total = weight.sum((2, 3))
    with np.errstate(invalid="ignore"):
        return np.stack([weight.sum(2) @ across / total, weight.sum(3) @ down / total], -1)


def drawn_centers(indices: range, variant: str, frames: int, size: int) -> np.ndarray:
    """Centroids (x, y) in pixels that clips of moving_shapes were drawn from, [N,T,2]."""
    found = []
    for index in indices:
        scene = moving_shapes.scene_of(index, variant)
        x, y = scene.centers(moving_shapes.times(frames))
        below = 1.15 * scene.radius / 4 if scene.shape == "triangle" else 0.0  # the middle of its height is not its centroid
        found.append(np.stack([x, y + below], -1) * size)
    return np.stack(found)


def ahead_of(known: np.ndarray, frames: int) -> dict[str, np.ndarray]:
    """Centers [N,frames,2] that follow from those of the given frames [N,C,2], by each rule that there are enough for."""
    ahead, last = np.arange(1, frames + 1)[None, :, None], known[:, -1:]
    found = {"copy_last": np.repeat(last, frames, 1)}
    return {**found, "linear": last + ahead * (last - known[:, -2:-1])} if known.shape[1] > 1 else found


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of centers [...,2]; infinite where there is none, so that the median counts a lost shape as far away."""
    return np.nan_to_num(np.linalg.norm(a - b, axis=-1), nan=np.inf)


def real_clips(config: Clips, count: int) -> Iterator[tuple[data.Batch, np.ndarray, np.ndarray, np.ndarray]]:
    """(batch, background [n,H,W,3], measured centers and those drawn from [n,T,2]) of the first clips of split test.

    Raises: UserError for another data set.
    """
    name, _, variant = config.dataset.partition("/")
    if name != "moving_shapes":
        raise UserError(f"--dataset={config.dataset}: expected moving_shapes, whose centers are known")
    variant = variant or "mixed"
    first = moving_shapes.clips_of(variant, "test").start
    for batch in data.load(config, "test").once(BATCH).take(-(-count // BATCH)):
        kept = {key: value[:count] for key, value in batch.items()}
        n = len(kept["video"])
        count -= n
        unit = (kept["video"].numpy() + 1) / 2
        behind = background(unit)
        yield kept, behind, centers(unit, behind), drawn_centers(range(first, first + n), variant, config.frames, config.size)
        first += n


def table(title: str, frames: range, rows: dict[str, np.ndarray], digits: int) -> None:
    """Prints rows of numbers, a column a frame."""
    print(f"\n| {title} | " + " | ".join(map(str, frames)) + " |\n|---|" + "---|" * len(frames))
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(f"{value:.{digits}f}" for value in values) + " |")


def main(config: Clips) -> None:
    if CHECK.value:
        found = [(measured, drawn) for _, _, measured, drawn in real_clips(config, CLIPS.value)]
        report_check(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
        return
    generator = open_generator(config)
    config, given = dataclasses.replace(generator.config, flip=False, max_stride=0, random_crop=False), generator.given_frames
    if not given:
        raise UserError(f"{generator.name}: got a {generator.kind}, expected a prediction")
    futures, ahead = FUTURES.value if generator.has_latent else 1, range(given, config.frames)
    rules = baselines.of_prediction(given)
    scores = {name: FrameScores(METRICS, n, given) for name, n in (("predicted", futures), *((rule, 1) for rule in rules))}
    true, drawn, known, made = [], [], [], []
    for number, (batch, behind, measured, drawn_from) in enumerate(real_clips(config, CLIPS.value)):
        truth = batch["video"].numpy()
        of_futures = []
        for future in range(futures):
            clips = generator.draw(batch, tf.constant([config.seed + future, number * BATCH]), 1.0)
            scores["predicted"].add(truth, from_unit(clips).numpy())
            of_futures.append(centers(clips[:, given:].numpy(), behind))
        for name, rule in rules.items():
            scores[name].add(truth, np.concatenate([truth[:, :given], rule({"first_frames": truth[:, :given]}, len(ahead))], 1))
        true.append(measured)
        drawn.append(drawn_from)
        known.append(measured[:, :given])
        made.append(np.stack(of_futures, 1))
    centers_of, found_at = np.concatenate(true), np.concatenate(made)  # [N,T,2], [N,futures,F,2]
    report_check(centers_of, np.concatenate(drawn))
    follows = ahead_of(np.concatenate(known), len(ahead))
    rows = {"predicted": distances(found_at, centers_of[:, None, given:])}
    if futures > 1:
        best = rows["predicted"][..., -1].argmin(1)
        rows[f"the best of {futures} in the last frame"] = rows["predicted"][np.arange(len(best)), best]
    rows |= {name: distances(center, centers_of[:, given:]) for name, center in follows.items()}
    print(f"\n{len(centers_of)} clips of {config.dataset}, split test, {given} frames given, {futures} futures; {generator.name}")
    table("median distance of centers, pixels", ahead, {name: np.median(v.reshape(-1, len(ahead)), 0) for name, v in rows.items()}, 2)
    lost = np.isnan(found_at[..., 0]).mean((0, 1))
    table("share of frames without a shape", ahead, {"predicted": lost}, 3)
    records = {record["metric"]: record["curve"] for name, one in scores.items() for record in one.records(name, config.seed, {})}
    for metric, digits in (("ssim", 3), ("psnr", 2), ("spread", 4)):
        found = {name.partition("/")[2]: np.array(curve) for name, curve in records.items() if name.startswith(f"{metric}/")}
        if found:
            table(metric, ahead, found, digits)
    if futures > 1:
        apart = distances(found_at[:, 1:], found_at[:, :-1]).reshape(-1, len(ahead))
        table("median distance of two futures' centers, pixels", ahead, {"predicted": np.median(apart, 0)}, 2)


def report_check(measured: np.ndarray, drawn: np.ndarray) -> None:
    """Prints how far measured centers are from those that real clips were drawn from."""
    error = distances(measured, drawn)
    print(f"real clips: measured centers are {np.median(error):.3f} pixels (median) and {error.max():.3f} (largest) from the drawn ones")


if __name__ == "__main__":
    launch(main, saved=("workdir", "module"), kind=Clips if "--check_centers" in sys.argv else None)

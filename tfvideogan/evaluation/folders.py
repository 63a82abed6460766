"""Evaluates the videos of one folder against those of another, whoever made them."""

import dataclasses
import functools

from tfvideogan import data
from tfvideogan.config import Evaluation, UserError
from tfvideogan.data import paths
from tfvideogan.data.decode import RESIZE
from tfvideogan.data.sources import folder
from tfvideogan.data.sources.listing import files_source
from tfvideogan.evaluation import cache, evaluation, frames, pairs, prediction, report, result
from tfvideogan.evaluation.clips import Clips
from tfvideogan.evaluation.settings import Settings
from tfvideogan.evaluators.evaluator import Evaluator

CLIPS_DEPEND_ON = ("frames", "size", "width", "short_side", "stride", "fps", "seed")  # of the Config
ALL = "train+validation+test"


def evaluate(
    config: Evaluation, settings: Settings, evaluator: Evaluator, real: str, fake: str, videos: int | None, paired: bool
) -> result.Result:
    """Scores the videos of `fake` by those of `real`: of each one random stretch, or in pairs the middle.

    Args:
        config: how clips are cut.
        real, fake: folders, as --dataset=folder reads them.
        videos: clips of each, at most; None: all. settings.real_videos is of `real` alone.
        paired: SSIM, PSNR and, with its weights, LPIPS of each video of `fake` and that of the same place, by name, in `real`; frame by
            frame if the first settings.given frames were given, or if there are several settings.futures, named one after the other.
    Raises: UserError for folders that cannot be used, where no metric can be computed, and for repeats, which need a generator.
    """
    if settings.repeats > 1:
        raise UserError(f"--repeats={settings.repeats}: expected 1 with --real and --fake, which have no seed")
    config = dataclasses.replace(config, flip=False, max_stride=0, random_crop=False)
    ahead = settings.given > 0 or settings.futures > 1
    if ahead and not paired:
        raise UserError(f"--given={settings.given} --futures={settings.futures}: expected 0 and 1 without --paired")
    if settings.given >= config.frames:
        raise UserError(f"--given={settings.given}: expected less than --frames={config.frames}")
    told = {name: getattr(config, name) for name in CLIPS_DEPEND_ON}
    pixels = settings.report or evaluation.wants_pixels(settings.metrics)
    opened = {flag: open_folder(config, flag, path, evaluator.labels) for flag, path in (("real", real), ("fake", fake))}
    of_real = videos if settings.real_videos is None else settings.real_videos

    def look(flag: str, path: str, most: int | None) -> Clips:
        remember = functools.partial(cache.remember, settings.cache_dir)
        clips = most or opened[flag].size
        return evaluation.of_data(opened[flag], evaluator, clips, pixels, flag, {**told, "data_dir": path}, remember)

    names = {flag: dataset.labels if len(dataset.labels) > 1 else () for flag, dataset in opened.items()}
    if settings.lpips and not paired:
        raise UserError("--lpips: expected --paired, as it compares a clip with its own true one")
    alone = tuple(metric for metric in settings.metrics if not (paired and metric in frames.METRICS))
    protocol = {"real": real, "fake": fake, **told, "resize": RESIZE, "ema": None, "truncation": None}
    scored = evaluation.Evaluation(
        evaluator,
        lambda: look("real", real, of_real),
        names["fake"],
        videos or opened["fake"].size,
        0,
        alone,
        pixels,
        protocol,
        is_splits=settings.is_splits,
    )
    side = min(config.size, config.width or config.size)
    in_pairs = frames.chosen(settings.metrics, settings.lpips, side, scored.missing) if paired else {}
    result.require([*scored.metrics, *in_pairs], settings.metrics, scored.missing)
    generated = look("fake", fake, videos)
    records = scored.score(generated, scored.metrics, config.seed, protocol)
    if ahead:
        records += prediction.of_folders(opened["real"], opened["fake"], settings.given, settings.futures, in_pairs, config.seed, protocol)
    elif in_pairs:
        records += pairs.records(opened["real"], opened["fake"], in_pairs, config.seed, protocol)
    result.require(records, settings.metrics, scored.missing)
    shown = report.Set(f"real: {real}", scored.real, names["real"]), report.Set(f"generated: {fake}", generated, names["fake"])
    return result.Result(f"{fake} against {real}", 0, records, [], shown)


def open_folder(config: Evaluation, flag: str, path: str, known: tuple[str, ...]) -> data.Dataset:
    """The clips of --real or --fake, read as --dataset=folder reads a folder: of one that has folders for its splits config.split.

    Their classes are numbered as `known`, if they are among these.

    Raises: UserError, naming the flag, as the folder's source does, and if there are fewer than two that can be used.
    """
    paths.enable_schemes(path)
    try:
        found = folder.listing(path, "")
        if set(found.labels) <= set(known):
            found = folder.listing(path, "", known)
        source = files_source(dataclasses.replace(config, data_dir=path), found, config.split if found.splits else ALL, keep=False)
    except UserError as error:
        raise UserError(str(error).replace(f"--data_dir={path}", f"--{flag}={path}")) from error
    if source.size < 2:
        raise UserError(f"--{flag}={path}: {source.size} video that can be used; expected at least 2")
    return data.Dataset(source.labels, source.size, source, config.seed)

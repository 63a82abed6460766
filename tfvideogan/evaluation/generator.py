"""Evaluates a synthesis generator against the clips it was trained on."""

import functools
from pathlib import Path

from tfvideogan.evaluation import audit, cache, evaluation, report, result
from tfvideogan.evaluation.clips import Clips
from tfvideogan.evaluation.repeats import averaged
from tfvideogan.evaluation.settings import Settings
from tfvideogan.evaluators.evaluator import Evaluator
from tfvideogan.generation.module import Generator

OF_CURVE = ("is", "fid")


def evaluate(generator: Generator, settings: Settings, evaluator: Evaluator) -> result.Result:
    """Scores a generator's clips, generator.config.evaluate_videos of them, `repeats` times; and its IS and FID at each truncation
    of the curve.

    Raises: UserError where no metric can be computed.
    """
    config, remember = generator.config, functools.partial(cache.remember, settings.cache_dir)
    scored = evaluation.of_config(
        config,
        generator.labels,
        settings.metrics,
        settings.truncation,
        True,
        evaluator,
        pixels=settings.report,
        remember=remember,
        real_videos=settings.real_videos,
        is_splits=settings.is_splits,
    )
    result.require(scored.metrics, settings.metrics, scored.missing)

    def look(truncation: float, seed: int) -> Clips:
        return scored.generated(lambda batch, seed: generator.draw(batch, seed, truncation), seed)

    fake = look(settings.truncation, config.seed)
    protocol = {**scored.protocol, "repeats": settings.repeats}
    runs = [scored.score(fake, scored.metrics, config.seed, protocol)]
    for seed in range(config.seed + 1, config.seed + settings.repeats):
        runs.append(scored.score(look(settings.truncation, seed), scored.metrics, seed, protocol))
    result.require(runs[0], settings.metrics, scored.missing)
    scored.pixels, curve = False, []
    for truncation in settings.curve:
        clips = fake if truncation == settings.truncation else look(truncation, config.seed)
        curve += scored.score(clips, OF_CURVE, config.seed, {**scored.protocol, "truncation": truncation})
    name = f"{Path(generator.name).name}: {config.model} on {config.dataset}"
    sets = report.Set("real", scored.real, generator.labels), report.Set("generated", fake, generator.labels)
    records, shown = averaged(runs), []
    if settings.report:
        videos = settings.audit_videos
        found = audit.memorized(config, generator, fake, settings.truncation, evaluator, videos, remember, protocol) if videos > 0 else None
        if found:
            shown.append(found[0])
            records.append(found[1])
        shown.append(audit.interpolated(generator, settings.truncation))
    return result.Result(name, generator.step, records, curve, sets, tuple(shown))

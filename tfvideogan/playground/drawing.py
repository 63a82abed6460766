"""What the page asks for, and the clip that it gets."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfvideogan.config import UserError
from tfvideogan.generation import latents
from tfvideogan.generation.module import Generator
from tfvideogan.ops.video import to_unit

MOST_SEED = (1 << 31) - 1


@dataclasses.dataclass(frozen=True)
class Ask:
    """A clip that is asked for.

    Attributes:
        label: number of its class.
        seed: of its latent, as --seed of `sample`.
        other, mix: the seed of a second latent, and how far the clip is from the first to it, 0 to 1.
        content, motion: seeds of that part of the latent; -1: that of `seed`.
        truncation: of the latent; 1 for none.
        source: of an uploaded video, its name among them; empty for none.
    """

    label: int = 0
    seed: int = 0
    other: int = 0
    mix: float = 0.0
    content: int = -1
    motion: int = -1
    truncation: float = 1.0
    source: str = ""

    @property
    def plain(self) -> bool:
        """Whether it is a clip that `sample` draws too."""
        return self.mix == 0 and self.content < 0 and self.motion < 0


def parse(fields: Mapping[str, str], labels: int) -> Ask:
    """What a query asks for. Raises UserError for a field that there is not, and for one out of its range.

    Args:
        labels: classes that there are; 0 if none are read.
    """
    ranges = {
        **{"label": (0, max(labels - 1, 0)), "seed": (0, MOST_SEED), "other": (0, MOST_SEED), "mix": (0, 1)},
        **{"content": (-1, MOST_SEED), "motion": (-1, MOST_SEED), "truncation": (0, 2)},
    }
    values: dict[str, int | float | str] = {}
    for field in dataclasses.fields(Ask):
        if field.name not in fields:
            continue
        text = fields[field.name]
        if field.name == "source":
            values["source"] = text
            continue
        low, high = ranges[field.name]
        try:
            number = float(text) if field.name in ("mix", "truncation") else int(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise UserError(f"{field.name}: got {text[:40]!r}, expected a number from {low} to {high}")
        values[field.name] = number
    if unknown := sorted(fields.keys() - {field.name for field in dataclasses.fields(Ask)}):
        raise UserError(f"got {unknown[0][:40]!r}, expected fields among {', '.join(field.name for field in dataclasses.fields(Ask))}")
    return Ask(**values)  # type: ignore[arg-type]  # each has its field's type


def draw(generator: Generator, ask: Ask, video: tf.Tensor | None, seeds_are_ours: bool = True) -> np.ndarray:
    """The clip, uint8 [T,H,W,3].

    A plain one is that of `sample`, with BN's standing statistics of its truncation. Others are drawn by `generate`, with those of 1.

    Args:
        video: the uploaded one, float32 [1,T,H,W,3] in [-1,1], for prediction and translation.
        seeds_are_ours: see `seeds_are_ours`; if not, all are drawn by `generate`.

    Raises: UserError where a video is needed and there is none.
    """
    if generator.kind != "synthesis" and video is None:
        raise UserError(f"source: got none, expected a video for {generator.kind}")
    label = tf.constant([ask.label])
    if ask.plain and seeds_are_ours or not generator.has_latent:
        clip = generator.draw({"label": label, "video": video, "source": video}, tf.constant([ask.seed, 0]), ask.truncation)
    else:
        inputs = {"z": latent(generator, ask), "label": label}
        if video is not None:
            inputs["first_frames" if generator.kind == "prediction" else "source"] = to_unit(video)[:, : generator.given_frames or None]
        clip = generator.source.generate(**{name: inputs[name] for name in generator.input_names})
    return np.round(clip[0].numpy() * 255).astype(np.uint8)


def seeds_are_ours(generator: Generator) -> bool:
    """Whether a seed's latent is the one that `sample` draws inside the module: those of earlier versions drew others. Draws two clips."""
    config = generator.config
    video = None if generator.kind == "synthesis" else tf.zeros([1, config.frames, *config.frame_size, 3])
    inside, here = (draw(generator, Ask(), video, ours).astype(int) for ours in (True, False))
    return bool(np.abs(inside - here).max() <= 1)


def latent(generator: Generator, ask: Ask) -> tf.Tensor:
    """Between two seeds, with parts of others, truncated: float32 [1,width]."""
    law = latents.distribution(generator)
    first, last = latents.of_seeds(generator, [ask.seed, ask.other])
    z = law.interpolate(tf.constant(first[None]), tf.constant(last[None]), tf.constant(ask.mix)).numpy()
    for name, part in latents.parts(generator).items():
        seed = getattr(ask, name)
        if seed >= 0:
            z[:, part] = latents.of_seeds(generator, [seed])[:, part]
    return law.truncate(tf.constant(z), tf.constant(ask.truncation))

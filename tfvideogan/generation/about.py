"""What a page that draws from a module must know of it, as JSON says it."""

from pathlib import Path
from typing import Any

from tfvideogan.generation import latents
from tfvideogan.generation.module import Generator, specs_of
from tfvideogan.generation.sampler import is_picture

PAGE = Path(__file__).parent / "page"
FPS = 8.0  # of a module whose clips were cut without --fps


def about(generator: Generator) -> dict[str, Any]:
    """Names, sizes and what can be chosen.

    Returns: title; kind; labels, none if the generator reads no class; frames, height, width; given_frames of a prediction; latent, the
        numbers in one; parts, of it; uploads, whether it reads a video of colors; lacking, what else it reads, which no page gives; fps.
    """
    config, source = generator.config, generator.source
    specs = {spec.name: spec for spec in specs_of(source.generate)}
    given = {"z", "label", "first_frames"} | ({"source"} if "source" in specs and is_picture(specs["source"]) else set())
    return {
        "title": f"{config.model} on {config.dataset}",
        "kind": generator.kind,
        "labels": [*generator.labels] if "label" in specs else [],
        "frames": config.frames,
        "height": config.frame_size[0],
        "width": config.frame_size[1],
        "given_frames": generator.given_frames,
        "latent": latents.width(generator),
        "parts": {name: [part.start, part.stop] for name, part in latents.parts(generator).items()},
        "uploads": generator.kind != "synthesis",
        "lacking": sorted(specs.keys() - given),
        "fps": config.fps or FPS,
    }

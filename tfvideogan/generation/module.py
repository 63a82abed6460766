"""An exported module: written from a run's generator, and read back."""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
import tensorflow_hub as hub

from tfvideogan import __version__
from tfvideogan.config import FLAGS_FILE, Config, UserError, to_flags
from tfvideogan.generation.sampler import fixed_sampler
from tfvideogan.ops import forms

LABELS_FILE = "labels.txt"


@dataclasses.dataclass(frozen=True)
class Generator:
    """What is sampled and judged.

    Attributes:
        name: the folder or handle it came from.
        config: Config of its run.
        labels: names of its classes.
        step: generator steps it was trained for; 0 if the module does not tell.
        sample: (label [N] int32, seed [2] int32, truncation [] float32) -> video [N,T,H,W,3] float32 in [0,1].
        source: the Sampler, or the loaded module.
        scores: the records of its evaluations at this step, for the card.
    """

    name: str
    config: Config
    labels: tuple[str, ...]
    step: int
    sample: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
    source: tf.Module
    scores: tuple[dict, ...] = ()


def from_module(handle: str, config: Config) -> Generator:
    """An exported module. Its frames, size and labels are its own; the rest of the Config is `config`'s."""
    try:
        module = hub.load(handle)
        _, frames, size, _, _ = module.signatures["serving_default"].structured_outputs["video"].shape
        labels = tuple(Path(module.labels.asset_path.numpy().decode()).read_text().splitlines())
    except (OSError, AttributeError, KeyError, ValueError) as error:
        raise UserError(f"--module={handle}: no exported video generator: {error}") from error
    config = dataclasses.replace(config, frames=frames, size=size, classes=len(labels))
    return Generator(handle, config, labels, int(getattr(module, "step", 0)), module.sample, module)


def refuse_existing(path: str, overwrite: bool) -> None:
    """Raises UserError if `path` is there and not to be overwritten."""
    if Path(path).exists() and not overwrite:
        raise UserError(f"--output={path}: is there already; give another, or --overwrite")


def write(generator: Generator, path: str, overwrite: bool) -> None:
    """Writes a run's generator as a SavedModel, with run.flags and a card beside it: whole, or not at all.

    Raises: UserError if `path` is there and not to be overwritten.
    """
    folder = Path(path)
    refuse_existing(path, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        labels = Path(temporary) / LABELS_FILE
        labels.write_text("".join(f"{label}\n" for label in generator.labels))
        module, new = generator.source, Path(temporary) / "module"
        module.labels = tf.saved_model.Asset(str(labels))
        module.step = tf.Variable(generator.step, trainable=False)  # a constant would not be saved
        generate = module.generate
        with forms.plain():  # for servers; `generate` and `sample` themselves, for TensorFlow with all its parts, are faster
            serve = tf.function(lambda z, label: {"video": generate.python_function(z, label)}, input_signature=generate.input_signature)
            signature = serve.get_concrete_function()
        tf.saved_model.save(module, str(new), signatures=signature)
        (new / FLAGS_FILE).write_text(to_flags(generator.config))
        (new / "README.md").write_text(card(generator))
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)


def card(generator: Generator) -> str:
    """What a user of the module must know, in Markdown."""
    config, source = generator.config, generator.source
    latent = source.generate.input_signature[0].shape[-1]
    rows = [f"| {r['metric']} | {r['value']:.4g} | {r['stderr']:.2g} | {json.dumps(r['protocol'])} |" for r in generator.scores]
    table = ["| metric | value | standard error | protocol |", "|---|---|---|---|", *rows] if rows else ["Not evaluated."]
    names = [(part, fixed_sampler(part)) for part in ("content", "motion")]
    fixed = [f"| `{name}` | as `sample` | the same, of one {part} |\n" for part, name in names if hasattr(source, name)]
    clip = f"float32 [N,{config.frames},{config.size},{config.size},3] in [0,1]"
    return f"""# {config.model} on {config.dataset}, {config.frames} frames of {config.size}x{config.size}

A video generator trained with tfvideogan {__version__} for {generator.step} steps, exported with averaged weights and standing
statistics, computing in {source.precision}. {sum(int(tf.size(v)) for v in source.trainable_variables):,} parameters.

| call | inputs | output |
|---|---|---|
| `generate(z, label)` | float32 [N,{latent}] from {source.latent_law}, int32 [N] | {clip} |
| `sample(label, seed, truncation)` | int32 [N], int32 [2], float32 [] (1: none) | the same; one seed gives one video, always |
{"".join(fixed)}
Labels (`assets/{LABELS_FILE}`): {", ".join(f"{i} {label}" for i, label in enumerate(generator.labels))}.

Licence of the weights: that of the data they were trained on. All settings: `{FLAGS_FILE}`.

## Scores
{chr(10).join(table)}
"""

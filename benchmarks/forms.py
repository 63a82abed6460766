"""The losses of the fast forms beside the plain ones: `python -m benchmarks.forms --model=dvdgan --size=64 ... [--compared_steps=200]`.

Trains from the same weights on the same clips with the fast forms and with the plain ones (ops/forms.py), in this precision; and
with the plain ones again from weights that differ in their last bit, which tells how far rounding alone takes two runs apart. Prints
one JSON line with the largest difference of each loss to the plain run's, in parts of its mean size, over the first tenth of the
steps and over all; --plot=FILE.png draws the curves of fast and plain.
"""

import dataclasses
import json
import time

import numpy as np
import tensorflow as tf
from absl import flags, logging

from tfvideogan import data, models
from tfvideogan.cli import launch
from tfvideogan.config import Config
from tfvideogan.ops import forms
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.step import make_step

STEPS = flags.DEFINE_integer("compared_steps", 200, "Steps.")
PLOT = flags.DEFINE_string("plot", None, "PNG of the curves.")


def main(config: Config) -> None:
    dataset = data.load(config, config.split)
    config = dataclasses.replace(config, classes=config.classes or len(dataset.labels))
    fast = losses(config, dataset)
    with forms.plain():
        plain, nudged = losses(config, dataset), losses(config, dataset, nudged=True)
    early = max(STEPS.value // 10, 1)

    def apart(other: dict[str, np.ndarray], steps: int) -> dict[str, float]:
        return {name: float(f"{(np.abs(other[name] - plain[name]) / np.abs(plain[name]).mean())[:steps].max():.2g}") for name in plain}

    result = {
        "model": config.model, "precision": config.precision, "steps": STEPS.value,
        "largest": apart(fast, STEPS.value), "largest_early": apart(fast, early),
        "rounding": apart(nudged, STEPS.value), "rounding_early": apart(nudged, early),
        "mean": {name: [round(float(curves[name].mean()), 4) for curves in (fast, plain, nudged)] for name in plain},
    }  # fmt: skip
    print(json.dumps(result))
    if PLOT.value:
        plot(fast, plain, f"{config.model}, {config.precision}: fast forms (orange) over plain ones (blue)")


def losses(config: Config, dataset: data.Dataset, nudged: bool = False) -> dict[str, np.ndarray]:
    """Every loss at every step, of a run from its first weights, or from the next floating numbers above them."""
    gan, count = models.build(config), tf.Variable(0, dtype=tf.int64, trainable=False)
    optimizers = make_optimizers(gan, count)
    if nudged:
        for weight in gan.trainable_variables:
            weight.assign(np.nextafter(weight.numpy(), np.float32(np.inf)))
    step = make_step(gan, optimizers, count, tf.distribute.get_strategy())
    batches = iter(dataset.batches(config.batch_size))
    curves: dict[str, list[float]] = {}
    began = time.time()
    for number in range(STEPS.value):
        scalars = step([next(batches) for _ in range(config.d_steps)])
        for name, value in scalars.items():
            if name.startswith(("d_", "g_")) and not name.endswith("gradient_norm"):
                curves.setdefault(name, []).append(float(value))
        if number % 20 == 19:
            logging.info("step %d/%d, %.2f s/step", number + 1, STEPS.value, (time.time() - began) / (number + 1))
    return {name: np.array(values) for name, values in curves.items()}


def plot(fast: dict[str, np.ndarray], plain: dict[str, np.ndarray], title: str) -> None:
    """Each loss a panel, drawn with Pillow."""
    from PIL import Image, ImageDraw

    width, height = 900, 160
    sheet = Image.new("RGB", (width, 30 + height * len(plain)), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((10, 8), title, "black")
    for row, name in enumerate(plain):
        low, high = min(plain[name].min(), fast[name].min()), max(plain[name].max(), fast[name].max())
        top = 30 + row * height
        draw.text((10, top), f"{name}  {low:.3g} .. {high:.3g}", "black")
        for values, colour, thick in ((plain[name], "#3070c0", 4), (fast[name], "#ff9020", 1)):
            scaled = top + height - 10 - (values - low) / max(high - low, 1e-9) * (height - 30)
            draw.line([*zip(np.linspace(10, width - 10, len(values)).tolist(), scaled.tolist(), strict=True)], colour, thick)
    sheet.save(PLOT.value)


if __name__ == "__main__":
    launch(main)

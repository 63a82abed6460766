"""Whether augmentation leaks into what is generated: `python -m benchmarks.leak --workdir=DIR | --module=EXPORT [--evaluate_videos=1000]`.

Prints a table in Markdown, a row for real training clips and one for generated ones of the same classes, of what D's augmentation changes:
- the mean color of a clip, red, green and blue in [0,1], and its contrast, the standard deviation of all its values: color;
- the share of its pixels that are within 0.02 of middle gray: cutout, and the borders of what is moved, are of that gray;
- its flicker, the mean change of a frame's mean color from one frame to the next: color that is drawn frame by frame.

Each with the standard error of its mean over clips. Run it for a run with augmentation and one without: what leaks is apart from the real
clips in the first alone. The class accuracy of both is by `tfvideogan.evaluate`.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from tfvideogan import data
from tfvideogan.cli import define_generator_flags, launch, open_generator
from tfvideogan.config import Config

define_generator_flags()
BATCH = 16
GRAY = 0.5  # of [0,1], which is what augmentation puts where nothing is
NEAR = 0.02  # of [0,1]


def measured(clips: np.ndarray) -> dict[str, np.ndarray]:
    """What augmentation changes, of clips [N,T,H,W,3] in [0,1]: by name, [N]."""
    frames = clips.mean((2, 3))  # [N,T,3]
    gray = (abs(clips - GRAY) < NEAR).all(-1)
    colors = dict(zip(("red", "green", "blue"), frames.mean(1).T, strict=True))
    return {
        **colors,
        "contrast": clips.std((1, 2, 3, 4)),
        "gray": gray.mean((1, 2, 3)),
        "flicker": abs(np.diff(frames, axis=1)).mean((1, 2)),
    }


def row(name: str, batches: list[dict[str, np.ndarray]]) -> str:
    """Means over all clips with their standard errors, as a row."""
    cells = []
    for kind in batches[0]:
        values = np.concatenate([batch[kind] for batch in batches])
        cells.append(f"{values.mean():.3f} ± {values.std(ddof=1) / len(values) ** 0.5:.3f}")
    return f"| {name} | {' | '.join(cells)} |"


def main(config: Config) -> None:
    generator = open_generator(config)
    config = dataclasses.replace(generator.config, flip=False, max_stride=0, random_crop=False)
    real, made, left = [], [], config.evaluate_videos
    for number, batch in enumerate(data.load(config, "train").batches(BATCH)):
        clips = (batch["video"][:left].numpy() + 1) / 2
        real.append(measured(clips))
        seed = tf.constant([config.seed, number * BATCH])
        made.append(measured(generator.draw({name: batch[name][:left] for name in batch}, seed, 1.0).numpy()))
        left -= len(clips)
        if not left:
            break
    print(f"{config.evaluate_videos} clips of {config.dataset}, split train; {generator.name}")
    print(f"| clips | {' | '.join(real[0])} |\n|---|{'---|' * len(real[0])}")
    print(row("real", real))
    print(row("generated", made))


if __name__ == "__main__":
    launch(main, saved=("workdir", "module"))

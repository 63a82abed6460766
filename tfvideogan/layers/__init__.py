"""Layers that two or more models use.

Every layer that has state takes a `mode`:

- "train": normalize by the batch, and keep the power iteration of spectral norm.
- "calibrate": normalize by the batch, and average its statistics into the standing statistics; nothing else changes.
- "sample": normalize by the standing statistics; nothing changes.
"""

from typing import Literal

Mode = Literal["train", "calibrate", "sample"]

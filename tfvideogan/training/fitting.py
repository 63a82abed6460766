"""Which part of a batch fits into a device's memory: `train --dry_run --device_memory_gib=N`."""

import dataclasses
from typing import Any

from tfvideogan.config import Config, UserError
from tfvideogan.ops import forms
from tfvideogan.training import cost

DEVICES = 1, 8
MARGIN = 1.2  # the estimate is right to 20 % where it was measured
GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Fit:
    """The largest part of a batch that a device can take at once.

    Attributes:
        devices: that share the batch.
        recompute: whether activations are computed again in the gradient.
        clips: of the part; the least that there is if none fits.
        accumulate_steps: parts of a device's share.
        peak: bytes at the peak of a step, by the estimate.
        fits: whether the peak with its margin is within the device's memory.
    """

    devices: int
    recompute: bool
    clips: int
    accumulate_steps: int
    peak: float
    fits: bool


def fits(config: Config, gib: float) -> list[Fit]:
    """For one device and for eight, and with recomputation too where the model has it. What a GPU or TPU would run is measured.

    Raises: UserError for a memory of nothing.
    """
    if gib <= 0:
        raise UserError(f"--device_memory_gib={gib:g}: expected more than 0")
    found = []
    ways: list[dict[str, Any]] = [{"recompute": False}, {"recompute": True}] if hasattr(config, "recompute") else [{}]
    for way in ways:
        again = dataclasses.replace(config, accumulate_steps=1, **way)
        with forms.accelerated():
            one, whole = (cost.measure(dataclasses.replace(again, batch_size=clips)) for clips in (1, config.batch_size))
        for devices in DEVICES:
            if config.batch_size % devices == 0:
                found.append(_largest(config, one, whole, devices, way.get("recompute", False), gib))
    return found


def _largest(config: Config, one: cost.Cost, whole: cost.Cost, devices: int, recompute: bool, gib: float) -> Fit:
    """By a line through the memory of one clip and that of the batch: a step's peak is the largest of such lines, so it is at most that."""
    share = config.batch_size // devices
    for clips in (number for number in range(share, 0, -1) if share % number == 0):
        parts = share // clips
        live = one.live + (whole.live - one.live) * (clips - 1) / max(config.batch_size - 1, 1)
        waiting = whole.gradients + config.d_steps * cost.batch_bytes(config) * (share - clips) / config.batch_size if parts > 1 else 0
        peak = whole.variables + live + waiting
        if MARGIN * peak <= gib * GIB:
            return Fit(devices, recompute, clips, parts, peak, True)
    return Fit(devices, recompute, clips, parts, peak, False)


def report(config: Config, gib: float) -> str:
    """A table of what fits."""
    lines = [
        f"--batch_size={config.batch_size} on devices of {gib:g} GiB, of which a sixth is left free:",
        "  devices  recompute  clips at once  --accumulate_steps  GiB at the peak",
    ]
    for fit in fits(config, gib):
        again, note = "yes" if fit.recompute else "no", "" if fit.fits else "  does not fit"
        lines.append(f"  {fit.devices:7d}  {again:>9s}  {fit.clips:13d}  {fit.accumulate_steps:18d}  {fit.peak / GIB:15.2f}{note}")
    if config.batch_size % DEVICES[-1]:
        lines.append(f"  {DEVICES[-1]} devices cannot share {config.batch_size} clips: expected a multiple of {DEVICES[-1]}")
    return "\n".join(lines)

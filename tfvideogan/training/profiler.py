"""A profile of some steps, which TensorBoard's profile plugin opens: --profile_steps."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from absl import logging

from tfvideogan.config import UserError


def steps_of(text: str) -> range:
    """The steps of --profile_steps=FIRST:LAST, both included; none for an empty text. Raises UserError for anything else."""
    match = re.fullmatch(r"(\d+):(\d+)", text)
    if match and 1 <= int(match[1]) <= int(match[2]):
        return range(int(match[1]), int(match[2]) + 1)
    if text:
        raise UserError(f"--profile_steps={text}: expected FIRST:LAST, steps from 1 on, as 10:15")
    return range(0)


class Profiler:
    """Writes a profile of these steps into `logs`/plugins/profile; of those alone that this process takes."""

    def __init__(self, steps: range, logs: Path):
        self.steps, self.logs, self.running = steps, logs, False

    @contextlib.contextmanager
    def at(self, step: int) -> Iterator[None]:
        """Around a step, numbered from 1 on: what the plugin counts as one."""
        if step not in self.steps:
            yield
            return
        if not self.running:
            tf.profiler.experimental.start(str(self.logs))
            self.running = True
        try:
            with tf.profiler.experimental.Trace("train", step_num=step, _r=1):
                yield
        finally:
            if step == self.steps[-1]:
                tf.profiler.experimental.stop()
                self.running = False
                logging.info("profile of steps %d to %d: tensorboard --logdir=%s, tab Profile", self.steps[0], step, self.logs)

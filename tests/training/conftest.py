"""Short runs in this process, of the toy or of a GAN made of it."""

import signal
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.training import toy
from tfvideogan import data, models
from tfvideogan.config import Config
from tfvideogan.gan import GAN
from tfvideogan.training.loop import train
from tfvideogan.training.monitoring import Monitoring


@pytest.fixture
def trained(monkeypatch, tmp_path) -> Iterator:
    """A function that trains a Config in a folder of tmp_path, and gives all that is in the checkpoint of its last step."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def run(folder: str, config: Config, model: type[GAN] = toy.Model) -> dict[str, np.ndarray]:
        monkeypatch.setattr(Monitoring, "sample", lambda self, step: None)
        monkeypatch.setattr(models, "find", lambda name: SimpleNamespace(Model=model, Config=type(config)))
        train(config, data.load(config, "train"), str(tmp_path / folder), tf.distribute.OneDeviceStrategy("CPU:0"))
        return toy.held(tmp_path / folder, config.steps)

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)

"""What tests share: a small Config, a browser and real videos where there are such; and the order that slow tests are taken in."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from tfvideogan import models
from tfvideogan.config import Config, UserError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LEAST: dict[str, dict] = {  # the least Config of each model
    "cartoongan": {
        **{"dataset": "renderings", "classes": 1, "size": 16, "frames": 2, "channels": 4, "blocks": 1, "perceptual": "none"},
        "learning_rate_schedule": "constant",
    },
    "dvdgan": {"size": 32, "frames": 4, "channels": 2, "k": 2, "latent": 8, "embedding": 8},
    "dvdgan_fp": {"size": 32, "frames": 5, "given_frames": 2, "channels": 2, "k": 2, "latent": 8, "embedding": 8},
    "everybody_dance_now": {
        **{"dataset": "renderings/paired", "classes": 1, "size": 16, "width": 0, "frames": 2, "channels": 4, "d_channels": 2, "scales": 1},
        **{"halvings": 2, "blocks": 1, "local_blocks": 1, "perceptual": "none", "learning_rate_schedule": "constant"},
    },
    "mocogan": {"size": 32, "frames": 4, "channels": 2, "content": 6, "motion": 4},
    "tgan": {"size": 32, "frames": 8, "channels": 2, "latent": 8, "clip_every_steps": 2},
    "vgan": {"size": 32, "frames": 8, "channels": 2, "latent": 8},
    "ftgan": {"size": 32, "frames": 8, "channels": 2, "latent": 8},
    "vid2vid": {
        **{"dataset": "moving_shapes/labels", "size": 16, "width": 0, "frames": 4, "chunk_frames": 2, "channels": 4, "source_labels": 4},
        **{"foreground": "2", "halvings": 1, "blocks": 2, "local_blocks": 1, "d_channels": 2, "d_scales": 1},
        **{"perceptual": "none", "learning_rate_schedule": "constant"},
    },
    "tganv2": {"size": 32, "frames": 4, "channels": 2, "latent": 8, "levels": 2, "lstm_channels": 6, "learning_rate_schedule": "constant"},
}


def small(name: str, **changes: object) -> Config:
    """The least Config of a model that still has every part of it. Raises TypeError for a change of no field of it."""
    return models.find(name).Config(**{"stride": 1, "classes": 12, "batch_size": 4, **LEAST[name], **changes})


def refusal(load: Callable[[str, str], object], spec: str, sha256: str = "") -> str:
    """The one line with which an evaluator is refused."""
    with pytest.raises(UserError) as caught:
        load(spec, sha256)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def whole_products() -> None:
    """On a GPU float32 is multiplied with all its bits, which tolerances count on; a program called by a test may have asked for TF32."""
    tf.config.experimental.enable_tensor_float_32_execution(False)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rotate", type=int, default=0, help="Begin with the test of this number, modulo all; those before it come last.")


class Order:
    """Plugin: takes the tests in the order asked for, and names at the end those that were not finished, as when the time was up."""

    def __init__(self):
        self.waiting: list[str] = []

    @pytest.hookimpl(trylast=True)  # after those that are not chosen are taken out
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        first = config.getoption("rotate") % max(len(items), 1)
        items[:] = items[first:] + items[:first]
        self.waiting = [] if config.getoption("collectonly") else [item.nodeid for item in items]

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        if nodeid in self.waiting:
            self.waiting.remove(nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.waiting:
            terminalreporter.section(f"{len(self.waiting)} tests left out")
            for nodeid in self.waiting:
                terminalreporter.write_line(nodeid)


def pytest_itemcollected(item: pytest.Item) -> None:
    """`@pytest.mark.slow_for("dvdgan", ...)` makes a test slow where one of its parameters is among these."""
    marker = item.get_closest_marker("slow_for")
    if marker and isinstance(item, pytest.Function) and set(marker.args) & {*map(str, item.callspec.params.values())}:
        item.add_marker("slow")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Order())
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell hands it on to what runs in its background
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def real_videos() -> Path:
    """Folder of real videos; the test is skipped without it."""
    folder = os.environ.get("TFVIDEOGAN_TEST_DATA")
    if not folder:
        pytest.skip("set TFVIDEOGAN_TEST_DATA to a folder of real videos")
    return Path(folder)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; the test is skipped without one."""
    api = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"found no browser, expected one of {', '.join(BROWSERS)}")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])  # which root is refused
        yield browser
        browser.close()

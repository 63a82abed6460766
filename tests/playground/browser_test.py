"""The playground and the exported page in headless Chromium, used as by a person: every control, uploads, downloads, a small screen."""

import functools
import http.server
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.playground.server_test import Continuing, film, serving
from tfvideogan.config import Config
from tfvideogan.generation import latents
from tfvideogan.generation.formats import converting
from tfvideogan.generation.module import Generator, from_module
from tfvideogan.playground import drawing

pytestmark = pytest.mark.slow
RUNTIME = "TFVIDEOGAN_ONNXRUNTIME_WEB"  # names the folder dist/ of npm's onnxruntime-web, of the version that the exported page asks for
SECONDS = 120


class Colors(tf.Module):
    """A synthesis of three classes with content and motion: red is of the content, green of the motion, blue of the class."""

    def __init__(self):
        super().__init__()
        self.latent_parts = {"content": tf.Variable([0, 4]), "motion": tf.Variable([4, 6])}

    @tf.function(input_signature=[tf.TensorSpec([None, 6], name="z"), tf.TensorSpec([None], tf.int32, "label")])
    def generate(self, z, label):
        color = tf.stack([tf.reduce_sum(z[:, :4], 1), tf.reduce_sum(z[:, 4:], 1), tf.cast(label, tf.float32)], 1)
        return tf.tile(tf.sigmoid(color)[:, None, None, None], [1, 4, 16, 16, 1])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([2], tf.int32), tf.TensorSpec([])])
    def sample(self, label, seed, truncation):
        return tf.zeros([tf.size(label), 4, 16, 16, 3]) + truncation / 2


def saved(folder: Path) -> Generator:
    """Colors as an exported module."""
    (folder / "labels.txt").write_text("one\ntwo\nthree\n")
    module = Colors()
    module.labels, module.step = tf.saved_model.Asset(str(folder / "labels.txt")), tf.Variable(7)
    specs = module.generate.input_signature
    served = tf.function(lambda z, label: {"video": module.generate(z, label)}, input_signature=specs)
    tf.saved_model.save(module, str(folder / "module"), signatures=served)
    return from_module(str(folder / "module"), Config(size=16, frames=4))


@pytest.fixture
def opened(browser) -> Iterator[Any]:
    """What opens an address. Nothing is asked of other machines, and the page makes no error of its own."""
    errors: list[str] = []
    asked: list[str] = []
    context = browser.new_context(viewport={"width": 400, "height": 900})
    context.set_default_timeout(1000 * SECONDS)

    def open_(address: str, runtime: Path | None = None):
        def route(route):
            name = route.request.url.rpartition("/")[2]
            if runtime and route.request.url.startswith("https://cdn.jsdelivr.net/npm/onnxruntime-web@"):
                kind = "text/javascript" if name.endswith("mjs") else "application/wasm"
                route.fulfill(path=runtime / name, headers={"Access-Control-Allow-Origin": "*", "Content-Type": kind})
            elif route.request.url.startswith(address):
                route.continue_()
            else:
                asked.append(route.request.url)
                route.abort()

        context.route("**/*", route)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        return page

    yield open_
    context.close()
    assert not errors and not asked


DRAWN = """asked => {
  const drawn = JSON.parse(document.body.dataset.drawn ?? "{}");
  return Object.keys(asked).every(name => drawn[name] === asked[name]);
}"""
PIXELS = """() => {
  const clip = document.getElementById("clip");
  return [clip.height, clip.width, ...clip.getContext("2d").getImageData(0, 0, clip.width, clip.height).data];
}"""


def drawn(page, **asked: float) -> None:
    """Waits for a clip of these settings."""
    page.wait_for_function(DRAWN, arg=asked)


def frames(page) -> np.ndarray:
    """Stops the clip, and reads it, uint8 [T,H,W,3], as the screen shows it frame by frame."""
    slider = page.get_by_label("Frame", exact=True)
    slider.press("Home")
    found = []
    for _ in range(int(slider.get_attribute("max")) + 1):
        height, width, *values = page.evaluate(PIXELS)
        found.append(np.reshape(values, [height, width, 4])[:, :, :3])
        slider.press("ArrowRight")
    return np.stack(found).astype(np.uint8)


def test_every_control_changes_the_clip_by_keyboard_and_the_clip_is_kept(opened, tmp_path):
    generator = Generator("colors", Config(size=16, frames=4), ("one", "two", "three"), 1, Colors())
    with serving(generator) as playground:
        page = opened(playground.address)
        drawn(page, seed=0)
        asked: dict[str, Any] = {}
        for label, key, name, value in (
            ("Seed", "ArrowRight", "seed", 1),
            ("Truncation", "ArrowLeft", "truncation", 0.95),
            ("Second seed", "End", "other", 255),
            ("Interpolation", "End", "mix", 1.0),
            ("Content from seed", "ArrowRight", "content", 0),
            ("Motion from seed", "End", "motion", 255),
        ):
            page.get_by_label(label, exact=True).press(key)
            drawn(page, **{name: value})
            asked[name] = value
            np.testing.assert_array_equal(frames(page), drawing.draw(generator, drawing.Ask(**asked), None, False), err_msg=label)
        page.get_by_label("Class").select_option(label="three")
        drawn(page, label=2)
        clip = drawing.draw(generator, drawing.Ask(label=2, **asked), None, False)
        np.testing.assert_array_equal(frames(page), clip)

        for kind in ("GIF", "MP4"):
            with page.expect_download() as download:
                page.get_by_role("link", name=f"Download {kind}").click()
            download.value.save_as(tmp_path / download.value.suggested_filename)
        with Image.open(tmp_path / "clip.gif") as gif:
            assert gif.n_frames == 4 and np.abs(np.asarray(gif.convert("RGB"), int) - clip[0]).max() < 8
        with av.open(str(tmp_path / "clip.mp4")) as container:
            assert len([*container.decode(video=0)]) == 4

        page.get_by_role("button", name="Go there and back").click()
        page.wait_for_function("() => JSON.parse(document.body.dataset.drawn).mix < 1")
        page.get_by_role("button", name="Go there and back", pressed=True).click()
        page.evaluate("Math.random = () => 0.5")
        page.get_by_role("button", name="Another seed").click()
        drawn(page, seed=128)
        assert page.get_by_role("status").inner_text().startswith("4 frames in ")
        page.get_by_role("button", name="Play").click()  # frames() had paused it
        page.wait_for_function("() => document.getElementById('time').textContent !== '1 / 4'")
        page.get_by_role("button", name="Pause").click()


def test_a_video_is_given_and_a_hostile_one_is_a_line_on_the_page(opened):
    generator = Generator("continuing", Config(size=16, frames=4, stride=1), (), 1, Continuing())
    with serving(generator) as playground:
        page = opened(playground.address)
        page.get_by_text("Choose a video, or a picture.").wait_for()
        given = page.get_by_label("Video of which 2 frames are continued")
        given.set_input_files({"name": "film.mp4", "mimeType": "video/mp4", "buffer": film(6)})
        drawn(page, seed=0)
        assert page.get_by_text("film.mp4", exact=True).is_visible() and len(frames(page)) == 4
        (key,) = playground.videos
        video = playground.video(key)
        np.testing.assert_array_equal(frames(page), drawing.draw(generator, drawing.Ask(), video, playground.seeds_are_ours))
        given.set_input_files({"name": "film.mp4", "mimeType": "video/mp4", "buffer": b"no film"})
        page.wait_for_function("() => document.getElementById('status').textContent.startsWith('upload: ')")
        page.get_by_label("Seed", exact=True).press("ArrowRight")
        drawn(page, seed=1)
        assert page.get_by_role("status").inner_text().startswith("4 frames in ")


def test_on_a_small_screen_nothing_is_cut_off_and_tab_reaches_all(opened):
    with serving(Generator("colors", Config(size=16, frames=4), ("one", "two"), 1, Colors())) as playground:
        page = opened(playground.address)
        drawn(page, seed=0)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        page.get_by_role("link", name="Download GIF").focus()
        page.wait_for_function("() => document.activeElement.getBoundingClientRect().bottom <= innerHeight")
        assert page.evaluate("document.getElementById('clip').getBoundingClientRect().top >= 0"), "the clip is out of sight"
        reached = []
        for _ in range(20):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        script = "[...document.querySelectorAll('input, select, button, a')].filter(e => e.checkVisibility())"
        assert {*page.evaluate(f"{script}.map(e => e.id || e.textContent)")} <= {*reached}
        assert page.evaluate(f"{script}.every(e => e.ariaLabel || e.labels?.length || e.textContent)")


def test_the_exported_page_draws_the_modules_clips(opened, tmp_path):
    pytest.importorskip("tf2onnx")
    runtime = Path(os.environ.get(RUNTIME, ""))
    if not os.environ.get(RUNTIME):
        pytest.skip(f"{RUNTIME}: got nothing, expected dist/ of npm's onnxruntime-web")
    generator = saved(tmp_path)
    converting.write(generator, "web", str(tmp_path / "web"))
    serve = functools.partial(Quiet, directory=tmp_path / "web")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as host:
        threading.Thread(target=host.serve_forever).start()
        try:
            page = opened(f"http://127.0.0.1:{host.server_port}/", runtime)
            drawn(page, seed=0)
            page.get_by_label("Seed", exact=True).press("ArrowRight")
            page.get_by_label("Class").select_option(label="two")
            drawn(page, seed=1, label=1)
            for seed in (1, 255):
                z = latents.of_seeds(generator, [seed])
                want = np.round(255 * converting.Source(generator)({"z": z, "label": np.int32([1])})[0])
                assert np.abs(frames(page) - want).max() <= 1 and want.std() > 20
                page.get_by_label("Second seed").press("End")
                page.get_by_label("Interpolation").press("End")
                drawn(page, mix=1, other=255)
            with page.expect_download() as download:
                page.get_by_role("link", name="Download PNG").click()
            assert Image.open(io.BytesIO(Path(download.value.path()).read_bytes())).size == (4 * 16, 16)
        finally:
            host.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A static host."""

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

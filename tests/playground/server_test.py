"""The playground over HTTP: the clips it draws, what it takes from a browser and what it refuses."""

import contextlib
import http.client
import io
import json
import re
import socket
import struct
import threading
import urllib.parse
import zlib
from collections.abc import Iterator

import av
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.conftest import small
from tfvideogan.config import Config, UserError
from tfvideogan.generation import latents, pictures
from tfvideogan.generation.module import Generator, from_module
from tfvideogan.installed import bundled
from tfvideogan.ops import noise
from tfvideogan.playground import drawing, server, uploads


class Continuing(tf.Module):
    """A prediction with content and motion: the first frames, and then rows of the latent's means."""

    def __init__(self):
        super().__init__()
        self.latent_parts = {"content": tf.Variable([0, 4]), "motion": tf.Variable([4, 6])}

    @tf.function(input_signature=[tf.TensorSpec([None, 6], name="z"), tf.TensorSpec([None, 2, 16, 16, 3], name="first_frames")])
    def generate(self, z, first_frames):
        means = tf.stack([tf.reduce_mean(z[:, :4], 1), tf.reduce_mean(z[:, 4:], 1)], 1)
        following = tf.tile(tf.sigmoid(means)[:, :, None, None, None], [1, 1, 16, 16, 3])
        return tf.concat([first_frames, following], 1)

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 16, 16, 3]), tf.TensorSpec([2], tf.int32), tf.TensorSpec([])])
    def predict(self, first_frames, seed, truncation):
        return tf.ones_like(first_frames) * truncation / 2


@contextlib.contextmanager
def serving(generator: Generator, host: str = "127.0.0.1") -> Iterator[server.Playground]:
    with server.Playground(generator, host, 0) as playground:
        thread = threading.Thread(target=playground.serve_forever)
        thread.start()
        try:
            yield playground
        finally:
            playground.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def synthesis() -> Iterator[server.Playground]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "seeds_are_ours", lambda generator: False)  # so it is, and XLA need not compile `sample` to find out
        with serving(from_module(str(bundled("exports/moving_shapes64")), Config())) as playground:
            patch.undo()
            yield playground


@pytest.fixture(scope="module")
def prediction() -> Iterator[server.Playground]:
    with serving(Generator("continuing", Config(size=16, frames=4, stride=1), (), 1, Continuing())) as playground:
        yield playground


def ask(playground, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Status and content of an answer."""
    connection = http.client.HTTPConnection(*playground.server_address, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET" if body is None else "POST", path, body, named)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def error(playground, *asked, **headers: str) -> str:
    status, content = ask(playground, *asked, **headers)
    assert status >= 400
    said = json.loads(content)["error"]
    assert "\n" not in said and "Traceback" not in said and "tfvideogan_" not in said
    return f"{status} {said}"


def picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def film(frames: int, height: int = 16, width: int = 16, codec: str = "libx264") -> bytes:
    """A film that grows lighter."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=25, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for number in range(frames):
            pixels = np.full([height, width, 3], 50 + 150 * number // frames, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def test_the_page_its_facts_and_a_clip_are_those_of_the_module(synthesis):
    status, page = ask(synthesis, "/")
    assert status == 200 and b'src="page.js"' in page
    assert all(ask(synthesis, path)[0] == 200 for path in ("/page.css", "/page.js", "/backend.js"))
    facts = json.loads(ask(synthesis, "/about")[1])
    assert (facts["kind"], facts["frames"], facts["height"], facts["latent"], facts["uploads"]) == ("synthesis", 8, 64, 8, False)
    assert facts["labels"][4] == "square_right"
    shown = picture(ask(synthesis, "/clip.png?label=4&seed=7&truncation=0.5")[1])
    module = synthesis.generator.source
    z = 0.5 * latents.of_seeds(synthesis.generator, [7])  # of a version that drew other latents from seeds: not `sample`
    clip = np.round(module.generate(z=z, label=[4])[0].numpy() * 255).astype(np.uint8)
    np.testing.assert_array_equal(shown, clip.swapaxes(0, 1).reshape([64, 8 * 64, 3]))
    assert ask(synthesis, "/clip.gif?label=4&seed=7&truncation=0.5&fps=10")[1] == pictures.gif_bytes(clip, 10)
    with av.open(io.BytesIO(ask(synthesis, "/clip.mp4?label=4&seed=7&truncation=0.5&fps=10")[1])) as container:
        assert container.streams.video[0].average_rate == 10 and len([*container.decode(video=0)]) == 8


def test_between_two_latents_the_ends_are_those_of_their_seeds(synthesis):
    generator = synthesis.generator
    for seed, mix in ((3, 0.0), (9, 1.0)):
        mixed = drawing.latent(generator, drawing.Ask(seed=3, other=9, mix=mix, truncation=0.5))
        np.testing.assert_allclose(mixed, 0.5 * latents.of_seeds(generator, [seed]), atol=1e-6)
    there = picture(ask(synthesis, "/clip.png?label=1&seed=3&other=9&mix=1")[1]).astype(int)
    assert np.abs(there - picture(ask(synthesis, "/clip.png?label=1&seed=9")[1])).max() <= 1
    assert np.abs(there - picture(ask(synthesis, "/clip.png?label=1&seed=3&other=9&mix=0.5")[1])).max() > 50


def test_content_and_motion_have_seeds_of_their_own(prediction):
    generator = prediction.generator
    assert json.loads(ask(prediction, "/about")[1])["parts"] == {"content": [0, 4], "motion": [4, 6]}
    of = {seed: latents.of_seeds(generator, [seed])[0] for seed in (1, 2, 3)}
    mixed = drawing.latent(generator, drawing.Ask(seed=1, content=2, motion=3))[0]
    np.testing.assert_array_equal(mixed, [*of[2][:4], *of[3][4:]])
    np.testing.assert_array_equal(drawing.latent(generator, drawing.Ask(seed=1, motion=3))[0], [*of[1][:4], *of[3][4:]])


def test_where_seeds_are_ours_a_plain_clip_is_that_of_sample(prediction):
    assert not prediction.seeds_are_ours

    class Drawing(tf.Module):
        """Synthesis: a clip is of the first number of its latent; that of `sample` is a level darker."""

        @tf.function(input_signature=[tf.TensorSpec([None, 3], name="z")])
        def generate(self, z):
            return tf.tile(tf.sigmoid(z[:, :1, None, None, None]), [1, 2, 16, 16, 3])

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([2], tf.int32), tf.TensorSpec([])])
        def sample(self, label, seed, truncation):
            first = tf.random.experimental.stateless_fold_in(seed, 0, "philox")
            return self.generate(truncation * noise.normal(first[None], [3])) - 1 / 255

    generator = Generator("drawing", Config(size=16, frames=2), ("one",), 1, Drawing())
    assert drawing.seeds_are_ours(generator)
    plain, mixed = (drawing.draw(generator, drawing.Ask(seed=5, mix=mix, other=5), None).astype(int) for mix in (0.0, 1.0))
    assert np.all(mixed - plain == 1)


def test_an_uploaded_video_is_continued(prediction, monkeypatch):
    status, content = ask(prediction, "/source?name=my%20film.mp4", film(6))
    key, frames = json.loads(content)["source"], json.loads(content)["frames"]
    given = picture(ask(prediction, f"/source.png?source={key}")[1])
    assert status == 200 and frames == 2 and given.shape == (16, 32, 3) and 90 < given[0, 0, 0] < given[0, 16, 0] < 150  # its middle
    monkeypatch.setattr(prediction, "seeds_are_ours", True)
    shown = picture(ask(prediction, f"/clip.png?source={key}&truncation=0.4")[1])
    np.testing.assert_array_equal(shown[:, :32], given)
    assert np.all(shown[:, 32:] == 51)  # 0.4 / 2
    apart = picture(ask(prediction, f"/clip.png?source={key}&content=5")[1])
    np.testing.assert_array_equal(apart[:, :32], given)
    assert apart[0, 32, 0] == round(255 / (1 + np.exp(-np.mean(latents.of_seeds(prediction.generator, [5])[0, :4]))))
    assert error(prediction, "/clip.png").startswith("400 source: got none, expected a video for prediction")
    assert error(prediction, "/clip.png?source=nothing").startswith("400 source: got 'nothing', expected one of the last 4 uploads")


def test_a_models_own_bounds_of_frames_are_no_bounds_of_what_is_given():
    config = small("dvdgan_fp")
    assert uploads.clip(film(6), "a.mp4", config, config.given_frames).shape == [1, config.given_frames, 32, 32, 3]


def test_a_picture_stands_still_and_a_short_film_at_its_end(prediction):
    file = io.BytesIO()
    Image.new("RGB", (40, 20), (10, 200, 30)).save(file, "png")
    for name, content in (("a.png", file.getvalue()), ("a.mp4", film(1))):
        key = json.loads(ask(prediction, f"/source?name={name}", content)[1])["source"]
        given = picture(ask(prediction, f"/source.png?source={key}")[1])
        np.testing.assert_array_equal(given[:, :16], given[:, 16:])


def bomb() -> bytes:
    """A small PNG of 30,000 x 30,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compressobj(9)
    body = b"".join(rows.compress(bytes(1 + 30_000)) for _ in range(50)) + rows.flush()
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("a.mp4", b"", "empty|nvalid"),
        ("a.mp4", b"<html>no film</html>" * 50, "nvalid"),
        ("a.mp4", film(4)[:700], ""),
        ("a.png", bomb(), "30000|pixels|bomb"),
        ("a.exe", film(2), "ending in '.exe', expected one of .avi"),
        ("../../etc/passwd", b"root", "ending in 'nothing'"),
        ("", film(2), "ending in 'nothing'"),
        ("%00.mp4/../x", film(2), "ending in 'nothing'"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(50), "no picture"),
        ("a.mp4", film(3, 16, 1024), "1024x16"),
    ],
)
def test_a_hostile_upload_is_one_line_and_the_playground_goes_on(prediction, name, content, said, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    line = error(prediction, f"/source?name={urllib.parse.quote(name, safe='%')}", content)
    assert line.startswith("400 upload: ") and re.search(said, line) and str(tmp_path) not in line
    assert not any(tmp_path.iterdir())
    assert ask(prediction, "/about")[0] == 200


@pytest.mark.parametrize(
    "limit, least, said", [("MOST_FRAMES", 3, "more than 3 frames"), ("MOST_SECONDS", 0.1, "or 0.1 s"), ("MOST_PIXELS", 900, "in all")]
)
def test_a_video_above_a_limit_is_refused_before_it_is_decoded(prediction, limit, least, said, monkeypatch):
    monkeypatch.setattr(uploads, limit, least)
    monkeypatch.setattr(uploads.decode, "probe", lambda path: pytest.fail("decoded"))
    assert said in error(prediction, "/source?name=a.mp4", film(8))


def test_a_playlist_opens_nothing(prediction):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.5)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/part.ts"
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{address}\n#EXT-X-ENDLIST\n".encode()
        for name in ("a.mp4", "a.ts", "a.gif"):
            assert error(prediction, f"/source?name={name}", playlist).startswith("400 upload: ")
        assert error(prediction, "/source?name=a.avi", b"ffconcat version 1.0\nfile upload.avi\n").startswith("400 upload: ")
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_body_too_long_or_without_length_is_not_read(prediction):
    assert error(prediction, "/source?name=a.mp4", b"", Content_Length=str(uploads.MOST_BYTES + 1)).startswith("413 ")
    assert error(prediction, "/source?name=a.mp4", b"x", Content_Length="-5").startswith("411 ")
    assert error(prediction, "/source?name=a.mp4", b"x", Content_Length="1", Transfer_Encoding="chunked").startswith("411 ")


def test_only_the_last_videos_are_kept(prediction):
    keys = [json.loads(ask(prediction, "/source?name=a.mp4", film(3))[1])["source"] for _ in range(server.KEPT_VIDEOS + 1)]
    assert (
        error(prediction, f"/source.png?source={keys[0]}").startswith("400 ") and ask(prediction, f"/source.png?source={keys[1]}")[0] == 200
    )


def test_synthesis_takes_no_videos(synthesis):
    assert "reads no videos" in error(synthesis, "/source?name=a.mp4", film(2))


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_other_sites_get_no_answer(synthesis, headers):
    for path in ("/", "/about", "/clip.png"):
        assert error(synthesis, path, **headers).startswith("403 ")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9000", "[::1]:8080", "192.168.1.5"])
def test_this_machine_by_number_or_as_localhost_is_answered(synthesis, host):
    assert ask(synthesis, "/about", Host=host)[0] == 200


@pytest.mark.parametrize(
    "query, said",
    [
        ("seed=x", "seed: got 'x', expected a number from 0 to 2147483647"),
        ("seed=-1", "seed: got '-1'"),
        ("label=12", "label: got '12', expected a number from 0 to 11"),
        ("truncation=nan", "truncation: got 'nan', expected a number from 0 to 2"),
        ("mix=2", "mix: got '2'"),
        ("fps=0", "fps: got '0', expected 1 to 60"),
        ("colour=1", "got 'colour', expected fields among label, seed"),
        ("&".join(f"seed={n}" for n in range(30)), "query: "),
    ],
)
def test_what_cannot_be_drawn_is_one_line(synthesis, query, said):
    assert error(synthesis, f"/clip.png?{query}").startswith(f"400 {said}")


def test_nothing_else_is_served(synthesis):
    for path in ("/server.py", "/../server.py", "/page.css/../../server.py", "/%2e%2e/server.py", "//etc/passwd", "/exported.js"):
        assert error(synthesis, path).startswith("404 ")


def test_it_listens_on_this_machine_alone_and_one_clip_is_drawn_at_a_time(synthesis, monkeypatch):
    assert synthesis.server_address[0] == "127.0.0.1"
    most, running = 0, 0

    def draw(*_):
        nonlocal most, running
        running += 1
        most = max(most, running)
        threading.Event().wait(0.05)
        running -= 1
        return np.zeros([1, 8, 8, 3], np.uint8)

    monkeypatch.setattr(drawing, "draw", draw)
    threads = [threading.Thread(target=ask, args=(synthesis, f"/clip.png?seed={1000 + n}")) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_failed_clip_is_one_line_and_ends_nothing(synthesis, monkeypatch):
    def draw(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory\nat line 7")

    monkeypatch.setattr(drawing, "draw", draw)
    assert error(synthesis, "/clip.png?seed=2000") == "500 out of memory at line 7"
    monkeypatch.undo()
    assert ask(synthesis, "/clip.png?seed=2000")[0] == 200


def test_a_busy_port_is_a_users_mistake(synthesis):
    with pytest.raises(OSError):
        server.Playground(synthesis.generator, "127.0.0.1", synthesis.server_address[1])


def test_a_field_of_the_wrong_kind_is_no_ask():
    with pytest.raises(UserError, match="label: got '3', expected a number from 0 to 0"):
        drawing.parse({"label": "3"}, 0)

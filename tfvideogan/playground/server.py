"""The page's server: the standard library's, for one person on one machine.

    GET  /                        the page, and its files
    GET  /about                   what there is to choose, as JSON
    GET  /clip.png|.gif|.mp4?...  a clip of drawing.Ask's fields; the PNG has the frames row by row, COLUMNS in a row
    POST /source?name=FILE        a video to continue or to translate: {"source": its name for clips, "frames": how many are read}
    GET  /source.png?source=..    its frames, as they are read

Whoever asks must name this machine by its number, as localhost or by --host: a page elsewhere whose name is made to lead here does not.
Nor does a page of another site get an answer. One clip is computed at a time. Errors are {"error": one line}.
"""

import collections
import functools
import ipaddress
import json
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import tensorflow as tf

from tfvideogan.config import UserError
from tfvideogan.generation.about import PAGE, about
from tfvideogan.generation.module import Generator, specs_of
from tfvideogan.generation.pictures import gif_bytes, mp4_bytes
from tfvideogan.ops.video import to_uint8
from tfvideogan.playground import drawing, uploads

COLUMNS = 8
KEPT_VIDEOS, KEPT_CLIPS = 4, 16
SECONDS = 30  # that a connection may be silent
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".png": "image/png"}
TYPES |= {".gif": "image/gif", ".mp4": "video/mp4", ".json": "application/json"}
FILES = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js", "/backend.js": "served.js"}
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; frame-ancestors 'none'"


class Refused(Exception):
    """What is asked for is not given: an HTTP status, and why."""

    def __init__(self, status: HTTPStatus, reason: str):
        super().__init__(reason)
        self.status = status


class Playground(ThreadingHTTPServer):
    """The server, bound to its address.

    Args:
        generator: that clips are drawn from.
        host, port: to listen on; port 0 takes a free one.
    """

    daemon_threads = True

    def __init__(self, generator: Generator, host: str, port: int):
        self.generator, self.host = generator, host
        self.about = about(generator)
        self.videos: collections.OrderedDict[str, tf.Tensor] = collections.OrderedDict()
        self.seeds_are_ours = bool(self.about["lacking"]) or drawing.seeds_are_ours(generator)
        self.lock = threading.Lock()
        self.clip = functools.lru_cache(KEPT_CLIPS)(self._clip)
        super().__init__((host, port), Handler)

    @property
    def address(self) -> str:
        return f"http://{self.host}:{self.server_port}/"

    def drawn(self, ask: drawing.Ask) -> np.ndarray:
        """The clip, uint8 [T,H,W,3], computed when no other is. Raises UserError as `drawing.draw`."""
        with self.lock:
            return self.clip(ask)

    def _clip(self, ask: drawing.Ask) -> np.ndarray:
        return drawing.draw(self.generator, ask, self.video(ask.source) if ask.source else None, self.seeds_are_ours)

    def take(self, content: bytes, name: str) -> str:
        """Keeps an uploaded video, in place of the oldest one, and returns its name. Raises UserError if it is refused."""
        generator = self.generator
        if not self.about["uploads"]:
            raise UserError(f"upload: {self.about['title']} reads no videos")
        if self.about["lacking"]:
            raise UserError(
                f"upload: {self.about['title']} reads {', '.join(self.about['lacking'])} too, expected `tfvideogan sample --source`"
            )
        length = generator.given_frames or specs_of(generator.source.translate)[0].shape[1] or generator.config.frames
        with self.lock:
            self.videos[key := secrets.token_hex(8)] = uploads.clip(content, name, generator.config, length)
            while len(self.videos) > KEPT_VIDEOS:
                self.videos.popitem(last=False)
        return key

    def video(self, key: str) -> tf.Tensor:
        """An uploaded one, float32 [1,T,H,W,3] in [-1,1]. Raises UserError if it is not kept."""
        video = self.videos.get(key)
        if video is None:
            raise UserError(f"source: got {key[:40]!r}, expected one of the last {KEPT_VIDEOS} uploads")
        return video

    def names_us(self, host: str) -> bool:
        """Whether a Host header is this machine's number, localhost, or --host: not a name that was made to lead here."""
        name = (urlsplit(f"//{host}").hostname or "").lower()
        if name in ("localhost", self.host.lower()):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Playground
    server_version, sys_version = "tfvideogan", ""
    protocol_version = "HTTP/1.1"
    timeout = SECONDS

    def do_GET(self) -> None:
        self._answer(self._got)

    def do_POST(self) -> None:
        self._answer(self._posted)

    def _answer(self, found) -> None:
        try:
            self._require_own_page()
            kind, content = found(urlsplit(self.path))
            self._send(HTTPStatus.OK, kind, content)
        except Refused as refused:
            self._refuse(refused.status, str(refused))
        except UserError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception as error:  # what goes wrong with one clip ends that clip, not the playground
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, " ".join(str(error).split())[:500] or type(error).__name__)

    def _require_own_page(self) -> None:
        """Raises Refused for what other sites' pages ask for."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not self.server.names_us(hosts[0]):
            raise Refused(HTTPStatus.FORBIDDEN, f"Host: got {hosts[0][:80] if hosts else 'none'!r}, expected this machine's address")
        origin = self.headers.get("Origin", f"http://{hosts[0]}")
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") or origin != f"http://{hosts[0]}":
            raise Refused(HTTPStatus.FORBIDDEN, "got a request of another site's page")

    def _got(self, address) -> tuple[str, bytes]:
        name, fields = address.path, self._fields(address.query)
        if name in FILES:
            return (PAGE / FILES[name]).suffix, (PAGE / FILES[name]).read_bytes()
        if name == "/about":
            return ".json", json.dumps(self.server.about).encode()
        if name == "/source.png":
            return ".png", sheet(to_uint8(self.server.video(fields.get("source", "")))[0].numpy())
        if name in ("/clip.png", "/clip.gif", "/clip.mp4"):
            fps = self._fps(fields.pop("fps", str(self.server.about["fps"])))
            clip = self.server.drawn(drawing.parse(fields, len(self.server.about["labels"])))
            if name == "/clip.png":
                return ".png", sheet(clip)
            return (".gif", gif_bytes(clip, fps)) if name == "/clip.gif" else (".mp4", mp4_bytes(clip, fps))
        raise Refused(HTTPStatus.NOT_FOUND, f"{name[:80]!r}: no such page")

    def _posted(self, address) -> tuple[str, bytes]:
        length = self.headers.get("Content-Length", "")
        if address.path != "/source":
            raise Refused(HTTPStatus.NOT_FOUND, f"{address.path[:80]!r}: no such page")
        if not length.isdecimal() or "Transfer-Encoding" in self.headers:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "expected a file and its Content-Length")
        if int(length) > uploads.MOST_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"got {length[:20]} bytes, expected at most {uploads.MOST_BYTES}")
        content = self.rfile.read(int(length))
        if len(content) < int(length):
            raise ConnectionError
        key = self.server.take(content, self._fields(address.query).get("name", ""))
        return ".json", json.dumps({"source": key, "frames": self.server.video(key).shape[1]}).encode()

    def _fields(self, query: str) -> dict[str, str]:
        try:
            return {name: values[-1] for name, values in parse_qs(query, max_num_fields=20).items()}
        except ValueError as error:
            raise UserError(f"query: {error}") from error

    def _fps(self, text: str) -> float:
        try:
            fps = float(text)
        except ValueError:
            fps = 0.0
        if not 1 <= fps <= 60:
            raise UserError(f"fps: got {text[:40]!r}, expected 1 to 60")
        return fps

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True  # a body that was not read would be taken for the next request
        self._send(status, ".json", json.dumps({"error": reason}).encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        try:
            self.send_response(status)
            headers = {"Content-Type": TYPES[kind], "Content-Length": str(len(content)), "Cache-Control": "no-store"}
            headers |= {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
            headers |= {"Cross-Origin-Resource-Policy": "same-origin"} | ({"Connection": "close"} if self.close_connection else {})
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except (ConnectionError, TimeoutError):  # the page asked for another clip meanwhile
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """The terminal stays quiet: errors are shown on the page."""


def sheet(clip: np.ndarray) -> bytes:
    """A PNG of a clip uint8 [T,H,W,3], its frames row by row, COLUMNS in a row, black where there are none."""
    frames, height, width, _ = clip.shape
    columns = min(COLUMNS, frames)
    rows = -(-frames // columns)
    padded = np.pad(clip, [(0, rows * columns - frames), (0, 0), (0, 0), (0, 0)])
    tiles = padded.reshape([rows, columns, height, width, 3]).swapaxes(1, 2)  # [rows,H,columns,W,3]
    return tf.io.encode_png(tiles.reshape([rows * height, columns * width, 3])).numpy()

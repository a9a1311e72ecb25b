"""A studio that serves in a thread, and a client that speaks to it as a page does, or worse."""

import contextlib
import http.client
import io
import json
import socket
import threading
import time
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from helpers import EXAMPLES
from PIL import Image

from jnst.config import Config
from jnst.errors import InputError
from jnst.studio.server import open_studio

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

# shallow layers and one size of the style: what is compiled for one test serves all
BASE = Config(content_layers=("conv1_2",), style_layers=("conv1_1", "conv1_2"), style_pyramid_levels=1)
SECONDS = 120.0  # that anything may take on a busy machine


def no_weights():
    raise InputError("these tests paint nothing")


@contextlib.contextmanager
def serve(folder, *, load=no_weights, **more):
    """A client of a studio that serves until the end."""
    with open_studio(folder, load, base=BASE, **more) as studio:
        thread = threading.Thread(target=studio.run)
        thread.start()
        try:
            yield Client(studio)
        finally:
            studio.stop()
            thread.join(SECONDS)
            assert not thread.is_alive()


class Client:
    """Speaks HTTP, with the token and all that the page sends."""

    def __init__(self, studio):
        self.studio, self.token, self.port = studio, studio.access.token, studio.access.port
        self.host = f"127.0.0.1:{self.port}"
        self.photograph = self.painting = ""

    @property
    def headers(self):
        return {"X-Jnst-Token": self.token, "X-Jnst": "1", "Origin": f"http://{self.host}", "Host": self.host,
                "Connection": "close"}  # fmt: skip

    def open(self, method, path, body=None, *, without=(), **headers):
        """The answer, not read yet; headers by their names with _ for -."""
        sent = {k: v for k, v in self.headers.items() if k not in without}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, path, json.dumps(body) if isinstance(body, dict | list) else body, sent)
            return connection.getresponse()
        except OSError:  # a socket left open would fail the test that collects it
            connection.close()
            raise

    def ask(self, method, path, body=None, **more) -> tuple[int, Any]:
        """The status and what the answer holds: JSON where it is that."""
        answer = self.open(method, path, body, **more)
        content = answer.read()
        answer.close()
        if answer.headers["content-type"] == "application/json":
            return answer.status, json.loads(content)
        return answer.status, content

    def upload(self, content, name, role):
        return self.ask("POST", f"/api/images?role={role}", content, X_Name=quote(name, errors="replace"))

    def connect(self, text=""):
        """A bare connection, to which a text was sent."""
        bare = socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)
        bare.sendall(text.encode())
        return bare

    def head(self, method, path, **headers):
        """The head of a request, for `connect`."""
        lines = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"

    def job(self, key) -> dict[str, Any]:
        return next((job for job in self.ask("GET", "/api/state")[1]["jobs"] if job["id"] == key), {})

    def wait(self, key, *states):
        """The job, once it is in one of the states."""
        return until(lambda: (job := self.job(key)).get("state") in states and job)


def until(what):
    """What a function gives, once that is something."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def png(*, size=(72, 48), example="cat.png", seed=None):
    """A small picture as PNG; of another seed another."""
    whole = io.BytesIO()
    if seed is not None:
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)).save(whole, "PNG")
    else:
        with Image.open(EXAMPLES / example) as picture:
            picture.convert("RGB").resize(size).save(whole, "PNG")
    return whole.getvalue()


def left_in(folder, name):
    """Names of the files of a folder of the store."""
    return sorted(path.name for path in (folder / name).iterdir())


def mask(values):
    """A greyscale PNG."""
    whole = io.BytesIO()
    Image.fromarray(np.asarray(values, np.uint8)).save(whole, "PNG")
    return whole.getvalue()


def mask_half():
    """White on the left."""
    half = np.zeros((96, 144))
    half[:, :70] = 255
    return mask(half)

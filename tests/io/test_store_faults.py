"""Batches on an object store that is slow, refuses, or breaks off: an S3 server behind a door that does so."""

import http.client
import http.server
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from etils import epath
from helpers import FAST_BATCH as FAST
from moto.server import ThreadedMotoServer
from PIL import Image

from jnst.cli import main as run
from jnst.io import image, stores
from jnst.io.paths import listdir

pytestmark = pytest.mark.slow
PICTURES = {"a_x.png", "a_y.png", "b_x.png", "b_y.png"}


class Door(http.server.ThreadingHTTPServer):
    """Hands requests on to a server; `fault(method, path, times asked)` says what happens instead."""

    daemon_threads = True

    def __init__(self, behind):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind, self.asked = behind, Counter[tuple[str, str]]()
        self.fault: Callable[[str, str, int], str | None] = lambda *_: None

    def handle_error(self, request, client_address):
        """A client that goes away is what is tried here."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any  # a Door

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.server.asked[self.command, path] += 1
        fault = self.server.fault(self.command, path, self.server.asked[self.command, path])
        if fault == "refuses":
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault == "slow":
            time.sleep(0.05)
        link = http.client.HTTPConnection(*self.server.behind, timeout=30)
        link.request(self.command, self.path, body, dict(self.headers))
        answer = link.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(content)))
        self.end_headers()
        self.close_connection = fault == "breaks off"
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if self.close_connection else content)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer  # noqa: N815

    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="module")
def door():
    """The way to an S3 server, which the clients of this process take; they try nothing twice by themselves."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    door = Door(running.get_host_and_port())
    threading.Thread(target=door.serve_forever, daemon=True).start()
    import s3fs

    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("AWS_ENDPOINT_URL", f"http://127.0.0.1:{door.server_port}"), ("AWS_ACCESS_KEY_ID", "x"),
                            ("AWS_SECRET_ACCESS_KEY", "y"), ("AWS_DEFAULT_REGION", "us-east-1"),
                            ("AWS_MAX_ATTEMPTS", "1")):  # fmt: skip
            patch.setenv(name, value)
        patch.setattr(s3fs.S3FileSystem, "retries", 1)
        s3fs.S3FileSystem.clear_instance_cache()
        yield door
    s3fs.S3FileSystem.clear_instance_cache()
    door.shutdown()
    door.server_close()
    running.stop()


@pytest.fixture
def bucket(door, tmp_path, monkeypatch):
    """Two photographs and two paintings; faults begin when a test says so, and waits are short."""
    import s3fs

    door.fault = lambda *_: None
    name = f"faulty-{abs(hash(tmp_path))}"
    s3fs.S3FileSystem().mkdir(name)
    place = epath.Path(f"s3://{name}")
    rng = np.random.default_rng(0)
    for path in ("photos/a.png", "photos/b.png", "paintings/x.png", "paintings/y.png"):
        Image.fromarray(rng.uniform(0, 255, (40, 48, 3)).astype(np.uint8)).save(tmp_path / "it.png")
        (place / path).write_bytes((tmp_path / "it.png").read_bytes())
    door.asked.clear()
    monkeypatch.setattr(stores, "WAITS", (0.01, 0.02, 0.03))
    monkeypatch.chdir(tmp_path)
    return place


def jnst(bucket, *arguments):
    places = bucket / "photos", bucket / "paintings", "-o", bucket / "out"
    return run.main([*map(str, [*places, *arguments]), *FAST])


def records(bucket):
    names = sorted(name for name in listdir(bucket / "out" / "manifest") if name.endswith(".json"))
    return [json.loads((bucket / "out" / "manifest" / name).read_bytes())["job"]["output"] for name in names]


def test_two_shards_on_one_store(bucket):
    assert [jnst(bucket, "--shard", f"{k}/2", "--quiet") for k in (0, 1)] == [0, 0]
    assert set(records(bucket)) == PICTURES
    assert len(records(bucket)) == 4
    begun = {name for name in listdir(bucket / "out" / "manifest") if name.startswith("begun")}
    assert begun == {"begun-0-of-2", "begun-1-of-2"}
    assert listdir(bucket / "out") >= PICTURES


@pytest.mark.parametrize("kind", ["refuses", "breaks off", "slow"])
def test_what_fails_for_a_moment_is_tried_again(bucket, door, kind, capsys):
    """Every object's first two readings and writings."""

    def fault(method, path, times):
        is_object = path.count("/") > 1 and method in ("GET", "PUT")
        return kind if is_object and (times <= 2 or kind == "slow") else None

    door.fault = fault
    assert jnst(bucket, "--quiet") == 0, capsys.readouterr().err
    door.fault = lambda *_: None
    assert set(records(bucket)) == PICTURES
    assert all(image.load(bucket / "out" / name).shape == (1, 40, 48, 3) for name in PICTURES)
    photograph = next(path for method, path in door.asked if path.endswith("/photos/a.png"))
    assert kind == "slow" or door.asked["GET", photograph] >= 3


def test_a_picture_that_the_store_never_takes_fails_alone(bucket, door, tmp_path, capsys):
    door.fault = lambda method, path, times: "refuses" if method == "PUT" and path.endswith("/out/a_x.png") else None
    assert jnst(bucket, "--quiet") == 1
    shown = capsys.readouterr().err
    assert "1 of 4 failed" in shown
    assert "a_x.png" in shown
    assert "Traceback" not in shown
    assert set(records(bucket)) == PICTURES - {"a_x.png"}
    assert [path.name for path in tmp_path.glob("a_x*.png")]  # kept here, so that the work is not lost
    door.fault = lambda *_: None
    assert jnst(bucket, "--quiet") == 0
    assert set(records(bucket)) == PICTURES


def test_a_photograph_that_cannot_be_read_fails_alone(bucket, door, capsys):
    door.fault = lambda method, path, times: "breaks off" if method == "GET" and path.endswith("b.png") else None
    assert jnst(bucket, "--quiet") == 1
    shown = capsys.readouterr().err
    assert "2 of 4 failed" in shown
    assert "b.png cannot be reached" in shown
    assert set(records(bucket)) == {"a_x.png", "a_y.png"}


def test_what_waiting_does_not_change_is_not_tried_again(monkeypatch):
    waits = []
    monkeypatch.setattr(stores.time, "sleep", waits.append)
    for error, tries in ((FileNotFoundError("no"), 1), (OSError("no"), 4), (ValueError("no credentials"), 1)):
        asked = []

        def action(error=error, asked=asked):
            asked.append(1)
            raise error

        with pytest.raises(type(error)):
            stores.patiently(action)
        assert len(asked) == tries
    assert len(waits) == 3
    assert all(0.5 * wait <= taken <= 1.5 * wait for wait, taken in zip(stores.WAITS, waits, strict=True))

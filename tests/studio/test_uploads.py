"""What is dropped: names and ids that would lead elsewhere, too much, slow and lost clients, files that are none."""

import contextlib
import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image
from studio_helpers import left_in, mask, mask_half, png, serve, until

from jnst.studio import bodies
from jnst.studio.bodies import MOST_UPLOAD
from jnst.studio.store import clean_name


@pytest.mark.parametrize(
    "name", ["../../../evil.png", "/etc/passwd", "..\\..\\evil.png", "a/../../b.png", "..", ".", "", "\0\n\x1b[2J.png",
             "%2e%2e%2fevil", "x" * 5000 + ".png", "\u202egnp.exe", "con\udce4.png"]
)  # fmt: skip
def test_a_name_leads_nowhere(client, tmp_path, name):
    status, told = client.upload(png(), name, "photograph")
    assert status == 201
    shown = told["image"]["name"]
    assert "/" not in shown
    assert "\\" not in shown
    assert shown.isprintable()
    assert 0 < len(shown) <= 120
    assert shown not in (".", "..")
    assert left_in(tmp_path, "uploads") == [hashlib.sha256(png()).hexdigest()]
    assert {path.name for path in tmp_path.iterdir()} == {"uploads", "images", "jobs", "results", "incoming", "lock"}


@pytest.mark.parametrize("name", ["\ud800.png", "a\udce4", "  "])
def test_a_name_is_text_that_can_be_sent(name):
    assert clean_name(name).encode()


@pytest.mark.parametrize("key", ["..%2f..%2flock", "../lock", "..", "%2e%2e", "0123456789ABCDEF", "lock", "a" * 3000,
                                 "%00", "0123456789abcdef"])  # fmt: skip
def test_an_id_leads_nowhere(client, key, tmp_path):
    for method, path in (
        ("GET", f"/api/images/{key}/preview"), ("DELETE", f"/api/images/{key}"), ("GET", f"/api/results/{key}/preview"),
        ("GET", f"/api/results/{key}/before"), ("GET", f"/api/results/{key}/file"), ("DELETE", f"/api/results/{key}"),
        ("POST", f"/api/jobs/{key}/stop"), ("GET", f"/api/jobs/{key}/preview"), ("GET", f"/static/{key}"),
        ("GET", f"/api/jobs/{key}/preview/{key}"), ("POST", f"/api/masks?image={key}"), ("GET", f"/static/{key}.js"),
    ):  # fmt: skip
        status, told = client.ask(method, path, b"x" if method == "POST" else None)
        assert status in (400, 404, 405), path
        assert str(tmp_path) not in json.dumps(told)
    for body in ({"photograph": key}, {"photograph": key, "paintings": [{"image": key}], "settings": {}}):
        for path in ("/api/plan", "/api/jobs", "/api/drafts", "/api/sheets"):
            assert client.ask("POST", path, body)[0] in (400, 404)
    assert (tmp_path / "lock").exists()


def test_two_gigabytes_are_refused_before_they_come(client, tmp_path):
    """The head alone is sent: a body on its way would break off where the server closes."""
    for path, count, most in (("/api/images?role=photograph", 2 * 10**9, MOST_UPLOAD), ("/api/plan", 10**6 + 1, 10**6)):
        head = client.head("POST", path, Content_Length=str(count))
        with contextlib.closing(client.connect(head)) as bare:
            answer = b"".join(iter(lambda: bare.recv(4000), b""))  # until the server closes it
        assert answer.startswith(b"HTTP/1.1 413")
        assert f"at most {most // 10**6} MB".encode() in answer
    assert MOST_UPLOAD == 200 * 10**6
    assert left_in(tmp_path, "incoming") == left_in(tmp_path, "uploads") == []


def test_a_stream_without_end_is_cut_off(tmp_path):
    """As one that does not say how long it is."""
    most = 10**6
    with serve(tmp_path, most_upload=most) as client:
        bare = client.connect(client.head("POST", "/api/images?role=photograph", Transfer_Encoding="chunked"))
        sent, piece = 0, b"10000\r\n" + bytes(2**16) + b"\r\n"
        bare.settimeout(20)
        try:
            while sent < 2 * 10**9:
                bare.sendall(piece)
                sent += 2**16
        except OSError:  # the server has closed it
            pass
        assert sent < 50 * most
        until(lambda: left_in(tmp_path, "incoming") == [])
        assert left_in(tmp_path, "uploads") == []
        assert client.upload(png(), "a.png", "photograph")[0] == 201
        bare.close()


def test_a_client_that_goes_away_leaves_nothing(client, tmp_path):
    bare = client.connect(client.head("POST", "/api/images?role=photograph", Content_Length="100000"))
    bare.sendall(bytes(5000))
    until(lambda: left_in(tmp_path, "incoming"))
    bare.close()
    until(lambda: left_in(tmp_path, "incoming") == [])
    assert left_in(tmp_path, "uploads") == []


def test_a_client_that_stalls_is_given_up(client, tmp_path, monkeypatch):
    monkeypatch.setattr(bodies, "STALL_SECONDS", 0.2)
    bare = client.connect(client.head("POST", "/api/images?role=photograph", Content_Length="100000"))
    bare.sendall(bytes(5000))
    assert bare.recv(100).startswith(b"HTTP/1.1 408")
    bare.close()
    assert left_in(tmp_path, "incoming") == []


def test_a_slow_client_holds_nobody_up(client):
    slow = client.connect(client.head("POST", "/api/images?role=photograph", Content_Length="100000"))
    slow.sendall(b"x")
    half = client.connect("GET /api/state HTTP/1.1\r\nHost: ")  # a head that does not end
    assert client.upload(png(), "a.png", "photograph")[0] == 201
    slow.close()
    half.close()


def bomb():
    """A PNG whose head promises 60,000 x 60,000 pixels."""
    whole = bytearray(png())
    whole[16:24] = (60_000).to_bytes(4, "big") * 2
    return bytes(whole)


@pytest.mark.parametrize("content", [b"", b"no image", b"<svg xmlns='http://www.w3.org/2000/svg'/>",
                                     b"%!PS-Adobe-3.0 EPSF-3.0\n", png()[:200], bomb(),
                                     png(size=(40, 20))])  # fmt: skip
def test_what_is_no_image_is_refused_in_one_line(client, tmp_path, content):
    status, told = client.upload(content, "a.png", "painting")
    assert status == 400
    assert "\n" not in told["error"]
    assert str(tmp_path) not in told["error"]
    assert left_in(tmp_path, "incoming") == left_in(tmp_path, "uploads") == left_in(tmp_path, "images") == []


def test_equal_files_are_kept_once_and_deleted_with_the_last(client, tmp_path):
    first = client.upload(png(), "a.png", "photograph")[1]["image"]
    assert client.upload(png(), "b.png", "photograph")[1]["image"] == first
    second = client.upload(png(), "c.png", "painting")[1]["image"]
    assert second["id"] != first["id"]
    assert len(left_in(tmp_path, "uploads")) == 1
    assert client.ask("DELETE", f"/api/images/{first['id']}")[0] == 200
    assert client.ask("GET", f"/api/images/{first['id']}/preview")[0] == 404
    assert len(left_in(tmp_path, "uploads")) == 1
    assert client.ask("DELETE", f"/api/images/{second['id']}")[0] == 200
    assert left_in(tmp_path, "uploads") == left_in(tmp_path, "images") == []
    assert client.ask("GET", "/api/state")[1]["images"] == []
    assert client.upload(png(), "d.png", "photograph")[1]["image"]["name"] == "d.png"


def test_previews_are_made_anew(client):
    key = client.upload(png(), "a.png", "photograph")[1]["image"]["id"]
    answer = client.open("GET", f"/api/images/{key}/preview?size=36")
    content = answer.read()
    assert answer.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(content)) as small:
        assert (small.format, small.size) == ("WEBP", (36, 24))
    for size in ("0", "-1", "5000", "1e3", "x", "99999999999999999999"):
        assert client.ask("GET", f"/api/images/{key}/preview?size={size}")[0] == 400


def test_examples_are_there_and_stay(client):
    examples = client.ask("GET", "/api/state")[1]["examples"]
    assert {example["role"] for example in examples} == {"photograph", "painting"}
    for example in examples:
        assert client.ask("GET", f"/api/images/{example['id']}/preview?size=64")[0] == 200
        assert client.ask("DELETE", f"/api/images/{example['id']}")[0] == 400


def test_a_mask_has_the_photographs_shape(client):
    key = client.upload(png(), "a.png", "photograph")[1]["image"]["id"]
    status, told = client.ask("POST", f"/api/masks?image={key}", mask_half())
    assert status == 201
    assert len(told["id"]) == 16
    for wrong in (np.full((64, 64), 255), np.zeros((48, 72))):
        assert client.ask("POST", f"/api/masks?image={key}", mask(wrong))[0] == 400
    assert [image["id"] for image in client.ask("GET", "/api/state")[1]["images"]] == [key]

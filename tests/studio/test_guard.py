"""Who may ask: token, cookie, password, host, origin, and what every answer says to the browser."""

import base64
import http.client

import pytest
from studio_helpers import no_weights, serve

from jnst.errors import InputError
from jnst.studio import guard
from jnst.studio.guard import Access
from jnst.studio.server import open_studio

ADDRESSES = ("/", "/static/app.js", "/api/state", "/api/events", "/api/images/0123456789abcdef/preview", "/nothing")


@pytest.mark.parametrize("path", ADDRESSES)
@pytest.mark.parametrize("token", ["", "wrong", "\xe4\xf6"])
def test_nothing_is_told_without_the_token(client, path, token):
    status, told = client.ask("GET", path, X_Jnst_Token=token)
    assert status == 401
    assert "token" in told["error"]
    status, _ = client.ask("GET", path, without=["X-Jnst-Token"], Cookie=f"jnst-{client.port}=wrong; \x02=")
    assert status == 401


def test_the_address_gives_a_cookie_that_other_pages_cannot_send_or_read(client):
    answer = client.open("GET", f"/?token={client.token}", without=["X-Jnst-Token"])
    assert (answer.status, answer.headers["location"]) == (303, "/")
    name, *rest = answer.headers["set-cookie"].split("; ")
    assert name == f"jnst-{client.port}={client.token}"
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(rest)
    assert client.ask("GET", "/api/state", without=["X-Jnst-Token"], Cookie=name)[0] == 200
    assert client.ask("GET", "/?token=wrong")[0] == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}",
             "192.168.0.7:{port}", "", ":{port}", "localhost:{port}:{port}"]
)  # fmt: skip
def test_a_name_that_somebody_else_lets_point_here_is_refused(client, host):
    host = host.format(port=client.port)
    for method, path in (("GET", "/api/state"), ("GET", f"/?token={client.token}"), ("POST", "/api/plan")):
        assert client.ask(method, path, Host=host, Origin=f"http://{host}")[0] == 421


def test_the_names_of_this_machine_alone_are_taken(client):
    for name in ("localhost", "LOCALHOST", "127.0.0.1", "[::1]"):
        assert client.ask("GET", "/api/state", Host=f"{name}:{client.port}")[0] == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/plan"), ("POST", "/api/images?role=painting"),
                                              ("DELETE", "/api/results/0123456789abcdef"),
                                              ("PUT", "/api/state")])  # fmt: skip
def test_other_pages_change_nothing(client, method, path):
    neighbour, other_name = f"http://127.0.0.1:{client.port + 1}", f"http://localhost:{client.port}"
    for origin in ("http://evil.example", "null", neighbour, other_name):
        assert client.ask(method, path, b"{}", Origin=origin)[0] == 403
        assert client.ask(method, path, b"{}", Origin=origin, Sec_Fetch_Site="same-origin")[0] == 403
    assert client.ask(method, path, b"{}", without=["Origin"])[0] == 403
    assert client.ask(method, path, b"{}", without=["Origin"], Sec_Fetch_Site="cross-site")[0] == 403
    assert client.ask(method, path, b"{}", without=["X-Jnst"])[0] == 403
    assert client.ask(method, path, b"{}", without=["Origin"], Sec_Fetch_Site="same-origin")[0] in (400, 404, 405)


def test_other_pages_read_nothing_either(client):
    for site in ("cross-site", "same-site"):
        assert client.ask("GET", "/api/state", Sec_Fetch_Site=site)[0] == 403
    assert client.ask("GET", "/api/state", Sec_Fetch_Site="same-origin")[0] == 200


@pytest.mark.parametrize("path", [*ADDRESSES, "/?token=wrong"])
def test_every_answer_says_what_a_page_may_load(client, path):
    for token in (client.token, "wrong"):
        answer = client.open("GET", path, X_Jnst_Token=token)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self'; img-src 'self' blob:;")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "cache-control" in answer.headers
        answer.close()


def basic(password):
    return {"Authorization": "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()}


def test_a_network_needs_a_password(tmp_path, monkeypatch):
    for password in ("", "short"):
        with (
            pytest.raises(InputError, match=r"needs a password.*--password-file"),
            open_studio(
                tmp_path,
                no_weights,
                host="0.0.0.0",
                password=password,
            ),
        ):
            pass
    monkeypatch.setattr(guard, "_GUESS_SECONDS", 0.01)
    with serve(tmp_path, host="0.0.0.0", password="correct horse") as client:
        answer = client.open("GET", "/", without=["X-Jnst-Token"])
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
        for wrong in (basic("correct"), basic(""), {"Authorization": "Basic ???"}, {"Authorization": "Bearer x"}):
            assert client.ask("GET", "/", without=["X-Jnst-Token"], **wrong)[0] == 401
        assert client.ask("GET", "/api/state", without=["X-Jnst-Token"], **basic("correct horse"))[0] == 401
        right = {"Host": f"192.168.0.7:{client.port}", **basic("correct horse")}
        answer = client.open("GET", "/", without=["X-Jnst-Token"], **right)
        assert answer.status == 303
        cookie = answer.headers["set-cookie"].split(";")[0]
        assert client.ask("GET", "/api/state", without=["X-Jnst-Token"], Cookie=cookie)[0] == 200
        assert client.ask("GET", "/api/state", Host=f"evil.example:{client.port}")[0] == 421


def test_a_password_is_of_no_use_where_there_is_none():
    assert not Access(1, password="").knows_password(basic("")["Authorization"])
    assert not Access(1).allows_host("10.0.0.1:1")


@pytest.mark.parametrize(("port", "host", "allowed"), [(80, "127.0.0.1", True), (80, "localhost:80", True),
    (80, "127.0.0.1:81", False), (80, "evil.example", False), (80, "", False), (8080, "127.0.0.1", False),
    (8080, "127.0.0.1:80", False)])  # fmt: skip
def test_a_browser_leaves_the_usual_port_out(port, host, allowed):
    assert Access(port).allows_host(host) == allowed


def test_a_broken_request_is_no_trouble(client):
    bare = client.connect("GARBAGE\r\n\r\n")
    assert bare.recv(100).startswith(b"HTTP/1.1 400")
    bare.close()
    with pytest.raises((http.client.HTTPException, OSError)):
        client.ask("GET", "/api/state", X_Long="x" * 10**6)
    assert client.ask("GET", "/api/state")[0] == 200

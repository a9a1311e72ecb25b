"""What is refused of the options of an engine. Needs no Ray."""

import socket
import threading

import pytest

from jnst.cli.engines import chosen
from jnst.cli.engines.chosen import require_engine
from jnst.cli.engines.ray_driver import require_answer
from jnst.cli.main import main
from jnst.cli.options import BatchOptions
from jnst.errors import InputError


@pytest.mark.parametrize(("batch", "message"), [
    (BatchOptions(workers=2), "workers is of a Ray cluster; give engine ray too, or leave it out"),
    (BatchOptions(address="auto"), "address is of a Ray cluster; give engine ray too"),
    (BatchOptions(engine="ray", shard="0/2"), "engine ray shares the pictures itself; leave out shard"),
    (BatchOptions(engine="ray", processes=2), "engine ray shares the pictures itself"),
    (BatchOptions(engine="ray", coordinator="auto"), "engine ray shares the pictures itself"),
    (BatchOptions(engine="ray", workers=-1), "workers must be at least 0, got -1"),
    (BatchOptions(engine="ray", address="ray://a:1"), "address ray://a:1: give HOST:PORT of the cluster's head"),
    (BatchOptions(engine="ray", address="head"), "address head: give HOST:PORT"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused(batch, message):
    with pytest.raises(InputError, match=message):
        require_engine(batch)


def test_without_ray_it_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setattr(chosen, "find", lambda name: None)
    with pytest.raises(InputError, match=r'engine ray needs a further package: pip install "jnst\[ray\]"'):
        require_engine(BatchOptions(engine="ray"))
    require_engine(BatchOptions())


def test_it_is_for_many_pictures_in_files(folders, monkeypatch, capsys):
    monkeypatch.setattr(chosen, "find", lambda name: object())
    one, style = str(folders / "photos" / "a.png"), str(folders / "paintings" / "x.png")
    for arguments, message in (
        ((one, style, "--engine", "ray"), "--engine ray is for many pictures; give a folder, or --jobs"),
        ((one, style, "--workers", "2"), "--workers is of a Ray cluster"),
        (("a-{0..3}.tar", style, "-o", str(folders / "out"), "--engine", "ray"), "tars are shared by --shard"),
    ):
        assert main(list(arguments)) == 2
        shown = capsys.readouterr().err
        assert message in shown
        assert shown.count("\n") == 1


@pytest.mark.parametrize(("answer", "message"), [
    (b"HTTP/1.1 400 Bad Request\r\n", "what answers there is no Ray cluster"),
    (b"", "what answers there is no Ray cluster"),
    (b"\0\0\0\4\0\0\0\0\0", ""),
])  # fmt: skip
def test_an_address_is_asked_before_ray_is(answer, message):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        if message:
            with pytest.raises(InputError, match=message):
                require_answer(address)
        else:
            require_answer(address)
        thread.join()
    with pytest.raises(InputError, match=r"no answer .*; give HOST:PORT"):
        require_answer(address)

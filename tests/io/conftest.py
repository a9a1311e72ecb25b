"""A disk without room, a machine without the extra `photo` and an S3 server, for the tests of reading and writing."""

import logging
import resource
import threading

import pytest
from doors import Door

from jnst.io import optional


@pytest.fixture
def small_disk():
    """No file may have over 4,096 bytes: the write that passes them fails as on a full disk, and each one after it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def no_extra(monkeypatch):
    """As where nothing of the extra `photo` is installed."""
    monkeypatch.setattr(optional, "find", lambda name: None)
    monkeypatch.setattr(optional, "_told", set())


@pytest.fixture(scope="session")
def door():
    """The way to an S3 server, which the clients of this process take; they try nothing twice by themselves.

    One for the whole session: the clients of object stores keep the address that they saw first.
    """
    import s3fs
    from moto.server import ThreadedMotoServer  # seconds, which other tests need not wait

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    door = Door(running.get_host_and_port())
    threading.Thread(target=door.serve_forever, daemon=True).start()
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

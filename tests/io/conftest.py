"""A disk without room, and a machine without the extra `photo`, for the tests of reading and writing files."""

import resource

import pytest

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

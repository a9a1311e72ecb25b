"""A disk without room, for the tests of what is written."""

import resource

import pytest


@pytest.fixture
def small_disk():
    """No file may have over 4,096 bytes: the write that passes them fails as on a full disk, and each one after it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)

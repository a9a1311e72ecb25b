"""Of reading and writing files."""

import pytest

from jnst.io import optional


@pytest.fixture
def no_extra(monkeypatch):
    """As where nothing of the extra `photo` is installed."""
    monkeypatch.setattr(optional, "find", lambda name: None)
    monkeypatch.setattr(optional, "_told", set())

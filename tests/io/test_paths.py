"""Paths of this machine and of object stores, without one."""

import pytest

from jnst.errors import InputError
from jnst.io import image
from jnst.io.paths import canonical, listdir, parse_local_path, parse_path, resolve_relative
from jnst.io.stores import is_object


def test_a_store_that_does_not_answer_is_told(monkeypatch):
    def fail(self):
        raise RuntimeError("no credentials\nwere found")

    monkeypatch.setattr(type(parse_path("s3://b/x.png")), "exists", fail)
    with pytest.raises(InputError, match=r"s3://b/x.png cannot be reached \(no credentials were found\); see to"):
        image.load("s3://b/x.png")


def test_texts_and_paths(tmp_path):
    store = parse_path("s3://b/folder")
    assert is_object(store)
    assert str(store / "x.png") == "s3://b/folder/x.png"
    assert parse_path(store) is store
    assert canonical(store) == store
    assert not is_object(parse_path("a/b"))
    assert str(resolve_relative(store, "sub/x.png")) == "s3://b/folder/sub/x.png"
    assert str(resolve_relative(store, "gs://c/x.png")) == "gs://c/x.png"
    assert resolve_relative(store, str(tmp_path / "x.png")) == tmp_path / "x.png"
    assert resolve_relative(tmp_path, "x.png") == tmp_path / "x.png"
    assert str(resolve_relative(tmp_path, "s3://b/x.png")) == "s3://b/x.png"
    with pytest.raises(InputError, match="give a path of this machine"):
        parse_local_path("s3://b/x.pth")
    assert listdir(tmp_path / "none") == set()

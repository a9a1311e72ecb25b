"""Paths of this machine and of object stores, without one."""

import pytest

from jnst.errors import InputError
from jnst.io import image
from jnst.io.paths import is_object, join, local_path, names_in, path_of, resolved


def test_a_store_that_does_not_answer_is_told(monkeypatch):
    def fail(self):
        raise RuntimeError("no credentials\nwere found")

    monkeypatch.setattr(type(path_of("s3://b/x.png")), "exists", fail)
    with pytest.raises(InputError, match=r"s3://b/x.png cannot be reached \(no credentials were found\); see to"):
        image.load("s3://b/x.png")


def test_texts_and_paths(tmp_path):
    store = path_of("s3://b/folder")
    assert is_object(store)
    assert str(store / "x.png") == "s3://b/folder/x.png"
    assert path_of(store) is store
    assert resolved(store) == store
    assert not is_object(path_of("a/b"))
    assert str(join(store, "sub/x.png")) == "s3://b/folder/sub/x.png"
    assert str(join(store, "gs://c/x.png")) == "gs://c/x.png"
    assert join(store, str(tmp_path / "x.png")) == tmp_path / "x.png"
    assert join(tmp_path, "x.png") == tmp_path / "x.png"
    assert str(join(tmp_path, "s3://b/x.png")) == "s3://b/x.png"
    with pytest.raises(InputError, match="give a path of this machine"):
        local_path("s3://b/x.pth")
    assert names_in(tmp_path / "none") == set()

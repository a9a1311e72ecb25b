"""A checkpoint's file: what comes back is what was kept, and what is none is told from it."""

import os

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from jnst import InputError
from jnst.io.atomic import UnwritableError
from jnst.io.checkpoint_file import CheckpointFile, read_about

FACTS = {"stage": 1, "loss": 0.1 + 0.2, "history": [{"size": [3, 4], "loss": float("nan")}]}
ARRAYS = {
    "run.x": np.linspace(0, 1, 24, dtype=np.float32).reshape(1, 2, 4, 3),
    "run.history": np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16),
    "run.state['a'].count": np.array([7, -7], np.int32),
    "turned": np.arange(6.0).reshape(2, 3).T,
    "moved": np.array([True, False, True]),
    "scalar": np.array(2.5, np.float64),
    "none": np.zeros((0, 3), np.float32),
}


@pytest.fixture
def kept(tmp_path):
    path = tmp_path / "run.ckpt"
    CheckpointFile(path, about={"files": ["a.png"]}).save(FACTS, ARRAYS)
    return path


def test_what_is_kept_comes_back_bit_for_bit(kept):
    loaded = CheckpointFile(kept).load()
    assert loaded is not None
    facts, arrays = loaded
    assert repr(facts) == repr(FACTS)
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape), name
        assert arrays[name].tobytes() == array.tobytes(), name
    assert read_about(kept) == {"files": ["a.png"]}
    np.testing.assert_array_equal(safetensors.numpy.load_file(kept)["run.x"], ARRAYS["run.x"])  # others can read it


def test_without_a_file_there_is_nothing_and_without_arrays_there_are_facts(tmp_path):
    file = CheckpointFile(tmp_path / "run.ckpt")
    assert file.load() is None
    assert read_about(file.path) is None
    file.save(FACTS, {})
    assert file.load() is not None
    file.begin_anew()
    assert file.load() is None
    file.save({}, {})
    assert file.load() == ({}, {})
    file.remove()
    file.remove()
    assert not file.path.exists()


def spoil(path, *, at=None, cut=None, by=b"\xff"):
    content = bytearray(path.read_bytes())
    if at is not None:
        content[at : at + 1 if at >= 0 else None] = by
    path.write_bytes(bytes(content[:cut]))


@pytest.mark.parametrize("how", [{"at": -1}, {"cut": -1}, {"cut": 40}, {"at": 30}], ids=str)
def test_damage_is_told(kept, how):
    spoil(kept, **how)
    with pytest.raises(InputError, match=r"run.ckpt is a damaged checkpoint; delete it, or give another name"):
        CheckpointFile(kept).load()


def test_what_is_no_checkpoint_is_told(kept, tmp_path):
    for name, content in (("a.txt", b"hallo"), ("empty", b""), ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(100))):
        path = tmp_path / name
        path.write_bytes(content)
        for read in (read_about, lambda path: CheckpointFile(path).load()):
            with pytest.raises(InputError, match=f"{name} is there and no checkpoint; give another name"):
                read(path)
    safetensors.numpy.save_file({"a": np.zeros(3)}, tmp_path / "weights")
    with pytest.raises(InputError, match="weights is there and no checkpoint"):
        read_about(tmp_path / "weights")
    safetensors.numpy.save_file({"a": np.zeros(3)}, tmp_path / "later", metadata={"kind": "jnst-checkpoint-99"})
    with pytest.raises(InputError, match="later is a checkpoint of another version of jnst; delete it"):
        read_about(tmp_path / "later")
    with pytest.raises(InputError, match=r"is no file; give the checkpoint another name"):
        read_about(tmp_path)


def test_a_place_that_cannot_be_written_is_told_once_and_what_was_kept_stays(kept, monkeypatch):
    said = []
    file = CheckpointFile(kept, notify=said.append)
    before = kept.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        for _ in range(3):
            file.save({"stage": 2}, ARRAYS)
        with pytest.raises(UnwritableError):
            file.write({}, {})
    assert len(said) == 1
    assert "run.ckpt cannot be written (No space left on device); the run goes on, kept as it was before" in said[0]
    assert kept.read_bytes() == before
    file.save({"stage": 2}, {})  # there is room again
    assert file.load() == ({"stage": 2}, {})

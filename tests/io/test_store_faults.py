"""Batches on an object store that is slow, refuses, or breaks off: an S3 server behind a door that does so."""

import json

import numpy as np
import pytest
from etils import epath
from helpers import FAST_BATCH as FAST
from PIL import Image

from jnst.cli import main as run
from jnst.io import image, stores
from jnst.io.paths import listdir

pytestmark = pytest.mark.slow
PICTURES = {"a_x.png", "a_y.png", "b_x.png", "b_y.png"}


@pytest.fixture
def bucket(door, tmp_path, monkeypatch):
    """Two photographs and two paintings; faults begin when a test says so, and waits are short."""
    import s3fs

    door.fault = lambda *_: None
    name = f"faulty-{abs(hash(tmp_path))}"
    s3fs.S3FileSystem().mkdir(name)
    place = epath.Path(f"s3://{name}")
    rng = np.random.default_rng(0)
    for path in ("photos/a.png", "photos/b.png", "paintings/x.png", "paintings/y.png"):
        Image.fromarray(rng.uniform(0, 255, (40, 48, 3)).astype(np.uint8)).save(tmp_path / "it.png")
        (place / path).write_bytes((tmp_path / "it.png").read_bytes())
    door.asked.clear()
    monkeypatch.setattr(stores, "WAITS", (0.01, 0.02, 0.03))
    monkeypatch.chdir(tmp_path)
    return place


def jnst(bucket, *arguments):
    places = bucket / "photos", bucket / "paintings", "-o", bucket / "out"
    return run.main([*map(str, [*places, *arguments]), *FAST])


def records(bucket):
    names = sorted(name for name in listdir(bucket / "out" / "manifest") if name.endswith(".json"))
    return [json.loads((bucket / "out" / "manifest" / name).read_bytes())["job"]["output"] for name in names]


def test_two_shards_on_one_store(bucket):
    assert [jnst(bucket, "--shard", f"{k}/2", "--quiet") for k in (0, 1)] == [0, 0]
    assert set(records(bucket)) == PICTURES
    assert len(records(bucket)) == 4
    begun = {name for name in listdir(bucket / "out" / "manifest") if name.startswith("begun")}
    assert begun == {"begun-0-of-2", "begun-1-of-2"}
    assert listdir(bucket / "out") >= PICTURES


@pytest.mark.parametrize("kind", ["refuses", "breaks off", "slow"])
def test_what_fails_for_a_moment_is_tried_again(bucket, door, kind, capsys):
    """Every object's first two readings and writings."""

    def fault(method, path, times):
        is_object = path.count("/") > 1 and method in ("GET", "PUT")
        return kind if is_object and (times <= 2 or kind == "slow") else None

    door.fault = fault
    assert jnst(bucket, "--quiet") == 0, capsys.readouterr().err
    door.fault = lambda *_: None
    assert set(records(bucket)) == PICTURES
    assert all(image.load(bucket / "out" / name).shape == (1, 40, 48, 3) for name in PICTURES)
    photograph = next(path for method, path in door.asked if path.endswith("/photos/a.png"))
    assert kind == "slow" or door.asked["GET", photograph] >= 3


def test_a_picture_that_the_store_never_takes_fails_alone(bucket, door, tmp_path, capsys):
    door.fault = lambda method, path, times: "refuses" if method == "PUT" and path.endswith("/out/a_x.png") else None
    assert jnst(bucket, "--quiet") == 1
    shown = capsys.readouterr().err
    assert "1 of 4 failed" in shown
    assert "a_x.png" in shown
    assert "Traceback" not in shown
    assert set(records(bucket)) == PICTURES - {"a_x.png"}
    assert [path.name for path in tmp_path.glob("a_x*.png")]  # kept here, so that the work is not lost
    door.fault = lambda *_: None
    assert jnst(bucket, "--quiet") == 0
    assert set(records(bucket)) == PICTURES


def test_a_photograph_that_cannot_be_read_fails_alone(bucket, door, capsys):
    door.fault = lambda method, path, times: "breaks off" if method == "GET" and path.endswith("b.png") else None
    assert jnst(bucket, "--quiet") == 1
    shown = capsys.readouterr().err
    assert "2 of 4 failed" in shown
    assert "b.png cannot be reached" in shown
    assert set(records(bucket)) == {"a_x.png", "a_y.png"}


def test_what_waiting_does_not_change_is_not_tried_again(monkeypatch):
    waits = []
    monkeypatch.setattr(stores.time, "sleep", waits.append)
    for error, tries in ((FileNotFoundError("no"), 1), (OSError("no"), 4), (ValueError("no credentials"), 1)):
        asked = []

        def action(error=error, asked=asked):
            asked.append(1)
            raise error

        with pytest.raises(type(error)):
            stores.patiently(action)
        assert len(asked) == tries
    assert len(waits) == 3
    assert all(0.5 * wait <= taken <= 1.5 * wait for wait, taken in zip(stores.WAITS, waits, strict=True))

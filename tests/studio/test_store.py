"""The folder: what lies there after a restart, after a kill, and what two studios do with one."""

import json

import numpy as np
import pytest
from studio_helpers import left_in, png

from jnst.errors import InputError
from jnst.io.paths import UNFINISHED
from jnst.studio.store import MissingError, Picture, Store


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "studio")
    yield store
    store.close()


def add(store, name, role, **which):
    path = store.new_file()
    path.write_bytes(png(**which))
    upload = store.add_image(path, name, role)
    path.unlink()
    return upload


def result(photograph, painting, key="00000000000000aa"):
    return Picture(key, "a-b", 8, 8, "2026-11-27T00:00:00Z", photograph.id, [painting.id], {}, 0.5, 1.0, "{}")


def add_result(store):
    """Its key; of examples."""
    photograph, painting, *_ = store.images()
    store.add_result(result(photograph, painting), np.zeros((1, 8, 8, 3), np.float32))
    return "00000000000000aa"


def again(store):
    store.close()
    return Store(store.folder)


def test_everything_is_there_after_a_restart(store):
    photograph, painting = add(store, "a.png", "photograph"), add(store, "b.png", "painting", seed=1)
    pixels = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    store.add_result(result(photograph, painting), pixels)
    store.keep_job({"id": "00000000000000bb", "number": 2, "request": {}})
    store.keep_job({"id": "00000000000000cc", "number": 1, "request": {}})
    store = again(store)
    assert [upload for upload in store.images() if not upload.example] == [photograph, painting]
    assert store.results() == [result(photograph, painting)]
    assert np.array_equal(store.pixels("00000000000000aa"), pixels)
    assert [job["number"] for job in store.jobs()] == [1, 2]
    assert store.file_of(photograph).read_bytes() == png()
    store.close()


def test_what_a_picture_is_made_of_stays_until_that_goes(store):
    photograph, painting = add(store, "a.png", "photograph"), add(store, "b.png", "painting", seed=1)
    store.add_result(result(photograph, painting), np.zeros((1, 8, 8, 3), np.float32))
    store.keep_job({"id": "00000000000000bb", "request": {"photograph": "x", "paintings": [{"image": painting.id}]}})
    store.delete_image(photograph.id)
    store.delete_image(painting.id)
    assert [upload for upload in store.images() if not upload.example] == []
    store = again(store)
    assert store.file_of(store.image(photograph.id)).exists()
    assert not [upload for upload in store.images() if not upload.example]
    assert add(store, "new.png", "photograph").name == "new.png"  # dropped again, it is shown again
    store.delete_image(photograph.id)
    store.delete_result("00000000000000aa")
    assert left_in(store.folder, "results") == []
    assert left_in(store.folder, "uploads") == [painting.sha256]
    store.drop_job("00000000000000bb")
    assert left_in(store.folder, "uploads") == left_in(store.folder, "images") == []
    with pytest.raises(MissingError):
        store.image(photograph.id)
    store.close()


def test_what_a_killed_server_left_is_swept(store):
    painting = add(store, "b.png", "painting")
    names = {
        "incoming": "0123",
        "uploads": f"{UNFINISHED}x",
        "results": f"{UNFINISHED}y.npy",
        "images": f"{UNFINISHED}z",
    }
    for folder, name in names.items():
        (store.folder / folder / name).write_bytes(b"half")
    (store.folder / "uploads" / "dead").write_bytes(b"no record names it")
    store = again(store)
    assert [left_in(store.folder, name) for name in ("incoming", "uploads", "results")] == [[], [painting.sha256], []]
    store.close()


def test_masks_stay_as_long_as_the_server_or_a_job_that_waits(store):
    first, second = add(store, "mask.png", "mask", seed=1), add(store, "mask.png", "mask", seed=2)
    part = {"image": "x", "mask": second.id}
    store.keep_job({"id": "00000000000000bb", "request": {"photograph": "x", "paintings": [part]}})
    store.delete_result(add_result(store))
    assert store.file_of(store.image(first.id)).exists()
    store = again(store)
    assert left_in(store.folder, "uploads") == [second.sha256]
    assert store.image(second.id).role == "mask"
    store.drop_job("00000000000000bb")
    assert left_in(store.folder, "uploads") == left_in(store.folder, "images") == []
    store.close()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"id": "other"}', '{"id": "0000"}', "\0"])
def test_damaged_records_are_left_alone(store, text):
    for folder in ("images", "results", "jobs"):
        (store.folder / folder / "0000.json").write_text(text)
    store = again(store)
    assert store.results() == []
    assert not [upload for upload in store.images() if not upload.example]
    assert all(job["id"] == "0000" for job in store.jobs())
    store.close()


def test_a_folder_is_one_studios(store, tmp_path):
    with pytest.raises(InputError, match="another studio"):
        Store(store.folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be used"):
        Store(tmp_path / "file")


def test_records_are_what_other_programs_can_read(store):
    upload = add(store, "a.png", "photograph")
    record = json.loads((store.folder / "images" / f"{upload.id}.json").read_text())
    assert record["name"] == "a.png"
    assert record["sha256"] == upload.sha256

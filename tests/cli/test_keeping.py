"""A painted picture whose place cannot be written goes to another one."""

import errno
import os
import tempfile

import numpy as np
import pytest
from PIL import Image

from jnst.cli import keeping
from jnst.cli.keeping import save_or_keep
from jnst.io import image
from jnst.io.atomic import UnwritableError

PIXELS = np.full((1, 32, 32, 3), 0.5, np.float32)


@pytest.fixture
def full(tmp_path, monkeypatch):
    """A folder that is full, the current folder beside it, and folders for what is temporary."""
    places = {name: tmp_path / name for name in ("full", "here", "temporary", "memory")}
    for place in places.values():
        place.mkdir()
    monkeypatch.chdir(places["here"])
    monkeypatch.setattr(tempfile, "tempdir", str(places["temporary"]))
    monkeypatch.setattr(keeping, "MEMORY", places["memory"])
    save, refused = image.save, [places["full"]]

    def save_but_there(pixels, path, *, description=""):
        if path.parent in refused:
            raise UnwritableError(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        save(pixels, path, description=description)

    monkeypatch.setattr(image, "save", save_but_there)
    return places, refused


def test_a_picture_is_where_it_should_be(full):
    places, _ = full
    assert save_or_keep(PIXELS, places["here"] / "a.jpg") == (places["here"] / "a.jpg", "")


def test_a_full_folder_is_told_and_the_picture_is_here_under_a_free_name(full):
    places, _ = full
    (places["here"] / "a.jpg").write_bytes(b"mine")
    kept = save_or_keep(PIXELS, places["full"] / "a.jpg", description="how")
    assert kept.path == places["here"] / "a-1.jpg"
    wrong, instead = places["full"] / "a.jpg", places["here"] / "a-1.jpg"
    assert kept.problem == (
        f"{wrong} cannot be written (No space left on device); the picture is in {instead} instead"
    )  # fmt: skip
    with Image.open(places["here"] / "a-1.jpg") as picture:
        assert picture.getexif()[0x010E] == "how"
    assert (places["here"] / "a.jpg").read_bytes() == b"mine"


def test_the_folders_for_what_is_temporary_and_the_memory_come_next(full):
    places, refused = full
    refused.append(places["here"])
    assert save_or_keep(PIXELS, places["full"] / "a.png").path == places["temporary"] / "a.png"
    refused.append(places["temporary"])
    assert save_or_keep(PIXELS, places["full"] / "a.png").path == places["memory"] / "a.png"
    refused.append(places["memory"])
    kept = save_or_keep(PIXELS, places["full"] / "a.png")
    assert kept.path is None
    assert "No space left on device), nor any other folder; the picture is lost" in kept.problem


def test_a_current_folder_that_is_gone_is_passed_over(full):
    places, _ = full
    places["here"].rmdir()
    assert save_or_keep(PIXELS, places["full"] / "a.png").path == places["temporary"] / "a.png"


def test_what_a_format_cannot_hold_is_kept_as_png(full):
    places, _ = full
    wide = np.full((1, 32, 16_500, 3), 0.5, np.float32)  # WebP: at most 16,383
    kept = save_or_keep(wide, places["here"] / "a.webp")
    assert kept.path == places["here"] / "a.png"
    assert "a.webp cannot be written" in kept.problem
    assert image.load(places["here"] / "a.png").shape == wide.shape

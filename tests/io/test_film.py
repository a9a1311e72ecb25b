"""Films: their size, colours, times, and that there is a whole one or none."""

import os
from contextlib import closing
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from jnst.errors import InputError
from jnst.io import film, optional
from jnst.io.atomic import UnwritableError
from jnst.io.clip import open_clip
from jnst.io.film import Film, film_size, kept_bytes, require_film

VIDEO = pytest.mark.skipif(optional.find("av") is None, reason="needs the extra video")
EVERY_KIND = pytest.mark.parametrize("name", [pytest.param("a.mp4", marks=VIDEO), "a.gif", "a.webp"])
RED, BLUE = (0.8, 0.2, 0.1), (0.1, 0.3, 0.9)


def plain(colour, height=33, width=49):
    return np.full((1, height, width, 3), colour, np.float32)


@EVERY_KIND
def test_frames_come_back_with_their_colours_and_times(tmp_path, name):
    path = tmp_path / name
    with closing(Film(path, (33, 49), Fraction(5))) as made:
        made.add(plain(RED))
        made.add(plain(BLUE, 17, 25))  # of a coarse scale
        made.add(plain(RED), seconds=1.0)
    clip = open_clip(path)
    assert clip.size == film_size(path, (33, 49)) == ((32, 48) if name == "a.mp4" else (33, 49))
    frames = [picture for _, picture in clip.pictures(clip.size)]
    assert len(frames) == (7 if name == "a.mp4" else 3)  # a film holds a picture by showing it again
    for frame, colour in zip(frames, (RED, BLUE, RED), strict=False):
        np.testing.assert_allclose(frame, plain(colour, *clip.size), atol=0.03)
    assert clip.rate is not None
    assert len(frames) / clip.rate == Fraction(7, 5)
    assert os.listdir(tmp_path) == [name]


@EVERY_KIND
def test_there_is_a_whole_film_or_none(tmp_path, name):
    path = tmp_path / name

    for given_up in (True, False):
        made = Film(path, (33, 49), Fraction(5))
        if given_up:
            made.add(plain(RED))
            made.abandon()
        made.close()  # of no frame, or given up before
        assert os.listdir(tmp_path) == []
    with closing(Film(path, (33, 49), Fraction(5))) as made:
        made.add(plain(RED))
        assert not path.exists()
    assert open_clip(path).frames == 1


@EVERY_KIND
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, name):
    def make():
        with closing(Film(tmp_path / "none" / name, (33, 49), Fraction(5))) as made:
            made.add(plain(RED))

    with pytest.raises(UnwritableError, match="cannot be written"):
        make()


@VIDEO
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    made = Film(tmp_path / "a.mp4", (33, 49), Fraction(5))
    made.add(plain(RED))
    assert made._encoder is not None

    class Full:
        def encode(self, frame):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(made._encoder, "stream", Full())
    with pytest.raises(UnwritableError, match=r"a.mp4 cannot be written \(No space left on device\)"):
        made.close()
    assert os.listdir(tmp_path) == []


def test_sizes_and_endings(tmp_path, monkeypatch):
    assert film_size(tmp_path / "a.MP4", (5001, 2001)) == (4096, 1638)
    assert film_size(tmp_path / "a.gif", (1000, 2048)) == (500, 1024)
    assert kept_bytes(tmp_path / "a.mp4", (100, 100), 10) == 0
    assert kept_bytes(tmp_path / "a.gif", (100, 100), 10) == 300_000
    with pytest.raises(InputError, match=r"has the extension '.avi'; a film can be written as .mp4, .gif, .webp"):
        require_film(tmp_path / "a.avi")
    monkeypatch.setattr(film.optional, "find", lambda name: None)
    with pytest.raises(InputError, match=r'a.mp4: .* needs further packages: pip install "jnst\[video\]"'):
        require_film(tmp_path / "a.mp4")


def test_a_gif_runs_for_ever(tmp_path):
    with closing(Film(tmp_path / "a.gif", (33, 49), Fraction(5))) as made:
        made.add(plain(RED))
        made.add(plain(BLUE))
    with Image.open(tmp_path / "a.gif") as file:
        assert file.info["loop"] == 0

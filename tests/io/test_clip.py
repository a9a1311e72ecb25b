"""Clips as they come: films, moving pictures, folders; damaged, hostile and empty ones are one line."""

from contextlib import closing
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from jnst.errors import InputError
from jnst.io import clip as clips
from jnst.io import image, optional
from jnst.io.clip import open_clip
from jnst.io.film import Film

needs_av = pytest.mark.skipif(optional.find("av") is None, reason="needs the extra video")
Y4M = b"YUV4MPEG2 W32 H32 F10:1 Ip A1:1 C420jpeg\nFRAME\n" + bytes(32 * 32 * 3 // 2)  # of no listed format
HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nother.mp4\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile other.mp4\n"


def grey(level, height=32, width=48):
    return np.full((1, height, width, 3), level, np.float32)


def film_of(path, count=6):
    with closing(Film(path, (32, 48), Fraction(10))) as made:
        for k in range(count):
            made.add(grey(k / 10))
    return path


def levels(clip, **more):
    return [(number, round(float(picture.mean()), 1)) for number, picture in clip.pictures((32, 40), **more)]


@pytest.mark.parametrize("name", [pytest.param("a.mp4", marks=needs_av), "a.gif"])
def test_frames_are_read_in_order_and_some_are_left_out(tmp_path, name):
    clip = open_clip(film_of(tmp_path / name))
    assert (clip.size, clip.frames, clip.rate, clip.sound) == ((32, 48), 6, Fraction(10), False)
    assert levels(clip) == [(k, k / 10) for k in range(6)]
    assert levels(clip, every=4) == [(0, 0.0), (4, 0.4)]
    assert levels(clip, every=2, most=2) == [(0, 0.0), (2, 0.2)]


def test_a_folder_is_read_by_the_numbers_in_its_names(tmp_path):
    paths = [tmp_path / f"s{k}.png" for k in (10, 9, 1)]
    for level, path in zip((1.0, 0.5, 0.0), paths, strict=True):
        image.save(grey(level), path)
    clip = open_clip(tmp_path, files=paths)
    assert (clip.frames, clip.rate) == (3, None)
    assert levels(clip) == [(0, 0.0), (1, 0.5), (2, 1.0)]
    assert levels(clip, every=2) == [(0, 0.0), (2, 1.0)]


def test_what_cannot_be_seen_is_white(tmp_path):
    frames = [Image.new("RGBA", (48, 32), (0, 0, 0, 0)), Image.new("RGBA", (48, 32), (0, 0, 0, 255))]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=[100, 300], lossless=True)
    clip = open_clip(tmp_path / "a.webp")
    assert clip.rate == 5
    assert levels(clip) == [(0, 1.0), (1, 0.0)]


@needs_av
def test_a_film_that_a_telephone_turned_stands_upright(tmp_path):
    """The mark of the matrix is written into the file by hand: ISO/IEC 14496-12, 8.3.2 (tkhd)."""
    path = tmp_path / "a.mp4"
    picture = np.concatenate([grey(1.0, width=24), grey(0.0, width=24)], 2)  # white on the left
    with closing(Film(path, (32, 48), Fraction(10))) as made:
        made.add(picture)
    whole, one = path.read_bytes(), (1 << 16).to_bytes(4, "big")
    zero, minus = bytes(4), (-(1 << 16) & 0xFFFFFFFF).to_bytes(4, "big")
    place = whole.index(b"tkhd") + 4 + 40
    straight = one + zero * 3 + one
    assert whole[place : place + 20] == straight
    quarter = zero + one + zero + minus + zero  # clockwise: what was left is above
    path.write_bytes(whole[:place] + quarter + whole[place + 20 :])
    clip = open_clip(path)
    assert clip.size == (48, 32)
    ((_, turned),) = clip.pictures(clip.size)
    assert turned[0, :20].mean() > 0.9
    assert turned[0, 28:].mean() < 0.1


@needs_av
@pytest.mark.parametrize("content", [b"", b"not a film", Y4M, HLS, CONCAT])
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_what_is_no_film_is_one_line(tmp_path, content, ending):
    film_of(tmp_path / "other.mp4")
    (tmp_path / f"a{ending}").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot be read \([^\n]*\); give a whole clip$"):
        open_clip(tmp_path / f"a{ending}")


@needs_av
def test_a_film_that_ends_in_its_middle(tmp_path):
    av = optional.find("av")
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        rng = np.random.default_rng(0)
        for _ in range(20):
            noise = rng.integers(0, 255, (32, 48, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode(None))
    assert open_clip(path).frames == 20  # counted: Matroska does not tell
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    clip = open_clip(path)
    assert 1 < clip.frames < 20
    assert sum(1 for _ in clip.pictures((32, 48))) == clip.frames  # what there is


def test_a_gif_that_ends_in_its_middle_is_read_until_there(tmp_path):
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 255, (32, 48, 3), np.uint8)) for _ in range(6)]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"a.gif cannot be read \("):
        list(open_clip(path).pictures((32, 48)))


def test_bounds(tmp_path, monkeypatch):
    path = film_of(tmp_path / "a.gif")
    monkeypatch.setattr(clips, "MOST_FRAMES", 5)
    with pytest.raises(InputError, match=r"a.gif has over 5 frames; give a shorter clip"):
        open_clip(path)
    monkeypatch.setattr(clips, "MOST_PIXELS", 1000)
    with pytest.raises(InputError, match=r"a.gif has 48x32 pixels a frame; reduce it first"):
        open_clip(path)


@needs_av
def test_bounds_of_films(tmp_path, monkeypatch):
    path = film_of(tmp_path / "a.mp4")
    monkeypatch.setattr(clips, "MOST_PIXELS", 1000)
    with pytest.raises(InputError, match=r"a.mp4 has 48x32 pixels a frame; reduce it first"):
        open_clip(path)


def test_what_is_no_clip(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("no")
    (tmp_path / "a.gif").write_text("no")
    (tmp_path / "a.mp4").write_text("no")
    for name, message in (("a.txt", "is no clip"), ("none.mp4", "no such file"), ("a.gif", "cannot be read")):
        with pytest.raises(InputError, match=message):
            open_clip(tmp_path / name)
    monkeypatch.setattr(clips.optional, "find", lambda name: None)
    with pytest.raises(InputError, match=r'a film needs further packages: pip install "jnst\[video\]"'):
        open_clip(tmp_path / "a.mp4")

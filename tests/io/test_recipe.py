"""The recipe inside pictures: in every format, in whichever place it survived; damaged and hostile ones."""

import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import picture
from hypothesis import given
from hypothesis import strategies as st
from picture_files import chunk
from PIL import Image

from jnst.errors import InputError
from jnst.io import image, optional
from jnst.io.checksums import Checksums, checksum
from jnst.io.encode import KINDS, Writing
from jnst.io.metadata import Origin
from jnst.io.recipe import NAMESPACE, InputFile, Recipe, find_recipe, parse_recipe, read_recipe, xmp_packet

PIXELS = np.asarray(picture(48, 64))
X = Path("x.png")
EXTRA = pytest.mark.skipif(optional.find("imagecodecs") is None, reason="needs the extra photo")
RECIPE = Recipe(
    size=(48, 64),
    settings={"iterations": 4, "style_layers": ["conv1_1"], "init": "süß & <start>.png"},
    way={"tile": 0},
    options={"image_size": 48, "upscale": False, "bits": 8},
    inputs={"content": (InputFile("ph\udcffoto.png", "0" * 64),), "styles": (InputFile("a.png", ""),)},
    weights={"sha256": "1" * 64, "architecture": "vgg16"},
    versions={"jax": "0.10"},
    device="cpu: cpu",
)
KINDS_OF_FILES = [
    (".png", 8), (".jpg", 8), (".webp", 8), (".tif", 8), (".avif", 8),
    *(pytest.param(*case, marks=EXTRA) for case in [(".png", 16), (".tif", 16), (".jxl", 8), (".jxl", 16)]),
]  # fmt: skip


def written(tmp_path, suffix, bits: Any = 8, **more):
    path = tmp_path / f"out{suffix}"
    image.save(PIXELS, path, recipe=RECIPE.text(), writing=Writing(bits=bits), **more)
    return path


def camera():
    """Tags in a directory of their own, for which a TIFF is written in another way."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x829A] = 0.01
    return Origin(exif.tobytes())


@pytest.mark.parametrize(("suffix", "bits"), KINDS_OF_FILES)
@pytest.mark.parametrize("origin", [Origin(), camera()], ids=["plain", "camera"])
def test_every_format_carries_it(tmp_path, suffix, bits, origin):
    path = written(tmp_path, suffix, bits, origin=origin)
    assert read_recipe(path) == RECIPE
    assert xmp_packet(RECIPE.text()).encode() in path.read_bytes()
    assert image.load(path).shape == (1, 48, 64, 3)


def test_every_format_is_tried():
    tried = {getattr(case, "values", case)[0] for case in KINDS_OF_FILES}
    assert tried | {".jpeg", ".tiff"} == set(KINDS)


@pytest.mark.parametrize(("suffix", "bits"), KINDS_OF_FILES)
def test_each_place_is_enough(tmp_path, suffix, bits):
    """EXIF's text is made another one, then XMP's: what is left is read; where none is left, one line says so."""
    path = written(tmp_path, suffix, bits)
    text, packet = RECIPE.text().encode(), xmp_packet(RECIPE.text()).encode()
    places = {"exif": text, "xmp": packet, "png": b"jnst" + bytes(5) + text if suffix == ".png" else b""}
    for kept in filter(places.get, places):
        data = path.read_bytes()
        for name, place in places.items():
            if name != kept and place:
                starts = [match.start() for match in re.finditer(re.escape(place), data)]
                start = next(k for k in starts if name != "exif" or data[k - 9 : k - 5] != b"jnst")
                data = data[:start] + b" " * len(place) + data[start + len(place) :]
        other = path.with_stem(kept)
        other.write_bytes(_with_checksums(data) if suffix == ".png" else data)
        assert read_recipe(other) == RECIPE, kept
    Image.fromarray(np.uint8(PIXELS[0] * 255)).save(tmp_path / "none.png", exif=camera().exif)
    with pytest.raises(InputError, match=r"none.png has no recipe; give a picture as jnst has written it"):
        read_recipe(tmp_path / "none.png")


def _with_checksums(data):
    """A PNG whose chunks have the checksums of their bytes."""
    place, whole = 8, data[:8]
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        if body.strip() == b"" and kind == b"iTXt":
            body = b"Comment" + bytes(5) + b"x"
        whole += chunk(kind, body)
        place += length + 12
    return whole


def test_a_text_behind_the_pixels_is_found(tmp_path):
    """ImageMagick writes texts there, and compresses them."""
    path = tmp_path / "in.png"
    Image.fromarray(np.uint8(PIXELS[0] * 255)).save(path)
    data, end = path.read_bytes(), chunk(b"IEND", b"")
    text = chunk(b"zTXt", b"jnst\0\0" + zlib.compress(RECIPE.text().encode()))
    path.write_bytes(data.removesuffix(end) + text + end)
    assert read_recipe(path) == RECIPE


def test_other_programs_may_write_the_packet_anew():
    text = RECIPE.text().replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    packet = f'<r:RDF xmlns:r="{rdf}" xmlns:q="{NAMESPACE}"><r:Description q:recipe="{text}"/></r:RDF>'
    assert find_recipe([packet.encode() + b"\0 "], X) == RECIPE


def test_later_keys_are_left_out_and_later_formats_refused():
    told = json.loads(RECIPE.text())
    assert told["recipe"] == 1
    assert parse_recipe(json.dumps({**told, "new": [1]})) == RECIPE
    assert parse_recipe(json.dumps({key: told[key] for key in told if key not in ("device", "way")})).way == {}
    with pytest.raises(InputError, match=r"^x.png: its recipe is of format 2, this jnst reads 1; update jnst$"):
        find_recipe([json.dumps({**told, "recipe": 2})], X)


CHANGES = [
    {"settings": 1}, {"settings": None}, {"image_size": [1]}, {"image_size": [1, "2"]}, {"inputs": []},
    {"inputs": {"content": {}}}, {"inputs": {"content": [{"name": "../../x.png"}]}}, {"weights": {"sha256": 1}},
    {"inputs": {"content": [{"name": ".."}]}}, {"inputs": {"content": [{"name": "a", "sha256": "../"}]}},
    {"recipe": True}, {"recipe": 0}, {"recipe": "1"}, {"devices": "2"},
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_what_is_damaged_is_one_line(change):
    text = json.dumps({**json.loads(RECIPE.text()), **change})
    with pytest.raises(InputError, match=r"^x.png: its recipe is damaged \(.*\); give the picture as") as caught:
        find_recipe(["a comment", text], X)
    assert "\n" not in str(caught.value)
    assert find_recipe([text, RECIPE.text()], X) == RECIPE  # another place has it whole


@given(st.data())
def test_whatever_a_text_holds_ends_in_one_line(data):
    text = bytearray(data.draw(st.sampled_from([RECIPE.text(), xmp_packet(RECIPE.text())])).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    line = ""
    try:
        assert isinstance(find_recipe([bytes(text)], X), Recipe)
    except InputError as error:
        line = str(error)
    assert len(line.splitlines()) <= 1
    assert len(line) < 500


@pytest.mark.parametrize("text", [RECIPE.text()[:-9], '{"recipe":' + "[" * 100_000, f"<a xmlns='{NAMESPACE}'"])
def test_what_is_cut_off_is_damaged(text):
    with pytest.raises(InputError, match="its recipe is damaged"):
        find_recipe([text], X)


def test_entities_are_not_expanded():
    bomb = f'<!DOCTYPE a [<!ENTITY b "c">]><a xmlns:j="{NAMESPACE}" j:recipe="&b;"/>'
    with pytest.raises(InputError, match="no recipe"):
        find_recipe([bomb], X)


def test_checksums_are_those_of_the_bytes_that_were_read(tmp_path):
    path, checksums = written(tmp_path, ".png"), Checksums()
    before = checksum(path)
    assert checksums.load(path, size=(48, 64)).shape == (1, 48, 64, 3)
    path.unlink()
    assert checksums.of(path) == before
    assert checksums.of(tmp_path / "none") == ""
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "a").write_bytes(b"1")
    first = checksum(folder)
    (folder / "a").rename(folder / "b")
    assert first != checksum(folder)

"""HEIC and JPEG XL: sizes from their heads, pixels, and what damaged ones lead to."""

from pathlib import Path

import numpy as np
import pytest

from jnst.errors import InputError
from jnst.io import decode, heif, image, optional

SAMPLES = Path(__file__).parent / "samples"
PIXELS = np.kron(np.random.default_rng(0).integers(0, 255, (5, 7, 3)), np.ones((8, 8, 1))).astype(np.uint8)  # 40 x 56
HEIC = pytest.mark.skipif(optional.find("pi_heif") is None, reason="needs the extra photo")


@pytest.fixture
def jpegxl():
    """Encodes as the tests ask."""
    return pytest.importorskip("imagecodecs", reason="needs the extra photo").jpegxl_encode


@HEIC
def test_heic_is_read():
    path = SAMPLES / "RGB_8__128x128.heif"
    found = image.load(path)
    assert decode.read_size(path) == found.shape[1:3] == (128, 128)
    y, x = np.mgrid[0:128, 0:128] * 2 / 255  # red grows downwards, green to the right, blue falls
    np.testing.assert_allclose(found[0], np.stack([y, x, 1 - y], -1), atol=0.03)


@HEIC
def test_heic_of_10_bits_keeps_its_steps():
    found = image.load(SAMPLES / "L_10__128x128.heif")[0, :, 64, 0]
    assert found.max() == 1
    assert np.unique(np.round(found * 1023)).size == 128
    assert np.abs(found * 255 - np.round(found * 255)).max() > 0.2  # between the steps of 8 bits


@HEIC
@pytest.mark.parametrize("length", [40, 500, 1500])
def test_a_short_heic_is_refused_in_one_line(tmp_path, length):
    (tmp_path / "in.heic").write_bytes((SAMPLES / "L_10__128x128.heif").read_bytes()[:length])
    with pytest.raises(InputError, match=r"in.heic cannot be read"):
        image.load(tmp_path / "in.heic")


@pytest.mark.usefixtures("no_extra")
@pytest.mark.parametrize(("name", "head"), [("HEIC", b"\0\0\0\x18ftypheic"), ("JPEG XL", b"\xff\x0a\0\0")])
def test_without_the_extra_a_line_says_what_it_is(tmp_path, name, head):
    (tmp_path / "in").write_bytes(head.ljust(64, b"\0"))
    with pytest.raises(InputError, match=f"in: {name} needs further packages: pip install"):
        decode.read_size(tmp_path / "in")


@pytest.mark.parametrize(
    "size", [(40, 56), (256, 256), (36, 40), (48, 64), (33, 300), (257, 2100), (600, 900), (300, 600)]
)
@pytest.mark.parametrize("container", [True, False])
def test_the_size_of_a_jpeg_xl_is_read_from_its_head(jpegxl, size, container):
    data = jpegxl(np.zeros((*size, 3), np.uint8), usecontainer=container, effort=1)
    assert heif.size_of_jpegxl(data) == size


def test_jpeg_xl_is_read(jpegxl, tmp_path):
    (tmp_path / "in.jxl").write_bytes(jpegxl(PIXELS, lossless=True))
    np.testing.assert_allclose(image.load(tmp_path / "in.jxl")[0], PIXELS / 255, atol=1e-6)
    assert decode.read_size(tmp_path / "in.jxl") == (40, 56)


def test_a_large_head_of_jpeg_xl_is_refused_before_it_is_decoded(jpegxl, tmp_path, monkeypatch):
    data = jpegxl(PIXELS, lossless=True)
    assert data[:2] == b"\xff\x0a"
    # not small; height of 30 bits, 40,000; ratio 1: as wide
    bits = 0 | 3 << 1 | 39_999 << 3 | 1 << 33 | 1 << 36
    (tmp_path / "in.jxl").write_bytes(data[:2] + bits.to_bytes(5, "little") + data[7:])
    monkeypatch.setattr(optional.find("imagecodecs"), "jpegxl_decode", lambda data: pytest.fail("it was decoded"))
    with pytest.raises(InputError, match="has over 1000 million pixels"):
        image.load(tmp_path / "in.jxl")


@pytest.mark.parametrize("data", [b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\0jxlc",
                                  b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\1ftyp\0\0\0\0\0\0\0\0"])  # fmt: skip
def test_a_jpeg_xl_without_a_picture_is_refused(tmp_path, data):
    pytest.importorskip("imagecodecs", reason="needs the extra photo")
    (tmp_path / "in.jxl").write_bytes(data)
    with pytest.raises(InputError, match=r"in.jxl"):
        image.load(tmp_path / "in.jxl")

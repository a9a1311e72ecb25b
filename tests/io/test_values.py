"""Samples that are not plain 8-bit RGB: 16 bits, floats, planes, white-is-zero; and what is read without the extra."""

import logging
import struct

import numpy as np
import pytest
from picture_files import png
from PIL import Image

from jnst.errors import InputError
from jnst.io import decode, image

RNG = np.random.default_rng(0)
RAMP = np.tile(np.arange(64, dtype=np.uint16) * 1040, (48, 1))  # 48 x 64
RGB = np.kron(RNG.integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint16) * 256 + 77
WITHOUT = pytest.mark.usefixtures("no_extra")


@pytest.fixture
def tiff(tmp_path):
    """Writes a TIFF as the tests ask."""
    tifffile = pytest.importorskip("tifffile", reason="needs the extra photo")
    pytest.importorskip("imagecodecs", reason="needs the extra photo")

    def write(values, **options):
        tifffile.imwrite(tmp_path / "in.tif", values, **options)
        return tmp_path / "in.tif"

    return write


def check(path, expected, atol=1e-6):
    found = image.load(path)
    assert decode.read_size(path) == found.shape[1:3]
    expected = expected if expected.ndim == 3 else expected[..., None]
    np.testing.assert_allclose(found[0], np.broadcast_to(expected, found.shape[1:]), atol=atol)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "predictor": True}, {"tile": (16, 16)},
                                     {"byteorder": ">"}, {"bigtiff": True}])  # fmt: skip
def test_16_bit_colour_keeps_its_steps(tiff, options):
    check(tiff(RGB, photometric="rgb", **options), RGB / 65535)


def test_planes_one_behind_the_other(tiff):
    path = tiff(np.moveaxis(RGB, -1, 0).copy(), photometric="rgb", planarconfig="separate")
    check(path, RGB / 65535)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_white_is_zero(tiff, dtype):
    factor = 1 if dtype == np.uint16 else 65537
    check(tiff(((65535 - RAMP.astype(np.uint64)) * factor).astype(dtype), photometric="miniswhite"), RAMP / 65535)


def test_32_bits_are_of_their_own_white(tiff):
    check(tiff(RAMP.astype(np.uint32) * 65537), RAMP / 65535)


def test_12_bits_are_of_their_own_white(tiff):
    check(tiff((RAMP >> 4), bitspersample=12), (RAMP >> 4) / 4095)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("values", [RAMP, RGB], ids=["grey", "colour"])
def test_floats_from_0_to_1(tiff, dtype, values):
    photometric = "rgb" if values.ndim == 3 else "minisblack"
    path = tiff((values / 65535).astype(dtype), photometric=photometric)
    check(path, values / 65535, atol=1e-3 if dtype == np.float16 else 1e-6)


@pytest.mark.parametrize(("odd", "shown"), [(np.nan, 0), (np.inf, 1), (-np.inf, 0)])
@pytest.mark.parametrize("factor", [1, 4000])
def test_one_odd_float_moves_no_other(tiff, odd, shown, factor):
    values = RAMP / RAMP.max()
    given = (values * factor).astype(np.float32)
    given[3, 5], values[3, 5] = odd, shown
    check(tiff(given), values, atol=2e-6)


def test_a_float_of_64_bits_that_32_cannot_hold_is_white_and_prints_nothing(tiff):
    given = np.zeros(RAMP.shape)
    given[3, 5] = 1e300
    check(tiff(given), given > 0, atol=0)


def test_grey_with_opacity(tiff):
    alpha = np.full_like(RAMP, 16384)
    path = tiff(np.stack([RAMP, alpha], -1), photometric="minisblack", extrasamples=["unassalpha"])
    check(path, RAMP / 65535 * (16384 / 65535) + 1 - 16384 / 65535)
    assert np.all(image.read(path).origin.alpha == np.float32(16384 / 65535))


def test_colour_that_was_multiplied_by_its_opacity(tiff):
    opacity = np.full((*RGB.shape[:2], 1), 0.5)
    values = np.concatenate([RGB / 65535 * opacity, opacity], -1).astype(np.float32)
    check(tiff(values, photometric="rgb", extrasamples=["assocalpha"]), RGB / 65535 * 0.5 + 0.5)


def test_inks_of_16_bits(tiff):
    inks = np.concatenate([RGB, RGB[..., :1] // 2], -1)
    unit = inks / 65535
    check(tiff(inks, photometric="separated"), (1 - unit[..., :3]) * (1 - unit[..., 3:]))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_deep_tiff_is_turned_as_any(tiff, orientation):
    path = tiff(RGB, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    flat = path.with_suffix(".png")
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray((RGB >> 8).astype(np.uint8)).save(flat, exif=exif)
    np.testing.assert_allclose(image.load(path), image.load(flat), atol=1 / 255)
    assert decode.read_size(path) == decode.read_size(flat)


def test_what_is_none_of_grey_colour_and_inks_is_refused(tiff):
    with pytest.raises(InputError, match=r"of a kind that is not read \(ICCLAB\); save it as 16-bit RGB"):
        image.load(tiff(RGB, photometric="icclab"))


def test_missing_and_short_strips_are_no_black_pixels(tiff):
    path = tiff(RGB, photometric="rgb")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    with pytest.raises(InputError, match="cannot be read"):
        image.load(path)


def test_16_bit_png_keeps_its_steps(tmp_path):
    pytest.importorskip("imagecodecs", reason="needs the extra photo")
    check(png(tmp_path, 2, 16, RGB.astype(">u2")), RGB / 65535)
    alpha = np.full((*RGB.shape[:2], 1), 32768, np.uint16)
    check(png(tmp_path, 6, 16, np.concatenate([RGB, alpha], -1).astype(">u2")),
          RGB / 65535 * (32768 / 65535) + 1 - 32768 / 65535)  # fmt: skip
    check(png(tmp_path, 4, 16, np.stack([RAMP, RAMP * 0 + 65535], -1).astype(">u2")), RAMP / 65535)


def test_one_transparent_level_of_16_bit_grey(tmp_path):
    path = png(tmp_path, 0, 16, RAMP.astype(">u2"), (b"tRNS", struct.pack(">H", 1040)))
    check(path, np.where(RAMP == 1040, 65535, RAMP) / 65535)


def test_16_bit_ppm_keeps_its_steps(tmp_path):
    path = tmp_path / "in.ppm"
    path.write_bytes(b"P6\n64 48\n65535\n" + RGB.astype(">u2").tobytes())
    check(path, RGB / 65535)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="cannot be read"):
        image.load(path)


@pytest.mark.parametrize(("name", "bits"), [("jp2", 16), ("avif", 10), ("jxl", 16)])
def test_other_formats_of_more_than_8_bits(tmp_path, name, bits):
    codecs = pytest.importorskip("imagecodecs", reason="needs the extra photo")
    smooth = np.stack(np.broadcast_arrays(*np.meshgrid(np.arange(64) * 16, np.arange(48) * 21), 512), -1) << (bits - 10)
    values = smooth.astype(np.uint16)
    encoders = {"jp2": lambda: codecs.jpeg2k_encode(values, level=0, reversible=True),
                "avif": lambda: codecs.avif_encode(values, bitspersample=10, level=100),
                "jxl": lambda: codecs.jpegxl_encode(values, lossless=True)}  # fmt: skip
    path = tmp_path / f"in.{name}"
    path.write_bytes(encoders[name]())
    check(path, values / (2**bits - 1), atol=0.004 if name == "avif" else 1e-6)


def test_a_large_deep_picture_is_reduced_while_it_becomes_floats(tiff, monkeypatch):
    smooth = np.kron(RNG.integers(0, 65535, (6, 8, 3)), np.ones((32, 32, 1))).astype(np.uint16)
    path, seen = tiff(smooth, photometric="rgb"), []
    whole = image.load(path, image_size=48)
    convert = decode.to_srgb
    monkeypatch.setattr(decode, "LARGE", 10_000)
    monkeypatch.setattr(decode, "to_srgb", lambda color, space: seen.append(color.shape) or convert(color, space))
    assert np.abs(image.load(path, image_size=48) - whole).mean() < 0.02
    assert 96 <= max(seen[0]) <= 192  # of 256


@WITHOUT
def test_without_the_extra_8_of_16_bits_are_read_and_a_line_says_so(tmp_path, caplog):
    path = png(tmp_path, 2, 16, RGB.astype(">u2"))
    with caplog.at_level(logging.WARNING, "jnst"):
        check(path, RGB / 65535, atol=1 / 255)
        image.load(path)
    assert caplog.messages == [f'{path} has 16 bits a channel, of which 8 are read; for all: pip install "jnst[photo]"']


@WITHOUT
@pytest.mark.parametrize(("values", "options", "exact"), [
    (RGB, {"photometric": "rgb"}, False),
    (65535 - RAMP, {"photometric": "miniswhite"}, True),
    (RAMP.astype(np.uint32) * 65537, {}, True),
    ((RAMP / 65535).astype(np.float32), {}, True),
])  # fmt: skip
def test_without_the_extra_pillow_reads_the_right_values(tiff, caplog, values, options, exact):
    with caplog.at_level(logging.WARNING, "jnst"):
        check(tiff(values, **options), (RGB if values.ndim == 3 else RAMP) / 65535, atol=1e-6 if exact else 1 / 255)
    assert exact == (not caplog.messages)


@WITHOUT
@pytest.mark.parametrize(("values", "options"), [
    (np.moveaxis(RGB, -1, 0).copy(), {"photometric": "rgb", "planarconfig": "separate"}),
    ((RGB / 65535).astype(np.float32), {"photometric": "rgb"}),
])  # fmt: skip
def test_without_the_extra_what_pillow_cannot_read_is_refused(tiff, values, options):
    with pytest.raises(InputError, match=r"in.tif: a TIFF of this kind needs further packages: pip install"):
        image.load(tiff(values, **options))

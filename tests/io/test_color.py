"""Colour spaces that files tell: ICC profiles in any mode, cameras' Adobe RGB, PNG's gAMA, cHRM and cICP."""

import struct
import zlib

import numpy as np
import pytest
from picture_files import png
from PIL import Image
from profiles import cmyk_as_grey, grey, rgb

from jnst.io import color, image, optional

RNG = np.random.default_rng(0)
GREY = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))  # 48 x 64
MUTED = np.kron(RNG.integers(60, 190, (6, 8, 3)), np.ones((8, 8, 1))).astype(
    np.uint8
)  # within sRGB in any of the spaces
P3, WIDE = (color.PRIMARIES[number] for number in (12, 9))
PRIMARIES = color.PRIMARIES_OF_ADOBE_RGB
EXACT = pytest.mark.skipif(optional.find("imagecodecs") is None, reason="needs the extra photo")


def by_hand(values, exponent, primaries=color.BT709):
    light = (values / 255) ** exponent @ color.rgb_to_rgb(primaries, color.BT709).T
    return color.light_to_srgb(light)


def check(path, expected, levels=0.02):
    found = image.load(path)
    np.testing.assert_allclose(found[0], np.broadcast_to(expected, found.shape[1:]), atol=levels / 255)


@EXACT
@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
@pytest.mark.parametrize("mode", ["L", "LA", "I;16", "I;16 TIFF", "tRNS"])
def test_a_grey_profile_counts_in_any_mode(tmp_path, gamma, mode):
    path, options = tmp_path / ("in.tif" if "TIFF" in mode else "in.png"), {}
    picture = Image.fromarray(GREY)
    if mode == "LA":
        picture = picture.convert("LA")
    elif mode.startswith("I"):
        picture = Image.fromarray(GREY.astype(np.uint16) * 257)
    elif mode == "tRNS":
        options["transparency"] = 3  # a level that is not there
    picture.save(path, icc_profile=grey(gamma), **options)
    check(path, color.light_to_srgb((GREY / 255) ** (round(gamma * 256) / 256))[..., None])


@EXACT
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "YCbCr"])
def test_an_rgb_profile_counts_in_any_mode(tmp_path, mode):
    path = tmp_path / ("in.tif" if mode == "YCbCr" else "in.png")
    picture = Image.fromarray(MUTED)
    picture = picture.quantize(256) if mode == "P" else picture.convert(mode)
    picture.save(path, icc_profile=rgb(2.2, P3))
    expected = by_hand(np.asarray(picture.convert("RGB")), 563 / 256, P3)
    check(path, expected, levels=0.1)


@EXACT
def test_a_profile_of_inks_counts(tmp_path):
    inks = np.concatenate([MUTED, MUTED[..., :1]], -1)
    Image.fromarray(inks, "CMYK").save(tmp_path / "in.tif", icc_profile=cmyk_as_grey())
    lightness = 1 - inks[..., 3:] / 255
    luminance = ((100 * lightness + 16) / 116) ** 3  # CIE 1976, for lightness above 8
    check(tmp_path / "in.tif", color.light_to_srgb(luminance), levels=1.5)


@EXACT
def test_colour_is_converted_in_float_and_back(tmp_path):
    pixels = RNG.random((64, 64, 3)).astype(np.float32)
    wide = rgb(1.8, WIDE)
    there = color.from_srgb(pixels, wide)
    assert there is not None
    np.testing.assert_allclose(color.to_srgb(there, color.Space(wide)), pixels, atol=2e-5)
    assert len(np.unique(there)) > 10_000


@pytest.mark.usefixtures("no_extra")
def test_without_the_extra_profiles_count_in_8_bits(tmp_path):
    Image.fromarray(MUTED).save(tmp_path / "in.png", icc_profile=rgb(2.2, P3))
    check(tmp_path / "in.png", by_hand(MUTED, 563 / 256, P3), levels=1.5)
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "in.png", icc_profile=grey(1.8))
    check(tmp_path / "in.png", color.light_to_srgb((GREY / 255) ** (461 / 256))[..., None], levels=1.5)
    assert color.from_srgb(MUTED / np.float32(255), rgb(2.2)) is None


@pytest.mark.parametrize("profile", [b"no profile", grey(1.0), cmyk_as_grey(), rgb(1.0)[:200]])
def test_a_profile_of_another_kind_or_a_broken_one_does_not_count(tmp_path, profile):
    Image.fromarray(MUTED).save(tmp_path / "in.png", icc_profile=profile)
    check(tmp_path / "in.png", MUTED / 255, levels=1e-3)


def test_adobe_rgb_of_a_camera(tmp_path):
    def entry(tag, kind, count, value):
        return struct.pack("<HHI4s", tag, kind, count, value)

    exif = b"Exif\0\0II*\0\10\0\0\0" + struct.pack("<H", 1) + entry(0x8769, 4, 1, struct.pack("<I", 26)) + bytes(4)
    exif += struct.pack("<H", 1) + entry(0xA005, 4, 1, struct.pack("<I", 44)) + bytes(4)
    for index, space in ((b"R03\0", PRIMARIES), (b"R98\0", None)):
        tags = exif + struct.pack("<H", 1) + entry(1, 2, 4, index) + bytes(4)
        Image.fromarray(MUTED).save(tmp_path / "in.jpg", quality=100, subsampling=0, exif=tags)
        stored = np.asarray(Image.open(tmp_path / "in.jpg"))
        check(tmp_path / "in.jpg", by_hand(stored, 563 / 256, space) if space else stored / 255)


def chrm(primaries):
    return b"cHRM", struct.pack(">8I", *(round(1e5 * number) for number in primaries))


def gama(gamma):
    return b"gAMA", struct.pack(">I", round(1e5 * gamma))


CICP, ICC = (b"cICP", bytes([12, 13, 0, 1])), (b"iCCP", b"x\0\0" + zlib.compress(rgb(1.0)))
AS_SRGB = (b"sRGB", b"\0")


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([gama(1.0)], by_hand(MUTED, 1)),
        ([gama(0.45455)], by_hand(MUTED, 1 / 0.45455)),
        ([gama(0.45455), chrm(PRIMARIES)], by_hand(MUTED, 1 / 0.45455, PRIMARIES)),
        ([chrm(PRIMARIES)], None),
        ([CICP], None),
        ([AS_SRGB, gama(1.0)], MUTED / 255),
        ([CICP, ICC, gama(1.0)], None),
        ([gama(0)], MUTED / 255),
        ([(b"cICP", bytes([99, 99, 0, 1])), gama(1.0)], by_hand(MUTED, 1)),
        ([chrm((0.3, 0.3, *[0.2, 0.2] * 3))], MUTED / 255),
    ],
    ids=["gamma", "2.2", "Adobe RGB", "primaries", "cICP", "sRGB first", "cICP first", "no gamma", "no cICP", "a line"],
)
def test_png_tells_its_colours_as_in_browsers(tmp_path, chunks, expected):
    if expected is None:  # sRGB's curve
        primaries = P3 if CICP in chunks else PRIMARIES
        light = color.srgb_to_light(MUTED / 255) @ color.rgb_to_rgb(primaries, color.BT709).T
        expected = color.light_to_srgb(light)
    check(png(tmp_path, 2, 8, MUTED, *chunks), expected)


@pytest.mark.parametrize("transfer", [1, 4, 5, 6, 8, 13, 14, 15])
def test_curves_lead_from_black_to_white(transfer):
    space = color.space_of_cicp(1, transfer)
    assert space is not None
    assert space.curve is not None
    light = space.curve(np.linspace(0, 1, 50))
    assert light[0] == pytest.approx(0, abs=1e-9)
    assert light[-1] == pytest.approx(1, abs=1e-3)
    assert (np.diff(light) > 0).all()


@pytest.mark.parametrize(("transfer", "signal"), [(16, 0.5807), (18, 0.75)])
def test_white_of_graphics_is_white_in_high_dynamic_range(transfer, signal):
    space = color.space_of_cicp(9, transfer)  # the signals are those of ITU-R BT.2408, table 1
    assert space is not None
    assert space.curve is not None
    assert space.curve(np.array([signal]))[0] == pytest.approx(1, abs=0.01)


def test_a_profile_of_srgb_changes_nothing(tmp_path):
    Image.fromarray(MUTED).save(tmp_path / "in.png", icc_profile=color.srgb_profile())
    np.testing.assert_array_equal(image.load(tmp_path / "in.png")[0], MUTED.astype(np.float32) / 255)

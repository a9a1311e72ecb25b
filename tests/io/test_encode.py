"""What goes in comes out: EXIF, place, resolution, colour space, opacity; and pictures of 16 bits."""

import io
import struct

import numpy as np
import pytest
from helpers import picture
from PIL import Image, ImageCms
from profiles import rgb

from jnst.errors import InputError
from jnst.io import color, encode, image, optional
from jnst.io.encode import KINDS, Writing
from jnst.io.metadata import Origin, keep

PIXELS = np.asarray(picture(48, 64))
EXTRA = pytest.mark.skipif(optional.find("imagecodecs") is None, reason="needs the extra photo")
MAKER, CAMERA, GPS, ORIENTATION, DESCRIPTION, SOFTWARE = 0x010F, 0x8769, 0x8825, 0x0112, 0x010E, 0x0131
EXACT = pytest.param(".tif", 16, marks=EXTRA)
BY_PILLOW = [".png", ".jpg", ".webp", ".tif", ".avif"]


def photograph(tmp_path, name="photo.jpg", **options):
    """With what a camera writes."""
    exif = Image.Exif()
    exif[MAKER], exif[ORIENTATION], exif[DESCRIPTION], exif[0x0132] = "Maker", 6, "mine", "2024:01:02 03:04:05"
    exif.get_ifd(CAMERA).update({0x829A: 0.01, 0x9003: "2024:01:02 03:04:05", 0xA002: 64, 0xA003: 48, 0xA001: 65535,
                                 0x927C: b"secret notes"})  # fmt: skip
    exif.get_ifd(GPS).update({1: "N", 2: (51.0, 30.0, 0.0), 3: "W", 4: (0.0, 7.0, 0.0)})
    path = tmp_path / name
    Image.fromarray(np.uint8(PIXELS[0] * 255)).save(path, exif=exif, dpi=(300, 300), **options)
    return path


def written(tmp_path, suffix, source, **writing):
    read = image.read(source)
    path = tmp_path / f"out{suffix}"
    image.save(read.pixels, path, description="told", origin=read.origin, writing=Writing(**writing))
    return path


@pytest.mark.parametrize("suffix", BY_PILLOW)
@pytest.mark.parametrize("keep_gps", [False, True])
def test_exif_is_kept_upright_and_the_place_only_when_asked(tmp_path, suffix, keep_gps):
    with Image.open(written(tmp_path, suffix, photograph(tmp_path), keep_gps=keep_gps)) as file:
        exif = file.getexif()
        assert file.size == (48, 64)  # turned
        assert exif.get(ORIENTATION, 1) == 1
        assert (exif[MAKER], exif[DESCRIPTION], exif[SOFTWARE]) == ("Maker", "told", "jnst")
        camera = exif.get_ifd(CAMERA)
        assert camera[0x829A] == pytest.approx(0.01)
        assert camera[0xA001] == 1  # sRGB
        assert not {0x927C, 0xA002, 0xA003} & set(camera)
        assert (GPS in exif) == keep_gps
        assert dict(exif.get_ifd(GPS)) == ({1: "N", 2: (51, 30, 0), 3: "W", 4: (0, 7, 0)} if keep_gps else {})


@pytest.mark.parametrize("suffix", BY_PILLOW)
def test_srgb_is_told_and_the_resolution_kept(tmp_path, suffix):
    path = written(tmp_path, suffix, photograph(tmp_path))
    with Image.open(path) as file:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(file.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        if suffix in (".png", ".jpg", ".tif"):
            assert np.allclose([float(number) for number in file.info["dpi"]], 300, atol=0.1)
    assert color.srgb_profile() == color.srgb_profile.__wrapped__()  # the same at any time


def test_odd_tags_are_left_out_and_the_others_kept(tmp_path):
    entries = struct.pack("<HHI4s", 0x010F, 2, 3, b"ab\0\0") + struct.pack("<HHI4s", 0x0110, 5, 4, b"\x50\0\0\0")
    exif = b"Exif\0\0II*\0\10\0\0\0" + struct.pack("<H", 2) + entries + b"\0" * 4
    path = tmp_path / "in.jpg"
    Image.fromarray(np.uint8(PIXELS[0] * 255)).save(path, exif=exif)
    with Image.open(written(tmp_path, ".jpg", path)) as file:
        assert file.getexif()[MAKER] == "ab"


@pytest.mark.parametrize("dpi", [(0, 0), (float("nan"), 1), (1e9, 1e9), "odd", None])
def test_a_resolution_that_cannot_be_is_left_out(tmp_path, dpi, monkeypatch):
    from jnst.io import pixels

    file = Image.new("RGB", (40, 40))
    file.info["dpi"] = dpi
    assert pixels.dpi_of(file) is None


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".avif", ".jpg"])
@pytest.mark.parametrize("alpha", ["keep", "white"])
def test_opacity_is_kept_and_looks_on_white_as_it_was_painted(tmp_path, suffix, alpha):
    opacity = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32), (48, 64))
    given = np.concatenate([PIXELS[0], opacity[..., None]], -1)
    Image.fromarray(np.uint8(np.round(given * 255))).save(tmp_path / "in.png")
    path = written(tmp_path, suffix, tmp_path / "in.png", alpha=alpha)
    with Image.open(path) as file:
        kept = alpha == "keep" and suffix != ".jpg"
        assert file.has_transparency_data == kept
        if kept and suffix != ".avif":
            np.testing.assert_allclose(np.asarray(file)[..., 3] / 255, opacity, atol=1 / 255)
    lossy = suffix in (".webp", ".avif", ".jpg")
    difference = np.abs(image.load(path) - image.load(tmp_path / "in.png"))
    assert difference.mean() < (0.05 if lossy else 2 / 255)


def test_opacity_is_reduced_with_the_picture(tmp_path):
    Image.new("RGBA", (128, 96), (255, 0, 0, 64)).save(tmp_path / "in.png")
    origin = image.read(tmp_path / "in.png", image_size=64).origin
    assert origin.alpha is not None
    assert origin.alpha.shape == (48, 64)
    np.testing.assert_allclose(origin.alpha, 64 / 255, atol=1e-6)
    again = image.read_origin(tmp_path / "in.png", (48, 64))
    assert again.alpha is not None
    np.testing.assert_array_equal(again.alpha, origin.alpha)


def test_what_stands_beside_the_pixels_is_read_without_them(tmp_path, monkeypatch):
    path, origin = photograph(tmp_path), image.read(photograph(tmp_path)).origin
    monkeypatch.setattr(Image.Image, "load", lambda *args: pytest.fail("the pixels were decoded"))
    assert image.read_origin(path, (48, 64)) == origin
    assert origin.exif


@EXTRA
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_the_photographs_own_space_is_written_when_asked(tmp_path, suffix):
    profile = rgb(2.2, color.PRIMARIES[12])
    path = photograph(tmp_path, "photo.png", icc_profile=profile)
    out = written(tmp_path, suffix, path, colour_space="input")
    with Image.open(out) as file:
        assert file.info["icc_profile"] == profile
        assert file.getexif().get_ifd(CAMERA)[0xA001] == 65535
    assert np.abs(image.load(out) - image.load(path)).mean() < (0.1 if suffix == ".webp" else 2 / 255)


@EXTRA
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jxl"])
@pytest.mark.parametrize("opaque", [True, False])
def test_16_bits_come_through(tmp_path, suffix, opaque):
    read = image.read(photograph(tmp_path))
    alpha = None if opaque else np.full(read.pixels.shape[1:3], 0.5, np.float32)
    ramp = np.ascontiguousarray(np.broadcast_to(np.linspace(0.5, 0.6, 64, dtype=np.float32)[None, :, None, None],
                                                (1, 64, 48, 3)))  # fmt: skip
    path = tmp_path / f"out{suffix}"
    image.save(ramp, path, description="told", origin=read.origin._replace(alpha=alpha), writing=Writing(bits=16))
    again = image.read(path)
    np.testing.assert_allclose(again.pixels, ramp, atol=2 / 65535)
    assert (again.origin.alpha is None) == opaque
    if suffix != ".jxl":
        assert again.origin.dpi == pytest.approx((300, 300), abs=0.1)
        assert again.origin.profile == color.srgb_profile()
        exif = Image.Exif()
        exif.load(again.origin.exif)
        assert exif[MAKER] == "Maker"
    assert b"told" in path.read_bytes()


@EXTRA
def test_jpeg_xl_of_8_bits_is_small_and_near(tmp_path):
    path = written(tmp_path, ".jxl", photograph(tmp_path))
    assert np.abs(image.load(path) - image.load(tmp_path / "photo.jpg")).mean() < 0.03
    assert len(path.read_bytes()) < PIXELS.size


def test_what_a_format_cannot_hold_is_refused_before(tmp_path):
    with pytest.raises(InputError, match=r"out.jpg cannot have 16 bits; give 8, or one of .png, .tif, .tiff, .jxl"):
        image.require_image_format(tmp_path / "out.jpg", writing=Writing(bits=16))
    with pytest.raises(InputError, match=r"cannot be written .*; give another format"):
        encode.encode(np.zeros((1, 32, 16500, 3), np.float32), tmp_path / "out.webp")


def test_a_pillow_without_a_codec_is_told_before(tmp_path, monkeypatch):
    monkeypatch.setattr(encode.features, "check", lambda name: False)
    with pytest.raises(InputError, match=r"out.avif: this machine's Pillow writes no AVIF; give another format"):
        image.require_image_format(tmp_path / "out.avif")
    image.require_image_format(tmp_path / "out.png")


@pytest.mark.parametrize(("suffix", "bits"), [(".jpg", 8), (".png", 8), (".tif", 8), EXACT])
def test_texts_keep_their_letters(tmp_path, suffix, bits):
    exif = Image.Exif()
    exif[0x013B] = "Müller".encode()
    path = tmp_path / "in.jpg"
    Image.fromarray(np.uint8(PIXELS[0] * 255)).save(path, exif=exif)
    options = {"description": "süß", "origin": image.read(path).origin, "writing": Writing(bits=bits)}
    encoded = encode.encode(PIXELS, tmp_path / f"out{suffix}", **options)
    assert "Müller".encode() in encoded
    assert "süß".encode() in encoded


def test_tags_that_cannot_be_written_together_are_none(monkeypatch):
    exif = Image.Exif()
    exif[MAKER] = "Maker"
    assert keep(exif)

    def fail(self, offset=8):
        raise struct.error("odd")

    monkeypatch.setattr(Image.Exif, "tobytes", fail)
    assert keep(exif) == b""


@pytest.mark.usefixtures("no_extra")
@pytest.mark.parametrize(("suffix", "bits"), [(".png", 16), (".tif", 16), (".jxl", 8)])
def test_without_the_extra_one_line_says_so(tmp_path, suffix, bits):
    with pytest.raises(InputError, match=rf"out{suffix}: .* of {bits} bits needs further packages: pip install"):
        image.require_image_format(tmp_path / f"out{suffix}", writing=Writing(bits=bits))


def test_exif_that_a_jpeg_cannot_hold_is_left_out(tmp_path):
    large = Image.Exif()
    large.get_ifd(CAMERA)[0x9286] = b"x" * 70_000  # a comment
    encoded = encode.encode(PIXELS, tmp_path / "out.jpg", description="told", origin=Origin(large.tobytes()))
    with Image.open(io.BytesIO(encoded)) as file:
        assert file.getexif()[DESCRIPTION] == "told"
        assert not file.getexif().get_ifd(CAMERA)


@pytest.mark.parametrize("suffix", [suffix for suffix, kind in KINDS.items() if kind.name != "JPEG XL"])
def test_the_same_picture_is_the_same_file(tmp_path, suffix):
    first, second = (encode.encode(PIXELS, tmp_path / f"out{suffix}") for _ in range(2))
    assert first == second


def test_8_bits_are_dithered_and_whole_levels_stay():
    ramp = np.broadcast_to(np.linspace(100, 104, 512, dtype=np.float32)[None, :, None] / 255, (64, 512, 3))
    levels = encode.dither(ramp).astype(np.float32)
    assert np.abs(levels - 255 * ramp).max() < 1
    means = (levels - 255 * ramp).reshape(8, 8, 32, 16, 3).mean((1, 3))  # of squares of 8 x 16 pixels
    assert np.abs(means).max() < 0.12
    assert np.abs((np.round(255 * ramp) - 255 * ramp).reshape(8, 8, 32, 16, 3).mean((1, 3))).max() > 0.4  # bands
    every = np.broadcast_to(np.arange(256, dtype=np.float32)[None, :, None] / 255, (9, 256, 3))
    np.testing.assert_array_equal(encode.dither(every)[5, :, 1], np.arange(256))


@pytest.mark.parametrize(("name", "dithered"), [("x.png", True), ("x.tif", True), ("x.jpg", False)])
def test_formats_without_loss_are_dithered(tmp_path, name, dithered):
    """Half a level above 100, all over: two levels where it is dithered, one where a decoder makes its own error."""
    image.save(np.full((1, 64, 64, 3), 100.4 / 255, np.float32), tmp_path / name)
    with Image.open(tmp_path / name) as file:
        found = np.unique(np.asarray(file))
    assert (set(found) == {100, 101}) == dithered

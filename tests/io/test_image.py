import io
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import picture
from PIL import Image, ImageCms

from jnst.errors import InputError
from jnst.io import image
from jnst.io.color import SRGB, to_srgb
from jnst.io.pixels import samples_of

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (40, 48, 3), np.uint8)


def write(tmp_path, picture, name="in.png", **options):
    path = tmp_path / name
    picture.save(path, **options)
    return path


def test_rgb_comes_through_exactly_and_back(tmp_path):
    loaded = image.load(write(tmp_path, Image.fromarray(PIXELS)))
    assert loaded.shape == (1, 40, 48, 3)
    assert loaded.dtype == np.float32
    np.testing.assert_allclose(loaded[0], PIXELS / 255, atol=1e-6)
    image.save(loaded, tmp_path / "out.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), PIXELS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = write(tmp_path, Image.fromarray(PIXELS), exif=exif)
    expected = {
        1: PIXELS, 2: PIXELS[:, ::-1], 3: PIXELS[::-1, ::-1], 4: PIXELS[::-1], 5: PIXELS.transpose(1, 0, 2),
        6: np.rot90(PIXELS, -1), 7: PIXELS[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(PIXELS),
    }  # fmt: skip
    np.testing.assert_allclose(image.load(path)[0], expected[orientation] / 255, atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "PA", "CMYK", "YCbCr", "HSV"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    picture = Image.fromarray(PIXELS).resize((64, 64)).convert("L" if mode in ("LA", "PA") else "RGB").convert(mode)
    name = "in.tif" if mode in ("CMYK", "YCbCr") else "in.png"
    unwritable = mode in ("PA", "HSV")
    pixels = (
        to_srgb(samples_of(picture).color, SRGB)[None] if unwritable else image.load(write(tmp_path, picture, name))
    )
    assert pixels.shape == (1, 64, 64, 3)
    expected = np.asarray(picture.convert("RGB"), np.float32) / 255
    np.testing.assert_allclose(pixels[0], expected, atol=2 / 255)


def test_16_bit_grey_keeps_its_steps(tmp_path):
    ramp = np.linspace(0, 65535, 40 * 48).astype(np.uint16).reshape(40, 48)
    loaded = image.load(write(tmp_path, Image.fromarray(ramp)))
    np.testing.assert_allclose(loaded[0, :, :, 1], ramp / 65535, atol=1e-6)
    assert len(np.unique(loaded)) > 1000


def test_float_tiff_is_taken_as_0_to_1_or_scaled_to_it(tmp_path):
    ramp = np.linspace(0, 1, 40 * 48, dtype=np.float32).reshape(40, 48)
    for factor in (1, 4000):
        loaded = image.load(write(tmp_path, Image.fromarray(ramp * np.float32(factor)), "in.tif"))
        np.testing.assert_allclose(loaded[0, :, :, 0], ramp, atol=1e-6)


def test_transparency_lies_on_white(tmp_path):
    alpha = np.full((40, 48, 1), 64, np.uint8)
    loaded = image.load(write(tmp_path, Image.fromarray(np.concatenate([PIXELS, alpha], -1), "RGBA")))
    np.testing.assert_allclose(loaded[0], (PIXELS / 255) * (64 / 255) + (1 - 64 / 255), atol=1e-6)
    palette = Image.new("P", (40, 40))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    loaded = image.load(write(tmp_path, palette, transparency=0))
    np.testing.assert_array_equal(loaded, 1)


def test_an_embedded_profile_is_converted_and_a_broken_one_ignored(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = image.load(write(tmp_path, Image.fromarray(PIXELS), icc_profile=srgb))
    np.testing.assert_allclose(plain[0], PIXELS / 255, atol=1.5 / 255)
    grey = Image.fromarray(np.full((40, 40, 3), 128, np.uint8))
    broken = image.load(write(tmp_path, grey, icc_profile=b"no profile"))
    np.testing.assert_allclose(broken, 128 / 255, atol=1e-6)
    # linear light: the same numbers mean brighter pixels in sRGB
    linear = bytearray(srgb)
    start = linear.find(b"rTRC")
    assert start > 0
    offset = int.from_bytes(linear[start + 4 : start + 8], "big")
    for tag in (b"rTRC", b"gTRC", b"bTRC"):
        at = linear.find(tag)
        linear[at + 4 : at + 12] = offset.to_bytes(4, "big") + (12).to_bytes(4, "big")
    linear[offset : offset + 12] = b"curv" + bytes(4) + (0).to_bytes(4, "big")
    brighter = image.load(write(tmp_path, grey, icc_profile=bytes(linear)))
    np.testing.assert_allclose(brighter, 188 / 255, atol=2 / 255)


def test_image_size_bounds_the_longer_side_and_never_enlarges(tmp_path):
    path = write(tmp_path, Image.fromarray(RNG.integers(0, 256, (60, 90, 3), np.uint8)))
    assert image.load(path, image_size=48).shape == (1, 32, 48, 3)
    assert image.load(path, image_size=512).shape == (1, 60, 90, 3)
    assert image.load(path).shape == (1, 60, 90, 3)
    assert image.load(path, size=(44, 50)).shape == (1, 44, 50, 3)
    assert image.fit((1000, 10), 100) == (100, 1)
    assert image.fit((30, 60), 40) == (20, 40)


def test_resampling_passes_through_no_8_bits():
    ramp = np.broadcast_to(np.linspace(0.5, 0.505, 64, dtype=np.float32)[None, None, :, None], (1, 64, 64, 3))
    smaller = image.resize(np.ascontiguousarray(ramp), 32, 32)
    assert len(np.unique(smaller)) > 20
    edge = np.zeros((1, 64, 64, 3), np.float32)
    edge[:, :, 32:] = 1
    assert image.resize(edge, 48, 48).min() >= 0
    assert image.resize(edge, 48, 48).max() <= 1


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".webp", ".tif", ".tiff"])
def test_formats_by_extension(tmp_path, suffix):
    smooth = np.broadcast_to(np.linspace(0, 1, 48, dtype=np.float32)[None, None, :, None], (1, 40, 48, 3))
    path = tmp_path / f"out{suffix}"
    image.save(np.ascontiguousarray(smooth), path, description='{"jnst": "0.1"}')
    np.testing.assert_allclose(image.load(path), smooth, atol=4 / 255)
    with Image.open(path) as file:
        assert file.getexif()[0x010E] == '{"jnst": "0.1"}'
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_jpeg_keeps_its_colour_resolution(tmp_path):
    stripes = np.zeros((1, 64, 64, 3), np.float32)
    stripes[:, :, ::2, 0] = 1
    stripes[:, :, 1::2, 2] = 1
    image.save(stripes, tmp_path / "out.jpg")
    assert np.abs(image.load(tmp_path / "out.jpg") - stripes).mean() < 0.05  # 4:2:0 would mix red and blue


def bomb():
    """A PNG whose header promises 30,000 x 30,000 pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = (30000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def truncated():
    buffer = io.BytesIO()
    Image.fromarray(np.tile(PIXELS, (4, 4, 1))).save(buffer, "JPEG")
    return buffer.getvalue()[: len(buffer.getvalue()) // 2]


def tiny():
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "is not an image"),
        (b"just text", "is not an image"),
        (truncated(), "cannot be read (image file is truncated"),
        (bomb(), "cannot be read (it tells 30000x30000 pixels in 82 bytes)"),
        (tiny(), "is 1x1 pixels; both sides need at least 32"),
    ],
)
def test_what_is_no_usable_image_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "in.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        image.load(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_directory_is_no_image(tmp_path):
    with pytest.raises(InputError, match="is a directory"):
        image.load(tmp_path)


def test_places_that_cannot_be_written_are_refused(tmp_path):
    pixels = np.zeros((1, 32, 32, 3), np.float32)
    with pytest.raises(InputError, match=r"the extension '.xyz'; an image can be written as .png, .jpg"):
        image.save(pixels, tmp_path / "out.xyz")
    with pytest.raises(InputError, match="there is no folder"):
        image.save(pixels, tmp_path / "missing" / "out.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="is a directory"):
        image.save(pixels, tmp_path / "folder.png")


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "out.png"
    path.write_bytes(b"old")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(InputError, match=r"cannot be written .No space left on device"):
        image.save(np.zeros((1, 32, 32, 3), np.float32), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_resizing_keeps_flat_images_flat_and_the_box():
    np.testing.assert_allclose(image.resize(jnp.full((1, 40, 30, 3), 0.25), 20, 64), 0.25, atol=1e-6)
    whole = picture(40, 33)
    np.testing.assert_array_equal(image.resize(whole, 40, 33), whole)
    edges = (jnp.arange(40) % 8 < 4).astype(jnp.float32)[None, :, None, None] * jnp.ones((1, 40, 33, 3))
    larger = image.resize(edges, 100, 99)
    assert larger.shape == (1, 100, 99, 3)
    assert larger.min() == 0  # Lanczos's filter overshoots
    assert larger.max() == 1


def test_resizing_is_that_of_jax():
    pixels = picture(41, 30) * 0.5 + 0.25
    both = jnp.concatenate([pixels, pixels[:, ::-1]])
    for size in ((20, 30), (41, 64), (100, 7)):
        expected = jax.image.resize(both, (2, *size, 3), "lanczos3")
        np.testing.assert_allclose(image.resize(both, *size), expected, atol=1e-5)


@pytest.mark.parametrize(("tileable", "size"), [("x", (40, 96)), ("y", (20, 48)), ("xy", (25, 71)), ("xy", (80, 33))])
def test_resampling_goes_on_at_the_opposite_edge(tileable, size):
    """As the middle of the image repeated five times, resampled by the same factor."""
    pixels = np.asarray(picture(40, 48), np.float32)
    times = [5 if name in tileable else 1 for name in "yx"]
    repeated = np.tile(pixels, (1, *times, 1))
    whole = image.resize(repeated, size[0] * times[0], size[1] * times[1])
    y, x = (side * (n // 2) for side, n in zip(size, times, strict=True))
    expected = whole[:, y : y + size[0], x : x + size[1]]
    np.testing.assert_allclose(image.resize(pixels, *size, tileable=tileable), expected, atol=2e-5)
    edge = np.abs(image.resize(pixels, *size) - expected)
    assert edge.max() > 0.02  # without it the edges are others

"""Files that are odd beside their pixels, or that are no pictures at all."""

import contextlib
import io
import struct
import threading
import zlib

import numpy as np
import pytest
from picture_files import chunk
from PIL import Image, PngImagePlugin

from jnst.errors import InputError
from jnst.io import decode, image

PIXELS = np.kron(np.random.default_rng(0).integers(0, 255, (5, 7, 3)), np.ones((8, 8, 1))).astype(np.uint8)  # 40 x 56


def odd_exif(tag: int, kind: int, value: bytes) -> bytes:
    """Orientation 6, and one more tag."""
    entries = struct.pack("<HHI4s", 0x112, 3, 1, b"\6\0\0\0") + struct.pack("<HHI4s", tag, kind, 4, value)
    return b"Exif\0\0II*\0\10\0\0\0" + struct.pack("<H", 2) + entries + b"\0" * 4


@pytest.mark.parametrize(
    ("tag", "kind", "value"),
    [(0x128, 2, b"in\0\0"), (0x11A, 1, b"\0\0\0\0"), (0x10E, 5, b"\x50\0\0\0"), (0x8825, 3, b"\1\0\1\0"),
     (0x9003, 12, b"\xff\xff\xff\xff")],
)  # fmt: skip
def test_odd_tags_stop_neither_pixels_nor_orientation(tmp_path, tag, kind, value):
    path = tmp_path / "odd.jpg"
    Image.fromarray(PIXELS).save(path, quality=100, subsampling=0, exif=odd_exif(tag, kind, value))
    found = image.load(path)
    assert found.shape == (1, 56, 40, 3)
    assert decode.read_size(path) == (56, 40)
    np.testing.assert_allclose(found[0], np.rot90(PIXELS, -1) / 255, atol=0.1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_the_size_in_the_head_is_that_of_the_pixels(tmp_path, suffix, orientation):
    exif, path = Image.Exif(), tmp_path / f"turned{suffix}"
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).save(path, exif=exif, lossless=True)
    found = image.load(path)
    assert decode.read_size(path) == found.shape[1:3] == ((56, 40) if orientation > 4 else (40, 56))
    turns = {1: PIXELS, 2: PIXELS[:, ::-1], 3: PIXELS[::-1, ::-1], 4: PIXELS[::-1], 5: PIXELS.swapaxes(0, 1),
             6: np.rot90(PIXELS, -1), 7: np.rot90(PIXELS, 2).swapaxes(0, 1), 8: np.rot90(PIXELS)}  # fmt: skip
    assert np.abs(found[0] - turns[orientation] / 255).mean() < (0.05 if suffix == ".jpg" else 1e-6)


def png(tmp_path, **options):
    path = tmp_path / "odd.png"
    Image.fromarray(PIXELS).save(path, **options)
    return path


def test_broken_exif_in_a_png_does_not_count(tmp_path):
    path = png(tmp_path, exif=b"\0\x08\0\x02\x01\x12\0\x03")
    np.testing.assert_allclose(image.load(path)[0], PIXELS / 255, atol=1e-6)
    assert decode.read_size(path) == (40, 56)


@pytest.mark.parametrize("kind", ["zTXt", "iTXt"])
def test_text_of_megabytes_does_not_stop_a_png(tmp_path, kind):
    info = PngImagePlugin.PngInfo()
    if kind == "zTXt":
        info.add_text("workflow", "x" * 3_000_000, zip=True)
    else:
        info.add_itxt("XML:com.adobe.xmp", "x" * 3_000_000, zip=True)
    np.testing.assert_allclose(image.load(png(tmp_path, pnginfo=info))[0], PIXELS / 255, atol=1e-6)


@pytest.mark.parametrize("suffix", [".eps", ".png", ".jpg"])
def test_postscript_is_not_read_whatever_its_name(tmp_path, suffix, monkeypatch):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "EPS")
    path = tmp_path / f"in{suffix}"
    path.write_bytes(buffer.getvalue())
    monkeypatch.setattr("subprocess.check_call", lambda *args, **kwargs: pytest.fail("a program was started"))
    with pytest.raises(InputError, match=r"is not an image that can be read; give a PNG, JPEG, .* or AVIF file"):
        image.load(path)


@pytest.mark.parametrize("kind", ["PDF", "PCX", "TGA", "ICNS", "SGI"])
def test_only_listed_formats_are_read(tmp_path, kind):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).resize((64, 64)).save(buffer, kind)
    (tmp_path / "in.png").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="is not an image that can be read"):
        decode.read_size(tmp_path / "in.png")


@pytest.mark.parametrize("kind", decode.FORMATS)
def test_every_listed_format_is_read(tmp_path, kind):
    buffer = io.BytesIO()
    try:
        Image.fromarray(PIXELS).save(buffer, kind)
    except (KeyError, OSError) as error:
        pytest.skip(f"this Pillow writes no {kind}: {error}")
    (tmp_path / "in").write_bytes(buffer.getvalue())
    assert np.abs(image.load(tmp_path / "in")[0] - PIXELS / 255).mean() < 0.1


def head_of(width: int, height: int) -> bytes:
    """A PNG that tells this size and has next to no pixels."""

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 400)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("size", "message"),
    [((15000, 10000), "it tells 15000x10000 pixels in"), ((40000, 40000), "has over 1000 million pixels")],
)
@pytest.mark.parametrize("read", [decode.read_size, image.load])
def test_a_head_that_promises_too_much_is_refused(tmp_path, size, message, read):
    path = tmp_path / "in.png"
    path.write_bytes(head_of(*size))
    with pytest.raises(InputError, match=message):
        read(path)


def test_pillows_own_limit_stays_for_others(tmp_path):
    limit, path = Image.MAX_IMAGE_PIXELS, png(tmp_path)
    threads = [threading.Thread(target=decode.read_size, args=(path,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_picture_is_reduced_before_it_becomes_floats(tmp_path, monkeypatch, suffix, orientation):
    smooth = np.kron(np.random.default_rng(1).integers(0, 255, (6, 8, 3)), np.ones((64, 64, 1))).astype(np.uint8)
    exif, path, seen = Image.Exif(), tmp_path / f"in{suffix}", []
    exif[0x0112] = orientation
    Image.fromarray(smooth).save(path, exif=exif)
    whole = image.load(path, image_size=48)
    monkeypatch.setattr(decode, "LARGE", 10_000)
    convert = decode.to_srgb
    monkeypatch.setattr(decode, "to_srgb", lambda color, space: seen.append(color.shape) or convert(color, space))
    reduced = image.load(path, image_size=48)
    assert reduced.shape == whole.shape
    assert 96 <= max(seen[0]) <= 192  # of 512
    assert np.abs(reduced - whole).mean() < 0.02


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "jpeg", "packbits"])
def test_a_damaged_tiff_prints_nothing(tmp_path, capfd, compression):
    path = tmp_path / "in.tif"
    Image.fromarray(np.tile(PIXELS, (4, 4, 1))).save(path, compression=compression)
    data = bytearray(path.read_bytes())
    data[200 : len(data) - 200] = b"\xff" * (len(data) - 400)
    path.write_bytes(data)
    with contextlib.suppress(InputError):  # some codecs take anything for pixels
        image.load(path)
    assert capfd.readouterr() == ("", "")


def test_a_tiff_of_odd_tags_prints_nothing(tmp_path, capfd):
    path = tmp_path / "in.tif"
    Image.fromarray(PIXELS).save(path, tiffinfo={277: 34308})  # samples a pixel, which Pillow tells its log
    data = path.read_bytes()
    place = data.index(struct.pack("<HHI", 277, 3, 1)) + 8
    path.write_bytes(data[:place] + struct.pack("<H", 34308) + data[place + 2 :])
    with pytest.raises(InputError):
        image.load(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("error", [struct.error("odd"), IndexError("odd"), KeyError("odd"), MemoryError()])
def test_whatever_a_decoder_raises_is_told_in_one_line(tmp_path, monkeypatch, error):
    def fail(*args):
        raise error

    path = png(tmp_path)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(InputError, match=r"cannot be read .*odd|needs more memory") as caught:
        image.load(path)
    assert "\n" not in str(caught.value)

"""Damaged files of every kind that is read: the picture or one line, nothing printed, the size that the head told.

A few seconds of what runs for an hour elsewhere (10,000 files); the seeds are fixed.
"""

import io
import random
from typing import Literal

import numpy as np
import pytest
from PIL import Image
from profiles import grey, rgb

from jnst.errors import InputError
from jnst.io import decode, image, optional

Y, X = np.mgrid[0:36, 0:40]
PIXELS = np.stack([X * 6, Y * 7, X * Y % 256], -1).astype(np.uint8)
FILES = 60
"""of each kind"""


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x0112], tags[0x010E] = 6, "hello"
    tags.get_ifd(0x8769)[0x829A] = 0.01
    return tags.tobytes()


def by_pillow(kind, mode="RGB", **options):
    def encode():
        whole = io.BytesIO()
        picture = Image.fromarray(PIXELS)
        picture = picture.quantize(16) if mode == "P" else picture.convert(mode)
        picture.save(whole, kind, **options)
        return whole.getvalue()

    return encode


def by_tifffile(values, **options):
    def encode():
        whole = io.BytesIO()
        optional.find("tifffile").imwrite(whole, values, **options)
        return whole.getvalue()

    return encode


def by_imagecodecs(name, *arguments, **options):
    return lambda: getattr(optional.find("imagecodecs"), name)(*arguments, **options)


DEEP = PIXELS.astype(np.uint16) * 257
KINDS = {
    "jpeg": by_pillow("JPEG", exif=exif(), icc_profile=rgb(1.8)), "cmyk": by_pillow("JPEG", "CMYK"),
    "png": by_pillow("PNG", exif=exif(), icc_profile=rgb(2.2)), "la": by_pillow("PNG", "LA", icc_profile=grey(1.8)),
    "palette": by_pillow("PNG", "P", transparency=3), "gif": by_pillow("GIF", "P"), "bmp": by_pillow("BMP"),
    "ppm": by_pillow("PPM"), "ppm16": lambda: b"P6\n40 36\n65535\n" + DEEP.astype(">u2").tobytes(),
    "webp": by_pillow("WEBP", "RGBA", exif=exif()), "tiff": by_pillow("TIFF", compression="tiff_lzw"),
    "jpeg2000": by_pillow("JPEG2000"), "avif": by_pillow("AVIF", "RGBA", exif=exif()),
}  # fmt: skip
EXTRA = {
    "png16": by_imagecodecs("png_encode", DEEP), "jxl": by_imagecodecs("jpegxl_encode", PIXELS),
    "avif10": by_imagecodecs("avif_encode", DEEP >> 6, bitspersample=10),
    "tiff16": by_tifffile(DEEP, photometric="rgb", compression="zlib", predictor=True, iccprofile=rgb(1.0)),
    "planes": by_tifffile(np.moveaxis(DEEP, -1, 0).copy(), photometric="rgb", planarconfig="separate"),
    "float": by_tifffile((PIXELS / 255).astype(np.float32), photometric="rgb", tile=(16, 16)),
}  # fmt: skip


ORDERS: tuple[Literal["big", "little"], ...] = ("big", "little")


def damaged(data: bytes, seed: int) -> bytes:
    """Bits flipped, cut short, pieces taken out or doubled, numbers of the head replaced."""
    r, changed = random.Random(seed), bytearray(data)
    place = r.randrange(len(data))
    match r.choice(["bits", "head", "head", "size", "cut", "out", "twice"]):
        case "bits":
            for _ in range(r.choice([1, 4, 16, 64])):
                changed[r.randrange(len(data))] ^= 1 << r.randrange(8)
        case "head":
            place, width = r.randrange(min(128, len(data))), r.choice([1, 2, 4])
            value = r.choice([0, 1, 0x7F, 0xFF, 0xFFFF, 0x8000, 0x7FFFFFFF, 30_000, r.getrandbits(8 * width)])
            changed[place : place + width] = (value & (256**width - 1)).to_bytes(width, r.choice(ORDERS))
        case "size":
            side, order = r.choice([36, 40]), r.choice(ORDERS)
            place = data.find(side.to_bytes(2, order))
            changed[max(0, place) : max(0, place) + 2] = r.choice([0, 1, 33, 2000, 9000]).to_bytes(2, order)
        case "cut":
            del changed[place:]
        case "out":
            del changed[place : place + r.randrange(1, 200)]
        case "twice":
            changed[place:place] = data[place : place + r.randrange(1, 400)]
    return bytes(changed)


@pytest.mark.parametrize("kind", [*KINDS, *EXTRA])
def test_a_damaged_file_is_a_picture_or_one_line(tmp_path, capfd, kind):
    if kind in EXTRA and optional.find("imagecodecs") is None:
        pytest.skip("needs the extra photo")
    data, path, read = (KINDS | EXTRA)[kind](), tmp_path / "in", 0
    lines: list[str] = []
    path.write_bytes(data)
    whole = image.load(path)
    assert np.isfinite(whole).all()
    for seed in range(FILES):
        path.write_bytes(damaged(data, seed))
        size = None
        try:
            size = decode.read_size(path)
            found = image.load(path, image_size=64)
        except InputError as error:
            lines.append(str(error))
            continue
        read += 1
        assert found.shape[1:3] == image.fit(size, 64), seed
        assert found.dtype == np.float32
        assert np.isfinite(found).all(), seed
        assert 0 <= found.min() <= found.max() <= 1, seed
    assert 0 < read < FILES  # neither all nor none: the files are damaged, and looked at
    assert not [line for line in lines if "\n" in line or len(line) > 400]
    assert capfd.readouterr() == ("", "")

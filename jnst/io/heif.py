"""HEIC and JPEG XL, which Pillow does not know: by pi-heif and imagecodecs."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from jnst.io import color, optional
from jnst.io.deep import to_samples
from jnst.io.metadata import DESCRIPTION
from jnst.io.paths import AnyPath
from jnst.io.pixels import space_of_exif
from jnst.io.source import Source

_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"MiHE")
_CODESTREAM, _CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
_RATIOS = (None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_HEAD = 2**16


def is_heif(head: bytes) -> bool:
    """Returns whether a file is HEIC or another HEIF.

    Args:
        head: its first 16 bytes.
    """
    return head[4:8] == b"ftyp" and head[8:12] in _BRANDS


def is_jpegxl(head: bytes) -> bool:
    """Returns whether a file is JPEG XL.

    Args:
        head: its first 16 bytes.
    """
    return head.startswith((_CODESTREAM, _CONTAINER))


@contextlib.contextmanager
def open_heif(stream: Any, path: AnyPath) -> Iterator[Source]:
    """Opens the main picture of a HEIC file: a context manager. libheif turns it upright by itself.

    Args:
        stream: the open file.
        path: for messages.

    Yields:
        The picture.

    Raises:
        InputError: pi-heif is not installed.
    """
    package = optional.require("pi_heif", path, "HEIC")
    stream.seek(0)
    file = package.open_heif(io.BytesIO(stream.read()), convert_hdr_to_8bit=False)
    width, height = file.size
    exif = Image.Exif()
    with contextlib.suppress(Exception):  # as of all EXIF
        exif.load(file.info.get("exif") or b"")
    profile = file.info.get("icc_profile")
    depth = file.info.get("bit_depth", 8)
    limit = float((2**depth - 1) << (16 - depth) if ";16" in file.mode else 255)  # pi-heif shifts them to the top
    space = color.Space(profile) if profile and color.kind_of_profile(profile) else space_of_exif(exif)
    yield Source(
        (height, width),
        lambda least: to_samples(np.asarray(file), (height, width), limit, least),
        space=space,
        is_transparent="A" in file.mode,
        exif=exif,
        texts=lambda: (text for text in [file.info.get("xmp")] if isinstance(text, str | bytes)),
    )


@contextlib.contextmanager
def open_jpegxl(stream: Any, path: AnyPath) -> Iterator[Source]:
    """Opens a JPEG XL file: a context manager. libjxl turns it upright by itself; colours are taken for sRGB.

    Args:
        stream: the open file.
        path: for messages.

    Yields:
        The picture.

    Raises:
        InputError: imagecodecs is not installed.
    """
    codecs = optional.require("imagecodecs", path, "JPEG XL")
    stream.seek(0)
    data = stream.read()
    size = size_of_jpegxl(data)

    def read(least: int) -> Any:
        values = codecs.jpegxl_decode(data)
        if values.dtype.kind != "u":
            raise ValueError(f"samples of type {values.dtype}")
        return to_samples(values, size, float(np.iinfo(values.dtype).max), least)

    exif = Image.Exif()
    with contextlib.suppress(Exception):  # as of all EXIF
        exif.load(b"Exif\0\0" + next(_boxes(data, b"Exif"), b"")[4:])
    # opacity: perhaps, the pixels tell. The tags are for their texts alone: nothing else of them was ever kept
    yield Source(size, read, is_transparent=True, texts=lambda: (*_boxes(data, b"xml "), *_description(exif)))


def _description(exif: Image.Exif) -> list[str]:
    text = exif.get(DESCRIPTION)
    return [text] if isinstance(text, str) else []


def _boxes(data: bytes, wanted: bytes) -> Iterator[bytes]:
    """The contents of the boxes of one kind in a container. Source: ISO/IEC 14496-12, 4.2."""
    place = 0
    while place + 8 <= len(data):
        size, kind, body = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8], 8
        if size == 1:
            size, body = int.from_bytes(data[place + 8 : place + 16]), 16
        end = place + size if size else len(data)  # 0: to the end
        if end < place + body:
            return
        if kind == wanted:
            yield data[place + body : end]
        place = end


def size_of_jpegxl(data: bytes) -> tuple[int, int]:
    """Reads the size from the head of a JPEG XL file. Source: ISO/IEC 18181-1, SizeHeader and ImageMetadata.

    Args:
        data: the file.

    Returns:
        (height, width), after the orientation.

    Raises:
        ValueError: there is no code stream.
    """
    bits = _Bits(_codestream(data)[2:])
    small = bits.take(1)
    side = (lambda: 8 * (bits.take(5) + 1)) if small else (lambda: bits.take((9, 13, 18, 30)[bits.take(2)]) + 1)
    height, ratio = side(), _RATIOS[bits.take(3)]
    width = side() if ratio is None else height * ratio[0] // ratio[1]
    plain = bits.take(1)
    turned = not plain and bits.take(1) and bits.take(3) >= 4
    return (width, height) if turned else (height, width)


class _Bits:
    """Reads bits, the lowest of each byte first."""

    def __init__(self, data: bytes):
        self.left = int.from_bytes(data[:32].ljust(32, b"\0"), "little")

    def take(self, count: int) -> int:
        taken, self.left = self.left & ((1 << count) - 1), self.left >> count
        return taken


def _codestream(data: bytes) -> bytes:
    """The beginning of the code stream: the file's, or that of the first box that holds it."""
    place = 0
    while not data.startswith(_CODESTREAM, place):
        size, kind = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        body = 8
        if size == 1:
            size, body = int.from_bytes(data[place + 8 : place + 16]), 16
        if kind in (b"jxlc", b"jxlp"):
            place += body + (4 if kind == b"jxlp" else 0)
            if not data.startswith(_CODESTREAM, place):
                break
        elif size < body:
            break
        else:
            place += size
    else:
        return data[place : place + 64]
    raise ValueError("no code stream")

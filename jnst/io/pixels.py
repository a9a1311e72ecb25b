"""Pictures that Pillow decodes: their samples, and the colour space, EXIF and resolution that stand beside them."""

import io
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from jnst.io import color
from jnst.io.source import Samples, Source, to_unit

_ORIENTATION, _INTEROPERABILITY = 0x0112, 0xA005  # EXIF tags
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 258, 262, 339


def open_pillow(file: Image.Image) -> Source:
    """Describes a picture whose head Pillow has read.

    Args:
        file: opened, not loaded.

    Returns:
        The picture, to be read while the file is open.
    """
    chunks = _png_chunks(file.fp) if file.format == "PNG" else {}  # pyright: ignore[reportAttributeAccessIssue]
    exif = exif_of(file, chunks)
    width, height = file.size
    # Pillow turns a TIFF by itself, when it loads the pixels
    orientation = 1 if file.format == "TIFF" or exif is None else orientation_of(exif)
    space, transparent = space_of(file, exif, chunks), bool(file.has_transparency_data)
    return Source(
        (height, width), lambda least: _read(file, least), orientation, space, transparent, exif, dpi_of(file),
        lambda: texts_of(file),
    )  # fmt: skip


def samples_of(file: Image.Image) -> Samples:
    """Converts an image to arrays.

    Args:
        file: of any mode.

    Returns:
        Its samples; what is neither grey, RGB nor CMYK is RGB.
    """
    if file.mode.startswith("I") or file.mode == "F":  # one channel of 16 or 32 bits, integer or float
        return _deep_grey(file)
    alpha = None
    if file.has_transparency_data:
        alpha = np.asarray(file.convert("RGBA").getchannel("A"), np.float32) / 255
    if file.mode in ("La", "RGBa"):
        file = file.convert(file.mode.replace("a", "A"))
    if file.mode == "LA":
        file = file.getchannel("L")
    elif file.mode == "1":
        file = file.convert("L")
    elif file.mode in ("P", "PA", "RGBA"):
        file = file.convert("RGBA").convert("RGB")
    elif file.mode not in ("L", "RGB", "CMYK"):
        file = file.convert("RGB")
    values = np.asarray(file)
    return Samples(values.reshape(*values.shape[:2], -1), alpha)


def _deep_grey(file: Image.Image) -> Samples:
    """Pillow leaves these samples as they are in the file; what they mean in a TIFF its tags say."""
    tags: Any = getattr(file, "tag_v2", {})
    values, limit = np.asarray(file)[..., None], 65535.0
    if file.format == "TIFF":
        bits, kind = tags.get(_TIFF_BITS, (16,))[0], tags.get(_TIFF_SAMPLE_FORMAT, (1,))[0]
        limit = float(2**bits - 1) if kind == 1 else 0.0
        if kind == 1 and values.dtype == np.int32:
            values = values.view(np.uint32)
    transparent = file.info.get("transparency")
    alpha = (values[..., 0] != transparent).astype(np.float32) if isinstance(transparent, int) else None
    grey = to_unit(values, limit=0.0 if file.mode == "F" else limit)
    return Samples(1 - grey if tags.get(_TIFF_PHOTOMETRIC) == 0 else grey, alpha)


def _read(file: Image.Image, least: int) -> Samples:
    """Decodes, a JPEG with fewer pixels at once, or reduces, so that the longer side is still at least so much."""
    if least and file.format == "JPEG":
        width, height = (-(-least * side // max(file.size)) for side in file.size)
        file.draft(None, (width, height))
    file.load()
    factor = max(file.size) // least if least else 1
    if factor < 2 or file.mode.startswith(("I", "F")):
        return samples_of(file)
    if file.mode in ("P", "PA", "1"):
        file = file.convert("RGBA" if file.has_transparency_data else "RGB")
    return samples_of(file.reduce(factor))


def exif_of(file: Image.Image, chunks: dict[bytes, bytes]) -> Image.Exif | None:
    """Returns the EXIF tags; None where there are none that can be read.

    Args:
        file: opened.
        chunks: of a PNG, whose pixels Pillow would decode to find one behind them.
    """
    try:
        if file.format != "PNG" or "Raw profile type exif" in file.info:
            return file.getexif()
        exif = Image.Exif()
        exif.load(b"Exif\0\0" + chunks.get(b"eXIf", b""))
        return exif
    except Exception:  # whatever Pillow's reader of EXIF raises: the pixels are there without it
        return None


def texts_of(file: Image.Image) -> Iterator[str | bytes]:
    """Yields the texts beside the pixels: a PNG's, XMP packets, comments.

    Args:
        file: opened; the pixels of a PNG are decoded only where the texts before them were not enough.
    """
    seen = {key: value for key, value in file.info.items() if isinstance(value, str | bytes)}
    yield from seen.values()
    if file.format == "PNG":
        file.load()  # or the texts behind the pixels are not there
        yield from (value for key, value in file.info.items() if isinstance(value, str | bytes) and key not in seen)


def orientation_of(exif: Image.Exif) -> int:
    """Returns the orientation, 1 to 8; 1 where there is none that can be read.

    Args:
        exif: of a file.
    """
    try:
        value: Any = exif.get(_ORIENTATION, 1)
        return value if value in range(1, 9) else 1
    except Exception:
        return 1


def dpi_of(file: Image.Image) -> tuple[float, float] | None:
    """Returns the pixels an inch, across and down; None where there are none, or none that can be.

    Args:
        file: opened.
    """
    try:
        across, down = (float(number) for number in file.info["dpi"])
    except Exception:  # rational numbers with a denominator of 0 among them
        return None
    possible = all(math.isfinite(number) and 1 <= number <= 30_000 for number in (across, down))
    return (across, down) if possible else None


def space_of(file: Image.Image, exif: Image.Exif | None, chunks: dict[bytes, bytes]) -> color.Space:
    """Finds the colour space that a file tells, in the order of browsers: cICP, ICC, sRGB, gAMA and cHRM; of cameras.

    Args:
        file: opened.
        exif: its tags.
        chunks: of a PNG.

    Returns:
        sRGB where the file tells none.
    """
    info = file.info
    code = chunks.get(b"cICP", b"")
    if len(code) == 4 and (space := color.space_of_cicp(code[0], code[1])):
        return space
    profile = info.get("icc_profile")
    if isinstance(profile, bytes) and color.kind_of_profile(profile):
        return color.Space(profile)
    if file.format == "PNG" and "srgb" not in info:
        space = _png_numbers(info)
        if space:
            return space
    return space_of_exif(exif)


def _png_numbers(info: dict[Any, Any]) -> color.Space | None:
    """Of gAMA and cHRM. Pillow keeps the first as values by light, so its inverse is the curve's exponent."""
    gamma, corners = info.get("gamma", 0), info.get("chromaticity")
    curve = color.power(1 / gamma) if 0.1 <= gamma <= 10 else None
    primaries = corners if corners and len(corners) == 8 and color.is_usable(corners) else None
    return color.Space(curve=curve, primaries=primaries) if curve or primaries else None


def space_of_exif(exif: Image.Exif | None) -> color.Space:
    """Finds the colour space that a camera tells: Adobe RGB by DCF's InteroperabilityIndex R03, else sRGB.

    Args:
        exif: of a file, or None.

    Returns:
        One of the two.
    """
    try:
        index = exif.get_ifd(_INTEROPERABILITY).get(1, "") if exif is not None else ""
        return color.ADOBE_RGB if str(index).startswith("R03") else color.SRGB
    except Exception:  # as of all EXIF
        return color.SRGB


def _png_chunks(stream: Any) -> dict[bytes, bytes]:
    """The first chunks of the kinds that Pillow does not keep, or looks for by decoding all before them."""
    place, found = stream.tell(), {}
    stream.seek(8)
    while len(head := stream.read(8)) == 8 and head[4:] != b"IEND":
        length, kind = int.from_bytes(head[:4]), head[4:]
        if kind in (b"cICP", b"eXIf") and kind not in found:
            found[kind] = stream.read(length)
            length -= len(found[kind])
        stream.seek(length + 4, io.SEEK_CUR)
    stream.seek(place)
    return found

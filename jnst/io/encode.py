"""Pictures as files: formats by extension, bits, colour space, opacity, and what is kept of the photograph."""

import io
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, PngImagePlugin, features

from jnst.errors import InputError, single_line
from jnst.io import optional
from jnst.io.color import from_srgb, srgb_profile
from jnst.io.metadata import Origin, has_directories, make_exif, read_exif
from jnst.io.paths import AnyPath
from jnst.io.recipe import xmp_packet


class Kind(NamedTuple):
    """A format that pictures are written in."""

    name: str
    alpha: bool
    """whether it holds opacity"""
    deep: str = ""
    """package that writes 16 bits; empty where the format has 8"""
    options: Mapping[str, Any] = MappingProxyType({})
    """Pillow's; none where Pillow does not write it"""
    is_lossy: bool = False
    """whether 8 bits are not kept as they are"""


_JPEG = Kind("JPEG", alpha=False, options={"quality": 95, "subsampling": 0}, is_lossy=True)
_TIFF = Kind("TIFF", alpha=True, deep="tifffile", options={"compression": "tiff_deflate"})
KINDS = {
    ".png": Kind("PNG", alpha=True, deep="imagecodecs"),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": Kind("WEBP", alpha=True, options={"quality": 95, "method": 4}, is_lossy=True),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".avif": Kind("AVIF", alpha=True, options={"quality": 90, "subsampling": "4:4:4"}, is_lossy=True),
    ".jxl": Kind("JPEG XL", alpha=True, deep="imagecodecs", is_lossy=True),
}
"""extension -> format"""
_JPEGXL_DISTANCE = 0.5  # of Butteraugli; 1 is just noticeable
_SEGMENT = 65_000  # bytes of EXIF that a JPEG can hold
_SOFTWARE = "jnst"
_PNG_RECIPE, _PNG_XMP = "jnst", "XML:com.adobe.xmp"  # keywords of PNG's texts
_TIFF_XMP = 700


@dataclass(frozen=True)
class Writing:
    """How the picture is written, and what of the photograph goes with it."""

    bits: Literal[8, 16] = 8
    """a channel; 16 in .png, .tif and .jxl, with the extra photo"""
    alpha: Literal["keep", "white"] = "keep"
    """of a photograph with transparency: keep it, or lay it on white"""
    colour_space: Literal["srgb", "input"] = "srgb"
    """of the picture: sRGB, or that of the photograph's ICC profile"""
    keep_gps: bool = False
    """keep the place where the photograph was taken, which is left out of its EXIF tags otherwise"""


def require_kind(path: AnyPath, writing: Writing) -> Kind:
    """Returns the format that a path's extension names.

    Args:
        path: of the file to write.
        writing: how.

    Raises:
        InputError: an extension of no format, one that has not so many bits, a package that is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise InputError(f"{path} has the extension {path.suffix!r}; an image can be written as {', '.join(KINDS)}")
    kind = KINDS[suffix]
    if writing.bits == 16 and not kind.deep:
        deep = ", ".join(suffix for suffix, kind in KINDS.items() if kind.deep)
        raise InputError(f"{path} cannot have 16 `bits`; give 8, or one of {deep}")
    if kind.name in ("AVIF", "WEBP") and not features.check(kind.name.lower()):
        raise InputError(f"{path}: this machine's Pillow writes no {kind.name}; give another format")
    if writing.bits == 16 or suffix == ".jxl":
        what = f"{kind.name} of {writing.bits} bits"
        optional.require("imagecodecs", path, what)
        optional.require(kind.deep, path, what)
    return kind


def encode(
    image: Float[np.ndarray, "1 h w 3"],
    path: AnyPath,
    *,
    description: str = "",
    recipe: str = "",
    origin: Origin = Origin(),  # noqa: B008 - frozen
    writing: Writing = Writing(),
    as_data: bool = False,
) -> bytes:
    """Encodes a picture in the format of the extension.

    Args:
        image: RGB (sRGB) in [0, 1], transparency laid on white.
        path: whose extension counts.
        description: text for EXIF's ImageDescription; empty: the recipe.
        recipe: as of `recipe.Recipe.text`, for EXIF, XMP and a PNG's text.
        origin: of the photograph.
        writing: how.
        as_data: the channels are no colours: without a profile, and rounded without a pattern.

    Returns:
        The whole file.

    Raises:
        InputError: as of `require_kind`, or a picture that the format cannot hold.
    """
    kind, pixels, alpha = require_kind(path, writing), np.clip(image[0], 0, 1), origin.alpha
    profile = b"" if as_data else srgb_profile()
    if alpha is not None and kind.alpha and writing.alpha == "keep":
        seen = alpha[..., None] > 0.5 / 255  # elsewhere it is the painted colour
        opaque = np.where(seen, alpha[..., None], 1)  # so that on white it is the picture that was painted
        pixels = np.clip(1 - (1 - pixels) / opaque, 0, 1)
    else:
        alpha = None
    if writing.colour_space == "input" and origin.profile and kind.name != "JPEG XL":
        converted = from_srgb(pixels, origin.profile)
        if converted is not None:
            pixels, profile = converted, origin.profile
    if alpha is not None:
        pixels = np.concatenate([pixels, alpha[..., None]], -1)
    if writing.bits == 16 or kind.is_lossy or as_data:
        kind_of_integer = np.uint16 if writing.bits == 16 else np.uint8
        values = np.round(pixels * np.iinfo(kind_of_integer).max).astype(kind_of_integer)
    else:
        values = dither(pixels)
    facts = {"description": description or recipe, "software": _SOFTWARE, "is_srgb": profile == srgb_profile()}
    exif = make_exif(origin, keep_gps=writing.keep_gps, **facts)
    if kind.name == "JPEG" and len(exif) > _SEGMENT:
        exif = make_exif(Origin(), keep_gps=False, **facts)
    try:
        if kind.name == "JPEG XL":
            return _jpegxl(values, exif, recipe)
        if writing.bits == 16:
            write = _png_of_16_bits if kind.name == "PNG" else _tiff_of_16_bits
            return write(values, exif, profile, origin.dpi, recipe)
        return _by_pillow(values, kind, exif, profile, origin.dpi, recipe)
    except (OSError, ValueError, RuntimeError, struct.error) as error:  # as a JPEG of more than 65,535 pixels a side
        raise InputError(f"{path} cannot be written ({single_line(error)}); give another format") from None


def dither(pixels: Float[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w c"]:
    """Rounds to 8 bits, up or down by a fixed pattern of thresholds, so that smooth gradients have no bands.

    The pattern is interleaved gradient noise (J. Jimenez, "Next generation post processing in Call of Duty: Advanced
    Warfare", SIGGRAPH 2014 courses), the same for all channels. What is a whole level already stays it.

    Args:
        pixels: in [0, 1].

    Returns:
        Levels, less than one from the exact value; right in the mean.
    """
    y, x = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    thresholds = np.asarray((52.9829189 * ((0.06711056 * x + 0.00583715 * y) % 1)) % 1, np.float32)
    exact = pixels * np.float32(255)
    whole = np.round(exact)
    levels = np.where(np.abs(exact - whole) < 1 / 256, whole, np.floor(exact + thresholds[..., None]))
    return levels.astype(np.uint8)


def _by_pillow(
    values: np.ndarray, kind: Kind, exif: bytes, profile: bytes, dpi: tuple[float, float] | None, recipe: str
) -> bytes:
    whole, more = io.BytesIO(), dict(kind.options)
    if dpi and kind.name in ("PNG", "JPEG", "TIFF"):
        more["dpi"] = dpi
    if kind.name == "TIFF" and has_directories(exif):  # Pillow compresses by libtiff, which writes none
        del more["compression"]
    tags = read_exif(exif) if kind.name == "TIFF" else exif  # whose bytes it would read, and write in ASCII
    packet = xmp_packet(recipe).encode() if recipe else b""
    if packet and kind.name == "PNG":
        more["pnginfo"] = PngImagePlugin.PngInfo()
        more["pnginfo"].add_itxt(_PNG_RECIPE, recipe)
        more["pnginfo"].add_itxt(_PNG_XMP, packet.decode())
    elif packet and isinstance(tags, Image.Exif):
        tags[_TIFF_XMP] = packet
    elif packet and (kind.name != "JPEG" or len(packet) <= _SEGMENT):
        more["xmp"] = packet
    Image.fromarray(values).save(whole, kind.name, exif=tags, icc_profile=profile, **more)
    return whole.getvalue()


def _png_of_16_bits(
    values: np.ndarray, exif: bytes, profile: bytes, dpi: tuple[float, float] | None, recipe: str
) -> bytes:
    """By imagecodecs, which writes pixels only: what stands beside them goes behind the head."""
    whole = optional.find("imagecodecs").png_encode(values)
    head = 8 + 25  # signature and IHDR
    beside = _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile)) if profile else b""
    if dpi:
        across, down = (round(number / 0.0254) for number in dpi)
        beside += _chunk(b"pHYs", struct.pack(">IIB", across, down, 1))
    beside += _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    texts = {_PNG_RECIPE: recipe, _PNG_XMP: xmp_packet(recipe)} if recipe else {}
    for keyword, text in texts.items():  # not compressed, without a language
        beside += _chunk(b"iTXt", keyword.encode() + bytes(5) + text.encode())
    return whole[:head] + beside + whole[head:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _tiff_of_16_bits(
    values: np.ndarray, exif: bytes, profile: bytes, dpi: tuple[float, float] | None, recipe: str
) -> bytes:
    """By tifffile; of EXIF the tags that are a TIFF's own, which are texts."""
    whole = io.BytesIO()
    texts = [(tag, 2, 0, text, True) for tag, text in read_exif(exif).items() if isinstance(text, str | bytes)]
    if recipe:
        packet = xmp_packet(recipe).encode()
        texts.append((_TIFF_XMP, 1, len(packet), packet, True))
    optional.find("tifffile").imwrite(
        whole, values, photometric="rgb", compression="zlib", predictor=True, metadata=None, software=False,
        iccprofile=profile or None, extrasamples=["unassalpha"] if values.shape[-1] == 4 else None, extratags=texts,
        **({"resolution": dpi, "resolutionunit": "inch"} if dpi else {}),
    )  # fmt: skip
    return whole.getvalue()


def _jpegxl(values: np.ndarray, exif: bytes, recipe: str) -> bytes:
    """Of sRGB; without loss where it has 16 bits. EXIF and XMP are boxes of the container, behind the code stream."""
    exact = values.dtype == np.uint16
    options = {"lossless": True} if exact else {"distance": _JPEGXL_DISTANCE}
    whole = optional.find("imagecodecs").jpegxl_encode(values, usecontainer=True, **options)
    boxes = {b"Exif": bytes(4) + exif.removeprefix(b"Exif\0\0")}
    if recipe:
        boxes[b"xml "] = xmp_packet(recipe).encode()
    return whole + b"".join(struct.pack(">I", 8 + len(box)) + kind + box for kind, box in boxes.items())

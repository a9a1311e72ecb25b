"""From the colour space that a file tells to sRGB and back, in float where `imagecodecs` is there.

A space is told by an ICC profile, or by numbers: a curve from values to light and the chromaticities of the primaries
(PNG's gAMA, cHRM and cICP, cameras' Adobe RGB).
"""

import functools
import io
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageCms

from jnst.io import optional

Curve = Callable[[np.ndarray], np.ndarray]
Primaries = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue, in the order of PNG's cHRM"""
_PIXELS = 2**19  # that are converted at a time
_SAME = 1 / 1024
"""a profile that moves no colour by more is sRGB's; converting by it would take 0.2 s a megapixel"""
_CHANNELS = {"GRAY": 1, "RGB": 3, "CMYK": 4}
_D50 = (0.9642, 1.0, 0.8249)
"""XYZ of the white of ICC profiles"""
_D65 = (0.3127, 0.3290)
BT709: Primaries = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)


class Space(NamedTuple):
    """A colour space; by itself sRGB."""

    profile: bytes = b""
    """ICC; empty: none"""
    curve: Curve | None = None
    """from values in [0, 1] to light, where sRGB's white has 1"""
    primaries: Primaries | None = None


def srgb_to_light(values: np.ndarray) -> np.ndarray:
    """Converts values of sRGB to light.

    Args:
        values: in [0, 1].

    Returns:
        In [0, 1], proportional to luminance. Source: IEC 61966-2-1.
    """
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def light_to_srgb(light: np.ndarray) -> np.ndarray:
    """Converts light to values of sRGB; colours that sRGB lacks are clipped.

    Args:
        light: proportional to luminance; 1 is white.

    Returns:
        In [0, 1]. Source: IEC 61966-2-1.
    """
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def power(exponent: float) -> Curve:
    """Returns the curve from values to light that is a power.

    Args:
        exponent: such as 2.2.
    """
    return lambda values: values**exponent


def _bt709(values: np.ndarray) -> np.ndarray:
    return np.where(values < 0.081, values / 4.5, ((values + 0.099) / 1.099) ** (1 / 0.45))


def _pq(values: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084; 203 candelas a square metre, the white of graphics in ITU-R BT.2408, are 1."""
    root = values ** (1 / 78.84375)
    return (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125) * (10000 / 203)


def _hlg(values: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100's hybrid log-gamma; 75 % of the signal, the white of graphics in BT.2408, are 1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12) / 0.2650


SRGB = Space()
PRIMARIES_OF_ADOBE_RGB: Primaries = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
ADOBE_RGB = Space(curve=power(563 / 256), primaries=PRIMARIES_OF_ADOBE_RGB)
PRIMARIES: dict[int, Primaries] = {
    1: BT709,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
"""by their numbers in ITU-T H.273, which PNG's cICP cites"""
_CURVES: dict[int, Curve] = {1: _bt709, 4: power(2.2), 5: power(2.8), 6: _bt709, 8: power(1.0), 13: srgb_to_light,
                                  14: _bt709, 15: _bt709, 16: _pq, 18: _hlg}  # fmt: skip


def space_of_cicp(primaries: int, transfer: int) -> Space | None:
    """Returns the space that the numbers of ITU-T H.273 name; None for those that browsers do not know either.

    Args:
        primaries: colour primaries, such as 12 for Display P3.
        transfer: transfer characteristics, such as 13 for sRGB's.
    """
    if primaries not in PRIMARIES or transfer not in _CURVES:
        return None
    return Space(curve=_CURVES[transfer], primaries=PRIMARIES[primaries])


@functools.cache
def srgb_profile() -> bytes:
    """Returns an ICC profile of sRGB, the same bytes at any time (lcms writes the date into it)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes.fromhex("07d000010001000000000000")  # 2000-01-01
    return bytes(profile)


def to_srgb(color: np.ndarray, space: Space) -> np.ndarray:
    """Converts samples of a file to sRGB.

    A profile that is broken, or of another kind than the samples, does not count: viewers do the same.

    Args:
        color: (h, w, 1) grey, (h, w, 3) RGB or (h, w, 4) CMYK; bytes, or float32 in [0, 1].
        space: that the file tells.

    Returns:
        (h, w, 3) float32 in [0, 1].
    """
    height, width, channels = color.shape
    result = np.empty((height, width, 3), np.float32)
    convert = _by_profile(space.profile, channels) or _by_numbers(space, channels) or _plain
    for rows in _strips(height, width):
        np.clip(np.nan_to_num(convert(color[rows])), 0, 1, out=result[rows])
    return result


def from_srgb(pixels: np.ndarray, profile: bytes) -> np.ndarray | None:
    """Converts sRGB to the space of an ICC profile.

    Args:
        pixels: (h, w, 3) in [0, 1].
        profile: of RGB.

    Returns:
        (h, w, 3) float32 in [0, 1]; None where the profile cannot be used for that.
    """
    if optional.find("imagecodecs") is None or kind_of_profile(profile) != "RGB":
        return None
    result = np.empty(pixels.shape, np.float32)
    try:
        for rows in _strips(*pixels.shape[:2]):
            np.clip(_cms(pixels[rows].astype(np.float32), srgb_profile(), profile, "rgb"), 0, 1, out=result[rows])
    except Exception:  # a profile for one direction only
        return None
    return result


def kind_of_profile(profile: bytes) -> str:
    """Returns which colours an ICC profile is for: `GRAY`, `RGB`, `CMYK` or another; empty for a broken one.

    Args:
        profile: ICC.
    """
    try:
        opened: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
        return opened.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, ValueError):
        return ""


def _strips(height: int, width: int) -> Iterator[slice]:
    step = max(1, _PIXELS // max(1, width))
    return (slice(top, top + step) for top in range(0, height, step))


def _unit(color: np.ndarray) -> np.ndarray:
    return color.astype(np.float32) / 255 if color.dtype == np.uint8 else color


def _plain(color: np.ndarray) -> np.ndarray:
    """Without a colour space: grey and RGB as they are, inks as filters one upon the other."""
    color = _unit(color)
    if color.shape[-1] == 4:
        return (1 - color[..., :3]) * (1 - color[..., 3:])
    return np.repeat(color, 3, -1) if color.shape[-1] == 1 else color


def _by_numbers(space: Space, channels: int) -> Curve | None:
    curve = space.curve or (srgb_to_light if space.primaries else None)
    if curve is None or channels == 4:
        return None
    matrix = None if channels == 1 or space.primaries is None else rgb_to_rgb(space.primaries, BT709)

    def convert(color: np.ndarray) -> np.ndarray:
        light = curve(_plain(color).astype(np.float64))
        return light_to_srgb(light if matrix is None else light @ matrix.T)

    return convert


def rgb_to_rgb(source: Primaries, target: Primaries) -> np.ndarray:
    """Returns the matrix between the light of two RGB spaces, whites mapped to each other (Bradford's adaptation).

    Args:
        source: of the light that is multiplied.
        target: of the product.

    Returns:
        (3, 3) float64, to be multiplied by columns of R, G and B.
    """
    return np.linalg.solve(_rgb_to_xyz(target), _rgb_to_xyz(source))


def _rgb_to_xyz(primaries: Primaries) -> np.ndarray:
    """To XYZ under the white of ICC profiles, D50. Raises LinAlgError for primaries that lie on one line."""
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    places = zip(primaries[::2], primaries[1::2], strict=True)
    white, *corners = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in places)
    corners = np.stack(corners, -1)
    gain = (bradford @ [0.9642, 1, 0.8249]) / (bradford @ white)
    return np.linalg.inv(bradford) @ np.diag(gain) @ bradford @ (corners * np.linalg.solve(corners, white))


def is_usable(primaries: Primaries) -> bool:
    """Returns whether chromaticities span a colour space: a file may hold any numbers.

    Args:
        primaries: x and y of white, red, green and blue.
    """
    if min(primaries[1::2]) <= 0:
        return False
    try:
        matrix = rgb_to_rgb(primaries, BT709)
    except np.linalg.LinAlgError:
        return False
    return bool(np.isfinite(matrix).all() and np.abs(matrix).max() < 100)


def _by_profile(profile: bytes, channels: int) -> Curve | None:
    """The conversion that a profile asks for; None where it cannot be used for these samples."""
    if not profile or profile == srgb_profile() or _CHANNELS.get(kind_of_profile(profile)) != channels:
        return None
    name = {1: "gray", 3: "rgb", 4: "cmyk"}[channels]
    try:
        if optional.find("imagecodecs") is None:
            convert = _in_bytes(profile, channels)
        else:
            convert = functools.partial(_cms, source=profile, target=srgb_profile(), name=name)
        grid = np.stack(np.meshgrid(*[np.linspace(0, 255, 9).astype(np.uint8)] * channels), -1).reshape(1, -1, channels)
        is_srgb = channels < 4 and np.abs(convert(grid) - _plain(grid)).max() < _SAME
    except Exception:  # whatever lcms and its wrappers raise on a profile that they cannot use
        return None
    return None if is_srgb else convert


def _cms(color: np.ndarray, source: bytes, target: bytes, name: str) -> np.ndarray:
    """By lcms in float32; inks in 16 bits, whose floats lcms counts in per cent."""
    color = _unit(color)
    given: Any = color[..., 0] if name == "gray" else color
    if name == "cmyk":
        given = np.round(color * 65535).astype(np.uint16)
    return optional.find("imagecodecs").cms_transform(
        np.ascontiguousarray(given), source, target, colorspace=name, outcolorspace="rgb", outdtype="float32"
    )


def _in_bytes(profile: bytes, channels: int) -> Curve:
    """By Pillow's lcms, which knows 8 bits only; grey of more is interpolated between its 256 steps."""
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    mode: Any = {1: "L", 3: "RGB", 4: "CMYK"}[channels]

    def convert(color: np.ndarray) -> np.ndarray:
        exact = color.dtype == np.uint8
        if channels == 1 and not exact:
            steps = convert(np.arange(256, dtype=np.uint8)[None, :, None])[0]
            return np.stack([np.interp(color[..., 0] * 255, np.arange(256), step) for step in steps.T], -1)
        given = color if exact else np.round(color * 255).astype(np.uint8)
        picture = Image.fromarray(np.ascontiguousarray(given[..., 0] if channels == 1 else given), mode)
        converted = ImageCms.profileToProfile(picture, source, target, outputMode="RGB")
        assert converted is not None
        return np.asarray(converted, np.float32) / 255

    return convert


@functools.cache
def display_p3_profile() -> bytes:
    """Returns an ICC profile of Display P3 (version 2.4): its primaries under D50, sRGB's curve in 1024 steps."""
    fixed = lambda *values: struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))  # noqa: E731
    steps = np.round(srgb_to_light(np.linspace(0, 1, 1024)) * 65535).astype(">u2")
    curve = b"curv\0\0\0\0" + struct.pack(">I", len(steps)) + steps.tobytes()
    name = b"Display P3\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78),
        b"cprt": b"text\0\0\0\0no copyright\0",
        b"wtpt": b"XYZ \0\0\0\0" + fixed(*_D50),
    }
    columns = _rgb_to_xyz(PRIMARIES[12]).T
    tags |= {
        b"%cXYZ" % letter: b"XYZ \0\0\0\0" + fixed(*column) for letter, column in zip(b"rgb", columns, strict=True)
    }
    start, table, body = 132 + 12 * (len(tags) + 3), b"", b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    for tag in (b"rTRC", b"gTRC", b"bTRC"):  # which share one
        table += tag + struct.pack(">II", start + len(body), len(curve))
    body += curve + bytes(-len(curve) % 4)
    head = struct.pack(">I4sI4s4s4s6H", start + len(body), b"jnst", 0x02400000, b"mntr", b"RGB ", b"XYZ ",
                       2026, 1, 1, 0, 0, 0)  # fmt: skip
    head = (head + b"acsp" + bytes(28) + fixed(*_D50)).ljust(128, b"\0")
    return head + struct.pack(">I", len(tags) + 3) + table + body

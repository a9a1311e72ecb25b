"""What stands beside a photograph's pixels and is written again with the painted picture."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image

# EXIF tags
DESCRIPTION, SOFTWARE = 0x010E, 0x0131
_CAMERA, _GPS, _THUMBNAIL = 0x8769, 0x8825, 1
_KEPT = (0x010F, 0x0110, 0x0132, 0x013B, 0x8298)
"""maker and model of the camera, date, artist, copyright; a TIFF's other tags are about how its pixels lie"""
_LEFT_OUT = (0x927C, 0xA005, 0xA002, 0xA003)
"""of the camera's: the maker's notes (which may hold places and pictures), DCF's colour space, the size"""
_COLOR_SPACE = 0xA001
_SRGB, _UNCALIBRATED = 1, 65535


class Origin(NamedTuple):
    """What is kept of a photograph beside its colours."""

    exif: bytes = b""
    """tags that can be written again, upright; empty where there are none"""
    profile: bytes = b""
    """ICC; empty where there is none"""
    dpi: tuple[float, float] | None = None
    """pixels an inch, across and down"""
    is_transparent: bool = False
    """whether the file has opacity"""
    alpha: Float[np.ndarray, "h w"] | None = None
    """opacity in [0, 1]; None where all is opaque, or only the head was read"""


def keep(exif: Image.Exif) -> bytes:
    """Returns what of a file's EXIF is kept, place included; the orientation is not, since the pixels are upright.

    Args:
        exif: tags as they were read; those that cannot be written again (odd types) are left out.

    Returns:
        EXIF; empty where nothing is kept.
    """
    try:
        kept = _keep(exif)
        make_exif(Origin(kept), description="", software="", keep_gps=True, is_srgb=True)
    except Exception:  # tags that can be written alone but not together
        return b""
    return kept


def _keep(exif: Image.Exif) -> bytes:
    kept = Image.Exif()
    for tag in _KEPT:
        _copy(exif, kept, tag)
    some = len(kept) > 0
    for name in (_CAMERA, _GPS):
        source, copy = _ifd(exif, name), Image.Exif()
        for tag in source:
            if name != _CAMERA or tag not in _LEFT_OUT:
                _copy(source, copy, tag)
        if len(copy):  # an empty directory would be written, too
            kept.get_ifd(name).update(copy)
            some = True
    return kept.tobytes() if some else b""


def _ifd(exif: Image.Exif, name: int) -> Any:
    try:
        return exif.get_ifd(name)
    except Exception:  # whatever Pillow's reader of EXIF raises
        return {}


def _copy(source: Any, target: Image.Exif, tag: int) -> None:
    """Copies a tag where that can be written."""
    try:
        if tag in source:
            alone = Image.Exif()
            alone[tag] = _writable(source[tag])
            alone.tobytes()
            target[tag] = _writable(source[tag])
    except Exception:  # as above; struct.error and TypeError among them
        return


def _writable(value: Any) -> Any:
    """A text as bytes: Pillow reads those of the file as Latin-1, whatever they are, and writes ASCII alone."""
    return value.encode("latin-1", "replace") if isinstance(value, str) and not value.isascii() else value


def make_exif(origin: Origin, *, description: str, software: str, keep_gps: bool, is_srgb: bool) -> bytes:
    """Makes the EXIF of a painted picture.

    Args:
        origin: of the photograph.
        description: text, empty for none.
        software: that wrote the picture.
        keep_gps: whether the place where the photograph was taken stays.
        is_srgb: whether the picture's values are those of sRGB.

    Returns:
        The tags.
    """
    exif, old = Image.Exif(), read_exif(origin.exif)
    exif.update({tag: old[tag] for tag in _KEPT if tag in old})
    camera, place = ({tag: _writable(value) for tag, value in old.get_ifd(name).items()} for name in (_CAMERA, _GPS))
    if camera:
        exif.get_ifd(_CAMERA).update(camera | {_COLOR_SPACE: _SRGB if is_srgb else _UNCALIBRATED})
    if place and keep_gps:
        exif.get_ifd(_GPS).update(place)
    exif[SOFTWARE] = software
    if description:
        exif[DESCRIPTION] = description.encode()
    return exif.tobytes()


def read_exif(data: bytes) -> Image.Exif:
    """Reads tags.

    Args:
        data: of `make_exif` or `keep`.

    Returns:
        The tags; texts of other letters than ASCII's are bytes, so that they can be written again.
    """
    exif = Image.Exif()
    exif.load(data)
    exif.update({tag: _writable(value) for tag, value in exif.items()})
    return exif


def has_directories(exif: bytes) -> bool:
    """Returns whether there are tags of the camera or the place, which stand in directories of their own.

    Args:
        exif: of `make_exif`.
    """
    tags = read_exif(exif)
    return _CAMERA in tags or _GPS in tags

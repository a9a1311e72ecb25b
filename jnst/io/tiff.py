"""TIFF: 8 bits by Pillow, all else by tifffile, which gives the samples as they lie in the file."""

import contextlib
import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from jnst.errors import InputError
from jnst.io import color, optional
from jnst.io.paths import AnyPath
from jnst.io.source import Samples, Source, to_unit, unmultiply

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BITS, _PLANAR, _SAMPLE_FORMAT, _COMPRESSION = 258, 284, 339, 259
_ORIENTATION, _PROFILE = 274, 34675
_TEXTS = (270, 700)  # EXIF's ImageDescription, XMP
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK = 0, 1, 2, 5  # photometric interpretations
_CHANNELS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _CMYK: 4}
_MULTIPLIED, _ALPHA = 1, 2  # of extra samples
_MOST_TILE = 2**28  # bytes of one tile or strip


def silence_libtiff() -> None:
    """Keeps libtiff from printing, for the whole process: what it cannot read raises all the same.

    Its handler is a global of the library that Pillow's own module is linked to, so it is set by that module's handle.
    Redirecting the file descriptor around a decoder would swallow the lines of other threads.
    """
    with contextlib.suppress(OSError, AttributeError):  # a Pillow that has no libtiff, or hides its functions
        handle = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
        handle.argtypes, handle.restype = [ctypes.c_void_p], ctypes.c_void_p
        handle(None)


def is_deep(file: Image.Image) -> bool:
    """Returns whether a TIFF has other samples than unsigned ones of up to 8 bits.

    Args:
        file: opened.
    """
    tags: Any = file.tag_v2  # pyright: ignore[reportAttributeAccessIssue]
    return max(tags.get(_BITS, (1,))) > 8 or set(tags.get(_SAMPLE_FORMAT, (1,))) != {1}


def is_read_rightly(file: Image.Image) -> bool:
    """Returns whether Pillow reads a deep TIFF rightly, though perhaps with 8 bits: separate planes it mixes up.

    Args:
        file: opened.
    """
    tags: Any = file.tag_v2  # pyright: ignore[reportAttributeAccessIssue]
    return tags.get(_PLANAR, 1) == 1 or len(file.getbands()) == 1


@contextlib.contextmanager
def open_tiff(stream: Any, path: AnyPath, length: int) -> Iterator[Source]:
    """Opens the first picture of a TIFF with tifffile: a context manager.

    Args:
        stream: the open file.
        path: for messages.
        length: of the file, in bytes.

    Yields:
        The picture.

    Raises:
        InputError: tifffile is not installed, or the picture is of a kind that is none of grey, RGB and CMYK.
    """
    tifffile = optional.require("tifffile", path, "a TIFF of this kind")
    optional.require("imagecodecs", path, "a TIFF of this kind")
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        page = file.pages.first
        channels = _CHANNELS.get(int(page.photometric), 0)
        if not channels or page.samplesperpixel < channels or page.imagedepth != 1:
            name = getattr(page.photometric, "name", page.photometric)
            raise InputError(f"{path} is a TIFF of a kind that is not read ({name}); save it as 16-bit RGB")
        profile = page.tags.valueof(_PROFILE, b"")
        usable = isinstance(profile, bytes) and color.kind_of_profile(profile)
        orientation = page.tags.valueof(_ORIENTATION, 1)
        yield Source(
            (page.imagelength, page.imagewidth),
            lambda least: _read(page, channels, least, length),
            orientation if orientation in range(1, 9) else 1,
            color.Space(profile) if usable else color.SRGB,
            is_transparent=bool(page.extrasamples) and page.extrasamples[0] in (_MULTIPLIED, _ALPHA),
            texts=lambda: (text for text in map(page.tags.valueof, _TEXTS) if isinstance(text, str | bytes)),
        )


def _read(page: Any, channels: int, least: int, length: int) -> Samples:
    _check_segments(page, length)
    values = page.asarray(maxworkers=1)
    if page.axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    elif page.axes == "YX":
        values = values[..., None]
    elif page.axes != "YXS":
        raise ValueError(f"axes {page.axes}")
    limit = float(2**page.bitspersample - 1) if values.dtype.kind in "ub" else 0.0
    shown = to_unit(values[..., :channels], limit=limit, least=least)
    if page.photometric == _WHITE_IS_ZERO:
        shown = 1 - shown
    kinds = page.extrasamples
    if not kinds or kinds[0] not in (_MULTIPLIED, _ALPHA):
        return Samples(shown, None)
    alpha = to_unit(values[..., channels : channels + 1], limit=limit, least=least)[..., 0]
    return Samples(unmultiply(shown, alpha) if kinds[0] == _MULTIPLIED else shown, alpha)


def _check_segments(page: Any, length: int) -> None:
    """tifffile takes what is missing for zeros, and makes room for what the head says of a tile."""
    counts, offsets = page.databytecounts, page.dataoffsets
    if len(counts) < np.prod(page.chunked) or min(counts, default=0) <= 0:
        raise ValueError("strips or tiles are missing")
    if max(offset + count for offset, count in zip(offsets, counts, strict=True)) > length:
        raise ValueError("the file is truncated")
    if np.prod(page.chunks, dtype=float) * page.dtype.itemsize > _MOST_TILE and page.is_tiled:
        raise ValueError("a tile is too large")

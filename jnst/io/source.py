"""What readers of picture files give: an opened picture, and its samples as they lie in the file."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from jnst.io.color import SRGB, Space

_ROWS_BYTES = 2**22  # of samples that are converted at a time


class Samples(NamedTuple):
    """Colours and opacity, not yet turned upright, in the file's own colour space."""

    color: np.ndarray
    """(h, w, 1) grey, (h, w, 3) RGB or (h, w, 4) CMYK: bytes, or float32 in [0, 1]"""
    alpha: np.ndarray | None
    """(h, w) float32 in [0, 1]; None where all is opaque"""


@dataclass(frozen=True)
class Source:
    """An opened picture, whose head is read."""

    size: tuple[int, int]
    """(height, width) as stored, before the orientation"""
    read: Callable[[int], Samples]
    """decodes; may reduce the picture to a longer side of at least so much, 0: not"""
    orientation: int = 1
    """EXIF's, 1 to 8"""
    space: Space = SRGB
    is_transparent: bool = False
    """whether the head tells of opacity"""
    exif: Image.Exif | None = None
    dpi: tuple[float, float] | None = None
    texts: Callable[[], Iterable[str | bytes]] = tuple
    """reads the texts beside the pixels, XMP packets among them; those of EXIF are not"""
    sha256: str = ""
    """of the file's bytes; empty where nobody asked"""


def to_unit(values: np.ndarray, *, limit: float = 0, least: int = 0) -> np.ndarray:
    """Brings samples of any type to [0, 1], a few rows at a time.

    Integers are divided by the largest that their bits hold. Floats, and signed integers of 32 bits and more, are
    brightness from 0 to 1 or, of scanners and microscopes, counts: above 1 they are divided by the largest finite one.
    What is not a number is black, infinity white.

    Args:
        values: (h, w, c), unsigned or signed integers or floats.
        limit: the value of white; 0: what the type and the values say.
        least: longer side down to which the picture may be reduced, by means of whole squares; 0: not.

    Returns:
        (h, w, c) float32, smaller by a whole factor where it may be.
    """
    limit = limit or _white(values)
    height, width, channels = values.shape
    factor = max(1, max(height, width) // least) if least else 1
    heights, widths = (np.arange(0, side, factor) for side in (height, width))
    result = np.empty((len(heights), len(widths), channels), np.float32)
    rows = factor * max(1, _ROWS_BYTES // (4 * width * channels * factor))
    for top in range(0, height, rows):
        with np.errstate(over="ignore"):  # of 64 bits: infinity, which is white
            strip = values[top : top + rows].astype(np.float32)
        if values.dtype.kind == "f":
            np.nan_to_num(strip, copy=False, nan=0, posinf=limit, neginf=0)
        strip = np.clip(strip / np.float32(limit), 0, 1)
        if factor > 1:
            strip = _means(_means(strip, factor, axis=0), factor, axis=1)
        first = top // factor
        result[first : first + len(strip)] = strip
    return result


def _means(values: np.ndarray, factor: int, *, axis: int) -> np.ndarray:
    """Means of so many neighbours along an axis; the last has what is left."""
    starts = np.arange(0, values.shape[axis], factor)
    counts = np.minimum(factor, values.shape[axis] - starts).astype(np.float32)
    return np.add.reduceat(values, starts, axis) / np.expand_dims(counts, tuple({0, 1, 2} - {axis}))


def _white(values: np.ndarray) -> float:
    """The value that is white."""
    kind, bits = values.dtype.kind, 8 * values.dtype.itemsize
    if kind in "ub" or (kind == "i" and bits <= 16):
        return float(np.iinfo(values.dtype).max) if kind != "b" else 1.0
    most = 0.0
    rows = max(1, _ROWS_BYTES // max(1, values[:1].size))
    for top in range(0, len(values), rows):
        strip = values[top : top + rows]
        most = max(most, float(strip.max(initial=0, where=np.isfinite(strip))))
    if kind == "i":
        return 65535.0 if most <= 65535 else most  # 16 bits in wider ones, as Pillow writes them
    return min(max(most, 1.0), float(np.finfo(np.float32).max))


def unmultiply(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Takes the opacity out of colours that were multiplied by it.

    Args:
        color: (h, w, c) in [0, 1].
        alpha: (h, w) in [0, 1].

    Returns:
        (h, w, c) in [0, 1]; black where nothing is to be seen.
    """
    opaque = np.maximum(alpha, np.float32(1e-6))[..., None]
    return np.where(alpha[..., None] > 0, np.clip(color / opaque, 0, 1), 0)

"""Pictures of more than 8 bits that Pillow would cut to 8: the samples come from imagecodecs, all else from Pillow."""

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from jnst.io import optional
from jnst.io.paths import AnyPath
from jnst.io.source import Samples, to_unit

DECODERS = {"PNG": "png_decode", "AVIF": "avif_decode", "JPEG2000": "jpeg2k_decode"}
"""Pillow's name of a format -> function of imagecodecs"""
_SIZ = b"\xff\x4f\xff\x51"
"""begins a JPEG 2000 code stream; the first component's depth stands 42 bytes on"""
_HEAD = 2**16  # bytes in which a head is looked for


def depth_of(file: Image.Image) -> int:
    """Returns the bits a sample of which Pillow keeps 8; 0 where it keeps all.

    Args:
        file: opened: PNG, PPM, JPEG2000 or AVIF.
    """
    if file.mode not in ("LA", "RGB", "RGBA"):
        return 0
    if file.format == "PPM":
        return 16 if _most(file) > 255 else 0
    stream: Any = file.fp  # pyright: ignore[reportAttributeAccessIssue] - of pictures from files
    place = stream.tell()
    stream.seek(0)
    head = stream.read(_HEAD)
    stream.seek(place)
    depth = 0
    if file.format == "PNG":
        depth = head[24]
    elif file.format == "AVIF" and b"av1C" in head:
        flags = head[head.index(b"av1C") + 6 : head.index(b"av1C") + 7]
        depth = 12 if flags and flags[0] & 0x60 == 0x60 else 10 if flags and flags[0] & 0x40 else 8
    elif file.format == "JPEG2000" and _SIZ in head:
        field = head[head.index(_SIZ) + 42 : head.index(_SIZ) + 43]
        depth = (field[0] & 0x7F) + 1 if field else 8
    return depth if depth > 8 else 0


def reader(file: Image.Image, depth: int) -> Callable[[int], Samples] | None:
    """Returns how to read a picture with all its bits; None, and a line that says so, where only Pillow can.

    Args:
        file: opened.
        depth: bits a sample, as `depth_of` has them.
    """
    if file.format == "PPM":
        if (values := _ppm(file)) is not None:
            return lambda least: Samples(to_unit(values(), limit=float(_most(file)), least=least), None)
    elif optional.find("imagecodecs") is not None:
        return lambda least: _read(file, depth, least)
    return None


def tell(path: AnyPath, depth: int) -> None:
    """Logs that a picture is read with 8 bits only.

    Args:
        path: of the file.
        depth: bits a sample that it has.
    """
    optional.tell(f"{path} has {depth} bits a channel, of which 8 are read; for all: {optional.INSTALL}")


def _read(file: Image.Image, depth: int, least: int) -> Samples:
    decode = getattr(optional.find("imagecodecs"), DECODERS[str(file.format)])
    stream: Any = file.fp  # pyright: ignore[reportAttributeAccessIssue]
    stream.seek(0)
    values = decode(stream.read())
    return to_samples(values, (file.height, file.width), float(2**depth - 1), least)


def to_samples(values: np.ndarray, size: tuple[int, int], limit: float, least: int) -> Samples:
    """Converts what a decoder gives.

    Args:
        values: (h, w) or (h, w, c), with one alpha channel behind grey or RGB or none.
        size: (height, width) that the head tells.
        limit: the value of white.
        least: as of `source.to_unit`.

    Returns:
        The samples.

    Raises:
        ValueError: an array of another size, or of more channels.
    """
    values = values[..., None] if values.ndim == 2 else values
    if values.ndim != 3 or values.shape[:2] != size or values.shape[2] > 4:
        raise ValueError(f"the head tells {size[1]}x{size[0]} pixels, the picture has {values.shape}")
    unit = to_unit(values, limit=limit, least=least)
    channels = 1 if unit.shape[2] < 3 else 3
    return Samples(unit[..., :channels], unit[..., channels] if unit.shape[2] > channels else None)


def _most(file: Image.Image) -> int:
    """The value of white in a PPM, which stands last among what its decoder is given."""
    args = file.tile[0].args if file.tile else ()  # pyright: ignore[reportAttributeAccessIssue]
    most = args[-1] if isinstance(args, tuple) and args else 255
    return most if isinstance(most, int) else 255


def _ppm(file: Image.Image) -> Callable[[], np.ndarray] | None:
    """Of binary RGB; None for the one in letters."""
    tile, stream = file.tile[0], file.fp  # pyright: ignore[reportAttributeAccessIssue]
    if tile.codec_name != "ppm" or file.mode != "RGB":
        return None

    def values() -> np.ndarray:
        stream.seek(tile.offset)
        count = file.height * file.width * 3
        samples = np.frombuffer(stream.read(2 * count), ">u2", count)
        return samples.reshape(file.height, file.width, 3)

    return values

"""Opening image files that may be odd, damaged or hostile: formats that are pictures, one kind of error, little memory.

Every file is read here, for its pixels as for its size, so that the two agree. What stands beside the pixels (EXIF,
text) never stops them.
"""

import contextlib
import hashlib
import io
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from jnst.errors import InputError, single_line
from jnst.io import deep, heif, optional, pixels, tiff
from jnst.io.color import SRGB, to_srgb
from jnst.io.metadata import DESCRIPTION, Origin, keep
from jnst.io.paths import AnyPath, read_streamed, require_file
from jnst.io.source import Source

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "JPEG2000", "AVIF")
"""what is read: pictures that Pillow decodes within the process (an EPS starts another program, whatever its name)"""
MORE_FORMATS = {"HEIC": (".heic", ".heif", ".hif"), "JPEG XL": (".jxl",)}
"""what is read with the extra `photo`, and its endings"""
DEEP_FORMATS = ("PPM", "TIFF", *deep.DECODERS, *MORE_FORMATS)
"""of which more than 8 bits are read; with the extra, but for PPM, and PNG and TIFF in grey"""
MOST_PIXELS = 10**9
LARGE = 24 * 10**6
"""pixels above which a picture is reduced before it becomes floats"""
PIXELS_PER_BYTE = 20_000
"""no encoder packs more into a byte of a large picture (PNG: 8,256): a head that promises it has no pixels behind it"""
_TURNS = {
    2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1], 5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1), 7: lambda x: x[::-1, ::-1].swapaxes(0, 1), 8: np.rot90,
}  # fmt: skip
"""what each EXIF orientation asks for; 5 and more are by 90 degrees"""
_opening = threading.Lock()
tiff.silence_libtiff()
logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it logs on damaged files it raises, too
# of text and profiles beside the pixels: Pillow refuses the whole picture for one of over a megabyte. Its decoder reads
# these limits at any time, so they hold for the whole process
PngImagePlugin.MAX_TEXT_CHUNK = max(PngImagePlugin.MAX_TEXT_CHUNK, 2**26)
PngImagePlugin.MAX_TEXT_MEMORY = max(PngImagePlugin.MAX_TEXT_MEMORY, 2**28)


class Decoded(NamedTuple):
    """What a file holds, upright."""

    pixels: Float[np.ndarray, "1 h w 3"]
    """RGB (sRGB) in [0, 1], transparency laid on white; of a large file perhaps fewer than it has"""
    size: tuple[int, int]
    """the file's own (height, width)"""
    origin: Origin
    """with the opacity, of as many pixels"""
    sha256: str
    """of the file's bytes"""


class Head(NamedTuple):
    """What the head of an image file says."""

    size: tuple[int, int]
    """(height, width) as `decode` gives them: after the EXIF orientation"""
    is_transparent: bool
    """whether the file has opacity"""


def read_size(path: AnyPath) -> tuple[int, int]:
    """Reads an image's size from the head of its file.

    Args:
        path: the file.

    Returns:
        (height, width) as `decode` gives them: after the EXIF orientation.

    Raises:
        InputError: as of `read_head`.
    """
    return read_head(path).size


def read_head(path: AnyPath) -> Head:
    """Reads the head of an image file.

    Args:
        path: the file.

    Returns:
        What it says.

    Raises:
        InputError: no such file, or none whose head is that of an image.
    """
    with _opened(path) as source:
        return Head(_upright(source), source.is_transparent)


def decode(path: AnyPath, *, longest: int = 0, as_data: bool = False) -> Decoded:
    """Reads an image file.

    Args:
        path: the file.
        longest: longer side in pixels to which it will be brought, 0 if none: a large one is not decoded in full.
        as_data: take the samples as they lie in the file: no colour space, no opacity.

    Returns:
        Pixels, size and what else is kept; pixels of a large file may be fewer, but at least twice `longest`.

    Raises:
        InputError: no such file, not an image, a damaged or too large one.
    """
    with _opened(path, checksum=True) as source:
        height, width = source.size
        space = SRGB if as_data else source.space
        large = LARGE if space == SRGB else LARGE // 12  # converting colours takes 0.2 s a megapixel
        color, alpha = source.read(2 * longest if height * width > large else 0)
        rgb, alpha = to_srgb(color, space), None if as_data else alpha
        if alpha is not None:
            rgb = rgb * alpha[..., None] + (1 - alpha[..., None])
        turn = _TURNS.get(source.orientation, np.asarray)
        upright = np.ascontiguousarray(turn(rgb))[None]
        opacity = None if alpha is None or alpha.min() == 1 else np.ascontiguousarray(turn(alpha))
        return Decoded(upright, _upright(source), _origin(source)._replace(alpha=opacity), source.sha256)


def read_origin(path: AnyPath) -> Origin:
    """Reads what stands beside an image's pixels, from the head of its file.

    Args:
        path: the file.

    Returns:
        All but the opacity itself.

    Raises:
        InputError: as of `read_size`.
    """
    with _opened(path) as source:
        return _origin(source)


def read_texts(path: AnyPath) -> Iterator[str | bytes]:
    """Yields the texts that stand beside an image's pixels: EXIF's description, a PNG's texts, XMP packets.

    Args:
        path: the file.

    Raises:
        InputError: as of `read_size`; a damaged picture, where the texts are looked for behind its pixels.
    """
    with _opened(path) as source:
        description = None
        with contextlib.suppress(Exception):  # as of all EXIF
            description = source.exif.get(DESCRIPTION) if source.exif is not None else None
        if isinstance(description, str | bytes):
            yield description
        yield from source.texts()


def _origin(source: Source) -> Origin:
    dpi = source.dpi
    if dpi and source.orientation > 4:
        dpi = (dpi[1], dpi[0])
    exif = keep(source.exif) if source.exif is not None else b""
    return Origin(exif, source.space.profile, dpi, source.is_transparent)


def _upright(source: Source) -> tuple[int, int]:
    """(height, width) of a picture once it is turned."""
    height, width = source.size
    return (width, height) if source.orientation > 4 else (height, width)


@contextlib.contextmanager
def _opened(path: AnyPath, *, checksum: bool = False) -> Iterator[Source]:
    """The image in a file; whatever is raised while it is open is told as the file's fault, in one line."""
    require_file(path)
    try:
        with contextlib.ExitStack() as stack:
            whole = read_streamed(path)
            stream: Any = stack.enter_context(open(path, "rb")) if whole is None else io.BytesIO(whole)
            length = stream.seek(0, os.SEEK_END)
            digest = _checksum(stream) if checksum else ""
            _silence_pillow()
            source = _open(stream, path, length, stack)
            _check_pixels(path, source, length)
            yield replace(source, sha256=digest)
    except InputError:
        raise
    except UnidentifiedImageError:
        known = ", ".join(FORMATS[:-1])
        raise InputError(f"{path} is not an image that can be read; give a {known} or {FORMATS[-1]} file") from None
    except MemoryError:
        raise InputError(f"{path} needs more memory than there is; reduce it first") from None
    except Exception as error:  # decoders raise many kinds on damaged files, struct.error and IndexError among them
        raise InputError(f"{path} cannot be read ({single_line(error)}); give a whole image file") from None


def _checksum(stream: Any) -> str:
    stream.seek(0)
    return hashlib.file_digest(stream, "sha256").hexdigest()


def _silence_pillow() -> None:
    """Keeps Pillow's hints on odd files from being printed; real trouble raises.

    For the whole process, each time: `warnings.catch_warnings` puts back the filters that it has found, and so takes
    away what another thread, one that imports a library, has set meanwhile.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _open(stream: Any, path: AnyPath, length: int, stack: contextlib.ExitStack) -> Source:
    """Finds the reader of a file by its first bytes; what it opens is closed with the stack."""
    stream.seek(0)
    head = stream.read(16)
    is_tiff = head.startswith(tiff.MAGIC)
    try:
        file = stack.enter_context(_open_with_pillow(stream))
    except UnidentifiedImageError:
        if is_tiff:
            return stack.enter_context(tiff.open_tiff(stream, path, length))
        if heif.is_heif(head):
            return stack.enter_context(heif.open_heif(stream, path))
        if heif.is_jpegxl(head):
            return stack.enter_context(heif.open_jpegxl(stream, path))
        raise
    source = pixels.open_pillow(file)
    if is_tiff:
        return _open_tiff(file, source, stream, path, length, stack)
    depth = deep.depth_of(file)
    if not depth:
        return source
    read = deep.reader(file, depth)
    return replace(source, read=read or _telling(source, path, depth))


def _open_tiff(
    file: Image.Image, source: Source, stream: Any, path: AnyPath, length: int, stack: contextlib.ExitStack
) -> Source:
    """Samples of more than 8 bits by tifffile, where it is installed."""
    if not tiff.is_deep(file):
        return source
    if optional.find("tifffile") is None and tiff.is_read_rightly(file):
        single = file.mode.startswith(("I", "F"))
        return source if single else replace(source, read=_telling(source, path, 16))
    exact = stack.enter_context(tiff.open_tiff(stream, path, length))
    return replace(exact, exif=source.exif, dpi=source.dpi, texts=source.texts)


def _telling(source: Source, path: AnyPath, depth: int) -> Any:
    """Reads 8 bits, and says so."""

    def read(least: int) -> Any:
        deep.tell(path, depth)
        return source.read(least)

    return read


def _open_with_pillow(stream: Any) -> Image.Image:
    """Opens without Pillow's own limit of pixels, which is the whole process's, so it is put back at once."""
    stream.seek(0)
    with _opening:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(stream, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_pixels(path: AnyPath, source: Source, length: int) -> None:
    height, width = source.size
    count = height * width
    if count > MOST_PIXELS:
        raise InputError(f"{path} has over {MOST_PIXELS // 10**6} million pixels; reduce it to fewer first")
    if count > max(LARGE, PIXELS_PER_BYTE * length):
        shown = f"{width}x{height} pixels in {length} bytes"
        raise InputError(f"{path} cannot be read (it tells {shown}); give a whole image file")

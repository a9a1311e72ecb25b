"""Opening image files that may be odd, damaged or hostile: formats that are pictures, one kind of error, little memory.

Every file is read here, for its pixels as for its size, so that the two agree. What stands beside the pixels (EXIF,
text) never stops them.
"""

import contextlib
import io
import os
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from jnst.errors import InputError
from jnst.io.paths import AnyPath, read_streamed, require_file, single_line
from jnst.io.pixels import to_float

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "JPEG2000", "AVIF")
"""what is read: pictures that Pillow decodes within the process (an EPS starts another program, whatever its name)"""
MOST_PIXELS = 10**9
LARGE = 24 * 10**6
"""pixels above which a picture is reduced before it becomes floats"""
PIXELS_PER_BYTE = 20_000
"""no encoder packs more into a byte of a large picture (PNG: 8,256): a head that promises it has no pixels behind it"""
_ORIENTATION = 0x0112  # EXIF tag
_TURNED = (5, 6, 7, 8)  # by 90 degrees
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_opening = threading.Lock()
# of text and profiles beside the pixels: Pillow refuses the whole picture for one of over a megabyte. Its decoder reads
# these limits at any time, so they hold for the whole process
PngImagePlugin.MAX_TEXT_CHUNK = max(PngImagePlugin.MAX_TEXT_CHUNK, 2**26)
PngImagePlugin.MAX_TEXT_MEMORY = max(PngImagePlugin.MAX_TEXT_MEMORY, 2**28)


def read_size(path: AnyPath) -> tuple[int, int]:
    """Reads an image's size from the head of its file.

    Args:
        path: the file.

    Returns:
        (height, width) as `decode` gives them: after the EXIF orientation.

    Raises:
        InputError: no such file, or none whose head is that of an image.
    """
    with _opened(path) as file:
        return _upright(file.size, _orientation(file))


def decode(path: AnyPath, *, longest: int = 0) -> tuple[Float[np.ndarray, "1 h w 3"], tuple[int, int]]:
    """Reads an image file.

    Args:
        path: the file.
        longest: longer side in pixels to which it will be brought, 0 if none: a large one is not decoded in full.

    Returns:
        RGB in [0, 1], and the file's own (height, width), after the EXIF orientation; pixels of a large file may be
        fewer, but at least twice `longest`.

    Raises:
        InputError: no such file, not an image, a damaged or too large one.
    """
    with _opened(path) as file:
        size, reduce = file.size, longest and file.width * file.height > LARGE
        if reduce and file.format == "JPEG":
            width, height = (-(-2 * longest * side // max(size)) for side in size)
            file.draft(None, (width, height))
        file.load()
        orientation = _orientation(file)
        picture = _reduced(file, 2 * longest) if reduce else file
        if orientation in _TRANSPOSES:
            picture = picture.transpose(_TRANSPOSES[orientation])
        return to_float(picture), _upright(size, orientation)


def _reduced(file: Image.Image, longest: int) -> Image.Image:
    """The picture by means of whole squares, its longer side still at least `longest`; of 8-bit modes only."""
    factor = max(file.size) // longest
    if factor < 2 or file.mode.startswith(("I", "F")):
        return file
    if file.mode in ("P", "PA", "1"):
        file = file.convert("RGBA" if file.has_transparency_data else "RGB")
    return file.reduce(factor)


def _upright(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(height, width) of a picture once it is turned, from Pillow's (width, height)."""
    width, height = size
    return (width, height) if orientation in _TURNED else (height, width)


def _orientation(file: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none or none that can be read. Pillow turns a TIFF by itself."""
    if file.format == "TIFF":
        return 1
    try:
        value: Any = file.getexif().get(_ORIENTATION, 1)
        return value if value in _TRANSPOSES else 1
    except Exception:  # whatever Pillow's reader of EXIF raises: the pixels are there without it
        return 1


@contextlib.contextmanager
def _opened(path: AnyPath) -> Iterator[Image.Image]:
    """The image in a file; whatever is raised while it is open is told as the file's fault, in one line."""
    require_file(path)
    try:
        whole = read_streamed(path)
        length = os.path.getsize(path) if whole is None else len(whole)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's hints on large or odd files; real trouble raises
            with _open(path if whole is None else io.BytesIO(whole)) as file:
                _check_pixels(path, file, length)
                yield file
    except InputError:
        raise
    except UnidentifiedImageError:
        known = ", ".join(FORMATS[:-1])
        raise InputError(f"{path} is not an image that can be read; give a {known} or {FORMATS[-1]} file") from None
    except MemoryError:
        raise InputError(f"{path} needs more memory than there is; reduce it first") from None
    except Exception as error:  # decoders raise many kinds on damaged files, struct.error and IndexError among them
        raise InputError(f"{path} cannot be read ({single_line(error)}); give a whole image file") from None


def _open(source: Any) -> Image.Image:
    """Opens without Pillow's own limit of pixels, which is the whole process's, so it is put back at once."""
    with _opening:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(source, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_pixels(path: AnyPath, file: Image.Image, length: int) -> None:
    pixels = file.width * file.height
    if pixels > MOST_PIXELS:
        raise InputError(f"{path} has over {MOST_PIXELS // 10**6} million pixels; reduce it to fewer first")
    if pixels > max(LARGE, PIXELS_PER_BYTE * length):
        shown = f"{file.width}x{file.height} pixels in {length} bytes"
        raise InputError(f"{path} cannot be read (it tells {shown}); give a whole image file")

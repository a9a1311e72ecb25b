"""Image files and objects <-> float32 arrays (1, h, w, 3), RGB (sRGB), [0, 1].

Sizes are (height, width) in pixels, in the order of an array's axes; messages to users say WIDTHxHEIGHT. Resampling is
done in float, one channel at a time, so that nothing passes through 8 bits on its way.
"""

from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from jnst.errors import InputError
from jnst.io.atomic import write_whole
from jnst.io.decode import decode
from jnst.io.paths import AnyPath, is_object, parse_path, require_writable_folder, store_errors
from jnst.network.architecture import MIN_SIDE

NumpyImage = Float[np.ndarray, "1 h w 3"]
AnyImage = Float[Any, "n _h _w 3"]  # of NumPy or JAX, which is not imported for it
_SAVE_OPTIONS = {
    ".png": {"format": "PNG"},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".webp": {"format": "WEBP", "quality": 95, "method": 4},
    ".tif": {"format": "TIFF", "compression": "tiff_deflate"},
    ".tiff": {"format": "TIFF", "compression": "tiff_deflate"},
}
_SOFTWARE, _DESCRIPTION = 0x0131, 0x010E  # EXIF tags


def load(path: str | AnyPath, *, image_size: int = 0, size: tuple[int, int] | None = None) -> NumpyImage:
    """Reads an image file.

    One of `decode.FORMATS`; EXIF orientation applied; an embedded colour profile converted to sRGB; greyscale, palette,
    CMYK and 16 bits converted; transparency laid on white.

    Args:
        path: the file.
        image_size: the longer side is reduced to at most so many pixels, the aspect ratio kept; 0 keeps the size.
        size: (height, width) to bring the image to exactly, instead.

    Returns:
        RGB in [0, 1].

    Raises:
        InputError: no such file, not an image, a damaged or too large one, or a side under 32 pixels.
    """
    path = parse_path(path)
    pixels, (height, width) = decode(path, longest=max(size) if size else image_size)
    if min(height, width) < MIN_SIDE:
        raise InputError(f"{path} is {width}x{height} pixels; both sides need at least {MIN_SIDE}")
    return resize(pixels, *(size or fit((height, width), image_size)))


def fit(size: tuple[int, int], image_size: int) -> tuple[int, int]:
    """Reduces a size until its longer side is short enough.

    Args:
        size: (height, width).
        image_size: most pixels of the longer side; 0: no limit.

    Returns:
        (height, width), at least 1, with the aspect ratio kept up to rounding.
    """
    longer = max(size)
    if not image_size or longer <= image_size:
        return size
    height, width = (max(1, round(side * image_size / longer)) for side in size)
    return height, width


def resize(images: AnyImage, height: int, width: int) -> Float[np.ndarray, "n {height} {width} 3"]:
    """Resamples images on the host, so that no new size waits for a compiler.

    Lanczos's filter of radius 3, widened where the image gets smaller (antialiasing), by Pillow, in float. It agrees
    with `jax.image.resize(..., "lanczos3")` to 1e-5, and so with the style pyramid's halvings (tests/io/test_image.py).

    Args:
        images: (n, h, w, 3), within [0, 1].
        height, width: of the result, in pixels.

    Returns:
        Clipped to [0, 1], since the filter overshoots at edges; the images themselves where the size is theirs.
    """
    pixels = np.asarray(images, np.float32)
    if pixels.shape[1:3] == (height, width):
        return pixels
    resampled = np.empty((len(pixels), height, width, 3), np.float32)
    for n, channel in np.ndindex(len(pixels), 3):
        plane = Image.fromarray(np.ascontiguousarray(pixels[n, :, :, channel]))
        resampled[n, :, :, channel] = np.asarray(plane.resize((width, height), Image.Resampling.LANCZOS))
    return np.clip(resampled, 0, 1)


def save(image: NumpyImage, path: str | AnyPath, *, description: str = "") -> None:
    """Writes an image, rounded to 8 bits, in the format of the extension: the whole file or nothing.

    Args:
        image: RGB in [0, 1].
        path: ends in .png, .jpg, .jpeg (quality 95, 4:4:4), .webp or .tif, .tiff.
        description: text for the file's EXIF ImageDescription.

    Raises:
        InputError: an unknown extension, or a place that cannot be written.
    """
    path = parse_path(path)
    picture = Image.fromarray(np.round(np.clip(image[0], 0, 1) * 255).astype(np.uint8))
    exif = Image.Exif()
    exif[_SOFTWARE] = "jnst"
    if description:
        exif[_DESCRIPTION] = description
    require_image_format(path) if is_object(path) else require_writable(path)
    write_whole(path, lambda file: picture.save(file, exif=exif, **_SAVE_OPTIONS[path.suffix.lower()]))


def require_writable(path: AnyPath) -> None:
    """Refuses a path to which `save` would fail.

    Args:
        path: of the file to write; it may exist.

    Raises:
        InputError: an unknown extension, a directory, a folder that is missing or cannot be written.
    """
    require_image_format(path)
    with store_errors(path):
        if path.is_dir():
            raise InputError(f"{path} is a directory; give the path of the image to write")
    require_writable_folder(path)


def require_image_format(path: AnyPath) -> None:
    """Refuses a path whose extension names no format that images are written in.

    Args:
        path: of the file to write.

    Raises:
        InputError: with the extensions that do.
    """
    if path.suffix.lower() not in _SAVE_OPTIONS:
        known = ", ".join(_SAVE_OPTIONS)
        raise InputError(f"{path} has the extension {path.suffix!r}; an image can be written as {known}")

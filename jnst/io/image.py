"""Image files and objects <-> float32 arrays (1, h, w, 3), RGB (sRGB), [0, 1].

Sizes are (height, width) in pixels, in the order of an array's axes; messages to users say WIDTHxHEIGHT. Resampling is
done in float, one channel at a time, so that nothing passes through 8 bits on its way.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image

from jnst.errors import InputError
from jnst.io.atomic import write_whole
from jnst.io.decode import decode
from jnst.io.decode import read_origin as decode_origin
from jnst.io.encode import Writing, encode, require_kind
from jnst.io.metadata import Origin
from jnst.io.paths import AnyPath, parse_path, require_writable_folder
from jnst.io.stores import is_object, store_errors
from jnst.network.architecture import MIN_SIDE, Tileable, wrapped_axes

NumpyImage = Float[np.ndarray, "1 h w 3"]
LANCZOS_RADIUS = 3  # in pixels of the smaller of the two sizes
AnyImage = Float[Any, "n _h _w 3"]  # of NumPy or JAX, which is not imported for it


def load(path: str | AnyPath, *, image_size: int = 0, size: tuple[int, int] | None = None) -> NumpyImage:
    """Reads an image file.

    One of `decode.FORMATS`; EXIF orientation applied; the colour space that the file tells converted to sRGB;
    greyscale, palette, CMYK and any number of bits converted; transparency laid on white (docs/images.md).

    Args:
        path: the file.
        image_size: the longer side is reduced to at most so many pixels, the aspect ratio kept; 0 keeps the size.
        size: (height, width) to bring the image to exactly, instead.

    Returns:
        RGB in [0, 1].

    Raises:
        InputError: no such file, not an image, a damaged or too large one, or a side under 32 pixels.
    """
    return read(path, image_size=image_size, size=size).pixels


class Photograph(NamedTuple):
    """What is read of an image file."""

    pixels: NumpyImage
    """RGB (sRGB) in [0, 1], transparency laid on white"""
    origin: Origin
    """EXIF, colour profile, resolution, and opacity of the same size"""
    sha256: str = ""
    """of the file's bytes"""


def read(path: str | AnyPath, *, image_size: int = 0, size: tuple[int, int] | None = None) -> Photograph:
    """Reads an image file, with what is to be written again with the painted picture.

    Args:
        path: as of `load`.
        image_size: as of `load`.
        size: as of `load`.

    Returns:
        Pixels, origin and the file's checksum.

    Raises:
        InputError: as of `load`.
    """
    path = parse_path(path)
    pixels, (height, width), origin, sha256 = decode(path, longest=max(size) if size else image_size)
    if min(height, width) < MIN_SIDE:
        raise InputError(f"{path} is {width}x{height} pixels; both sides need at least {MIN_SIDE}")
    target = size or fit((height, width), image_size)
    if origin.alpha is not None:
        opacity = np.repeat(origin.alpha[None, ..., None], 3, -1)
        origin = origin._replace(alpha=np.ascontiguousarray(resize(opacity, *target)[0, ..., 0]))
    return Photograph(resize(pixels, *target), origin, sha256)


def read_origin(path: AnyPath, size: tuple[int, int]) -> Origin:
    """Reads what of an image file is to be written again; its pixels are decoded only where they have opacity.

    Args:
        path: the file.
        size: (height, width) of the opacity.

    Returns:
        The origin.

    Raises:
        InputError: as of `load`.
    """
    origin = decode_origin(path)
    return read(path, size=size).origin if origin.is_transparent else origin


def load_data(path: AnyPath, *, size: tuple[int, int]) -> NumpyImage:
    """Reads an image file whose samples are no colours, such as normals: none is converted, opacity does not count.

    Args:
        path: as of `load`.
        size: (height, width) to bring the image to.

    Returns:
        Three channels in [0, 1], equal where the file is greyscale.

    Raises:
        InputError: as of `load`.
    """
    return resize(decode(path, longest=max(size), as_data=True).pixels, *size)


def style_mask(origin: Origin) -> Float[np.ndarray, "1 h w 1"] | None:
    """Returns where a photograph is opaque, which is where it is styled; None where all of it is, or nothing.

    Args:
        origin: with the opacity.
    """
    alpha = origin.alpha
    return None if alpha is None or alpha.max() < 1 / 255 else alpha[None, ..., None]


def read_style_mask(path: AnyPath, size: tuple[int, int]) -> Float[np.ndarray, "1 h w 1"]:
    """Reads where a photograph is opaque; all ones where that is no mask.

    Args:
        path: the file.
        size: (height, width) of the mask.

    Returns:
        The mask.

    Raises:
        InputError: as of `load`.
    """
    mask = style_mask(read(path, size=size).origin)
    return np.ones((1, *size, 1), np.float32) if mask is None else mask


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


def resize(
    images: AnyImage, height: int, width: int, *, tileable: Tileable = "no"
) -> Float[np.ndarray, "n {height} {width} 3"]:
    """Resamples images on the host, so that no new size waits for a compiler.

    Lanczos's filter of radius 3, widened where the image gets smaller (antialiasing), by Pillow, in float. It agrees
    with `jax.image.resize(..., "lanczos3")` to 1e-5, and so with the style pyramid's halvings (tests/io/test_image.py).

    Args:
        images: (n, h, w, 3), within [0, 1].
        height, width: of the result, in pixels.
        tileable: along which axes the images go on at their opposite edge.

    Returns:
        Clipped to [0, 1], since the filter overshoots at edges; the images themselves where the size is theirs.
    """
    pixels = np.asarray(images, np.float32)
    if pixels.shape[1:3] == (height, width):
        return pixels
    # what the filter reaches beyond an edge is laid around the image, and only the image itself is resampled
    reach = {axis: LANCZOS_RADIUS * max(1, -(-old // new)) + 1
             for axis, old, new in ((1, pixels.shape[1], height), (2, pixels.shape[2], width))}  # fmt: skip
    above, left = (reach[axis] if axis in wrapped_axes(tileable) else 0 for axis in (1, 2))
    box = left, above, left + pixels.shape[2], above + pixels.shape[1]
    if above or left:
        pixels = np.pad(pixels, ((0, 0), (above, above), (left, left), (0, 0)), mode="wrap")
    resampled = np.empty((len(pixels), height, width, 3), np.float32)
    for n, channel in np.ndindex(len(pixels), 3):
        plane = Image.fromarray(np.ascontiguousarray(pixels[n, :, :, channel]))
        resampled[n, :, :, channel] = np.asarray(plane.resize((width, height), Image.Resampling.LANCZOS, box))
    return np.clip(resampled, 0, 1)


def save(
    image: NumpyImage,
    path: str | AnyPath,
    *,
    description: str = "",
    recipe: str = "",
    origin: Origin = Origin(),  # noqa: B008 - a tuple
    writing: Writing = Writing(),  # noqa: B008 - frozen
    as_data: bool = False,
) -> None:
    """Writes an image, in the format of the extension: the whole file or nothing.

    Args:
        image: RGB in [0, 1].
        path: ends in .png, .jpg, .jpeg (quality 95, 4:4:4), .webp, .tif, .tiff, .avif or .jxl.
        description: text for the file's EXIF ImageDescription.
        recipe: how the picture was made, as JSON, for all places that the format has (`jnst.io.recipe`).
        origin: of the photograph, whose EXIF, resolution and opacity go with it.
        writing: bits, colour space, and what of the photograph is kept.
        as_data: the channels are no colours: no colour profile, no dithering.

    Raises:
        InputError: an unknown extension, or a place that cannot be written.
    """
    path = parse_path(path)
    require_image_format(path, writing=writing) if is_object(path) else require_writable(path, writing=writing)
    content = encode(
        image, path, description=description, recipe=recipe, origin=origin, writing=writing, as_data=as_data
    )
    write_whole(path, lambda file: file.write(content))


def require_writable(path: AnyPath, *, writing: Writing = Writing()) -> None:  # noqa: B008 - frozen
    """Refuses a path to which `save` would fail.

    Args:
        path: of the file to write; it may exist.
        writing: how.

    Raises:
        InputError: an unknown extension, a directory, a folder that is missing or cannot be written.
    """
    require_image_format(path, writing=writing)
    with store_errors(path):
        if path.is_dir():
            raise InputError(f"{path} is a directory; give the path of the image to write")
    require_writable_folder(path)


def require_image_format(path: AnyPath, *, writing: Writing = Writing()) -> None:  # noqa: B008 - frozen
    """Refuses a path whose extension names no format that images are written in so.

    Args:
        path: of the file to write.
        writing: how.

    Raises:
        InputError: with the extensions that do.
    """
    require_kind(path, writing)

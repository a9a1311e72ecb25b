"""Files and objects <-> float32 arrays (1, h, w, 3), RGB (sRGB), [0, 1]. The only module that imports Pillow.

Sizes are (width, height) in pixels, as Pillow and users give them. Resampling is done in float, one channel at a time,
so that nothing passes through 8 bits on its way.
"""

import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from jnst.errors import InputError
from jnst.io.paths import AnyPath, is_object, one_line, path_of, reaching, read_object, write_object
from jnst.network.architecture import MIN_SIDE

NumpyImage = Float[np.ndarray, "1 h w 3"]
_SAVE_OPTIONS = {
    ".png": {"format": "PNG"},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".webp": {"format": "WEBP", "quality": 95, "method": 4},
    ".tif": {"format": "TIFF", "compression": "tiff_deflate"},
    ".tiff": {"format": "TIFF", "compression": "tiff_deflate"},
}
_SOFTWARE, _DESCRIPTION, _ORIENTATION = 0x0131, 0x010E, 0x0112  # EXIF tags
UNFINISHED = ".jnst-"  # begins the name of a file that is being written


def load(path: str | AnyPath, *, image_size: int = 0, size: tuple[int, int] | None = None) -> NumpyImage:
    """Reads an image file.

    Whatever Pillow reads; EXIF orientation applied; an embedded colour profile converted to sRGB; greyscale, palette,
    CMYK and 16 bits converted; transparency laid on white.

    Args:
        path: the file.
        image_size: the longer side is reduced to at most so many pixels, the aspect ratio kept; 0 keeps the size.
        size: (width, height) to bring the image to exactly, instead.

    Raises:
        InputError: no such file, not an image, a damaged or too large one, or a side under 32 pixels.
    """
    path = path_of(path)
    check_there(path)
    try:
        with _opened(path) as file:
            pixels = _to_float(ImageOps.exif_transpose(file))
    except UnidentifiedImageError:
        raise InputError(f"{path} is not an image that can be read; give a PNG, JPEG, WebP or TIFF file") from None
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise InputError(f"{path} has over {limit} million pixels; reduce it to fewer first") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow's decoders raise on damaged files
        raise InputError(f"{path} cannot be read ({one_line(error)}); give a whole image file") from None
    width, height = pixels.shape[2], pixels.shape[1]
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{path} is {width}x{height} pixels; both sides need at least {MIN_SIDE}")
    return resize(pixels, size or fit((width, height), image_size))


def size_of(path: AnyPath) -> tuple[int, int]:
    """(width, height) as `load` would find them, from the file's head.

    Raises:
        InputError: no such file, or none whose head is that of an image.
    """
    check_there(path)
    try:
        with _opened(path) as file:
            turned = file.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            return (file.height, file.width) if turned else file.size
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        raise InputError(f"{path} is not an image that can be read; give a PNG, JPEG, WebP or TIFF file") from None


@contextlib.contextmanager
def _opened(path: AnyPath) -> Iterator[Image.Image]:
    """The image in a file, for reading."""
    source = io.BytesIO(read_object(path)) if is_object(path) else path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's hints on large or odd files; real trouble raises
        with Image.open(source) as file:
            yield file


def check_there(path: AnyPath) -> None:
    """Raises InputError where no file is."""
    with reaching(path):
        if not path.exists():
            raise InputError(f"{path}: no such file; give the path of an image")
        if path.is_dir():
            raise InputError(f"{path} is a directory; give the path of an image file")


def fit(size: tuple[int, int], image_size: int) -> tuple[int, int]:
    """(width, height) with the longer side at most `image_size` (0: no limit) and the aspect ratio kept."""
    if not image_size or max(size) <= image_size:
        return size
    return max(1, round(size[0] * image_size / max(size))), max(1, round(size[1] * image_size / max(size)))


def resize(image: NumpyImage, size: tuple[int, int]) -> Float[np.ndarray, "1 h2 w2 3"]:
    """Resamples to (width, height) in float by Lanczos-3 with antialiasing; clipped to [0, 1]."""
    if size == (image.shape[2], image.shape[1]):
        return image
    channels = [Image.fromarray(np.ascontiguousarray(image[0, :, :, c])) for c in range(3)]
    resampled = [np.asarray(channel.resize(size, Image.Resampling.LANCZOS)) for channel in channels]
    return np.clip(np.stack(resampled, -1)[None], 0, 1).astype(np.float32)


def save(image: NumpyImage, path: str | AnyPath, *, description: str = "") -> None:
    """Writes an image, rounded to 8 bits, in the format of the extension: the whole file or nothing.

    Args:
        image: RGB in [0, 1].
        path: ends in .png, .jpg, .jpeg (quality 95, 4:4:4), .webp or .tif, .tiff.
        description: text for the file's EXIF ImageDescription.

    Raises:
        InputError: an unknown extension, or a place that cannot be written.
    """
    path = path_of(path)
    picture = Image.fromarray(np.round(np.clip(image[0], 0, 1) * 255).astype(np.uint8))
    exif = Image.Exif()
    exif[_SOFTWARE] = "jnst"
    if description:
        exif[_DESCRIPTION] = description
    if is_object(path):
        _save_object(picture, path, exif)
        return
    check_writable(path)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=UNFINISHED, suffix=path.suffix, delete=False) as file:
        try:
            picture.save(file, exif=exif, **_SAVE_OPTIONS[path.suffix.lower()])
            file.flush()
            os.fsync(file.fileno())  # on disk before it takes the place of another
            file.close()
            os.chmod(file.name, 0o666 & ~_umask())
            os.replace(file.name, path)
        except BaseException as error:
            Path(file.name).unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise InputError(f"{path} cannot be written ({one_line(error)}); choose another place") from None
            raise


def _save_object(picture: Image.Image, path: AnyPath, exif: Image.Exif) -> None:
    """An object is there when all of it is."""
    check_format(path)
    whole = io.BytesIO()
    picture.save(whole, exif=exif, **_SAVE_OPTIONS[path.suffix.lower()])
    write_object(path, whole.getvalue())


def check_writable(path: AnyPath) -> None:
    """Raises InputError where `save` to this path would fail: extension, folder, permission."""
    check_format(path)
    with reaching(path):
        if path.is_dir():
            raise InputError(f"{path} is a directory; give the path of the image to write")
    check_folder(path)


def check_format(path: AnyPath) -> None:
    """Raises InputError where the extension is that of no format."""
    if path.suffix.lower() not in _SAVE_OPTIONS:
        known = ", ".join(_SAVE_OPTIONS)
        raise InputError(f"{path} has the extension {path.suffix!r}; an image can be written as {known}")


def check_folder(path: AnyPath) -> None:
    """Raises InputError where a file cannot be made beside `path`."""
    if is_object(path):
        probe = path.parent / f"{UNFINISHED}probe"
        write_object(probe, b"")
        with contextlib.suppress(Exception):  # one may write and not delete
            probe.unlink()
        return
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.parent}; make it first")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise InputError(f"{path} cannot be written ({one_line(error)}); choose another folder") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _to_float(file: Image.Image) -> NumpyImage:
    """Decodes to (1, h, w, 3) in [0, 1], transparency laid on white."""
    if file.mode.startswith("I") or file.mode == "F":  # one channel of 16 or 32 bits, integer or float
        grey = np.asarray(file, np.float32)
        if file.mode != "F":
            grey = grey / 65535
        elif grey.max(initial=0) > 1:  # float files hold [0, 1] or, of scanners and microscopes, raw counts
            grey = grey / grey.max()
        grey = np.nan_to_num(np.clip(grey, 0, 1))
        return np.repeat(grey[None, :, :, None], 3, -1)
    alpha = file.convert("RGBA").getchannel("A") if file.has_transparency_data else None
    colour = np.asarray(_to_srgb(file), np.float32) / 255
    if alpha is not None:
        opacity = np.asarray(alpha, np.float32)[..., None] / 255
        colour = colour * opacity + (1 - opacity)
    return colour[None]


def _to_srgb(file: Image.Image) -> Image.Image:
    """Converts any 8-bit mode to RGB, through the embedded colour profile where there is a usable one."""
    profile = file.info.get("icc_profile")
    if file.mode in ("P", "PA", "RGBA", "LA", "La", "RGBa", "1"):
        file = file.convert("RGBA").convert("RGB") if file.mode != "1" else file.convert("RGB")
    if profile and file.mode in ("RGB", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(file, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            return converted or file.convert("RGB")
        except (ImageCms.PyCMSError, OSError):
            pass  # a broken profile, or one for another colour space: the plain conversion is what viewers show
    return file.convert("RGB")

"""From Pillow's images of any mode to float32 arrays (1, h, w, 3), RGB (sRGB), [0, 1]."""

import io

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageCms


def to_float(file: Image.Image) -> Float[np.ndarray, "1 h w 3"]:
    """Decodes an image, transparency laid on white.

    Args:
        file: of any mode.

    Returns:
        RGB in [0, 1].
    """
    if file.mode.startswith("I") or file.mode == "F":  # one channel of 16 or 32 bits, integer or float
        grey = np.asarray(file, np.float32)
        if file.mode != "F":
            grey = grey / 65535
        elif grey.max(initial=0) > 1:  # float files hold [0, 1] or, of scanners and microscopes, raw counts
            grey = grey / grey.max()
        grey = np.nan_to_num(np.clip(grey, 0, 1))
        return np.repeat(grey[None, :, :, None], 3, -1)
    alpha = file.convert("RGBA").getchannel("A") if file.has_transparency_data else None
    colour = np.asarray(to_srgb(file), np.float32) / 255
    if alpha is not None:
        opacity = np.asarray(alpha, np.float32)[..., None] / 255
        colour = colour * opacity + (1 - opacity)
    return colour[None]


def to_srgb(file: Image.Image) -> Image.Image:
    """Converts any 8-bit mode to sRGB, through the embedded colour profile where there is a usable one.

    Args:
        file: of any mode with 8 bits a channel or fewer.

    Returns:
        Of mode RGB.
    """
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

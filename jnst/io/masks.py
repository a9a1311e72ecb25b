"""Masks from image files: greyscale, white where something acts; or colour-coded, a region a colour."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jnst.errors import InputError
from jnst.io import image
from jnst.io.paths import AnyPath

Mask = Float[np.ndarray, "1 h w 1"]
Color = tuple[int, int, int]
"""RGB, each 0, 1 or 2 halves of full light"""
LEAST_WIDTH = 5
"""in pixels, of a square somewhere in a region, so that the mixed colours along edges are none"""
ASPECT = 0.02
"""by how much the aspect ratios of a mask and its picture may differ"""


def load_mask(path: AnyPath, size: tuple[int, int]) -> Mask:
    """Reads a greyscale mask.

    Args:
        path: of an image; of a coloured one the mean of the channels counts.
        size: (height, width) of the mask.

    Returns:
        Weights in [0, 1].

    Raises:
        InputError: as of `image.load`; another shape than the picture's; black all over.
    """
    _check_shape(path, image.load(path), size)
    mask = image.load(path, size=size).mean(-1, keepdims=True)
    if mask.max() < 1 / 255:
        raise InputError(f"{path} is black all over; a mask is white where something is meant")
    return mask


def load_region(path: AnyPath, color: Color, size: tuple[int, int]) -> Mask:
    """Reads one region of a colour-coded image.

    Args:
        path: of the image.
        color: of the region, one of `region_colors`.
        size: (height, width) of the mask.

    Returns:
        1 in the region, 0 outside, between them along its edge where the size is another.

    Raises:
        InputError: as of `load_mask`.
    """
    pixels = image.load(path)
    _check_shape(path, pixels, size)
    colors = region_colors(path)
    distance = [np.square(pixels - np.array(c) / 2).sum(-1) for c in colors]
    region = np.argmin(distance, 0) == colors.index(color)
    return image.resize(np.repeat(region[..., None].astype(np.float32), 3, -1), *size)[..., :1]


def region_colors(path: AnyPath) -> list[Color]:
    """Returns the colours of a colour-coded image's regions: every channel dark, half or full.

    Args:
        path: of the image.

    Raises:
        InputError: as of `image.load`.
    """
    codes = np.rint(image.load(path)[0] * 2).astype(int) @ np.array([9, 3, 1])
    squares = np.lib.stride_tricks.sliding_window_view(codes, (LEAST_WIDTH, LEAST_WIDTH))
    middle = squares[..., 0, 0]
    found = np.unique(middle[(squares == middle[..., None, None]).all((-2, -1))]).tolist()
    return [(code // 9, code // 3 % 3, code % 3) for code in found]


def name_of(color: Color) -> str:
    """Returns a colour as HTML has it.

    Args:
        color: of a region.
    """
    return "#" + "".join(f"{min(255, 128 * part):02x}" for part in color)


def common_colors(photograph: AnyPath, paintings: Sequence[AnyPath]) -> list[list[Color]]:
    """Returns the regions of each painting that the photograph has, too.

    Args:
        photograph: its colour-coded image.
        paintings: theirs.

    Raises:
        InputError: one that shares no colour with the photograph.
    """
    own, shared = region_colors(photograph), []
    for path in paintings:
        theirs = region_colors(path)
        both = [color for color in theirs if color in own]
        if not both:
            names = (", ".join(map(name_of, colors)) for colors in (theirs, own))
            raise InputError("{} has no region in a colour of {}: {} there, {} here".format(path, photograph, *names))
        shared.append(both)
    return shared


def _check_shape(path: AnyPath, pixels: np.ndarray, size: tuple[int, int]) -> None:
    (height, width), (h, w) = pixels.shape[1:3], size
    if abs(np.log(height * w / (width * h))) > ASPECT + 1 / min(size) + 1 / min(height, width):
        raise InputError(f"{path} is {width}x{height} pixels, its picture {w}x{h}; a mask has its picture's shape")

"""The sizes at which pictures are computed, from those of their files: of single pictures, batches and the studio."""

from jnst.errors import InputError
from jnst.io import image
from jnst.io.paths import AnyPath
from jnst.network.architecture import MIN_SIDE

Size = tuple[int, int]
"""(height, width) in pixels"""


def content_size(path: AnyPath, size: Size, image_size: int, *, upscale: bool = False) -> Size:
    """Returns the size of the result.

    Args:
        path: of the content, for messages.
        size: of its file.
        image_size: longer side of the result; 0: the file's.
        upscale: whether a smaller file is enlarged.

    Raises:
        InputError: a side under 32 pixels, with the image size that would do.
    """
    longer = max(size)
    if upscale and 0 < longer < image_size:
        height, width = (max(1, round(side * image_size / longer)) for side in size)
    else:
        height, width = image.fit(size, image_size)
    if min(height, width) >= MIN_SIDE:
        return height, width
    given = f"{path} is {size[1]}x{size[0]} pixels"
    if min(size) < MIN_SIDE:
        raise InputError(f"{given}; both sides need at least {MIN_SIDE}")
    enough = -(-MIN_SIDE * longer // min(size))
    raise InputError(
        f"{given}, {width}x{height} at `image_size` {image_size}; both sides need at least {MIN_SIDE}: give "
        f"`image_size` {enough}"
    )


def style_size(path: AnyPath, size: Size, longer: int) -> Size:
    """Returns the size of a style image, of which only statistics count: a strip is kept wide enough for them.

    Args:
        path: of the style image, for messages.
        size: of its file.
        longer: most pixels of its longer side, if the shorter one then has 32; it is never enlarged.

    Raises:
        InputError: a file with a side under 32 pixels.
    """
    shorter = min(size)
    if shorter < MIN_SIDE:
        raise InputError(f"{path} is {size[1]}x{size[0]} pixels; both sides need at least {MIN_SIDE}")
    height, width = image.fit(size, max(longer, -(-MIN_SIDE * max(size) // shorter)))
    return max(height, MIN_SIDE), max(width, MIN_SIDE)

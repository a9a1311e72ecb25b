"""Sizes of pictures that repeat, rounded as they must be, and said so."""

from jnst.cli.terminal import log
from jnst.config import Config
from jnst.io.paths import AnyPath
from jnst.sizes import Size
from jnst.tileable import fitting_size, unit_of


def tileable_size(path: AnyPath, size: Size, config: Config, *, quiet: bool) -> Size:
    """Returns the size of the result with the sides that wrap rounded as they must be; says so where it is another.

    Args:
        path: of the content, for messages.
        size: that was asked for.
        config: settings.
        quiet: whether to say nothing.
    """
    if config.tileable == "no":
        return size
    height, width = fitting_size(size, config)
    if (height, width) != size:
        log(f"{path}: {width}x{height} instead of {size[1]}x{size[0]} pixels, multiples of "
            f"{unit_of((height, width), config)}, so that the picture repeats without a seam", quiet=quiet)  # fmt: skip
    return height, width

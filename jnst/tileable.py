"""Sizes of pictures that repeat without a seam: along an axis that wraps, every pooling and halving must come out even.

A row that a pooling leaves over would lie between the two edges that meet. So a side that wraps is a multiple of the
deepest layer's stride, times 2 for each further level at which the style is compared. Needs no JAX.
"""

from jnst.config import Config
from jnst.errors import InputError
from jnst.losses.sizes import SMALLEST_LEVEL, Scale, pyramid_levels, scales
from jnst.network.architecture import stride_of

Size = tuple[int, int]
"""(height, width) in pixels"""


def unit_of(size: Size, config: Config) -> int:
    """Returns what the sides that wrap must be multiples of.

    Args:
        size: (height, width) of the result in pixels, which says how many levels it has.
        config: settings.
    """
    content, style = config.active_losses()
    levels = pyramid_levels(min(size), config.style_pyramid_levels, smallest=SMALLEST_LEVEL)
    units = [stride_of(layer) for layer in config.content_layers if content]
    units += [stride_of(layer) * 2 ** (levels - 1) for layer in config.style_layers if style]
    return max(units)


def fitting_size(size: Size, config: Config) -> Size:
    """Returns the nearest size whose wrapping sides are multiples of `unit_of`, of two the larger.

    Args:
        size: (height, width) in pixels, each at least 32.
        config: settings.
    """
    before = None
    while size != before:  # a side that is rounded up may give room for one more level
        before, unit = size, unit_of(size, config)
        height, width = (max(1, (side + unit // 2) // unit) * unit for side in size)
        size = height if "y" in config.tileable else size[0], width if "x" in config.tileable else size[1]
    return size


def plan_scales(size: Size, config: Config) -> list[Scale]:
    """Returns the scales of a run, coarsest first: `losses.sizes.scales`, each brought to a size that can wrap.

    Args:
        size: (height, width) of the result in pixels.
        config: settings.

    Raises:
        InputError: scales that the image has no room for; a size that cannot wrap, with the nearest that can.
    """
    planned = scales(*size, config.iterations, config.scales)
    if config.tileable == "no":
        return planned
    height, width = fitting_size(size, config)
    if (height, width) != size:
        raise InputError(
            f"`tileable` {config.tileable} needs sides that are multiples of {unit_of((height, width), config)}, got "
            f"{size[1]}x{size[0]}; give a content of {width}x{height}",
            field="tileable",
        )
    fitted = (fitting_size((scale.height, scale.width), config) for scale in planned)
    return [scale._replace(height=h, width=w) for scale, (h, w) in zip(planned, fitted, strict=True)]

"""Sizes of a run: its scales, coarse to fine, and how many levels one image's style is compared at. Needs no JAX.

Scales: conv5_1 of VGG-19 has a receptive field of about 170 pixels (`windows.receptive_radius`: 85 to the right), so on
a large image the style statistics constrain small structures only. A coarse scale is painted first, and each finer one
starts from its result (Gatys, Ecker, Bethge, Hertzmann, Shechtman, "Controlling Perceptual Factors in Neural Style
Transfer", CVPR 2017, section 6).
"""

from collections.abc import Sequence
from typing import NamedTuple

from jnst.errors import InputError
from jnst.network.architecture import MIN_SIDE

COARSEST = 96  # longer side below which `auto` adds no further scale
FACTOR = 2.0
"""between one scale and the next"""
SMALLEST_LEVEL = 60
"""shorter side below which a run compares no style: there conv5_1 sees what a painting shows, not how it is painted"""


class Scale(NamedTuple):
    """One scale of a run: the result's size in pixels, and how many iterations are spent on it."""

    height: int
    width: int
    iterations: int


def scales(height: int, width: int, iterations: int, requested: Sequence[int | str]) -> list[Scale]:
    """Plans the scales of a run, coarsest first; the last has the image's own size.

    Args:
        height: of the result, in pixels.
        width: of the result, in pixels.
        iterations: of the whole run, shared out equally.
        requested: ("auto",), or (number of scales,), or longer sides in pixels, as `Config.scales` holds them.

    Returns:
        At least one scale; their iterations sum to `iterations`.

    Raises:
        InputError: a scale that is larger than the image or has a side below 32 pixels.
    """
    longer, shorter = max(height, width), min(height, width)
    sides = [*_longer_sides(longer, shorter, requested), longer]
    for side in sides[:-1]:
        if side >= longer:
            raise InputError(f"`scales` {side} must be smaller than the image, {width}x{height}, which comes last")
        if round(shorter * side / longer) < MIN_SIDE:
            size = f"{round(width * side / longer)}x{round(height * side / longer)}"
            raise InputError(f"`scales` {side} makes an image of {size}; sides must be at least {MIN_SIDE} pixels")
    sides = sides[-max(1, min(len(sides), iterations)) :]  # no scale without an iteration
    share, rest = divmod(iterations, len(sides))
    counts = [share + (k >= len(sides) - rest) for k in range(len(sides))]
    return [
        Scale(round(height * side / longer), round(width * side / longer), count)
        for side, count in zip(sides, counts, strict=True)
    ]


def _longer_sides(longer: int, shorter: int, requested: Sequence[int | str]) -> list[int]:
    """All but the last."""
    if requested[0] == "auto":
        count = 1
        while longer / FACTOR**count >= COARSEST and shorter / FACTOR**count >= MIN_SIDE:
            count += 1
    elif len(requested) == 1 and int(requested[0]) < MIN_SIDE:
        count = int(requested[0])
        most = 1
        while round(shorter / FACTOR**most) >= MIN_SIDE:
            most += 1
        if count > most:
            raise InputError(
                f"`scales` {count} is too many: this image has room for {most}, of sides of {MIN_SIDE} and up"
            )
    else:
        return [int(side) for side in requested if int(side) != longer]
    return [round(longer / FACTOR**k) for k in range(count - 1, 0, -1)]


def pyramid_levels(shortest_side: int, requested: int, *, smallest: int = MIN_SIDE) -> int:
    """Counts the levels at which the style can be compared.

    Args:
        shortest_side: of all images that are compared, in pixels.
        requested: at most so many, at least 1.
        smallest: side in pixels below which no level but the first may have one, at least 32.

    Returns:
        1 to `requested`.
    """
    count = 1
    while count < requested and shortest_side // 2**count >= smallest:
        count += 1
    return count

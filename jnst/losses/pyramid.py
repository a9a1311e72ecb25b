"""Coarse to fine: the sizes of a run's scales and how its iterations are spread over them.

A network sees some hundred pixels at most, so on a large image alone it paints fine strokes only. So a coarse scale is
painted first, and each finer one starts from what the last one found (Gatys, Ecker, Bethge, Hertzmann, Shechtman,
"Controlling Perceptual Factors in Neural Style Transfer", CVPR 2017, section 6).
"""

from collections.abc import Sequence
from typing import NamedTuple

from jnst.errors import InputError
from jnst.network.architecture import MIN_SIDE

COARSEST = 64  # longer side below which `auto` adds no further scale
FACTOR = 2.0
"""between one scale and the next"""


class Scale(NamedTuple):
    """One scale of a run."""

    height: int
    width: int
    iterations: int


def scales(height: int, width: int, iterations: int, wanted: Sequence[int | str]) -> list[Scale]:
    """The scales of a run, coarsest first; the last has the image's own size.

    Args:
        height, width: of the result, in pixels.
        iterations: of the whole run, shared out equally.
        wanted: ("auto",), or (number of scales,), or longer sides in pixels, as `Config.scales` holds them.

    Raises:
        InputError: a scale that is larger than the image or has a side below 32 pixels.
    """
    longer, shorter = max(height, width), min(height, width)
    sides = [*_longer_sides(longer, shorter, wanted), longer]
    for side in sides[:-1]:
        if side >= longer:
            raise InputError(f"--scales {side} must be smaller than the image, {width}x{height}, which comes last")
        if round(shorter * side / longer) < MIN_SIDE:
            given = f"{round(width * side / longer)}x{round(height * side / longer)}"
            raise InputError(f"--scales {side} makes an image of {given}; sides must be at least {MIN_SIDE} pixels")
    sides = sides[-max(1, min(len(sides), iterations)) :]  # no scale without an iteration
    share, rest = divmod(iterations, len(sides))
    counts = [share + (k >= len(sides) - rest) for k in range(len(sides))]
    return [
        Scale(round(height * side / longer), round(width * side / longer), count)
        for side, count in zip(sides, counts, strict=True)
    ]


def _longer_sides(longer: int, shorter: int, wanted: Sequence[int | str]) -> list[int]:
    """All but the last."""
    if wanted[0] == "auto":
        count = 1
        while longer / FACTOR**count >= COARSEST and shorter / FACTOR**count >= MIN_SIDE:
            count += 1
    elif len(wanted) == 1 and int(wanted[0]) < MIN_SIDE:
        count = int(wanted[0])
        most = 1
        while round(shorter / FACTOR**most) >= MIN_SIDE:
            most += 1
        if count > most:
            raise InputError(
                f"--scales {count} is too many: this image has room for {most}, of sides of {MIN_SIDE} and up"
            )
    else:
        return [int(side) for side in wanted if int(side) != longer]
    return [round(longer / FACTOR**k) for k in range(count - 1, 0, -1)]

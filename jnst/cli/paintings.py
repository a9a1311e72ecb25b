"""Several paintings as one style, and where each acts: what the command line or a row names, brought into one form."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from jnst.cli.folders import list_images
from jnst.cli.options import Options, StyleOptions
from jnst.errors import InputError
from jnst.io import masks
from jnst.io.masks import Color
from jnst.io.paths import AnyPath, is_folder
from jnst.io.pipes import STANDARD_INPUT

MASKS, WEIGHTS = ("content_masks", "style_masks", "regions"), "style_blend_weights"
"""names of options, columns and keys of recipes: of files, and of numbers"""
EVERYWHERE = Path("all")
"""stands for a mask that is none"""


@dataclass(frozen=True)
class MaskFile:
    """A mask in a file."""

    path: AnyPath
    color: Color | None = None
    """of a region in a colour-coded image; None: the image is grey"""

    @property
    def load(self) -> Callable[..., Any]:
        """The function (size=) that reads it."""
        if self.color is None:
            return partial(masks.load_mask, self.path)
        return partial(masks.load_region, self.path, self.color)


@dataclass(frozen=True)
class Painting:
    """One of the paintings of a style."""

    path: AnyPath
    weight: float = 1.0
    mask: MaskFile | None = None
    """where in the result it acts; None: everywhere"""
    own_mask: MaskFile | None = None
    """which part of it is meant; None: all of it"""

    @property
    def files(self) -> tuple[AnyPath, ...]:
        """All that is read."""
        return (self.path, *(mask.path for mask in (self.mask, self.own_mask) if mask is not None))


@dataclass(frozen=True)
class Blend:
    """What is given beside the paintings' paths."""

    weights: tuple[float, ...] | None = None
    content_masks: tuple[AnyPath, ...] = ()
    style_masks: tuple[AnyPath, ...] = ()
    regions: tuple[AnyPath, ...] = ()


def is_blend(options: Options) -> bool:
    """Returns whether the command line says more of the style than the path of a painting, or of a folder of them.

    Args:
        options: of the command line.
    """
    return bool(options.more_styles) or options.mixture != StyleOptions()


def paintings_of(options: Options) -> tuple[Painting, ...]:
    """Returns the paintings of the style that the command line names.

    Args:
        options: of the command line, with a style.

    Raises:
        InputError: as of `blend`; a folder without pictures.
    """
    paths = [path for place in (options.style, *options.more_styles) for path in _pictures(place, options)]
    given = options.mixture
    return blend(paths, Blend(given.style_blend_weights, given.content_masks, given.style_masks, given.regions))


def _pictures(place: AnyPath, options: Options) -> list[AnyPath]:
    """What a STYLE stands for: itself, or the pictures of a folder."""
    if place == STANDARD_INPUT or not is_folder(place):
        return [place]
    return list_images(place, quiet=options.report.quiet)


def blend(paths: Sequence[AnyPath], given: Blend) -> tuple[Painting, ...]:
    """Returns the paintings of one style.

    Args:
        paths: of the paintings.
        given: weights and masks; `EVERYWHERE` in place of a mask that is none.

    Returns:
        As many paintings, or with regions one for each region of each.

    Raises:
        InputError: other numbers of weights or masks than paintings, or regions that have no colour in common.
    """
    count = len(paths)
    weights = _weights(given.weights, count)
    for name, files, need in (("content_masks", given.content_masks, count), ("style_masks", given.style_masks, count),
                              ("regions", given.regions, count + 1)):  # fmt: skip
        if len(files) not in (0, need):
            what = f"{need} images, the photograph's and one a painting" if name == "regions" else _one_each(need)
            raise InputError(f"`{name}` must be {what}, got {len(files)}")
    if given.regions and (given.content_masks or given.style_masks):
        raise InputError("`regions` stands without `content_masks` and `style_masks`; give one of the two")
    paintings = [Painting(path, weight) for path, weight in zip(paths, weights, strict=True)]
    for name, files in (("mask", given.content_masks), ("own_mask", given.style_masks)):
        for k, file in enumerate(files):
            if file != EVERYWHERE:
                paintings[k] = replace(paintings[k], **{name: MaskFile(file)})
    return _by_regions(paintings, given.regions) if given.regions else tuple(paintings)


def unblend(paintings: Sequence[Painting]) -> tuple[list[AnyPath], Blend]:
    """Returns what `blend` made paintings of.

    Args:
        paintings: of one style.

    Returns:
        Paths, and what is given beside them, the weights summing to the number of paintings.
    """
    regions = [p for p in paintings if p.mask is not None and p.mask.color is not None]
    if regions:
        each = list({(p.path, p.own_mask): p for p in reversed(regions) if p.own_mask}.values())[::-1]
        each = list({(p.path, p.own_mask.path): p for p in each if p.own_mask}.values())
        files = [p.mask.path for p in each[:1] if p.mask] + [p.own_mask.path for p in each if p.own_mask]
        given = Blend(regions=tuple(files))
    else:
        each = list(paintings)
        masks_of = [[EVERYWHERE if m is None else m.path for m in ms]
                    for ms in ([p.mask for p in each], [p.own_mask for p in each])]  # fmt: skip
        given = Blend(None, *(() if set(files) == {EVERYWHERE} else tuple(files) for files in masks_of))
    weights = tuple(p.weight for p in each)
    return [p.path for p in each], given if set(weights) == {1.0} else replace(given, weights=weights)


def _one_each(count: int) -> str:
    return "one image, or all" if count == 1 else f"{count} images, one a painting (all: everywhere)"


def _weights(weights: Sequence[float] | None, count: int) -> list[float]:
    """Which sum to the number of paintings."""
    numbers = [1.0] * count if weights is None else list(weights)
    if len(numbers) != count:
        raise InputError(f"`style_blend_weights` must be {count} numbers, one a painting, got {len(numbers)}")
    if not all(0 < number < math.inf for number in numbers):
        raise InputError("`style_blend_weights` must be finite numbers above 0; leave out a painting that is not meant")
    return [count * number / sum(numbers) for number in numbers]


def _by_regions(paintings: Sequence[Painting], regions: Sequence[AnyPath]) -> tuple[Painting, ...]:
    """Every region of every painting as a painting of its own."""
    photograph, *others = regions
    shared = masks.common_colors(photograph, others)
    return tuple(
        replace(painting, mask=MaskFile(photograph, color), own_mask=MaskFile(region, color))
        for painting, region, colors in zip(paintings, others, shared, strict=True)
        for color in colors
    )

"""Which images share a compiled program: each lies in the corner of a canvas, and a few canvases hold all sizes."""

from collections.abc import Mapping

import numpy as np

Size = tuple[int, int]
"""(height, width) in pixels"""

WASTE = 0.12
"""share of all computed pixels that may lie outside the images"""
MOST_SIZES = 60  # of different sizes that are looked at one by one


def canvases(counts: Mapping[Size, int], *, waste: float = WASTE) -> dict[Size, Size]:
    """The canvas of each size: as few as keep the waste below `waste`, merged from the cheapest pair on.

    Args:
        counts: how many images have each size.
        waste: of all canvases' pixels, the share that may be empty.
    """
    unit = 1
    while len({_round_up(size, unit) for size in counts}) > MOST_SIZES:
        unit *= 2
    groups: dict[Size, list[Size]] = {}
    for size in counts:
        groups.setdefault(_round_up(size, unit), []).append(size)
    image = sum(n * h * w for (h, w), n in counts.items())

    def number(canvas: Size) -> int:
        return sum(counts[size] for size in groups[canvas])

    def extra(a: Size, b: Size) -> int:
        """Pixels that one canvas for both would cost more."""
        both = max(a[0], b[0]) * max(a[1], b[1])
        return both * (number(a) + number(b)) - a[0] * a[1] * number(a) - b[0] * b[1] * number(b)

    computed = sum(c[0] * c[1] * number(c) for c in groups)
    while len(groups) > 1:
        names = sorted(groups)
        cost, a, b = min((extra(a, b), a, b) for k, a in enumerate(names) for b in names[:k])
        if computed + cost > image / (1 - waste):
            break
        computed += cost
        members = groups.pop(a) + groups.pop(b)
        groups.setdefault((max(a[0], b[0]), max(a[1], b[1])), []).extend(members)
    return {size: canvas for canvas, members in groups.items() for size in members}


def in_corner(image: np.ndarray, canvas: Size) -> np.ndarray:
    """An image (n, h, w, c) in the first corner of its canvas, zero beyond it."""
    below, beside = canvas[0] - image.shape[1], canvas[1] - image.shape[2]
    return np.pad(image, ((0, 0), (0, below), (0, beside), (0, 0)))


def _round_up(size: Size, unit: int) -> Size:
    return -(-size[0] // unit) * unit, -(-size[1] // unit) * unit

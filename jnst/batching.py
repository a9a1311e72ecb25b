"""Which images share a compiled program: each is padded to one of a few sizes that hold them all (bucketing)."""

from collections.abc import Mapping

import numpy as np

Size = tuple[int, int]
"""(height, width) in pixels"""

MAX_PADDING_FRACTION = 0.12
"""share of all computed pixels that may lie outside the images"""
MAX_SIZES = 60  # of different sizes that are merged one by one; beyond, sizes are first rounded up


def bucket_sizes(counts: Mapping[Size, int], *, max_padding: float = MAX_PADDING_FRACTION) -> dict[Size, Size]:
    """Returns the padded size of each size: as few as keep the padding small, merged from the cheapest pair on.

    Args:
        counts: how many images have each (height, width).
        max_padding: of all computed pixels, the share that may be empty, 0 to 1.
    """
    unit = 1
    while len({_round_up(size, unit) for size in counts}) > MAX_SIZES:
        unit *= 2
    groups: dict[Size, list[Size]] = {}
    for size in counts:
        groups.setdefault(_round_up(size, unit), []).append(size)
    image = sum(n * h * w for (h, w), n in counts.items())

    def number(padded: Size) -> int:
        return sum(counts[size] for size in groups[padded])

    def extra(a: Size, b: Size) -> int:
        """Pixels that one padded size for both would cost more."""
        both = max(a[0], b[0]) * max(a[1], b[1])
        return both * (number(a) + number(b)) - a[0] * a[1] * number(a) - b[0] * b[1] * number(b)

    computed = sum(c[0] * c[1] * number(c) for c in groups)
    while len(groups) > 1:
        names = sorted(groups)
        cost, a, b = min((extra(a, b), a, b) for k, a in enumerate(names) for b in names[:k])
        if computed + cost > image / (1 - max_padding):
            break
        computed += cost
        members = groups.pop(a) + groups.pop(b)
        groups.setdefault((max(a[0], b[0]), max(a[1], b[1])), []).extend(members)
    return {size: padded for padded, members in groups.items() for size in members}


def pad_to(image: np.ndarray, size: Size) -> np.ndarray:
    """Returns an image (n, h, w, c) in the first corner of a larger array, zero beyond it.

    Args:
        image: on the host.
        size: (height, width) of the array, no smaller than the image.
    """
    below, beside = size[0] - image.shape[1], size[1] - image.shape[2]
    return np.pad(image, ((0, 0), (0, below), (0, beside), (0, 0))) if below or beside else image


def _round_up(size: Size, unit: int) -> Size:
    return -(-size[0] // unit) * unit, -(-size[1] // unit) * unit

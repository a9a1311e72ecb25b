"""Which images share a compiled program: each lies in the corner of one of a few canvases, which are known beforehand.

A canvas depends on the image's size alone, not on the other images of a batch. So two photographs of near shapes share
all programs, in one batch or in two runs, and a picture is the same whatever else is painted beside it.
"""

import numpy as np

Size = tuple[int, int]
"""(height, width) in pixels"""

MAX_PADDING_FRACTION = 0.12
"""share of a canvas that may lie outside its image"""
ASPECTS = (1, 0.85, 0.75, 0.645, 0.57, 0.5, 0.44, 0.385, 0.34, 0.3, 0.265, 0.235)
"""shorter side over the longer one: 3:4 holds 2:3 as well, which are what cameras have; 0.57 is for 9:16"""


def canvas_of(size: Size) -> Size:
    """Returns the canvas of an image.

    Args:
        size: (height, width) of the image.

    Returns:
        (height, width), no smaller, with at most MAX_PADDING_FRACTION of its pixels outside the image: the longer side
        rounded up to one of 16 to 32 values an octave, the shorter one by ASPECTS; where that is too much, both to
        multiples of 8; where that still is, the image's own size.
    """
    longer, shorter = max(size), min(size)
    length = _round_up(longer, max(8, 2 ** (longer.bit_length() - 5)))
    breadths = (_round_up(length * aspect, 4 if length >= 128 else 1) for aspect in reversed(ASPECTS))
    breadth = next((breadth for breadth in breadths if breadth >= shorter), length)
    for canvas in ((length, breadth), (_round_up(longer, 8), _round_up(shorter, 8))):
        if longer * shorter >= (1 - MAX_PADDING_FRACTION) * canvas[0] * canvas[1]:
            return canvas if size[0] == longer else (canvas[1], canvas[0])
    return size


def even_slots(waiting: int, most: int) -> int:
    """Returns how many pictures to advance at a time, so that the last wave is as full as the others.

    Args:
        waiting: pictures in all, at least 1.
        most: that may be advanced at a time.
    """
    waves = -(-waiting // most)
    return -(-waiting // waves)


def pad_to(image: np.ndarray, size: Size) -> np.ndarray:
    """Returns an image (n, h, w, c) in the first corner of a larger array, zero beyond it.

    Args:
        image: on the host.
        size: (height, width) of the array, no smaller than the image.
    """
    below, beside = size[0] - image.shape[1], size[1] - image.shape[2]
    return np.pad(image, ((0, 0), (0, below), (0, beside), (0, 0))) if below or beside else image


def _round_up(length: float | int, unit: int) -> int:
    return -int(-length // unit) * unit

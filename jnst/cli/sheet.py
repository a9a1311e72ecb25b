"""The contact sheet of a batch: small pictures in rows and columns."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jnst.cli.jobfile import BatchRow
from jnst.errors import InputError
from jnst.io import image
from jnst.io.paths import AnyPath

GAP = 6  # pixels around each cell
SHEET_SIDE = 160  # longer side of a picture on the contact sheet, in pixels


def contact_sheet(cells: Sequence[Sequence[AnyPath | None]], side: int) -> Float[np.ndarray, "1 h w 3"]:
    """Returns pictures in rows and columns on white, each in the middle of its cell.

    Args:
        cells: a path for each cell, row by row, all rows of one length. None leaves a gap, and so does a file that is
            no picture.
        side: most that the longer side of a picture has, in pixels.

    Returns:
        RGB in [0, 1].
    """
    step = side + GAP
    sheet = np.ones((1, GAP + len(cells) * step, GAP + len(cells[0]) * step, 3), np.float32)
    for row, paths in enumerate(cells):
        for column, path in enumerate(paths):
            if path is None:
                continue
            try:
                small = image.load(path, image_size=side)
            except (InputError, OSError):
                continue
            height, width = small.shape[1:3]
            top = GAP + row * step + (side - height) // 2
            left = GAP + column * step + (side - width) // 2
            sheet[:, top : top + height, left : left + width] = small
    return sheet


def write_sheet(rows: Sequence[BatchRow], path: AnyPath) -> None:
    """Writes all results that are there as one picture, content down the side and style along the top.

    Args:
        rows: of the batch.
        path: of the sheet.
    """
    contents, styles = (list(dict.fromkeys(getattr(row, name) for row in rows)) for name in ("content", "style"))
    outputs = {(row.content, row.style): row.output for row in rows}
    cells = [[None, *styles], *([c, *(outputs.get((c, style)) for style in styles)] for c in contents)]
    image.save(contact_sheet(cells, SHEET_SIDE), path)

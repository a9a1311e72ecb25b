"""From rows to jobs of the scheduler: the heads of the files are read now, the images when they are needed."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from jnst.cli.jobfile import REQUESTS, BatchRow
from jnst.config import INIT_NAMES
from jnst.errors import InputError
from jnst.io import decode, image
from jnst.io.paths import AnyPath, parse_path
from jnst.network.architecture import MIN_SIDE

if TYPE_CHECKING:
    from jnst.jobs import Job, Picture


def make_jobs(rows: Sequence[BatchRow], failures: dict[BatchRow, str]) -> list["Job"]:
    """Returns the jobs of rows whose images can be read, by the heads of the files; the images are loaded later.

    Args:
        rows: to paint.
        failures: gets the others, and why.
    """
    starts = [parse_path(row.config.init) for row in rows if row.config.init not in INIT_NAMES]
    files = list(dict.fromkeys([*(path for row in rows for path in (row.content, row.style)), *starts]))
    with ThreadPoolExecutor(REQUESTS) as pool:
        sizes = dict(zip(files, pool.map(_image_size, files), strict=True))
    jobs = []
    for row in rows:
        try:
            jobs.append(make_job(row, sizes))
        except InputError as error:
            failures[row] = str(error)
    return jobs


def make_job(row: BatchRow, sizes: Mapping[AnyPath, tuple[int, int] | InputError]) -> "Job":
    """Returns a row as a job, its images to be loaded later.

    Args:
        row: of the batch.
        sizes: (height, width) of each file, or what is wrong with it.

    Raises:
        InputError: a file that is no image, or a too small one.
    """
    from jnst.jobs import Job, Picture

    content = _picture(row.content, sizes[row.content], row.image_size)
    side = round(max(content.size) * row.style_scale)
    style = _picture(row.style, sizes[row.style], side)
    if row.config.init in INIT_NAMES:
        return Job(content, style, row.config, row)
    path, (height, width) = parse_path(row.config.init), content.size
    start_size = sizes[path]
    if isinstance(start_size, InputError):
        raise start_size
    init = Picture((path, content.size), content.size, partial(image.load, path, size=(height, width)))
    return Job(content, style, row.config, row, init=init)


def _image_size(path: AnyPath) -> tuple[int, int] | InputError:
    """(height, width) of a file, or why it has none."""
    try:
        return decode.read_size(path)
    except InputError as error:
        return error


def _picture(path: AnyPath, size: tuple[int, int] | InputError, image_size: int) -> "Picture":
    from jnst.jobs import Picture

    if isinstance(size, InputError):
        raise size
    height, width = image.fit(size, image_size)
    if min(height, width) < MIN_SIDE:
        raise InputError(f"{path} is {width}x{height} pixels; both sides need at least {MIN_SIDE}")
    return Picture((path, image_size), (height, width), partial(image.load, path, image_size=image_size))

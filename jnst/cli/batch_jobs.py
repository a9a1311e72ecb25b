"""From rows to jobs of the scheduler: the heads of the files are read now, the images when they are needed."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from jnst.cli.jobfile import REQUESTS, BatchRow
from jnst.cli.options import render
from jnst.cli.sizes import Size, content_size, style_size
from jnst.config import INIT_NAMES
from jnst.errors import InputError
from jnst.io import decode, image
from jnst.io.paths import AnyPath, parse_path

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
            failures[row] = render(error)
    return jobs


def make_job(row: BatchRow, sizes: Mapping[AnyPath, Size | InputError]) -> "Job":
    """Returns a row as a job, its images to be loaded later.

    Args:
        row: of the batch.
        sizes: (height, width) of each file, or what is wrong with it.

    Raises:
        InputError: a file that is no image, or a too small one.
    """
    from jnst.jobs import Job

    size = content_size(row.content, _known(sizes[row.content]), row.image_size, upscale=row.upscale)
    content = _picture(row.content, size)
    style = _picture(row.style, style_size(row.style, _known(sizes[row.style]), round(max(size) * row.style_scale)))
    if row.config.init in INIT_NAMES:
        return Job(content, style, row.config, row)
    path = parse_path(row.config.init)
    _known(sizes[path])
    return Job(content, style, row.config, row, init=_picture(path, size))


def _image_size(path: AnyPath) -> Size | InputError:
    """(height, width) of a file, or why it has none."""
    try:
        return decode.read_size(path)
    except InputError as error:
        return error


def _known(size: Size | InputError) -> Size:
    """A size, where the file has one."""
    if isinstance(size, InputError):
        raise size
    return size


def _picture(path: AnyPath, size: Size) -> "Picture":
    """An image that will have that size when it is loaded."""
    from jnst.jobs import Picture

    return Picture((path, size), size, partial(image.load, path, size=size))

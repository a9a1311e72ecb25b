"""From rows to jobs of the scheduler: the heads of the files are read now, the images when they are needed."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from jnst.cli.jobfile import REQUESTS, BatchRow
from jnst.cli.options import render
from jnst.cli.sizes import Size, content_size, style_size, tileable_size
from jnst.config import INIT_NAMES
from jnst.errors import InputError
from jnst.io import decode, image
from jnst.io.decode import Head
from jnst.io.paths import AnyPath, parse_path

if TYPE_CHECKING:
    from jnst.jobs import Job, Picture


def make_jobs(
    rows: Sequence[BatchRow], failures: dict[BatchRow, str], *, keep_alpha: bool = True, quiet: bool = False
) -> list["Job"]:
    """Returns the jobs of rows whose images can be read, by the heads of the files; the images are loaded later.

    Args:
        rows: to paint.
        failures: gets the others, and why.
        keep_alpha: whether transparent places are left out of what is styled.
        quiet: whether to say nothing of sizes that are rounded.
    """
    starts = [parse_path(row.config.init) for row in rows if row.config.init not in INIT_NAMES]
    files = list(dict.fromkeys([*(path for row in rows for path in (row.content, row.style)), *starts]))
    with ThreadPoolExecutor(REQUESTS) as pool:
        heads = dict(zip(files, pool.map(_head, files), strict=True))
    jobs = []
    for row in rows:
        try:
            jobs.append(make_job(row, heads, keep_alpha=keep_alpha, quiet=quiet))
        except InputError as error:
            failures[row] = render(error)
    return jobs


def make_job(
    row: BatchRow, heads: Mapping[AnyPath, Head | InputError], *, keep_alpha: bool = True, quiet: bool = False
) -> "Job":
    """Returns a row as a job, its images to be loaded later.

    Args:
        row: of the batch.
        heads: of each file, or what is wrong with it.
        keep_alpha: as of `make_jobs`.
        quiet: as of `make_jobs`.

    Raises:
        InputError: a file that is no image, or a too small one.
    """
    from jnst.jobs import Job

    head = _known(heads[row.content])
    size = content_size(row.content, head.size, row.image_size, upscale=row.upscale)
    size = tileable_size(row.content, size, row.config, quiet=quiet)
    longer = round(max(size) * row.style_scale)
    style = _picture(row.style, style_size(row.style, _known(heads[row.style]).size, longer))
    mask = _picture(row.content, size, image.read_style_mask) if head.is_transparent and keep_alpha else None
    job = Job(_picture(row.content, size), style, row.config, row, mask=mask)
    if row.config.init in INIT_NAMES:
        return job
    path = parse_path(row.config.init)
    _known(heads[path])
    return replace(job, init=_picture(path, size))


def _head(path: AnyPath) -> Head | InputError:
    """The head of a file, or what is wrong with it."""
    try:
        return decode.read_head(path)
    except InputError as error:
        return error


def _known(head: Head | InputError) -> Head:
    """A head, where the file has one."""
    if isinstance(head, InputError):
        raise head
    return head


def _picture(path: AnyPath, size: Size, load: Callable[..., Any] = image.load) -> "Picture":
    """An image, or the mask of one, that will have that size when it is loaded."""
    from jnst.jobs import Picture

    return Picture((path, size, load), size, partial(load, path, size=size))

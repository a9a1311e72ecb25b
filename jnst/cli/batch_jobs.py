"""From rows to jobs of the scheduler: the heads of the files are read now, the images when they are needed."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from jnst.cli.jobfile import REQUESTS, BatchRow
from jnst.cli.paintings import MaskFile, Painting
from jnst.cli.parsing import render
from jnst.cli.sizes import tileable_size
from jnst.config import INIT_NAMES
from jnst.errors import InputError
from jnst.io import decode, image
from jnst.io.decode import Head
from jnst.io.paths import AnyPath, parse_path
from jnst.io.style_file import is_style_file
from jnst.sizes import Size, content_size, style_size

if TYPE_CHECKING:
    from jnst.jobs import Job, Picture, Style
    from jnst.stored_style import StoredStyle


Load = Callable[..., Any]
"""reads the pixels of a file, as `image.load` does"""


def make_jobs(
    rows: Sequence[BatchRow],
    failures: dict[BatchRow, str],
    *,
    keep_alpha: bool = True,
    load: Load = image.load,
    quiet: bool = False,
) -> list["Job"]:
    """Returns the jobs of rows whose images can be read, by the heads of the files; the images are loaded later.

    Args:
        rows: to paint.
        failures: gets the others, and why.
        keep_alpha: whether transparent places are left out of what is styled.
        load: reads the pixels of a file: `image.load`, or what remembers more of it.
        quiet: whether to say nothing of sizes that are rounded.
    """
    starts = [parse_path(row.config.init) for row in rows if row.config.init not in INIT_NAMES]
    files = list(dict.fromkeys([*(path for row in rows for path in row.inputs), *starts]))
    with ThreadPoolExecutor(REQUESTS) as pool:
        heads = dict(zip(files, pool.map(_head, files), strict=True))
    jobs = []
    for row in rows:
        try:
            jobs.append(make_job(row, heads, keep_alpha=keep_alpha, load=load, quiet=quiet))
        except InputError as error:
            failures[row] = render(error)
    return jobs


def make_job(
    row: BatchRow,
    heads: "Mapping[AnyPath, Head | StoredStyle | InputError]",
    *,
    keep_alpha: bool = True,
    load: Load = image.load,
    quiet: bool = False,
) -> "Job":
    """Returns a row as a job, its images to be loaded later.

    Args:
        row: of the batch.
        heads: of each file, or what is wrong with it.
        keep_alpha: as of `make_jobs`.
        load: as of `make_jobs`.
        quiet: as of `make_jobs`.

    Raises:
        InputError: a file that is no image, or a too small one.
    """
    from jnst.jobs import Job

    head = _known(heads[row.content])
    if not isinstance(head, Head):
        raise InputError(f"{row.content} is a style file; give a photograph as content")
    size = content_size(row.content, head.size, row.image_size, upscale=row.upscale)
    size = tileable_size(row.content, size, row.config, quiet=quiet)
    longer = round(max(size) * row.style_scale)
    seen = _picture(row.content, size, image.read_style_mask) if head.is_transparent and keep_alpha else None
    first, *others = (_style(painting, heads, size, longer, seen, load) for painting in row.all_paintings)
    job = Job(
        _picture(row.content, size, load), first.picture, row.config, row, mask=first.mask, own_mask=first.own_mask,
        style_weight=first.weight, more_styles=tuple(others),
    )  # fmt: skip
    if row.config.init in INIT_NAMES:
        return job
    path = parse_path(row.config.init)
    _known(heads[path])
    return replace(job, init=_picture(path, size, load))


def _style(
    painting: Painting, heads: "Mapping[AnyPath, Head | StoredStyle | InputError]", size: Size, longer: int,
    seen: "Picture | None", load: Load,
) -> "Style":  # fmt: skip
    """A painting for a result of that size, of which only what is `seen` is styled."""
    from jnst.jobs import Picture, Style
    from jnst.stored_style import StoredStyle

    head = _known(heads[painting.path])
    own = style_size(painting.path, head.size, longer)
    if isinstance(head, StoredStyle) and painting.own_mask is not None:
        raise InputError(f"{painting.path} has no picture; `style_masks` and `regions` need the painting itself")
    picture = Picture.from_stored(head.at(own)) if isinstance(head, StoredStyle) else _picture(painting.path, own, load)
    files = (painting.mask, size), (painting.own_mask, own)
    mask, own_mask = (None if file is None else _mask(file, needed) for file, needed in files)
    if mask is None or seen is None:
        mask = mask or seen
    else:
        mask = replace(mask, key=(mask.key, seen.key), load=partial(_product, mask.load, seen.load))
    return Style(picture, mask, painting.weight, own_mask)


def _mask(file: MaskFile, size: Size) -> "Picture":
    from jnst.jobs import Picture

    return Picture((file, size), size, partial(file.load, size=size))


def _product(one: Callable[[], Any], other: Callable[[], Any]) -> Any:
    return one() * other()


def _head(path: AnyPath) -> "Head | StoredStyle | InputError":
    """The head of an image file, all of a style file, or what is wrong with it."""
    try:
        if is_style_file(path):
            from jnst import stored_style

            return stored_style.load(path)
        return decode.read_head(path)
    except InputError as error:
        return error


def _known(head: "Head | StoredStyle | InputError") -> "Head | StoredStyle":
    """A head, where the file has one."""
    if isinstance(head, InputError):
        raise head
    return head


def _picture(path: AnyPath, size: Size, load: Load) -> "Picture":
    """An image, or the mask of one, that will have that size when it is loaded."""
    from jnst.jobs import Picture

    return Picture((path, size, load), size, partial(load, path, size=size))

"""From folders or a jobs file to rows: which pictures are painted in which manner, and where they go. Needs no JAX."""

import json
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, NamedTuple

from jnst.cli.checks import require_image, require_output, require_sizes
from jnst.cli.folders import list_images
from jnst.cli.options import Options, RowOptions
from jnst.cli.outputs import style_name
from jnst.cli.paintings import EVERYWHERE, MASKS, WEIGHTS, Blend, Painting, blend, is_blend, paintings_of
from jnst.cli.parsing import make_config, parse_over
from jnst.cli.settings import ALIASES, GROUPS, settings_to_flags, text_to_setting
from jnst.cli.tables import read_table
from jnst.config import Config
from jnst.errors import InputError
from jnst.io.encode import Writing
from jnst.io.paths import AnyPath, canonical, resolve_relative

PATHS = ("content", "style", "output")
"""columns that every row has"""
SETTINGS = {*(f.name for f in fields(Config)), *ALIASES, "image_size", "style_scale", "upscale", "preset", "quality"}
"""columns that a row may have"""
REQUESTS = 16  # files that are looked at together: object stores take long to answer, and take many questions


_NEWER: tuple[tuple[str, Any], ...] = (
    ("match_colors", "no"), ("original_colors", False), ("tv_form", "squares"), ("noise_blend", 0.0),
    ("tileable", "no"),
)  # fmt: skip
"""fields of `Config` that early manifests lack, and what they were without them"""


@dataclass(frozen=True)
class BatchRow:
    """One picture to paint, as files."""

    content: AnyPath
    style: AnyPath
    output: AnyPath
    image_size: int
    style_scale: float
    config: Config
    upscale: bool = False
    paintings: tuple[Painting, ...] = ()
    """of a style of several, or with masks, the first of them `style`; empty: `style` alone"""

    @property
    def all_paintings(self) -> tuple[Painting, ...]:
        """The paintings of its style."""
        return self.paintings or (Painting(self.style),)

    @property
    def inputs(self) -> tuple[AnyPath, ...]:
        """All files that are read, but for a start image."""
        return (self.content, *dict.fromkeys(path for painting in self.all_paintings for path in painting.files))

    def record(self) -> dict[str, Any]:
        """Returns what tells it from another one, as JSON has it."""
        record = {**asdict(self), **{place: str(getattr(self, place)) for place in PATHS}, "output": self.output.name}
        newer: list[tuple[dict[str, Any], str, Any]] = [(record, "upscale", False), (record, "paintings", ())]
        for settings, name, default in newer + [(record["config"], *new) for new in _NEWER]:
            if settings[name] == default:
                del settings[name]  # pictures from before there was the option are done
        return json.loads(json.dumps(record, default=str))


def read_rows(options: Options, out: AnyPath) -> list[BatchRow]:
    """Returns all that the command line asks for.

    Args:
        options: with folders or a jobs file.
        out: the folder of the results.

    Raises:
        InputError: a folder without pictures, a jobs file that cannot be understood, two rows with one output.
    """
    path = options.batch.jobs
    rows = _pairs(options, out) if path is None else _listed_rows(path, options, out)
    by_output: dict[AnyPath, BatchRow] = {}
    for row in rows:
        other = by_output.setdefault(row.output, row)
        if other is not row:
            pairs = f"{other.content} x {other.style} and {row.content} x {row.style}"
            raise InputError(f"{row.output} would be written twice, by {pairs}; rename one, or list them by `jobs`")
    return rows


class Manner(NamedTuple):
    """What photographs are painted in."""

    style: AnyPath
    """the painting, or the first of several"""
    name: str
    """of a picture, behind the photograph's"""
    paintings: tuple[Painting, ...] = ()
    """of a style of several, or with masks"""


def manners_of(options: Options) -> list[Manner]:
    """Returns every manner that the command line names.

    Args:
        options: with a painting, several as one style, or a folder of them.

    Raises:
        InputError: no painting.
    """
    if is_blend(options):
        paintings = paintings_of(options)
        return [Manner(paintings[0].path, style_name(options), paintings)]
    paths = list_images(options.style, quiet=options.report.quiet)
    return [Manner(path, path.stem) for path in paths]


def _pairs(options: Options, out: AnyPath) -> list[BatchRow]:
    """Every photograph in every manner."""
    config, file = make_config(options), options.file
    contents, manners = list_images(options.content, quiet=options.report.quiet), manners_of(options)
    return [
        BatchRow(
            content, manner.style, out / f"{content.stem}_{manner.name}.png", file.image_size, file.style_scale, config,
            file.upscale, manner.paintings,
        )
        for content in contents
        for manner in manners
    ]  # fmt: skip


def _listed_rows(path: AnyPath, options: Options, out: AnyPath) -> list[BatchRow]:
    """The rows of a jobs file, whose files are all there."""
    parse = _row_parser(options)
    rows: list[tuple[str, BatchRow]] = []
    for number, cells in read_table(path, paths=PATHS, settings=SETTINGS):
        where = f"{path}, row {number}"
        try:
            rows.append((where, _make_row(cells, path.parent, out, parse)))
        except InputError as error:
            raise error.within(where) from None
    files = list(dict.fromkeys(file for _, row in rows for file in row.inputs))
    with ThreadPoolExecutor(REQUESTS) as pool:
        errors = dict(zip(files, pool.map(_reading_error, files), strict=True))
    for where, row in rows:
        for error in filter(None, (errors[file] for file in row.inputs)):
            raise error.within(where)
    return [row for _, row in rows]


def _make_row(cells: dict[str, Any], folder: AnyPath, out: AnyPath, parse: Callable[[str], RowOptions]) -> BatchRow:
    """A row of a jobs file in that folder."""
    of_paintings = {*PATHS, *MASKS, WEIGHTS}
    unknown = sorted(set(cells) - SETTINGS - of_paintings)
    if unknown:
        known = ", ".join(sorted((SETTINGS | of_paintings) - set(ALIASES)))
        raise InputError(f"unknown column {unknown[0]!r}; known are {known}")
    missing = [column for column in PATHS if column not in cells]
    if missing:
        raise InputError(f"no {missing[0]}; every row needs {', '.join(PATHS)}")
    content, paths = resolve_relative(folder, str(cells["content"])), _paths(cells["style"], folder)
    if len(paths) == 0:
        raise InputError("style names no painting")
    given = Blend(_numbers(cells.get(WEIGHTS)), *(_paths(cells.get(name), folder) for name in MASKS))
    paintings = blend(paths, given) if len(paths) > 1 or given != Blend() else ()
    output = str(cells["output"])
    if (out / output).name != output:
        raise InputError(f"output {output} must be a name without folders; they all go into {out}")
    settings = parse(json.dumps({key: value for key, value in cells.items() if key not in of_paintings}))
    require_sizes(settings.image_size, settings.style_scale)
    return BatchRow(
        content, paths[0], out / output, settings.image_size, settings.style_scale, make_config(settings),
        settings.upscale, paintings,
    )  # fmt: skip


def _several(cell: Any) -> list[Any]:
    """A list, also one that a cell has as JSON; a value stands for itself, an empty one for nothing."""
    if isinstance(cell, str) and cell.startswith("["):
        try:
            cell = json.loads(cell)
        except ValueError:
            raise InputError(f'{cell[:40]} is no list in JSON; write one such as ["a.jpg", "b.jpg"]') from None
    return cell if isinstance(cell, list) else [] if cell in (None, "") else [cell]


def _paths(cell: Any, folder: AnyPath) -> tuple[AnyPath, ...]:
    paths = map(str, _several(cell))
    return tuple(EVERYWHERE if path == str(EVERYWHERE) else resolve_relative(folder, path) for path in paths)


def _numbers(cell: Any) -> tuple[float, ...] | None:
    words = [word for part in _several(cell) for word in re.split(r"[,\s]+", str(part)) if word]
    try:
        return tuple(map(float, words)) or None
    except ValueError:
        raise InputError(f"`{WEIGHTS}` must be numbers, one a painting, got {str(cell)[:40]}") from None


def _row_parser(options: Options) -> Callable[[str], RowOptions]:
    """A function from a row's settings, as JSON, to `RowOptions`; what a row leaves open is the command line's."""
    file = options.file
    groups = {name: getattr(options, name) for name in GROUPS}
    default = RowOptions(file.image_size, file.style_scale, upscale=file.upscale, **groups)

    @cache  # rows with the same settings are many
    def parse(settings: str) -> RowOptions:
        cells: dict[str, Any] = json.loads(settings)
        cells = {ALIASES.get(key, key): value for key, value in cells.items()}
        arguments = settings_to_flags({key: text_to_setting(key, value) for key, value in cells.items()})
        return parse_over(RowOptions, arguments, default)

    return parse


def _reading_error(path: AnyPath) -> InputError | None:
    """Why there is no file at that path; None where there is."""
    try:
        require_image(path)
    except InputError as error:
        return error
    return None


def require_row_outputs(rows: Iterable[BatchRow], present: set[str], *, overwrite: bool, writing: Writing) -> None:
    """Refuses rows whose pictures cannot be written; each folder is tried once.

    Args:
        rows: of a batch.
        present: names that are taken in the folder of the results.
        overwrite: whether they may be replaced.
        writing: how the pictures are written.

    Raises:
        InputError: a picture that is also an input, cannot be written, or has the name of another one.
    """
    rows = list(rows)
    inputs = {canonical(path) for row in rows for path in row.inputs}
    tried: set[AnyPath] = set()
    for row in rows:
        probe = row.output.parent not in tried
        tried.add(row.output.parent)
        require_output(row.output, inputs=inputs, overwrite=overwrite, present=present, writing=writing, probe=probe)

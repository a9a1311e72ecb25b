"""From folders or a jobs file to rows: which pictures are painted in which manner, and where they go. Needs no JAX."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any

from jnst.cli.checks import require_image, require_output, require_sizes
from jnst.cli.options import Options, RowOptions, make_config, parse_over
from jnst.cli.settings import ALIASES, settings_to_flags, text_to_setting
from jnst.config import Config
from jnst.errors import InputError
from jnst.io.encode import Writing
from jnst.io.paths import AnyPath, canonical, is_folder, listdir, resolve_relative, single_line, store_errors

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
PATHS = ("content", "style", "output")
"""columns that every row has"""
SETTINGS = {*(f.name for f in fields(Config)), *ALIASES, "image_size", "style_scale", "preset", "quality"}
"""columns that a row may have"""
REQUESTS = 16  # files that are looked at together: object stores take long to answer, and take many questions


@dataclass(frozen=True)
class BatchRow:
    """One picture to paint, as files."""

    content: AnyPath
    style: AnyPath
    output: AnyPath
    image_size: int
    style_scale: float
    config: Config

    def record(self) -> dict[str, Any]:
        """Returns what tells it from another one, as JSON has it."""
        record = {**asdict(self), **{place: str(getattr(self, place)) for place in PATHS}, "output": self.output.name}
        return json.loads(json.dumps(record))


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


def _pairs(options: Options, out: AnyPath) -> list[BatchRow]:
    """Every photograph in every manner."""
    config, size, scale = make_config(options), options.file.image_size, options.file.style_scale
    contents, styles = list_images(options.content), list_images(options.style)
    return [
        BatchRow(content, style, out / f"{content.stem}_{style.stem}.png", size, scale, config)
        for content in contents
        for style in styles
    ]


def list_images(place: AnyPath) -> list[AnyPath]:
    """Returns the image files of a folder, by name; a file stands for itself.

    Args:
        place: a folder or a file.

    Raises:
        InputError: no such place, or no image in it.
    """
    if not is_folder(place):
        require_image(place)
        return [place]
    paths = (place / name for name in sorted(listdir(place)) if not name.startswith("."))
    images = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise InputError(f"{place} holds no picture; it needs files that end in {', '.join(IMAGE_SUFFIXES)}")
    return images


def _listed_rows(path: AnyPath, options: Options, out: AnyPath) -> list[BatchRow]:
    """The rows of a jobs file, whose files are all there."""
    parse = _row_parser(options)
    rows: list[tuple[str, BatchRow]] = []
    for number, cells in _read_cells(path):
        where = f"{path}, row {number}"
        try:
            rows.append((where, _make_row(cells, path.parent, out, parse)))
        except InputError as error:
            raise error.within(where) from None
    files = list(dict.fromkeys(file for _, row in rows for file in (row.content, row.style)))
    with ThreadPoolExecutor(REQUESTS) as pool:
        errors = dict(zip(files, pool.map(_reading_error, files), strict=True))
    for where, row in rows:
        error = errors[row.content] or errors[row.style]
        if error:
            raise error.within(where)
    return [row for _, row in rows]


def _make_row(cells: dict[str, Any], folder: AnyPath, out: AnyPath, parse: Callable[[str], RowOptions]) -> BatchRow:
    """A row of a jobs file in that folder."""
    cells = {key.strip().replace("-", "_"): value for key, value in cells.items() if value not in ("", None)}
    unknown = sorted(set(cells) - SETTINGS - set(PATHS))
    if unknown:
        known = ", ".join(sorted((SETTINGS | set(PATHS)) - set(ALIASES)))
        raise InputError(f"unknown column {unknown[0]!r}; known are {known}")
    missing = [column for column in PATHS if column not in cells]
    if missing:
        raise InputError(f"no {missing[0]}; every row needs {', '.join(PATHS)}")
    content, style = (resolve_relative(folder, str(cells[column])) for column in ("content", "style"))
    output = str(cells["output"])
    if (out / output).name != output:
        raise InputError(f"output {output} must be a name without folders; they all go into {out}")
    settings = parse(json.dumps({key: value for key, value in cells.items() if key not in PATHS}))
    require_sizes(settings.image_size, settings.style_scale)
    return BatchRow(
        content, style, out / output, settings.image_size, settings.style_scale, make_config(settings)
    )  # fmt: skip


def _row_parser(options: Options) -> Callable[[str], RowOptions]:
    """A function from a row's settings, as JSON, to `RowOptions`; what a row leaves open is the command line's."""
    file = options.file
    groups = {"balance": options.balance, "layer": options.layer, "solver": options.solver}
    default = RowOptions(file.image_size, file.style_scale, **groups)

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


def _read_cells(path: AnyPath) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a CSV or JSON-lines file by their numbers, the first one's is 1."""
    suffix = path.suffix.lower()
    readers = {".csv": _csv_rows, ".jsonl": _json_rows, ".json": _json_rows}
    if suffix not in readers:
        raise InputError(f"{path}: give a .csv or .jsonl file")
    try:
        with store_errors(path):
            text = path.read_bytes().decode("utf-8-sig")  # spreadsheets begin their files with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({single_line(error)}); give a text file of jobs") from None
    return readers[suffix](path, [line for line in text.splitlines() if line.strip()])


def _csv_rows(path: AnyPath, lines: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, row in enumerate(csv.DictReader(lines), 1):
        if None in row or None in row.values():
            raise InputError(f"{path}, row {number}: {len(row)} columns are named, this row has others")
        yield number, row


def _json_rows(path: AnyPath, lines: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}, row {number}: not JSON ({error}); write one object a line") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, row {number}: {line[:40]} is no object; write one object a line")
        yield number, row


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
    inputs = {canonical(path) for row in rows for path in (row.content, row.style)}
    tried: set[AnyPath] = set()
    for row in rows:
        probe = row.output.parent not in tried
        tried.add(row.output.parent)
        require_output(row.output, inputs=inputs, overwrite=overwrite, present=present, writing=writing, probe=probe)

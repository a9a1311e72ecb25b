"""From folders or a list to entries: which pictures are painted in which manner, and where they go."""

import csv
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import cache, partial
from typing import Any

from jnst.cli.options import Options, RowOptions, check_sizes, config_of, parse_into, with_preset
from jnst.config import Config
from jnst.errors import InputError
from jnst.io import image
from jnst.io.paths import AnyPath, canonical, is_folder, listdir, resolve_relative, single_line, store_errors

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
PLACES = ("content", "style", "output")
REQUESTS = 16  # files that are looked at together: object stores take long to answer, and take many questions


@dataclass(frozen=True)
class Entry:
    """One picture to paint, as files."""

    content: AnyPath
    style: AnyPath
    output: AnyPath
    image_size: int
    style_scale: float
    config: Config

    def record(self) -> dict[str, Any]:
        """What tells it from another one, as JSON has it."""
        record = {**asdict(self), **{place: str(getattr(self, place)) for place in PLACES}, "output": self.output.name}
        return json.loads(json.dumps(record))


def entries_of(options: Options, out: AnyPath) -> list[Entry]:
    """All that the command line asks for.

    Raises:
        InputError: a folder without pictures, a jobs file that cannot be understood, two jobs with one output.
    """
    path = options.batch.jobs
    found = list(_product(options, out) if path is None else _listed(path, options, out))
    seen: dict[AnyPath, Entry] = {}
    for entry in found:
        other = seen.setdefault(entry.output, entry)
        if other is not entry:
            pairs = f"{other.content} x {other.style} and {entry.content} x {entry.style}"
            raise InputError(f"{entry.output} would be written twice, by {pairs}; rename one, or list them by --jobs")
    return found


def _product(options: Options, out: AnyPath) -> Iterator[Entry]:
    config, size, scale = config_of(options), options.file.image_size, options.file.style_scale
    styles = list(pictures(options.style))
    for content in pictures(options.content):
        for style in styles:
            yield Entry(content, style, out / f"{content.stem}_{style.stem}.png", size, scale, config)


def pictures(place: AnyPath) -> list[AnyPath]:
    """The picture files of a folder, by name; a file stands for itself.

    Raises:
        InputError: no such place, or no picture in it.
    """
    if not is_folder(place):
        image.require_file(place)
        return [place]
    paths = (place / name for name in sorted(listdir(place)) if not name.startswith("."))
    found = [path for path in paths if path.suffix.lower() in PICTURES]
    if not found:
        raise InputError(f"{place} holds no picture; it needs files that end in {', '.join(PICTURES)}")
    return found


def _listed(path: AnyPath, options: Options, out: AnyPath) -> Iterator[Entry]:
    known = {*PLACES, *(f.name for f in fields(Config)), "image_size", "style_scale", "preset"}
    parse = _row_parser(options)
    found: list[tuple[str, Entry]] = []
    for number, row in _rows(path):
        row = {key.strip().replace("-", "_"): value for key, value in row.items() if value not in ("", None)}
        where = f"{path}, row {number}"
        unknown = sorted(set(row) - known)
        if unknown:
            raise InputError(f"{where}: unknown column {unknown[0]!r}; known are {', '.join(sorted(known))}")
        missing = [place for place in PLACES if place not in row]
        if missing:
            raise InputError(f"{where}: no {missing[0]}; every row needs {', '.join(PLACES)}")
        output = str(row["output"])
        try:
            content, style = (resolve_relative(path.parent, str(row[place])) for place in ("content", "style"))
            if (out / output).name != output:
                raise InputError(f"output {output} must be a name without folders; they all go into {out}")
            settings = parse(json.dumps({key: value for key, value in row.items() if key not in PLACES}))
            check_sizes(settings.image_size, settings.style_scale)
            config = config_of(settings)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        entry = Entry(content, style, out / output, settings.image_size, settings.style_scale, config)
        found.append((where, entry))
    files = dict.fromkeys(file for _, entry in found for file in (entry.content, entry.style))
    with ThreadPoolExecutor(REQUESTS) as pool:
        missing = dict(zip(files, pool.map(_missing, files), strict=True))
    for where, entry in found:
        for file in (entry.content, entry.style):
            if missing[file]:
                raise InputError(f"{where}: {missing[file]}")
        yield entry


def _missing(path: AnyPath) -> str:
    """Why there is no file at that path; empty where there is."""
    try:
        image.require_file(path)
    except InputError as error:
        return str(error)
    return ""


def _rows(path: AnyPath) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a CSV or JSON-lines file by their numbers, the first one's is 1."""
    if path.suffix.lower() not in (".csv", ".jsonl", ".json"):
        raise InputError(f"{path}: give a .csv or .jsonl file")
    try:
        with store_errors(path):
            text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({single_line(error)}); give a text file of jobs") from None
    lines = [line for line in text.splitlines() if line.strip()]
    if path.suffix.lower() == ".csv":
        for number, row in enumerate(csv.DictReader(lines), 1):
            if None in row or None in row.values():
                raise InputError(f"{path}, row {number}: {len(row)} columns are named, this row has others")
            yield number, row
        return
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}, row {number}: not JSON ({error}); write one object a line") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, row {number}: {line[:40]} is no object; write one object a line")
        yield number, row


def _row_parser(options: Options) -> Any:
    """From a row's settings, as JSON, to `RowOptions`; what it leaves open is the command line's."""
    file = options.file
    groups = {"balance": options.balance, "layer": options.layer, "solver": options.solver}
    default = RowOptions(file.image_size, file.style_scale, **groups)

    @cache
    def parse(settings: str) -> RowOptions:
        arguments: list[str] = []
        for key, value in json.loads(settings).items():
            flag = "--" + key.replace("_", "-")
            if key in ("checkpoint", "normalize_filters"):
                yes = str(value).lower() in ("true", "1", "yes")
                arguments += [flag] if yes else ["--no-normalize-filters"] if key == "normalize_filters" else []
            else:
                arguments += [flag, *(map(str, value) if isinstance(value, list) else str(value).split())]
        return with_preset(
            parse_into(RowOptions, arguments, default), default, partial(parse_into, RowOptions, arguments)
        )

    return parse


def check_outputs(entries: Iterable[Entry], present: set[str], *, overwrite: bool) -> None:
    """What can be refused before any work; `present` are names that are taken.

    Raises:
        InputError: a picture that is also an input, cannot be written, or has the name of another one.
    """
    entries = list(entries)
    inputs = {canonical(path) for entry in entries for path in (entry.content, entry.style)}
    folders = set()
    for entry in entries:
        if canonical(entry.output) in inputs:
            raise InputError(f"{entry.output} is also an input; write the results somewhere else")
        if entry.output.name in present and not overwrite:
            raise InputError(f"{entry.output} exists; give --overwrite to replace it, or another --output")
        image.require_image_format(entry.output)
        if entry.output.parent not in folders:
            image.require_writable_folder(entry.output)
            folders.add(entry.output.parent)

"""From folders or a list to entries: which pictures are painted in which manner, where they go, and which are done."""

import contextlib
import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache, partial
from pathlib import Path
from typing import Any

from jnst import image
from jnst.config import Config
from jnst.errors import InputError
from jnst.options import Options, RowOptions, check_sizes, config_of, parse_into, with_preset

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
PLACES = ("content", "style", "output")


@dataclass(frozen=True)
class Entry:
    """One picture to paint, as files."""

    content: Path
    style: Path
    output: Path
    image_size: int
    style_scale: float
    config: Config

    def record(self) -> dict[str, Any]:
        """What tells it from another one, as JSON has it."""
        record = {**asdict(self), **{place: str(getattr(self, place)) for place in PLACES}, "output": self.output.name}
        return json.loads(json.dumps(record))


def entries_of(options: Options, out: Path) -> list[Entry]:
    """All that the command line asks for.

    Raises:
        InputError: a folder without pictures, a jobs file that cannot be understood, two jobs with one output.
    """
    path = options.batch.jobs
    found = list(_product(options, out) if path is None else _listed(path, options, out))
    seen: dict[Path, Entry] = {}
    for entry in found:
        other = seen.setdefault(entry.output, entry)
        if other is not entry:
            pairs = f"{other.content} x {other.style} and {entry.content} x {entry.style}"
            raise InputError(f"{entry.output} would be written twice, by {pairs}; rename one, or list them by --jobs")
    return found


def _product(options: Options, out: Path) -> Iterator[Entry]:
    config, size, scale = config_of(options), options.file.image_size, options.file.style_scale
    styles = list(pictures(options.style))
    for content in pictures(options.content):
        for style in styles:
            yield Entry(content, style, out / f"{content.stem}_{style.stem}.png", size, scale, config)


def pictures(place: Path) -> list[Path]:
    """The picture files of a folder, by name; a file stands for itself.

    Raises:
        InputError: no such place, or no picture in it.
    """
    if not place.is_dir():
        image.check_there(place)
        return [place]
    found = sorted(path for path in place.iterdir() if path.suffix.lower() in PICTURES and not _hidden(path))
    if not found:
        raise InputError(f"{place} holds no picture; it needs files that end in {', '.join(PICTURES)}")
    return found


def _hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _listed(path: Path, options: Options, out: Path) -> Iterator[Entry]:
    known = {*PLACES, *(f.name for f in fields(Config)), "image_size", "style_scale", "preset"}
    parse = _row_parser(options)
    for number, row in _rows(path):
        row = {key.strip().replace("-", "_"): value for key, value in row.items() if value not in ("", None)}
        where = f"{path}, row {number}"
        unknown = sorted(set(row) - known)
        if unknown:
            raise InputError(f"{where}: unknown column {unknown[0]!r}; known are {', '.join(sorted(known))}")
        missing = [place for place in PLACES if place not in row]
        if missing:
            raise InputError(f"{where}: no {missing[0]}; every row needs {', '.join(PLACES)}")
        content, style = (path.parent / str(row[place]) for place in ("content", "style"))
        try:
            for file in (content, style):
                image.check_there(file)
            if Path(str(row["output"])).name != str(row["output"]):
                raise InputError(f"output {row['output']} must be a name without folders; they all go into {out}")
            settings = parse(json.dumps({key: value for key, value in row.items() if key not in PLACES}))
            check_sizes(settings.image_size, settings.style_scale)
            config = config_of(settings)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        yield Entry(content, style, out / str(row["output"]), settings.image_size, settings.style_scale, config)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a CSV or JSON-lines file by their numbers, the first one's is 1."""
    if path.suffix.lower() not in (".csv", ".jsonl", ".json"):
        raise InputError(f"{path}: give a .csv or .jsonl file")
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); give a text file of jobs") from None
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


class Manifest:
    """What is done: one line a finished picture, on disk before the next is begun; read again by the next run.

    Lines that a killed process left unfinished count as not written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[str, dict[str, Any]] = {}
        for part in sorted(path.parent.glob("manifest*.jsonl")):  # every process's
            for line in part.read_text().splitlines():
                try:
                    record = json.loads(line)
                    self.done[record["job"]["output"]] = record["job"]
                except (json.JSONDecodeError, KeyError, TypeError):
                    continue
        text = path.read_text() if path.exists() else ""
        self.file = path.open("a")
        if text and not text.endswith("\n"):
            self.file.write("\n")

    def has(self, entry: Entry) -> bool:
        """Whether this very job is done and its picture there."""
        return self.done.get(entry.output.name) == entry.record() and entry.output.exists()

    def add(self, entry: Entry, facts: Mapping[str, Any]) -> None:
        self.file.write(json.dumps({"job": entry.record(), **facts}) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        with contextlib.suppress(OSError):  # a folder that cannot be opened, as on Windows
            folder = os.open(self.path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

    def close(self) -> None:
        self.file.close()


def check_outputs(entries: Iterable[Entry], manifest_is_new: bool, *, overwrite: bool) -> None:
    """What can be refused before any work.

    Raises:
        InputError: a picture that is also an input, cannot be written, or exists and is none of an earlier batch's.
    """
    entries = list(entries)
    inputs = {path.resolve() for entry in entries for path in (entry.content, entry.style)}
    folders = set()
    for entry in entries:
        if entry.output.resolve() in inputs:
            raise InputError(f"{entry.output} is also an input; write the results somewhere else")
        if entry.output.exists() and manifest_is_new and not overwrite:
            raise InputError(f"{entry.output} exists; give --overwrite to replace it, or another --output")
        if entry.output.parent not in folders:
            image.check_writable(entry.output)
            folders.add(entry.output.parent)
        elif entry.output.suffix.lower() not in PICTURES[:-1]:
            image.check_writable(entry.output)

"""Rows of a text file, as people and their spreadsheets write them: CSV and JSON lines.

CSV may begin with a mark or a line `sep=;`, be UTF-8 or UTF-16, have commas, semicolons or tabs, blanks around cells,
capitals in the header, empty rows, and cells that are missing or too many and empty. Its rows are counted as a
spreadsheet shows them: the header is row 1. Lines of JSON are counted as an editor shows them.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from jnst.errors import InputError, single_line
from jnst.io.paths import AnyPath, path_errors

Row = tuple[int, dict[str, Any]]
"""its number, and its cells by the names of their columns"""
_DELIMITERS = (",", ";", "\t")
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
          codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?(?:\r\n|\r|\n)', re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"(?<!\S)([+-]?[0-9]+),([0-9]+(?:[eE][+-]?[0-9]+)?)(?!\S)")


def read_table(path: AnyPath, *, paths: Collection[str], settings: Collection[str]) -> list[Row]:
    """Reads the rows of a .csv, .tsv or .jsonl file.

    Args:
        path: of the file.
        paths: names of columns that hold paths, which are taken as they are.
        settings: names of columns that hold numbers and words.

    Returns:
        Rows that are not empty. Names of columns are in small letters with underscores; empty cells are left out.

    Raises:
        InputError: no text, no row, or one that cannot be understood, by its number.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".tsv", ".jsonl", ".json"):
        raise InputError(f"{path}: give a .csv, .tsv or .jsonl file; a spreadsheet can save itself as CSV")
    text = _read_text(path)
    rows = _json_rows(path, text) if suffix.startswith(".json") else _csv_rows(path, text, paths, settings)
    found = [(number, {key: cell for key, cell in cells.items() if cell not in ("", None)}) for number, cells in rows]
    found = [(number, cells) for number, cells in found if cells]
    if not found:
        raise InputError(f"{path} names no picture; it needs a row for each, with {', '.join(paths)}")
    return found


def _read_text(path: AnyPath) -> str:
    with path_errors(path):
        content = path.read_bytes()
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} cannot be read ({single_line(error)}); save it as UTF-8 text") from None
    if "\0" in text:
        raise InputError(f"{path} cannot be read (it holds NUL characters); save it as UTF-8 text")
    return text


def _csv_rows(path: AnyPath, text: str, paths: Collection[str], settings: Collection[str]) -> Iterator[Row]:
    said = _SEPARATOR_LINE.match(text)
    text = text[said.end() :] if said else text
    delimiters = said[1] if said else _DELIMITERS
    known = {*paths, *settings}
    delimiter = max(delimiters, key=lambda one: len(known & set(_header(_records(path, text, one)))))
    header: list[str] | None = None
    for number, cells in _records(path, text, delimiter):
        if header is None:
            header = [_column(cell) for cell in cells]
            twice = [name for name in header if name and header.count(name) > 1]
            if twice:
                raise InputError(f"{path}, row {number}: two columns are named {twice[0]!r}")
            continue
        named = dict(zip(header, cells, strict=False))
        if any(cells[len(header) :]) or named.get(""):
            raise InputError(f"{path}, row {number}: {len(header)} columns are named, this row has others")
        if delimiter == ";":  # of a spreadsheet in whose country numbers have commas
            named = {
                name: cell if name in paths else _DECIMAL_COMMA.sub(r"\1.\2", cell) for name, cell in named.items()
            }
        yield number, named


def _records(path: AnyPath, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty by their numbers, without blanks around cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    number = 0
    try:
        for number, cells in enumerate(reader, 1):
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield number, stripped
    except csv.Error as error:
        raise InputError(f"{path}, row {number + 1}: {single_line(error)}; see to its quotation marks") from None


def _header(records: Iterable[tuple[int, list[str]]]) -> list[str]:
    """The names in the first row; none where it cannot be read so."""
    try:
        return [_column(cell) for cell in next(iter(records), (0, []))[1]]
    except InputError:
        return []


def _column(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip()).lower()


def _json_rows(path: AnyPath, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, row {number}: not JSON ({error}); write one object a line") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, row {number}: {line[:40]} is no object; write one object a line")
        yield number, {_column(key): cell for key, cell in row.items()}

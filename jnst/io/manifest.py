"""What of a batch is done: lines of a file, or objects of a store; read again by the next run."""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from jnst.io.paths import AnyPath, is_object, names_in, read_object, write_object

READERS = 16  # objects that are read at a time
FOLDER = "manifest"  # of a store's records


@runtime_checkable
class Row(Protocol):
    """A picture to paint, as the manifest knows it."""

    @property
    def output(self) -> AnyPath:
        """Where the picture goes."""
        ...

    def record(self) -> dict[str, Any]:
        """Returns what tells it from another one, as JSON has it."""
        ...


class Manifest:
    """The jobs whose pictures are done. Each process of several has its own and knows what all have done.

    Raises:
        InputError: a folder that cannot be read or written.
    """

    def __init__(self, out: AnyPath, texts: Iterable[str], network: Mapping[str, Any]) -> None:
        self.network = dict(network)
        self.present = names_in(out)
        self.done: dict[str, dict[str, Any]] = {}
        for line in (line for text in texts for line in text.splitlines()):
            try:
                record = json.loads(line)
                self.done[record["job"]["output"]] = {key: record[key] for key in ("job", "network")}
            except (json.JSONDecodeError, KeyError, TypeError):  # what a killed process left unfinished
                continue

    def has(self, entry: Row) -> bool:
        """Whether this very job is done, by the same network, and its picture there."""
        return self.done.get(entry.output.name) == self._job(entry) and entry.output.name in self.present

    def add(self, entry: Row, facts: Mapping[str, Any]) -> None:
        """Keeps that the picture is there, before the next is begun."""
        self._write(entry, json.dumps({**self._job(entry), **facts}) + "\n")

    def close(self) -> None:
        """No more is added."""

    def _job(self, entry: Row) -> dict[str, Any]:
        return {"job": entry.record(), "network": self.network}

    def _write(self, entry: Row, line: str) -> None:
        raise NotImplementedError


class LinesManifest(Manifest):
    """One line a picture in `manifest.jsonl`, forced to the disk."""

    def __init__(self, out: Path, process: int, processes: int, network: Mapping[str, Any]) -> None:
        parts = {path: path.read_text() for path in sorted(out.glob("manifest*.jsonl"))}
        super().__init__(out, parts.values(), network)
        self.path = out / ("manifest.jsonl" if processes == 1 else f"manifest-{process}.jsonl")
        text = parts.get(self.path, "")
        self.file = self.path.open("a")
        if text and not text.endswith("\n"):
            self.file.write("\n")

    def _write(self, entry: Row, line: str) -> None:
        self.file.write(line)
        self.file.flush()
        os.fsync(self.file.fileno())
        with contextlib.suppress(OSError):  # a folder that cannot be opened, as on Windows
            folder = os.open(self.path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

    def close(self) -> None:
        self.file.close()


class ObjectsManifest(Manifest):
    """One object a picture, `manifest/NAME.json`: nothing is appended to an object. Joined they are the lines."""

    def __init__(self, out: AnyPath, network: Mapping[str, Any]) -> None:
        self.folder = out / FOLDER
        records = [self.folder / name for name in sorted(names_in(self.folder))]
        with ThreadPoolExecutor(READERS) as pool:
            super().__init__(out, pool.map(lambda path: read_object(path).decode(errors="replace"), records), network)

    def _write(self, entry: Row, line: str) -> None:
        write_object(self.folder / f"{entry.output.name}.json", line.encode())


def is_begun(out: AnyPath) -> bool:
    """Whether a batch has been at work in that folder."""
    if is_object(out):
        return FOLDER in names_in(out)
    return any(name.startswith("manifest") and name.endswith(".jsonl") for name in names_in(out))


def open_manifest(out: AnyPath, process: int, processes: int, network: Mapping[str, Any]) -> Manifest:
    """The manifest of that folder, for one process of several; it is there from then on.

    Raises:
        InputError: a folder that cannot be read or written.
    """
    if isinstance(out, Path):
        return LinesManifest(out, process, processes, network)
    write_object(out / FOLDER / f"begun-{process}", b"")
    return ObjectsManifest(out, network)

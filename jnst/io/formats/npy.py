"""The head of NumPy's `.npy` files, read without handing the file's own types to NumPy.

Source: NumPy's format description (numpy.lib.format, versions 1.0 to 3.0).
"""

import ast
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

_LONGEST_HEADER = 4096


@dataclass(frozen=True)
class Header:
    """What an `.npy` file says of its array."""

    shape: tuple[int, ...]
    dtype: str
    """`f4`, `U12`, `O`, without its byte order"""
    order: str
    """of the bytes: "<" or ">" """
    fortran: bool


def read_header(file: Any) -> Header:
    """Reads a head and leaves the file at the numbers.

    Args:
        file: a binary one, at its beginning.

    Returns:
        The array's shape and type.

    Raises:
        ValueError: no such head, or a type that is not plain.
    """
    magic = file.read(8)
    if len(magic) < 8 or magic[:6] != b"\x93NUMPY" or magic[6] not in (1, 2, 3):
        raise ValueError("it does not begin as an .npy file")
    length = int.from_bytes(file.read(2 if magic[6] == 1 else 4), "little")
    text = file.read(min(length, _LONGEST_HEADER)).decode("latin-1")
    if length > _LONGEST_HEADER or text.count("(") + text.count("[") > 20:  # deep ones overflow Python's parser
        raise ValueError("its head is too long")
    try:
        said = ast.literal_eval(text.strip())
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise ValueError("its head is damaged") from None
    if not isinstance(said, dict) or not isinstance(said.get("descr"), str):
        raise ValueError("its head names no plain type")  # noqa: TRY004 (the file is at fault)
    kind, shape = re.fullmatch(r"([<>|=]?)([a-zA-Z]\d{0,9})", said["descr"]), said.get("shape")
    if kind is None or not isinstance(shape, tuple) or len(shape) > 8:
        raise ValueError("its head names no plain type and shape")
    if any(type(side) is not int or not 0 <= side < 2**62 for side in shape):
        raise ValueError("its head names no shape")
    return Header(shape, kind[2], ">" if kind[1] == ">" else "<", bool(said.get("fortran_order")))


def read_numbers(file: Any, header: Header) -> np.ndarray:
    """Reads the numbers behind a head.

    Args:
        file: behind the head.
        header: the head, of floats or texts.

    Returns:
        The array.

    Raises:
        ValueError: fewer numbers than the head says.
    """
    dtype = np.dtype(header.order + header.dtype)
    count = int(np.prod(header.shape, dtype=object))
    data = file.read(count * dtype.itemsize)
    return np.frombuffer(data, dtype, count).reshape(header.shape, order="F" if header.fortran else "C")

"""What lies in a weight file, by name, before anybody asks what it means; and the limits of what is read of it.

A reader of a container (HDF5, zip, pickle, ...) gives `Contents`: names, shapes and types that the file declares, and a
function for each that reads the numbers. Only what turns out to be a layer is read, after its size is checked, so that
a file cannot make the reader work or hold more than a network has.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from jnst.errors import InputError

MOST_NUMBERS = 4 * 10**6
"""in one array: VGG's largest kernel has 2.4 million"""
MOST_IN_ALL = 25 * 10**6
"""in all layers: VGG-19 has 20.0 million"""
MOST_ENTRIES = 20_000
"""names in one file: a network with its optimizer's state has some hundred"""
FLOATS = ("f2", "f4", "f8", "bfloat16")


@dataclass(frozen=True)
class Entry:
    """An array of a file, unread."""

    shape: tuple[int, ...]
    dtype: str
    """as the file declares it: one of `FLOATS`, or else what it is, for messages"""
    read: Callable[[], np.ndarray]
    """reads its numbers, as floats of that shape"""


@dataclass(frozen=True)
class Contents:
    """The arrays of a file by name, and what it says of itself."""

    entries: Mapping[str, Entry]
    about: Mapping[str, str] = field(default_factory=dict)
    """of `input`, `source`, `license`, `sha256` those that the file states"""
    axes: Literal["hwio", "oihw"] = "hwio"
    """order of a kernel's axes where its shape does not tell"""


def one_line(text: str, *, limit: int = 200) -> str:
    """Makes words of a file, or of a library about it, fit for a message.

    Args:
        text: anything, also control characters that a terminal would obey.
        limit: letters that are kept.

    Returns:
        Its printable letters in one line.
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())[:limit]


def check_entry(path: Path, name: str, entry: Entry) -> None:
    """Refuses what can be no kernel or bias, by what its file declares.

    Args:
        path: the file, for messages.
        name: the array's.
        entry: the array.

    Raises:
        InputError: no floats, or too many.
    """
    if entry.dtype not in FLOATS or any(side < 0 for side in entry.shape) or math.prod(entry.shape) > MOST_NUMBERS:
        kind = f"{one_line(entry.dtype, limit=40)} of shape {str(entry.shape)[:80]}"
        raise InputError(f"{path}: {one_line(name, limit=80)} is {kind}, no kernel or bias; get the file again")


def read_entry(path: Path, name: str, entry: Entry) -> np.ndarray:
    """Reads an array that has been checked.

    Args:
        path: the file, for messages.
        name: the array's.
        entry: the array.

    Returns:
        Its numbers as float32.

    Raises:
        InputError: damaged numbers.
    """
    try:
        return np.asarray(entry.read(), np.float32).reshape(entry.shape)
    except InputError:
        raise
    except Exception as error:  # each library raises its own on damaged numbers
        text = one_line(str(error)) or type(error).__name__
        raise InputError(f"{path}: {one_line(name, limit=80)} cannot be read ({text}); get the file again") from None


def from_bfloat16(numbers: np.ndarray) -> np.ndarray:
    """Widens bfloat16 to float32: the upper half of its bits.

    Args:
        numbers: of any shape, unsigned 16 bits.

    Returns:
        The same values as float32.
    """
    return (numbers.astype(np.uint32) << 16).view(np.float32)

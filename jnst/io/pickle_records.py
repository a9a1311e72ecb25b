"""What a pickle of weights may name and make: plain records in the places of NumPy's and PyTorch's own objects.

Neither NumPy nor PyTorch sees a thing that a file says before its sizes and types are checked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class UnreadableError(ValueError):
    """A pickle that is damaged, or does what is not allowed; the message is the end of a sentence."""


@dataclass(frozen=True)
class Name:
    """A function or class that a pickle names; never the thing itself."""

    text: str


@dataclass
class Dtype:
    """NumPy's dtype, as far as it is plain: `code` such as f4, `order` such as <."""

    code: str
    order: str = "|"


@dataclass
class Array:
    """An array that a pickle declares; of objects (`dtype.code` is O8) `data` is a list."""

    shape: Any = ()
    dtype: Any = None
    fortran: Any = False
    data: Any = b""


@dataclass(frozen=True)
class Storage:
    """Numbers outside of the pickle, by PyTorch's key."""

    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage that a pickle declares."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def make_table(pairs: Any) -> dict[Any, Any]:
    """Makes a table of pairs.

    Args:
        pairs: (key, value) each.

    Returns:
        The table.

    Raises:
        UnreadableError: keys that are no texts.
    """
    table: dict[Any, Any] = {}
    for key, value in pairs:
        set_item(table, key, value)
    return table


def set_item(table: Any, key: Any, value: Any) -> None:
    """Puts an item into a table.

    Args:
        table: whatever the pickle takes for one.
        key: text, number or bytes.
        value: anything.

    Raises:
        UnreadableError: no table, or another key: hashing a deep tuple would overflow the stack.
    """
    if not isinstance(table, dict):
        raise UnreadableError("it puts an item into what is no table")
    if not isinstance(key, str | int | bytes | float | None):
        raise UnreadableError("it has a table whose keys are no texts")
    table[key] = value


def _encode(text: Any, encoding: Any) -> bytes:
    """What protocol 2 writes for bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise UnreadableError("it encodes a text in an unknown way")
    return text.encode("latin-1")


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    """What protocol 5 writes for an array."""
    return Array(shape, dtype, order == "F", data)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    if not isinstance(storage, Storage):
        raise UnreadableError("it has a tensor without numbers")
    return Tensor(storage, check_size(offset), check_sides(shape), check_sides(strides))


def check_size(value: Any) -> int:
    """Checks a count that a pickle declares.

    Args:
        value: whatever it has there.

    Returns:
        The same.

    Raises:
        UnreadableError: no number, or a negative one.
    """
    if type(value) is not int or not 0 <= value < 2**62:
        raise UnreadableError("it has a size that is none")
    return value


def check_sides(shape: Any) -> tuple[int, ...]:
    """Checks a shape, or strides, that a pickle declares.

    Args:
        shape: whatever it has there.

    Returns:
        The same as a tuple.

    Raises:
        UnreadableError: no tuple of up to 8 numbers that are not negative.
    """
    if not isinstance(shape, tuple) or len(shape) > 8:
        raise UnreadableError("it has an array whose shape is none")
    return tuple(map(check_size, shape))


CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": lambda pairs=(): make_table(pairs),
    "collections.defaultdict": lambda *_: {},
    "builtins.set": lambda items=(): list(items),
    "__builtin__.set": lambda items=(): list(items),
    "_codecs.encode": _encode,
    "numpy.dtype": lambda code, *_: Dtype(code if isinstance(code, str) else ""),
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch.Size": lambda sizes=(): check_sides(tuple(sizes)),
    "torch.device": lambda *_: None,
    **{f"numpy.{core}.multiarray._reconstruct": lambda *_: Array() for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": lambda *_: None for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _from_buffer for core in ("core", "_core")},  # before and since NumPy 2
}
ARGUMENTS = {
    "numpy.ndarray", "builtins.dict", "__builtin__.dict", "builtins.list", "__builtin__.list",
    *(f"torch.{kind}Storage" for kind in
      ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")),
}  # fmt: skip
"""what may be named, but not called"""


def look_up(module: Any, name: Any) -> Name:
    """Finds what a pickle names.

    Args:
        module: as the pickle has it.
        name: as the pickle has it.

    Returns:
        Its record.

    Raises:
        UnreadableError: anything but arrays and their parts.
    """
    full = f"{module}.{name}"
    if full not in CALLS and full not in ARGUMENTS:
        raise UnreadableError(f"it names {full[:80]!s}, which is not an array")
    return Name(full)

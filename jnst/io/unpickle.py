"""Reads numbers out of pickles without running them: an interpreter that makes containers, arrays, nothing else.

A pickle is a program that may call any function. Of its operations this one knows those that make texts, numbers,
lists, tables and tuples; a call is looked up in a list (`pickle_records.CALLS`) of what NumPy and PyTorch
write, and answered by a record.
Source: the opcodes as `pickletools` documents and parses them (pickle protocols 0 to 5).
"""

import pickletools
from collections.abc import Callable, Iterator
from typing import Any

from jnst.io.pickle_records import (
    CALLS,
    Array,
    Dtype,
    Name,
    Storage,
    Tensor,
    UnreadableError,
    check_size,
    look_up,
    make_table,
    set_item,
)

MOST_OPERATIONS = 200_000
"""a checkpoint with its optimizer has some ten thousand"""
DEEPEST = 8
"""containers within containers in which arrays are looked for"""


_ATOMS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_MADE: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": list,
}  # fmt: skip
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Machine:
    """The state of one pickle: its stack, the stacks below each mark, what it remembers, and the bytes it may make."""

    def __init__(self, budget: int):
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.budget = budget

    def step(self, name: str, argument: Any) -> None:
        if name in _ATOMS:
            self.stack.append(argument)
        elif name in _MADE:
            self.stack.append(_MADE[name]())
        elif name in _TUPLES:
            self.stack[-_TUPLES[name] :] = [tuple(self.take(_TUPLES[name]))]
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name in ("GLOBAL", "INST"):
            self.stack.append(look_up(*argument.split(" ", 1)))
            if name == "INST":
                raise UnreadableError("it makes an object that is no array")
        elif name not in ("PROTO", "FRAME"):
            operation = getattr(self, f"do_{name.lower()}", None)
            if operation is None:
                raise UnreadableError(f"it has the operation {name}, which no weights need")
            operation()

    def take(self, count: int) -> list[Any]:
        """The topmost `count` objects, which stay."""
        if len(self.stack) < count:
            raise UnreadableError("it takes more than it has")
        return self.stack[-count:]

    def pop(self) -> Any:
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def do_mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def do_memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def do_pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def do_pop_mark(self) -> None:
        self.pop_mark()

    def do_dup(self) -> None:
        self.stack.append(self.stack[-1])

    def do_tuple(self) -> None:
        items = self.pop_mark()
        self.stack.append(tuple(items))

    def do_list(self) -> None:
        items = self.pop_mark()
        self.stack.append(items)

    def do_dict(self) -> None:
        items = self.pop_mark()
        self.stack.append(make_table(zip(items[::2], items[1::2], strict=True)))

    def do_append(self) -> None:
        self.extend([self.pop()])

    def do_appends(self) -> None:
        items = self.pop_mark()
        self.extend(items)

    def do_additems(self) -> None:
        items = self.pop_mark()
        self.extend(items)

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise UnreadableError("it appends to what is no list")
        self.stack[-1].extend(items)

    def do_setitem(self) -> None:
        value, key = self.pop(), self.pop()
        set_item(self.stack[-1], key, value)

    def do_setitems(self) -> None:
        items = self.pop_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            set_item(self.stack[-1], key, value)

    def do_stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        self.stack.append(look_up(module, name))

    def do_reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Name) or function.text not in CALLS or not isinstance(arguments, tuple):
            raise UnreadableError("it calls what is no function of arrays")
        if function.text == "_codecs.encode" and isinstance(arguments[0], str):
            self.budget -= len(arguments[0])  # one remembered text may be encoded again and again
            if self.budget < 0:
                raise UnreadableError("it makes more bytes than it has")
        self.stack.append(CALLS[function.text](*arguments))

    do_newobj = do_reduce

    def do_build(self) -> None:
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, Dtype) and isinstance(state, tuple) and state[2:5] == (None, None, None):
            target.order = state[1] if isinstance(state[1], str) else "?"
        elif isinstance(target, Array) and isinstance(state, tuple) and len(state) == 5:
            _, target.shape, target.dtype, target.fortran, target.data = state
        elif not isinstance(target, dict | None):  # an OrderedDict's own attributes do not matter
            raise UnreadableError("it changes what is no array")

    def do_binpersid(self) -> None:
        record = self.pop()
        match record:
            case ("storage", Name(text), str(key), _, int(count), *_) if text.startswith("torch."):
                self.stack.append(Storage(text.removeprefix("torch.").removesuffix("Storage"), key, check_size(count)))
            case _:
                raise UnreadableError("it has numbers elsewhere that no tensor has")


def interpret(file: Any, *, budget: int) -> Any:
    """Reads one pickle and leaves the file behind it.

    Args:
        file: a binary one, at the pickle's first byte.
        budget: bytes that the pickle may make; the file's size.

    Returns:
        Its containers, texts and numbers, with `Array` and `Tensor` in the places of arrays.

    Raises:
        UnreadableError: a damaged pickle, or one that wants more than arrays.
    """
    machine = _Machine(budget)
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
            if count > MOST_OPERATIONS:
                raise UnreadableError(f"it has more than {MOST_OPERATIONS} operations")
            if operation.name == "STOP":
                return machine.pop()
            machine.step(operation.name, argument)
    except UnreadableError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        text = " ".join(str(error).split())[:120] or type(error).__name__
        raise UnreadableError(f"it is damaged: {text}") from None
    raise UnreadableError("it has no end")


def find_arrays(content: Any) -> Iterator[tuple[str, Array | Tensor]]:
    """Walks through containers.

    Args:
        content: as `interpret` gives it.

    Yields:
        Each array with the keys that lead to it, `state_dict/features.0.weight`; none deeper than `DEEPEST`.
    """
    todo: list[tuple[str, Any, int]] = [("", content, 0)]
    seen: set[int] = set()  # a container that is held a million times, or holds itself, is looked into once
    while todo:
        name, item, depth = todo.pop()
        if isinstance(item, Array | Tensor) and not (isinstance(item, Array) and isinstance(item.data, list)):
            yield name, item
            continue
        if isinstance(item, Array):
            item = item.data[0] if item.shape == () and len(item.data) == 1 else item.data
        if not isinstance(item, dict | list | tuple) or id(item) in seen or depth > DEEPEST:
            continue
        seen.add(id(item))
        pairs = item.items() if isinstance(item, dict) else enumerate(item)
        inner = [(f"{name}/{key!s}" if name else str(key), value, depth + 1) for key, value in pairs
                 if not isinstance(key, str | bytes) or len(key) <= 200]  # fmt: skip
        todo += reversed(inner)

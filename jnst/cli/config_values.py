"""Which options a file of settings may hold, and of what types their values are."""

from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from jnst.cli.options import BatchOptions, FileOptions, MachineOptions, PresetOptions, ReportOptions, WeightOptions
from jnst.cli.settings import ALIASES, GROUPS
from jnst.config import INIT_NAMES, Config, check_value
from jnst.errors import InputError
from jnst.io.encode import Writing
from jnst.io.paths import AnyPath, resolve_relative
from jnst.io.stores import is_object

SAVED_GROUPS: dict[str, tuple[str, ...]] = {
    "file": ("image_size", "upscale", "style_scale"),
    "writing": tuple(option.name for option in fields(Writing)),
    **{group: names for group, (_, names) in GROUPS.items()},
    "weight": tuple(option.name for option in fields(WeightOptions)),
    "machine": ("max_memory", "devices", "no_compilation_cache"),
    "batch": ("batch_size",),
    "report": ("save_every", "quiet"),
}
"""group of `Options` -> its options that a file may hold: what names no image, and no place of a result"""
SAVED = {name: group for group, names in SAVED_GROUPS.items() for name in names}
"""option -> its group"""
_SETTINGS = {option.name for option in fields(Config)}
_READ_ONLY = ("preset", "quality")
"""that a file may hold, too; what they stand for is written"""
_OTHERS = (FileOptions, Writing, WeightOptions, MachineOptions, BatchOptions, ReportOptions, PresetOptions)
_HINTS: dict[str, Any] = {name: hint for kind in _OTHERS for name, hint in get_type_hints(kind).items()}
_PLAIN: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
}
"""type of an option -> what TOML and JSON make of it, and how that is told; all others are texts"""


def check_values(table: Mapping[str, Any], folder: AnyPath) -> dict[str, Any]:
    """Returns the values of a file as the options have them.

    Args:
        table: by the names of the options.
        folder: of the file, to which its paths are relative.

    Raises:
        InputError: an unknown name, or a value that the option cannot have.
    """
    values: dict[str, Any] = {}
    for written, value in table.items():
        name = ALIASES.get(written, written)
        if name not in SAVED and name not in _READ_ONLY:
            raise InputError(f"unknown setting {_short(name)}; --save-config writes those that there are")
        if name in _SETTINGS:
            values[name] = None if value is None else check_value(name, value)
        else:
            values[name] = _check_option(name, value)
    for name in ("weights", "normalize_with"):
        if values.get(name) is not None:
            values[name] = resolve_relative(folder, values[name])
    if is_object(values.get("weights", folder)) and values.get("weights") is not None:
        raise InputError("weights must be a path of this machine")
    if values.get("init", "content") not in INIT_NAMES:
        values["init"] = str(resolve_relative(folder, values["init"]))
    return values


def _check_option(name: str, value: Any) -> Any:
    """The value of an option that is no field of `Config`."""
    hint = _HINTS[name]
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kind = next(part for part in parts if part is not NoneType)
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise InputError(f"{name} must be one of {', '.join(map(str, choices))}, got {_short(value)}")
        return value
    types, told = _PLAIN.get(kind, ((str,), "a text"))
    if type(value) not in types:
        raise InputError(f"{name} must be {told}, got {_short(value)}")
    return float(value) if kind is float else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

"""The fields of `Config` as options: groups for `--help`, their flags, and settings written as flags.

Names, types, defaults and help texts are those of the dataclass and its comments; only what a terminal needs beside
them stands here. `flag` also renders the fields in messages (`jnst.errors`).
"""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import MISSING, fields, make_dataclass
from functools import cache
from typing import Annotated, Any, get_args

import tyro

from jnst.config import DEFAULT_STRENGTH, Config
from jnst.errors import InputError

GROUPS = {
    "balance": ("How content and style are weighed.",
                ("loss", "style_loss", "style_unit", "strength", "content_weight", "style_weight", "tv_weight",
                 "tv_form")),
    "color": ("Whose colours the result has.", ("match_colors", "original_colors")),
    "layer": ("Which maps of the network are matched: the main knob.",
              ("content_layers", "style_layers", "style_layer_weights", "style_pyramid_levels", "pooling",
               "normalize_filters")),
    "solver": ("How the image is optimised.",
               ("optimizer", "iterations", "scales", "history_size", "history_dtype", "learning_rate", "gradients",
               "precision", "checkpoint", "tile", "init", "noise_blend", "seed", "tileable")),
}  # fmt: skip
"""group of `--help` -> its line, and the fields of `Config` in it"""

# What a user may leave open is None in the dataclass; the help says what that means.
_SHOWN: dict[str, dict[str, Any]] = {
    "strength": {"metavar": "FLOAT", "help_behavior_hint": f"(default: {DEFAULT_STRENGTH})"},
    "content_weight": {"metavar": "FLOAT", "help_behavior_hint": "(default: from --strength)"},
    "style_weight": {"metavar": "FLOAT", "help_behavior_hint": "(default: from --strength)"},
    "content_layers": {"metavar": "LAYER ..."},
    "style_layers": {"metavar": "LAYER ..."},
    "style_layer_weights": {"metavar": "FLOAT ...", "help_behavior_hint": "(default: equal)"},
    "style_pyramid_levels": {"metavar": "INT", "aliases": ["--style-sizes"]},
    "scales": {"metavar": "auto|N|PIXELS ..."},
    "original_colors": {"aliases": ["--original-colours"]},
    "match_colors": {"aliases": ["--match-colours"]},
    "tile": {"metavar": "auto|N"},
    "init": {"metavar": "NAME|PATH"},
}
ALIASES = {"style_sizes": "style_pyramid_levels"}
"""names from before that jobs files may still have"""
_TYPES = {field.name: field.type for field in fields(Config)}
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def flag(name: str) -> str:
    """Returns the option of a field: `style_weight` -> `--style-weight`.

    Args:
        name: of a field of `Config` or of an option's dataclass.
    """
    return "--" + name.replace("_", "-")


def group_class(name: str) -> type:
    """Returns a dataclass of one group's fields, as the parser of the command line wants them.

    Args:
        name: a key of `GROUPS`.
    """
    title, names = GROUPS[name]
    defaults = {field.name: field.default for field in fields(Config)}
    helps = field_comments(Config)
    columns = []
    for field in names:
        assert defaults[field] is not MISSING, field
        shown = tyro.conf.arg(help=_with_flags(helps[field]), **_SHOWN.get(field, {}))
        columns.append((field, Annotated[_TYPES[field], shown], defaults[field]))
    return make_dataclass(f"{name.title()}Options", columns, frozen=True, namespace={"__doc__": title})


def settings_to_flags(settings: Mapping[str, Any]) -> list[str]:
    """Returns command-line arguments that give `Config` those values.

    Args:
        settings: fields of `Config` and their values; None stands for an option that is not given.

    Returns:
        Such as `["--strength", "0.8", "--style-layers", "conv1_1", "conv2_1"]`.
    """
    arguments: list[str] = []
    for name, value in settings.items():
        if value is None:
            continue
        if isinstance(value, bool):
            arguments.append(flag(name) if value else flag(f"no_{name}"))
        elif isinstance(value, tuple | list):
            arguments += [flag(name), *map(str, value)]
        else:
            arguments.append(f"{flag(name)}={value}")  # in one piece: an image's name may begin with a dash
    return arguments


def text_to_setting(name: str, value: Any) -> Any:
    """Returns what a cell of a jobs file says of a field, as `settings_to_flags` takes it.

    Args:
        name: of the field, or of another option of a row.
        value: text, or what JSON makes of a value.

    Raises:
        InputError: neither true nor false where only these can be.
    """
    kind = bool if name == "upscale" else _TYPES.get(name, str)
    if kind is bool:
        if str(value).lower() not in _TRUTHS:
            raise InputError(f"`{name}` must be true or false, got {value}", field=name)
        return _TRUTHS[str(value).lower()]
    several = any(getattr(part, "__origin__", None) is tuple for part in (kind, *get_args(kind)))
    if several and not isinstance(value, list):
        return str(value).split()
    return value if several else str(value)


@cache
def field_comments(kind: type) -> dict[str, str]:
    """Returns the string below each field, on one line; empty where there is no source to read.

    Args:
        kind: a dataclass.
    """
    comments = dict.fromkeys((field.name for field in fields(kind)), "")
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    except OSError:
        return comments
    assert isinstance(body, ast.ClassDef)
    for item, below in zip(body.body, body.body[1:], strict=False):
        match item, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                comments[name] = " ".join(text.split())
    return comments


def _with_flags(text: str) -> str:
    """A comment with its names in backticks as options."""
    return InputError(text).render(flag)

"""From the words of a command line, or of a row of a jobs file, to options; and messages as their user knows things."""

import contextlib
import inspect
import io
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, Protocol, TypeVar

import tyro

from jnst.cli.commands import COMMANDS
from jnst.cli.options import (
    BalanceOptions,
    BatchOptions,
    FileOptions,
    MachineOptions,
    Options,
    PresetOptions,
    ReportOptions,
    SettingOptions,
    StyleOptions,
    WeightOptions,
)
from jnst.cli.settings import GROUPS, flag, settings_to_flags
from jnst.config import Config
from jnst.errors import InputError
from jnst.io.encode import Writing
from jnst.presets import COMMON, PRESETS, preset_settings, quality_iterations

T = TypeVar("T")


class HasSettings(Protocol):
    """What has the settings of a transfer among its groups."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def preset(self) -> PresetOptions:
        """Settings with names."""
        ...

    @property
    def balance(self) -> BalanceOptions:
        """How content and style are weighed."""
        ...


Parsed = TypeVar("Parsed", bound=HasSettings)
FLAGS = {option.name
         for group in (Config, FileOptions, Writing, StyleOptions, PresetOptions, SettingOptions, WeightOptions,
                       MachineOptions, BatchOptions, ReportOptions)
         for option in fields(group)}  # fmt: skip
"""names of all fields that are options"""


def parse(arguments: Sequence[str] | None) -> Options:
    """Returns the options of a command line; `--help` prints and exits.

    Args:
        arguments: without the program's name; None: those of this process.

    Raises:
        InputError: what the parser says, in one line; an unknown preset.
    """
    return parse_over(Options, arguments, Options())


def parse_over(kind: type[Parsed], arguments: Sequence[str] | None, default: Parsed, *, prog: str = "jnst") -> Parsed:
    """Returns options; those that are not given come from preset and quality where they are given, else from `default`.

    Strength and the weights of content and style exclude each other: of the two, what is given stands.

    Args:
        kind: `Options`, `RowOptions`, or another with their groups of settings.
        arguments: of the command line or of a row.
        default: what is not given.
        prog: what the help calls the program.

    Raises:
        InputError: what the parser says, in one line; an unknown preset or quality.
    """
    given = parse_into(kind, arguments, default, prog=prog)
    if given.preset.preset is None and given.preset.quality is None:
        return given
    settings = {} if given.preset.preset is None else preset_settings(given.preset.preset)
    if given.preset.quality is not None:
        settings["iterations"] = quality_iterations(given.preset.quality)
    if given.balance.strength is not None:
        settings |= {"content_weight": None, "style_weight": None}
    elif (given.balance.content_weight, given.balance.style_weight) != (None, None):
        settings |= {"strength": None}
    groups = {}
    for group, (_, names) in GROUPS.items():
        groups[group] = replace(getattr(default, group), **{n: settings[n] for n in names if n in settings})
    return parse_into(kind, arguments, replace(default, **groups), prog=prog)


def parse_command(kind: type[T], arguments: Sequence[str], *, name: str) -> T:
    """Returns the options of one of the commands beside painting; `--help` prints and exits.

    Args:
        kind: a dataclass whose fields all have defaults; its docstring is the help's first line.
        arguments: behind the command's name.
        name: of the command.

    Raises:
        InputError: what the parser says, in one line.
    """
    return parse_into(kind, arguments, kind(), prog=f"jnst {name}")


def parse_into(kind: type[T], arguments: Sequence[str] | None, default: T, *, prog: str) -> T:
    """Returns the options of a command; `--help` prints and exits.

    Args:
        kind: a dataclass of options.
        arguments: of the command.
        default: what is not given.
        prog: what the help calls the program.

    Raises:
        InputError: what the parser says, in one line.
    """
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            return tyro.cli(
                kind, prog=prog, args=arguments, default=default, description=_description(kind),
                config=(tyro.conf.OmitArgPrefixes,),
            )  # fmt: skip
    except SystemExit as stop:
        if stop.code == 0:
            raise
        raise InputError(_unboxed(messages.getvalue())) from None


def _description(kind: type) -> str:
    """What the help says first: the class's own line, and the commands beside it."""
    beside = COMMANDS.items() if issubclass(kind, Options) else ()
    lines = [f"{inspect.getdoc(kind)}", *(f"jnst {name}: {does}" for name, (_, does) in beside)]
    return "\n\n".join(lines)


def _unboxed(text: str) -> str:
    """The parser's framed message as one line; where standard output is no UTF-8, the frame is blanks and dashes."""
    message: list[str] = []
    for line in text.splitlines()[1:]:  # the first one is the title
        line = line.strip("│ ")
        if message and re.fullmatch("─+|-+|╰.*", line):
            break
        message += [line] if re.search(r"\w", line) else []
    return " ".join(message).rstrip(".") + "; see --help"


def make_config(options: HasSettings) -> Config:
    """Returns the transfer's settings out of the command line's, or a row's.

    Args:
        options: parsed.

    Raises:
        InputError: values that `Config` refuses.
    """
    return Config(**{name: value for group in GROUPS for name, value in vars(getattr(options, group)).items()})


def list_presets() -> str:
    """Returns all presets for people: name, when to use it, what it sets."""
    lines = []
    for name, preset in PRESETS.items():
        own = {key: value for key, value in preset.settings.items() if key not in COMMON}
        lines += [f"{name}: {preset.advice}", "    " + " ".join(settings_to_flags(own)).replace("=", " ")]
    common = " ".join(settings_to_flags(COMMON)).replace("=", " ")
    return "\n".join([*lines, f"all of them: {common}; an option given beside a preset overrides it"])


def render(error: InputError) -> str:
    """Returns an error's message as the command line's user knows things: fields as flags.

    Args:
        error: with names of fields in backticks, or at the beginning of its message.
    """
    first = error.template.split(" ", 1)[0]
    if first in FLAGS:
        error = InputError(error.template, first)
    return error.render(lambda name: flag(name) if name in FLAGS else name)

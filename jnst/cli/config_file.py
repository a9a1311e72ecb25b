"""Settings in files: those of a command line as TOML (`--save-config`), and read again (`--config`), or of a picture.

A file holds options by their names with underscores, as a jobs file does: `image_size = 256`. Of a picture the settings
of its recipe count, not its images. What stands on the command line overrides the file. Paths in a file are relative to
its folder.
"""

import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from jnst.cli.checks import require_output
from jnst.cli.config_values import SAVED, SAVED_GROUPS, check_values
from jnst.cli.options import (
    MISSING_PATH,
    FileOptions,
    MachineOptions,
    Options,
    ReportOptions,
    SolverOptions,
    WeightOptions,
)
from jnst.cli.parsing import make_config, parse, parse_over
from jnst.cli.settings import field_comments
from jnst.config import INIT_NAMES, Config
from jnst.errors import InputError, single_line
from jnst.io.atomic import write_whole
from jnst.io.encode import Writing
from jnst.io.paths import AnyPath, canonical, parse_path, path_errors
from jnst.io.recipe import Recipe, read_recipe
from jnst.io.stores import is_object
from jnst.io.suffixes import picture_suffixes
from jnst.presets import preset_settings, quality_iterations


@dataclass(frozen=True)
class OptionsOverFile(Options):
    """Repaint a photograph in the manner of a painting."""

    # every switch has its opposite here, since the file may have set it
    file: FileOptions = field(default_factory=FileOptions)
    writing: Writing = field(default_factory=Writing)
    solver: SolverOptions = field(default_factory=SolverOptions)
    weight: WeightOptions = field(default_factory=WeightOptions)
    machine: MachineOptions = field(default_factory=MachineOptions)
    report: ReportOptions = field(default_factory=ReportOptions)


def parse_with_config(arguments: Sequence[str]) -> Options:
    """Returns the options of a command line, over those of the file that it names, where it names one.

    Args:
        arguments: without the program's name.

    Raises:
        InputError: what the parser says; a file that cannot be read, or holds what is no setting.
    """
    if not any(word == "--config" or word.startswith("--config=") for word in arguments):
        return parse(arguments)
    given = parse_over(OptionsOverFile, arguments, OptionsOverFile())
    if given.setting.config is None:
        return given
    values, balance = read_settings(given.setting.config), given.balance
    if balance.strength is not None:  # of what excludes each other, what is given stands
        values |= {"content_weight": None, "style_weight": None}
    elif (balance.content_weight, balance.style_weight) != (None, None):
        values |= {"strength": None}
    return parse_over(OptionsOverFile, arguments, with_values(OptionsOverFile(), values))


def with_values(options: Options, values: Mapping[str, Any]) -> Any:
    """Returns options, of the same kind, with other values.

    Args:
        options: of a command line.
        values: by the names of the options, as `read_settings` gives them.
    """
    groups = {group: replace(getattr(options, group), **{name: values[name] for name in names if name in values})
              for group, names in SAVED_GROUPS.items()}  # fmt: skip
    return replace(options, **groups)


def read_settings(path: AnyPath) -> dict[str, Any]:
    """Returns the settings that a file holds.

    Args:
        path: of TOML, or of a picture with a recipe.

    Returns:
        Values by the names of the options; paths are resolved.

    Raises:
        InputError: no such file, one that is neither, an unknown key or a wrong type, by the file and the key.
    """
    if path.suffix.lower() in picture_suffixes():
        return settings_of_recipe(read_recipe(path), path)
    with path_errors(path):
        if not path.is_file():
            raise InputError(f"{path}: no such file; give a .toml file of settings, or a picture that has a recipe")
        content = path.read_bytes()
    try:
        table = tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no TOML ({single_line(error)}); `save_config` writes it") from None
    try:
        values = check_values(table, path.parent)
        _require_one_balance(values)
        return {**_named(values), **values}
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def settings_of_recipe(recipe: Recipe, path: AnyPath) -> dict[str, Any]:
    """Returns the settings of a picture's recipe: those of the transfer, sizes, and how it was written.

    Args:
        recipe: of the picture.
        path: of the picture; a start image is looked for beside it.

    Raises:
        InputError: a setting that is not known, since the picture would be another one, or that cannot be.
    """
    known = {option.name for option in fields(Config)}
    unknown = [name for name in recipe.settings if name not in known]
    if unknown:
        raise InputError(
            f"{path}: its recipe has the setting {unknown[0][:60]!r}, which this jnst does not know; update jnst"
        )
    options = {name: value for name, value in recipe.options.items() if name in SAVED}  # later versions may have more
    try:
        values = check_values({**options, **recipe.settings}, path.parent)
        Config(**{name: values[name] for name in recipe.settings})
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return values


def _require_one_balance(values: Mapping[str, Any]) -> None:
    """Refuses what excludes each other within a file; what a command line overrides is told with that."""
    for name in ("content_weight", "style_weight"):
        if name in values and "strength" in values:
            raise InputError(f"`strength` must stand without `{name}`, got both")


def _named(values: dict[str, Any]) -> dict[str, Any]:
    """What the preset and the quality among the values stand for; they are taken out."""
    preset, quality = values.pop("preset", None), values.pop("quality", None)
    settings = {} if preset is None else preset_settings(preset)
    if quality is not None:
        settings["iterations"] = quality_iterations(quality)
    if values.get("strength") is not None:
        settings |= {"content_weight": None, "style_weight": None}
    elif (values.get("content_weight"), values.get("style_weight")) != (None, None):
        settings |= {"strength": None}
    return settings


def require_config_place(options: Options, path: Path) -> None:
    """Refuses a place where the settings cannot be written.

    Args:
        options: of the command line.
        path: of the file to write.

    Raises:
        InputError: another extension, an input or another output, an existing file, a folder that cannot be written.
    """
    if path.suffix.lower() != ".toml":
        raise InputError(f"{path} has the extension {path.suffix!r}; settings are written as .toml")
    given = options.mixture
    images = (options.content, options.style, *options.more_styles)
    masks = (*given.content_masks, *given.style_masks, *given.regions)
    places = (*images, *masks, options.file.output, options.batch.jobs, options.report.trace)
    taken = {canonical(place) for place in places if place not in (None, MISSING_PATH)}
    require_output(path, option="save_config", inputs=taken, overwrite=options.file.overwrite, as_image=False)


def write_settings(options: Options, path: Path) -> None:
    """Writes the settings of a command line that differ from the defaults, each below what it means.

    Args:
        options: of the command line.
        path: of the TOML file; it is replaced.

    Raises:
        InputError: a name that no text file can hold, or a place that cannot be written.
    """
    config, default, plain = make_config(options), Options(), Config()
    lines = [f"# settings of jnst that differ from its defaults; use them by: jnst CONTENT STYLE --config {path.name}"]
    for name, group in SAVED.items():
        own = hasattr(plain, name)  # as `Config` keeps them: commas are gone
        value = getattr(config if own else getattr(options, group), name)
        if value is None or value == getattr(plain if own else getattr(default, group), name):
            continue
        kind = Config if own else type(getattr(default, group))
        comment = textwrap.wrap(InputError(field_comments(kind)[name]).render(str), 116)
        lines += ["", *(f"# {line}" for line in comment), f"{name} = {_toml(name, value, path)}"]
    try:
        content = ("\n".join(lines) + "\n").encode()
    except UnicodeEncodeError:  # a file's name may hold any bytes
        raise InputError(f"{path} cannot hold the name of a file that is no UTF-8; give it another name") from None
    write_whole(path, lambda file: file.write(content))


def _toml(name: str, value: Any, path: Path) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(name, item, path) for item in value)}]"
    if isinstance(value, AnyPath) or (name == "init" and value not in INIT_NAMES):
        value = _relative(parse_path(value), path)
    controls = {code: f"\\u{code:04x}" for code in (*range(32), 127)}
    return f'"{str(value).translate({ord(mark): chr(92) + mark for mark in chr(92) + chr(34)} | controls)}"'


def _relative(place: AnyPath, path: Path) -> AnyPath:
    """A place below the file's folder as seen from there, so that both can be moved together; others in full."""
    if is_object(place):
        return place
    folder, whole = Path(canonical(path)).parent, Path(canonical(place))
    return whole.relative_to(folder) if whole.is_relative_to(folder) else whole

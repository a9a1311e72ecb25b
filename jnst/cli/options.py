"""What the command line takes: groups of options, whose names and texts are those of `--help`."""

import contextlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from jnst.config import BalanceOptions, Config, LayerOptions, SolverOptions
from jnst.errors import InputError
from jnst.io.paths import AnyPath, is_folder, parse_local_path, parse_path
from jnst.network.architecture import MIN_SIDE, Backbone
from jnst.presets import settings_of

T = TypeVar("T")
OneWay = tyro.conf.FlagCreatePairsOff
"""of flags that nothing but the user sets: no --no-... is needed"""
NOT_GIVEN = Path("-")


def _read_as(path: Callable[[str], Any]) -> Any:
    """How a path is made of what is given."""
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=lambda given: path(given[0]),
        is_instance=lambda found: isinstance(found, AnyPath | None),
        str_from_instance=lambda found: [str(found)],
    )


LOCAL, ANYWHERE = _read_as(parse_local_path), _read_as(parse_path)


def _path(default: str, **more: Any) -> Any:
    """How the help shows a path that may be left out."""
    return tyro.conf.arg(metavar="PATH", help_behavior_hint=f"(default: {default})", **more)


def _given_unless_jobs(name: str) -> Any:
    return tyro.conf.arg(metavar=name, help_behavior_hint="(required without --jobs)")


@dataclass(frozen=True)
class FileOptions:
    """What is read and written."""

    output: Annotated[AnyPath | None, ANYWHERE, _path("CONTENT_STYLE.png beside CONTENT", aliases=["-o"])] = None
    """the picture to write, .png .jpg .webp or .tif"""
    image_size: int = 512
    """longer side of the result in pixels, at least 32; never enlarges; 0 keeps the content's size"""
    style_scale: float = 1.0
    """longer side of the painting over the result's: smaller makes smaller strokes; never enlarges"""
    overwrite: bool = False
    """replace existing files"""


@dataclass(frozen=True)
class PresetOptions:
    """Settings with names, from the papers; what is given beside one overrides that part of it."""

    preset: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: none)")] = None
    """layers, losses, weights and start of a paper or of one of its figures; see --list-presets"""
    list_presets: bool = False
    """print all presets and when to use which"""


@dataclass(frozen=True)
class WeightOptions:
    """Which network judges."""

    backbone: Backbone = "auto"
    """auto: VGG-19 where it is found or can be downloaded, else VGG-16"""
    weights: Annotated[Path | None, LOCAL, _path("searched for")] = None
    """a weight file: .h5 .mat .safetensors .pth .npz .npy"""
    offline: bool = False
    """never touch the network"""
    normalize_with: Annotated[AnyPath | None, ANYWHERE, _path("the two images")] = None
    """folder of images whose mean activations --normalize-filters brings to 1"""


@dataclass(frozen=True)
class MachineOptions:
    """What is used of this machine, and kept on it."""

    max_memory: Annotated[str | None, tyro.conf.arg(metavar="SIZE", help_behavior_hint="(default: what is free)")] = (
        None
    )
    """take no more than so much, such as 6GB: a slower way is chosen where a faster one does not fit"""
    plan: bool = False
    """tell what the run would take, memory and minutes, and how it would compute; paint nothing"""
    devices: int = 1
    """split the picture by its rows over so many devices of this machine"""
    no_compilation_cache: bool = False
    """compile anew instead of keeping compiled programs in the user's cache directory"""


@dataclass(frozen=True)
class ReportOptions:
    """What is told meanwhile."""

    save_every: int = 0
    """also write the best picture so far after every so many iterations, 0: never"""
    trace: Annotated[Path | None, LOCAL, _path("none")] = None
    """write settings, every iteration's losses and the end as JSON lines"""
    quiet: bool = False
    """print nothing but errors"""


@dataclass(frozen=True)
class BatchOptions:
    """Of many pictures: folders instead of images, or a list of jobs."""

    jobs: Annotated[AnyPath | None, ANYWHERE, _path("none")] = None
    """CSV or JSON lines with content, style, output and any option a row, instead of CONTENT and STYLE"""
    batch_size: int = 0
    """pictures at a time on each device, 0: as many as it uses well and holds"""
    contact_sheet: Annotated[AnyPath | None, ANYWHERE, _path("none")] = None
    """also write one picture of all results, content down the side and style along the top"""
    coordinator: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT", help_behavior_hint="(default: none)")] = None
    """of several machines (jax.distributed), each of which does its share; auto where the cluster tells it"""
    processes: int = 1
    """how many there are, with --coordinator HOST:PORT"""
    process: int = 0
    """which of them this one is, from 0"""


@dataclass(frozen=True)
class Options:
    """Repaint a photograph in the manner of a painting."""

    content: tyro.conf.Positional[Annotated[AnyPath, ANYWHERE, _given_unless_jobs("CONTENT")]] = NOT_GIVEN
    """the photograph, or a folder of them"""
    style: tyro.conf.Positional[Annotated[AnyPath, ANYWHERE, _given_unless_jobs("STYLE")]] = NOT_GIVEN
    """the painting, or a folder of them"""
    file: OneWay[FileOptions] = field(default_factory=FileOptions)
    named: OneWay[PresetOptions] = field(default_factory=PresetOptions)
    balance: BalanceOptions = field(default_factory=BalanceOptions)
    layer: LayerOptions = field(default_factory=LayerOptions)
    solver: OneWay[SolverOptions] = field(default_factory=SolverOptions)
    weight: OneWay[WeightOptions] = field(default_factory=WeightOptions)
    machine: OneWay[MachineOptions] = field(default_factory=MachineOptions)
    batch: BatchOptions = field(default_factory=BatchOptions)
    report: OneWay[ReportOptions] = field(default_factory=ReportOptions)


@dataclass(frozen=True)
class RowOptions:
    """What a row of a jobs file may set."""

    image_size: int
    style_scale: float
    named: OneWay[PresetOptions] = field(default_factory=PresetOptions)
    balance: BalanceOptions = field(default_factory=BalanceOptions)
    layer: LayerOptions = field(default_factory=LayerOptions)
    solver: OneWay[SolverOptions] = field(default_factory=SolverOptions)


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Options from the command line; `--help` prints and exits.

    Raises:
        InputError: what the parser says, in one line; an unknown preset.
    """
    return with_preset(
        parse_into(Options, arguments), Options(), lambda default: parse_into(Options, arguments, default)
    )


Rows = TypeVar("Rows", Options, RowOptions)


def with_preset(given: Rows, default: Rows, again: Callable[[Rows], Rows]) -> Rows:
    """What was given, parsed `again` over the default with the preset's settings in it.

    Strength and the weights of content and style exclude each other: of the two, what is given stands.

    Raises:
        InputError: no such preset.
    """
    name = given.named.preset
    if name is None:
        return given
    settings = settings_of(name)
    if given.balance.strength is not None:
        settings |= {"content_weight": None, "style_weight": None}
    elif (given.balance.content_weight, given.balance.style_weight) != (None, None):
        settings |= {"strength": None}
    groups = {}
    for group in ("balance", "layer", "solver"):
        before = getattr(default, group)
        own = {f.name: settings[f.name] for f in fields(before) if f.name in settings}
        groups[group] = replace(before, **own)
    return again(replace(default, **groups))


def parse_into(kind: type[T], arguments: Sequence[str] | None, default: T | None = None) -> T:
    """Options of that dataclass; those that are not given come from `default`.

    Raises:
        InputError: what the parser says, in one line.
    """
    more: dict[str, Any] = {} if default is None else {"default": default}
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                kind,
                prog="python -m jnst.run",
                args=arguments,
                **more,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if stop.code == 0:
            raise
        raise InputError(_unbox(said.getvalue())) from None


def _unbox(text: str) -> str:
    """The parser's framed message as one line."""
    lines = [line.strip("│ ").strip() for line in text.splitlines() if not line.startswith(("╭", "╰"))]
    message: list[str] = []
    for line in lines:
        if re.fullmatch("─+", line):
            break
        message.append(line)
    return " ".join(message).rstrip(".") + "; see --help"


def check_sizes(image_size: int, style_scale: float) -> None:
    """Raises InputError where --image-size or --style-scale is out of range."""
    if image_size != 0 and image_size < MIN_SIDE:
        raise InputError(f"--image-size must be at least {MIN_SIDE}, or 0 for the content's size, got {image_size}")
    if not 0 < style_scale <= 100:
        raise InputError(f"--style-scale must be above 0 and at most 100, got {style_scale}")


def check_normalize(options: Options) -> None:
    """Raises InputError where --normalize-with stands alone or names no folder."""
    folder = options.weight.normalize_with
    if folder is not None and not options.layer.normalize_filters:
        raise InputError("--normalize-with needs --normalize-filters; give both")
    if folder is not None and not is_folder(folder):
        raise InputError(f"{folder} is no folder; --normalize-with needs one with images")


def config_of(options: Options | RowOptions) -> Config:
    """The transfer's settings out of the command line's, or a row's."""
    return Config(**vars(options.balance), **vars(options.layer), **vars(options.solver))

"""What the command line takes: groups of options, whose names and comments are those of `--help` (`jnst.cli.parsing`).

The settings of the transfer itself come from `Config` (`jnst.cli.settings`). Needs no JAX.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import tyro

from jnst.cli.settings import GROUPS, group_class
from jnst.io.encode import Writing
from jnst.io.paths import AnyPath, parse_local_path, parse_path
from jnst.io.pipes import STANDARD_INPUT, STANDARD_OUTPUT
from jnst.network.architecture import Backbone

T = TypeVar("T")
NoNegation = tyro.conf.FlagCreatePairsOff
"""of flags that nothing but the user sets: no --no-... is needed"""
MISSING_PATH = Path("\0")
"""stands for CONTENT or STYLE where it is not given; no file has this name"""


def _read_as(parse_path: Callable[[str], Any]) -> Any:
    """How a path is made of what is given."""
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=lambda words: parse_path(words[0]),
        is_instance=lambda value: isinstance(value, AnyPath | None),
        str_from_instance=lambda path: [str(path)],
    )


local_path_arg, path_arg = _read_as(parse_local_path), _read_as(parse_path)
input_arg = _read_as(lambda text: STANDARD_INPUT if text == "-" else parse_path(text))
_output_arg = _read_as(lambda text: STANDARD_OUTPUT if text == "-" else parse_path(text))


def hint(metavar: str, default: str, **more: Any) -> Any:
    """Says how the help shows an option that may be left out.

    Args:
        metavar: what stands for its value.
        default: what it is where it is left out.
        more: for `tyro.conf.arg`.

    Returns:
        An annotation.
    """
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {default})", **more)


def _unless_jobs(name: str) -> Any:
    return tyro.conf.arg(metavar=name, help_behavior_hint="(required without --jobs)")


if TYPE_CHECKING:
    BalanceOptions = ColorOptions = LayerOptions = SolverOptions = Any
else:
    BalanceOptions, ColorOptions, LayerOptions, SolverOptions = map(group_class, GROUPS)


@dataclass(frozen=True)
class FileOptions:
    """What is read and written."""

    output: Annotated[AnyPath | None, _output_arg, hint("PATH", "CONTENT_STYLE.png beside CONTENT", aliases=["-o"])] = (
        None
    )
    """the picture to write, .png .jpg .webp .tif .avif or .jxl, - for PNG on standard output; of many pictures, their
    folder"""
    image_size: int = 512
    """longer side of the result in pixels, at least 32; enlarges with --upscale only; 0 keeps the content's size"""
    upscale: bool = False
    """enlarge a photograph that is smaller than --image-size"""
    style_scale: float = 1.0
    """longer side of the painting over the result's: smaller makes smaller strokes; never enlarges"""
    texture_maps: Annotated[tuple[str, ...], hint("NAME=PATH ...", "none")] = ()
    """further maps of STYLE, an albedo, made in the picture's layout: normal=n.png roughness=r.png; each is written
    beside the picture as OUTPUT.NAME.png"""
    overwrite: bool = False
    """replace existing files"""


@dataclass(frozen=True)
class StyleOptions:
    """Several paintings as one style, and where each acts."""

    blend: bool = False
    """take all pictures of a folder of paintings together as one style (several STYLE always are)"""
    style_blend_weights: Annotated[tuple[float, ...] | None, hint("FLOAT ...", "equal")] = None
    """how much of each painting, above 0"""
    content_masks: Annotated[tuple[Annotated[AnyPath, path_arg], ...], hint("PATH ...", "all")] = ()
    """one a painting: where in the result it acts, a picture of the photograph's shape, white: fully, black: not; all:
    everywhere"""
    style_masks: Annotated[tuple[Annotated[AnyPath, path_arg], ...], hint("PATH ...", "all")] = ()
    """one a painting: which part of it is meant, a picture of its shape; all: all of it"""
    regions: Annotated[tuple[Annotated[AnyPath, path_arg], ...], hint("PATH ...", "none")] = ()
    """instead of masks: pictures whose colours are regions, the photograph's and one a painting; a region of the result
    gets the style of the regions of its colour"""


@dataclass(frozen=True)
class PresetOptions:
    """Settings with names; what is given beside one overrides that part of it."""

    quality: Annotated[str | None, hint("{draft,standard,fine}", "standard")] = None
    """time against finish: a first look, what most pictures need, the last few percent of the loss"""

    preset: Annotated[str | None, hint("NAME", "none")] = None
    """layers, losses, weights and start of a paper or of one of its figures; see --list-presets"""
    list_presets: bool = False
    """print all presets and when to use which"""


@dataclass(frozen=True)
class SettingOptions:
    """Settings in files."""

    config: Annotated[AnyPath | None, path_arg, hint("PATH", "none")] = None
    """take settings from a .toml file, or those of a picture that jnst has painted; options beside it override them"""
    save_config: Annotated[Path | None, local_path_arg, hint("PATH", "none")] = None
    """write the settings of this command line to a .toml file for --config"""


@dataclass(frozen=True)
class WeightOptions:
    """Which network judges."""

    backbone: Backbone = "auto"
    """auto: VGG-19 where it is found or can be downloaded, else VGG-16"""
    weights: Annotated[Path | None, local_path_arg, hint("PATH", "searched for")] = None
    """a weight file of Keras, PyTorch, MatConvNet, TensorFlow or flax: .h5 .keras .mat .safetensors .pth .npz .npy"""
    weights_input: Annotated[Literal["caffe", "torch"] | None, hint("{caffe,torch}", "by its numbers")] = None
    """which images the weights are for, where their numbers are unknown and the file does not tell"""
    offline: bool = False
    """never touch the network"""
    normalize_with: Annotated[AnyPath | None, path_arg, hint("PATH", "the two images")] = None
    """folder of images whose mean activations --normalize-filters brings to 1"""


@dataclass(frozen=True)
class MachineOptions:
    """Memory, devices and the cache of compiled programs."""

    max_memory: Annotated[str | None, hint("SIZE", "what is free")] = None
    """take no more than so much, such as 6GB: a slower way is chosen where a faster one does not fit"""
    plan: bool = False
    """print what the run would take, memory and minutes, and how it would compute; paint nothing"""
    for_chip: Annotated[str | None, hint("{v5e,v6e,h100}", "this machine", name="for")] = None
    """with --plan: what the run would take at least of one such chip, by its published figures; it need not be here"""
    devices: int = 1
    """split the picture by its rows over so many devices of this machine"""
    no_compilation_cache: bool = False
    """compile anew instead of keeping compiled programs in the user's cache directory"""


@dataclass(frozen=True)
class ReportOptions:
    """What is shown and written meanwhile."""

    save_every: int = 0
    """also write the best picture so far after every so many iterations, 0: never"""
    trace: Annotated[Path | None, local_path_arg, hint("PATH", "none")] = None
    """write settings, every iteration's losses and the end as JSON lines; of many pictures, a file each in a folder"""
    animation: Annotated[Path | None, local_path_arg, hint("PATH", "none")] = None
    """write the run as a film, about 60 frames, as .mp4 (extra video), .gif or .webp"""
    plot: Annotated[Path | None, local_path_arg, hint("PATH", "none")] = None
    """draw the losses over the iterations, as .png, .svg or .pdf (extra plot)"""
    checkpoint_file: Annotated[Path | None, local_path_arg, hint("PATH", "none")] = None
    """keep the run in this file, once a minute and when it is stopped; the same command goes on from there"""
    quiet: bool = False
    """print nothing but errors"""
    version: bool = False
    """print the version"""


@dataclass(frozen=True)
class BatchOptions:
    """Of many pictures: folders instead of images, or a list of jobs."""

    jobs: Annotated[AnyPath | None, path_arg, hint("PATH", "none")] = None
    """CSV or JSON lines with content, style, output and any option a row, instead of CONTENT and STYLE"""
    batch_size: int = 0
    """pictures at a time on each device, 0: as many as it uses well and holds"""
    contact_sheet: Annotated[AnyPath | None, path_arg, hint("PATH", "none")] = None
    """also write one picture of all results, content down the side and style along the top"""
    coordinator: Annotated[str | None, hint("HOST:PORT", "none")] = None
    """of several machines (jax.distributed), each of which does its share; auto where the cluster tells it"""
    processes: int = 1
    """how many there are, with --coordinator HOST:PORT"""
    process: int = 0
    """which of them this one is, from 0"""
    shard: Annotated[str | None, hint("I/N", "none")] = None
    """paint part I of N (from 0), with no word to the others; auto or auto/N where the scheduler tells which"""
    engine: Literal["local", "ray"] = "local"
    """what paints: this process, or the workers of a Ray cluster (extra ray)"""
    address: Annotated[str | None, hint("HOST:PORT", "a cluster of this machine")] = None
    """of the Ray cluster's head, with --engine ray; auto for the one that runs here"""
    workers: Annotated[int, hint("INT", "one a GPU; without any, one a machine")] = 0
    """most workers of the Ray cluster, with --engine ray"""


@dataclass(frozen=True)
class Options:
    """Repaint a photograph in the manner of a painting."""

    content: tyro.conf.Positional[Annotated[AnyPath, input_arg, _unless_jobs("CONTENT")]] = MISSING_PATH
    """the photograph, or a folder of them; - for one on standard input"""
    style: tyro.conf.Positional[Annotated[AnyPath, input_arg, _unless_jobs("STYLE")]] = MISSING_PATH
    """the painting, or a folder of them"""
    more_styles: tyro.conf.Positional[
        Annotated[tuple[Annotated[AnyPath, path_arg], ...], tyro.conf.arg(metavar="[STYLE ...]", help_behavior_hint="")]
    ] = ()
    """further paintings, which make one style together with the first"""
    file: NoNegation[FileOptions] = field(default_factory=FileOptions)
    writing: NoNegation[Writing] = field(default_factory=Writing)
    mixture: NoNegation[StyleOptions] = field(default_factory=StyleOptions)
    preset: NoNegation[PresetOptions] = field(default_factory=PresetOptions)
    setting: SettingOptions = field(default_factory=SettingOptions)
    balance: BalanceOptions = field(default_factory=BalanceOptions)
    color: NoNegation[ColorOptions] = field(default_factory=ColorOptions)
    layer: LayerOptions = field(default_factory=LayerOptions)
    solver: NoNegation[SolverOptions] = field(default_factory=SolverOptions)
    weight: NoNegation[WeightOptions] = field(default_factory=WeightOptions)
    machine: NoNegation[MachineOptions] = field(default_factory=MachineOptions)
    batch: BatchOptions = field(default_factory=BatchOptions)
    report: NoNegation[ReportOptions] = field(default_factory=ReportOptions)


@dataclass(frozen=True)
class RowOptions:
    """What a row of a jobs file may set. Unlike the command line, a row may take back what that has switched on."""

    image_size: int
    style_scale: float
    upscale: bool = False
    preset: NoNegation[PresetOptions] = field(default_factory=PresetOptions)
    balance: BalanceOptions = field(default_factory=BalanceOptions)
    color: ColorOptions = field(default_factory=ColorOptions)
    layer: LayerOptions = field(default_factory=LayerOptions)
    solver: SolverOptions = field(default_factory=SolverOptions)

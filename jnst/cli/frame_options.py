"""What `jnst frames` takes: the settings of a picture, and what only a clip has. Needs no JAX."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import tyro

from jnst.cli.options import (
    MISSING_PATH,
    BalanceOptions,
    ColorOptions,
    FileOptions,
    LayerOptions,
    MachineOptions,
    NoNegation,
    Options,
    PresetOptions,
    ReportOptions,
    SolverOptions,
    WeightOptions,
)
from jnst.cli.parsing import parse_over

NEXT_SHARE = Fraction(3, 10)  # of the first frame's iterations: the last result is near already
FOLDER_RATE = 24.0  # frames a second of a folder, which has no rate of its own


@dataclass(frozen=True)
class FrameFiles:
    """What is read and written."""

    output: Annotated[Path | None, tyro.conf.arg(metavar="PATH", aliases=["-o"], help_behavior_hint="(required)")] = (
        None
    )
    """the film to write, .mp4 .gif or .webp, or a folder of .png pictures"""
    every: int = 1
    """paint each so many-th frame only; the film lasts as long"""
    next_iterations: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="(default: 3/10 of --iterations)")
    ] = None
    """iterations of each frame after the first, which begins where the one before has ended"""
    fps: Annotated[
        float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="(default: the clip's, over --every)")
    ] = None
    """frames a second of the film; of a folder of pictures 24"""
    image_size: int = 512
    """longer side of the result in pixels, at least 32; enlarges with --upscale only; 0 keeps the clip's size"""
    upscale: bool = False
    """enlarge a clip that is smaller than --image-size"""
    style_scale: float = 1.0
    """longer side of the painting over the result's: smaller makes smaller strokes; never enlarges"""
    overwrite: bool = False
    """replace existing files"""
    quiet: bool = False
    """print nothing but errors"""


@dataclass(frozen=True)
class FrameOptions:
    """Paint every frame of a clip in the manner of a painting, each from the result before; the sound is not kept."""

    clip: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="CLIP", help_behavior_hint="(required)")]] = (
        MISSING_PATH
    )
    """a film (extra video), a moving .gif, .webp or .png, or a folder of pictures"""
    style: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="STYLE", help_behavior_hint="(required)")]] = (
        MISSING_PATH
    )
    """the painting"""
    file: NoNegation[FrameFiles] = field(default_factory=FrameFiles)
    preset: NoNegation[PresetOptions] = field(default_factory=PresetOptions)
    balance: BalanceOptions = field(default_factory=BalanceOptions)
    color: NoNegation[ColorOptions] = field(default_factory=ColorOptions)
    layer: LayerOptions = field(default_factory=LayerOptions)
    solver: NoNegation[SolverOptions] = field(default_factory=SolverOptions)
    weight: NoNegation[WeightOptions] = field(default_factory=WeightOptions)
    machine: NoNegation[MachineOptions] = field(default_factory=MachineOptions)


def parse_frames(arguments: Sequence[str]) -> FrameOptions:
    """Returns the options of the command; `--help` prints and exits.

    Args:
        arguments: without the command's name.

    Raises:
        InputError: what the parser says, in one line.
    """
    return parse_over(FrameOptions, arguments, FrameOptions(), prog="jnst frames")


def as_single(given: FrameOptions) -> Options:
    """Returns the same as the options of one picture, which all that is shared takes.

    Args:
        given: parsed.
    """
    file = given.file
    return Options(
        content=given.clip, style=given.style, preset=given.preset, balance=given.balance, color=given.color,
        layer=given.layer, solver=given.solver, weight=given.weight, machine=given.machine,
        report=ReportOptions(quiet=file.quiet),
        file=FileOptions(
            output=file.output, image_size=file.image_size, upscale=file.upscale, style_scale=file.style_scale,
            overwrite=file.overwrite,
        ),
    )  # fmt: skip

"""`jnst style PAINTING`: a style file, which is used wherever a painting is."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from jnst.cli.checks import require_image, require_output
from jnst.cli.options import (
    MISSING_PATH,
    BalanceOptions,
    LayerOptions,
    NoNegation,
    Options,
    ReportOptions,
    WeightOptions,
    hint,
    path_arg,
)
from jnst.cli.parsing import parse_command
from jnst.cli.progress import display
from jnst.cli.settings import GROUPS
from jnst.cli.terminal import say
from jnst.cli.weights import load_weights
from jnst.config import Config
from jnst.errors import InputError
from jnst.io import image
from jnst.io.decode import read_size
from jnst.io.paths import AnyPath, canonical
from jnst.io.style_file import SUFFIX, is_style_file
from jnst.network.architecture import MIN_SIDE
from jnst.sizes import style_size


@dataclass(frozen=True)
class StyleFileOptions:
    """Make a style file, NAME.style.h5: what is compared with a painting, at every size."""

    painting: tyro.conf.Positional[Annotated[AnyPath, path_arg]] = MISSING_PATH
    """the painting"""
    output: Annotated[AnyPath | None, path_arg, hint("PATH", f"PAINTING{SUFFIX}", aliases=["-o"])] = None
    """the file to write"""
    largest: int = 1024
    """longer side in pixels of the largest size"""
    overwrite: bool = False
    """replace an existing file"""
    quiet: bool = False
    """print nothing but errors"""
    balance: BalanceOptions = field(default_factory=BalanceOptions)
    layer: LayerOptions = field(default_factory=LayerOptions)
    weight: NoNegation[WeightOptions] = field(default_factory=WeightOptions)


def run(arguments: Sequence[str]) -> int:
    """Makes a style file.

    Args:
        arguments: of the command line, without the command's name.

    Returns:
        The exit code.

    Raises:
        InputError: something given cannot be used.
    """
    options = parse_command(StyleFileOptions, arguments, name="style")
    painting = options.painting
    if painting == MISSING_PATH:
        raise InputError("PAINTING is required; see jnst style --help")
    output = options.output or Path(f"{painting.stem}{SUFFIX}")
    groups = {"balance": options.balance, "layer": options.layer}
    config = Config(**{name: getattr(group, name) for key, group in groups.items() for name in GROUPS[key][1]})
    if options.largest < MIN_SIDE:
        raise InputError(f"--largest must be at least {MIN_SIDE}, got {options.largest}")
    if not is_style_file(output):
        raise InputError(f"{output} must end in {SUFFIX}", field="output")
    if config.normalize_filters or options.weight.normalize_with:
        raise InputError("a style file is of the weights as they are; leave out `normalize_filters`")
    require_image(painting)
    require_output(output, inputs={canonical(painting)}, overwrite=options.overwrite, as_image=False)
    pixels = image.load(painting, size=style_size(painting, read_size(painting), options.largest))
    weights = load_weights(Options(weight=options.weight, report=ReportOptions(quiet=options.quiet)))

    from jnst import stored_style
    from jnst.io.compile_cache import keep_compiled

    keep_compiled()
    began = time.perf_counter()
    with display(1.0, quiet=options.quiet, prefix="jnst: ") as show:
        stored = stored_style.store_style(
            pixels, config, weights.params, name=painting.name, sha256=weights.sha256,
            notify=lambda done, of: show(done / of, time.perf_counter() - began, f"size {done} of {of}"),
        )  # fmt: skip
    stored_style.save(stored, output)
    height, width = stored.size
    say(f"{output}  ({width}x{height} and {len(stored.statistics) - 1} smaller sizes)", quiet=options.quiet)
    return 0

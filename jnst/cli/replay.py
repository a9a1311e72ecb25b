"""`jnst replay out.png`: paints a picture again from the recipe in it, and tells whether it is the same.

Exit codes: 0 the pixels are identical; 1 they are not; 2 something given cannot be used, and nothing was written; 130,
143 and 129 stopped as painting is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from jnst.cli.config_file import settings_of_recipe, with_values
from jnst.cli.ingredients import find_inputs, load_recorded_weights
from jnst.cli.options import MISSING_PATH, NoNegation, Options, StyleOptions, input_arg, local_path_arg
from jnst.cli.paintings import MASKS, WEIGHTS
from jnst.cli.parsing import parse_command
from jnst.cli.single import run_single
from jnst.cli.terminal import say
from jnst.errors import InputError
from jnst.io import image
from jnst.io.encode import KINDS
from jnst.io.paths import AnyPath, canonical
from jnst.io.pipes import is_open_pipe
from jnst.io.recipe import Recipe, read_recipe
from jnst.recipes import WAYS

if TYPE_CHECKING:
    from jnst.io.weights import Weights


_MOST_VERSIONS = 20  # that are told: a picture may come from anywhere


@dataclass(frozen=True)
class ReplayOptions:
    """Paint a picture again from the recipe in it, and tell whether it is the same."""

    picture: tyro.conf.Positional[
        Annotated[AnyPath, input_arg, tyro.conf.arg(metavar="PICTURE", help_behavior_hint="(required)")]
    ] = MISSING_PATH
    """as jnst has written it"""
    inputs: tyro.conf.Positional[
        Annotated[tuple[Annotated[AnyPath, input_arg], ...], tyro.conf.arg(metavar="[FILE ...]", help_behavior_hint="")]
    ] = ()
    """what it was painted from: photograph, paintings, start image; what is not given is looked for by its name beside
    the picture and in the current folder"""
    output: Annotated[
        Path | None, local_path_arg, tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: PICTURE-again)",
                                                   aliases=["-o"])
    ] = None  # fmt: skip
    """the picture to write, in the same format"""
    overwrite: NoNegation[bool] = False
    """replace an existing file"""
    weights: Annotated[
        Path | None, local_path_arg, tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: searched for)")
    ] = None
    """the weight file; other weights than those of the recipe are refused"""
    offline: NoNegation[bool] = False
    """never touch the network"""
    max_memory: Annotated[str | None, tyro.conf.arg(metavar="SIZE", help_behavior_hint="(default: what is free)")] = (
        None
    )
    """as of painting"""
    no_compilation_cache: NoNegation[bool] = False
    """as of painting"""
    quiet: NoNegation[bool] = False
    """print nothing but errors; the exit code tells"""


def run(arguments: Sequence[str]) -> int:
    """Paints a picture again.

    Args:
        arguments: of the command, without its name.

    Returns:
        The exit code.

    Raises:
        InputError: something given cannot be used.
    """
    given = parse_command(ReplayOptions, arguments, name="replay")
    if given.picture == MISSING_PATH or is_open_pipe(given.picture):
        raise InputError("PICTURE is required: a file that jnst has written; see jnst replay --help")
    recipe = read_recipe(given.picture)
    options = options_of(recipe, given)
    output = options.file.output
    assert output is not None
    before = image.read(given.picture)  # a picture that is damaged behind its head is not painted for nothing

    def load(options: Options) -> "Weights":
        return load_recorded_weights(options, recipe, given.picture, given.weights)

    code = run_single(options, load=load, way=_way(recipe))
    if code not in (0, 1):  # stopped: it is another picture
        return code
    same, told = compare(before, image.read(output))
    say(f"{output}: {told.format(given.picture)}{_others(recipe, same=same)}", quiet=given.quiet)
    return 0 if same else 1


def options_of(recipe: Recipe, given: ReplayOptions) -> Options:
    """Returns the command line by which a picture was painted, with the files that are there now.

    Args:
        recipe: of the picture.
        given: to the command.

    Raises:
        InputError: an input that is missing or has changed, a setting that cannot be, another format as output.
    """
    picture = given.picture
    again = picture.with_stem(f"{picture.stem}-again")
    output = given.output or (again if isinstance(again, Path) else Path(again.name))  # of a store: here
    if canonical(output) == canonical(picture):
        raise InputError(f"{output} is the picture itself; give another `output`")
    kinds = [KINDS.get(path.suffix.lower()) for path in (picture, output)]
    if kinds[0] != kinds[1]:
        raise InputError(f"{output} would be of another format than {picture}; give an `output` that ends in "
                         f"{picture.suffix}")  # fmt: skip
    settings_of_recipe(replace(recipe, settings={**recipe.settings, **_way(recipe)}), picture)  # or it is refused
    values = settings_of_recipe(recipe, picture)
    found = find_inputs(recipe, picture, given.inputs)
    if "init" in found:
        values["init"] = str(found["init"][0])
    if not found["styles"]:
        raise InputError(f"{picture}: its recipe is damaged (styles); give the picture as jnst has written it")
    weights = recipe.options.get(WEIGHTS)
    if weights is not None and not (isinstance(weights, list) and all(isinstance(w, int | float) for w in weights)):
        raise InputError(f"{picture}: its recipe is damaged ({WEIGHTS}); give the picture as jnst has written it")
    masks: dict[str, Any] = {name: tuple(found.get(name, ())) for name in MASKS}
    mixture = StyleOptions(style_blend_weights=None if weights is None else tuple(map(float, weights)), **masks)
    options: Options = with_values(Options(), values)
    normalizing = found.get("normalize_with", [None])[0]
    return replace(
        options,
        content=found["content"][0],
        style=found["styles"][0],
        more_styles=tuple(found["styles"][1:]),
        mixture=mixture,
        file=replace(options.file, output=output, overwrite=given.overwrite),
        weight=replace(options.weight, offline=given.offline, normalize_with=normalizing),
        machine=replace(options.machine, devices=recipe.devices, max_memory=given.max_memory,
                        no_compilation_cache=given.no_compilation_cache),
        report=replace(options.report, quiet=given.quiet),
    )  # fmt: skip


def _way(recipe: Recipe) -> dict[str, Any]:
    return {name: value for name, value in recipe.way.items() if name in WAYS}


def compare(before: image.Photograph, after: image.Photograph) -> tuple[bool, str]:
    """Compares two pictures by their pixels and their opacity.

    Args:
        before: the picture.
        after: that was painted again.

    Returns:
        Whether all are identical, and what there is to say, with {} for the first picture's name.
    """
    sizes = [f"{p.pixels.shape[2]}x{p.pixels.shape[1]}" for p in (before, after)]
    if sizes[0] != sizes[1]:
        return False, f"{sizes[1]} pixels, {{}} has {sizes[0]}"
    pairs = [(before.pixels, after.pixels), (_alpha(before), _alpha(after))]
    apart = [np.abs(first - second) * 255 for first, second in pairs]
    most = max(float(difference.max()) for difference in apart)
    if most == 0:
        return True, "its pixels are identical to those of {}"
    mean = f"in the mean {apart[0].mean():.2g}"
    return False, f"its pixels differ from those of {{}} by at most {most:.3g} of 255, {mean}"


def _alpha(photograph: image.Photograph) -> Any:
    alpha = photograph.origin.alpha
    return np.ones(photograph.pixels.shape[1:3], np.float32) if alpha is None else alpha


def _others(recipe: Recipe, *, same: bool) -> str:
    """What is not as it was when the picture was painted."""
    from jnst.io.trace import device, versions

    now, then = {**versions(), "device": device()}, {**recipe.versions, "device": recipe.device}
    names = list({**now, **then})[:_MOST_VERSIONS]
    told = [f"{name[:40]} {then.get(name, 'unknown')[:40]}, now {now.get(name, 'none')}" for name in names
            if then.get(name) != now.get(name)]  # fmt: skip
    more = ["it was painted beside others in a batch"] if recipe.batch and not same else []
    return "".join(f"; {text}" for text in [*told, *more])

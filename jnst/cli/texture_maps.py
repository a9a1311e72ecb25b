"""`--texture-maps normal=rock_n.png ...`: further maps of STYLE, written beside the picture as `out.normal.png`.

Where they are, what is refused before anything is computed, and how they are read, painted and written.
"""

import contextlib
import re
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, NamedTuple

from jnst.cli.checks import require_output
from jnst.cli.keeping import save_or_keep
from jnst.cli.options import Options
from jnst.cli.outputs import output_path
from jnst.cli.paintings import is_blend
from jnst.cli.progress import iteration_reporter
from jnst.cli.terminal import log
from jnst.config import Config
from jnst.errors import InputError, is_out_of_memory
from jnst.io import image
from jnst.io.decode import read_size
from jnst.io.encode import KINDS
from jnst.io.paths import AnyPath, canonical, parse_path
from jnst.io.pipes import STANDARD_OUTPUT
from jnst.io.style_file import is_style_file

if TYPE_CHECKING:
    from jnst.cli.painting import Prepared
    from jnst.records import Progress, Result

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def map_files(options: Options) -> dict[str, AnyPath]:
    """Returns the files of the maps by their names.

    Args:
        options: of the command line.

    Raises:
        InputError: no name or no path, a name of other letters, one that stands twice.
    """
    files: dict[str, AnyPath] = {}
    for word in options.file.texture_maps:
        name, _, path = word.partition("=")
        if not _NAME.fullmatch(name) or not path:
            raise InputError(f"`texture_maps` must be NAME=PATH, as normal=rock_n.png, got {word[:60]}")
        if name.lower() in map(str.lower, files):  # whose pictures would have one name in some file systems
            raise InputError(f"`texture_maps` names {name} twice; give each map a name of its own")
        files[name] = parse_path(path)
    return files


def map_paths(options: Options) -> dict[str, AnyPath]:
    """Returns where the maps go, by their names: beside the picture; as PNG where its format keeps no exact numbers.

    Args:
        options: of the command line, with both images.
    """
    files, output = map_files(options), output_path(options)
    kind = KINDS.get(output.suffix.lower())
    exact = kind is None or not kind.is_lossy or (options.writing.bits == 16 and kind.deep)
    suffix = output.suffix if exact else ".png"
    return {name: output.with_name(f"{output.stem}.{name}{suffix}") for name in files}


def require_texture_maps(options: Options, config: Config, taken: Set[AnyPath], *, mine: Set[AnyPath]) -> set[AnyPath]:
    """Refuses maps that cannot be made.

    Args:
        options: of the command line, with both images; the maps' files are there.
        config: made of them.
        taken: canonical paths of what is read, and of the pictures that are written.
        mine: of files of an earlier run that this one goes on with, which may be replaced.

    Returns:
        Canonical paths of the maps that are written.

    Raises:
        InputError: another style than one picture, colours that are not its own, a map of another shape than the
            picture's, a place that cannot be written.
    """
    files = map_files(options)
    if not files:
        return set()
    if is_blend(options) or is_style_file(options.style):
        raise InputError("`texture_maps` are the other maps of one STYLE; leave out further paintings, weights, masks "
                         "and style files")  # fmt: skip
    for name, no in (("match_colors", "no"), ("original_colors", False)):
        if getattr(config, name) != no:
            raise InputError(f"`texture_maps` are found by the colours of STYLE; leave out `{name}`")
    if options.file.output == STANDARD_OUTPUT:
        raise InputError("`texture_maps` need a file as `output`, not standard output; give one")
    height, width = read_size(options.style)
    for path in files.values():
        h, w = read_size(path)
        if (h, w) != (height, width):
            raise InputError(f"{path} is {w}x{h} pixels, {options.style} {width}x{height}; `texture_maps` are of one "
                             "size, pixel by pixel")  # fmt: skip
    for path in map_paths(options).values():
        overwrite = options.file.overwrite or canonical(path) in mine
        require_output(path, inputs=taken, overwrite=overwrite, writing=options.writing, probe=False)
    return {canonical(path) for path in map_paths(options).values()}


def load_maps(options: Options, size: tuple[int, int]) -> dict[str, Any]:
    """Returns the maps by their names, (1, h, w, 3) each.

    Args:
        options: of the command line.
        size: (height, width) of the style, as it is painted with.

    Raises:
        InputError: a file that cannot be read.
    """
    return {name: image.load_data(path, size=size) for name, path in map_files(options).items()}


class Made(NamedTuple):
    """Which maps are written."""

    paths: Mapping[str, AnyPath]
    """by their names"""
    problem: str = ""
    """why others are not where they should be, in one line"""


def make_maps(options: Options, prepared: "Prepared", result: "Result", signals: Sequence[int]) -> Made:
    """Paints and writes the maps of a picture that is painted.

    Args:
        options: of the command line.
        prepared: the picture.
        result: of its run.
        signals: that came; the first ends the work.

    Returns:
        The maps that are written, and what was wrong with others; that a signal came is told.
    """
    maps = prepared.images.maps
    if maps and (signals or result.stop_reason == "not_finite"):
        log("no texture maps: the picture is not finished")
    if not maps or signals or result.stop_reason == "not_finite":
        return Made({})
    try:
        painted = _paint(maps, options, prepared, result, signals)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return Made({}, "not enough memory for the texture maps; give a smaller `image_size`")
    if len(painted) < len(maps):
        log(f"stopped; {len(painted)} of {len(maps)} texture maps are done")
    paths = {name: path for name, path in map_paths(options).items() if name in painted}
    more = {"writing": options.writing, "as_data": True}
    kept = {name: save_or_keep(painted[name], path, description=f"{name}, a map of {output_path(options).name}", **more)
            for name, path in paths.items()}  # fmt: skip
    problems = [one.problem for one in kept.values() if one.problem]
    return Made({name: path for name, path in paths.items() if not kept[name].problem}, "; ".join(problems))


def _paint(
    maps: Mapping[str, Any], options: Options, prepared: "Prepared", result: "Result", signals: Sequence[int]
) -> dict[str, Any]:
    """The maps that were painted until a signal came."""
    from jnst.texture_maps import ITERATIONS, paint_maps

    quiet, source, names = options.report.quiet, prepared.images.styles[0][0], list(maps)
    with contextlib.ExitStack() as stack:
        shows: dict[str, Any] = {}

        def on_chunk(name: str, progress: "Progress") -> bool:
            if name not in shows:
                stack.close()
                log(f"texture map {name}, {names.index(name) + 1} of {len(names)}", quiet=quiet)
                shows[name] = stack.enter_context(iteration_reporter(ITERATIONS, quiet=quiet))
            shows[name](progress)
            return bool(signals)

        return paint_maps(
            maps, result.image, source, result.config, prepared.weights, mesh=prepared.mesh, callback=on_chunk
        )  # fmt: skip

"""`--checkpoint-file`: a single run is kept in a file, and the same command goes on with it.

The file is there from before the first line of the trace until the picture is written. It names the files that its run
writes, which the same command may therefore replace. Needs no JAX before images and weights are loaded.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jnst.cli.checks import require_output
from jnst.cli.options import Options
from jnst.cli.outputs import intermediate_paths, output_path
from jnst.cli.terminal import log
from jnst.cli.texture_maps import map_paths
from jnst.config import Config
from jnst.errors import InputError
from jnst.io.checkpoint_file import CheckpointFile, read_about
from jnst.io.paths import AnyPath, canonical

if TYPE_CHECKING:
    from jnst.cli.painting import Prepared
    from jnst.records import Iteration


class Kept(NamedTuple):
    """A run's checkpoint, and how far the run is."""

    file: CheckpointFile
    rows: "list[Iteration]"
    """iterations that earlier processes have done"""
    seconds: float
    """that these have taken"""


def require_checkpoint(options: Options, config: Config, paintings: Sequence[AnyPath]) -> set[AnyPath]:
    """Refuses a place where no checkpoint can be, or where something else is.

    Args:
        options: of the command line, with both images.
        config: made of them.
        paintings: all files of the style.

    Returns:
        Canonical paths of the files that the run of the checkpoint writes, which it may replace; empty without one.

    Raises:
        InputError: a file that is no checkpoint or is damaged, an input, an output, a place that cannot be written.
    """
    path = options.report.checkpoint_file
    if path is None:
        return set()
    taken = {canonical(other) for other in (options.content, *paintings)}
    require_output(
        path, option="checkpoint_file", inputs={*taken, *map(Path, _files(options, config))}, overwrite=True,
        as_image=False,
    )  # fmt: skip
    about = read_about(path)
    return set() if about is None else set(map(Path, about["files"]))


def _files(options: Options, config: Config) -> list[str]:
    """What a run writes: the picture, its maps, those in between, the trace."""
    maps = map_paths(options).values()
    files = [output_path(options), *maps, *intermediate_paths(options, config).values(), options.report.trace]
    return [str(canonical(path)) for path in files if path is not None]


def resumed_config(options: Options, prepared: "Prepared", style: Any) -> Config | None:
    """Returns the settings with the way of computing under which the run was begun; None where it was not.

    Args:
        options: of the command line.
        prepared: the picture.
        style: as `stylize` takes it.

    Raises:
        InputError: the checkpoint is of another run, or damaged.
    """
    from jnst.checkpoints import require_same
    from jnst.strategies import choices

    path = options.report.checkpoint_file
    kept = CheckpointFile(path).load() if path else None
    if path is None or kept is None:
        return None
    saved = kept[0]["recipe"]

    def distance(way: Config) -> int:
        settings = _recipe(prepared, style, way)["settings"]
        return sum(settings[name] != saved["settings"].get(name) for name in settings)

    ways = [way for _, way in choices(prepared.config, prepared.images.size, split=prepared.mesh is not None)]
    nearest = min(ways, key=distance)
    try:
        require_same(saved, _recipe(prepared, style, nearest))
    except InputError as error:
        raise error.within(str(path)) from None
    # as it was said at first, where that comes to the same: so the picture's own description is the same, too
    said = (read_about(path) or {}).get("config")
    return prepared.config if nearest == ways[0] and said == repr(prepared.config) else nearest


def open_checkpoint(options: Options, prepared: "Prepared", style: Any) -> Kept | None:
    """Returns the checkpoint that a run is kept in, which is there from then on; None where none is asked for.

    Args:
        options: of the command line.
        prepared: the picture, with `resumed_config` where there is one.
        style: as `stylize` takes it.

    Raises:
        InputError: the file cannot be written.
    """
    from jnst.checkpoints import machine, rows_of
    from jnst.strategies import choices

    path = options.report.checkpoint_file
    if path is None:
        return None
    about = {"files": _files(options, prepared.config), "config": repr(prepared.config)}
    file = CheckpointFile(path, about=about, notify=log)
    found = file.load()
    if found is None:
        (_, first), *_ = choices(prepared.config, prepared.images.size, split=prepared.mesh is not None)
        found = {"recipe": _recipe(prepared, style, first), "machine": machine()}, {}
        file.write(*found)
    elif read_about(path) != about:
        file.write(*found)
    facts, _ = found
    rows = rows_of(facts)
    if rows:
        done, total = rows[-1].iteration, prepared.config.iterations
        log(f"{path}: going on after iteration {done} of {total}", quiet=options.report.quiet)
    return Kept(file, rows, facts.get("seconds", 0.0))


def close_checkpoint(kept: Kept | None, *, complete: bool, quiet: bool) -> None:
    """Deletes the checkpoint of a run whose picture is written; else says that it is there.

    Args:
        kept: as opened; None: there is none.
        complete: whether the picture is done, and where it should be.
        quiet: whether to print errors only.
    """
    if kept is None:
        return
    if complete:
        kept.file.remove()
    else:
        log(f"the run is kept in {kept.file.path}; the same command goes on", quiet=quiet)


def _recipe(prepared: "Prepared", style: Any, config: Config) -> dict[str, Any]:
    from jnst.checkpoints import recipe_of

    images = prepared.images
    return recipe_of(images.content, style, config, prepared.weights, init=images.init)

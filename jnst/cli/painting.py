"""One prepared picture: paint it with progress, trace and intermediate pictures, write it, report."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from jnst.cli.animation import callback_interval
from jnst.cli.checkpointing import Kept, close_checkpoint, open_checkpoint
from jnst.cli.companions import Companions, summary_lines
from jnst.cli.interrupts import exit_code, stop_on_signals
from jnst.cli.keeping import save_or_keep
from jnst.cli.options import Options
from jnst.cli.outputs import intermediate_paths, output_path, style_name
from jnst.cli.paintings import Painting
from jnst.cli.parsing import make_config
from jnst.cli.progress import PhaseTimer, iteration_reporter
from jnst.cli.recipes import Recipes
from jnst.cli.terminal import log, say
from jnst.cli.texture_maps import Made, make_maps
from jnst.cli.traces import describe_run
from jnst.config import Config
from jnst.errors import InputError, is_out_of_memory
from jnst.io import image
from jnst.io.checksums import Checksums
from jnst.io.metadata import Origin
from jnst.io.paths import AnyPath
from jnst.io.pipes import STANDARD_OUTPUT

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from jnst.io.trace import Trace
    from jnst.io.weights import Weights
    from jnst.records import Progress, Result


class Images(NamedTuple):
    """What is read, images RGB in [0, 1], (1, h, w, 3)."""

    content: Any
    styles: tuple[tuple[Any, ...], ...]
    """each as `stylize` takes it: image, mask, weight, own mask"""
    init: Any
    """of the content's size; None where the settings name the start"""
    origin: Origin
    """of the content: what else of it is written again"""
    checksums: Checksums | None = None
    """by which the files were read"""
    paintings: tuple[Painting, ...] = ()
    """the files of the style"""
    maps: Mapping[str, Any] = MappingProxyType({})
    """further maps of the style by their names, of its shape"""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the result in pixels."""
        return self.content.shape[1:3]


@dataclass(frozen=True)
class Prepared:
    """A picture that only needs painting."""

    config: Config
    """with the way of computing that was chosen"""
    images: Images
    weights: "Weights"
    mesh: "Mesh | None"


def paint_and_write(options: Options, prepared: Prepared, timer: PhaseTimer) -> int:
    """Paints, writes the picture and the trace, and reports.

    Args:
        options: of the command line.
        prepared: the picture.
        timer: with the phases before.

    Returns:
        The exit code.
    """
    from jnst.io.trace import Trace

    output = output_path(options)
    images = prepared.images
    description = describe_run(options.content, images.paintings, images.size, prepared.config, prepared.weights)
    checkpoint = open_checkpoint(options, prepared, style_argument(options, prepared.images))
    trace = Trace(options.report.trace, notify=log)
    companions = Companions(options.report, prepared)
    with (
        contextlib.closing(trace),
        contextlib.closing(companions),
        stop_on_signals("to quit without a picture") as signals,
    ):
        trace.header(**description)
        if checkpoint:
            trace.iterations(checkpoint.rows)
            timer.earlier(checkpoint.seconds)
        result = paint(options, prepared, trace, signals, companions, checkpoint=checkpoint)
        timer.phase("iterations", compile=result.compile_seconds)
        recipe = _recipe(options, prepared, result)
        kept = save_or_keep(result.image, output, recipe=recipe, origin=prepared.images.origin, writing=options.writing)
        timer.phase("write")
        trace.footer(result, kept.path or output, timer.seconds)
        companions.finish(result, title=f"{options.content.stem} x {style_name(options)}")
        made = Made({}) if kept.problem else make_maps(options, prepared, result, signals)
        timer.phase("maps")
    close_checkpoint(checkpoint, complete=not (signals or kept.problem or made.problem), quiet=options.report.quiet)
    if kept.problem:
        raise InputError(kept.problem)
    code = report(result, output, signals, quiet=options.report.quiet)
    for line in summary_lines(result, timer.seconds, {"trace": trace.path if trace.file else None, **companions.there}):
        log(line, quiet=options.report.quiet)
    for path in made.paths.values():
        say(str(path), quiet=options.report.quiet)
    if made.problem:
        raise InputError(made.problem)
    return code


def _recipe(options: Options, prepared: Prepared, result: "Result") -> str:
    """What goes with the picture: how it can be made again."""
    file, images = options.file, prepared.images
    recipes = Recipes(options, prepared.weights, images.checksums or Checksums())
    return recipes.text(
        options.content, images.paintings, images.size, make_config(options), way=result.config,
        image_size=file.image_size, upscale=file.upscale, style_scale=file.style_scale,
    )  # fmt: skip


def style_argument(options: Options, images: Images) -> list[tuple[Any, ...]]:
    """Returns the style as `stylize` takes it: what cannot be seen of the photograph is not counted.

    Args:
        options: of the command line.
        images: that are read.
    """
    seen = image.style_mask(images.origin) if options.writing.alpha == "keep" else None
    return [(style, _both(mask, seen), *rest) for style, mask, *rest in images.styles]


def paint(
    options: Options,
    prepared: Prepared,
    trace: "Trace",
    signals: Sequence[int],
    companions: "Companions",
    *,
    checkpoint: Kept | None = None,
) -> "Result":
    """Stylises with progress, trace and intermediate pictures; tries what takes less where the memory does not last.

    Args:
        options: of the command line.
        prepared: the picture.
        trace: open.
        signals: that came; the first ends the run after its step.
        companions: what else is made of the run.
        checkpoint: where the run is kept, and from where it goes on.

    Returns:
        The result.

    Raises:
        InputError: more memory is needed than the device has.
    """
    from jnst.strategies import choices
    from jnst.transfer import stylize

    images, config, quiet = prepared.images, prepared.config, options.report.quiet
    steps = intermediate_paths(options, config)
    with iteration_reporter(config.iterations, quiet=quiet) as show:

        def on_chunk(progress: "Progress") -> bool:
            show(progress)
            trace.iterations(progress.new)
            companions.take(progress)
            if progress.iteration in steps:
                save_intermediate(
                    progress.image(), steps, progress.iteration, origin=images.origin, writing=options.writing
                )
            return bool(signals)

        styles, file = style_argument(options, images), checkpoint.file if checkpoint else None
        every = callback_interval(options.report.save_every, companions.interval)
        more = {"init": images.init, "callback_every": every, "callback": on_chunk, "mesh": prepared.mesh,
                "checkpoint": file}  # fmt: skip
        for name, choice in choices(config, images.size, split=prepared.mesh is not None):
            companions.begin()
            try:
                return stylize(images.content, styles, choice, prepared.weights, **more)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                trace.restart(name)
                if file:
                    file.begin_anew()
                log(f"not enough memory ({name}); trying a way that takes less", quiet=quiet)
    height, width = images.size
    raise InputError(f"not enough memory for {width}x{height} pixels; give a smaller `image_size`")


def _both(mask: Any, seen: Any) -> Any:
    """A mask without what cannot be seen, which is not counted."""
    return mask if seen is None else seen if mask is None else mask * seen


def save_intermediate(pixels: Any, steps: dict[int, AnyPath], step: int, **more: Any) -> None:
    """Writes an intermediate picture; where that fails it is told, and no further one is tried.

    Args:
        pixels: RGB in [0, 1], (1, h, w, 3).
        steps: where each goes, by its iteration; emptied after a failure.
        step: the iteration of this one.
        more: for `image.save`: origin, writing.
    """
    try:
        image.save(pixels, steps[step], **more)
    except InputError as error:
        steps.clear()
        log(f"no further intermediate pictures: {error}")


def report(result: "Result", output: AnyPath, signals: Sequence[int], *, quiet: bool) -> int:
    """Prints the last line.

    Args:
        result: of the run.
        output: where the picture is.
        signals: that came during the run.
        quiet: whether to print errors only.

    Returns:
        The exit code.
    """
    height, width = result.image.shape[1:3]
    facts = f"{width}x{height}, {result.iterations} iterations, loss {result.loss:.4g}, {result.seconds:.0f} s"
    if result.stop_reason == "not_finite":
        log(f"the loss left the finite numbers; {output} is the best picture before; lower the weights, or the "
            "learning rate")  # fmt: skip
        return 1
    reason = "" if result.stop_reason == "max_iterations" else f", {result.stop_reason.replace('_', ' ')}"
    tell = log if output == STANDARD_OUTPUT else say
    tell(f"{output}  ({facts}{reason})", quiet=quiet)
    return exit_code(signals[0]) if signals else 0

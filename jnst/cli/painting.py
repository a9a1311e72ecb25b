"""One prepared picture: paint it with progress, trace and intermediate pictures, write it, report."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jnst.cli.interrupts import stop_on_interrupt
from jnst.cli.options import Options
from jnst.cli.outputs import intermediate_paths, output_path
from jnst.cli.progress import PhaseTimer, iteration_reporter, log
from jnst.config import Config
from jnst.errors import InputError, is_out_of_memory
from jnst.io import image
from jnst.io.metadata import Origin
from jnst.io.paths import AnyPath

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from jnst.auto_layers import Choice
    from jnst.io.trace import Trace
    from jnst.io.weights import Weights
    from jnst.records import Progress, Result


class Images(NamedTuple):
    """What is read, each RGB in [0, 1], (1, h, w, 3)."""

    content: Any
    style: Any
    init: Any
    """of the content's size; None where the settings name the start"""
    origin: Origin
    """of the content: what else of it is written again"""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the result in pixels."""
        return self.content.shape[1:3]


@dataclass(frozen=True)
class Prepared:
    """A picture that only needs painting."""

    config: Config
    """with the layers and the way of computing that were chosen"""
    images: Images
    weights: "Weights"
    mesh: "Mesh | None"
    choice: "Choice | None"
    """why the layers were chosen; None where the user names them"""


def paint_and_write(options: Options, prepared: Prepared, timer: PhaseTimer) -> int:
    """Paints, writes the picture and the trace, and reports.

    Args:
        options: of the command line.
        prepared: the picture.
        timer: with the phases before.

    Returns:
        The exit code.
    """
    from jnst.io.trace import Trace, versions

    output, description = output_path(options), _describe_run(options, prepared)
    trace = Trace(options.report.trace)
    try:
        trace.header(**description)
        result, interrupted = paint(options, prepared, trace)
        timer.phase("iterations", compile=result.compile_seconds)
        text = json.dumps({"jnst": versions().get("jnst"), **_for_others(description)})
        image.save(result.image, output, description=text, origin=prepared.images.origin, writing=options.writing)
        timer.phase("write")
        trace.footer(result, output, timer.seconds)
    finally:
        trace.close()
    return report(result, output, interrupted=interrupted, quiet=options.report.quiet)


def _describe_run(options: Options, prepared: Prepared) -> dict[str, Any]:
    """What the run is given, for the trace and for the picture's own description."""
    height, width = prepared.images.size
    description = {"content": options.content.name, "style": options.style.name, "image_size": (height, width),
                   "settings": asdict(prepared.config), "weights": prepared.weights.record()}  # fmt: skip
    return description | ({"layers": asdict(prepared.choice)} if prepared.choice else {})


def _for_others(description: Mapping[str, Any]) -> dict[str, Any]:
    """The same with names in place of paths: who is shown the picture need not know this machine's folders."""
    weights, settings = description["weights"], description["settings"]
    weights = weights | {name: Path(weights[name]).name for name in ("file", "normalized")}
    return {**description, "weights": weights, "settings": settings | {"init": Path(settings["init"]).name}}


def paint(options: Options, prepared: Prepared, trace: "Trace") -> tuple["Result", bool]:
    """Stylises with progress, trace and intermediate pictures; tries what takes less where the memory does not last.

    Args:
        options: of the command line.
        prepared: the picture.
        trace: open.

    Returns:
        The result, and whether Ctrl-C ended it.

    Raises:
        InputError: more memory is needed than the device has.
    """
    from jnst.strategies import choices
    from jnst.transfer import stylize

    images, config, quiet = prepared.images, prepared.config, options.report.quiet
    steps = intermediate_paths(options, config)
    with stop_on_interrupt() as interrupts, iteration_reporter(config.iterations, quiet=quiet) as show:

        def on_chunk(progress: "Progress") -> bool:
            show(progress)
            trace.iterations(progress.new)
            if progress.iteration in steps:
                image.save(progress.image(), steps[progress.iteration], origin=images.origin, writing=options.writing)
            return bool(interrupts)

        more = {"init": images.init, "callback_every": options.report.save_every, "callback": on_chunk}
        for name, choice in choices(config, images.size, split=prepared.mesh is not None):
            try:
                result = stylize(
                    images.content, images.style, choice, prepared.weights, mesh=prepared.mesh, **more
                )  # fmt: skip
                return result, bool(interrupts)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                trace.restart(name)
                log(f"not enough memory ({name}); trying a way that takes less", quiet=quiet)
    height, width = images.size
    raise InputError(f"not enough memory for {width}x{height} pixels; give a smaller `image_size`")


def report(result: "Result", output: AnyPath, *, interrupted: bool, quiet: bool) -> int:
    """Prints the last line.

    Args:
        result: of the run.
        output: where the picture is.
        interrupted: whether Ctrl-C ended the run.
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
    if not quiet:
        reason = "" if result.stop_reason == "max_iterations" else f", {result.stop_reason.replace('_', ' ')}"
        print(f"{output}  ({facts}{reason})")
    return 130 if interrupted else 0

"""The command line: parse, call, report, exit code.

    python -m jnst.run CONTENT STYLE [-o OUTPUT] [options]        one picture, here
    python -m jnst.run CONTENTS/ STYLES/ -o FOLDER [options]      many: `jnst.cli.many`

Exit codes: 0 done; 1 the loss left the finite numbers; 2 something given cannot be used; 130 interrupted. What cannot
be used is said in one line before anything is computed or written. JAX is imported only after the first checks.
"""

import contextlib
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from jnst import memory
from jnst.cli import many
from jnst.cli.jobfile import pictures
from jnst.cli.options import NOT_GIVEN, Options, check_normalize, check_sizes, config_of, parse
from jnst.config import Config
from jnst.errors import InputError
from jnst.io import image
from jnst.io.paths import AnyPath, canonical, parse_path, store_errors
from jnst.presets import listing

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from jnst.io.trace import Trace
    from jnst.io.weights import Weights
    from jnst.transfer import Progress, Result


class Laps:
    """Where the seconds of a job go."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.last = time.perf_counter()

    def __call__(self, name: str, **parts: float) -> None:
        """What has gone by since the last call belongs to `name`, except for the parts that are named themselves."""
        now = time.perf_counter()
        self.seconds |= {**parts, name: now - self.last - sum(parts.values())}
        self.last = now


def output_of(options: Options) -> AnyPath:
    """Where the picture goes: beside the content, named after both, where the user names no place."""
    second = options.style.stem
    if options.style == options.content:  # one image: what of it is kept
        second = "content" if config_of(options).wanted()[0] else "texture"
    return options.file.output or options.content.parent / f"{options.content.stem}_{second}.png"


def one_image(options: Options, config: Config) -> Options:
    """The options with both images, where one is enough: a texture needs no photograph, a reconstruction no painting.

    Raises:
        InputError: one image and a start from it, which has nothing left to do.
    """
    if options.content == NOT_GIVEN or options.style != NOT_GIVEN or all(config.wanted()):
        return options
    if config.init in ("content", "style"):
        raise InputError(f"one image and --init {config.init}: the start is the result already; give --init noise")
    return replace(options, style=options.content)


def intermediates(options: Options, config: Config) -> dict[int, AnyPath]:
    """The pictures of --save-every, `out-0050.png` for `out.png`."""
    every, output = options.report.save_every, output_of(options)
    steps = range(every, config.iterations + 1, every) if every else ()
    return {step: output.with_stem(f"{output.stem}-{step:04d}") for step in steps}


def check(options: Options, config: Config) -> None:
    """What can be refused before anything is loaded.

    Raises:
        InputError: a value out of range, or a place that cannot be written.
    """
    check_sizes(options.file.image_size, options.file.style_scale)
    if options.machine.devices < 1:
        raise InputError(f"--devices must be at least 1, got {options.machine.devices}")
    if options.machine.devices > 1 and config.tile not in ("auto", 0):
        raise InputError(f"--tile {config.tile} and --devices {options.machine.devices}: give one of the two")
    if options.machine.max_memory:
        memory.parse_bytes(options.machine.max_memory)
    if options.report.save_every < 0:
        raise InputError(f"--save-every must be at least 0, got {options.report.save_every}")
    if NOT_GIVEN in (options.content, options.style):
        raise InputError("CONTENT and STYLE are required: a photograph and a painting; see --help")
    for path in (options.content, options.style):
        image.require_file(path)
    check_normalize(options)
    output, trace = output_of(options), options.report.trace
    image.require_writable(output)
    if trace:
        image.require_writable_folder(trace)
    inputs = {canonical(options.content), canonical(options.style), canonical(parse_path(config.init))}
    targets = [output, *intermediates(options, config).values(), *([trace] if trace else [])]
    for target in targets:
        if canonical(target) in inputs:
            raise InputError(f"{target} is also an input; write the result somewhere else")
        with store_errors(target):
            if target.is_dir():
                raise InputError(f"{target} is a directory; give the path of a file to write")
            if target.exists() and not options.file.overwrite:
                raise InputError(f"{target} exists; give --overwrite to replace it, or another --output")
    if trace and canonical(trace) == canonical(output):
        raise InputError(f"--trace and --output are both {trace}; give two places")


def job(options: Options) -> int:
    """One picture from files to file; the exit code.

    Raises:
        InputError: something given cannot be used.
    """
    lap = Laps()
    config = config_of(options)
    options = one_image(options, config)
    check(options, config)
    threading.Thread(target=importlib.import_module, args=("jnst.io.trace",), daemon=True).start()  # JAX, meanwhile
    content = image.load(options.content, image_size=options.file.image_size)
    size = (content.shape[2], content.shape[1])
    style = image.load(options.style, image_size=round(max(size) * options.file.style_scale))
    init = None if config.init in ("content", "style", "noise") else image.load(config.init, size=size[::-1])
    lap("images")
    weights = find_weights(options)
    lap("weights")

    from jnst import auto_layers as layers
    from jnst import capacity as plan
    from jnst import sharding  # imports JAX, or waits for it
    from jnst.io import compile_cache as compilation
    from jnst.io import trace
    from jnst.transfer import check_inputs

    if not options.machine.no_compilation_cache:
        compilation.keep_compiled()
    lap("import")
    check_inputs(content, style, config, weights.params)
    config, choice = layers.choose(config, weights.params, content, style)
    if choice and not options.report.quiet:
        print("\n".join(f"jnst: {line}" for line in choice.lines()), file=sys.stderr)
    mesh = sharding.mesh_of(options.machine.devices)
    if options.machine.plan:
        lines, fits = plan.describe(config, weights.params, content.shape[1:3], memory_limit(options), mesh)
        print("\n".join(lines))
        return 0 if fits else 2
    config = fit(options, config, weights, content.shape[1:3], mesh)
    output = output_of(options)
    about = {"content": options.content.name, "style": options.style.name, "image_size": size,
             "settings": asdict(config), "weights": weights.record()}  # fmt: skip
    about |= {"layers": asdict(choice)} if choice else {}
    lines = trace.Trace(options.report.trace)
    try:
        lines.header(**about)
        result, interrupted = paint(options, config, (content, style, init), weights, lines, mesh)
        lap("iterations", compile=result.compile_seconds)
        image.save(result.image, output, description=json.dumps({"jnst": trace.versions().get("jnst"), **about}))
        lap("write")
        lines.footer(result, output, lap.seconds)
    finally:
        lines.close()
    return conclude(result, output, interrupted=interrupted, quiet=options.report.quiet)


def paint(
    options: Options,
    config: Config,
    images: tuple[Any, Any, Any],
    weights: "Weights",
    trace: "Trace",
    mesh: "Mesh | None" = None,
) -> tuple["Result", bool]:
    """Stylises with progress, trace and intermediates; the result, and whether Ctrl-C ended it.

    Raises:
        InputError: more memory is needed than the device has.
    """
    from jnst.capacity import choices
    from jnst.cli.progress import reporter
    from jnst.transfer import stylize

    content, style, init = images
    steps = intermediates(options, config)
    with stop_on_interrupt() as interrupted, reporter(config.iterations, quiet=options.report.quiet) as tell:

        def look_in(progress: "Progress") -> bool:
            tell(progress)
            trace.iterations(progress.new)
            if progress.iteration in steps:
                image.save(progress.image(), steps[progress.iteration])
            return bool(interrupted)

        settings = {"init": init, "stop_every": options.report.save_every, "callback": look_in, "mesh": mesh}
        for name, choice in choices(config, content.shape[1:3], split=mesh is not None):
            try:
                result = stylize(content, style, choice, weights, **settings)
            except RuntimeError as error:  # XLA's, on every backend
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                trace.restart(name)
                if not options.report.quiet:
                    print(f"jnst: not enough memory ({name}); trying a way that takes less", file=sys.stderr)
            else:
                return result, bool(interrupted)
    given = f"{content.shape[2]}x{content.shape[1]}"
    raise InputError(f"not enough memory for {given} pixels; give a smaller --image-size")


def memory_limit(options: Options) -> int | None:
    """Bytes that a run may take: what the user allows, else what is free; None where nobody tells."""
    from jnst import capacity as plan

    given = options.machine.max_memory
    return memory.parse_bytes(given) if given else plan.available()


def fit(options: Options, config: Config, weights: "Weights", size: tuple[int, int], mesh: "Mesh | None") -> Config:
    """The config, with the fastest way of computing that the memory allows.

    Raises:
        InputError: none does.
    """
    from jnst import capacity as plan

    limit = memory_limit(options)
    if limit is None or (not options.machine.max_memory and plan.certainly_fits(size, limit)):
        return config
    way = plan.fitting(config, weights.params, size, limit, mesh)
    if way.name != "plain" and not options.report.quiet:
        print(f"jnst: computing by {way.name}, {way.peak / 1e9:.1f} GB, to fit {limit / 1e9:.1f} GB", file=sys.stderr)
    return way.config


def find_weights(options: Options) -> "Weights":
    """Weights, normalized where a folder says by what, with a bar for a download and a line for a stand-in."""
    from jnst.cli.progress import download_bar
    from jnst.io import weights

    def notify(message: str) -> None:
        if not options.report.quiet:
            print(f"jnst: {message}", file=sys.stderr)

    path, folder = options.weight.weights, options.weight.normalize_with
    with download_bar(quiet=options.report.quiet) as progress:
        found = weights.find(
            options.weight.backbone,
            path=str(path) if path else None,
            offline=options.weight.offline,
            notify=notify,
            progress=progress,
        )
    if folder is None:
        return found
    from jnst.network.normalize import mean_activations, normalize_filters

    images = (image.load(path, image_size=options.file.image_size) for path in pictures(folder))
    means = mean_activations(found.params, images, pooling=options.layer.pooling)
    return replace(found, params=normalize_filters(found.params, means), normalized=str(folder))


def conclude(result: "Result", output: AnyPath, *, interrupted: bool, quiet: bool) -> int:
    """The last line, and the exit code."""
    height, width = result.image.shape[1:3]
    facts = f"{width}x{height}, {result.iterations} iterations, loss {result.loss:.4g}, {result.seconds:.0f} s"
    if result.stop_reason == "not_finite":
        print(f"jnst: the loss left the finite numbers; {output} is the best picture before; lower the weights, "
              "or the learning rate", file=sys.stderr)  # fmt: skip
        return 1
    if not quiet:
        reason = "" if result.stop_reason == "max_iterations" else f", {result.stop_reason.replace('_', ' ')}"
        print(f"{output}  ({facts}{reason})")
    return 130 if interrupted else 0


@contextlib.contextmanager
def stop_on_interrupt() -> Iterator[list[int]]:
    """A list that Ctrl-C makes true; a second Ctrl-C ends the program at once."""
    seen: list[int] = []

    def handle(number: int, frame: Any) -> None:
        seen.append(number)
        print("jnst: stopping after this step; Ctrl-C again to quit without a picture", file=sys.stderr)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one job; the exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # XLA's own remarks; its errors come as exceptions all the same
    try:
        options = parse(arguments)
        if options.named.list_presets:
            print(listing())
            return 0
        if many.wanted(options):
            return many.run(options, find_weights)
        return job(options)
    except InputError as error:
        print(f"jnst: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("jnst: interrupted; no picture was written", file=sys.stderr)
        return 130

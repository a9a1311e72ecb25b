"""Strategies for one picture: how it is computed where the memory is short, and what that takes.

Fastest first: `plain`; `checkpoint`, which computes the network's maps again; `tiles`, ever smaller windows, the
smallest at last with the solver's history in bfloat16. The peak of each is read from XLA's memory analysis of the
compiled program, which the run then reuses; what the process holds already is added.
"""

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jnst import engine, transfer
from jnst.batching import Size
from jnst.capacity import chunk_bytes
from jnst.config import Config
from jnst.engine import Problem, Program, Run
from jnst.errors import InputError
from jnst.jobs import Extras, Job, Picture, make_schedule
from jnst.losses import objective as objectives
from jnst.losses import windows
from jnst.memory import resident
from jnst.network.architecture import MIN_SIDE, detect
from jnst.network.region import Region
from jnst.network.vgg import Params, prepare_for_inference
from jnst.problem import objective_for
from jnst.tileable import fitting_size, plan_scales

# on the CPU, measured at 256 to 1024 px (docs/scales.md):
OVERHEAD_BYTES = 35 * 10**7  # of the process, beside what it holds when it plans
SCALE_BYTES = 2 * 10**8  # of a scale's program, targets and images, and what the allocator keeps of them
COMPILE_BYTES = 25 * 10**7  # while a program is compiled, for each size at which it compares the style
TILES = (2048, 1024, 768, 512)  # windows that are tried, in pixels a side
_NOTHING = "uses      nothing: give a smaller image_size"


class Strategy(NamedTuple):
    """One way of computing a picture."""

    name: str
    config: Config
    """that chooses it"""
    peak: int
    """bytes"""


class Step(NamedTuple):
    """What a run compiles at its largest scale, in shapes: nothing of it is computed."""

    program: Program
    params: Params
    """as the program takes them"""
    begun: tuple[Problem, Run]
    """one problem before its first evaluation (n = 1)"""


def step_of(config: Config, params: Params, size: Size, *, mesh: Mesh | None = None, prepared: bool = True) -> Step:
    """Returns the shapes of a run's step at its largest scale.

    Args:
        config: settings.
        params: parameters of the network, or their shapes.
        size: (height, width) of the picture; the style is taken to have the same size.
        mesh: devices over which its rows are split.
        prepared: with the parameters as this machine has them fastest; False: as other kinds of device take them.
    """
    program = _programs(config, size, mesh)[-1]
    objective = program.objective
    plain = jax.eval_shape(lambda p: p, params)
    precision = objective.precision if prepared else "bfloat16"  # for which kernels stay plain everywhere
    prepare = partial(prepare_for_inference, layers=objective.layers, precision=precision)
    fast = plain if config.checkpoint else jax.eval_shape(prepare, plain)
    image = jax.ShapeDtypeStruct((1, *program.canvas, 3), jnp.float32)

    def begin(params: Params, image: jax.Array) -> tuple[Problem, Run]:
        regions = dict.fromkeys(objective.sources, Region.full(1, *size)) if program.masked else None
        images = {name: image for name in objective.sources}
        targets = objectives.targets(params, images, objective=objective, regions=regions)
        weights = jax.tree.map(lambda w: jnp.ones(1, jnp.float32), objectives.default_weights(objective))
        return Problem(targets, weights, jnp.zeros((1, 2), jnp.int32), jnp.zeros(1, jnp.int32)), engine.start(
            program, image
        )

    return Step(program, fast, jax.eval_shape(begin, plain, image))


def _programs(config: Config, size: Size, mesh: Mesh | None) -> list[Program]:
    """The static part of each scale of a run, coarsest first."""

    def load() -> np.ndarray:
        raise AssertionError("a plan needs no pixels")

    picture = Picture("picture", size, load)
    (task,) = make_schedule([Job(picture, picture)], config, extras=Extras(mesh=mesh)).tasks
    return [program for _, program in task.stages]


def least_bytes(config: Config, size: Size, *, mesh: Mesh | None = None) -> int:
    """Returns what every way of computing adds to a process at the least, told without compiling anything.

    Args:
        config: settings.
        size: (height, width) of the picture.
        mesh: devices over which its rows are split.

    Returns:
        Bytes: on the CPU those of the process and of compiling; elsewhere 0, since the device takes no part in these.
    """
    if jax.default_backend() != "cpu":
        return 0
    programs = _programs(config, size, mesh)
    return OVERHEAD_BYTES + SCALE_BYTES * len(programs) + _compiling_bytes(programs[-1])


def _compiling_bytes(program: Program) -> int:
    return COMPILE_BYTES * program.objective.style_pyramid_levels


def peak_bytes(config: Config, params: Params, size: Size, *, mesh: Mesh | None = None) -> int:
    """Returns what a single run adds to a process, compiling included, or takes of each device.

    Args:
        config: settings.
        params: parameters of the network.
        size: (height, width) of the picture; the style is taken to have the same size.
        mesh: devices over which its rows are split.
    """
    step = step_of(config, params, size, mesh=mesh)
    peak = chunk_bytes(step.program, None, step.params, step.begun, 1)
    if jax.default_backend() != "cpu":
        return peak
    return least_bytes(config, size, mesh=mesh) + max(0, peak - _compiling_bytes(step.program))  # at different times


def seconds_per_pixel(config: Config, params: Params, size: Size) -> float:
    """Returns the seconds of one plain iteration for each pixel, measured by a few at a small size.

    Args:
        config: settings.
        params: parameters of the network.
        size: (height, width) of the picture, whose shape counts.
    """
    small = dataclasses.replace(config, iterations=4, scales=("1",), tile=0, checkpoint=False, init="content")
    height, width = fitting_size(
        (max(MIN_SIDE, round(size[0] * 256 / max(size))), max(MIN_SIDE, round(size[1] * 256 / max(size)))), config
    )
    image = jax.random.uniform(jax.random.key(0), (1, height, width, 3))
    result = transfer.stylize(image, image[:, ::-1], small, params)
    return (result.seconds - result.compile_seconds) / result.evaluations / (height * width)


def cost(config: Config, params: Params, size: Size) -> float:
    """Returns the cost of a run's iterations at all scales, in pixels of plain iterations.

    Args:
        config: settings.
        params: parameters of the network.
        size: (height, width) of the picture.
    """
    stages = plan_scales(size, config)
    return sum(s.iterations * s.height * s.width * slowdown(config, params, (s.height, s.width)) for s in stages)


def slowdown(config: Config, params: Params, size: Size) -> float:
    """Returns how much longer a strategy takes than the plain one: measured for the checkpoint, by pixels for windows.

    Args:
        config: settings.
        params: parameters of the network.
        size: (height, width) of a scale.
    """
    objective = objective_for(config)
    if objective.tile and max(size) > objective.tile:
        grid = windows.grid(size[0], size[1], objective.tile, detect(params), objective.layers)
        pixels = grid.rows * grid.columns * (grid.core + 2 * grid.margin) ** 2
        return 1.5 * pixels / (size[0] * size[1])  # every window forward once more
    return 2.0 if config.checkpoint else 1.0


def report(
    config: Config, params: Params, size: Size, limit: int | None, *, mesh: Mesh | None = None
) -> tuple[list[str], bool]:
    """Returns the plan in lines (scales, memory, each strategy with its cost), and whether one fits.

    Args:
        config: settings.
        params: parameters of the network.
        size: (height, width) of the picture.
        limit: bytes that a run may take; None where it is not known.
        mesh: devices over which the rows are split.
    """
    stages = plan_scales(size, config)
    lines = [
        "scales    " + ", ".join(f"{s.width}x{s.height} ({s.iterations} iterations)" for s in stages),
        f"memory    {limit / 1e9:.1f} GB" if limit else "memory    not known",
    ]
    least = _held() + least_bytes(config, size, mesh=mesh)
    if limit is not None and limit < least:
        return [*lines, f"every way {least / 1e9:.1f} GB or more  does not fit", _NOTHING], False
    chosen, possible = None, list(strategies(config, params, size, mesh=mesh))
    second = seconds_per_pixel(config, params, size) / (mesh.size if mesh else 1)
    length = max(len(strategy.name) for strategy in possible)
    for strategy in possible:
        minutes = second * cost(strategy.config, params, size) / 60
        fits = limit is None or strategy.peak <= limit
        chosen = chosen or (strategy.name if fits else None)
        remark = "" if fits else "  does not fit"
        time = f"about {minutes:.{int(minutes < 3)}f} min"
        lines.append(f"{strategy.name:{length}s}{strategy.peak / 1e9:6.1f} GB  {time}{remark}")
    return [*lines, f"uses      {chosen}" if chosen else _NOTHING], chosen is not None


def choices(config: Config, size: Size, *, split: bool = False) -> list[tuple[str, Config]]:
    """Returns the strategies that a config leaves open, fastest first, by name.

    Args:
        config: settings.
        size: (height, width) of the picture.
        split: over several devices, which excludes windows.
    """
    if config.tile and config.tile != "auto":
        return [(f"tiles of {config.tile}", config)]
    whole = dataclasses.replace(config, tile=0)
    possible = [] if config.checkpoint else [("plain", whole)]
    possible += [("checkpoint", dataclasses.replace(whole, checkpoint=True))]
    windowed = config.tile == "auto" and config.tileable == "no" and not split
    tiles = [tile for tile in TILES if tile < max(size)] if windowed else []
    possible += [(f"tiles of {tile}", dataclasses.replace(config, tile=tile)) for tile in tiles]
    if config.history_dtype == "float32":
        name, least = possible[-1]
        possible += [(f"{name}, bfloat16 history", dataclasses.replace(least, history_dtype="bfloat16"))]
    return possible


def strategies(config: Config, params: Params, size: Size, *, mesh: Mesh | None = None) -> Iterator[Strategy]:
    """Yields the strategies with their peaks, each compiled when it is asked for.

    Args:
        config: settings.
        params: parameters of the network.
        size: (height, width) of the picture.
        mesh: devices over which the rows are split.
    """
    held = _held()  # before compiling, which takes more for a while
    for name, choice in choices(config, size, split=mesh is not None):
        yield Strategy(name, choice, held + peak_bytes(choice, params, size, mesh=mesh))


def cheapest_that_fits(config: Config, params: Params, size: Size, limit: int, *, mesh: Mesh | None = None) -> Strategy:
    """Returns the fastest strategy that takes at most `limit` bytes.

    Args:
        config: settings.
        params: parameters of the network.
        size: (height, width) of the picture.
        limit: bytes.
        mesh: devices over which the rows are split.

    Raises:
        InputError: none does.
    """
    always, least = _held() + least_bytes(config, size, mesh=mesh), None
    if limit < always:  # known without compiling, which would take more than the limit
        raise _too_little(size, f"{always / 1e9:.1f} GB", limit)
    for strategy in strategies(config, params, size, mesh=mesh):
        if strategy.peak <= limit:
            return strategy
        least = strategy if least is None or strategy.peak < least.peak else least
    assert least is not None
    raise _too_little(size, f"{least.peak / 1e9:.1f} GB ({least.name})", limit)


def _held() -> int:
    """Bytes that this process holds of the memory in question."""
    return resident() if jax.default_backend() == "cpu" else 0


def _too_little(size: Size, need: str, limit: int) -> InputError:
    return InputError(
        f"{size[1]}x{size[0]} pixels need at least {need}, there are {limit / 1e9:.1f} GB; give a smaller image_size, "
        "or more by max_memory"
    )

"""Before the run: how much memory and time each way of computing would take, and the fastest way that fits.

The ways, fastest first: `plain`; `checkpoint`, which computes the network's maps again; `tiles`, ever smaller windows,
the smallest at last with the solver's history in bfloat16.
What a way takes is asked of its compiled program (XLA's memory analysis), which the run then uses, and what the process
holds already is added.
"""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jnst import minimize, sharding
from jnst.config import Config
from jnst.errors import InputError
from jnst.losses import objective
from jnst.losses import windows as tiles
from jnst.losses.pyramid import scales
from jnst.memory import resident
from jnst.network.architecture import MIN_SIDE
from jnst.network.vgg import Params, architecture_of, prepare
from jnst.transfer import loss_weights, program_of, spec_of, stylize

OVERHEAD = 10**8  # compiled code, and what the allocator keeps: measured at 512 and 1024 px on the CPU
TILES = (2048, 1024, 768, 512)  # windows that are tried, in pixels a side


class Way(NamedTuple):
    """One way of computing: its name, the config that chooses it, and its peak in bytes."""

    name: str
    config: Config
    peak: int


def available() -> int | None:
    """Bytes that the device has for this process; None where nobody tells."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in statistics:
        return int(statistics["bytes_limit"])
    meminfo = Path("/proc/meminfo")
    found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text()) if meminfo.is_file() else None
    return resident() + 1024 * int(found[1]) if found else None


def peak_bytes(config: Config, params: Params, size: tuple[int, int], mesh: Mesh | None = None) -> int:
    """What a run adds to a process, or takes of each device: an image of (height, width), style of the same size."""
    spec = spec_of(config, mesh)
    shape = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    program = program_of(config, mesh)
    plain = jax.eval_shape(lambda p: p, params)
    fast = plain if config.checkpoint else jax.eval_shape(lambda p: prepare(p, spec.layers, config.precision), plain)
    target = jax.eval_shape(lambda p, a: objective.targets(p, a, a, spec=spec), plain, shape)
    weights = jax.eval_shape(lambda: loss_weights(dataclasses.replace(config, loss="relative"), ()))
    args = (fast, target, weights)
    run = jax.eval_shape(lambda x, a: minimize.start(program, x, a), shape, args)
    arguments = (run, args, jax.ShapeDtypeStruct((), jnp.int32))
    if mesh is not None:
        place = sharding.replicated(mesh)
        arguments = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=place), arguments)
    found: Any = minimize.advance.lower(program, *arguments).compile().memory_analysis()
    kept = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    return kept + found.temp_size_in_bytes + OVERHEAD


def seconds_a_pixel(config: Config, params: Params, size: tuple[int, int]) -> float:
    """Of one plain iteration, from a few at a small size."""
    small = dataclasses.replace(config, iterations=4, scales=("1",), tile=0, checkpoint=False, init="content")
    height, width = (max(MIN_SIDE, round(side * 256 / max(size))) for side in size)
    image = jax.random.uniform(jax.random.key(0), (1, height, width, 3))
    result = stylize(image, image[:, ::-1], small, params)
    return (result.seconds - result.compile_seconds) / result.evaluations / (height * width)


def work(config: Config, params: Params, size: tuple[int, int]) -> float:
    """Of a run's iterations at all scales, in pixels of plain iterations."""
    stages = scales(*size, config.iterations, config.scales)
    return sum(s.iterations * s.height * s.width * slowdown(config, params, (s.height, s.width)) for s in stages)


def slowdown(config: Config, params: Params, size: tuple[int, int]) -> float:
    """How much longer a way takes than the plain one: measured for the checkpoint, counted in pixels for windows."""
    spec = spec_of(config)
    if spec.tile and max(size) > spec.tile:
        plan = tiles.grid(size[0], size[1], spec.tile, architecture_of(params), spec.layers)
        pixels = plan.rows * plan.columns * (plan.core + 2 * plan.margin) ** 2
        return 1.5 * pixels / (size[0] * size[1])  # every window forward once more
    return 2.0 if config.checkpoint else 1.0


def describe(
    config: Config, params: Params, size: tuple[int, int], limit: int | None, mesh: Mesh | None = None
) -> tuple[list[str], bool]:
    """The plan in lines: scales, memory, each way with what it would take; and whether there is one that fits."""
    stages = scales(*size, config.iterations, config.scales)
    lines = [
        "scales    " + ", ".join(f"{s.width}x{s.height} ({s.iterations} iterations)" for s in stages),
        f"memory    {limit / 1e9:.1f} GB" if limit else "memory    not known",
    ]
    chosen, found = None, list(ways(config, params, size, mesh))
    second = seconds_a_pixel(config, params, size) / (mesh.size if mesh else 1)
    length = max(len(way.name) for way in found)
    for way in found:
        minutes = second * work(way.config, params, size) / 60
        fits = limit is None or way.peak <= limit
        chosen = chosen or (way.name if fits else None)
        told = "" if fits else "  does not fit"
        lines.append(f"{way.name:{length}s}{way.peak / 1e9:6.1f} GB  about {minutes:.{int(minutes < 3)}f} min{told}")
    return [*lines, f"uses      {chosen or 'nothing: give a smaller --image-size'}"], chosen is not None


def choices(config: Config, size: tuple[int, int], *, split: bool = False) -> list[tuple[str, Config]]:
    """The ways that the config leaves open for an image of (height, width), fastest first, by name.

    `split`: over several devices, which excludes windows.
    """
    if config.tile and config.tile != "auto":
        return [(f"tiles of {config.tile}", config)]
    whole = dataclasses.replace(config, tile=0)
    found = [] if config.checkpoint else [("plain", whole)]
    found += [("checkpoint", dataclasses.replace(whole, checkpoint=True))]
    windows = [tile for tile in TILES if tile < max(size)] if config.tile == "auto" and not split else []
    found += [(f"tiles of {tile}", dataclasses.replace(config, tile=tile)) for tile in windows]
    if config.history_dtype == "float32":
        name, least = found[-1]
        found += [(f"{name}, bfloat16 history", dataclasses.replace(least, history_dtype="bfloat16"))]
    return found


def ways(config: Config, params: Params, size: tuple[int, int], mesh: Mesh | None = None) -> Iterator[Way]:
    """The ways with what they take, each compiled when it is asked for."""
    held = resident() if jax.default_backend() == "cpu" else 0  # before compiling, which takes more for a while
    for name, choice in choices(config, size, split=mesh is not None):
        yield Way(name, choice, held + peak_bytes(choice, params, size, mesh))


def fitting(config: Config, params: Params, size: tuple[int, int], limit: int, mesh: Mesh | None = None) -> Way:
    """The fastest way that takes at most `limit` bytes.

    Raises:
        InputError: none does.
    """
    least = None
    for way in ways(config, params, size, mesh):
        if way.peak <= limit:
            return way
        least = way if least is None or way.peak < least.peak else least
    assert least is not None
    need = f"need at least {least.peak / 1e9:.1f} GB ({least.name}), there are {limit / 1e9:.1f} GB"
    raise InputError(f"{size[1]}x{size[0]} pixels {need}; give a smaller --image-size, or more by --max-memory")


def certainly_fits(size: tuple[int, int], limit: int) -> bool:
    """Whether there is no need to ask the compiler."""
    return 10**9 + 4000 * size[0] * size[1] < limit // 2

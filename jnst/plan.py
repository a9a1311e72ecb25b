"""Before the run: how much memory each way of computing would take, and the fastest way that fits.

The ways, fastest first: `plain`; `checkpoint`, which computes the network's maps again; `tiles`, ever smaller windows.
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

from jnst import minimize, objective, tiles
from jnst.architecture import MIN_SIDE
from jnst.config import Config
from jnst.errors import InputError
from jnst.memory import resident
from jnst.transfer import program_of, spec_of, stylize
from jnst.vgg import Params, architecture_of, prepare

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


def peak_bytes(config: Config, params: Params, size: tuple[int, int]) -> int:
    """What a run adds to a process, or takes of its device: an image of (height, width), style of the same size."""
    spec = spec_of(config)
    shape = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    program = program_of(config)
    plain = jax.eval_shape(lambda p: p, params)
    fast = plain if config.checkpoint else jax.eval_shape(lambda p: prepare(p, spec.layers, config.precision), plain)
    target = jax.eval_shape(lambda p, a: objective.targets(p, a, a, spec=spec), plain, shape)
    one = jnp.float32(1)
    weights = objective.LossWeights(one, one, jnp.ones(len(spec.style_layers)), one)
    args = (fast, target, weights)
    run = jax.eval_shape(lambda x, a: minimize.start(program, x, a), shape, args)
    compiled = minimize.advance.lower(program, run, args, jax.ShapeDtypeStruct((), jnp.int32)).compile()
    found: Any = compiled.memory_analysis()
    kept = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    return kept + found.temp_size_in_bytes + OVERHEAD


def seconds_an_iteration(config: Config, params: Params, size: tuple[int, int]) -> float:
    """An estimate for the plain way, from a few iterations at a small size, by the pixels."""
    small = dataclasses.replace(config, iterations=4, scales=("1",), tile=0, checkpoint=False, init="content")
    height, width = (max(MIN_SIDE, round(side * 256 / max(size))) for side in size)
    image = jax.random.uniform(jax.random.key(0), (1, height, width, 3))
    result = stylize(image, image[:, ::-1], small, params)
    each = (result.seconds - result.compile_seconds) / result.evaluations / (height * width)
    return each * size[0] * size[1]


def slowdown(config: Config, params: Params, size: tuple[int, int]) -> float:
    """How much longer a way takes than the plain one: measured for the checkpoint, counted in pixels for windows."""
    if config.tile:
        plan = tiles.grid(size[0], size[1], config.tile, architecture_of(params), spec_of(config).layers)
        pixels = plan.rows * plan.columns * (plan.core + 2 * plan.margin) ** 2
        return 1.5 * pixels / (size[0] * size[1])  # every window forward once more
    return 2.0 if config.checkpoint else 1.0


def choices(config: Config, size: tuple[int, int]) -> list[tuple[str, Config]]:
    """The ways that the config leaves open for an image of (height, width), fastest first, by name."""
    found: list[tuple[str, Config]] = []
    if not config.tile:
        found += [] if config.checkpoint else [("plain", config)]
        found += [("checkpoint", dataclasses.replace(config, checkpoint=True))]
    for tile in (config.tile,) if config.tile else TILES:
        if config.tile or tile < max(size):
            found.append((f"tiles of {tile}", dataclasses.replace(config, tile=tile)))
    return found


def ways(config: Config, params: Params, size: tuple[int, int]) -> Iterator[Way]:
    """The ways with what they take, each compiled when it is asked for."""
    held = resident() if jax.default_backend() == "cpu" else 0  # before compiling, which takes more for a while
    for name, choice in choices(config, size):
        yield Way(name, choice, held + peak_bytes(choice, params, size))


def fitting(config: Config, params: Params, size: tuple[int, int], limit: int) -> Way:
    """The fastest way that takes at most `limit` bytes.

    Raises:
        InputError: none does.
    """
    least = None
    for way in ways(config, params, size):
        if way.peak <= limit:
            return way
        least = way if least is None or way.peak < least.peak else least
    assert least is not None
    need = f"need at least {least.peak / 1e9:.1f} GB ({least.name}), there are {limit / 1e9:.1f} GB"
    raise InputError(f"{size[1]}x{size[0]} pixels {need}; give a smaller --image-size, or more by --max-memory")


def certainly_fits(size: tuple[int, int], limit: int) -> bool:
    """Whether there is no need to ask the compiler."""
    return 10**9 + 4000 * size[0] * size[1] < limit // 2

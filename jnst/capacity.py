"""What the memory holds: the peak of a program, and how many pictures fit side by side.

A program's peak is read from XLA's memory analysis of the compiled program, which the run then reuses.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jnst import engine, sharding
from jnst.batching import Size, canvas_of, even_slots
from jnst.engine import Problem, Program, Run
from jnst.errors import InputError
from jnst.jobs import Schedule, style_size
from jnst.memory import free, resident
from jnst.network.region import Region
from jnst.network.vgg import Params
from jnst.programs import run_chunk, target_statistics

BYTES_PER_PIXEL = 6000  # of one picture's run, on the safe side (measured: 2,700 at 512 px): below, no need to compile
MEMORY_FRACTION = 0.9  # of the memory that a batch may take; the rest is for targets and images on their way
MAX_SLOTS = 64  # pictures side by side on a device
CPU_PIXELS = 2**15  # side by side: with more, a CPU gains nothing


def available() -> int | None:
    """Returns the bytes that the device has for this process, held ones too; None where the system does not tell."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in statistics:
        return int(statistics["bytes_limit"])
    left = free()
    return None if left is None else resident() + left


def program_bytes(lowered: Any) -> int:
    """Returns the peak bytes of a lowered program on each device, by XLA's memory analysis.

    Args:
        lowered: from `jit(...).lower(...)`; is compiled here, and kept by JAX for the run.
    """
    analysis: Any = lowered.compile().memory_analysis()
    kept = analysis.argument_size_in_bytes + analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    return kept + analysis.temp_size_in_bytes


def obviously_fits(pixels: int, limit: int | None) -> bool:
    """Returns whether so many pixels at once need no compiler to tell that they fit.

    Args:
        pixels: of all pictures at work on a device.
        limit: bytes; None where it is not known.
    """
    return limit is None or BYTES_PER_PIXEL * pixels < limit // 2


def takes_one(program: Program) -> bool:
    """Tells whether a program takes one picture at a time: windows, split rows, solvers that evaluate for themselves.

    Args:
        program: static part.

    Returns:
        False for all others.
    """
    return bool(program.objective.tile) or program.objective.mesh is not None or hasattr(program.solver, "step")


def most_slots(program: Program) -> int:
    """Returns how many pictures of a program a device uses well, whatever the memory holds.

    Args:
        program: static part.
    """
    if takes_one(program):
        return 1
    pixels = program.canvas[0] * program.canvas[1]
    return min(MAX_SLOTS, max(1, CPU_PIXELS // pixels)) if jax.default_backend() == "cpu" else MAX_SLOTS


def chunk_bytes(program: Program, mesh: Mesh | None, params: Params, begun: Any, count: int) -> int:
    """Returns the peak bytes of advancing `count` problems, on each device.

    Args:
        program: static part.
        mesh: devices that share the problems; None for one.
        params: parameters as the program takes them, or their shapes.
        begun: one (Problem, Run), or its shapes.
        count: problems on all devices.
    """
    places: tuple[Problem, Run] = jax.eval_shape(lambda one: engine.empty(one, count), begun)
    place = None
    if mesh is not None:
        place = NamedSharding(mesh, PartitionSpec(mesh.axis_names[0]))
    elif program.objective.mesh is not None:
        place = sharding.replicated(program.objective.mesh)
    if place is not None:
        places = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=place), places)
    if mesh is None and place is not None:
        params = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=place), params)
    scalar = jax.ShapeDtypeStruct((), jnp.int32)
    return program_bytes(run_chunk.lower(program, mesh, params, *places, scalar, scalar))


@dataclasses.dataclass(frozen=True)
class Capacity:
    """How many pictures fit side by side.

    Attributes:
        schedule: what is to be done.
        devices: that share a batch.
        mesh: of these devices; None for one.
        batch_size: pictures at a time on each device; 0: what the device uses well and the memory holds.
        memory: bytes that a device may use; None where it is not known.
    """

    schedule: Schedule
    devices: int = 1
    mesh: Mesh | None = None
    batch_size: int = 0
    memory: int | None = None

    def slots(self, program: Program, params: Params, begun: Any, *, known: int = 0) -> int:
        """Returns how many pictures of a program are advanced at a time, on all devices.

        Args:
            program: static part.
            params: parameters as the program takes them.
            begun: one (Problem, Run) of it.
            known: how many an earlier process has had, which are taken where they fit; 0: it is decided now.

        Raises:
            InputError: not even one fits.
        """
        if takes_one(program):
            return 1
        share = -(-self.schedule.buckets[program] // self.devices)  # of one device
        count = self.batch_size or known // self.devices or even_slots(share, most_slots(program))
        while not self._fits(program, params, begun, count):
            if count == 1:
                height, width = program.canvas
                raise InputError(f"{width}x{height} pixels need more than {(self.memory or 0) / 1e9:.1f} GB; "
                                 "give a smaller image_size, or paint it alone, which takes less")  # fmt: skip
            count //= 2
        return self.devices * count

    def _fits(self, program: Program, params: Params, begun: Any, count: int) -> bool:
        pixels = count * program.canvas[0] * program.canvas[1]
        if self.memory is None or obviously_fits(pixels, self.memory):
            return True
        peak = chunk_bytes(program, self.mesh, params, begun, self.devices * count)
        return peak + (resident() if jax.default_backend() == "cpu" else 0) < MEMORY_FRACTION * self.memory

    def check_styles(self, params: Params) -> None:
        """Refuses the largest style image where the network does not see it within the memory.

        Args:
            params: parameters of the network.

        Raises:
            InputError: what it needs, and what there is.
        """
        last = (
            (canvas_of(style_size(task.job, style.picture, task.stages[-1][0])), task.stages[-1][1].objective)
            for task in self.schedule.tasks
            for style in task.job.styles.values()
            if style.picture.stored is None
        )
        size, objective = max(last, key=lambda item: item[0][0] * item[0][1], default=((0, 0), None))
        if objective is None or self.memory is None or obviously_fits(size[0] * size[1], self.memory):
            return
        need = _style_bytes(params, size, objective)
        if need > MEMORY_FRACTION * self.memory:
            given = f"{size[1]}x{size[0]} pixels needs {need / 1e9:.1f} GB, there are {self.memory / 1e9:.1f}"
            raise InputError(f"a style of {given}; give a smaller style_scale or image_size")


def _style_bytes(params: Params, size: Size, objective: Any) -> int:
    region = None if objective.tile else jax.eval_shape(lambda: Region.full(1, *size))
    image = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    return program_bytes(target_statistics.lower(params, image, "style", objective=objective, region=region))

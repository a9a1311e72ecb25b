# pyright: reportUnknownMemberType=false
"""What a run would take of an accelerator that is not at hand: a roofline from its published figures.

A step can take no less than its products at the chip's peak, each in its own precision, and no less than its bytes at
the memory's bandwidth. The products are counted in the traced step; the bytes that it moves, and its peak memory, are
those of the program that XLA compiles for the processor at hand, where no better is known. A real run takes longer.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jnst import engine
from jnst.batching import Size
from jnst.capacity import program_bytes
from jnst.chips import Chip
from jnst.config import Config
from jnst.network.vgg import Params
from jnst.strategies import Step, choices, cost, step_of
from jnst.tileable import plan_scales

_NAMES = {lax.Precision.DEFAULT: "bfloat16", lax.Precision.HIGH: "tensorfloat32", lax.Precision.HIGHEST: "float32"}


class Work(NamedTuple):
    """What one evaluation of one problem takes, the solver's part in it."""

    products: dict[str, float]
    """operations of matrix products and convolutions by their precision, a multiplication and an addition being two"""
    moved: float
    """bytes read and written"""


def seconds(work: Work, chip: Chip) -> float:
    """Returns the least time that the work can take.

    Args:
        work: to be done.
        chip: that would do it.
    """
    return max(sum(flops / chip.flops[name] for name, flops in work.products.items()), work.moved / chip.bandwidth)


def trace(step: Step, *, count: int = 1) -> Any:
    """Returns the step of a run, traced for any kind of device (`jax.stages.Traced`).

    Args:
        step: in shapes.
        count: problems side by side.
    """
    problem, run = jax.eval_shape(lambda one: engine.empty(one, count), step.begun)
    scalar = jax.ShapeDtypeStruct((), jnp.int32)
    return engine.run_chunk.trace(step.program, None, step.params, problem, run, scalar, scalar)


def count_products(jaxpr: Any) -> Counter[str]:
    """Counts the operations of products and convolutions; a `while` counts as one round, of branches the largest.

    Args:
        jaxpr: of a traced function.

    Returns:
        Operations by precision: "bfloat16", "tensorfloat32", "float32".
    """
    total: Counter[str] = Counter()
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        name, params = equation.primitive.name, equation.params
        if name in ("dot_general", "conv_general_dilated"):
            total[_precision(equation)] += _operations(equation)
            continue
        inner = [count_products(part) for value in params.values() for part in _jaxprs(value)]
        if name == "cond":
            inner = [max(inner, key=lambda counter: sum(counter.values()))]
        for counter in inner:
            rounds = params["length"] if name == "scan" else 1
            total.update({key: rounds * value for key, value in counter.items()})
    return total


def _jaxprs(value: Any) -> Iterable[Any]:
    values = value if isinstance(value, tuple | list) else [value]
    return [part for part in values if hasattr(getattr(part, "jaxpr", part), "eqns")]  # open or closed


def _operations(equation: Any) -> int:
    left, right = (variable.aval.shape for variable in equation.invars[:2])
    result = math.prod(equation.outvars[0].aval.shape)
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2 * result * math.prod(left[axis] for axis in contracted)
    kernel = equation.params["dimension_numbers"].rhs_spec  # first the axis of the result's channels
    return 2 * result * math.prod(right) // right[kernel[0]]


def _precision(equation: Any) -> str:
    """What the device may multiply in; without a wish, float32 arrays are taken to be multiplied as such."""
    if equation.invars[0].aval.dtype == jnp.bfloat16:
        return "bfloat16"
    wish = equation.params["precision"]
    wish = wish[0] if isinstance(wish, tuple) else wish
    return "float32" if wish is None else _NAMES[wish]


def work_of(step: Step) -> Work:
    """Returns the work of one evaluation; compiles the step for the processor at hand.

    Args:
        step: in shapes, with plain parameters.
    """
    traced = trace(step)
    analysis: Any = traced.lower().compile().cost_analysis()
    return Work(dict(count_products(traced.jaxpr)), float(analysis["bytes accessed"]))


def report(chip: Chip, config: Config, params: Params, size: Size, limit: float) -> tuple[list[str], bool]:
    """Returns the plan for a chip in lines (scales, work, each way of computing with its peak), and whether one fits.

    Args:
        chip: that would compute.
        config: settings.
        params: parameters of the network, or their shapes.
        size: (height, width) of the picture.
        limit: bytes that the run may take of the chip.
    """
    stages = plan_scales(size, config)
    work = work_of(step_of(replace(config, checkpoint=False, tile=0), params, size, prepared=False))
    least = seconds(work, chip)
    parts = ", ".join(f"{flops / 1e9:.0f} in {name}" for name, flops in sorted(work.products.items()) if flops)
    rates = ", ".join(f"{rate / 1e12:.0f} in {name}" for name, rate in chip.flops.items())
    lines = [
        "scales    " + ", ".join(f"{s.width}x{s.height} ({s.iterations} iterations)" for s in stages),
        f"chip      {chip.title}: {chip.memory / 1e9:.0f} GB, {chip.bandwidth / 1e9:.0f} GB/s, TFLOP/s: {rates}",
        f"memory    {limit / 1e9:.1f} GB",
        f"step      {sum(work.products.values()) / 1e9:.0f} GFLOP ({parts}), {work.moved / 1e9:.2f} GB moved: "
        f"at least {1e3 * least:.2f} ms at the largest scale, plain",
    ]
    chosen, possible = None, choices(config, size)
    length = max(len(name) for name, _ in possible)
    for name, choice in possible:
        step = step_of(choice, params, size, prepared=False)
        peak = program_bytes(trace(step).lower())
        fits = peak <= limit
        whole = least / (size[0] * size[1]) * cost(choice, params, size)
        lines.append(f"{name:{length}s}{peak / 1e9:6.2f} GB  at least {whole:.2g} s{'' if fits else '  does not fit'}")
        if fits:
            chosen = name
            break
    source = f"the traced step (GFLOP), its compilation for this machine's {jax.default_backend()} (bytes, memory)"
    lines += [
        f"uses      {chosen or 'nothing: give a smaller image_size'}",
        f"told by   {source} and the chip's published peaks; nothing was run, and compiling is not counted",
    ]
    return lines, chosen is not None

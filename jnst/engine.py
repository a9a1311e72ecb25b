"""The device's side of every run: any number of problems side by side, one evaluation of each a tick.

A single picture is one problem, a batch several. Each has its own solver state, best iterate, limit and records, so
that a problem's result does not depend on its neighbours. Where images are smaller than the arrays (the `canvas`), each
lies in the first corner of its canvas, its maps are masked to it (`Region`), and no pixel beyond it moves.

Control returns to the host once a chunk. How many ticks a chunk has is a traced argument, so chunks of any length share
one compiled program, and how a run is split into chunks does not change its result.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from jnst.losses import objective as objectives
from jnst.losses.objective import Losses, LossWeights, Objective, Targets
from jnst.network.region import Region
from jnst.network.vgg import Params
from jnst.optim.base import RUNNING, Bounds
from jnst.optim.preconditioner import Spectral, padded_dft

MAX_TICKS = 64  # of one call, and the most rows of its records


class Program(NamedTuple):
    """What problems must have in common to share a compiled program: static, hashable by value."""

    canvas: tuple[int, int]
    """(height, width) of the arrays in pixels"""
    masked: bool
    """whether an image may be smaller than the canvas"""
    objective: Objective
    solver: Any
    """`jnst.optim.base.Solver`, or one that evaluates for itself (`jnst.optim.stock`)"""


class Problem(NamedTuple):
    """What is minimised, for n images; every leaf has the leading axis n."""

    targets: Targets
    weights: LossWeights
    size: Int[Array, "n 2"]
    """(height, width) of each image in pixels"""
    limit: Int[Array, " n"]
    """iterations to do; -1: the place is empty"""


class Run(NamedTuple):
    """Where n runs are; every leaf has the leading axis n."""

    x: Float[Array, "n h w 3"]
    state: Any
    best_x: Float[Array, "n h w 3"]
    best: Float[Array, " n"]
    """loss of `best_x`"""


class Records(NamedTuple):
    """The iterations of one chunk: of each run the first `rows` of MAX_TICKS are filled."""

    rows: Int[Array, " n"]
    evaluations: Int[Array, "n ticks"]
    losses: Losses
    """every leaf (n, MAX_TICKS)"""


def start(program: Program, x: Float[Array, "1 h w 3"]) -> Run:
    """Returns one run (n = 1) from x that has evaluated nothing.

    Args:
        program: whose solver it is for.
        x: the start, RGB in [0, 1], in the corner of its canvas.
    """
    return _start(program, x)


@partial(jax.jit, static_argnames="program")
def _start(program: Program, x: Array) -> Run:
    state = program.solver.init(x[0], _blank_losses(program.objective))
    return Run(x, jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], state), x, jnp.full(1, jnp.inf, x.dtype))


@partial(jax.jit, static_argnames=("program", "mesh"), donate_argnames="run")
def run_chunk(
    program: Program,
    mesh: Mesh | None,
    params: Params,
    problem: Problem,
    run: Run,
    ticks: Int[Array, ""],
    pause: Int[Array, ""],
) -> tuple[Run, Records]:
    """Advances all runs by at most so many evaluations each.

    Args:
        program: static part.
        mesh: devices that share the problems along its one axis (not the one that splits the rows of one image, which
            is the objective's); None for one device.
        params: parameters of the network, prepared or not.
        problem: what is minimised.
        run: where the runs are; its arrays are used up.
        ticks: evaluations of every run, at most MAX_TICKS.
        pause: iteration before whose successor a run waits for the next chunk, so that the host sees it exactly.

    Returns:
        The runs, and the records of the iterations that they made.
    """

    def advance(params: Params, problem: Problem, run: Run, ticks: Array, pause: Array) -> tuple[Run, Records]:
        masked = program.masked
        parts = jax.vmap(partial(padded_dft, program.canvas))(problem.size) if masked else None
        limit = jnp.minimum(problem.limit, pause)

        def active(run: Run) -> Array:
            return (run.state.iterations < limit) & (run.state.status == RUNNING)

        def more(carry: tuple[Run, Records, Array]) -> Array:
            run, _, tick = carry
            return (tick < ticks) & jnp.any(active(run))

        def body(carry: tuple[Run, Records, Array]) -> tuple[Run, Records, Array]:
            run, records, tick = carry
            if alone:
                new = _tick_alone(program, params, problem, parts, run)
            else:
                new = _tick(program, params, problem, parts, run, active(run))
            return new, _record(records, new, active(run) & new.state.moved), tick + 1

        # a single run without its axis: with it XLA:CPU updates the history by copies, not in place
        alone = len(run.x) == 1
        records = _blank_records(run)
        carry = (_first(run) if alone else run), records, jnp.zeros((), jnp.int32)
        run, records, _ = lax.while_loop(more, body, carry)
        return (_with_axis(run) if alone else run), records

    if mesh is None:
        return advance(params, problem, run, ticks, pause)
    batch, whole = PartitionSpec(mesh.axis_names[0]), PartitionSpec()
    split = jax.shard_map(
        advance, mesh=mesh, in_specs=(whole, batch, batch, whole, whole), out_specs=(batch, batch), check_vma=False
    )
    return split(params, problem, run, ticks, pause)


def _evaluator(program: Program, params: Params, problem: Problem, region: Region | None) -> Callable[[Array], Any]:
    def evaluate(points: Array) -> tuple[Losses, Array]:
        return objectives.value_and_grad(
            params, points, problem.targets, problem.weights, objective=program.objective, region=region
        )

    return evaluate


def _tick(program: Program, params: Params, problem: Problem, parts: Any, run: Run, active: Array) -> Run:
    """One evaluation of every run, and what its solver makes of it; those that are not active stay as they are."""
    region = _region(problem.size) if program.masked else None
    evaluate, bounds = _evaluator(program, params, problem, region), _bounds(run.x, region)
    points = jax.vmap(partial(_point, program))(parts, run.x, run.state, bounds)
    losses, gradients = evaluate(points)
    x, state = jax.vmap(partial(_update, program))(parts, run.x, run.state, bounds, gradients, losses)
    new = jax.vmap(_with_best)(run, x, state)
    return jax.tree.map(partial(_choose, active), new, run)


def _tick_alone(program: Program, params: Params, problem: Problem, parts: Any, run: Run) -> Run:
    """The same for a single, active run, given without its axis; XLA:CPU computes some batched operations slower."""
    region = _region(problem.size) if program.masked else None
    evaluate, bounds = _evaluator(program, params, problem, region), _first(_bounds(run.x[None], region))

    def evaluate_one(x: Array) -> tuple[Array, Array, Losses]:
        losses, gradient = _first(evaluate(x[None]))
        return losses.total, gradient, losses

    if hasattr(program.solver, "step"):  # of a solver that evaluates within its own line search
        x, state = program.solver.step(evaluate_one, run.x, run.state, bounds)
    else:
        part = _first(parts)
        _, gradient, losses = evaluate_one(_point(program, part, run.x, run.state, bounds))
        x, state = _update(program, part, run.x, run.state, bounds, gradient, losses)
    return _with_best(run, x, state)


def _with_best(run: Run, x: Array, state: Any) -> Run:
    better = state.value < run.best
    return Run(x, state, jnp.where(better, x, run.best_x), jnp.where(better, state.value, run.best))


def _first(places: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], places)


def _with_axis(one: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], one)


def _solver(program: Program, part: Any) -> Any:
    """The solver for an image in the corner of its canvas, whose frequencies are not the canvas's."""
    solver = program.solver
    if part is None or not isinstance(getattr(solver, "preconditioner", None), Spectral):
        return solver
    return dataclasses.replace(solver, preconditioner=Spectral(part))


def _point(program: Program, part: Any, x: Array, state: Any, bounds: Bounds) -> Array:
    return _solver(program, part).point(x, state, bounds)


def _update(
    program: Program, part: Any, x: Array, state: Any, bounds: Bounds, gradient: Array, losses: Losses
) -> tuple[Array, Any]:
    return _solver(program, part).update(x, state, bounds, losses.total, gradient, losses)


def _region(sizes: Int[Array, "n 2"]) -> Region:
    """Images of these (height, width) in the first corners of their arrays."""
    corner = jnp.zeros(len(sizes), sizes.dtype)
    return Region(corner, corner, sizes[:, 0], sizes[:, 1])


def _choose(active: Array, new: Array, old: Array) -> Array:
    return jnp.where(active.reshape(-1, *(1,) * (new.ndim - 1)), new, old)


def _bounds(x: Array, region: Region | None) -> Bounds:
    """The box [0, 1], shut beyond the image."""
    if region is None:
        return jnp.zeros((len(x), 1, 1, 1), x.dtype), jnp.ones((len(x), 1, 1, 1), x.dtype)
    return jnp.zeros_like(x), jnp.broadcast_to(region.mask(x.shape, 1), x.shape).astype(x.dtype)


def _blank_losses(objective: Objective) -> Losses:
    """The losses of one image, none of them known."""
    zero = jnp.zeros(())
    groups = dict.fromkeys((term.group for term in objective.terms), zero)
    return Losses(zero, groups, dict.fromkeys((term.name for term in objective.terms), zero))


def _blank_records(run: Run) -> Records:
    count = len(run.x)
    losses = jax.tree.map(lambda leaf: jnp.zeros((count, MAX_TICKS), leaf.dtype), run.state.aux)
    zeros = jnp.zeros((count, MAX_TICKS), jnp.int32)
    return Records(jnp.zeros(count, jnp.int32), zeros, losses)


def _record(records: Records, run: Run, ended: Array) -> Records:
    """The records with a row more for each run that ended an iteration."""
    rows = (jnp.arange(MAX_TICKS)[None] == records.rows[:, None]) & ended[:, None]
    evaluations = jnp.where(rows, run.state.evaluations.reshape(-1, 1), records.evaluations)
    losses = jax.tree.map(lambda old, new: jnp.where(rows, new.reshape(-1, 1), old), records.losses, run.state.aux)
    return Records(records.rows + ended, evaluations, losses)


@partial(jax.jit, donate_argnames="places")
def fill(places: Any, index: Int[Array, ""], one: Any) -> Any:
    """Returns the places with one more taken.

    Args:
        places: a `Problem`, a `Run`, or a tuple of both; its arrays are used up.
        index: of the place.
        one: the same structure with n = 1.
    """
    return jax.tree.map(lambda leaf, new: leaf.at[index].set(new[0]), places, one)


def empty(one: Any, count: int, *, sharding: NamedSharding | None = None) -> Any:
    """Returns `count` empty places of the structure of one (n = 1).

    Args:
        one: a `Problem`, a `Run`, or a tuple of both.
        count: how many places.
        sharding: how they lie on several devices; None for one.
    """
    places = jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape[1:]), leaf.dtype), one)
    return places if sharding is None else jax.device_put(places, sharding)

"""Runs a solver on the device in chunks: many iterations in one compiled call, the best iterate kept, a stop noticed.

The host looks in once a chunk. How many iterations a chunk has is an argument, not a shape, so it costs no compile and
changes no result.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jnst.optim.base import Solver, SolverState
from jnst.optim.lbfgsb import CONVERGED, LINE_SEARCH, NOT_FINITE, RUNNING

CHUNK = 64  # the most iterations of one call, and the length of its records
STOP_REASONS = {
    RUNNING: "max_iterations", CONVERGED: "converged", LINE_SEARCH: "line_search", NOT_FINITE: "not_finite"
}  # fmt: skip


class Run(NamedTuple):
    """A run that can go on: a pytree, all on the device; `iteration` is -1 until the start has been evaluated."""

    x: Array
    state: SolverState
    iteration: Int[Array, ""]
    best_x: Array
    best: SolverState
    """the solver's view of `best_x`, without its inner state"""


class Records(NamedTuple):
    """One row an iteration of the last chunk, `CHUNK` rows of which the chunk's own are filled."""

    value: Float[Array, " chunk"]
    evaluations: Int[Array, " chunk"]
    aux: Any


@partial(jax.jit, static_argnames="solver")
def start(solver: Solver, x: Array, args: tuple) -> Run:
    """A run from x; evaluates nothing."""
    state = solver.init(x, args)
    return Run(x, state, jnp.full((), -1, jnp.int32), x, state._replace(inner=None))


@partial(jax.jit, static_argnames="solver", donate_argnames="run")
def advance(solver: Solver, run: Run, args: tuple, count: Int[Array, ""]) -> tuple[Run, Records]:
    """At most `count` (up to `CHUNK`) iterations, fewer where the run ends; `run` is used up."""
    records = jax.tree.map(
        lambda a: jnp.zeros((CHUNK, *a.shape), a.dtype), Records(run.state.value, run.state.evaluations, run.state.aux)
    )

    def more(carry: tuple[Run, Records, Array]) -> Array:
        run, _, k = carry
        return (k < count) & (run.state.stop == RUNNING)

    def body(carry: tuple[Run, Records, Array]) -> tuple[Run, Records, Array]:
        run, records, k = carry
        x, state = solver.step(run.x, run.state, args)
        better = state.value < run.best.value
        best_x = jnp.where(better, x, run.best_x)
        best = jax.tree.map(partial(jnp.where, better), state._replace(inner=None), run.best)
        row = Records(state.value, state.evaluations, state.aux)
        records = jax.tree.map(lambda rows, new: rows.at[k].set(new), records, row)
        return Run(x, state, run.iteration + 1, best_x, best), records, k + 1

    run, records, _ = lax.while_loop(more, body, (run, records, jnp.zeros((), jnp.int32)))
    return run, records

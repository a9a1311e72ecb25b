"""The optimisers that a user can choose, each as two pure functions that take x in the box [0, 1] to the next.

`args` are handed through to the objective, never captured:
    init(x, args) -> SolverState, which has evaluated nothing
    step(x, state, args) -> (x, SolverState); the first one evaluates the start and stays there, as iteration 0
So that one compiled step is a whole run.
The objective is `fun(x, *args) -> ((value, aux), gradient)`.
"""

import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jnst.optim.lbfgsb import CONVERGED, LBFGSB, LINE_SEARCH, NOT_FINITE, RUNNING
from jnst.optim.preconditioner import Preconditioner, Spectral

with warnings.catch_warnings():  # as in jnst.optim.lbfgsb
    warnings.simplefilter("ignore", DeprecationWarning)
    import jaxopt

Optimizer = Literal["lbfgsb", "adam", "jaxopt"]
Objective = Callable[..., tuple[tuple[Array, Any], Array]]
SPECTRAL = Spectral()


class SolverState(NamedTuple):
    """What every solver tells about x; `inner` is its own."""

    value: Float[Array, ""]
    aux: Any
    evaluations: Int[Array, ""]
    projected_gradient: Float[Array, ""]
    """norm of `clip(x - gradient) - x`: 0 exactly where no descent inside the box is left"""
    stop: Int[Array, ""]
    """RUNNING, CONVERGED, LINE_SEARCH or NOT_FINITE"""
    inner: Any


class Solver(NamedTuple):
    """A solver as two pure functions; see the module's first paragraph."""

    init: Callable[[Array, tuple], SolverState]
    step: Callable[[Array, SolverState, tuple], tuple[Array, SolverState]]


def lbfgsb(
    fun: Objective,
    *,
    history_size: int,
    history_dtype: str = "float32",
    preconditioner: Preconditioner = SPECTRAL,
) -> Solver:
    """Bounded L-BFGS; see `jnst.optim.lbfgsb` and `jnst.optim.preconditioner`."""
    program = LBFGSB(
        fun, value_and_grad=True, has_aux=True, history_size=history_size,
        history_dtype=jnp.dtype(history_dtype), preconditioner=preconditioner,
    )  # fmt: skip

    def view(state: Any) -> SolverState:
        return SolverState(state.value, state.aux, state.num_fun_eval, state.error, state.stop, state)

    def init(x: Array, args: tuple) -> SolverState:
        return view(program.blank_state(x, *args))

    def step(x: Array, state: SolverState, args: tuple) -> tuple[Array, SolverState]:
        new_x, inner = program.update(x, state.inner, _box(x), *args)
        return new_x, view(inner)

    return Solver(init, step)


def adam(fun: Objective, *, learning_rate: float) -> Solver:
    """Adam (Kingma and Ba 2015), projected onto the box after every step."""
    optimizer = optax.adam(learning_rate)

    def view(x: Array, count: Array, inner: Any, args: tuple) -> SolverState:
        (value, aux), gradient = fun(x, *args)
        projected = jnp.linalg.norm((jnp.clip(x - gradient, 0, 1) - x).ravel())
        return SolverState(value, aux, count, projected, _stop(value, projected), (gradient, inner))

    def init(x: Array, args: tuple) -> SolverState:
        return _blank(jax.eval_shape(lambda x: view(x, jnp.int32(0), optimizer.init(x), args), x))

    def step(x: Array, state: SolverState, args: tuple) -> tuple[Array, SolverState]:
        gradient, inner = state.inner
        update, moments = optimizer.update(gradient, inner)
        new_x = jnp.clip(x + jnp.asarray(update), 0, 1)
        blank = state.evaluations == 0
        new_x, inner = jax.tree.map(lambda old, new: jnp.where(blank, old, new), (x, inner), (new_x, moments))
        return jax.tree.map(jnp.asarray, (new_x, view(new_x, state.evaluations + 1, inner, args)))

    return Solver(init, step)


def stock(fun: Objective, *, history_size: int) -> Solver:
    """`jaxopt.LBFGSB` as it comes, for comparison: one pixel that meets a bound shortens the step of all the others."""
    program = jaxopt.LBFGSB(fun, value_and_grad=True, has_aux=True, history_size=history_size, implicit_diff=False)

    def view(state: Any, moved: Array) -> SolverState:
        stop = _stop(state.value, state.error)
        stuck = jnp.asarray(state.failed_linesearch) & ~moved & (stop == RUNNING)
        stop = jnp.where(stuck, LINE_SEARCH, stop)
        return SolverState(state.value, state.aux, state.num_fun_eval, state.error, stop, state)

    def start(x: Array, args: tuple) -> SolverState:
        return view(program.init_state(x, _box(x), *args), jnp.ones((), bool))

    def init(x: Array, args: tuple) -> SolverState:
        return _blank(jax.eval_shape(start, x, args))

    def move(x: Array, state: SolverState, args: tuple) -> tuple[Array, SolverState]:
        new_x, inner = program.update(x, state.inner, _box(x), *args)
        new_x = jnp.clip(new_x, 0, 1)  # its step may leave the box by a rounding
        return new_x, view(inner, jnp.any(new_x != x))

    def step(x: Array, state: SolverState, args: tuple) -> tuple[Array, SolverState]:
        return jax.lax.cond(state.evaluations == 0, lambda: (x, start(x, args)), lambda: move(x, state, args))

    return Solver(init, step)


def make(
    fun: Objective, optimizer: Optimizer, *, history_size: int, learning_rate: float, history_dtype: str = "float32"
) -> Solver:
    """The solver of that name."""
    if optimizer == "adam":
        return adam(fun, learning_rate=learning_rate)
    if optimizer == "jaxopt":
        return stock(fun, history_size=history_size)
    return lbfgsb(fun, history_size=history_size, history_dtype=history_dtype)


def _blank(shapes: Any) -> SolverState:
    """A state of these shapes that has evaluated nothing."""
    blank: SolverState = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
    return blank._replace(value=blank.value + jnp.inf)


def _box(x: Array) -> tuple[Array, Array]:
    return jnp.zeros_like(x), jnp.ones_like(x)


def _stop(value: Array, projected: Array) -> Array:
    stop = jnp.where(projected == 0, CONVERGED, RUNNING)
    return jnp.where(jnp.isfinite(value) & jnp.isfinite(projected), stop, NOT_FINITE).astype(jnp.int32)

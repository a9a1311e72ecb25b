# pyright: basic
"""`jaxopt.LBFGSB` as it comes, for comparison only: one pixel that meets a bound shortens the step of all the others.

It evaluates the objective inside its own line search, so it is no `jnst.optim.base.Solver`: `step` takes the objective.
"""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jnst.optim.base import CONVERGED, LINE_SEARCH, NOT_FINITE, RUNNING, Bounds, select, zeros_of

with warnings.catch_warnings():  # that it is no longer maintained is known here; `python -W error` would end there
    warnings.simplefilter("ignore", DeprecationWarning)
    import jaxopt

Evaluate = Callable[[Array], tuple[Array, Array, Any]]
"""x -> value, gradient, aux"""


class StockState(NamedTuple):
    """The state of a run: the fields of `jnst.optim.base.State`, and jaxopt's own."""

    iterations: Int[Array, ""]
    evaluations: Int[Array, ""]
    value: Float[Array, ""]
    aux: Any
    optimality: Float[Array, ""]
    """norm of `clip(x - gradient) - x`, as jaxopt computes it"""
    status: Int[Array, ""]
    moved: Bool[Array, ""]
    inner: Any


@dataclasses.dataclass(frozen=True)
class Stock:
    """jaxopt's own bounded L-BFGS.

    Attributes:
        history_size: pairs that are remembered.
    """

    history_size: int = 10

    def init(self, x: Float[Array, "..."], aux: Any) -> StockState:
        """Returns the state of a run from `x` that has evaluated nothing.

        Args:
            x: the start, of any shape.
            aux: what the objective returns beside its value, as arrays or shapes.
        """
        blank_aux = zeros_of(aux)

        def start(x: Array) -> StockState:
            return self._start(lambda x: (jnp.zeros((), x.dtype), x, blank_aux), x, (x, x))

        blank = zeros_of(jax.eval_shape(start, x))
        return blank._replace(iterations=blank.iterations - 1, value=blank.value + jnp.inf)

    def step(
        self, evaluate: Evaluate, x: Float[Array, "..."], state: StockState, bounds: Bounds
    ) -> tuple[Float[Array, "..."], StockState]:
        """Does one iteration with all its evaluations; the first one evaluates the start and stays there.

        Args:
            evaluate: x -> value, gradient, aux.
            x: the iterate.
            state: its state.
            bounds: lower and upper bounds of x's shape.

        Returns:
            The next iterate and its state; unchanged where the run is over.
        """
        new_x, new_state = jax.lax.cond(
            state.evaluations == 0,
            lambda: (x, self._start(evaluate, x, bounds)),
            lambda: self._move(evaluate, x, state, bounds),
        )
        stopped = state._replace(moved=jnp.zeros((), bool))
        return select(state.status == RUNNING, (new_x, new_state), (x, stopped))

    def _start(self, evaluate: Evaluate, x: Array, bounds: Bounds) -> StockState:
        inner = self._solver(evaluate).init_state(x, bounds)
        return _view(inner, jnp.zeros((), jnp.int32), jnp.ones((), bool))

    def _move(self, evaluate: Evaluate, x: Array, state: StockState, bounds: Bounds) -> tuple[Array, StockState]:
        new_x, inner = self._solver(evaluate).update(x, state.inner, bounds)
        new_x = jnp.clip(new_x, *bounds)  # its step may leave the box by a rounding
        return new_x, _view(inner, state.iterations + 1, jnp.any(new_x != x))

    def _solver(self, evaluate: Evaluate) -> jaxopt.LBFGSB:
        def fun(x: Array) -> tuple[tuple[Array, Any], Array]:
            value, gradient, aux = evaluate(x)
            return (value, aux), gradient

        return jaxopt.LBFGSB(
            fun, value_and_grad=True, has_aux=True, history_size=self.history_size, implicit_diff=False
        )


def _view(inner: Any, iterations: Array, stepped: Array) -> StockState:
    finite = jnp.isfinite(inner.value) & jnp.isfinite(inner.error)
    status = jnp.where(finite, jnp.where(inner.error == 0, CONVERGED, RUNNING), NOT_FINITE)
    stuck = jnp.asarray(inner.failed_linesearch) & ~stepped & (status == RUNNING)
    status = jnp.where(stuck, LINE_SEARCH, status).astype(jnp.int32)
    inner = jax.tree.map(jnp.asarray, inner)
    return StockState(
        iterations, inner.num_fun_eval, inner.value, inner.aux, inner.error, status, jnp.ones((), bool), inner
    )

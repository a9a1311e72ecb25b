# pyright: reportUnknownMemberType=false
"""Minimises a function with a solver, in one compiled loop that holds one copy of the objective."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jnst.optim.base import RUNNING, Bounds, Solver, State, select

S = TypeVar("S", bound=State)
Evaluate = Callable[[Array], tuple[Array, Array, Any]]


def minimise(
    fun: Callable[..., Any],
    x0: Float[Array, "..."],
    solver: Solver[S],
    *,
    bounds: Bounds | None = None,
    max_iterations: int,
    has_aux: bool = False,
    value_and_grad: bool = False,
    args: tuple[Any, ...] = (),
) -> tuple[Float[Array, "..."], S]:
    """Minimises `fun(x, *args)` over x within bounds.

    Args:
        fun: returns the value, or `(value, aux)` with `has_aux`; with `value_and_grad` that and the gradient.
        x0: the start, a float array of any shape.
        solver: an `LBFGSB`, a `Projected`, or any other of that protocol.
        bounds: lower and upper bounds, of x's shape or broadcastable to it; None for none.
        max_iterations: iterations after the evaluation of the start, at least 0; may be traced.
        has_aux: see `fun`.
        value_and_grad: see `fun`.
        args: further arguments of `fun`.

    Returns:
        The evaluated iterate of the lowest value, and the state in which the run ended (of its last iterate; with a
        solver that never rises, as `LBFGSB`, the two are the same).
    """
    evaluate = evaluator(fun, has_aux=has_aux, value_and_grad=value_and_grad, args=args)
    box = unbounded(x0) if bounds is None else bounds
    _, _, aux = jax.eval_shape(evaluate, x0)

    def unfinished(carry: tuple[Array, S, Array, Array]) -> Array:
        _, state, _, _ = carry
        return (state.status == RUNNING) & (state.iterations < max_iterations)

    def step(carry: tuple[Array, S, Array, Array]) -> tuple[Array, S, Array, Array]:
        x, state, best_x, best_value = carry
        x, state = solver.update(x, state, box, *evaluate(solver.point(x, state, box)))
        best_x, best_value = select(state.value < best_value, (x, state.value), (best_x, best_value))
        return x, state, best_x, best_value

    x0 = jnp.clip(x0, *box)
    state = solver.init(x0, aux)
    _, state, best_x, _ = lax.while_loop(unfinished, step, (x0, state, x0, state.value))
    return best_x, state


def evaluator(
    fun: Callable[..., Any], *, has_aux: bool, value_and_grad: bool, args: tuple[Any, ...], **kwargs: Any
) -> Evaluate:
    """Returns `x -> (value, gradient, aux)`, whichever form `fun` has; aux is None without `has_aux`.

    Args:
        fun: see `minimise`.
        has_aux: whether the value comes as `(value, aux)`.
        value_and_grad: whether `fun` returns the gradient, too.
        args: further arguments of `fun`.
        **kwargs: and those by name.
    """
    function = fun if value_and_grad else jax.value_and_grad(fun, has_aux=has_aux)

    def evaluate(x: Array) -> tuple[Array, Array, Any]:
        outcome, gradient = function(x, *args, **kwargs)
        value, aux = outcome if has_aux else (outcome, None)
        return value, gradient, aux

    return evaluate


def unbounded(x: Float[Array, "..."]) -> Bounds:
    """Returns bounds that hold nothing back.

    Args:
        x: an array of the shape and dtype that they shall have.
    """
    return jnp.full_like(x, -jnp.inf), jnp.full_like(x, jnp.inf)

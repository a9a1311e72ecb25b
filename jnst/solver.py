"""The solvers: one iteration from x in the box [0, 1] to the next. The only module that imports jaxopt.

A solver is a pair of pure functions over arrays; `args` are handed through to the objective, never captured:
    init(x, args) -> SolverState
    step(x, state, args) -> (x, SolverState)
The objective is `fun(x, *args) -> ((value, aux), gradient)`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import jaxopt
import optax
from jaxopt._src import lbfgsb as jaxopt_lbfgsb
from jaxtyping import Array, Float, Int

Optimizer = Literal["lbfgsb", "adam"]
Objective = Callable[..., tuple[tuple[Array, Any], Array]]

# Mean change of a pixel (of [0, 1]) that the first L-BFGS step aims at, before any curvature is known. The cat of
# examples/ at 256 px, loss after 100 iterations: 0.01 0.1056, 0.05 0.0981, 0.2 0.0964; so it hardly matters.
FIRST_STEP = 0.05
MAX_EVALUATIONS = 20  # of one line search


class SolverState(NamedTuple):
    """What every solver tells about x; `inner` is its own."""

    value: Float[Array, ""]
    aux: Any
    evaluations: Int[Array, ""]
    projected_gradient: Float[Array, ""]
    """norm of `clip(x - gradient) - x`: 0 exactly where no descent inside the box is left"""
    line_search_failed: Array
    inner: Any


class Solver(NamedTuple):
    """A solver as two pure functions; see the module's first paragraph."""

    init: Callable[[Array, tuple], SolverState]
    step: Callable[[Array, SolverState, tuple], tuple[Array, SolverState]]


def lbfgsb(fun: Objective, *, history_size: int) -> Solver:
    """jaxopt's L-BFGS-B (Byrd, Lu, Nocedal, Zhu 1995) on an objective scaled to the first step; see `_LBFGSB`.

    jaxopt's first step is the gradient itself, which has a unit: objectives here range from 1e-3 to 1e13. So the
    objective is multiplied by a constant that makes the first step `FIRST_STEP` of a pixel's range.
    """

    def scaled(x: Array, scale: Array, *args: Any) -> tuple[tuple[Array, Any], Array]:
        (value, aux), gradient = fun(x, *args)
        return (scale * value, (value, aux)), scale * gradient

    solver = _LBFGSB(scaled, value_and_grad=True, has_aux=True, history_size=history_size, implicit_diff=False)

    def view(state: Any, scale: Array, failed: Array) -> SolverState:
        value, aux = state.aux
        return SolverState(value, aux, state.num_fun_eval, state.error / scale, failed, (state, scale))

    def init(x: Array, args: tuple) -> SolverState:
        # The scale comes from jaxopt's own first evaluation; scaling its state afterwards saves a second one.
        state = solver.init_state(x, _box(x), jnp.ones((), x.dtype), *args)
        size = jnp.mean(jnp.abs(state.grad))
        scale = jnp.where(size > 0, FIRST_STEP / size, 1)
        state = state._replace(value=scale * state.value, grad=scale * state.grad, error=scale * state.error)
        return view(state, scale, jnp.zeros((), bool))

    def step(x: Array, state: SolverState, args: tuple) -> tuple[Array, SolverState]:
        before, scale = state.inner
        new_x, after = solver.update(x, before, _box(x), scale, *args)
        # Without descent x stays (a step too short to change any pixel counts as none). That condemns the history
        # first, and the run only where there was none.
        failed = after.failed_linesearch | jnp.all(new_x == x)
        back = before._replace(
            s_history=jnp.zeros_like(before.s_history),
            y_history=jnp.zeros_like(before.y_history),
            num_updates=jnp.zeros_like(before.num_updates),
            theta=jnp.ones_like(before.theta),
            iter_num=after.iter_num,
            num_fun_eval=after.num_fun_eval,
            num_grad_eval=after.num_grad_eval,
            num_linesearch_iter=after.num_linesearch_iter,
            failed_linesearch=after.failed_linesearch,
        )
        new_x, inner = jax.tree.map(partial(jnp.where, failed), (x, back), (new_x, after))
        return new_x, view(inner, scale, failed & (before.num_updates == 0))

    return Solver(init, step)


class _LBFGSB(jaxopt.LBFGSB):
    """jaxopt.LBFGSB with two parts replaced that make it stall on images.

    Its subspace minimisation shortens the whole step to the first pixel that meets a bound; here the step is projected
    onto the box instead, and shortened only where the projected one does not descend (Morales and Nocedal 2011,
    "Remark on Algorithm 778"). Its line searches insist on the strong Wolfe conditions, of which backtracking cannot
    meet the second one where the full step is too short; here the first condition is enough, and an update without
    positive curvature is left out of the history (jaxopt sees to that).
    Loss after 150 evaluations (scripts/bench_solver.py, docs/method.md): 0.070, jaxopt's own at best 0.211.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.run_ls = self._backtrack

    def update(self, params: Any, state: Any, bounds: Any, *args: Any, **kwargs: Any) -> Any:
        with mock.patch.object(jaxopt_lbfgsb, "_minimize_subspace", _minimize_subspace):  # while it is traced
            return super().update(params, state, bounds, *args, **kwargs)

    def _backtrack(
        self, init_stepsize: Any, params: Array, value: Array, grad: Array, descent_direction: Array,
        fun_args: tuple, fun_kwargs: dict,
    ) -> tuple[Array, "_LineSearch"]:  # fmt: skip
        """From the full step down until Armijo's condition holds (Nocedal and Wright, algorithm 3.1)."""
        slope = jnp.vdot(grad, descent_direction)

        def descends(search: _LineSearch) -> Array:
            return (slope < 0) & (search.value <= value + 1e-4 * search.stepsize * slope)

        def more(search: _LineSearch) -> Array:
            return (slope < 0) & ~descends(search) & (search.num_fun_eval < MAX_EVALUATIONS)

        def trial(search: _LineSearch) -> _LineSearch:
            # the minimum of the parabola through what is known (eq. 3.58), kept within [1/10, 1/2] of the last trial
            t = search.stepsize
            parabola = -slope * t / (2 * (search.value - value - slope * t)) * t
            shorter = jnp.clip(jnp.where(jnp.isfinite(parabola), parabola, 0), t / 10, t / 2)
            t = jnp.where(search.num_fun_eval == 0, t, shorter)
            x = jnp.clip(params + t * descent_direction, 0, 1)  # a rounding may lead out of the box
            (new_value, aux), new_grad = self._value_and_grad_with_aux(x, *fun_args, **fun_kwargs)
            return _LineSearch(t, x, new_value, new_grad, aux, search.num_fun_eval + 1, search.failed)

        (_, aux), _ = jax.eval_shape(lambda: self._value_and_grad_with_aux(params, *fun_args, **fun_kwargs))
        aux = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), aux)
        full, none, unknown = jnp.ones_like(value), jnp.zeros((), jnp.int32), jnp.full_like(value, jnp.inf)
        start = _LineSearch(full, params, unknown, grad, aux, none, jnp.zeros((), bool))
        search = jax.lax.while_loop(more, trial, start)
        return search.stepsize, search._replace(failed=~descends(search))


class _LineSearch(NamedTuple):
    """Under the names that `jaxopt.LBFGSB.update` reads."""

    stepsize: Array
    params: Array
    value: Array
    grad: Array
    aux: Any
    num_fun_eval: Array
    failed: Array

    @property
    def num_grad_eval(self) -> Array:
        return self.num_fun_eval

    @property
    def iter_num(self) -> Array:
        return self.num_fun_eval


def _minimize_subspace(
    x: Array, grad: Array, lower: Array, upper: Array, x_cauchy: Array, c: Array, theta: Array, w: Array, m: Array,
    active_set_mask: Array,
) -> Array:  # fmt: skip
    """Direct primal method (Byrd et al. 1995, section 5.1), then projection. `active_set_mask` is true where free."""
    w_free = w * active_set_mask[:, None].astype(w.dtype)
    r_c = grad + theta * (x_cauchy - x) - w_free @ (m @ c)  # eq. 5.4
    n = jnp.eye(m.shape[-1], dtype=w.dtype) - m @ (w_free.T @ w_free) / theta
    v = jnp.linalg.solve(n, m @ (w_free.T @ r_c))
    du = -r_c / theta - (w_free @ v) / theta**2  # eq. 5.11
    projected = jnp.where(active_set_mask, jnp.clip(x_cauchy + du, lower, upper), x_cauchy)
    room = jnp.maximum((upper - x_cauchy) / du, (lower - x_cauchy) / du)
    alpha = jnp.minimum(jnp.min(jnp.where(active_set_mask & (du != 0), room, 1)), 1)  # eq. 5.8
    shortened = jnp.where(active_set_mask, x_cauchy + alpha * du, x_cauchy)
    return jnp.where((projected - x) @ grad < 0, projected, shortened)


def adam(fun: Objective, *, learning_rate: float) -> Solver:
    """Adam (Kingma and Ba 2015), projected onto the box after every step."""
    optimizer = optax.adam(learning_rate)

    def view(x: Array, count: Array, inner: Any, args: tuple) -> SolverState:
        (value, aux), gradient = fun(x, *args)
        projected = jnp.linalg.norm((jnp.clip(x - gradient, 0, 1) - x).ravel())
        return SolverState(value, aux, count, projected, jnp.zeros((), bool), (gradient, inner))

    def init(x: Array, args: tuple) -> SolverState:
        return view(x, jnp.ones((), jnp.int32), optimizer.init(x), args)

    def step(x: Array, state: SolverState, args: tuple) -> tuple[Array, SolverState]:
        gradient, inner = state.inner
        update, inner = optimizer.update(gradient, inner)
        new_x = jnp.clip(x + jnp.asarray(update), 0, 1)
        return jax.tree.map(jnp.asarray, (new_x, view(new_x, state.evaluations + 1, inner, args)))

    return Solver(init, step)


def make(fun: Objective, optimizer: Optimizer, *, history_size: int, learning_rate: float) -> Solver:
    """The solver of that name."""
    if optimizer == "adam":
        return adam(fun, learning_rate=learning_rate)
    return lbfgsb(fun, history_size=history_size)


def _box(x: Array) -> tuple[Array, Array]:
    return jnp.zeros_like(x), jnp.ones_like(x)

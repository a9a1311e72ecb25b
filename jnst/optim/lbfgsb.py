"""A bounded L-BFGS for a million pixels, with jaxopt's interface: `init_state`, `update`, `run`, `bounds`.

One iteration: the free set (all but the pixels that sit at a bound and are pushed outwards), the quasi-Newton step
within it (Bertsekas 1982, "Projected Newton methods": the other pixels' rows and columns of the inverse Hessian are
zero) by the two-loop recursion over the pairs' free parts (Nocedal and Wright, algorithm 7.4), its projection onto the
box (as Morales and Nocedal 2011 do), and a step from full length down until Armijo's condition holds. There is no
Cauchy point: no sort over pixels, no walk over breakpoints. What stands for the inverse Hessian before any pair, `H0`,
is `gamma` times a preconditioner; with `jnst.optim.preconditioner.Spectral` that is where most of the speed comes from.

Nothing has a unit: gradients are divided by the first one's size, pairs by the length of their step. Nothing branches,
so `vmap` pays for one side only; an element that has stopped no longer changes and no longer evaluates.
"""

import dataclasses
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from jnst.optim.preconditioner import Identity, Preconditioner

with warnings.catch_warnings():  # that it is no longer maintained is known here; `python -W error` would end there
    warnings.simplefilter("ignore", DeprecationWarning)
    from jaxopt import base

RUNNING, CONVERGED, LINE_SEARCH, NOT_FINITE = range(4)
CURVATURE = 1e-6  # pairs with s.y below so many |s||y| tell nothing but rounding


class LBFGSBState(NamedTuple):
    """The state after an iteration; stop and continue with it as if never stopped."""

    iter_num: Int[Array, ""]
    value: Float[Array, ""]
    grad: Any
    error: Float[Array, ""]
    """norm of `clip(x - gradient) - x`"""
    first_error: Float[Array, ""]
    stop: Int[Array, ""]
    """RUNNING, or why nothing changes any more"""
    stepsize: Float[Array, ""]
    at_bound: Float[Array, ""]
    """share of the pixels at a bound"""
    num_fun_eval: Int[Array, ""]
    num_updates: Int[Array, ""]
    """pairs stored since the history was last dropped; pair k lies in row k modulo history_size"""
    gamma: Float[Array, ""]
    """size of H0"""
    scale: Float[Array, ""]
    """mean absolute gradient at the start, where the bounds leave room: the unit of `1 / gamma` and `y_history`"""
    preconditioner: Any
    s_history: Float[Array, "m pixels"]
    y_history: Float[Array, "m pixels"]
    aux: Any


class _Problem(NamedTuple):
    """What is minimised, over a vector of pixels."""

    unravel: Callable[[Array], Any]
    lower: Array
    upper: Array


class _Trial(NamedTuple):
    """One point of the line search."""

    stepsize: Array
    x: Array
    value: Array
    grad: Array
    aux: Any
    evaluations: Array
    finite: Array
    """whether all trials of this search were"""


class Search(NamedTuple):
    """A line search under way: where it goes, and its last trial."""

    direction: Array
    slope: Array
    trial: _Trial


@dataclasses.dataclass(eq=False)
class LBFGSB(base.IterativeSolver):
    """Minimises `fun(x, *args)` within bounds.

    Attributes:
        fun: a smooth function, or with `value_and_grad` one that returns value and gradient; with `has_aux` the value
            comes with anything else: `(value, aux)`.
        maxiter: iterations of `run`.
        tol: the run has converged where the projected gradient's norm is at most `tol` times its first one.
        history_size: pairs that are remembered.
        first_step: mean change of a variable that the first step aims at, before any curvature is known.
        maxls: evaluations of one line search.
        preconditioner: the shape of H0, for parameters that are one array of images; without, any pytree.
        history_dtype: of the two history arrays; None for that of x. bfloat16 halves the memory.
    """

    fun: Callable
    value_and_grad: bool = False
    has_aux: bool = False
    maxiter: int = 500
    tol: float = 0.0
    history_size: int = 10
    first_step: float = 0.1
    maxls: int = 20
    preconditioner: Preconditioner = Identity()  # noqa: RUF009
    history_dtype: Any = None
    implicit_diff: bool = False
    jit: bool = True
    unroll: base.AutoOrBoolean = "auto"
    verbose: bool = False

    def _evaluate(self, params: Any, args: tuple, kwargs: dict) -> tuple[Array, Any, Any]:
        """Value, gradient and aux, whichever form `fun` has."""
        function = self.fun if self.value_and_grad else jax.value_and_grad(self.fun, has_aux=self.has_aux)
        found, gradient = function(params, *args, **kwargs)
        value, aux = found if self.has_aux else (found, None)
        return value, gradient, aux

    def init_state(self, init_params: Any, bounds: Any = None, *args: Any, **kwargs: Any) -> LBFGSBState:
        """Evaluates the start."""
        blank = self.blank_state(init_params, *args, **kwargs)
        return self.update(init_params, blank, bounds, *args, **kwargs).state

    def blank_state(self, init_params: Any, *args: Any, **kwargs: Any) -> LBFGSBState:
        """The state that has evaluated nothing: the first `update` evaluates the start and stays there.

        So a whole run needs one copy of the objective, which is what takes long to compile.
        """
        x, _ = ravel_pytree(init_params)
        shapes = jax.eval_shape(lambda x: self._evaluate(x, args, kwargs), init_params)
        value, grad, aux = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        none, zero, one = jnp.zeros((), jnp.int32), jnp.zeros((), x.dtype), jnp.ones((), x.dtype)
        history = jnp.zeros((self.history_size, x.size), self.history_dtype or x.dtype)
        return LBFGSBState(
            iter_num=none - 1,
            value=value + jnp.inf,
            grad=grad,
            error=zero,
            first_error=zero,
            stop=none + RUNNING,
            stepsize=one,
            at_bound=zero,
            num_fun_eval=none,
            num_updates=none,
            gamma=jnp.asarray(self.first_step, x.dtype),
            scale=one,
            preconditioner=self.preconditioner.init(init_params),
            s_history=history,
            y_history=history,
            aux=aux,
        )

    def update(self, params: Any, state: LBFGSBState, bounds: Any = None, *args: Any, **kwargs: Any) -> base.OptStep:
        """One iteration; where `state.stop` says that the run is over, nothing changes and nothing is evaluated.

        From a blank state: the evaluation of `params`, as iteration 0.
        """
        x, problem, g = self._open(params, state, bounds)

        def step(search: Search) -> Search:
            stepsize, point = self._point(problem, x, search, state)
            value, grad, aux = self._evaluate(problem.unravel(point), args, kwargs)
            return self._record(search, stepsize, point, (value, ravel_pytree(grad)[0], aux))

        search = self._begin(problem, x, g, state)
        search = lax.while_loop(lambda search: self._unfinished(search, state), step, search)
        return self._finish(problem, x, g, search, state)

    def begin(self, params: Any, state: LBFGSBState, bounds: Any = None) -> Search:
        """For who evaluates himself: the search of the next iteration; `ask` where it wants to know, then `tell`."""
        x, problem, g = self._open(params, state, bounds)
        return self._begin(problem, x, g, state)

    def ask(self, params: Any, state: LBFGSBState, search: Search, bounds: Any = None) -> Any:
        """The point whose value the search wants."""
        x, problem, _ = self._open(params, state, bounds)
        return problem.unravel(self._point(problem, x, search, state)[1])

    def tell(
        self, params: Any, state: LBFGSBState, search: Search, evaluated: tuple[Any, Any, Any], bounds: Any = None
    ) -> tuple[Any, LBFGSBState, Search]:
        """What value, gradient and aux of the point asked for lead to: the next iteration, or more of the same search.

        So that many searches, each at its own pace, can share their evaluations.
        """
        x, problem, g = self._open(params, state, bounds)
        stepsize, point = self._point(problem, x, search, state)
        value, grad, aux = evaluated
        search = self._record(search, stepsize, point, (value, ravel_pytree(grad)[0], aux))
        unfinished = self._unfinished(search, state)
        new_params, new_state = self._finish(problem, x, g, search, state)
        params, state = jax.tree.map(partial(jnp.where, unfinished), (params, state), (new_params, new_state))
        begun = self.begin(params, state, bounds)
        return params, state, jax.tree.map(partial(jnp.where, unfinished), search, begun)

    def _open(self, params: Any, state: LBFGSBState, bounds: Any) -> tuple[Array, _Problem, Array]:
        """x, the problem, and the gradient at x, as vectors."""
        x, unravel = ravel_pytree(params)
        return x, _Problem(unravel, *_ravel_bounds(bounds, x)), ravel_pytree(state.grad)[0]

    def _direction(self, problem: _Problem, x: Array, g: Array, state: LBFGSBState) -> Float[Array, " pixels"]:
        """From x to the projected quasi-Newton point, or down the gradient if that is no descent.

        A pair whose free part shows no curvature is passed over.
        """
        lower, upper, m = problem.lower, problem.upper, self.history_size
        free = ~(((x <= lower) & (g > 0)) | ((x >= upper) & (g < 0)))

        def pair(age: Array) -> tuple[Array, Array]:
            row = (state.num_updates - 1 - age) % m
            s, y = (h[row].astype(x.dtype) for h in (state.s_history, state.y_history))
            return s, jnp.where(free, y, 0)

        def newest_first(age: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            q, alpha, rho = carry
            s, y = pair(age)
            sy, yy = _dot(s, y), _dot(y, y)
            useful = (age < state.num_updates) & (sy > CURVATURE * jnp.sqrt(yy))
            rho_k = jnp.where(useful, 1 / sy, 0)
            alpha_k = rho_k * _dot(s, q)
            return q - alpha_k * y, alpha.at[age].set(alpha_k), rho.at[age].set(rho_k)

        def oldest_first(k: Array, r: Array) -> Array:
            age = m - 1 - k
            s, y = pair(age)
            return r + jnp.where(free, s, 0) * (alpha[age] - rho[age] * _dot(y, r))

        none = jnp.zeros(m, x.dtype)
        q, alpha, rho = lax.fori_loop(0, m, newest_first, (jnp.where(free, g, 0), none, none))
        r = jnp.where(free, state.gamma * self._precondition(problem, state.preconditioner, q), 0)
        r = lax.fori_loop(0, m, oldest_first, r)
        direction, steepest = (jnp.clip(x - step, lower, upper) - x for step in (r, state.gamma * g))
        return jnp.where(jnp.isfinite(direction).all() & (_dot(direction, g) < 0), direction, steepest)

    def _precondition(self, problem: _Problem, shape: Any, v: Array) -> Array:
        return ravel_pytree(self.preconditioner.apply(shape, problem.unravel(v)))[0]

    def _begin(self, problem: _Problem, x: Array, g: Array, state: LBFGSBState) -> Search:
        direction = self._direction(problem, x, g / state.scale, state)
        unknown, none = jnp.full_like(state.value, jnp.inf), jnp.zeros((), jnp.int32)
        trial = _Trial(jnp.ones((), x.dtype), x, unknown, g, state.aux, none, jnp.ones((), bool))
        return Search(direction, _dot(g, direction), trial)

    def _unfinished(self, search: Search, state: LBFGSBState) -> Array:
        most = jnp.where(state.num_fun_eval == 0, 1, self.maxls)
        wanting = ~_armijo(search.trial, state.value, search.slope)
        return (state.stop == RUNNING) & wanting & (search.trial.evaluations < most)

    def _point(self, problem: _Problem, x: Array, search: Search, state: LBFGSBState) -> tuple[Array, Array]:
        """The next step and its point: the full step, then ever shorter ones (Nocedal and Wright, algorithm 3.1).

        A value that is not finite shortens by ten; from a blank state the point is x.
        """
        trial, slope = search.trial, search.slope
        # the minimum of the parabola through what is known (eq. 3.58), within [1/10, 1/2] of the last trial
        t = trial.stepsize
        parabola = -slope * t / (2 * (trial.value - state.value - slope * t)) * t
        shorter = jnp.clip(jnp.where(jnp.isfinite(parabola), parabola, 0), t / 10, t / 2)
        t = jnp.where(trial.evaluations == 0, t, shorter)
        point = jnp.clip(x + t * search.direction, problem.lower, problem.upper)  # a rounding may lead out of the box
        return t, jnp.where(state.num_fun_eval == 0, x, point)

    def _record(self, search: Search, stepsize: Array, point: Array, evaluated: tuple[Array, Array, Any]) -> Search:
        value, grad, aux = evaluated
        trial = search.trial
        finite = trial.finite & jnp.isfinite(value)
        return search._replace(trial=_Trial(stepsize, point, value, grad, aux, trial.evaluations + 1, finite))

    def _finish(self, problem: _Problem, x: Array, g: Array, search: Search, state: LBFGSBState) -> base.OptStep:
        trial = search.trial
        lower = _armijo(trial, state.value, search.slope) & jnp.any(trial.x != x)
        accepted = (state.stop == RUNNING) & (lower | (state.num_fun_eval == 0))
        return self._next(problem, x, g, trial, accepted, state)

    def _next(
        self, problem: _Problem, x: Array, g: Array, trial: _Trial, accepted: Array, state: LBFGSBState
    ) -> base.OptStep:
        """The accepted trial and its pair, or the old point without history, or the end."""
        running, unravel, lower, upper = state.stop == RUNNING, problem.unravel, problem.lower, problem.upper
        blank = state.num_fun_eval == 0
        new_x = jnp.where(accepted, trial.x, x)
        new_g = jnp.where(accepted, trial.grad, g)
        error = jnp.where(accepted, _projected_gradient(new_x, new_g, lower, upper), state.error)
        first_error = jnp.where(blank, error, state.first_error)
        size = jnp.sum(jnp.abs(new_g)) / jnp.sum(lower < upper)  # of what can move
        size = jnp.where((size > 0) & jnp.isfinite(size), size, 1)

        s, y = new_x - x, (new_g - g) / state.scale
        length = jnp.linalg.norm(s)
        s, y = s / length, y / length
        sy, yy = _dot(s, y), _dot(y, y)
        useful = accepted & (sy > CURVATURE * jnp.sqrt(yy)) & jnp.isfinite(yy)
        row = state.num_updates % self.history_size
        s_history, y_history = (
            history.at[row].set(jnp.where(useful, new.astype(history.dtype), history[row]))
            for history, new in ((state.s_history, s), (state.y_history, y))
        )

        # Without descent the history goes first; where there was none, the run ends.
        failed = running & ~accepted
        over = failed & (state.num_updates == 0)
        why = jnp.where(trial.finite, LINE_SEARCH, NOT_FINITE)
        stop = jnp.where(over, why, state.stop)
        stop = jnp.where(running & accepted & (error <= self.tol * first_error), CONVERGED, stop)
        stop = jnp.where(blank & ~(jnp.isfinite(trial.value) & jnp.isfinite(error)), NOT_FINITE, stop)
        shape = self.preconditioner.update(state.preconditioner, unravel(s), unravel(y))
        shape = jax.tree.map(partial(jnp.where, useful), shape, state.preconditioner)
        # A full step along which nothing bends tells that the next one may be longer.
        longer = accepted & ~useful & ~blank & (trial.stepsize == 1)
        gamma = sy / _dot(y, self._precondition(problem, shape, y))
        gamma = jnp.where(useful, gamma, jnp.where(longer, 2 * state.gamma, state.gamma))
        fresh = self.preconditioner.init(unravel(x))
        new_state = LBFGSBState(
            iter_num=state.iter_num + running,
            value=jnp.where(accepted, trial.value, state.value),
            grad=unravel(new_g),
            error=error,
            first_error=first_error,
            stop=stop.astype(jnp.int32),
            stepsize=jnp.where(accepted, trial.stepsize, state.stepsize),
            at_bound=jnp.mean((new_x <= lower) | (new_x >= upper), dtype=x.dtype),
            num_fun_eval=state.num_fun_eval + trial.evaluations,
            num_updates=jnp.where(failed, 0, state.num_updates + useful),
            gamma=jnp.where(failed, self.first_step, gamma),
            scale=jnp.where(blank, size, state.scale),
            preconditioner=jax.tree.map(partial(jnp.where, failed), fresh, shape),
            s_history=s_history,
            y_history=y_history,
            aux=jax.tree.map(partial(jnp.where, accepted), trial.aux, state.aux),
        )
        return base.OptStep(unravel(new_x), new_state)

    def _cond_fun(self, inputs: Any) -> Array:
        _, state = inputs[0]
        return state.stop == RUNNING

    def optimality_fun(self, params: Any, bounds: Any, *args: Any, **kwargs: Any) -> Any:
        """`clip(x - gradient) - x`: zero exactly at a stationary point of the bounded problem."""
        x, unravel = ravel_pytree(params)
        lower, upper = _ravel_bounds(bounds, x)
        g = ravel_pytree(self._evaluate(params, args, kwargs)[1])[0]
        return unravel(jnp.clip(x - g, lower, upper) - x)


def _ravel_bounds(bounds: Any, x: Array) -> tuple[Array, Array]:
    if bounds is None:
        return jnp.full_like(x, -jnp.inf), jnp.full_like(x, jnp.inf)
    return ravel_pytree(bounds[0])[0].astype(x.dtype), ravel_pytree(bounds[1])[0].astype(x.dtype)


def _dot(a: Array, b: Array) -> Float[Array, ""]:
    """In full float32: accelerators multiply in less by themselves."""
    return jnp.vdot(a, b, precision=lax.Precision.HIGHEST)


def _projected_gradient(x: Array, g: Array, lower: Array, upper: Array) -> Float[Array, ""]:
    return jnp.linalg.norm(jnp.clip(x - g, lower, upper) - x)


def _armijo(trial: _Trial, value: Array, slope: Array) -> Bool[Array, ""]:
    """Sufficient decrease (Nocedal and Wright, eq. 3.4), with a finite value and gradient."""
    finite = jnp.isfinite(trial.value) & jnp.isfinite(jnp.sum(trial.grad))
    return finite & (slope < 0) & (trial.value <= value + 1e-4 * trial.stepsize * slope)

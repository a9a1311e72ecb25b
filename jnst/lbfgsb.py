"""A bounded L-BFGS for a million pixels, with jaxopt's interface: `init_state`, `update`, `run`, `bounds`.

One iteration: the free set (all but the pixels that sit at a bound and are pushed outwards), the minimum of the
quadratic model over it in closed form (Byrd, Lu, Nocedal, Zhu 1995, section 5.1), its projection onto the box (Morales
and Nocedal 2011), and a step from full length down until Armijo's condition holds. There is no Cauchy point: no sort
over pixels, no walk over breakpoints. Symbols are those of the 1995 paper: S and Y hold the steps and the gradient
differences, `B = theta I - W M W^T`, `W = [Y^T, theta S^T]` (eq. 3.1 to 3.4), Z selects the free pixels.

Nothing has a unit: gradients are divided by the first one's size, pairs by the length of their step. Nothing branches,
so `vmap` pays for one side only; an element that has stopped no longer changes and no longer evaluates.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxopt import base
from jaxtyping import Array, Bool, Float, Int

RUNNING, CONVERGED, LINE_SEARCH, NOT_FINITE = range(4)
BLOCK = 65536  # pixels of the history that are masked at a time: no second copy of it
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
    theta: Float[Array, ""]
    scale: Float[Array, ""]
    """mean absolute gradient at the start: the unit of `theta` and `y_history`"""
    s_history: Float[Array, "m pixels"]
    y_history: Float[Array, "m pixels"]
    aux: Any


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
    """

    fun: Callable
    value_and_grad: bool = False
    has_aux: bool = False
    maxiter: int = 500
    tol: float = 0.0
    history_size: int = 10
    first_step: float = 0.05
    maxls: int = 20
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
        x, _ = ravel_pytree(init_params)
        lower, upper = _ravel_bounds(bounds, x)
        value, grad, aux = self._evaluate(init_params, args, kwargs)
        g = ravel_pytree(grad)[0]
        scale = jnp.mean(jnp.abs(g))
        scale = jnp.where((scale > 0) & jnp.isfinite(scale), scale, 1)
        error = _projected_gradient(x, g, lower, upper)
        none = jnp.zeros((), jnp.int32)
        stop = jnp.where(jnp.isfinite(value) & jnp.isfinite(error), none, NOT_FINITE)
        history = jnp.zeros((self.history_size, x.size), x.dtype)
        return LBFGSBState(
            iter_num=none,
            value=value,
            grad=grad,
            error=error,
            first_error=error,
            stop=jnp.where(error == 0, CONVERGED, stop).astype(jnp.int32),
            stepsize=jnp.ones((), x.dtype),
            at_bound=jnp.mean((x <= lower) | (x >= upper), dtype=x.dtype),
            num_fun_eval=none + 1,
            num_updates=none,
            theta=jnp.asarray(1 / self.first_step, x.dtype),
            scale=scale,
            s_history=history,
            y_history=history,
            aux=aux,
        )

    def update(self, params: Any, state: LBFGSBState, bounds: Any = None, *args: Any, **kwargs: Any) -> base.OptStep:
        """One iteration; where `state.stop` says that the run is over, nothing changes and nothing is evaluated."""
        x, unravel = ravel_pytree(params)
        lower, upper = _ravel_bounds(bounds, x)
        g = ravel_pytree(state.grad)[0]
        running = state.stop == RUNNING

        direction = _direction(x, g / state.scale, lower, upper, state)
        steepest = jnp.clip(x - g / (state.scale * state.theta), lower, upper) - x
        descends = jnp.isfinite(direction).all() & (jnp.vdot(direction, g / state.scale) < 0)
        direction = jnp.where(descends, direction, steepest)

        def evaluate(x: Array) -> tuple[Array, Array, Any]:
            value, grad, aux = self._evaluate(unravel(x), args, kwargs)
            return value, ravel_pytree(grad)[0], aux

        trial = self._line_search(evaluate, x, g, direction, lower, upper, state, running)
        accepted = running & _armijo(trial, state.value, jnp.vdot(g, direction)) & jnp.any(trial.x != x)
        return self._next(x, g, trial, accepted, lower, upper, unravel, state)

    def _line_search(
        self,
        evaluate: Callable[[Array], tuple[Array, Array, Any]],
        x: Array,
        g: Array,
        direction: Array,
        lower: Array,
        upper: Array,
        state: LBFGSBState,
        running: Array,
    ) -> _Trial:
        """From the full step down (Nocedal and Wright, algorithm 3.1); a value that is not finite shortens by ten."""
        slope = jnp.vdot(g, direction)

        def more(trial: _Trial) -> Array:
            unfinished = ~_armijo(trial, state.value, slope)
            return running & unfinished & (trial.evaluations < self.maxls)

        def shorten(trial: _Trial) -> _Trial:
            # the minimum of the parabola through what is known (eq. 3.58), within [1/10, 1/2] of the last trial
            t = trial.stepsize
            parabola = -slope * t / (2 * (trial.value - state.value - slope * t)) * t
            shorter = jnp.clip(jnp.where(jnp.isfinite(parabola), parabola, 0), t / 10, t / 2)
            t = jnp.where(trial.evaluations == 0, t, shorter)
            point = jnp.clip(x + t * direction, lower, upper)  # a rounding may lead out of the box
            value, grad, aux = evaluate(point)
            finite = trial.finite & jnp.isfinite(value)
            return _Trial(t, point, value, grad, aux, trial.evaluations + 1, finite)

        first = jnp.ones((), x.dtype)
        unknown, none = jnp.full_like(state.value, jnp.inf), jnp.zeros((), jnp.int32)
        start = _Trial(first, x, unknown, g, state.aux, none, jnp.ones((), bool))
        return lax.while_loop(more, shorten, start)

    def _next(
        self,
        x: Array,
        g: Array,
        trial: _Trial,
        accepted: Array,
        lower: Array,
        upper: Array,
        unravel: Callable[[Array], Any],
        state: LBFGSBState,
    ) -> base.OptStep:
        """The accepted trial and its pair, or the old point without history, or the end."""
        running = state.stop == RUNNING
        new_x = jnp.where(accepted, trial.x, x)
        new_g = jnp.where(accepted, trial.grad, g)
        error = jnp.where(accepted, _projected_gradient(new_x, new_g, lower, upper), state.error)

        s, y = new_x - x, (new_g - g) / state.scale
        length = jnp.linalg.norm(s)
        s, y = s / length, y / length
        sy, yy = jnp.vdot(s, y), jnp.vdot(y, y)
        useful = accepted & (sy > CURVATURE * jnp.sqrt(yy)) & jnp.isfinite(yy)
        row = state.num_updates % self.history_size
        s_history, y_history = (
            history.at[row].set(jnp.where(useful, new, history[row]))
            for history, new in ((state.s_history, s), (state.y_history, y))
        )

        # Without descent the history goes first; where there was none, the run ends.
        failed = running & ~accepted
        over = failed & (state.num_updates == 0)
        why = jnp.where(trial.finite, LINE_SEARCH, NOT_FINITE)
        stop = jnp.where(over, why, state.stop)
        stop = jnp.where(running & accepted & (error <= self.tol * state.first_error), CONVERGED, stop)
        # A full step along which nothing bends tells that the next one may be longer.
        longer = accepted & ~useful & (trial.stepsize == 1)
        theta = jnp.where(useful, yy / sy, jnp.where(longer, state.theta / 2, state.theta))
        new_state = LBFGSBState(
            iter_num=state.iter_num + running,
            value=jnp.where(accepted, trial.value, state.value),
            grad=unravel(new_g),
            error=error,
            first_error=state.first_error,
            stop=stop.astype(jnp.int32),
            stepsize=jnp.where(accepted, trial.stepsize, state.stepsize),
            at_bound=jnp.mean((new_x <= lower) | (new_x >= upper), dtype=x.dtype),
            num_fun_eval=state.num_fun_eval + trial.evaluations,
            num_updates=jnp.where(failed, 0, state.num_updates + useful),
            theta=jnp.where(failed, 1 / self.first_step, theta),
            scale=state.scale,
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


def _projected_gradient(x: Array, g: Array, lower: Array, upper: Array) -> Float[Array, ""]:
    return jnp.linalg.norm(jnp.clip(x - g, lower, upper) - x)


def _armijo(trial: _Trial, value: Array, slope: Array) -> Bool[Array, ""]:
    """Sufficient decrease (Nocedal and Wright, eq. 3.4), with a finite value and gradient."""
    finite = jnp.isfinite(trial.value) & jnp.isfinite(jnp.sum(trial.grad))
    return finite & (slope < 0) & (trial.value <= value + 1e-4 * trial.stepsize * slope)


def _direction(x: Array, g: Array, lower: Array, upper: Array, state: LBFGSBState) -> Float[Array, " pixels"]:
    """From x to the projected minimum of the model over the free pixels."""
    m, theta = state.s_history.shape[0], state.theta
    free = ~(((x <= lower) & (g > 0)) | ((x >= upper) & (g < 0)))
    r = jnp.where(free, g, 0)
    whole, masked, h_r = _products(state.s_history, state.y_history, free.astype(x.dtype), r)

    # rows by age, the oldest first: L in eq. 3.3 needs the order; rows not yet filled count as a unit matrix
    age = jnp.where(state.num_updates < m, jnp.arange(m), (state.num_updates + jnp.arange(m)) % m)
    order = jnp.concatenate([age, age + m])
    valid = jnp.arange(m) < state.num_updates
    both = jnp.concatenate([valid, valid])
    pick = both[:, None] & both[None, :]
    whole, masked = (jnp.where(pick, a[order][:, order], 0) for a in (whole, masked))
    ss, sy = whole[:m, :m], whole[:m, m:]
    empty = jnp.diag((~valid).astype(x.dtype))
    d, lower_tril = jnp.diag(jnp.diag(sy)) + empty, jnp.tril(sy, -1)
    m_inverse = jnp.block([[-d, lower_tril.T], [lower_tril, theta * ss + empty]])  # eq. 3.4

    # W^T Z Z^T W and W^T Z r, W = [Y^T, theta S^T]
    swap = jnp.concatenate([jnp.arange(m, 2 * m), jnp.arange(m)])
    unit = jnp.concatenate([jnp.ones(m, x.dtype), jnp.full(m, theta)])
    w_w = masked[swap][:, swap] * unit[:, None] * unit[None, :]
    w_r = jnp.where(both, h_r[order], 0)[swap] * unit
    v = jnp.linalg.solve(m_inverse - w_w / theta, w_r)  # (I - M W^T Z Z^T W / theta)^-1 M W^T Z r, section 5.1
    v = jnp.zeros_like(v).at[order].set((v * unit)[swap])
    du = -r / theta - free * (v[:m] @ state.s_history + v[m:] @ state.y_history) / theta**2  # eq. 5.11
    return jnp.clip(x + du, lower, upper) - x


def _products(s: Array, y: Array, free: Array, r: Array) -> tuple[Array, Array, Array]:
    """For H = [S, Y] (2m x pixels): H H^T, H Z Z^T H^T and H r, block by block so that no masked copy of H is made."""
    pixels = s.shape[1]
    block = min(BLOCK, pixels)

    def products(start: Array, size: int) -> tuple[Array, Array, Array]:
        h = jnp.concatenate([lax.dynamic_slice_in_dim(a, start, size, 1) for a in (s, y)])
        z, part = (lax.dynamic_slice_in_dim(a, start, size) for a in (free, r))
        dot = partial(jnp.matmul, precision=lax.Precision.HIGHEST)
        return dot(h, h.T), dot(h * z[None, :], h.T), dot(h, part)

    def add(k: Array, sums: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        return jax.tree.map(jnp.add, sums, products(k * block, block))

    count, rest = divmod(pixels, block)
    start = jax.tree.map(jnp.zeros_like, jax.eval_shape(lambda: products(jnp.int32(0), block)))
    sums = lax.fori_loop(0, count, add, start)
    return jax.tree.map(jnp.add, sums, products(jnp.int32(count * block), rest)) if rest else sums

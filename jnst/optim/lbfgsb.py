# pyright: reportUnknownMemberType=false
"""A bounded L-BFGS for a million pixels, one evaluation a step (`jnst.optim.base.Solver`).

One iteration: the free set (all but the pixels that sit at a bound and are pushed outwards), the quasi-Newton step
within it (Bertsekas 1982, "Projected Newton methods": the other pixels' rows and columns of the inverse Hessian are
zero) by the two-loop recursion over the pairs' free parts (Nocedal and Wright, algorithm 7.4), its projection onto the
box (as Morales and Nocedal 2011 do), and a step from full length down until Armijo's condition holds. There is no
Cauchy point: no sort over pixels, no walk over breakpoints. What stands for the inverse Hessian before any pair, `H0`,
is `gamma` times a preconditioner; with `jnst.optim.preconditioner.Spectral` that is where most of the speed comes from.

Nothing has a unit: gradients are divided by the first one's size, pairs by the length of their step. Nothing branches,
so `vmap` pays for one side only.
"""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jnst.errors import InputError
from jnst.optim import two_loop
from jnst.optim.base import (
    CONVERGED,
    LINE_SEARCH,
    NOT_FINITE,
    RUNNING,
    Bounds,
    dot,
    gradient_scale,
    norm,
    projected_gradient,
    select,
    zeros_of,
)
from jnst.optim.line_search import Search, shorten, start_search, sufficient_decrease
from jnst.optim.preconditioner import Identity, Preconditioner
from jnst.optim.two_loop import History

HISTORY_DTYPES = (None, "float32", "float64", "bfloat16")


class LBFGSBState(NamedTuple):
    """The state of a run (`jnst.optim.base.State`): stop and continue with it as if never stopped.

    `gradient` is the one at x over `scale`; the next trial lies at `clip(x + search.stepsize * direction)`.
    """

    iterations: Int[Array, ""]
    evaluations: Int[Array, ""]
    value: Float[Array, ""]
    aux: Any
    optimality: Float[Array, ""]
    """norm of `x - clip(x - gradient / scale)`, times `scale`: a common factor of the objective is one of it, too"""
    status: Int[Array, ""]
    moved: Bool[Array, ""]
    first_optimality: Float[Array, ""]
    scale: Float[Array, ""]
    """mean absolute gradient at the start: the unit of gradient, 1 / gamma and y"""
    gamma: Float[Array, ""]
    """size of H0"""
    search: Search
    gradient: Float[Array, " n"]
    direction: Float[Array, " n"]
    preconditioner: Any
    history: History


@dataclasses.dataclass(frozen=True)
class LBFGSB:
    """Minimises a smooth function within bounds; a `jnst.optim.base.Solver`.

    Equal settings are equal and hash alike, so that `jit` takes a solver as a static argument. (A `Spectral` with a
    padded transform holds arrays and has no hash: make such a solver inside the compiled function.)

    Attributes:
        history_size: pairs that are remembered, at least 1.
        history_dtype: of the pairs: "float32", "float64", "bfloat16" (half the memory), or None for that of x.
        first_step: mean change of a variable that the first step aims at, before any curvature is known.
        max_line_search: evaluations of one line search, at least 1.
        rtol: the run has converged where `state.optimality` is at most `rtol` times that of the start.
        atol: the run has converged where the largest component of the projected gradient is at most `atol`, which is
            SciPy's `gtol` (`pgtol`).
        preconditioner: the shape of H0; `Spectral` is for arrays of images.

    Raises:
        InputError: a setting is out of its range.
    """

    history_size: int = 10
    history_dtype: str | None = None
    # docs/solver.md: with 0.05 runs on VGG-19 at 128 px ended in worse valleys
    first_step: float = 0.1
    max_line_search: int = 20
    rtol: float = 0.0
    atol: float = 0.0
    preconditioner: Preconditioner = Identity()  # noqa: RUF009 (immutable)

    def __post_init__(self) -> None:
        for field in ("history_size", "max_line_search"):
            if getattr(self, field) < 1:
                raise InputError(f"{field} must be at least 1, got {getattr(self, field)}")
        if self.history_dtype not in HISTORY_DTYPES:
            choices = ", ".join(map(repr, HISTORY_DTYPES))
            raise InputError(f"history_dtype must be one of {choices}, got {self.history_dtype!r}")

    def init(self, x: Float[Array, "..."], aux: Any) -> LBFGSBState:
        """Returns the state of a run from `x` that has evaluated nothing.

        Args:
            x: the start, of any shape.
            aux: what the objective returns beside its value, as arrays or shapes.
        """
        zero, none = jnp.zeros((), x.dtype), jnp.zeros((), jnp.int32)
        flat = jnp.zeros(x.size, x.dtype)
        return LBFGSBState(
            iterations=none - 1,
            evaluations=none,
            value=zero + jnp.inf,
            aux=zeros_of(aux),
            optimality=zero,
            status=none + RUNNING,
            moved=jnp.zeros((), bool),
            first_optimality=zero,
            scale=zero + 1,
            gamma=zero + self.first_step,
            search=start_search(zero),
            gradient=flat,
            direction=flat,
            preconditioner=self.preconditioner.init(x),
            history=two_loop.empty_history(self.history_size, x.size, self.history_dtype or x.dtype),
        )

    def point(self, x: Float[Array, "..."], state: LBFGSBState, bounds: Bounds) -> Float[Array, "..."]:
        """Returns the next trial of the line search; at first x itself.

        Args:
            x: the iterate.
            state: its state.
            bounds: lower and upper, of x's shape or broadcastable to it.

        Returns:
            A point within the bounds, of x's shape.
        """
        return _trial_point(x.ravel(), state, *_flat_bounds(bounds, x)).reshape(x.shape)

    def update(
        self,
        x: Float[Array, "..."],
        state: LBFGSBState,
        bounds: Bounds,
        value: Float[Array, ""],
        gradient: Float[Array, "..."],
        aux: Any,
    ) -> tuple[Float[Array, "..."], LBFGSBState]:
        """Returns x and state that follow from an evaluation: the next iterate, or more of the same line search.

        Args:
            x: the iterate.
            state: its state.
            bounds: lower and upper bounds of x's shape.
            value: the objective at `point(x, state, bounds)`.
            gradient: its gradient there, of x's shape.
            aux: what else it returned there.
        """
        box = _flat_bounds(bounds, x)
        flat, raw = x.ravel(), gradient.ravel()
        starting = (state.evaluations == 0) & (state.status == RUNNING)
        state = state._replace(scale=jnp.where(starting, gradient_scale(raw, *box), state.scale))
        trial = _Trial(_trial_point(flat, state, *box), value.astype(x.dtype), raw / state.scale, aux)
        verdict = _judge(flat, state, trial, self.max_line_search)
        new_x = jnp.where(verdict.accepted, trial.x, flat)
        new = _accept(state, trial, verdict)
        new = self._push_pair(flat, x.shape, state, new, trial, verdict)
        new = self._status(new_x, box, state, new, verdict)
        return new_x.reshape(x.shape), self._aim(new_x, x.shape, box, new, verdict)

    def _push_pair(
        self, x: Array, shape: tuple[int, ...], old: LBFGSBState, new: LBFGSBState, trial: "_Trial", verdict: "_Verdict"
    ) -> LBFGSBState:
        """Learns from the accepted step; where no descent was found, forgets all that was learnt."""
        s, y = trial.x - x, trial.gradient - old.gradient
        length = norm(s)
        s, y = s / length, y / length
        stepped = verdict.accepted & ~verdict.starting
        useful = stepped & two_loop.has_curvature(s, y)
        learnt = self.preconditioner.update(old.preconditioner, s.reshape(shape), y.reshape(shape))
        learnt = select(useful, learnt, old.preconditioner)
        # A full step along which nothing bends tells that the next one may be longer.
        longer = stepped & ~useful & (old.search.stepsize == 1)
        gamma = dot(s, y) / dot(y, self._precondition(learnt, y, shape))
        gamma = jnp.where(useful, gamma, jnp.where(longer, 2 * old.gamma, old.gamma))
        history = two_loop.push_pair(old.history, s, y, useful)
        return new._replace(
            gamma=jnp.where(verdict.failed, self.first_step, gamma),
            preconditioner=select(verdict.failed, self.preconditioner.init(x.reshape(shape)), learnt),
            history=history._replace(stored=jnp.where(verdict.failed, 0, history.stored)),
        )

    def _status(self, x: Array, box: Bounds, old: LBFGSBState, new: LBFGSBState, verdict: "_Verdict") -> LBFGSBState:
        """Measures optimality, and decides whether the run goes on."""
        optimality = new.scale * norm(projected_gradient(x, new.gradient, *box))
        optimality = jnp.where(verdict.accepted, optimality, old.optimality)
        first = jnp.where(verdict.starting, optimality, old.first_optimality)
        largest = jnp.max(jnp.abs(projected_gradient(x, new.scale * new.gradient, *box)))
        converged = verdict.accepted & ((optimality <= self.rtol * first) | (largest <= self.atol))
        status = jnp.where(converged, CONVERGED, old.status)
        # Without descent the history goes first; where there was none, the run ends.
        over = verdict.failed & (old.history.stored == 0)
        status = jnp.where(over, jnp.where(verdict.search.finite, LINE_SEARCH, NOT_FINITE), status)
        bad_start = verdict.starting & ~(jnp.isfinite(new.value) & jnp.isfinite(optimality))
        status = jnp.where(bad_start, NOT_FINITE, status)
        return new._replace(optimality=optimality, first_optimality=first, status=status.astype(jnp.int32))

    def _aim(
        self, x: Array, shape: tuple[int, ...], box: Bounds, state: LBFGSBState, verdict: "_Verdict"
    ) -> LBFGSBState:
        """Starts the next line search where one has ended; else goes on with it."""
        direction = self._direction(x, shape, box, state)
        fresh = start_search(state.scale * dot(state.gradient, direction))
        ended = verdict.accepted | verdict.failed
        search = select(ended, fresh, verdict.search)
        return state._replace(search=search, direction=jnp.where(ended, direction, state.direction))

    def _direction(self, x: Array, shape: tuple[int, ...], box: Bounds, state: LBFGSBState) -> Float[Array, " n"]:
        """From x to the projected quasi-Newton point, or down the gradient if that is no descent."""
        (lower, upper), g = box, state.gradient
        free = ~(((x <= lower) & (g > 0)) | ((x >= upper) & (g < 0)))

        def h0(v: Array) -> Array:
            return state.gamma * self._precondition(state.preconditioner, v, shape)

        newton = two_loop.inverse_hessian_product(state.history, g, free, h0)
        direction, steepest = (jnp.clip(x - step, lower, upper) - x for step in (newton, state.gamma * g))
        return jnp.where(jnp.isfinite(direction).all() & (dot(direction, g) < 0), direction, steepest)

    def _precondition(self, learnt: Any, v: Float[Array, " n"], shape: tuple[int, ...]) -> Float[Array, " n"]:
        return self.preconditioner.precondition(learnt, v.reshape(shape)).ravel()


class _Trial(NamedTuple):
    """An evaluated point."""

    x: Array
    value: Array
    gradient: Array
    """over `scale`"""
    aux: Any


class _Verdict(NamedTuple):
    """What the line search makes of a trial. Where neither holds, it goes on; nothing holds once the run is over."""

    starting: Array
    """it is the start, accepted as it is"""
    accepted: Array
    failed: Array
    search: Search
    """after the trial"""


def _flat_bounds(bounds: Bounds, x: Array) -> Bounds:
    lower, upper = (jnp.broadcast_to(jnp.asarray(bound, x.dtype), x.shape).ravel() for bound in bounds)
    return lower, upper


def _trial_point(x: Array, state: LBFGSBState, lower: Array, upper: Array) -> Array:
    """From a state that has evaluated nothing, whose direction is zero, the start itself."""
    return jnp.clip(x + state.search.stepsize * state.direction, lower, upper)  # a rounding may lead out of the box


def _judge(x: Array, state: LBFGSBState, trial: _Trial, max_line_search: int) -> _Verdict:
    """Accepts the start as it is, and trials that are finite, elsewhere than x and decrease the value enough."""
    running, starting = state.status == RUNNING, state.evaluations == 0
    finite = jnp.isfinite(jnp.sum(trial.gradient))
    decreased = sufficient_decrease(state.search, state.value, trial.value) & finite
    accepted = running & (starting | (decreased & jnp.any(trial.x != x)))
    trial_slope = state.scale * dot(trial.gradient, state.direction)
    after = select(running, shorten(state.search, state.value, trial.value, trial_slope), state.search)
    # a decrease without a step is a rounding of the objective's: a shorter one would find nothing either
    failed = running & ~accepted & (decreased | (after.trials >= max_line_search))
    return _Verdict(running & starting, accepted, failed, after)


def _accept(state: LBFGSBState, trial: _Trial, verdict: _Verdict) -> LBFGSBState:
    """Counts, and takes over what belongs to the new x where the trial is accepted."""
    ended, running = verdict.accepted | verdict.failed, state.status == RUNNING
    value, gradient, aux = select(
        verdict.accepted, (trial.value, trial.gradient, trial.aux), (state.value, state.gradient, state.aux)
    )
    return state._replace(
        iterations=state.iterations + ended, evaluations=state.evaluations + running, value=value, aux=aux,
        gradient=gradient, moved=ended,
    )  # fmt: skip

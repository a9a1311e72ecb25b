# pyright: reportUnknownMemberType=false
"""What every solver has in common: its protocol, why it stops, and the measure of how far it has come.

A solver takes one evaluation of the objective a step (the protocol of optimistix, `init`, `step`, with the evaluation
taken out), so that the caller decides how the objective is computed and problems of one batch share their evaluations:

    state = solver.init(x, aux)                             # evaluates nothing
    while state.status == RUNNING:
        point = solver.point(x, state, bounds)              # the first one is x itself
        value, gradient, aux = objective(point)
        x, state = solver.update(x, state, bounds, value, gradient, aux)

All three are pure: they work under `jit`, `vmap` over problems, `shard_map`, and inside `lax.while_loop`. An element
that has stopped no longer changes.
"""

from enum import IntEnum
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

Bounds = tuple[Array, Array]
"""lower and upper bound, each of x's shape or broadcastable to it"""


class Status(IntEnum):
    """Whether a run goes on, or why it ended."""

    RUNNING = 0
    CONVERGED = 1
    LINE_SEARCH = 2
    """no descent was found, not even down the gradient"""
    NOT_FINITE = 3
    """value or gradient is not finite: at the start, or wherever the search went from x"""


# as plain integers: JAX takes no IntEnum for an array
RUNNING, CONVERGED, LINE_SEARCH, NOT_FINITE = (int(status) for status in Status)
STOP_REASONS: dict[int, str] = {
    RUNNING: "max_iterations", CONVERGED: "converged", LINE_SEARCH: "line_search", NOT_FINITE: "not_finite"
}  # fmt: skip


@runtime_checkable
class State(Protocol):
    """What every solver's state has, beside what is its own. States are NamedTuples of arrays."""

    @property
    def iterations(self) -> Int[Array, ""]:
        """-1 until the start has been evaluated, then 0, and one more for each step taken or history dropped."""
        ...

    @property
    def evaluations(self) -> Int[Array, ""]:
        """Points evaluated so far."""
        ...

    @property
    def value(self) -> Float[Array, ""]:
        """The objective at x; infinite until the start has been evaluated."""
        ...

    @property
    def aux(self) -> Any:
        """What the objective returned at x beside its value; zeros until the start has been evaluated."""
        ...

    @property
    def optimality(self) -> Float[Array, ""]:
        """Norm of the projected gradient at x, in the gradient's unit: 0 exactly where no descent is left."""
        ...

    @property
    def status(self) -> Int[Array, ""]:
        """One of `Status`."""
        ...

    @property
    def moved(self) -> Bool[Array, ""]:
        """Whether the last update ended an iteration (the start's evaluation counts as one)."""
        ...


S = TypeVar("S", bound=State)


@runtime_checkable
class Solver(Protocol[S]):
    """One evaluation a step; see the module's first paragraph."""

    def init(self, x: Array, aux: Any) -> S:
        """Returns the state of a run from `x` that has evaluated nothing.

        Args:
            x: the start, a float array of any shape.
            aux: what the objective returns beside its value, as arrays or `jax.ShapeDtypeStruct`s: only shapes and
                dtypes are read.
        """
        ...

    def point(self, x: Array, state: S, bounds: Bounds) -> Array:
        """Returns where value and gradient are needed next.

        Args:
            x: the iterate.
            state: its state.
            bounds: lower and upper, of x's shape or broadcastable to it.

        Returns:
            A point within the bounds, of x's shape.
        """
        ...

    def update(self, x: Array, state: S, bounds: Bounds, value: Array, gradient: Array, aux: Any) -> tuple[Array, S]:
        """Returns x and the state that follow from the evaluation of `point(x, state, bounds)`.

        Args:
            x: the iterate.
            state: its state.
            bounds: as for `point`.
            value: the objective at the point, a scalar.
            gradient: its gradient there, of x's shape.
            aux: what else it returned there.
        """
        ...


def projected_gradient(x: Array, gradient: Array, lower: Array, upper: Array) -> Array:
    """Computes `x - clip(x - gradient, lower, upper)`, the projected gradient of SciPy's L-BFGS-B.

    By components and without the sum `x - gradient`, in which float32 loses every gradient below 6e-8 times x.

    Args:
        x: a point within the bounds.
        gradient: the objective's gradient there.
        lower: lower bounds, -inf for none.
        upper: upper bounds, inf for none.

    Returns:
        An array of x's shape, zero exactly where x is stationary.
    """
    return jnp.clip(gradient, x - upper, x - lower)


def norm(v: Array) -> Float[Array, ""]:
    """Computes the Euclidean norm, whatever the size of v: no square over- or underflows.

    Args:
        v: of any shape.

    Returns:
        A scalar of v's dtype.
    """
    largest = jnp.max(jnp.abs(v))
    unit = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
    return unit * jnp.sqrt(jnp.sum(jnp.square(v / unit)))


def gradient_scale(gradient: Array, lower: Array, upper: Array) -> Float[Array, ""]:
    """Computes the mean absolute gradient of the variables that the bounds leave room; 1 where that is 0 or infinite.

    Gradients divided by the one at the start have no unit, so that a common factor of the objective changes nothing.

    Args:
        gradient: of any shape.
        lower: bounds of that shape.
        upper: the same.

    Returns:
        A scalar above 0.
    """
    movable = lower < upper
    size = jnp.sum(jnp.where(movable, jnp.abs(gradient), 0)) / jnp.maximum(jnp.sum(movable), 1)
    return jnp.where((size > 0) & jnp.isfinite(size), size, 1).astype(gradient.dtype)


def zeros_of(shapes: Any) -> Any:
    """Returns zeros of these arrays' shapes and dtypes.

    Args:
        shapes: a pytree of arrays or `jax.ShapeDtypeStruct`s.
    """

    def zeros(a: Any) -> Array:
        return jnp.zeros(jnp.shape(a), a.dtype)

    return jax.tree.map(zeros, shapes)


def select(condition: Bool[Array, ""], chosen: Any, otherwise: Any) -> Any:
    """Returns one of two pytrees, as `jnp.where` does for arrays.

    Args:
        condition: whether it is `chosen`.
        chosen: a pytree of arrays.
        otherwise: one of the same structure and shapes, whose dtypes the result has.
    """

    def where(a: Any, b: Any) -> Array:
        return jnp.where(condition, jnp.asarray(a, b.dtype), b)

    return jax.tree.map(where, chosen, otherwise)


dot = partial(jnp.vdot, precision=lax.Precision.HIGHEST)  # accelerators multiply in less than float32 by themselves

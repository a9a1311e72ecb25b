# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportMissingTypeStubs=false
"""Any optax transformation as a solver within bounds: projected onto the box after each step.

Every step is taken, whether it descends or not; the point evaluated is the next iterate itself.
"""

import dataclasses
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from jnst.optim.base import (
    CONVERGED,
    NOT_FINITE,
    RUNNING,
    Bounds,
    gradient_scale,
    norm,
    projected_gradient,
    select,
    zeros_of,
)


class ProjectedState(NamedTuple):
    """The state of a run (`jnst.optim.base.State`)."""

    iterations: Int[Array, ""]
    evaluations: Int[Array, ""]
    value: Float[Array, ""]
    aux: Any
    optimality: Float[Array, ""]
    status: Int[Array, ""]
    moved: Bool[Array, ""]
    scale: Float[Array, ""]
    """mean absolute gradient at the start"""
    next_point: Float[Array, "..."]
    transformation: Any
    """the state of the optax transformation"""


@dataclasses.dataclass(frozen=True)
class Projected:
    """A gradient transformation of optax, projected onto the box; a `jnst.optim.base.Solver`.

    The run ends as converged where no descent inside the box is left, and as not finite where the value or the
    gradient is not.

    Attributes:
        transformation: any `optax.GradientTransformation`; those that take the value (`value=`) get it. Not one
            that evaluates the objective by itself (line searches).
    """

    transformation: optax.GradientTransformation

    def init(self, x: Float[Array, "..."], aux: Any) -> ProjectedState:
        """Returns the state of a run from `x` that has evaluated nothing.

        Args:
            x: the start, of any shape.
            aux: what the objective returns beside its value, as arrays or shapes.
        """
        zero, none = jnp.zeros((), x.dtype), jnp.zeros((), jnp.int32)
        return ProjectedState(
            iterations=none - 1,
            evaluations=none,
            value=zero + jnp.inf,
            aux=zeros_of(aux),
            optimality=zero,
            status=none + RUNNING,
            moved=jnp.zeros((), bool),
            scale=zero + 1,
            next_point=x,
            transformation=jax.tree.map(jnp.asarray, self.transformation.init(x)),
        )

    def point(self, x: Float[Array, "..."], state: ProjectedState, bounds: Bounds) -> Float[Array, "..."]:
        """Returns the next iterate; at first x itself.

        Args:
            x: the iterate.
            state: its state.
            bounds: lower and upper, of x's shape or broadcastable to it.

        Returns:
            A point within the bounds, of x's shape.
        """
        return jnp.clip(state.next_point, *(jnp.broadcast_to(bound, x.shape) for bound in bounds))

    def update(
        self,
        x: Float[Array, "..."],
        state: ProjectedState,
        bounds: Bounds,
        value: Float[Array, ""],
        gradient: Float[Array, "..."],
        aux: Any,
    ) -> tuple[Float[Array, "..."], ProjectedState]:
        """Returns the evaluated point as x, and the state that knows the step from there.

        Args:
            x: the iterate.
            state: its state.
            bounds: lower and upper bounds of x's shape.
            value: the objective at `point(x, state, bounds)`.
            gradient: its gradient there, of x's shape.
            aux: what else it returned there.
        """
        box = lower, upper = tuple(jnp.broadcast_to(jnp.asarray(bound, x.dtype), x.shape) for bound in bounds)
        new_x = self.point(x, state, bounds)
        transformation = optax.with_extra_args_support(self.transformation)
        step, inner = transformation.update(gradient, state.transformation, new_x, value=value, grad=gradient)
        scale = jnp.where(state.evaluations == 0, gradient_scale(gradient, *box), state.scale)
        optimality = scale * norm(projected_gradient(new_x, gradient / scale, lower, upper))
        status = jnp.where(optimality == 0, CONVERGED, RUNNING)
        status = jnp.where(jnp.isfinite(value) & jnp.isfinite(optimality), status, NOT_FINITE)
        new_state = ProjectedState(
            iterations=state.iterations + 1,
            evaluations=state.evaluations + 1,
            value=value,
            aux=aux,
            optimality=optimality,
            status=status,
            moved=jnp.ones((), bool),
            scale=scale,
            next_point=jnp.clip(new_x + jnp.asarray(step), *box),
            transformation=inner,
        )
        stopped = state._replace(moved=jnp.zeros((), bool))
        return select(state.status == RUNNING, (new_x, new_state), (x, stopped))


@cache  # optax's transformations are closures, equal only to themselves: the same rate is the same solver for `jit`
def adam(learning_rate: float) -> Projected:
    """Returns Adam (Kingma and Ba 2015, algorithm 1), projected onto the box after every step.

    Args:
        learning_rate: change of a variable in one step, about.
    """
    return Projected(optax.adam(learning_rate))

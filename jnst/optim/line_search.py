# pyright: reportUnknownMemberType=false
"""A backtracking line search, one trial at a time: from full length down until Armijo's condition holds.

Values and slope have one unit, whichever it is.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

ARMIJO = 1e-4  # c_1 of Nocedal and Wright, eq. 3.4


class Search(NamedTuple):
    """A line search under way."""

    stepsize: Float[Array, ""]
    """of the next trial, in lengths of the direction"""
    slope: Float[Array, ""]
    """directional derivative at x"""
    trials: Int[Array, ""]
    """points evaluated so far"""
    finite: Bool[Array, ""]
    """whether the values of all of them were finite"""


def start_search(slope: Float[Array, ""]) -> Search:
    """Returns the search whose first trial is the full step.

    Args:
        slope: directional derivative at x, in the value's unit; below 0 along a direction of descent.
    """
    return Search(jnp.ones_like(slope), slope, jnp.zeros((), jnp.int32), jnp.ones((), bool))


def sufficient_decrease(search: Search, value: Float[Array, ""], trial_value: Float[Array, ""]) -> Bool[Array, ""]:
    """Decides Armijo's condition (Nocedal and Wright, eq. 3.4) for the trial at `search.stepsize`.

    Not of the values' difference: as it stands the least decrease asked for vanishes in a rounding of `value`, so that
    near the minimum, where float32 sees no decrease any more, steps of equal value are still taken.

    Args:
        search: the search, along a direction of descent.
        value: the objective at x.
        trial_value: and at the trial.

    Returns:
        Whether the trial is accepted; never where its value is not finite.
    """
    enough = trial_value <= value + ARMIJO * search.stepsize * search.slope
    return (search.slope < 0) & jnp.isfinite(trial_value) & enough


def shorten(search: Search, value: Float[Array, ""], trial_value: Float[Array, ""]) -> Search:
    """Returns the search after a rejected trial: the next step is a tenth to a half of that one.

    Between them the minimum of the parabola through the value and slope at x and the trial's value (Nocedal and
    Wright, eq. 3.58). A value that is not finite shortens by ten.

    Args:
        search: the search with the rejected step.
        value: the objective at x.
        trial_value: and at the trial.
    """
    t, slope = search.stepsize, search.slope
    minimum = -slope * t / (2 * (trial_value - value - slope * t)) * t
    stepsize = jnp.clip(jnp.where(jnp.isfinite(minimum), minimum, 0), t / 10, t / 2)
    return Search(stepsize, slope, search.trials + 1, search.finite & jnp.isfinite(trial_value))

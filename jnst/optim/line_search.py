# pyright: reportUnknownMemberType=false
"""A backtracking line search, one trial at a time: from full length down until Armijo's condition holds.

Values and slope have one unit, whichever it is.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

ARMIJO = 1e-4  # c_1 of Nocedal and Wright, eq. 3.4
CAREFUL_TRIALS = 5


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


def shorten(
    search: Search, value: Float[Array, ""], trial_value: Float[Array, ""], trial_slope: Float[Array, ""]
) -> Search:
    """Returns the search after a rejected trial: the next step is a tenth to nine tenths of that one.

    Between them the minimum of the cubic through values and slopes at x and at the trial (Nocedal and Wright, eq.
    3.59); where it has none, that of the parabola without the trial's slope (eq. 3.58). A value that is not finite
    shortens by ten. After `CAREFUL_TRIALS` no step is longer than half the last one.

    Args:
        search: the search with the rejected step.
        value: the objective at x.
        trial_value: and at the trial.
        trial_slope: its directional derivative at the trial, in the unit of `search.slope`.
    """
    t, slope = search.stepsize, search.slope
    ratio = trial_slope / slope  # d_1 and d_2 of the book over `slope`: their squares would underflow in small units
    d1 = 1 + ratio + 3 * (value - trial_value) / (t * slope)
    d2 = -jnp.sqrt(d1 * d1 - ratio)
    cubic = t - t * (ratio + d2 - d1) / (ratio - 1 + 2 * d2)
    parabola = -slope * t / (2 * (trial_value - value - slope * t)) * t
    minimum = jnp.where(jnp.isfinite(cubic), cubic, parabola)
    longest = jnp.where(search.trials < CAREFUL_TRIALS, 0.9 * t, t / 2)
    stepsize = jnp.clip(jnp.where(jnp.isfinite(minimum), minimum, 0), t / 10, longest)
    return Search(stepsize, slope, search.trials + 1, search.finite & jnp.isfinite(trial_value))

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""The inverse Hessian of L-BFGS as a function: pairs of steps and gradient differences, and their two-loop recursion.

Vectors are flat. Each pair (s, y) is divided by the length of its step, so that |s| = 1 and |y| is a curvature.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jnst.optim.base import dot

MIN_COSINE = 1e-6  # pairs with s.y below so many |s||y| hold nothing but rounding (a test without a unit)


class History(NamedTuple):
    """The latest pairs, in a ring: pair k lies in row k modulo the number of rows."""

    s: Float[Array, "m n"]
    y: Float[Array, "m n"]
    stored: Int[Array, ""]
    """pairs stored since the history was last dropped"""


def empty_history(size: int, n: int, dtype: Any) -> History:
    """Returns a history without any pair.

    Args:
        size: pairs that it can hold, at least 1.
        n: length of the vectors.
        dtype: of the stored pairs.
    """
    rows = jnp.zeros((size, n), dtype)
    return History(rows, rows, jnp.zeros((), jnp.int32))


def has_curvature(s: Float[Array, " n"], y: Float[Array, " n"]) -> Bool[Array, ""]:
    """Decides whether a pair says anything about the Hessian.

    Args:
        s: a step of length 1.
        y: the gradient's difference along it, or the free part of it.

    Returns:
        Whether s.y is more than rounding.
    """
    yy = dot(y, y)
    return (dot(s, y) > MIN_COSINE * jnp.sqrt(yy)) & jnp.isfinite(yy)


def push_pair(history: History, s: Float[Array, " n"], y: Float[Array, " n"], useful: Bool[Array, ""]) -> History:
    """Stores a pair in place of the oldest one.

    Args:
        history: so far.
        s: a step of length 1.
        y: the gradient's difference along it.
        useful: whether it is stored at all.

    Returns:
        The history with the pair, or as it was.
    """
    row = history.stored % len(history.s)
    s_rows, y_rows = (
        rows.at[row].set(jnp.where(useful, new.astype(rows.dtype), rows[row]))
        for rows, new in ((history.s, s), (history.y, y))
    )
    return History(s_rows, y_rows, history.stored + useful)


def inverse_hessian_product(
    history: History,
    gradient: Float[Array, " n"],
    free: Bool[Array, " n"],
    h0: Callable[[Float[Array, " n"]], Float[Array, " n"]],
) -> Float[Array, " n"]:
    """Multiplies the inverse Hessian of the free variables with the gradient (Nocedal and Wright, algorithm 7.4).

    Taken over the free parts of the pairs; a pair whose free part shows no curvature is passed over. The rows and
    columns of the other variables are zero (Bertsekas 1982, "Projected Newton methods").

    Args:
        history: the pairs.
        gradient: the vector.
        free: which variables may move.
        h0: the inverse Hessian before any pair, a linear, symmetric and positive definite map.

    Returns:
        H g, zero where `free` is not.
    """
    m, dtype = len(history.s), gradient.dtype

    def pair(age: Array) -> tuple[Array, Array]:
        row = (history.stored - 1 - age) % m
        s, y = (rows[row].astype(dtype) for rows in (history.s, history.y))
        return s, jnp.where(free, y, 0)

    def newest_first(age: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        q, alpha, rho = carry
        s, y = pair(age)
        useful = (age < history.stored) & has_curvature(s, y)
        rho_k = jnp.where(useful, 1 / dot(s, y), 0)
        alpha_k = rho_k * dot(s, q)
        return q - alpha_k * y, alpha.at[age].set(alpha_k), rho.at[age].set(rho_k)

    def oldest_first(k: Array, r: Array) -> Array:
        age = m - 1 - k
        s, y = pair(age)
        return r + jnp.where(free, s, 0) * (alpha[age] - rho[age] * dot(y, r))

    none = jnp.zeros(m, dtype)
    q, alpha, rho = lax.fori_loop(0, m, newest_first, (jnp.where(free, gradient, 0), none, none))
    return lax.fori_loop(0, m, oldest_first, jnp.where(free, h0(q), 0))

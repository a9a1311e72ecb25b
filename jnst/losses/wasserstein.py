# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The 2-Wasserstein distance of two layers' features taken as Gaussians, from their means and covariances.

`W2^2 = |mu - mu'|^2 + tr C + tr C' - 2 tr (C C')^{1/2}` (Dowson and Landau 1982): each direction of the feature space
counts by its own spread, where a difference of Gram matrices counts the strongest ones alone. The root is found by
products of matrices only (Newton and Schulz; Higham, "Functions of Matrices", 2008, section 6.3), which every device
does fast.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jnst.losses.comparisons import above_zero

STEPS = 16  # of Newton and Schulz: spreads above 1.5^-16, 0.15 %, of the largest are found
FLOOR = 1e-3  # of the target's mean variance, added to all variances: maps have fewer positions than filters

_matmul = partial(jnp.matmul, precision=lax.Precision.HIGHEST)


def gaussian_distance(result: dict[str, Array], target: dict[str, Array]) -> Float[Array, " n"]:
    """Computes W2^2 of the Gaussians that have these moments.

    Args:
        result: "mean" (n, c) and "covariance" (n, c, c) of the result.
        target: of the target.

    Returns:
        The distance of each image, in the unit of a squared feature; at equal moments 0 but for the spreads that
        `STEPS` leaves out, some 0.1 % of tr C.
    """
    a, b = result["covariance"], target["covariance"]
    eye = jnp.eye(a.shape[-1], dtype=a.dtype)[None]
    variance = jnp.trace(b, axis1=-2, axis2=-1)
    floor = jnp.where(variance > 0, FLOOR * variance / a.shape[-1], 1e-6)[:, None, None] * eye
    a, b = a + floor, b + floor
    traces = jnp.trace(a, axis1=-2, axis2=-1) + jnp.trace(b, axis1=-2, axis2=-1)
    return jnp.sum(jnp.square(result["mean"] - target["mean"]), -1) + traces - 2 * trace_of_root(a, b)


def energy(moments: dict[str, Array]) -> Float[Array, " n"]:
    """Sums the mean squares of all filters, `|mu|^2 + tr C`: the distance to features that are 0.

    Args:
        moments: "mean" (n, c) and "covariance" (n, c, c).

    Returns:
        The energy of each image.
    """
    return jnp.sum(jnp.square(moments["mean"]), -1) + jnp.trace(moments["covariance"], axis1=-2, axis2=-1)


def relative_distance(result: dict[str, Array], target: dict[str, Array]) -> Float[Array, " n"]:
    """Divides W2^2 by the target's energy, so that the loss has no unit.

    Args:
        result: as in `gaussian_distance`.
        target: as in `gaussian_distance`.

    Returns:
        The relative distance of each image.
    """
    unit = energy(target)
    return gaussian_distance(result, target) / above_zero(unit)


def mean_distance(result: dict[str, Array], target: dict[str, Array]) -> Float[Array, " n"]:
    """Divides W2^2 by the number of filters.

    Args:
        result: as in `gaussian_distance`.
        target: as in `gaussian_distance`.

    Returns:
        The distance of each image, per filter.
    """
    return gaussian_distance(result, target) / target["mean"].shape[-1]


@jax.custom_vjp
def trace_of_root(a: Float[Array, "n c c"], b: Float[Array, "n c c"]) -> Float[Array, " n"]:
    """Computes tr (a b)^{1/2} of symmetric positive definite matrices.

    Args:
        a: of each image.
        b: of each image.

    Returns:
        The traces; their derivatives are `b (a b)^{-1/2} / 2` in a and `(a b)^{-1/2} a / 2` in b.
    """
    return _trace_forward(a, b)[0]


def _trace_forward(a: Array, b: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    root, inverse = _root(_matmul(a, b))
    return jnp.trace(root, axis1=-2, axis2=-1), (a, b, inverse)


def _trace_backward(saved: tuple[Array, Array, Array], cotangent: Array) -> tuple[Array, Array]:
    a, b, inverse = saved
    factor = 0.25 * cotangent[:, None, None]
    in_a, in_b = _matmul(b, inverse), _matmul(inverse, a)
    return factor * (in_a + in_a.swapaxes(-1, -2)), factor * (in_b + in_b.swapaxes(-1, -2))


trace_of_root.defvjp(_trace_forward, _trace_backward)


def _root(product: Array) -> tuple[Array, Array]:
    """The square root of matrices with positive eigenvalues, and its inverse."""
    norm = jnp.sqrt(jnp.sum(jnp.square(product), (-2, -1), keepdims=True))
    eye = jnp.broadcast_to(jnp.eye(product.shape[-1], dtype=product.dtype), product.shape)

    def step(_: Any, pair: tuple[Array, Array]) -> tuple[Array, Array]:
        root, inverse = pair
        half = 1.5 * eye - 0.5 * _matmul(inverse, root)
        return _matmul(root, half), _matmul(half, inverse)

    root, inverse = lax.fori_loop(0, STEPS, step, (product / norm, eye))
    return root * jnp.sqrt(norm), inverse / jnp.sqrt(norm)

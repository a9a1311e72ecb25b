# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
"""How far the statistics of the result are from those of its target: pytrees with a leading axis n in, losses (n,) out.

`relative` and `mse` compare any statistics, `content_sum` and `gram_sum` are equations 1 and 3 as written. The numbers
of the equations are those of docs/method.md (Gatys et al., CVPR 2016, in the notation of the 2017 study).
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def squared_error(result: Any, target: Any) -> Float[Array, " n"]:
    """Sums the squared differences over all of an image's statistics.

    Args:
        result: statistics of the result, a pytree of arrays with a leading axis n.
        target: of the target, of the same structure and shapes.

    Returns:
        `|S - T|^2` of each image.
    """
    return sum_of_squares(jax.tree.map(jnp.subtract, result, target))


def sum_of_squares(statistics: Any) -> Float[Array, " n"]:
    """Sums the squares of all of an image's statistics.

    Args:
        statistics: a pytree of arrays with a leading axis n.

    Returns:
        `|S|^2` of each image.
    """
    parts = [jnp.sum(jnp.square(leaf), tuple(range(1, leaf.ndim))) for leaf in jax.tree.leaves(statistics)]
    return sum(parts[1:], parts[0])


def relative(result: Any, target: Any) -> Float[Array, " n"]:
    """Divides the squared error by the target's own squared norm, so that the loss has no unit.

    Args:
        result: as in `squared_error`.
        target: as in `squared_error`.

    Returns:
        `|S - T|^2 / |T|^2` of each image; a target that is 0 everywhere is matched by 0 alone.
    """
    norm = sum_of_squares(target)
    return squared_error(result, target) / above_zero(norm)


def above_zero(unit: Float[Array, " n"]) -> Float[Array, " n"]:
    """Makes a unit one that can be divided by: 0 becomes the smallest normal number of its type.

    Args:
        unit: of each image, at least 0.

    Returns:
        The same, above 0.
    """
    return jnp.maximum(unit, jnp.finfo(unit.dtype).tiny)


def mse(result: Any, target: Any) -> Float[Array, " n"]:
    """Averages the squared differences over all of an image's statistics.

    Args:
        result: as in `squared_error`.
        target: as in `squared_error`.

    Returns:
        `mean (S - T)^2` of each image.
    """
    size = sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(result))
    return squared_error(result, target) / size


def content_sum(result: Any, target: Any) -> Float[Array, " n"]:
    """Computes the content loss of a layer as written: `1/2 sum_ij (F_ij - P_ij)^2` (eq. 1).

    Args:
        result: maps F (n, h, w, c).
        target: maps P of the same shape.

    Returns:
        The loss of each image.
    """
    return 0.5 * squared_error(result, target)


def gram_sum(result: Any, target: Any) -> Float[Array, " n"]:
    """Computes the style loss of a layer as written: `1/(4 N^2) sum_ij (G_ij/M - A_ij/M')^2`.

    Exactly eq. 3 where the sizes M and M' of the result's map and of the style's are equal.

    Args:
        result: mean Gram matrices G / M (n, c, c).
        target: mean Gram matrices A / M' (n, c, c).

    Returns:
        E_l of each image.
    """
    return squared_error(result, target) / (4 * result.shape[-1] ** 2)

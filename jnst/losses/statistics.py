# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""What the losses see of an image: statistics of its feature maps, or of its pixels.

Maps are float, (n, h, w, c), one an image. Equation numbers are those of docs/method.md: Gatys, Ecker, Bethge, "Image
Style Transfer Using Convolutional Neural Networks", CVPR 2016, in the notation of the 2017 reimplementation study. F
and P are the maps of the result and of the content as (M positions) x (N filters) matrices, G and A the Gram matrices
of the result and of the style.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Shaped

from jnst.network.architecture import Tileable

STRIP_ELEMENTS = 2**19  # of a map, at a time, on the CPU


def gram(f: Float[Array, "*n h w c"]) -> Float[Array, "*n c c"]:
    """Computes the Gram matrix `G_ij = sum_k F_ki F_kj` (eq. 2).

    Args:
        f: maps, with any leading axes.

    Returns:
        One symmetric, positive semidefinite matrix a map.
    """
    return _gram(f.reshape(*f.shape[:-3], -1, f.shape[-1]))


_matmul = partial(jnp.matmul, precision=lax.Precision.HIGHEST)


@jax.custom_vjp
def _gram(f: Array) -> Array:
    """`gram` of a matrix (M, N)."""
    return lax.platform_dependent(f, cpu=_gram_by_strips, default=_plain_gram)


def _plain_gram(f: Array) -> Array:
    return _matmul(f.swapaxes(-1, -2), f)


def _gram_by_strips(f: Array) -> Array:
    """Accumulates the Gram matrix over strips of positions.

    XLA:CPU writes the transposed factor of the product to memory; strips keep that copy small.
    """
    rows = min(f.shape[-2], max(1, STRIP_ELEMENTS // f.shape[-1]))
    count = f.shape[-2] // rows

    def add(k: Array, total: Array) -> Array:
        return total + _plain_gram(lax.dynamic_slice_in_dim(f, k * rows, rows, -2))

    return lax.fori_loop(0, count, add, _plain_gram(f[..., count * rows :, :]))


def _gram_forward(f: Array) -> tuple[Array, Array]:
    return _gram(f), f


def _gram_backward(f: Array, g: Array) -> tuple[Array]:
    return (_matmul(f, g + g.swapaxes(-1, -2)),)


_gram.defvjp(_gram_forward, _gram_backward)


def mean_gram(f: Float[Array, "*n h w c"]) -> Float[Array, "*n c c"]:
    """Computes the Gram matrix divided by its number of positions M, so that images of any size can be compared.

    Args:
        f: maps, with any leading axes.

    Returns:
        G / M of each map.
    """
    return gram(f) / (f.shape[-3] * f.shape[-2])


def smooth_absolute(difference: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Computes the absolute value, rounded off below a 255th so that it has a slope.

    Args:
        difference: any numbers.

    Returns:
        `sqrt(d^2 + e^2) - e`, e = 1/255.
    """
    return jnp.sqrt(jnp.square(difference) + 255.0**-2) - 1 / 255


def total_variation(
    x: Float[Array, "*n h w c"],
    *,
    weights: Shaped[Array, "*n h w 1"] | None = None,
    measure: Callable[[Array], Array] = jnp.square,
    tileable: Tileable = "no",
) -> Float[Array, "*n"]:
    """Averages what neighbouring pixels differ by, horizontal plus vertical: squares, or what `measure` says.

    Args:
        x: images.
        weights: of each pixel, at least 0 (or boolean); a difference has the product of its two pixels' weights.
        measure: of each difference: `jnp.square`, which smooths edges away first, or `smooth_absolute` (Rudin, Osher,
            Fatemi 1992; along the axes), which keeps them and flattens what lies between.
        tileable: along which axes the first and the last pixels are neighbours, too.

    Returns:
        0 for a flat image, at most 2 for pixels in [0, 1].
    """
    below, right = _with_first(x, -3, "y" in tileable), _with_first(x, -2, "x" in tileable)
    vertical = below[..., 1:, :, :] - below[..., :-1, :, :]
    horizontal = right[..., :, 1:, :] - right[..., :, :-1, :]
    if weights is None:
        return jnp.mean(measure(vertical), (-3, -2, -1)) + jnp.mean(measure(horizontal), (-3, -2, -1))
    w = weights.astype(x.dtype)
    below, right = _with_first(w, -3, "y" in tileable), _with_first(w, -2, "x" in tileable)
    pairs = below[..., 1:, :, :] * below[..., :-1, :, :], right[..., :, 1:, :] * right[..., :, :-1, :]
    return _weighted_mean(measure(vertical), pairs[0]) + _weighted_mean(measure(horizontal), pairs[1])


def _with_first(x: Array, axis: int, wrap: bool) -> Array:
    """The array with its first row or column once more after its last one."""
    return jnp.concatenate([x, lax.slice_in_dim(x, 0, 1, axis=axis)], axis) if wrap else x


def _weighted_mean(difference: Array, weights: Array) -> Array:
    total = jnp.sum(weights, (-3, -2, -1)) * difference.shape[-1]
    # rows of one pixel, or a mask that is empty, have no difference
    return jnp.sum(weights * difference, (-3, -2, -1)) / jnp.where(total > 0, total, 1)

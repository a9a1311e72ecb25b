"""The losses of the method: feature maps in, scalars out.

Maps are float, NHWC or with any other leading axes (written `*n`), which the results keep: each image has its own loss.
Equation numbers are those of docs/method.md: Gatys, Ecker, Bethge, "Image Style Transfer Using Convolutional Neural
Networks", CVPR 2016, in the notation of the 2017 reimplementation study. F and P are the maps of the result and of the
content as (M positions) x (N filters) matrices, G and A the Gram matrices of the result and of the style.
"""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

Form = Literal["relative", "mse", "sum"]
STRIP_ELEMENTS = 2**19  # of a map, at a time, on the CPU


def gram(f: Float[Array, "*n h w c"]) -> Float[Array, "*n c c"]:
    """Gram matrix `G_ij = sum_k F_ki F_kj` (eq. 2)."""
    return _gram(f.reshape(*f.shape[:-3], -1, f.shape[-1]))


_matmul = partial(jnp.matmul, precision=lax.Precision.HIGHEST)


@jax.custom_vjp
def _gram(f: Array) -> Array:
    """`gram` of a matrix (M, N)."""
    return lax.platform_dependent(f, cpu=_gram_by_strips, default=_plain_gram)


def _plain_gram(f: Array) -> Array:
    return _matmul(f.swapaxes(-1, -2), f)


def _gram_by_strips(f: Array) -> Array:
    """`_plain_gram` a few positions at a time: XLA:CPU writes the transposed factor down, here not of the whole map."""
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
    """Gram matrix divided by its number of positions M, so that images of different sizes can be compared."""
    return gram(f) / (f.shape[-3] * f.shape[-2])


def content_loss(f: Float[Array, "*n h w c"], p: Float[Array, "*n h w c"], *, form: Form) -> Float[Array, "*n"]:
    """Content loss of one layer.

    sum: `1/2 sum_ij (F_ij - P_ij)^2` (eq. 1); mse: `mean_ij (F_ij - P_ij)^2`; relative: `|F - P|^2 / |P|^2`.
    """
    return _squared_error(f, p, axes=(-3, -2, -1), form=form, factor=0.5)


def style_loss(g: Float[Array, "*n c c"], a: Float[Array, "*n c c"], *, form: Form) -> Float[Array, "*n"]:
    """Style loss `E_l` of one layer, from `mean_gram` of the result and of the style.

    sum: `1/(4 N^2) sum_ij (G_ij/M - A_ij/M')^2` (eq. 3, exactly so where the sizes M and M' are equal);
    mse: `mean_ij (G_ij/M - A_ij/M')^2`; relative: `|G/M - A/M'|^2 / |A/M'|^2`.
    """
    return _squared_error(g, a, axes=(-2, -1), form=form, factor=1 / (4 * g.shape[-1] ** 2))


def _squared_error(x: Array, target: Array, *, axes: tuple[int, ...], form: Form, factor: float) -> Array:
    error = jnp.square(x - target)
    if form == "sum":
        return factor * jnp.sum(error, axes)
    if form == "mse":
        return jnp.mean(error, axes)
    norm = jnp.sum(jnp.square(target), axes)  # 0 only for a map that is off everywhere: then nothing is to be matched
    return jnp.sum(error, axes) / jnp.maximum(norm, jnp.finfo(norm.dtype).tiny)


def total_variation(x: Float[Array, "*n h w c"], inside: Bool[Array, "*n h w 1"] | None = None) -> Float[Array, "*n"]:
    """Mean squared difference of neighbouring pixels, horizontal plus vertical (0 for a flat image, at most 2).

    `inside`: where x is image; all of it by default.
    """
    where = (None, None) if inside is None else (inside[..., 1:, :, :], inside[..., :, 1:, :])
    vertical = jnp.mean(jnp.square(x[..., 1:, :, :] - x[..., :-1, :, :]), (-3, -2, -1), where=where[0])
    horizontal = jnp.mean(jnp.square(x[..., :, 1:, :] - x[..., :, :-1, :]), (-3, -2, -1), where=where[1])
    return vertical + horizontal

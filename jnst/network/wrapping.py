"""Maps that go on at their opposite edge, as wallpaper does, instead of being padded with zeros."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jnst.network.architecture import Tileable, wrapped_axes


def convolve_wrapped(
    convolve: Callable[[Array], Array], x: Float[Array, "n h w i"], *, tileable: Tileable
) -> Float[Array, "n h w o"]:
    """Convolves with a 3x3 kernel, with the opposite edge in place of zeros along the axes that wrap.

    The zeros of `convolve` reach the outer ring of positions only, which is cut off; so the rules of its own derivative
    stay, and the whole is exact in both directions.

    Args:
        convolve: from maps (n, h, w, i) to (n, h, w, o), zero padding.
        x: maps.
        tileable: which axes wrap.

    Returns:
        Maps of the same height and width.
    """
    axes = wrapped_axes(tileable)
    for axis in axes:
        size = x.shape[axis]
        first, last = lax.slice_in_dim(x, 0, 1, axis=axis), lax.slice_in_dim(x, size - 1, size, axis=axis)
        x = jnp.concatenate([last, x, first], axis)
    y = convolve(x)
    for axis in axes:
        y = lax.slice_in_dim(y, 1, y.shape[axis] - 1, axis=axis)
    return y

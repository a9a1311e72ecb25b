# pyright: reportUnknownMemberType=false
"""The levels at which one image's style is compared: each is half of the one before, by Lanczos's filter of radius 3.

The filter weighs pixels by their distance to the new pixel's centre alone, whatever the size, so an image that lies in
the first corner of a larger array has the same halves as the image alone. How many there are: `losses.sizes`.
"""

from functools import partial

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jnst.errors import InputError
from jnst.network.architecture import Tileable, wrapped_axes
from jnst.network.region import Region

RADIUS = 3  # of Lanczos's filter


def halve(
    image: Float[Array, "n h w 3"], *, region: Region | None = None, tileable: Tileable = "no"
) -> Float[Array, "n h2 w2 3"]:
    """Halves images inside a gradient, to floor(h / 2) x floor(w / 2): linear, so it may leave [0, 1] a little.

    Args:
        image: of any range.
        region: which part of the array is image, from its first pixel on; all of it by default.
        tileable: along which axes the image goes on at its opposite edge.

    Returns:
        The halves, zero beyond the halved region.

    Raises:
        InputError: an odd side that wraps.
    """
    count, height, width = image.shape[:3]
    heights, widths = (jnp.full(count, height), jnp.full(count, width)) if region is None else region[2:]
    if any(image.shape[axis] % 2 for axis in wrapped_axes(tileable)):
        raise InputError(f"`tileable` {tileable} needs even sides at each but the smallest level, got {width}x{height}")
    by_rows = _kernel(height, heights, wrap="y" in tileable)
    by_columns = _kernel(width, widths, wrap="x" in tileable)
    product = partial(jnp.einsum, precision=lax.Precision.HIGHEST)
    return product("nyh,nhxc->nyxc", by_rows, product("nxw,nhwc->nhxc", by_columns, image))


def _kernel(length: int, sizes: Int[Array, " n"], *, wrap: bool) -> Float[Array, "n half length"]:
    """Row i holds the weights of the pixels of one line in the new pixel i, for lines of these sizes in arrays."""
    new, old = jnp.arange(length // 2)[None, :, None], jnp.arange(length)[None, None]
    distance = (old - 2 * new - 0.5) / 2  # new pixel i is centred between old pixels 2i and 2i + 1
    if wrap:  # to the nearest of the repetitions
        distance = (distance + length / 4) % (length / 2) - length / 4
    kernel = jnp.sinc(distance) * jnp.sinc(distance / RADIUS)
    size = sizes[:, None, None]
    kernel = jnp.where((jnp.abs(distance) < RADIUS) & (old < size) & (new < size // 2), kernel, 0)
    total = jnp.sum(kernel, -1, keepdims=True)
    return kernel / jnp.where(total == 0, 1, total)

"""Half the size of an image, by Lanczos's filter of radius 3, inside a gradient (to any size: `jnst.io.image.resize`).

Halving weighs pixels by their distance to the new pixel's centre alone, whatever the size. So an image that lies in the
corner of a larger array has the same halves as the image alone.
"""

from functools import partial

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jnst.network.vgg import Region

RADIUS = 3


def halve(image: Float[Array, "n h w 3"], region: Region | None = None) -> Float[Array, "n h2 w2 3"]:
    """Half the size, floor(h / 2) x floor(w / 2): linear, so it may leave [0, 1] a little.

    `region`: which part of the array is image, from its first pixel on; zero beyond it.
    """
    count, height, width = image.shape[:3]
    heights, widths = (jnp.full(count, height), jnp.full(count, width)) if region is None else region[2:]
    by_rows, by_columns = _weights(height, heights), _weights(width, widths)
    product = partial(jnp.einsum, precision=lax.Precision.HIGHEST)
    return product("nyh,nhxc->nyxc", by_rows, product("nxw,nhwc->nhxc", by_columns, image))


def _weights(length: int, sizes: Int[Array, " n"]) -> Float[Array, "n half length"]:
    """Of each pixel in each new one, for images of these sizes in arrays of this length."""
    new, old = jnp.arange(length // 2)[None, :, None], jnp.arange(length)[None, None]
    distance = (old - 2 * new - 0.5) / 2  # new pixel i is centred between old pixels 2i and 2i + 1
    kernel = jnp.sinc(distance) * jnp.sinc(distance / RADIUS)
    size = sizes[:, None, None]
    kernel = jnp.where((jnp.abs(distance) < RADIUS) & (old < size) & (new < size // 2), kernel, 0)
    total = jnp.sum(kernel, -1, keepdims=True)
    return kernel / jnp.where(total == 0, 1, total)

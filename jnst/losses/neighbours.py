# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Neural neighbours: every place of the result is held to one place of the painting, the one most like it.

Kolkin, Kucera, Paris, Sykora, Shechtman, Sun, "Neural Neighbor Style Transfer" (arXiv 2203.13215): features of several
layers side by side, a hypercolumn for every fourth pixel; of each the painting's hypercolumn with the highest cosine,
found once a scale and then fixed, so that the loss is smooth.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jnst.losses.comparisons import above_zero
from jnst.network.architecture import stride_of

CHUNK = 512
"""places whose neighbours are looked for at a time"""


def columns(maps: tuple[Array, ...], layers: tuple[str, ...]) -> Float[Array, "n h w d"]:
    """Lays the features of several layers side by side, each over the number of its filters.

    Args:
        maps: of the layers, (n, h, w, c) each.
        layers: their names.

    Returns:
        One hypercolumn a position of the first layer: maps of a smaller stride are averaged, of a larger one repeated.
    """
    height, width = maps[0].shape[1:3]
    strides = [stride_of(layer) for layer in layers]
    parts = [_at_stride(one, own, strides[0], height, width) for one, own in zip(maps, strides, strict=True)]
    return jnp.concatenate(parts, -1)


def _at_stride(maps: Array, own: int, stride: int, height: int, width: int) -> Array:
    n, _, _, c = maps.shape
    maps = maps / c
    if own < stride:
        factor = stride // own
        squares = maps[:, : height * factor, : width * factor].reshape(n, height, factor, width, factor, c)
        return jnp.mean(squares, (2, 4))
    maps = jnp.repeat(jnp.repeat(maps, own // stride, 1), own // stride, 2)[:, :height, :width]
    return jnp.pad(maps, ((0, 0), (0, height - maps.shape[1]), (0, width - maps.shape[2]), (0, 0)))


def match(painting: dict[str, Array], start: dict[str, Array]) -> dict[str, Array]:
    """Finds the painting's hypercolumn of the highest cosine for every place of the start, both less their means.

    Args:
        painting: "columns" (n, h', w', d) and "weight" (n, h', w', 1) of its places; those of weight 0 are not taken.
        start: the same of the image that a scale starts with.

    Returns:
        "columns" (n, h, w, d) in the start's places.
    """
    return {"columns": jax.vmap(_match_one)(painting["columns"], painting["weight"], start["columns"], start["weight"])}


def _match_one(painting: Array, allowed: Array, start: Array, counted: Array) -> Array:
    height, width, d = start.shape
    of_painting, of_start = painting.reshape(-1, d), start.reshape(-1, d)
    allowed, counted = allowed.reshape(-1, 1), counted.reshape(-1, 1)
    candidates = _directions(of_painting, allowed)
    wanted = _directions(of_start, counted)
    chunk = min(CHUNK, len(wanted))
    padded = jnp.pad(wanted, ((0, -len(wanted) % chunk), (0, 0))).reshape(-1, chunk, d)

    def nearest(some: Array) -> Array:
        cosines = jnp.einsum("pd,qd->pq", some, candidates)
        return jnp.argmax(jnp.where(allowed[:, 0] > 0, cosines, -2), -1)

    index = lax.map(nearest, padded).reshape(-1)[: len(wanted)]
    return of_painting[index].reshape(height, width, d)


def _directions(rows: Array, weight: Array) -> Array:
    """Rows less their mean, of length 1."""
    mean = jnp.sum(weight * rows, 0, keepdims=True) / jnp.maximum(jnp.sum(weight), 1e-6)
    centred = rows - mean
    return centred * lax.rsqrt(jnp.sum(jnp.square(centred), -1, keepdims=True) + 1e-12)


def distance(result: dict[str, Array], target: dict[str, Array]) -> Float[Array, " n"]:
    """Computes the squared distance of the result's hypercolumns to their neighbours, over these' squared norm.

    Not the cosine of Kolkin et al., which sees no contrast: colours fade to grey under it.

    Args:
        result: "columns" (n, h, w, d) and "weight" (n, h, w, 1).
        target: from `match`.

    Returns:
        The distance of each image, without a unit.
    """
    f, t, weight = result["columns"], target["columns"], result["weight"]
    unit = jnp.sum(weight * jnp.square(t), (1, 2, 3))
    return jnp.sum(weight * jnp.square(f - t), (1, 2, 3)) / above_zero(unit)


def no_size(target: dict[str, Array]) -> Float[Array, " n"]:
    """Returns 1 for each image: the target depends on the start already.

    Args:
        target: any.
    """
    return jnp.ones(len(target["columns"]))

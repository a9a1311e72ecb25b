"""Statistics of an image too large for the memory: exactly those of the whole image, tile by tile.

A map's value depends on the pixels within the receptive field only. So the image is cut into overlapping windows, and
of each window only the core counts, from whose maps no window's edge is seen; beyond the image the maps are zero, as
VGG's padding is. Gram matrices are summed over the cores, content maps put together from them, and the losses are those
of the whole image. For the gradient every window is computed once more, with the gradient in the statistics at hand.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jnst.errors import InputError
from jnst.losses import statistics as losses
from jnst.network.architecture import block_of, layer_names
from jnst.network.vgg import Params, Region, architecture_of, dense, readings


class Grid(NamedTuple):
    """How an image is cut: windows of `core + 2 margin` pixels a side, cores beside each other."""

    height: int
    width: int
    core: int
    margin: int

    @property
    def rows(self) -> int:
        return -(-self.height // self.core)

    @property
    def columns(self) -> int:
        return -(-self.width // self.core)


def receptive_radius(architecture: str, layers: Sequence[str]) -> int:
    """How far, in pixels, a value of the deepest of these layers looks to the right (to the left a little less)."""
    names = layer_names(architecture)
    radius, step = 0, 1
    for name in names[: 1 + max(map(names.index, layers))]:
        if 2 ** (block_of(name) - 1) > step:  # after a pooling, whose window reaches one step on
            radius, step = radius + step, 2 * step
        radius += step
    return radius


def grid(height: int, width: int, tile: int, architecture: str, layers: Sequence[str]) -> Grid:
    """The grid for windows of at most `tile` pixels a side.

    Raises:
        InputError: a window that is smaller than the receptive field.
    """
    unit = 2 ** (max(map(block_of, layers)) - 1)  # cores must lie on whole positions of the deepest maps
    radius = receptive_radius(architecture, layers)
    margin = -(-radius // unit) * unit
    core = (tile - 2 * margin) // unit * unit
    if core <= 0:
        need, deepest = 2 * margin + unit, max(layers)
        raise InputError(
            f"--tile {tile} is smaller than the receptive field of {deepest}: at least {need}, or 0 for none"
        )
    return Grid(height, width, core, margin)


def statistics(
    params: Params,
    x: Float[Array, "1 h w 3"],
    content_layers: tuple[str, ...],
    style_layers: tuple[str, ...],
    *,
    tile: int,
    options: Mapping[str, Any],
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The maps of the content layers and the mean Gram matrices of the style layers, by windows of at most `tile`.

    Args:
        params: parameters of VGG-16 or VGG-19.
        x: one image, RGB in [0, 1].
        content_layers, style_layers: names of layers.
        tile: side of a window in pixels.
        options: more for `vgg.readings`.

    Raises:
        InputError: a window that is smaller than the receptive field.
    """
    layers = tuple(dict.fromkeys(content_layers + style_layers))
    plan = grid(x.shape[1], x.shape[2], tile, architecture_of(params), layers)
    read = partial(_read, content_layers=content_layers, style_layers=style_layers, plan=plan, options=options)
    return _tiled(read, plan)(params, x)


def _read(
    params: Params, window: Array, region: Region, *,
    content_layers: tuple[str, ...], style_layers: tuple[str, ...], plan: Grid, options: Mapping[str, Any],
) -> tuple[dict[str, Array], dict[str, Array]]:  # fmt: skip
    """The core's part of the content maps and of the mean Gram matrices."""

    def reader(layer: str):
        unit = 2 ** (block_of(layer) - 1)
        core = slice(plan.margin // unit, (plan.margin + plan.core) // unit)
        positions = (plan.height // unit) * (plan.width // unit)

        def read(maps: Array) -> tuple[Array | None, Array | None]:
            inner = maps[:, core, core]
            content, style = layer in content_layers, layer in style_layers
            return inner if content else None, losses.gram(inner) / positions if style else None

        return read

    layers = dict.fromkeys(content_layers + style_layers)
    found = readings(params, window, {layer: reader(layer) for layer in layers}, region=region, **options)
    return {name: found[name][0] for name in content_layers}, {name: found[name][1] for name in style_layers}


def _tiled(read: Any, plan: Grid) -> Any:
    """`(params, x) -> (content maps, Gram matrices)` of the whole image, which keeps nothing but x for its gradient."""
    side, count = plan.core + 2 * plan.margin, plan.rows * plan.columns

    def canvas(x: Array) -> Array:
        bottom, right = (n * plan.core - s for n, s in ((plan.rows, plan.height), (plan.columns, plan.width)))
        return jnp.pad(x, ((0, 0), (plan.margin, plan.margin + bottom), (plan.margin, plan.margin + right), (0, 0)))

    def corner(k: Array) -> tuple[Array, Array]:
        return k // plan.columns * plan.core, k % plan.columns * plan.core

    def window(padded: Array, k: Array) -> tuple[Array, Region]:
        top, left = corner(k)
        region = Region(*(jnp.full(1, v) for v in (top - plan.margin, left - plan.margin, plan.height, plan.width)))
        return lax.dynamic_slice(padded, (0, top, left, 0), (1, side, side, 3)), region

    def place(layer: str, k: Array) -> tuple[Any, ...]:
        unit = 2 ** (block_of(layer) - 1)
        top, left = corner(k)
        return 0, top // unit, left // unit, 0

    def whole(layer: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        unit = 2 ** (block_of(layer) - 1)
        return 1, plan.rows * plan.core // unit, plan.columns * plan.core // unit, shape[-1]

    def compute(params: Params, x: Array) -> Any:
        padded = canvas(x)

        def add(carry: Any, k: Array) -> tuple[Any, None]:
            maps, grams = carry
            part, gram = read(params, *window(padded, k))
            maps = {name: lax.dynamic_update_slice(maps[name], part[name], place(name, k)) for name in maps}
            return (maps, jax.tree.map(jnp.add, grams, gram)), None

        part, gram = jax.eval_shape(read, params, *jax.eval_shape(window, padded, jnp.int32(0)))
        empty = {name: jnp.zeros(whole(name, a.shape), a.dtype) for name, a in part.items()}
        nothing = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), gram)
        (maps, grams), _ = lax.scan(add, (empty, nothing), jnp.arange(count))
        sizes = {name: 2 ** (block_of(name) - 1) for name in maps}
        maps = {name: a[:, : plan.height // sizes[name], : plan.width // sizes[name]] for name, a in maps.items()}
        return maps, grams

    def forward(params: Any, x: Any) -> tuple[Any, tuple[Params, Array]]:
        if any(leaf.perturbed for leaf in jax.tree.leaves(params, is_leaf=lambda leaf: hasattr(leaf, "perturbed"))):
            raise InputError("the gradient in the parameters is not known by tiles; use tile=0")
        params = jax.tree.map(lambda leaf: leaf.value, params, is_leaf=lambda leaf: hasattr(leaf, "perturbed"))
        return compute(params, x.value), (params, x.value)

    def backward(residuals: tuple[Params, Array], gradients: Any) -> tuple[None, Array]:
        params, x = residuals
        padded, (maps, grams) = canvas(x), jax.tree.map(dense, gradients, is_leaf=lambda g: hasattr(g, "shape"))
        maps = {name: jnp.zeros(whole(name, a.shape), a.dtype).at[:, : a.shape[1], : a.shape[2]].set(a)
                for name, a in maps.items()}  # fmt: skip

        def add(total: Array, k: Array) -> tuple[Array, None]:
            pixels, region = window(padded, k)
            (part, _), pull_back = jax.vjp(lambda pixels: read(params, pixels, region), pixels)
            part = {name: lax.dynamic_slice(maps[name], place(name, k), part[name].shape) for name in maps}
            (gradient,) = pull_back((part, grams))
            at = (0, *corner(k), 0)
            return lax.dynamic_update_slice(total, lax.dynamic_slice(total, at, gradient.shape) + gradient, at), None

        total, _ = lax.scan(add, jnp.zeros_like(padded), jnp.arange(count))
        inner = total[:, plan.margin : plan.margin + plan.height, plan.margin : plan.margin + plan.width]
        return None, inner

    tiled = jax.custom_vjp(compute)
    tiled.defvjp(forward, backward, symbolic_zeros=True)
    return tiled

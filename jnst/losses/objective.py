"""The objective of the method and its gradient: `L = alpha L_c + beta L_s (+ tau TV)` (eq. 5), as pure functions.

The gradients of content and style are computed separately and then combined. VGG's pull-back (its transposed
derivative) is linear, so three ways give the same sum to rounding:
`separate`: two pull-backs, one a loss, which also yields each loss's own image-space gradient;
`shared`: the gradients in maps and Gram matrices are combined and pulled back once, at the price of one (the default);
`joint`: plain automatic differentiation of L, for comparison.
A fourth, `normalized`, gives each loss's gradient the length 1 before they are weighed: the gradient of no function.

The style can be compared at several sizes of x, each half of the one before; L_s is then their mean, and each size's
gradient is computed by itself, the smallest first, so that the memory is that of the largest.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jnst import sharding
from jnst.losses import statistics as losses
from jnst.losses import windows as tiles
from jnst.network.architecture import MIN_SIDE, block_of
from jnst.network.vgg import Params, Pooling, Precision, Reader, Region, after, readings
from jnst.resample import halve

Gradients = Literal["shared", "separate", "joint", "normalized"]


@dataclass(frozen=True)
class Spec:
    """What is matched and how: the static part of the objective (hashable, one compile each)."""

    content_layers: tuple[str, ...] = ("conv4_2",)
    style_layers: tuple[str, ...] = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    pooling: Pooling = "max"
    form: losses.Form = "relative"
    gradients: Gradients = "shared"
    precision: Precision = "float32"
    checkpoint: bool = False
    tile: int = 0
    style_sizes: int = 1
    mesh: Mesh | None = None
    """devices over which the rows of the maps are split"""

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer that is needed, once."""
        return tuple(dict.fromkeys(self.content_layers + self.style_layers))


class Statistics(NamedTuple):
    """All that the losses see of an image: maps of the content layers, mean Gram matrices of the style layers.

    Of the result F and G / M, of the targets P (from the content image) and A / M (from the style image).
    """

    content: dict[str, Float[Array, "n _h _w _c"]]
    gram: dict[str, Float[Array, "n _c _c"]]


Targets = tuple[Statistics, ...]
"""One entry a size at which the style is compared, the largest first; content in that one only."""


class LossWeights(NamedTuple):
    """alpha, beta, tau of eq. 5 and w_l of eq. 4: numbers, so that another balance needs no new compile.

    alpha, beta and tau are those of all images, or one an image.
    """

    content: Float[Array, "*n"]
    style: Float[Array, "*n"]
    style_layers: Float[Array, " layers"]
    tv: Float[Array, "*n"]


class Losses(NamedTuple):
    """The losses of each image: L, L_c, L_s, E_l in the order of `Spec.style_layers`, and TV."""

    total: Float[Array, " n"]
    content: Float[Array, " n"]
    style: Float[Array, " n"]
    style_layers: Float[Array, "n layers"]
    tv: Float[Array, " n"]


@partial(jax.jit, static_argnames="spec")
def targets(
    params: Params,
    content: Float[Array, "n h w 3"],
    style: Float[Array, "n hs ws 3"],
    *,
    spec: Spec,
    regions: tuple[Region, Region] | None = None,
) -> Targets:
    """The targets of a content and a style image, RGB in [0, 1], always in float32; the two may differ in size.

    `regions` says which parts of the arrays are image, from the first pixel on: of contents and styles; all by default.
    As many sizes as `spec.style_sizes`, but none with a side below 32 pixels.

    Raises:
        InputError: an unknown layer, an image too small for it, or a tile smaller than the receptive field.
    """
    of_content, of_style = regions or (None, None)
    count = sizes(min(content.shape[1:3] + style.shape[1:3]), spec.style_sizes)
    maps = content_target(params, content, spec=spec, region=of_content)
    grams = style_target(params, style, spec=replace(spec, style_sizes=count), region=of_style)
    return tuple(Statistics({} if k else maps, gram) for k, gram in enumerate(grams))


@partial(jax.jit, static_argnames="spec")
def content_target(params: Params, content: Array, *, spec: Spec, region: Region | None = None) -> dict[str, Array]:
    """P of each content layer: what `targets` needs of the content image."""
    spec = replace(spec, style_layers=(), precision="float32", checkpoint=False)
    return statistics(params, content, spec=spec, region=region).content


@partial(jax.jit, static_argnames="spec")
def style_target(params: Params, style: Array, *, spec: Spec, region: Region | None = None) -> list[dict[str, Array]]:
    """A / M of each style layer at each of `spec.style_sizes` sizes: what `targets` needs of the style image."""
    spec = replace(spec, content_layers=(), precision="float32", checkpoint=False)
    parts = _halvings(style, region, spec.style_sizes)
    return [statistics(params, smaller, spec=spec, region=part).gram for smaller, part in parts]


def sizes(shortest: int, wanted: int) -> int:
    """At how many sizes the style is compared where that is the shortest side in pixels."""
    return next((k for k in range(1, wanted) if shortest // 2**k < MIN_SIDE), wanted)


def _halvings(x: Array, region: Region | None, count: int) -> list[tuple[Array, Region | None]]:
    """x and its halvings, `count` in all, with their regions."""
    found = [(x, region)]
    for _ in range(1, count):
        x, region = halve(x, region), region and region.half()
        found.append((x, region))
    return found


def _of_size(spec: Spec, k: int) -> Spec:
    """What is matched after k halvings."""
    return replace(spec, content_layers=()) if k else spec


@partial(jax.jit, static_argnames="spec")
def balance(
    target: Targets, strength: Float[Array, ""], *, spec: Spec, region: Region | None = None
) -> tuple[Array, Array]:
    """alpha and beta of eq. 5 for a strength r in [0, 1] that has no unit: `L = (1 - r) L_c + r L_s`.

    `relative` losses are taken as they are. Those of `mse` and `sum` have the unit of the weight file, so each is
    divided by what it would be if all maps were zero; averaged over a batch.
    """
    alpha, beta = 1 - strength, strength
    if spec.form == "relative":
        return alpha, beta
    zero = jax.tree.map(jnp.zeros_like, target)
    content = jnp.mean(_content_loss(zero[0], target[0], spec, region))
    style = [jnp.mean(_style_losses(found, part, spec)) for found, part in zip(zero, target, strict=True)]
    whole = sum(style, jnp.zeros(())) / len(style)
    return alpha / jnp.where(content > 0, content, 1), beta / jnp.where(whole > 0, whole, 1)  # 0: not wanted


def _content_loss(found: Statistics, target: Statistics, spec: Spec, region: Region | None) -> Float[Array, " n"]:
    """L_c: the sum over the content layers of eq. 1."""
    total = jnp.zeros(len(jax.tree.leaves(found)[0]))
    for layer in spec.content_layers:
        maps = found.content[layer]
        part = losses.content_loss(maps, target.content[layer], form=spec.form)
        if region is not None and spec.form == "mse":  # a mean over the array, of which only the region counts
            part = part * (maps.shape[1] * maps.shape[2]) / region.positions(block_of(layer))
        total = total + part
    return total


def _style_losses(found: Statistics, target: Statistics, spec: Spec) -> Float[Array, "n layers"]:
    """E_l of every style layer (eq. 3)."""
    layers = spec.style_layers
    if not layers:
        return jnp.zeros((len(jax.tree.leaves(found)[0]), 0))
    return jnp.stack([losses.style_loss(found.gram[layer], target.gram[layer], form=spec.form) for layer in layers], -1)


def _smoothness(x: Array, region: Region | None) -> Float[Array, " n"]:
    return losses.total_variation(x, None if region is None else region.mask(x.shape, 1))


def _combine(content: Array, style_layers: Array, tv: Array, weights: LossWeights) -> Losses:
    style = style_layers @ weights.style_layers  # L_s = sum_l w_l E_l (eq. 4)
    total = weights.content * content + weights.style * style + weights.tv * tv  # eq. 5
    return Losses(total, content, style, style_layers, tv)


def statistics(params: Params, x: Float[Array, "n h w 3"], *, spec: Spec, region: Region | None = None) -> Statistics:
    """What the losses see of x (RGB in [0, 1]), at its own size; of its `region` only, beyond which x is zero."""
    options = {"pooling": spec.pooling, "precision": spec.precision, "checkpoint": spec.checkpoint}
    if spec.tile and spec.layers and max(x.shape[1:3]) > spec.tile:
        layers = spec.content_layers, spec.style_layers
        return Statistics(*tiles.statistics(params, x, *layers, tile=spec.tile, options=options))

    height, width = x.shape[1:3]
    if spec.mesh is not None:
        region = Region.of(x.shape[0], height, width) if region is None else region
        x = sharding.split(x, spec.mesh, 2 ** (max(map(block_of, spec.layers)) - 1))

    def reader(layer: str) -> Reader:
        content, style, unit = layer in spec.content_layers, layer in spec.style_layers, 2 ** (block_of(layer) - 1)

        def gram(maps: Array) -> Array:
            if region is None:
                return losses.mean_gram(maps)
            return losses.gram(maps) / region.positions(block_of(layer))[:, None, None]

        return lambda maps: (maps[:, : height // unit] if content else None, gram(maps) if style else None)

    found = readings(params, x, {layer: reader(layer) for layer in spec.layers}, region=region, **options)
    return Statistics(
        content={layer: found[layer][0] for layer in spec.content_layers},
        gram={layer: found[layer][1] for layer in spec.style_layers},
    )


def evaluate(
    params: Params,
    x: Float[Array, "n h w 3"],
    target: Targets,
    weights: LossWeights,
    *,
    spec: Spec,
    region: Region | None = None,
) -> Losses:
    """All losses of x (RGB in [0, 1]) against the targets; forward only."""
    content, parts = jnp.zeros(len(x)), []
    for k, (smaller, part) in enumerate(_halvings(x, region, len(target))):
        found = statistics(params, smaller, spec=_of_size(spec, k), region=part)
        content = content + _content_loss(found, target[k], _of_size(spec, k), part)
        parts.append(_style_losses(found, target[k], spec))
    return _combine(content, sum(parts, jnp.zeros(())) / len(parts), _smoothness(x, region), weights)


def separate_gradients(
    params: Params,
    x: Float[Array, "n h w 3"],
    target: Targets,
    weights: LossWeights,
    *,
    spec: Spec,
    region: Region | None = None,
) -> tuple[Losses, Float[Array, "n h w 3"], Float[Array, "n h w 3"]]:
    """The losses of x and the image-space gradients of L_c and of L_s, unweighted: for balancing and diagnostics."""
    pull_backs = lambda pull_back, content, style: (pull_back(content), pull_back(style))  # noqa: E731
    result, (content, style) = _gradients(params, x, target, weights, pull_backs, spec, region)
    return result, content, style


def value_and_grad(
    params: Params,
    x: Float[Array, "n h w 3"],
    target: Targets,
    weights: LossWeights,
    *,
    spec: Spec,
    region: Region | None = None,
) -> tuple[Losses, Float[Array, "n h w 3"]]:
    """The losses of x and the gradient of L in x, by the way that `spec.gradients` names.

    Args:
        params: parameters of VGG-16 or VGG-19.
        x: the image, RGB in [0, 1].
        target: from `targets`, with the same spec.
        weights: alpha, beta, w_l, tau.
        spec: what is matched and how.
        region: which part of the array is image, from its first pixel on; all of it by default, zero beyond it.
    """
    if spec.gradients == "joint":

        def joint(x: Array) -> tuple[Array, Losses]:
            result = evaluate(params, x, target, weights, spec=spec, region=region)
            return jnp.sum(result.total), result

        (_, result), gradient = jax.value_and_grad(joint, has_aux=True)(x)
        return result, gradient

    def separate(pull_back: PullBack, content: Statistics, style: Statistics) -> Array:
        return _times(weights.content, pull_back(content)) + _times(weights.style, pull_back(style))

    def shared(pull_back: PullBack, content: Statistics, style: Statistics) -> Array:
        both = jax.tree.map(lambda c, s: _times(weights.content, c) + _times(weights.style, s), content, style)
        return pull_back(both)

    if spec.gradients == "normalized":
        result, content, style = separate_gradients(params, x, target, weights, spec=spec, region=region)
        gradient = _times(weights.content, _unit(content)) + _times(weights.style, _unit(style))
    else:
        combined = separate if spec.gradients == "separate" else shared
        result, gradient = _gradients(params, x, target, weights, combined, spec, region)
    gradient = gradient + _times(weights.tv, jax.grad(lambda x: jnp.sum(_smoothness(x, region)))(x))
    if spec.mesh is not None:
        gradient = lax.with_sharding_constraint(gradient, sharding.replicated(spec.mesh))
    return result, gradient


def _times(weight: Float[Array, "*n"], a: Array) -> Array:
    """A weight of all images, or one an image, times what belongs to them."""
    return a * weight.reshape(-1, *(1,) * (a.ndim - 1)) if weight.ndim else a * weight


def _unit(gradient: Array) -> Array:
    """Each image's gradient at length 1; one that is zero stays zero."""
    norm = jnp.sqrt(jnp.sum(jnp.square(gradient), (1, 2, 3), keepdims=True))
    return gradient / jnp.where(norm > 0, norm, 1)


def gram_entry(
    params: Params,
    x: Float[Array, "n h w 3"],
    *,
    layer: str,
    entry: tuple[int, int],
    pooling: Pooling = "max",
) -> Float[Array, " n"]:
    """One entry of the mean Gram matrix, `G_ij / M`: what an image that maximises it shows is what this entry stands
    for (Nikulin and Novak 2016, on the space of styles).

    Raises:
        InputError: an unknown layer, or an image too small for it.
        IndexError: an entry that the layer's matrix does not have.
    """
    i, j = entry

    def reader(maps: Array) -> Array:
        if not 0 <= min(entry) <= max(entry) < maps.shape[-1]:
            raise IndexError(f"entry {entry}: {layer} has {maps.shape[-1]} filters")
        return jnp.sum(maps[..., i] * maps[..., j], (1, 2)) / (maps.shape[1] * maps.shape[2])

    return readings(params, x, {layer: reader}, pooling=pooling)[layer]


PullBack = Callable[[Statistics], Array]
"""From a gradient in the statistics to that in the image."""


def _gradients(
    params: Params, x: Array, target: Targets, weights: LossWeights,
    combined: Callable[[PullBack, Statistics, Statistics], Any], spec: Spec, region: Region | None,
) -> tuple[Losses, Any]:  # fmt: skip
    """The losses, and what `combined` makes of each size's pull-back and gradients of L_c and L_s, summed over them."""
    content, parts, gradient = jnp.zeros(len(x)), [], None
    halvings = _halvings(x, region, len(target))
    for k in reversed(range(len(halvings))):
        smaller, part = halvings[k]
        smaller = smaller if gradient is None else after(gradient, smaller)
        found = _at_one_size(params, smaller, target[k], weights, _of_size(spec, k), part)
        own = combined(
            found.pull_back, found.content_gradient, jax.tree.map(lambda g: g / len(halvings), found.style_gradient)
        )
        if gradient is not None:
            pull_back = jax.linear_transpose(partial(halve, region=part), smaller)
            own = jax.tree.map(lambda own, g, pull_back=pull_back: own + pull_back(g)[0], own, gradient)
        gradient = own
        content = content + found.content
        parts.append(found.style_layers)
    result = _combine(content, sum(parts, jnp.zeros(())) / len(parts), _smoothness(x, region), weights)
    return result, gradient


class _OneSize(NamedTuple):
    """The losses at one size of x, their gradients in the statistics, and the way from there to the image."""

    content: Array
    style_layers: Array
    content_gradient: Statistics
    style_gradient: Statistics
    pull_back: PullBack


def _at_one_size(
    params: Params, x: Array, target: Statistics, weights: LossWeights, spec: Spec, region: Region | None
) -> _OneSize:
    found, pull_back = jax.vjp(lambda x: statistics(params, x, spec=spec, region=region), x)

    def content(found: Statistics) -> tuple[Array, Array]:
        loss = _content_loss(found, target, spec, region)
        return jnp.sum(loss), loss

    def style(found: Statistics) -> tuple[Array, Array]:
        parts = _style_losses(found, target, spec)
        return jnp.sum(parts @ weights.style_layers), parts

    (_, content_part), content_gradient = jax.value_and_grad(content, has_aux=True)(found)
    (_, style_parts), style_gradient = jax.value_and_grad(style, has_aux=True)(found)
    return _OneSize(content_part, style_parts, content_gradient, style_gradient, lambda g: pull_back(g)[0])

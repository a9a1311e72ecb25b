"""The objective of the method and its gradient: `L = alpha L_c + beta L_s (+ tau TV)` (eq. 5), as pure functions.

The gradients of content and style are computed separately and then combined. VGG's pull-back (its transposed
derivative) is linear, so three ways give the same sum to rounding:
`separate`: two pull-backs, one a loss, which also yields each loss's own image-space gradient;
`shared`: the gradients in maps and Gram matrices are combined and pulled back once, at the price of one (the default);
`joint`: plain automatic differentiation of L, for comparison.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst import losses, tiles
from jnst.vgg import Params, Pooling, Precision, Reader, features, readings

Gradients = Literal["shared", "separate", "joint"]


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


class LossWeights(NamedTuple):
    """alpha, beta, tau of eq. 5 and w_l of eq. 4: numbers, so that another balance needs no new compile."""

    content: Float[Array, ""]
    style: Float[Array, ""]
    style_layers: Float[Array, " layers"]
    tv: Float[Array, ""]


class Losses(NamedTuple):
    """The losses of each image: L, L_c, L_s, E_l in the order of `Spec.style_layers`, and TV."""

    total: Float[Array, " n"]
    content: Float[Array, " n"]
    style: Float[Array, " n"]
    style_layers: Float[Array, "n layers"]
    tv: Float[Array, " n"]


@partial(jax.jit, static_argnames="spec")
def targets(
    params: Params, content: Float[Array, "n h w 3"], style: Float[Array, "n hs ws 3"], *, spec: Spec
) -> Statistics:
    """The targets of a content and a style image, RGB in [0, 1], always in float32; the two may differ in size.

    Raises:
        InputError: an unknown layer, an image too small for it, or a tile smaller than the receptive field.
    """
    if spec.tile:
        options = {"tile": spec.tile, "options": {"pooling": spec.pooling}}
        maps, _ = tiles.statistics(params, content, spec.content_layers, (), **options)
        return Statistics(maps, tiles.statistics(params, style, (), spec.style_layers, **options)[1])
    return Statistics(
        content=features(params, content, spec.content_layers, pooling=spec.pooling),
        gram=readings(params, style, dict.fromkeys(spec.style_layers, losses.mean_gram), pooling=spec.pooling),
    )


@partial(jax.jit, static_argnames="spec")
def balance(target: Statistics, strength: Float[Array, ""], *, spec: Spec) -> tuple[Array, Array]:
    """alpha and beta of eq. 5 for a strength r in [0, 1] that has no unit: `L = (1 - r) L_c + r L_s`.

    `relative` losses are taken as they are. Those of `mse` and `sum` have the unit of the weight file, so each is
    divided by what it would be if all maps were zero; averaged over a batch.
    """
    alpha, beta = 1 - strength, strength
    if spec.form == "relative":
        return alpha, beta
    zero = Statistics(*jax.tree.map(jnp.zeros_like, target))
    content = jnp.mean(_content_loss(zero, target, spec))
    return alpha / content, beta / jnp.mean(_style_losses(zero, target, spec))


def _content_loss(found: Statistics, target: Statistics, spec: Spec) -> Float[Array, " n"]:
    """L_c: the sum over the content layers of eq. 1."""
    layers = spec.content_layers
    parts = [losses.content_loss(found.content[layer], target.content[layer], form=spec.form) for layer in layers]
    return sum(parts, jnp.zeros(()))


def _style_losses(found: Statistics, target: Statistics, spec: Spec) -> Float[Array, "n layers"]:
    """E_l of every style layer (eq. 3)."""
    layers = spec.style_layers
    return jnp.stack([losses.style_loss(found.gram[layer], target.gram[layer], form=spec.form) for layer in layers], -1)


def _combine(content: Array, style_layers: Array, tv: Array, weights: LossWeights) -> Losses:
    style = style_layers @ weights.style_layers  # L_s = sum_l w_l E_l (eq. 4)
    total = weights.content * content + weights.style * style + weights.tv * tv  # eq. 5
    return Losses(total, content, style, style_layers, tv)


def statistics(params: Params, x: Float[Array, "n h w 3"], *, spec: Spec) -> Statistics:
    """What the losses see of x (RGB in [0, 1])."""
    options = {"pooling": spec.pooling, "precision": spec.precision, "checkpoint": spec.checkpoint}
    if spec.tile:
        layers = spec.content_layers, spec.style_layers
        return Statistics(*tiles.statistics(params, x, *layers, tile=spec.tile, options=options))

    def reader(layer: str) -> Reader:
        content, style = layer in spec.content_layers, layer in spec.style_layers
        return lambda maps: (maps if content else None, losses.mean_gram(maps) if style else None)

    readers = {layer: reader(layer) for layer in spec.layers}
    found = readings(params, x, readers, **options)
    return Statistics(
        content={layer: found[layer][0] for layer in spec.content_layers},
        gram={layer: found[layer][1] for layer in spec.style_layers},
    )


def evaluate(
    params: Params, x: Float[Array, "n h w 3"], target: Statistics, weights: LossWeights, *, spec: Spec
) -> Losses:
    """All losses of x (RGB in [0, 1]) against the targets; forward only."""
    found = statistics(params, x, spec=spec)
    content = jnp.broadcast_to(_content_loss(found, target, spec), x.shape[:1])
    return _combine(content, _style_losses(found, target, spec), losses.total_variation(x), weights)


def separate_gradients(
    params: Params, x: Float[Array, "n h w 3"], target: Statistics, weights: LossWeights, *, spec: Spec
) -> tuple[Losses, Float[Array, "n h w 3"], Float[Array, "n h w 3"]]:
    """The losses of x and the image-space gradients of L_c and of L_s, unweighted: for balancing and diagnostics."""
    result, content, style, pull_back = _statistics_gradients(params, x, target, weights, spec)
    return result, pull_back(content), pull_back(style)


def value_and_grad(
    params: Params, x: Float[Array, "n h w 3"], target: Statistics, weights: LossWeights, *, spec: Spec
) -> tuple[Losses, Float[Array, "n h w 3"]]:
    """The losses of x and the gradient of L in x, by the way that `spec.gradients` names.

    Args:
        params: parameters of VGG-16 or VGG-19.
        x: the image, RGB in [0, 1].
        target: from `targets`, with the same spec.
        weights: alpha, beta, w_l, tau.
        spec: what is matched and how.
    """
    if spec.gradients == "joint":

        def joint(x: Array) -> tuple[Array, Losses]:
            result = evaluate(params, x, target, weights, spec=spec)
            return jnp.sum(result.total), result

        (_, result), gradient = jax.value_and_grad(joint, has_aux=True)(x)
        return result, gradient

    result, content, style, pull_back = _statistics_gradients(params, x, target, weights, spec)
    if spec.gradients == "separate":
        gradient = weights.content * pull_back(content) + weights.style * pull_back(style)
    else:
        both = jax.tree.map(lambda c, s: weights.content * c + weights.style * s, content, style)
        gradient = pull_back(both)
    smoothing = jax.grad(lambda x: jnp.sum(losses.total_variation(x)))(x)
    return result, gradient + weights.tv * smoothing


def _statistics_gradients(params: Params, x: Array, target: Statistics, weights: LossWeights, spec: Spec):
    """The losses, the gradients of L_c and of L_s in the statistics, and the pull-back from there to the image."""
    found, pull_back = jax.vjp(lambda x: statistics(params, x, spec=spec), x)

    def content(found: Statistics) -> tuple[Array, Array]:
        loss = jnp.broadcast_to(_content_loss(found, target, spec), x.shape[:1])
        return jnp.sum(loss), loss

    def style(found: Statistics) -> tuple[Array, Array]:
        parts = _style_losses(found, target, spec)
        return jnp.sum(parts @ weights.style_layers), parts

    (_, content_part), content_gradient = jax.value_and_grad(content, has_aux=True)(found)
    (_, style_parts), style_gradient = jax.value_and_grad(style, has_aux=True)(found)
    result = _combine(content_part, style_parts, losses.total_variation(x), weights)
    return result, content_gradient, style_gradient, lambda gradient: pull_back(gradient)[0]

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The objective of the method and its gradient: `L = alpha L_c + beta L_s (+ tau TV)` (eq. 5), as pure functions.

Each loss is a weighted sum of terms. VGG's pull-back (its transposed derivative) is linear, so the groups' gradients
can be combined in the statistics and pulled back at the price of one (`Objective.gradients`).

The style can be compared at several sizes of x, each half of the one before; L_s is then their mean, and each size's
gradient is computed by itself, the smallest first, so that the memory is that of the largest (automatic differentiation
of the whole, with two sizes at 128x96: 160 against 132 ms, 25.6 against 22.1 MB).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jnst import sharding
from jnst.errors import InputError
from jnst.losses.base import Losses, LossWeights, Objective, Targets, default_weights
from jnst.losses.evaluation import compare, grids_of, halvings, statistics
from jnst.losses.observation import Positions
from jnst.losses.pyramid import halve
from jnst.losses.sizes import pyramid_levels
from jnst.losses.targets import (
    balance,
    content_statistics,
    join_targets,
    match_targets,
    style_units,
    target_statistics,
    targets,
)
from jnst.network.architecture import Tileable
from jnst.network.conv import Pooling
from jnst.network.region import Region
from jnst.network.scheduling import wait_for
from jnst.network.vgg import Params, observe

__all__ = [
    "LossWeights", "Losses", "Objective", "Targets", "balance", "content_statistics", "default_weights", "evaluate",
    "gram_entry", "join_targets", "match_targets", "pyramid_levels", "separate_gradients", "style_units",
    "target_statistics", "targets", "value_and_grad",
]  # fmt: skip


def evaluate(
    params: Params,
    x: Float[Array, "n h w 3"],
    targets: Targets,
    weights: LossWeights,
    *,
    objective: Objective,
    region: Region | None = None,
) -> Losses:
    """Computes all losses of x, forward only.

    Args:
        params: parameters of VGG-16 or VGG-19.
        x: the images, RGB in [0, 1].
        targets: from `targets`, for the same objective.
        weights: alpha, beta, tau and w_l.
        objective: what is minimised.
        region: which part of the array is image, from its first pixel on; all of it by default, zero beyond it.

    Returns:
        The losses of each image.

    Raises:
        InputError: targets, weights or masks that a term lacks, an unknown layer, an image too small for it.
    """
    losses: list[dict[str, Array]] = []
    for level, (image, positions) in enumerate(_levels(x, targets, region, objective.tileable)):
        terms = objective.at_level(level)
        found = targets.levels[level]
        grids = grids_of(terms, found)
        results = statistics(params, image, terms, objective=objective, positions=positions, grids=grids)
        losses.append(compare(results, found, terms))
    return _combine(losses, weights, objective, len(x))


def separate_gradients(
    params: Params,
    x: Float[Array, "n h w 3"],
    targets: Targets,
    weights: LossWeights,
    *,
    objective: Objective,
    region: Region | None = None,
) -> tuple[Losses, dict[str, Float[Array, "n h w 3"]]]:
    """Computes the losses of x and each group's own gradient in the image, for balancing and diagnostics.

    Args:
        params: as in `value_and_grad`.
        x: as in `value_and_grad`.
        targets: as in `value_and_grad`.
        weights: as in `value_and_grad`.
        objective: as in `value_and_grad`; its `gradients` does not matter.
        region: as in `value_and_grad`.

    Returns:
        The losses, and the gradients of L_c, L_s and TV by group, before alpha, beta and tau.

    Raises:
        InputError: as `value_and_grad`.
    """
    factors = _term_weights(weights, objective, x)
    directions = {
        group: {term.name: factors[term.name] for term in objective.terms if term.group == group}
        for group in objective.groups
    }
    losses, gradients = _gradients(params, x, targets, directions, objective, region)
    return _combine(losses, weights, objective, len(x)), gradients


def value_and_grad(
    params: Params,
    x: Float[Array, "n h w 3"],
    targets: Targets,
    weights: LossWeights,
    *,
    objective: Objective,
    region: Region | None = None,
) -> tuple[Losses, Float[Array, "n h w 3"]]:
    """Computes the losses of x and the gradient of L in x, combined as `objective.gradients` says.

    Args:
        params: parameters of VGG-16 or VGG-19.
        x: the images, RGB in [0, 1].
        targets: from `targets`, for the same objective.
        weights: alpha, beta, tau and w_l.
        objective: what is minimised.
        region: which part of the array is image, from its first pixel on; all of it by default, zero beyond it.

    Returns:
        The losses of each image and the gradient of their total.

    Raises:
        InputError: targets, weights or masks that a term lacks, an unknown layer, an image too small for it.
    """
    alphas = _group_weights(weights, objective, x)
    if objective.gradients == "shared":
        factors = _term_weights(weights, objective, x)
        total = {term.name: alphas[term.group] * factors[term.name] for term in objective.terms}
        losses, gradients = _gradients(params, x, targets, {"total": total}, objective, region)
        result, gradient = _combine(losses, weights, objective, len(x)), gradients["total"]
    else:
        result, gradients = separate_gradients(params, x, targets, weights, objective=objective, region=region)
        if objective.gradients == "normalized":  # not TV's, whose strength is meant to fade as the image gets smooth
            gradients = {group: g if group == "image" else _unit(g) for group, g in gradients.items()}
        gradient = sum((_times(alphas[group], g) for group, g in gradients.items()), jnp.zeros_like(x))
    if objective.mesh is not None:
        gradient = lax.with_sharding_constraint(gradient, sharding.replicated(objective.mesh))
    return result, gradient


def gram_entry(
    params: Params, x: Float[Array, "n h w 3"], *, layer: str, entry: tuple[int, int], pooling: Pooling = "max"
) -> Float[Array, " n"]:
    """Computes one entry of the mean Gram matrix, `G_ij / M`.

    What an image that maximises it shows is what this entry stands for (Nikulin and Novak 2016, on the space of
    styles).

    Args:
        params: parameters of VGG-16 or VGG-19.
        x: the images, RGB in [0, 1].
        layer: a name `convB_I`.
        entry: i and j, filters of the layer.
        pooling: of the network.

    Returns:
        The entry of each image.

    Raises:
        InputError: an unknown layer, or an image too small for it.
        IndexError: an entry that the layer's matrix does not have.
    """
    i, j = entry

    def reader(maps: Array) -> Array:
        if not 0 <= min(entry) <= max(entry) < maps.shape[-1]:
            raise IndexError(f"entry {entry}: {layer} has {maps.shape[-1]} filters")
        return jnp.sum(maps[..., i] * maps[..., j], (1, 2)) / (maps.shape[1] * maps.shape[2])

    return observe(params, x, {layer: reader}, pooling=pooling)[layer]


def _levels(x: Array, targets: Targets, region: Region | None, tileable: Tileable) -> list[tuple[Array, Positions]]:
    """x and its halvings, as many as the targets have, with the positions that count."""
    for name, mask in targets.masks.items():
        if mask.shape[:3] != x.shape[:3]:
            raise InputError(f"`masks` {name!r} must have the image's size, got {mask.shape} for {x.shape}")
    return halvings(x, Positions(region, targets.masks), len(targets.levels), tileable=tileable)


def _gradients(
    params: Params, x: Array, targets: Targets, directions: Mapping[str, Mapping[str, Array]],
    objective: Objective, region: Region | None,
) -> tuple[list[dict[str, Array]], dict[str, Array]]:  # fmt: skip
    """Loops over the levels, smallest first.

    At each level the terms' losses are pulled back to its image along every direction (factors of the terms' losses),
    after the gradient from the smaller levels, to which they are added once it has been brought to this size by the
    transpose of the halving.
    """
    levels = _levels(x, targets, region, objective.tileable)
    losses: list[dict[str, Array]] = [{}] * len(levels)
    gradients: dict[str, Array] = {}
    for level in reversed(range(len(levels))):
        image, positions = levels[level]
        if gradients:
            image = wait_for(gradients, image)
            enlarge = jax.linear_transpose(partial(halve, region=positions.region, tileable=objective.tileable), image)
            gradients = {name: enlarge(gradient)[0] for name, gradient in gradients.items()}
        losses[level], own = _at_level(params, image, targets, directions, objective, level, positions)
        gradients = {name: own[name] + gradients[name] if name in gradients else own[name] for name in own}
    return losses, gradients


def _at_level(
    params: Params, image: Array, targets: Targets, directions: Mapping[str, Mapping[str, Array]],
    objective: Objective, level: int, positions: Positions,
) -> tuple[dict[str, Array], dict[str, Array]]:  # fmt: skip
    """The losses at one level and, for each direction that has terms there, the gradient in this level's image."""
    terms, count = objective.at_level(level), len(targets.levels)
    grids = grids_of(terms, targets.levels[level])

    def observed(image: Array) -> tuple[Any, ...]:
        return statistics(params, image, terms, objective=objective, positions=positions, grids=grids)

    def compared(results: tuple[Any, ...]) -> dict[str, Array]:
        return compare(results, targets.levels[level], terms)

    to_image: Callable[[tuple[Any, ...]], tuple[Array]]
    to_statistics: Callable[[dict[str, Array]], tuple[tuple[Any, ...]]]
    results, to_image = jax.vjp(observed, image)
    losses, to_statistics = jax.vjp(compared, results)
    gradients: dict[str, Array] = {}
    for name, factors in directions.items():
        if not any(term.name in factors for term in terms):
            continue
        cotangent = {
            term.name: factors[term.name] / (count if term.group == "style" else 1)
            if term.name in factors else jnp.zeros_like(losses[term.name])
            for term in terms
        }  # fmt: skip
        gradients[name] = to_image(*to_statistics(cotangent))[0]
    return losses, gradients


def _combine(levels: list[dict[str, Array]], weights: LossWeights, objective: Objective, n: int) -> Losses:
    """Sums the terms' losses to those of the groups (eq. 4) and to L (eq. 5)."""
    terms: dict[str, Array] = {}
    for term in objective.terms:
        values = [losses[term.name] for losses in levels if term.name in losses]
        terms[term.name] = sum(values[1:], values[0]) / len(values)
    groups: dict[str, Array] = {}
    for term in objective.terms:
        part = _weight(weights.terms, term.name, "terms", n, terms[term.name].dtype) * terms[term.name]
        groups[term.group] = groups[term.group] + part if term.group in groups else part
    total = jnp.zeros(n)
    for group, loss in groups.items():
        total = total + _weight(weights.groups, group, "groups", n, loss.dtype) * loss
    return Losses(total, groups, terms)


def _term_weights(weights: LossWeights, objective: Objective, x: Array) -> dict[str, Array]:
    return {term.name: _weight(weights.terms, term.name, "terms", len(x), x.dtype) for term in objective.terms}


def _group_weights(weights: LossWeights, objective: Objective, x: Array) -> dict[str, Array]:
    return {group: _weight(weights.groups, group, "groups", len(x), x.dtype) for group in objective.groups}


def _weight(weights: Mapping[str, Any], name: str, field: str, n: int, dtype: Any) -> Float[Array, " n"]:
    """One weight an image."""
    if name not in weights:
        raise InputError(f"`LossWeights.{field}` must hold {name!r}, got {sorted(weights)}")
    weight = jnp.asarray(weights[name], dtype)
    if weight.shape not in ((), (n,)):
        raise InputError(f"`LossWeights.{field}` {name!r} must be a number or one an image ({n}), got {weight.shape}")
    return jnp.broadcast_to(weight, (n,))


def _times(weights: Float[Array, " n"], images: Array) -> Array:
    return weights[:, None, None, None] * images


def _unit(gradient: Array) -> Array:
    """Each image's gradient at length 1; one that is zero stays zero."""
    norm = jnp.sqrt(jnp.sum(jnp.square(gradient), (1, 2, 3), keepdims=True))
    return gradient / jnp.where(norm > 0, norm, 1)

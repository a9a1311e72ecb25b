# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The targets of the objective: statistics of the content and the style images, and the weights that suit them."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.errors import InputError
from jnst.losses import neighbours, sliced
from jnst.losses.base import LossWeights, Objective, Targets, default_weights
from jnst.losses.comparisons import relative
from jnst.losses.evaluation import by_term, halvings, statistics
from jnst.losses.observation import Positions
from jnst.losses.sizes import pyramid_levels
from jnst.losses.terms import Term
from jnst.losses.wasserstein import relative_distance
from jnst.network.region import Region
from jnst.network.vgg import Params

UNIT_POWER = 1.5
"""between 0, relative to the painting, and 2, to the photograph: docs/defaults.md"""
LARGEST_UNIT = 4.0
"""so that the busiest painting does not bury the photograph"""
_WITHOUT_UNIT = (relative, relative_distance, sliced.relative_distance, neighbours.distance)
_OWN = "own"  # the source image's mask, which stands for the result's in whatever term


@partial(jax.jit, static_argnames=("name", "objective"))
def target_statistics(
    params: Params,
    image: Float[Array, "n h w 3"],
    name: str,
    *,
    objective: Objective,
    region: Region | None = None,
    mask: Float[Array, "n h w 1"] | None = None,
    result_masks: Mapping[str, Float[Array, "n _h _w 1"]] | None = None,
) -> tuple[dict[str, Any], ...]:
    """Computes the target statistics of one image, always in float32 and without recomputation.

    Args:
        params: parameters of VGG-16 or VGG-19.
        image: RGB in [0, 1].
        name: what the terms call it: "content", "style", "style:1", ...
        objective: its terms of that target are meant.
        region: which part of the array is image; all of it by default.
        mask: which part of this image is meant, weights in [0, 1]; all of it by default.
        result_masks: the masks of the result, which the terms of a content image are given where it has no own one: it
            has the result's size and place.

    Returns:
        Statistics by the term's name, at each level of the pyramid, the largest first: at
        `objective.style_pyramid_levels` levels for a style, at one for a content image.

    Raises:
        InputError: an unknown layer, an image too small for it, or a tile smaller than the receptive field.
    """
    is_style = name.split(":")[0] == "style"
    # a painting has edges; what the result keeps of the photograph has none where its own do not
    tileable = "no" if is_style else objective.tileable
    objective = replace(objective, precision="float32", checkpoint=False, tileable=tileable)
    terms = tuple(term for term in objective.terms if term.target == name)
    keep_masks = mask is None and not is_style and result_masks is not None
    asked = tuple(replace(term, mask=term.mask if keep_masks else _OWN if mask is not None else None) for term in terms)
    masks = (result_masks or {}) if keep_masks else {} if mask is None else {_OWN: mask}
    count = objective.style_pyramid_levels if is_style else 1
    levels: list[dict[str, Any]] = []
    for small, positions in halvings(image, Positions(region, masks), count, tileable=tileable):
        grids = _survey(params, small, asked, objective, positions)
        results = statistics(params, small, asked, objective=objective, positions=positions, grids=grids)
        found = by_term(results, asked)
        levels.append(found | {name: {"grid": grid, "observed": found[name]} for name, grid in grids.items()})
    return tuple(levels)


def _survey(
    params: Params, image: Array, terms: tuple[Term, ...], objective: Objective, positions: Positions
) -> dict[str, Any]:
    """The grids of the terms that have a survey, from a first look at the image."""
    makers = {term.name: term.grid for term in terms if term.grid is not None}
    asked = tuple(
        replace(term, observe=term.survey, reduce="sum", finish=None, survey=None, grid=None)
        for term in terms
        if term.survey is not None
    )
    results = statistics(params, image, asked, objective=objective, positions=positions)
    return {name: makers[name](found) for name, found in by_term(results, asked).items()}


@partial(jax.jit, static_argnames="objective")
def match_targets(
    params: Params,
    start: Float[Array, "n h w 3"],
    targets: Targets,
    *,
    objective: Objective,
    region: Region | None = None,
) -> Targets:
    """Completes the targets that depend on the image that a scale starts with (`Term.match`).

    Args:
        params: parameters of VGG-16 or VGG-19.
        start: that image, RGB in [0, 1].
        targets: from `join_targets`.
        objective: what is minimised.
        region: which part of the array is image; all of it by default.

    Returns:
        The targets; as they were where no term asks for it.
    """
    objective = replace(objective, precision="float32", checkpoint=False)
    levels: list[dict[str, Any]] = []
    images = halvings(start, Positions(region, targets.masks), len(targets.levels), tileable=objective.tileable)
    for level, ((image, positions), found) in enumerate(zip(images, targets.levels, strict=True)):
        terms = tuple(term for term in objective.at_level(level) if term.match is not None)
        of_start = by_term(statistics(params, image, terms, objective=objective, positions=positions), terms)
        matched = {term.name: term.match(found[term.name], of_start[term.name]) for term in terms if term.match}
        levels.append({**found, **matched})
    return targets._replace(levels=tuple(levels))


@partial(jax.jit, static_argnames="objective")
def content_statistics(
    params: Params, image: Float[Array, "n h w 3"], *, objective: Objective, region: Region | None = None
) -> tuple[tuple[dict[str, Any], ...], dict[str, Float[Array, " n"]]]:
    """Computes the target statistics of a content image, and how large its own statistics of style are.

    Args:
        params: parameters of VGG-16 or VGG-19.
        image: RGB in [0, 1].
        objective: all of its terms that have a target are meant.
        region: which part of the array is image; all of it by default.

    Returns:
        What `target_statistics` returns for "content", and by the name of each style term the norm of the statistics
        that it would compare, at the image's own size.

    Raises:
        InputError: as `target_statistics`.
    """
    own = tuple(term for term in objective.terms if term.group == "style" and term.match is None)
    terms = tuple(replace(term, target="content", mask=None) for term in own)
    everything = replace(objective, terms=(*(term for term in objective.terms if term.group != "style"), *terms))
    (found,) = target_statistics(params, image, "content", objective=everything, region=region)
    style = {term.name: term.size for term in own}
    norms = {name: jnp.sqrt(size(found[name])) for name, size in style.items()}
    return ({name: value for name, value in found.items() if name not in style},), norms


@partial(jax.jit, static_argnames="objective")
def style_units(
    targets: Targets, norms: Mapping[str, Float[Array, " n"]], *, objective: Objective
) -> dict[str, Float[Array, " n"]]:
    """Computes the factors that make style losses relative to the photograph, too.

    A loss relative to the painting alone, `|G - A|^2 / |A|^2`, is many times larger at layers where the photograph is
    busier than the painting: those rule the picture, conv5_1 first, which copies the painting's objects.

    Args:
        targets: with the paintings' statistics A.
        norms: of the photograph's own, `|P|`, from `content_statistics`.
        objective: whose terms say how large statistics are.

    Returns:
        By the term's name `(|A| / |P|)^UNIT_POWER` of each image, at most `LARGEST_UNIT`: the loss becomes
        `|G - A|^2 / (|A|^{1/2} |P|^{3/2})`; 1 where either is 0.
    """
    units: dict[str, Array] = {}
    sizes = {term.name: term.size for term in objective.terms}
    for name, norm in norms.items():
        ratio = jnp.sqrt(sizes[name](targets.levels[0][name])) / norm
        unit = jnp.where((ratio > 0) & jnp.isfinite(ratio), ratio, 1) ** UNIT_POWER
        units[name] = jnp.minimum(unit, LARGEST_UNIT)
    return units


def join_targets(
    parts: Mapping[str, tuple[dict[str, Any], ...]], *, masks: Mapping[str, Float[Array, "n h w 1"]] | None = None
) -> Targets:
    """Joins the target statistics of all source images.

    Args:
        parts: from `target_statistics`, by the image's name; the styles with equally many levels.
        masks: of the result, at its size, weights in [0, 1].

    Returns:
        The targets of `value_and_grad`.

    Raises:
        InputError: styles with unequally many levels.
    """
    counts = {name: len(levels) for name, levels in parts.items() if name.split(":")[0] == "style"}
    if len(set(counts.values())) > 1:
        raise InputError(f"`parts` must have as many levels for every style, got {counts}")
    count = max(counts.values(), default=1)
    levels: tuple[dict[str, Any], ...] = tuple({} for _ in range(count))
    for part in parts.values():
        for level, statistics_ in zip(levels, part, strict=False):  # content has one level only
            level.update(statistics_)
    return Targets(levels, dict(masks or {}))


def targets(
    params: Params,
    images: Mapping[str, Float[Array, "n _h _w 3"]],
    *,
    objective: Objective,
    regions: Mapping[str, Region] | None = None,
    masks: Mapping[str, Float[Array, "n h w 1"]] | None = None,
    source_masks: Mapping[str, Float[Array, "n _h _w 1"]] | None = None,
    start: Float[Array, "n h w 3"] | None = None,
) -> Targets:
    """Computes the targets of an objective from all images that it names; these may differ in size.

    Args:
        params: parameters of VGG-16 or VGG-19.
        images: RGB in [0, 1], by the names that the terms have for them: "content", "style", "style:1", ...
        objective: what is minimised; as many levels as its `style_pyramid_levels`, but none with a side below 32.
        regions: by the same names, which part of the arrays is image, from the first pixel on; all of it by default.
        masks: of the result, by name, at its size, weights in [0, 1].
        source_masks: by the names of the images, which part of each is meant; all of it by default.
        start: what is to be changed, for terms whose target depends on it; the content image by default.

    Returns:
        The targets of `value_and_grad`.

    Raises:
        InputError: an image that is missing, an unknown layer, an image too small for it, a tile smaller than the
            receptive field, a mask that is missing or of another size than the image.
    """
    regions, source_masks = regions or {}, source_masks or {}
    missing = [name for name in objective.sources if name not in images]
    if missing:
        raise InputError(f"`images` must hold {', '.join(missing)}, which terms are compared with, got {list(images)}")
    for name, mask in source_masks.items():
        if mask.shape[1:3] != images[name].shape[1:3]:
            raise InputError(f"the mask of {name} must have its size, got {mask.shape} for {images[name].shape}")
    shortest = min((side for image in images.values() for side in image.shape[1:3]), default=0)
    objective = replace(objective, style_pyramid_levels=pyramid_levels(shortest, objective.style_pyramid_levels))
    parts: dict[str, tuple[dict[str, Any], ...]] = {
        name: target_statistics(
            params, images[name], name, objective=objective,
            region=regions.get(name), mask=source_masks.get(name), result_masks=masks,
        )
        for name in objective.sources
    }  # fmt: skip
    joined = join_targets(parts, masks=masks)
    if not any(term.match for term in objective.terms):
        return joined
    start = images.get("content") if start is None else start
    if start is None:
        raise InputError("`start` must be given for terms whose target depends on it, where there is no content image")
    return match_targets(params, start, joined, objective=objective, region=regions.get("content"))


@partial(jax.jit, static_argnames="objective")
def balance(
    targets: Targets, strength: Float[Array, ""] | float, *, objective: Objective, region: Region | None = None
) -> LossWeights:
    """Finds alpha and beta of eq. 5 for a strength r in [0, 1] that has no unit: `L = (1 - r) L_c + r L_s`.

    A group whose terms are all compared by `relative` is taken as it is. Others have the unit of the weight file, so
    each is divided by what it would be if all its statistics were zero; averaged over a batch.

    Args:
        targets: from `targets`.
        strength: r.
        objective: what is minimised.
        region: not needed, since the statistics know what part of the image they are of; every function of the
            objective takes it.

    Returns:
        The terms' own weights; 1 - r for content, r for style, 1 for the terms without a target.
    """
    del region
    weights = default_weights(objective)
    groups = dict(weights.groups)
    for group, share in (("content", 1 - jnp.asarray(strength)), ("style", jnp.asarray(strength))):
        terms = [term for term in objective.terms if term.group == group]
        if terms:
            unit = 1.0 if all(term.compare in _WITHOUT_UNIT for term in terms) else _loss_of_zero(targets, tuple(terms))
            groups[group] = share / jnp.where(unit > 0, unit, 1)  # 0: nothing to be matched
    return LossWeights(groups, weights.terms)


def _loss_of_zero(targets: Targets, terms: tuple[Any, ...]) -> Array:
    """The group's loss, mean over the levels, if all statistics of the result were zero."""
    levels = targets.levels if terms[0].group == "style" else targets.levels[:1]
    total = jnp.zeros(())
    for level in levels:
        for term in terms:
            observed = level[term.name]["observed"] if term.survey else level[term.name]
            zero = jax.tree.map(_zeros_like, observed)
            total = total + term.weight * jnp.mean(term.compare(zero, level[term.name])) / len(levels)
    return total


def _zeros_like(leaf: Array) -> Array:
    return jnp.zeros_like(leaf)

# pyright: reportUnknownMemberType=false
"""The terms at one level of the pyramid: from an image to its statistics, from statistics to each term's loss."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Array, Float

from jnst import sharding
from jnst.errors import InputError
from jnst.losses.base import Objective
from jnst.losses.observation import Observation, Positions, observation, observations, observe_layers
from jnst.losses.pyramid import halve
from jnst.losses.terms import Term
from jnst.losses.windows import observe_by_windows
from jnst.network.architecture import PIXELS, Tileable, stride_of
from jnst.network.region import Region
from jnst.network.vgg import Params


def statistics(
    params: Params,
    x: Float[Array, "n h w 3"],
    terms: tuple[Term, ...],
    *,
    objective: Objective,
    positions: Positions,
    grids: Mapping[str, Any] | None = None,
) -> tuple[Any, ...]:
    """Computes the finished statistics that the terms compare, as each stands in `observations(terms)`.

    Args:
        params: parameters of VGG-16 or VGG-19.
        x: RGB in [0, 1], at this level's size, zero beyond its region.
        terms: those that are compared at this level.
        objective: how the network is run.
        positions: which of them count, at this level's size.
        grids: of the terms that have a survey, by their names.

    Returns:
        One pytree an observation.

    Raises:
        InputError: an unknown layer, an image too small for it, a mask that is missing, a tile that cannot be.
    """
    requests, grids = observations(terms), grids or {}
    by_network = tuple(request for request in requests if not request.of_pixels)
    observed = dict(zip(by_network, _observe(params, x, by_network, objective, positions, grids), strict=True))
    for request in requests:
        if request.of_pixels:  # on the whole image, outside windows
            observed[request] = request.make((x,), (positions.weights(x.shape, PIXELS, request.mask),), grids)

    def totals(request: Observation) -> tuple[Array, ...]:
        return tuple(positions.total(x.shape, layer, request.mask, x.dtype) for layer in request.layers)

    return tuple(request.finish(observed[request], totals(request)) for request in requests)


def by_term(results: tuple[Any, ...], terms: tuple[Term, ...]) -> dict[str, Any]:
    """Returns the statistics of each term by its name.

    Args:
        results: from `statistics`, of the same terms.
        terms: those that were observed.
    """
    index = {request: k for k, request in enumerate(observations(terms))}
    return {term.name: results[index[observation(term)]] for term in terms}


def halvings(
    image: Float[Array, "n h w c"], positions: Positions, count: int, *, tileable: Tileable = "no"
) -> list[tuple[Float[Array, "n _h _w c"], Positions]]:
    """Returns an image and its halvings, each with the positions that count.

    Args:
        image: the largest.
        positions: of it.
        count: of all of them.
        tileable: along which axes the image goes on at its opposite edge.
    """
    levels = [(image, positions)]
    for _ in range(count - 1):
        image, positions = halve(image, region=positions.region, tileable=tileable), positions.halved()
        levels.append((image, positions))
    return levels


def grids_of(terms: tuple[Term, ...], targets: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the grids in the targets of terms that have a survey, by the term's name.

    Args:
        terms: those that are compared.
        targets: target statistics by the term's name.
    """
    return {term.name: targets[term.name]["grid"] for term in terms if term.survey and term.name in targets}


def _observe(
    params: Params, x: Array, requests: tuple[Observation, ...], objective: Objective, positions: Positions,
    grids: Mapping[str, Any],
) -> tuple[Any, ...]:  # fmt: skip
    """Chooses how the network is run: at once, split over devices, or by windows."""
    if not requests:
        return ()
    options = {
        "pooling": objective.pooling, "precision": objective.precision, "checkpoint": objective.checkpoint,
        "tileable": objective.tileable,
    }  # fmt: skip
    if objective.tile and max(x.shape[1:3]) > objective.tile:
        return observe_by_windows(
            params, x, requests, tile=objective.tile, positions=positions, options=options, grids=grids
        )
    if objective.mesh is not None:
        return _observe_split(params, x, requests, objective, positions, options, grids)

    def view(maps: Array, layer: str, request: Observation) -> tuple[Array, Array | None]:
        return maps, positions.weights(maps.shape, layer, request.mask)

    return observe_layers(params, x, requests, view, region=positions.region, options=options, grids=grids)


def _observe_split(
    params: Params, x: Array, requests: tuple[Observation, ...], objective: Objective, positions: Positions,
    options: Mapping[str, Any], grids: Mapping[str, Any],
) -> tuple[Any, ...]:  # fmt: skip
    """Runs the network with its rows split over devices; rows of zeros below share them out evenly."""
    assert objective.mesh is not None
    n, height, width, _ = x.shape
    unit = max(stride_of(layer) for request in requests for layer in request.layers)
    x = sharding.split(x, objective.mesh, unit)
    padded = Positions(
        Region.full(n, height, width) if positions.region is None else positions.region,
        {name: sharding.split(mask, objective.mesh, unit) for name, mask in positions.masks.items()},
    )

    def view(maps: Array, layer: str, request: Observation) -> tuple[Array, Array | None]:
        if request.reduce == "sum":
            return maps, padded.weights(maps.shape, layer, request.mask)
        maps = maps[:, : height // stride_of(layer)]
        return maps, positions.weights(maps.shape, layer, request.mask)

    return observe_layers(params, x, requests, view, region=padded.region, options=options, grids=grids)


def compare(
    results: tuple[Any, ...], targets: Mapping[str, Any], terms: tuple[Term, ...]
) -> dict[str, Float[Array, " n"]]:
    """Compares the statistics of the result with the terms' targets.

    Args:
        results: from `statistics`, of the same terms.
        targets: target statistics by the term's name.
        terms: those that are compared.

    Returns:
        E_l of each image, by the term's name.

    Raises:
        InputError: a target that is missing.
    """
    found = by_term(results, terms)
    losses: dict[str, Array] = {}
    for term in terms:
        if term.target is not None and term.name not in targets:
            raise InputError(f"`targets` must hold term {term.name!r}: make them for the same objective")
        target = None if term.target is None else targets[term.name]
        losses[term.name] = term.compare(found[term.name], target)
    return losses

# pyright: reportUnknownMemberType=false
"""What the terms ask of the network, each thing once, and which positions of the maps count.

Terms that ask for the same statistic of the same layers share one `Observation` (several styles, one image).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Shaped

from jnst.errors import InputError
from jnst.losses.terms import Finish, Observe, Reduce, Term
from jnst.network import vgg
from jnst.network.architecture import PIXELS, stride_of
from jnst.network.region import Region


class Observation(NamedTuple):
    """One statistic of the image, static: the fields of a `Term` that say how it is made."""

    layers: tuple[str, ...]
    observe: Observe
    reduce: Reduce
    finish: Finish
    mask: str | None
    grid: str | None = None
    """the term whose target's grid `observe` gets as a third argument"""

    @property
    def of_pixels(self) -> bool:
        """Says whether it is made of the image itself, without the network."""
        return self.layers == (PIXELS,)

    def make(self, maps: tuple[Array, ...], weights: tuple[Array | None, ...], grids: Mapping[str, Any]) -> Any:
        """Returns what `observe` gives.

        Args:
            maps: of the layers.
            weights: of their positions.
            grids: by the names that observations have for them.
        """
        return self.observe(maps, weights, *(() if self.grid is None else (lax.stop_gradient(grids[self.grid]),)))


def observation(term: Term) -> Observation:
    """Returns what a term observes; equal for terms that differ in comparison, weight, target or name alone.

    Args:
        term: with its defaults filled in, as every term has them.
    """
    assert term.finish is not None  # set by Term.__post_init__
    grid = None if term.survey is None else term.name
    return Observation(term.layers, term.observe, term.reduce, term.finish, term.mask, grid)


def observations(terms: Iterable[Term]) -> tuple[Observation, ...]:
    """Returns what the terms observe, each thing once, in the order of the terms.

    Args:
        terms: of one objective.
    """
    return tuple(dict.fromkeys(map(observation, terms)))


def pool_mask(mask: Float[Array, "n h w 1"], stride: int) -> Float[Array, "n _h _w 1"]:
    """Averages a mask over squares of stride x stride pixels: from the image's size to that of a layer's map.

    Args:
        mask: weights of pixels.
        stride: of the layer, in pixels (`architecture.stride_of`).

    Returns:
        Weights of positions, floor(h / stride) x floor(w / stride).
    """
    n, height, width = mask.shape[0], mask.shape[1] // stride, mask.shape[2] // stride
    squares = mask[:, : height * stride, : width * stride].reshape(n, height, stride, width, stride, 1)
    return jnp.mean(squares, (2, 4))


class Positions(NamedTuple):
    """Which positions of an image's maps count, and how much: its region (None: all) and the masks, at its size."""

    region: Region | None
    masks: Mapping[str, Float[Array, "n h w 1"]]

    def weights(self, shape: tuple[int, ...], layer: str, mask: str | None) -> Shaped[Array, "n h w 1"] | None:
        """Returns the weights of a layer's positions, as `Term.observe` gets them.

        Args:
            shape: of the layer's map, (n, h, w, c).
            layer: a name `convB_I`, or "pixels".
            mask: name of a mask, or None.

        Raises:
            InputError: an unknown mask.
        """
        stride = stride_of(layer)
        inside = None if self.region is None else self.region.mask(shape, stride)
        if mask is None:
            return inside
        pooled = pool_mask(self._mask(mask), stride)
        return pooled if inside is None else pooled * inside

    def total(self, image_shape: tuple[int, ...], layer: str, mask: str | None, dtype: Any) -> Float[Array, " n"]:
        """Returns the sum of the weights of a layer's positions.

        Args:
            image_shape: (n, h, w, 3).
            layer: a name `convB_I`, or "pixels".
            mask: name of a mask, or None.
            dtype: of the result.

        Raises:
            InputError: an unknown mask.
        """
        (n, height, width), stride = image_shape[:3], stride_of(layer)
        if mask is not None:
            weights = self.weights((n, height // stride, width // stride, 1), layer, mask)
            assert weights is not None
            return jnp.sum(weights, (1, 2, 3), dtype=dtype)
        if self.region is not None:
            return self.region.positions(stride).astype(dtype)
        return jnp.full(n, (height // stride) * (width // stride), dtype)

    def halved(self) -> "Positions":
        """Returns those of the halved image (`pyramid.halve`)."""
        region = None if self.region is None else self.region.halved()
        return Positions(region, {name: pool_mask(mask, 2) for name, mask in self.masks.items()})

    def _mask(self, name: str) -> Array:
        if name not in self.masks:
            raise InputError(f"`masks` must hold {name!r}, which a term names, got {sorted(self.masks) or 'none'}")
        return lax.stop_gradient(self.masks[name])  # a constant, which the derivatives of `scheduling` close over


View = Callable[[Array, str, Observation], tuple[Array, Array | None]]
"""`(map, layer, observation) -> (the part of the map that counts, the weights of its positions)`"""


def observe_layers(
    params: vgg.Params,
    x: Float[Array, "n h w 3"],
    requests: tuple[Observation, ...],
    view: View,
    *,
    region: Region | None,
    options: Mapping[str, Any],
    grids: Mapping[str, Any],
) -> tuple[Any, ...]:
    """Runs the network once and makes every observation, none of them finished yet.

    An observation of one layer is made inside the network, so that the map need not outlive it; one of several layers
    after the forward pass.

    Args:
        params: parameters of VGG-16 or VGG-19.
        x: RGB in [0, 1].
        requests: what is observed, none of it of pixels.
        view: which part of a map counts, and how much.
        region: which part of the array is image; all of it by default.
        options: more for `vgg.observe`.
        grids: by the names that the requests have for them.

    Returns:
        What each `observe` gives, in the order of the requests.

    Raises:
        InputError: an unknown layer, or an image too small for it.
    """

    def make(request: Observation, maps: tuple[Array, ...]) -> Any:
        views = [view(part, layer, request) for part, layer in zip(maps, request.layers, strict=True)]
        return request.make(tuple(part for part, _ in views), tuple(weights for _, weights in views), grids)

    def reader(layer: str) -> vgg.Reader:
        alone = [k for k, request in enumerate(requests) if request.layers == (layer,)]
        shared = any(layer in request.layers and len(request.layers) > 1 for request in requests)
        return lambda maps: ({k: make(requests[k], (maps,)) for k in alone}, maps if shared else None)

    layers = dict.fromkeys(layer for request in requests for layer in request.layers)
    readings = vgg.observe(params, x, {layer: reader(layer) for layer in layers}, region=region, **options)
    results = {k: result for singles, _ in readings.values() for k, result in singles.items()}
    for k, request in enumerate(requests):
        if k not in results:
            results[k] = make(request, tuple(readings[layer][1] for layer in request.layers))
    return tuple(results[k] for k in range(len(requests)))

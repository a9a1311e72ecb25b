# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Statistics of an image too large for the memory: exactly those of the whole image, window by window.

A map's value depends on the pixels within the receptive field only. So the image is cut into overlapping windows, and
of each window only the core counts, from whose maps no window's edge is seen; beyond the image the maps are zero, as
VGG's padding is. What is a sum over positions is summed over the cores, what has one value a position is put together
from them. For the gradient every window is computed once more, with the gradient in the statistics at hand.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Shaped

from jnst.errors import InputError
from jnst.losses.observation import Observation, Positions, observe_layers
from jnst.network.architecture import detect, layer_names, stride_of
from jnst.network.conv import instantiate_zeros
from jnst.network.region import Region
from jnst.network.vgg import Params

Options = tuple[tuple[str, Any], ...]
Weights = Mapping[tuple[str, str], Array]
"""of positions, by mask and layer, padded to whole cores"""


class Given(NamedTuple):
    """What observations are given beside the maps."""

    weights: Weights
    grids: Mapping[str, Any]
    """by the names that the requests have for them"""


@dataclass(frozen=True)
class Windows:
    """How an image is cut, in pixels: windows of `core + 2 margin` a side, whose cores lie beside each other."""

    height: int
    width: int
    core: int
    margin: int

    @property
    def rows(self) -> int:
        """Windows one below another."""
        return -(-self.height // self.core)

    @property
    def columns(self) -> int:
        """Windows side by side."""
        return -(-self.width // self.core)

    @property
    def count(self) -> int:
        """All windows."""
        return self.rows * self.columns

    def pad(self, x: Float[Array, "n h w c"]) -> Float[Array, "n _h _w c"]:
        """Lays zeros around images, so that every window lies inside.

        Args:
            x: whole images.

        Returns:
            The padded images.
        """
        bottom, right = self.rows * self.core - self.height, self.columns * self.core - self.width
        return jnp.pad(x, ((0, 0), (self.margin, self.margin + bottom), (self.margin, self.margin + right), (0, 0)))

    def unpad(self, padded: Float[Array, "n _h _w c"]) -> Float[Array, "n h w c"]:
        """Takes the zeros of `pad` away again.

        Args:
            padded: from `pad`.

        Returns:
            The images.
        """
        return padded[:, self.margin : self.margin + self.height, self.margin : self.margin + self.width]

    def corner(self, k: Int[Array, ""], *, stride: int = 1) -> tuple[Array, Array]:
        """Returns row and column of a window's core in the image's maps; of the window itself in the padded image.

        Args:
            k: the window.
            stride: of the maps, in pixels; 1 for the image.
        """
        return k // self.columns * self.core // stride, k % self.columns * self.core // stride

    def slice(self, padded: Float[Array, "n _h _w c"], k: Int[Array, ""]) -> Float[Array, "n side side c"]:
        """Cuts a window out of padded images.

        Args:
            padded: from `pad`.
            k: the window.

        Returns:
            Its pixels.
        """
        side, (n, _, _, c) = self.core + 2 * self.margin, padded.shape
        return lax.dynamic_slice(padded, (0, *self.corner(k), 0), (n, side, side, c))

    def region(self, whole: Region, k: Int[Array, ""]) -> Region:
        """Returns the region of a window.

        Args:
            whole: that of the image.
            k: the window.
        """
        top, left = self.corner(k)
        return whole._replace(top=whole.top + top - self.margin, left=whole.left + left - self.margin)

    def inner(self, maps: Shaped[Array, "n h w c"], stride: int) -> Shaped[Array, "n _h _w c"]:
        """Cuts the core out of a window's map.

        Args:
            maps: of the window.
            stride: of the map, in pixels.

        Returns:
            The positions of the core.
        """
        core = slice(self.margin // stride, (self.margin + self.core) // stride)
        return maps[:, core, core]

    def assembled(self, part: tuple[int, ...], stride: int) -> tuple[int, ...]:
        """Returns the shape of the array in which the parts of all cores lie beside each other.

        Args:
            part: shape of one, (n, rows, columns, ...).
            stride: of the positions, in pixels.
        """
        return part[0], self.rows * self.core // stride, self.columns * self.core // stride, *part[3:]

    def place(self, array: Array, part: Array, stride: int, k: Int[Array, ""]) -> Array:
        """Writes one core's part into the array that is put together of all of them.

        Args:
            array: of the shape `assembled`.
            part: (n, rows, columns, ...).
            stride: of the positions, in pixels.
            k: the window.

        Returns:
            The array with the part.
        """
        return lax.dynamic_update_slice(array, part, (0, *self.corner(k, stride=stride), *(0,) * (part.ndim - 3)))

    def take(self, array: Array, shape: tuple[int, ...], stride: int, k: Int[Array, ""]) -> Array:
        """Reads one core's part from the array that is put together of all of them.

        Args:
            array: of the shape `assembled`.
            shape: of the part.
            stride: of the positions, in pixels.
            k: the window.

        Returns:
            The part.
        """
        return lax.dynamic_slice(array, (0, *self.corner(k, stride=stride), *(0,) * (len(shape) - 3)), shape)

    def fill(self, array: Array, stride: int) -> Array:
        """Lays zeros beyond an array that has one value a position, up to whole cores.

        Args:
            array: (n, h / stride, w / stride, ...), of the whole image.
            stride: of the positions, in pixels.

        Returns:
            An array of the shape `assembled`.
        """
        whole = self.assembled(array.shape, stride)
        return jnp.pad(array, [(0, new - old) for new, old in zip(whole, array.shape, strict=True)])


def receptive_radius(architecture: str, layers: Iterable[str]) -> int:
    """Tells how far a value of the deepest of these layers looks to the right, to the left a little less.

    Args:
        architecture: "vgg16" or "vgg19".
        layers: names `convB_I`.

    Returns:
        Pixels.
    """
    names = layer_names(architecture)
    radius, step = 0, 1
    for name in names[: 1 + max(map(names.index, layers))]:
        if stride_of(name) > step:  # after a pooling, whose window reaches one step on
            radius, step = radius + step, 2 * step
        radius += step
    return radius


def grid(height: int, width: int, tile: int, architecture: str, layers: Sequence[str]) -> Windows:
    """Cuts an image into windows of at most `tile` pixels a side.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        tile: side of a window, in pixels.
        architecture: "vgg16" or "vgg19".
        layers: all that are observed.

    Returns:
        The windows.

    Raises:
        InputError: a window that is smaller than the receptive field.
    """
    unit = max(map(stride_of, layers))  # cores must lie on whole positions of the deepest maps
    radius = receptive_radius(architecture, layers)
    margin = -(-radius // unit) * unit
    core = (tile - 2 * margin) // unit * unit
    if core <= 0:
        need, deepest = 2 * margin + unit, max(layers)
        raise InputError(
            f"`tile` {tile} is smaller than the receptive field of {deepest}: at least {need}, or 0 for none"
        )
    return Windows(height, width, core, margin)


def observe_by_windows(
    params: Params,
    x: Float[Array, "n h w 3"],
    requests: tuple[Observation, ...],
    *,
    tile: int,
    positions: Positions,
    options: Mapping[str, Any],
    grids: Mapping[str, Any],
) -> tuple[Any, ...]:
    """Makes the observations of `observation.observe_layers` by windows, which keep nothing but x for the gradient.

    Args:
        params: parameters of VGG-16 or VGG-19; the gradient in them is refused.
        x: RGB in [0, 1].
        requests: what is observed, each a sum over positions or one value a position.
        tile: side of a window in pixels.
        positions: which of them count.
        options: more for `vgg.observe`.
        grids: by the names that the requests have for them.

    Returns:
        What each `observe` gives for the whole image, in the order of the requests.

    Raises:
        InputError: a window that is smaller than the receptive field, an observation of the whole image.
    """
    n, height, width, _ = x.shape
    layers = tuple(dict.fromkeys(layer for request in requests for layer in request.layers))
    for request in requests:
        if request.reduce == "whole":
            raise InputError(f"`tile` must be 0 for a term with reduce='whole', here of {', '.join(request.layers)}")
    windows = grid(height, width, tile, detect(params), layers)
    weights = {}
    for mask, layer in {(request.mask, layer) for request in requests for layer in request.layers if request.mask}:
        stride = stride_of(layer)
        of_layer = positions.weights((n, height // stride, width // stride, 1), layer, mask)
        assert of_layer is not None  # there is a mask
        weights[mask, layer] = windows.fill(of_layer, stride)
    region = Region.full(n, height, width) if positions.region is None else positions.region
    return _observe(windows, requests, tuple(sorted(options.items())), params, x, region, Given(weights, grids))


def _observe_one(
    windows: Windows, requests: tuple[Observation, ...], options: Options,
    params: Params, pixels: Array, k: Array, whole: Region, given: Given,
) -> tuple[Any, ...]:  # fmt: skip
    """The core's part of every observation, from window k."""
    region = windows.region(whole, k)

    def view(maps: Array, layer: str, request: Observation) -> tuple[Array, Array]:
        stride = stride_of(layer)
        core = windows.inner(maps, stride)
        if request.mask is None:
            return core, windows.inner(region.mask(maps.shape, stride), stride)
        return core, windows.take(given.weights[request.mask, layer], (*core.shape[:3], 1), stride, k)

    return observe_layers(params, pixels, requests, view, region=region, options=dict(options), grids=given.grids)


def _observe_all(
    windows: Windows, requests: tuple[Observation, ...], options: Options,
    params: Params, x: Array, region: Region, given: Given,
) -> tuple[Any, ...]:  # fmt: skip
    """Every observation of the whole image, put together window after window."""
    padded = windows.pad(x)
    strides = [stride_of(request.layers[0]) for request in requests]

    def part(k: Array) -> tuple[Any, ...]:
        return _observe_one(windows, requests, options, params, windows.slice(padded, k), k, region, given)

    def add(wholes: tuple[Any, ...], k: Array) -> tuple[tuple[Any, ...], None]:
        sums: list[Any] = []
        for request, stride, whole, new in zip(requests, strides, wholes, part(k), strict=True):
            join = jnp.add if request.reduce == "sum" else partial(_place, windows, stride, k)
            sums.append(jax.tree.map(join, whole, new))
        return tuple(sums), None

    def empty(request: Observation, stride: int, leaf: Any) -> Array:
        return jnp.zeros(leaf.shape if request.reduce == "sum" else windows.assembled(leaf.shape, stride), leaf.dtype)

    def crop(request: Observation, stride: int, leaf: Array) -> Array:
        return leaf if request.reduce == "sum" else leaf[:, : windows.height // stride, : windows.width // stride]

    shapes = jax.eval_shape(part, jax.ShapeDtypeStruct((), jnp.int32))
    start = tuple(jax.tree.map(partial(empty, *key), s) for *key, s in zip(requests, strides, shapes, strict=True))
    wholes, _ = lax.scan(add, start, jnp.arange(windows.count))
    return tuple(jax.tree.map(partial(crop, *key), s) for *key, s in zip(requests, strides, wholes, strict=True))


def _place(windows: Windows, stride: int, k: Array, whole: Array, part: Array) -> Array:
    return windows.place(whole, part, stride, k)


_observe = jax.custom_vjp(_observe_all, nondiff_argnums=(0, 1, 2))


def _forward(
    windows: Windows, requests: tuple[Observation, ...], options: Options,
    params: Any, x: Any, region: Any, given: Any,
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:  # fmt: skip
    primal = partial(jax.tree.map, _value, is_leaf=_is_primal)
    if any(leaf.perturbed for leaf in jax.tree.leaves(params, is_leaf=_is_primal)):
        raise InputError("`tile` must be 0 for a gradient in the network's parameters, which windows do not know")
    arguments = primal(params), x.value, primal(region), primal(given)
    return _observe_all(windows, requests, options, *arguments), arguments


def _value(leaf: Any) -> Any:
    return leaf.value


def _is_primal(leaf: Any) -> bool:
    return hasattr(leaf, "perturbed")


def _backward(
    windows: Windows, requests: tuple[Observation, ...], options: Options,
    arguments: tuple[Params, Array, Region, Given], cotangents: tuple[Any, ...],
) -> tuple[None, Array, None, None]:  # fmt: skip
    """The gradient in x, one window after another, each computed once more."""
    params, x, region, given = arguments
    padded, strides = windows.pad(x), [stride_of(request.layers[0]) for request in requests]
    cotangents = jax.tree.map(instantiate_zeros, cotangents, is_leaf=lambda g: hasattr(g, "shape"))
    cotangents = tuple(
        g if request.reduce == "sum" else jax.tree.map(partial(windows.fill, stride=stride), g)
        for request, stride, g in zip(requests, strides, cotangents, strict=True)
    )

    def add(total: Array, k: Array) -> tuple[Array, None]:
        def observed(pixels: Array) -> tuple[Any, ...]:
            return _observe_one(windows, requests, options, params, pixels, k, region, given)

        def take(part: Array, g: Array, *, stride: int) -> Array:
            return windows.take(g, part.shape, stride, k)

        pull_back: Callable[[tuple[Any, ...]], tuple[Array]]
        parts, pull_back = jax.vjp(observed, windows.slice(padded, k))
        of_window = tuple(
            g if request.reduce == "sum" else jax.tree.map(partial(take, stride=stride), part, g)
            for request, stride, part, g in zip(requests, strides, parts, cotangents, strict=True)
        )  # fmt: skip
        gradient = pull_back(of_window)[0] + windows.slice(total, k)
        return lax.dynamic_update_slice(total, gradient, (0, *windows.corner(k), 0)), None

    total, _ = lax.scan(add, jnp.zeros_like(padded), jnp.arange(windows.count))
    return None, windows.unpad(total), None, None


_observe.defvjp(_forward, _backward, symbolic_zeros=True)

"""For each place of a texture the place of its source that is most like it, as a field of places.

First all places are compared with all by deep features (Liao et al., "Visual Attribute Transfer through Deep Image
Analogy", 2017), of images reduced to at most 512 pixels, so that time and memory are bounded; then each place takes
that of a neighbour, or moves by some pixels, where the colours of its patch are nearer there (PatchMatch, Barnes et al.
2009), up to the full size.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jnst.io.image import resize
from jnst.io.weights import Weights
from jnst.losses.neighbours import columns
from jnst.network.architecture import Tileable, stride_of, wrapped_axes
from jnst.network.vgg import Params, features

AnySize = Float[np.ndarray, "1 _h _w 3"]
"""an image in [0, 1], whose size need not be another's"""
Field = Int[np.ndarray, "_rows _columns 2"]
"""of each cell of the result, the (y, x) of the source's pixel that its first pixel is taken from"""
CELL = 4
"""pixels a side: the stride of conv3_1, by which places are looked for"""
REACH = 4
"""pixels around a cell that belong to its patch"""
PATCH = CELL + 2 * REACH
_LAYERS = ("conv3_1", "conv2_1", "conv4_1")
_MARGIN = 32
"""pixels that go on beyond an image's edges while the network looks at it; a multiple of all strides"""
_LONGEST = 512
"""pixels of the longer side at which all places are compared with all; finer ones are found near those"""
_CHUNK = 2**22
"""cosines that are held at a time"""
_ROUNDS = 2
Size = tuple[int, int]
"""(height, width) in pixels"""


def correspondence(albedo: AnySize, source: AnySize, params: Params | Weights, *, tileable: Tileable = "no") -> Field:
    """Finds for each cell of a texture the place of its source that is most like it.

    Args:
        albedo: the texture, RGB in [0, 1].
        source: the albedo of which it was made, of any size.
        params: parameters of the network.
        tileable: along which axes the texture goes on at its opposite edge.

    Returns:
        Places of the cells of CELL pixels a side; the last of a row or column may reach beyond the texture.
    """
    arrays = params.params if isinstance(params, Weights) else params
    halvings = max(0, math.ceil(math.log2(max(*albedo.shape[1:3], *source.shape[1:3]) / _LONGEST)))
    field = None
    for factor in (2**k for k in range(halvings, -1, -1)):
        sizes = [tuple(max(CELL, round(side / factor)) for side in image.shape[1:3]) for image in (albedo, source)]
        small, small_source = resize(albedo, *sizes[0], tileable=tileable), resize(source, *sizes[1])
        if field is None:
            field = _search(small, small_source, arrays, tileable)
        else:
            field = _enlarged(field, small.shape[1:3], small_source.shape[1:3])
        field = _moved(field, small[0], small_source[0], tileable)
    assert field is not None
    return field


def _search(albedo: AnySize, source: AnySize, params: Params, tileable: Tileable) -> Field:
    """The places of the highest cosine."""
    found = [_columns(albedo[0], params, tileable), _columns(source[0], params, "no")]
    wanted, candidates = ([layer.reshape(-1, layer.shape[-1]) for layer in layers] for layers in found)
    parts = []
    for own, theirs in zip(wanted, candidates, strict=True):  # each layer with the same say
        mean, spread = theirs.mean(0, keepdims=True), np.sqrt(theirs.var(0).sum()) + 1e-6
        parts.append([(own - mean) / spread, (theirs - mean) / spread])
    own, theirs = (np.concatenate([part[k] for part in parts], -1) for k in (0, 1))
    index = _nearest(own, theirs, chunk=max(1, _CHUNK // len(theirs)))
    width = found[1][0].shape[1]
    places = np.stack(np.divmod(np.asarray(index), width), -1).reshape(*found[0][0].shape[:2], 2) * CELL
    return np.minimum(places, _last(source[0]))


def _columns(image: np.ndarray, params: Params, tileable: Tileable) -> list[np.ndarray]:
    """Features of each layer and colours of an image (h, w, 3), each (rows, columns, c), one a cell."""
    rows, across = (-(-side // CELL) for side in image.shape[:2])
    deepest, first = max(map(stride_of, _LAYERS)), _MARGIN // CELL
    height, width = (_MARGIN + -side % deepest for side in image.shape[:2])
    whole = _beyond(image, _MARGIN, (height, width), tileable)  # no zeros, which no place within has beside it
    maps = _features(params, jnp.asarray(whole)[None])
    return [np.asarray(layer)[0, first : first + rows, first : first + across] for layer in maps]


@jax.jit
def _features(params: Params, image: Array) -> list[Array]:
    maps = features(params, image, _LAYERS)
    height, width = image.shape[1:3]
    colors = image.reshape(1, height // CELL, CELL, width // CELL, CELL, 3).mean((2, 4))
    found = columns(tuple(maps[layer] for layer in _LAYERS), _LAYERS)
    ends = np.cumsum([maps[layer].shape[-1] for layer in _LAYERS])
    return [*jnp.split(found, ends[:-1], -1), colors]


@partial(jax.jit, static_argnames="chunk")
def _nearest(own: Float[Array, "p d"], theirs: Float[Array, "q d"], *, chunk: int) -> Int[Array, " p"]:
    own, theirs = (rows * lax.rsqrt(jnp.sum(jnp.square(rows), -1, keepdims=True) + 1e-12) for rows in (own, theirs))
    padded = jnp.pad(own, ((0, -len(own) % chunk), (0, 0))).reshape(-1, chunk, own.shape[-1])
    return lax.map(lambda some: jnp.argmax(some @ theirs.T, -1), padded).reshape(-1)[: len(own)]


def _last(source: np.ndarray) -> np.ndarray:
    """The last place of a source (h, w, 3) that a cell may have."""
    return np.array(source.shape[:2]) - CELL


def _enlarged(field: Field, size: Size, source: Size) -> Field:
    """A field of an image half as large, each cell as four."""
    rows, across = (np.arange(-(-side // CELL)) for side in size)
    halves = [np.minimum(cells // 2, side - 1) for cells, side in zip((rows, across), field.shape[:2], strict=True)]
    within = np.stack(np.meshgrid(rows % 2, across % 2, indexing="ij"), -1) * CELL
    return np.clip(2 * field[np.ix_(*halves)] + within, 0, np.array(source) - CELL)


def _moved(field: Field, albedo: np.ndarray, source: np.ndarray, tileable: Tileable) -> Field:
    """Each place moved to where the patch's colours are nearer: as its neighbours' are, or by some pixels."""
    wanted = _windows(albedo, tileable, -albedo.shape[0] % CELL, -albedo.shape[1] % CELL)[::CELL, ::CELL]
    theirs, last = _windows(source, "no", 0, 0), _last(source)

    def distances(places: Field) -> np.ndarray:
        rows = [np.square(theirs[there[:, 0], there[:, 1]] - own).mean((1, 2, 3))
                for there, own in zip(places, wanted, strict=True)]  # fmt: skip
        return np.stack(rows)

    best = distances(field)
    for _ in range(_ROUNDS):
        for candidates in _candidates(tileable):
            places = np.clip(candidates(field), 0, last)
            found = distances(places)
            better = found < best
            field, best = np.where(better[..., None], places, field), np.minimum(found, best)
    return field


def _candidates(tileable: Tileable) -> Iterator[Callable[[Field], Field]]:
    """What the place of a cell may be instead."""

    def beside(field: Field, axis: int, step: int) -> Field:
        shift = np.zeros(2, int)
        shift[axis] = step * CELL
        places = np.roll(field, step, axis) + shift
        if axis + 1 not in wrapped_axes(tileable):  # an edge has no neighbour there
            edge = [slice(None)] * 2
            edge[axis] = slice(0, 1) if step > 0 else slice(-1, None)
            places[tuple(edge)] = field[tuple(edge)]
        return places

    for axis, step in ((0, 1), (1, 1), (0, -1), (1, -1)):
        yield partial(beside, axis=axis, step=step)
    for step in (2, 1):
        for y, x in ((y, x) for y in (-step, 0, step) for x in (-step, 0, step) if y or x):
            yield lambda field, y=y, x=x: field + np.array([y, x])


def _windows(image: np.ndarray, tileable: Tileable, below: int, right: int) -> np.ndarray:
    """The patch of every place of an image (h, w, 3) that a cell can have: (h', w', 3, PATCH, PATCH), a view."""
    whole = _beyond(image, REACH, (REACH + below, REACH + right), tileable)
    return np.lib.stride_tricks.sliding_window_view(whole, (PATCH, PATCH), (0, 1))


def _beyond(image: np.ndarray, before: int, after: Size, tileable: Tileable) -> np.ndarray:
    """An image (h, w, 3) that goes on beyond its edges: at the opposite one where it wraps, else mirrored."""
    for axis, behind in enumerate(after):
        more = [(0, 0)] * 3
        more[axis] = before, behind
        image = np.pad(image, more, "wrap") if axis + 1 in wrapped_axes(tileable) else np.pad(image, more, "symmetric")
    return image

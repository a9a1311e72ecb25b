"""Further maps of a material (normals, roughness, height) in the layout of a texture made of its albedo.

A texture is synthesised from the albedo alone. `correspondence` finds for each place of it the place of the source that
is most like it; `guided_map` lays the patches of another map of the same material there (Hertzmann et al., "Image
Analogies", 2001, with image and analogue in each other's roles); `paint_maps` repaints that with the map's own
statistics, so that no borders of patches are seen. What belongs to a pixel of the albedo so lies at the same pixel of
every map.

Maps are data: float arrays (1, h, w, 3) in [0, 1] without a colour space.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from jnst.config import Config
from jnst.correspondence import CELL, PATCH, REACH, AnySize, Field, correspondence
from jnst.errors import InputError
from jnst.io.weights import Weights
from jnst.network.architecture import Tileable, stride_of, wrapped_axes
from jnst.network.vgg import Params
from jnst.records import Progress
from jnst.transfer import stylize

NORMAL = "normal"
"""name of the map whose vectors have the length 1"""
ITERATIONS, STRENGTH = 20, 0.8
"""of painting a map, and how much of its own statistics it gets"""
_LIKENESS = 0.06
"""difference of colours, of 1, at which a vote counts a quarter"""


def guided_map(
    source_map: AnySize, field: Field, albedo: AnySize, source: AnySize, *, tileable: Tileable = "no"
) -> AnySize:
    """Lays a map's patches where the albedo's are found: each pixel is the mean of the patches that cover it.

    Patches whose albedo has another colour at that pixel count less, so that the map's edges lie where the albedo's do.

    Args:
        source_map: of the source's shape.
        field: from `correspondence`.
        albedo: the texture that the field is of.
        source: the albedo of which it was made.
        tileable: as of `correspondence`.

    Returns:
        The map of the texture.
    """
    height, width = albedo.shape[1:3]
    padded = [np.pad(image[0], ((REACH, REACH), (REACH, REACH), (0, 0)), mode="symmetric")
              for image in (source_map, source)]  # fmt: skip
    window = np.exp(-np.square((np.arange(PATCH) - (PATCH - 1) / 2) / REACH) / 2)
    total, weights = np.zeros((height, width, 3), np.float64), np.zeros((height, width, 1), np.float64)
    for dy, dx in np.ndindex(PATCH, PATCH):
        rows, kept_rows = _pixels(len(field), dy, height, wraps=1 in wrapped_axes(tileable))
        across, kept_across = _pixels(field.shape[1], dx, width, wraps=2 in wrapped_axes(tileable))
        places, here = field[np.ix_(kept_rows, kept_across)], np.ix_(rows, across)
        values, colors = (image[places[..., 0] + dy, places[..., 1] + dx] for image in padded)
        apart = np.square(colors - albedo[0][here]).mean(-1, keepdims=True) / _LIKENESS**2
        votes = window[dy] * window[dx] / np.square(1 + apart)
        total[here] += votes * values
        weights[here] += votes
    return (total / weights).astype(np.float32)[None]


def _pixels(cells: int, offset: int, size: int, *, wraps: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where a pixel of each cell's patch lies along an axis, and of which cells it lies within the image."""
    pixels = CELL * np.arange(cells) + offset - REACH
    kept = np.arange(cells) if wraps else np.flatnonzero((pixels >= 0) & (pixels < size))
    return pixels[kept] % size, kept


def paint_maps(
    maps: Mapping[str, AnySize],
    albedo: AnySize,
    source: AnySize,
    config: Config,
    params: Params | Weights,
    *,
    mesh: Any = None,
    callback: Callable[[str, Progress], bool] | None = None,
) -> dict[str, AnySize]:
    """Paints further maps of a material in the layout of a texture made of its albedo.

    Args:
        maps: by their names, each of the source's shape; `normal` holds vectors of length 1 as 2 map - 1.
        albedo: the texture, RGB in [0, 1].
        source: the albedo of which it was made.
        config: by which it was made: layers, `tileable` and the way of computing count.
        params: parameters of the network, or `Weights`.
        mesh: as of `stylize`.
        callback: gets a map's name and what `stylize` tells; a true answer ends the work.

    Returns:
        The maps by their names, of the texture's shape; grey ones have three equal channels. Ended early, those that
        were done.

    Raises:
        InputError: a map of another shape.
    """
    for name, one in maps.items():
        if one.shape != source.shape:
            raise InputError(f"map {name} must have the albedo's shape {source.shape}, got {one.shape}")
    field = correspondence(albedo, source, params, tileable=config.tileable)
    done, asked_to_stop = dict[str, AnySize](), list[str]()
    for name, one in maps.items():

        def tell(progress: Progress, name: str = name) -> bool:
            if callback is not None and callback(name, progress):
                asked_to_stop.append(name)
            return bool(asked_to_stop)

        guided = guided_map(one, field, albedo, source, tileable=config.tileable)
        result = stylize(guided, one, map_config(config), params, mesh=mesh, callback=tell)
        if result.stop_reason != "stopped":
            done[name] = as_data(name, result.image, is_grey=is_grey(one))
        if asked_to_stop:
            break
    return done


def map_config(config: Config) -> Config:
    """Returns the settings by which a map is painted, from those of the albedo.

    Args:
        config: of the albedo.
    """
    deepest = max(map(stride_of, config.style_layers))
    layers = tuple(layer for layer in ("conv1_1", "conv2_1", "conv3_1") if stride_of(layer) <= deepest)
    return replace(
        Config(strength=STRENGTH, iterations=ITERATIONS, scales=("1",), tv_weight=0.0),
        content_layers=layers, style_layers=config.style_layers, style_layer_weights=config.style_layer_weights,
        style_pyramid_levels=config.style_pyramid_levels, pooling=config.pooling, tileable=config.tileable,
        precision=config.precision, tile=config.tile, checkpoint=config.checkpoint,
        history_size=config.history_size, history_dtype=config.history_dtype,
    )  # fmt: skip


def is_grey(image: AnySize) -> bool:
    """Returns whether the three channels of an image are equal.

    Args:
        image: in [0, 1].
    """
    return bool(np.ptp(image, -1).max() == 0)


def as_data(name: str, image: AnySize, *, is_grey: bool) -> AnySize:
    """Returns a painted map as what it stands for: vectors of length 1, or equal channels.

    Args:
        name: of the map; `normal` makes vectors.
        image: in [0, 1].
        is_grey: whether its source is.
    """
    if name == NORMAL:
        vectors = 2 * np.asarray(image, np.float64) - 1
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
        up = np.array([0.0, 0.0, 1.0])
        image = (np.where(lengths > 1e-3, vectors / np.maximum(lengths, 1e-3), up) + 1) / 2
    elif is_grey:
        image = np.repeat(np.mean(image, -1, keepdims=True), 3, -1)
    return np.asarray(image, np.float32)

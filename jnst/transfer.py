"""One content image, one style (or several) -> one result: `stylize`, the scheduler with a single job."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jnst.checkpoints import Checkpoint, Keeper, recipe_of
from jnst.config import Config
from jnst.errors import InputError
from jnst.io.weights import Weights
from jnst.jobs import Extras, Job, Picture, Style, make_schedule
from jnst.losses.terms import Term
from jnst.network.normalize import mean_activations, normalize_filters
from jnst.network.vgg import Params
from jnst.problem import Image, Optimizer, check_images, check_network, start_image
from jnst.records import Callback, Result
from jnst.scheduler import Scheduler
from jnst.stored_style import StoredStyle, check_stored

StyleImage = Float[Array, "1 _h _w 3"] | Float[np.ndarray, "1 _h _w 3"]
Mask = Float[Array, "1 _h _w 1"] | Float[np.ndarray, "1 _h _w 1"]


class Painting(NamedTuple):
    """One of several style images."""

    image: StyleImage | StoredStyle
    """RGB in [0, 1], of any size; or the statistics of a style file (`stored_style.load`)"""
    mask: Mask | None = None
    """weights in [0, 1], of the content's size: where in the result it acts; None: everywhere"""
    weight: float = 1.0
    """above 0; among several"""
    own_mask: Mask | None = None
    """of the image's size: which part of it is meant; None: all of it"""


def stylize(
    content: Image | None,
    style: StyleImage | StoredStyle | Sequence[tuple[Any, ...]],
    config: Config,
    params: Params | Weights,
    *,
    terms: Sequence[Term] | None = None,
    optimizer: Optimizer | None = None,
    init: Float[Array, "1 _h _w 3"] | Float[np.ndarray, "1 _h _w 3"] | None = None,
    callback: Callback | None = None,
    callback_every: int = 0,
    mesh: Mesh | None = None,
    checkpoint: Checkpoint | None = None,
) -> Result:
    """Repaints the content image in the manner of the style image (Gatys et al. 2016, bounded to [0, 1]).

    Args:
        content: float, (1, h, w, 3), RGB in [0, 1], sides of at least 32 pixels; None: a texture of the style's size.
        style: the same, of any size, or the statistics of a style file; or several as
            `[Painting(image, mask, weight, own_mask), ...]`, for which tuples `(image, mask)` do, too.
        config: all settings; `Config()` for the defaults.
        params: parameters of VGG-16 or VGG-19, or `Weights` (`find_weights()`), whose record the result then keeps.
        terms: what is minimised instead of the method's own losses (`jnst.losses.terms`); each weighs itself.
        optimizer: a solver (`jnst.optim`) or an optax transformation, instead of what the config names.
        init: the start image, of the content's shape, instead of what `config.init` names.
        callback: gets a `Progress` about once a second; a true answer stops the run.
        callback_every: also calls it after every so many iterations, 0: never.
        mesh: devices over which the image is split by rows (`sharding.mesh_of`); one device by default.
        checkpoint: where the run is kept once a minute and when the callback stops it, and from where it goes on
            (`jnst.io.checkpoint_file.CheckpointFile`); the caller removes it when the picture is safe.

    Returns:
        The best image and how it was found.

    Raises:
        InputError: a wrong shape or range, an unknown layer, an `init` that is a path, tiles with a mesh, a checkpoint
            of another run.
        OutOfMemory: the device's memory did not last.
    """
    record, normalized = (params.record(), params.normalized) if isinstance(params, Weights) else (None, "")
    arrays = params.params if isinstance(params, Weights) else params
    styles = _as_paintings(style)
    keeper = None
    if checkpoint is not None:
        recipe = recipe_of(content, styles, config, params, init=init, terms=terms, optimizer=optimizer)
        keeper = Keeper(checkpoint, recipe)
    photograph: Any = content
    if photograph is None:
        photograph, init = styles[0].image, _texture_start(styles[0].image, config) if init is None else init
    if isinstance(photograph, StoredStyle):
        raise InputError("a texture of a style file needs content, a photograph whose size it gets; got None")
    arrays_of = {f"style {k}" if k else "style": s.image for k, s in enumerate(styles)}
    check_images({"content": photograph} | {k: v for k, v in arrays_of.items() if not isinstance(v, StoredStyle)})
    check_network(config, arrays, photograph.shape[1:3])
    if record is not None:
        check_stored([s.image for s in styles if isinstance(s.image, StoredStyle)], record)
    _check_paintings(photograph, styles)
    if config.normalize_filters and not normalized:
        if any(isinstance(s.image, StoredStyle) for s in styles):
            raise InputError("`normalize_filters` needs the painting itself, or normalised weights; got a style file")
        means = mean_activations(arrays, (photograph, *(s.image for s in styles)), pooling=config.pooling)
        arrays = normalize_filters(arrays, means)
    if mesh is not None and config.tile not in ("auto", 0):
        raise InputError(f"tile {config.tile} and several devices: give one of the two")
    if init is not None and init.shape != photograph.shape:
        raise InputError(f"init must have the content's shape {photograph.shape}, got {init.shape}")
    picture, extras = Picture.from_array, Extras(None if terms is None else tuple(terms), optimizer, mesh)
    maybe = lambda array: None if array is None else picture(array)  # noqa: E731
    painted = lambda image: Picture.from_stored(image) if isinstance(image, StoredStyle) else picture(image)  # noqa: E731
    first, *others = (Style(painted(s.image), maybe(s.mask), s.weight, maybe(s.own_mask)) for s in styles)
    job = Job(
        picture(photograph), first.picture, init=maybe(init), mask=first.mask, more_styles=tuple(others),
        style_weight=first.weight, own_mask=first.own_mask,
    )  # fmt: skip
    scheduler = Scheduler(
        make_schedule([job], config, extras=extras), arrays, extras=extras, callback=callback,
        callback_every=callback_every, cache_bytes=0, record=record, raises=True, keeper=keeper,
    )  # fmt: skip
    (result,) = scheduler.run()
    return result


def _as_paintings(style: Any) -> list[Painting]:
    if isinstance(style, list | tuple) and not isinstance(style, Painting):
        return [Painting(*part) for part in style]
    return [style if isinstance(style, Painting) else Painting(style)]


def _texture_start(style: Any, config: Config) -> Any:
    """Noise, where the config names no start that a texture can have."""
    return start_image(style, style, replace(config, init="noise")) if config.init == "content" else None


def _check_paintings(content: Any, paintings: Sequence[Painting]) -> None:
    """Refuses weights and masks that cannot be."""
    for k, painting in enumerate(paintings):
        if not 0 < painting.weight < math.inf:
            raise InputError(f"the weight of style {k} must be a finite number above 0, got {painting.weight}")
        for name, mask, image in (("mask", painting.mask, content), ("own_mask", painting.own_mask, painting.image)):
            if name == "own_mask" and mask is not None and isinstance(image, StoredStyle):
                raise InputError(f"{name} {k} needs the painting itself, got a style file")
            need = (1, *image.shape[1:3], 1)
            if mask is not None and mask.shape != need:
                raise InputError(f"{name} {k} must have the shape {need}, got {mask.shape}")
            if mask is not None and not (np.min(mask) >= 0 and 0 < np.max(mask) <= 1):
                raise InputError(f"{name} {k} must lie in [0, 1] and have a place above 0")

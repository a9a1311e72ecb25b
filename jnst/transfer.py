"""One content image, one style (or several) -> one result: `stylize`, the scheduler with a single job."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

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

StyleImage = Float[Array, "1 hs ws 3"] | Float[np.ndarray, "1 hs ws 3"]
Mask = Float[Array, "1 h w 1"] | Float[np.ndarray, "1 h w 1"]


def stylize(
    content: Image | None,
    style: StyleImage | Sequence[tuple[Any, Any]],
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
        style: the same, of any size; or several as `[(style, mask), ...]` with masks (1, h, w, 1) in [0, 1] of the
            content's size that say where each acts (None: everywhere).
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
    styles = list(style) if isinstance(style, list | tuple) else [(style, None)]
    keeper = None
    if checkpoint is not None:
        recipe = recipe_of(content, style, config, params, init=init, terms=terms, optimizer=optimizer)
        keeper = Keeper(checkpoint, recipe)
    photograph: Any = content
    if photograph is None:
        photograph, init = styles[0][0], _texture_start(styles[0][0], config) if init is None else init
    check_images(
        {"content": photograph} | {f"style {k}" if k else "style": image for k, (image, _) in enumerate(styles)}
    )
    check_network(config, arrays, photograph.shape[1:3])
    _check_masks(photograph, styles)
    if config.normalize_filters and not normalized:
        means = mean_activations(arrays, (photograph, *(image for image, _ in styles)), pooling=config.pooling)
        arrays = normalize_filters(arrays, means)
    if mesh is not None and config.tile not in ("auto", 0):
        raise InputError(f"tile {config.tile} and several devices: give one of the two")
    if init is not None and init.shape != photograph.shape:
        raise InputError(f"init must have the content's shape {photograph.shape}, got {init.shape}")
    picture, extras = Picture.from_array, Extras(None if terms is None else tuple(terms), optimizer, mesh)
    first, *others = (Style(picture(image), None if mask is None else picture(mask)) for image, mask in styles)
    job = Job(
        picture(photograph), first.picture, init=None if init is None else picture(init), mask=first.mask,
        more_styles=tuple(others),
    )  # fmt: skip
    scheduler = Scheduler(
        make_schedule([job], config, extras=extras), arrays, extras=extras, callback=callback,
        callback_every=callback_every, cache_bytes=0, record=record, raises=True, keeper=keeper,
    )  # fmt: skip
    (result,) = scheduler.run()
    return result


def _texture_start(style: Any, config: Config) -> Any:
    """Noise, where the config names no start that a texture can have."""
    return start_image(style, style, replace(config, init="noise")) if config.init == "content" else None


def _check_masks(content: Any, styles: Sequence[tuple[Any, Any]]) -> None:
    need = (1, *content.shape[1:3], 1)
    for k, (_, mask) in enumerate(styles):
        if mask is not None and mask.shape != need:
            raise InputError(f"mask {k} must have the shape {need}, got {mask.shape}")

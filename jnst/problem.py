"""From settings to the pieces of a problem: objective, solver, loss weights, start image, and their checks."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jnst.config import DEFAULT_STRENGTH, Config
from jnst.errors import InputError
from jnst.io.image import resize
from jnst.losses import objective as objectives
from jnst.losses import terms as losses
from jnst.losses import windows
from jnst.losses.objective import LossWeights, Objective, Targets
from jnst.losses.terms import Term
from jnst.network.architecture import MIN_SIDE, Tileable, check_layers, detect
from jnst.network.region import Region
from jnst.network.vgg import Params
from jnst.optim.base import Solver
from jnst.optim.first_order import Projected, adam
from jnst.optim.lbfgsb import LBFGSB
from jnst.optim.preconditioner import Spectral
from jnst.optim.stock import Stock

Image = Float[Array, "1 h w 3"] | Float[np.ndarray, "1 h w 3"]
Optimizer = Solver | Stock | optax.GradientTransformation
LEAST_VARIATION = 1e-3
"""that a painting is taken to have at least; a calm one, The Scream, has 0.003 at 512 px, The Starry Night 0.035"""
_BY_LAYER: dict[str, tuple[Callable[..., Term], ...]] = {
    "gram": (losses.gram,),
    "gram+moments": (losses.gram, losses.moments),
    "gram+sliced": (losses.gram, losses.sliced),
    "wasserstein": (losses.wasserstein,),
    "sliced": (losses.sliced,),
}
"""what `Config.style_loss` names: makers of terms, which share a layer's weight"""


def default_terms(
    config: Config,
    *,
    styles: Iterable[str] = ("style",),
    weights: Sequence[float] = (1.0,),
    masked: Sequence[bool] = (False,),
) -> tuple[Term, ...]:
    """Returns the terms of the method (eq. 1 to 4) that a config names; what has no weight is left out.

    Args:
        config: settings, with layers chosen (not `auto`).
        styles: names of the style images: "style", "style:1", ...
        weights: of each style among them, above 0; they are scaled to sum to 1.
        masked: whether each style acts under the mask of its own name.
    """
    content, style = config.active_losses()
    terms = [losses.content(layer, form=config.loss) for layer in config.content_layers if content]
    for name, share, has_mask in zip(styles if style else (), weights, masked, strict=False):
        terms += _style_terms(config, share / sum(weights), target=name, mask=name if has_mask else None)
    if config.tv_weight:
        terms.append(losses.total_variation(form=config.tv_form, tileable=config.tileable))
    return tuple(terms)


def _style_terms(config: Config, share: float, **options: Any) -> list[Term]:
    """The terms of one style, whose weights sum to its share."""
    if config.style_loss == "neighbours":
        return [losses.neighbours(config.style_layers, weight=share, **options)]
    makers = _BY_LAYER[config.style_loss]
    return [
        make(layer, form=config.loss, weight=weight * share / len(makers), **options)
        for layer, weight in zip(config.style_layers, config.normalized_layer_weights(), strict=True)
        for make in makers
    ]


def objective_for(config: Config, *, mesh: Mesh | None = None, terms: Sequence[Term] | None = None) -> Objective:
    """Returns the static part of the objective that a config names.

    Args:
        config: settings.
        mesh: devices over which the rows of the maps are split.
        terms: what is minimised instead of the method's own terms.
    """
    tile = 0 if config.tile == "auto" else config.tile
    chosen = default_terms(config) if terms is None else tuple(terms)
    levels = config.style_pyramid_levels if any(term.group == "style" for term in chosen) else 1
    return Objective(
        chosen, pooling=config.pooling, gradients=config.gradients, precision=config.precision,
        checkpoint=config.checkpoint, tile=tile, style_pyramid_levels=levels, mesh=mesh,
        tileable=config.tileable,
    )  # fmt: skip


def solver_for(config: Config, *, optimizer: Optimizer | None = None) -> Any:
    """Returns the solver that a config names.

    Args:
        config: settings.
        optimizer: a solver (`jnst.optim.base.Solver`) or an optax transformation to use instead.
    """
    if isinstance(optimizer, optax.GradientTransformation):
        return Projected(optimizer)
    if optimizer is not None:
        return optimizer
    solvers = {
        "lbfgsb": lambda: LBFGSB(
            history_size=config.history_size, history_dtype=config.history_dtype, preconditioner=Spectral()
        ),
        "adam": lambda: adam(config.learning_rate),
        "jaxopt": lambda: Stock(history_size=config.history_size),
    }
    return solvers[config.optimizer]()


def weights_for(
    config: Config, targets: Targets, objective: Objective, *, region: Region | None = None, own_terms: bool = False,
    units: Mapping[str, Any] | None = None, variation: float | None = None,
) -> LossWeights:  # fmt: skip
    """Returns alpha, beta, tau and w_l of a config (eq. 4 and 5).

    Args:
        config: settings.
        targets: what `mse` and `sum` losses are balanced by.
        objective: whose terms are weighed.
        region: which part of the arrays is image.
        own_terms: whether the terms are the caller's own, which weigh themselves: all groups get 1.
        units: factors of the style terms' own weights (`objective.style_units`), where `takes_units(config)`.
        variation: of the painting (`total_variation_of`), which relative losses divide the result's by; None: by 1.
    """
    weights = objectives.default_weights(objective)
    groups = {term.group for term in objective.terms}
    if not own_terms:
        strength = DEFAULT_STRENGTH if config.strength is None else config.strength
        pair = config.explicit_weights()
        if pair is None and objective.gradients == "normalized":
            pair = 1 - strength, strength  # what they weigh has length 1, whatever the unit of the losses
        if pair is None:
            weights = objectives.balance(targets, jnp.float32(strength), objective=objective, region=region)
        else:
            weights = weights._replace(groups={"content": pair[0], "style": pair[1]})
        unit = 1 if variation is None or config.loss != "relative" else max(variation, LEAST_VARIATION)
        weights = weights._replace(groups={**weights.groups, "image": config.tv_weight / unit})
    if units:
        weights = weights._replace(terms={name: w * units.get(name, 1) for name, w in weights.terms.items()})
    kept = weights._replace(groups={name: value for name, value in weights.groups.items() if name in groups})
    return jax.tree.map(lambda weight: jnp.asarray(weight, jnp.float32), kept)


def total_variation_of(image: Image, *, form: Literal["squares", "absolute"] = "squares") -> float:
    """Returns what neighbouring pixels differ by, as `losses.statistics` has it, on the host.

    Args:
        image: (1, h, w, 3) in [0, 1].
        form: of `Config.tv_form`.
    """
    measure = np.square if form == "squares" else lambda d: np.hypot(d, 1 / 255) - 1 / 255
    return float(sum(np.mean(measure(np.diff(np.asarray(image), axis=axis))) for axis in (1, 2)))


def takes_units(config: Config, objective: Objective) -> bool:
    """Returns whether the style losses are relative to the photograph's own statistics, too.

    Args:
        config: settings.
        objective: whose terms are the method's own.
    """
    return config.style_unit == "both" and config.loss == "relative" and "style" in objective.groups


def check_images(images: Mapping[str, Any]) -> None:
    """Refuses images of another shape or range than float (1, h, w, 3) in [0, 1] with sides of at least 32 pixels.

    Args:
        images: arrays by the names that messages call them.

    Raises:
        InputError: the first image that cannot be used.
    """
    for name, image in images.items():
        if image.ndim != 4 or image.shape[0] != 1 or image.shape[3] != 3:
            raise InputError(f"{name} must have the shape (1, h, w, 3), got {image.shape}")
        if min(image.shape[1:3]) < MIN_SIDE:
            raise InputError(f"{name} must have sides of at least {MIN_SIDE} pixels, got {image.shape[1:3]}")
        values = np.asarray(image)  # on the host: XLA:CPU's minimum drops NaN
        low, high = float(values.min()), float(values.max())
        if math.isnan(low) or low < 0 or high > 1:
            raise InputError(f"{name} must lie in [0, 1], got {low:g} to {high:g}; divide 8-bit images by 255")


def check_network(config: Config, params: Params, size: tuple[int, int]) -> None:
    """Refuses layers that this network lacks, and windows smaller than the receptive field.

    Args:
        config: settings.
        params: parameters of VGG-16 or VGG-19.
        size: (height, width) of the result in pixels.

    Raises:
        InputError: an unknown layer, or a `tile` that is too small.
    """
    layers = config.content_layers + config.style_layers
    check_layers(layers, detect(params))
    if config.tile not in ("auto", 0):
        windows.grid(*size, int(config.tile), detect(params), layers)


def start_image(content: Image, style: Any, config: Config, *, init: Any = None) -> Any:
    """Returns where a run begins, (1, h, w, 3).

    Args:
        content: the content image, whose size the result has.
        style: the style image, of any size.
        config: settings; `init`, `noise_blend` and `seed` count here.
        init: the start image itself, of the content's shape, instead of what `config.init` names.

    Raises:
        InputError: `init` has another shape than the content, or the config names a file.
    """
    begin = _start_image(content, style, config, init)
    if not config.noise_blend:
        return begin
    return (1 - config.noise_blend) * begin + config.noise_blend * _noise(content.shape, config.seed)


def _noise(shape: Sequence[int], seed: int) -> Any:
    return jnp.clip(0.5 + 0.1 * jax.random.normal(jax.random.key(seed), shape), 0, 1)


def _start_image(content: Image, style: Any, config: Config, init: Any) -> Any:
    if init is not None:
        if init.shape != content.shape:
            raise InputError(f"init must have the content's shape {content.shape}, got {init.shape}")
        return init
    if config.init == "content":
        return content
    if config.init == "style":
        return resize(np.asarray(style, np.float32), *content.shape[1:3])
    if config.init == "noise":
        return _noise(content.shape, config.seed)
    message = f"init must be content, style or noise, got {config.init!r}; load a file yourself, pass init="
    raise InputError(message, field="init")


def finer_start(coarse: Any, photograph: Any, height: int, width: int, *, tileable: Tileable = "no") -> np.ndarray:
    """Returns where a finer scale begins: the coarse result enlarged, and the photograph's detail above that scale.

    The detail is the band of the photograph's Laplacian pyramid (Burt and Adelson 1983) that the coarse scale had no
    pixels for. Without it the content loss alone would have to draw eyes and windows again, from conv4_2.

    Args:
        coarse: result of the scale before, (1, h, w, 3) in [0, 1].
        photograph: the content image, of any size.
        height: of the scale that begins, in pixels.
        width: of the scale that begins, in pixels.
        tileable: along which axes both go on at their opposite edges.

    Returns:
        The start image in [0, 1].
    """
    resized = partial(resize, tileable=tileable)
    detail = resized(photograph, height, width) - resized(resized(photograph, *coarse.shape[1:3]), height, width)
    return np.clip(resized(coarse, height, width) + detail, 0, 1)

# pyright: reportUnknownMemberType=false
"""The objective's terms as values: a statistic of some layers, how it is compared with its target, and a weight.

`content`, `gram`, `moments`, `wasserstein`, `sliced`, `neighbours` and `total_variation` make those of the package;
`custom` makes one of any two functions, which then works in pyramids, under masks and in batches like the others. Terms
are equal, and share compiled programs, where their fields are: give them functions of a module, not lambdas made anew.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.errors import InputError
from jnst.losses import comparisons, statistics
from jnst.losses import neighbours as places
from jnst.losses import sliced as slices
from jnst.losses import wasserstein as gaussians
from jnst.losses.comparisons import mse, relative
from jnst.network.architecture import PIXELS, Tileable, require_choice, stride_of

__all__ = [
    "Form", "Term", "content", "custom", "gram", "moments", "mse", "neighbours", "relative", "sliced",
    "total_variation", "wasserstein",
]  # fmt: skip

Form = Literal["relative", "mse", "sum"]
Reduce = Literal["sum", "place", "whole"]
Observe = Callable[..., Any]
Compare = Callable[[Any, Any], Float[Array, " n"]]
Finish = Callable[[Any, tuple[Array, ...]], Any]
Size = Callable[[Any], Float[Array, " n"]]
HYPERCOLUMN_STRIDE = 4  # pixels
Grid = Callable[[Any], Any]
Match = Callable[[Any, Any], Any]


def mean_over_positions(observed: Any, totals: tuple[Float[Array, " n"], ...]) -> Any:
    """Divides sums over positions by the total weight of the first layer's positions; an empty mask gives 0.

    Args:
        observed: sums, a pytree of arrays with a leading axis n.
        totals: total weight of each layer's positions.

    Returns:
        Means.
    """
    total = jnp.where(totals[0] > 0, totals[0], 1)

    def mean(leaf: Array) -> Array:
        return leaf / total.reshape(-1, *(1,) * (leaf.ndim - 1))

    return jax.tree.map(mean, observed)


def as_observed(observed: Any, totals: tuple[Float[Array, " n"], ...]) -> Any:
    """Returns the observed statistics as they are.

    Args:
        observed: a pytree of arrays.
        totals: not used.
    """
    del totals
    return observed


@dataclass(frozen=True)
class Term:
    """One summand of the objective, static: hashed by value.

    Attributes:
        name: unique within an objective, such as "content/conv4_2", "style/conv1_1", "tv".
        layers: VGG layers, or ("pixels",) for the image itself.
        observe: `(maps, weights) -> statistics`, a pytree of arrays with a leading axis n. The maps are those of the
            layers in that order, each (n, h, w, c). The weights of their positions are (n, h, w, 1), None where every
            position counts once, boolean where the arrays are larger than their images (the maps are 0 beyond them),
            and float under a mask.
        compare: `(statistics of the result, of the target) -> loss of each image (n,)`.
        weight: default weight within its group.
        target: name of the image whose statistics are the target: "content", "style", "style:1", ...; None for no
            target, as total variation: `compare` gets None then.
        reduce: how `observe`'s result is made of parts, which windows need: "sum" over positions (weighted: Gram
            matrices, moments), "place" for one value a position of the first layer (content maps), "whole" for
            anything else (sorting), which windows refuse.
        finish: `(observed, total weight (n,) of each layer's positions) -> statistics`, applied after the parts have
            been put together; by default, "sum" is divided by the first layer's total.
        mask: name of a mask of the result. The target's statistics are taken under the target image's own mask.
        size: `statistics of a target -> squared size (n,)`, which a relative loss is divided by.
        survey: what is observed of a target image first, a sum over positions; None: nothing.
        grid: `means of the survey -> grid`, which `observe` gets as a third argument, for the target image as for the
            result. The target is then {"grid": grid, "observed": statistics}.
        match: `(target, statistics of the start) -> target`, made once a scale, from the image that it starts with;
            None where the target does not depend on it.
    """

    name: str
    layers: tuple[str, ...]
    observe: Observe
    compare: Compare
    weight: float = 1.0
    target: str | None = "style"
    reduce: Reduce = "whole"
    finish: Finish | None = None
    mask: str | None = None
    size: Size = comparisons.sum_of_squares
    survey: Observe | None = None
    grid: Grid | None = None
    match: Match | None = None

    def __post_init__(self) -> None:
        require_choice("reduce", self.reduce, ("sum", "place", "whole"))
        object.__setattr__(self, "layers", (self.layers,) if isinstance(self.layers, str) else tuple(self.layers))
        if not self.layers:
            raise InputError(f"term {self.name!r}: `layers` must name at least one layer, or 'pixels'")
        if PIXELS in self.layers and len(self.layers) > 1:
            raise InputError(f"term {self.name!r}: 'pixels' must stand alone in `layers`, got {self.layers}")
        if self.group not in ("content", "style", "image"):
            raise InputError(f"term {self.name!r}: `target` must be content, style, style:1, ... or None")
        if not math.isfinite(self.weight):
            raise InputError(f"term {self.name!r}: `weight` must be finite, got {self.weight}")
        if self.finish is None:
            object.__setattr__(self, "finish", mean_over_positions if self.reduce == "sum" else as_observed)

    @property
    def group(self) -> str:
        """Names the group that alpha, beta or tau weighs: "content", "style", or "image" for a term without target."""
        return "image" if self.target is None else self.target.split(":")[0]


def _observe_maps(maps: tuple[Array, ...], weights: tuple[Array | None, ...]) -> Array:
    weight = weights[0]
    # under a boolean weight the maps are 0 already where it is False
    return maps[0] if weight is None or weight.dtype == bool else maps[0] * jnp.sqrt(weight)


def _observe_gram(maps: tuple[Array, ...], weights: tuple[Array | None, ...]) -> Array:
    return statistics.gram(_observe_maps(maps, weights))  # F' diag(w) F


def _observe_moments(maps: tuple[Array, ...], weights: tuple[Array | None, ...]) -> dict[str, Array]:
    maps_, weight = maps[0], _weight_of(maps[0], weights[0])
    return {"mean": jnp.sum(weight * maps_, (1, 2)), "square": jnp.sum(weight * jnp.square(maps_), (1, 2))}


def _observe_covariance(maps: tuple[Array, ...], weights: tuple[Array | None, ...]) -> dict[str, Array]:
    maps_, weight = maps[0], _weight_of(maps[0], weights[0])
    return {"mean": jnp.sum(weight * maps_, (1, 2)), "gram": _observe_gram(maps, weights)}


@dataclass(frozen=True)
class _Hypercolumns:
    """Observes the features of several layers side by side; equal for equal layers."""

    layers: tuple[str, ...]

    def __call__(self, maps: tuple[Array, ...], weights: tuple[Array | None, ...]) -> dict[str, Array]:
        return {"columns": places.columns(maps, self.layers), "weight": _weight_of(maps[0], weights[0])}


def _weight_of(maps: Array, weight: Array | None) -> Array:
    return jnp.ones((*maps.shape[:3], 1), maps.dtype) if weight is None else weight.astype(maps.dtype)


@dataclass(frozen=True)
class _Variation:
    """Observes the total variation; equal for equal form and axes."""

    form: Literal["squares", "absolute"]
    tileable: Tileable

    def __call__(self, maps: tuple[Array, ...], weights: tuple[Array | None, ...]) -> Array:
        measure = jnp.square if self.form == "squares" else statistics.smooth_absolute
        return statistics.total_variation(maps[0], weights=weights[0], measure=measure, tileable=self.tileable)


def _finish_maps_for_mean(observed: Array, totals: tuple[Array, ...]) -> Array:
    """Scales maps so that a mean of squares over the array is one over the positions that count."""
    total = jnp.where(totals[0] > 0, totals[0], 1)
    scale = jnp.sqrt(observed.shape[1] * observed.shape[2] / total)
    return observed * scale[:, None, None, None]


def _finish_moments(observed: dict[str, Array], totals: tuple[Array, ...]) -> dict[str, Array]:
    means = mean_over_positions(observed, totals)
    variance = means["square"] - jnp.square(means["mean"])
    varies = variance > 1e-6 * means["square"]  # below lies the rounding of the difference; the root has no slope at 0
    deviation = jnp.where(varies, jnp.sqrt(jnp.where(varies, variance, 1)), 0)
    return {"mean": means["mean"], "deviation": deviation}


def _finish_covariance(observed: dict[str, Array], totals: tuple[Array, ...]) -> dict[str, Array]:
    means = mean_over_positions(observed, totals)
    mean = means["mean"]
    return {"mean": mean, "covariance": means["gram"] - mean[:, :, None] * mean[:, None, :]}


def _compare_nothing(result: Array, target: None) -> Array:
    del target
    return result


_FORMS: dict[str, dict[str, Compare]] = {
    "content": {"relative": relative, "mse": mse, "sum": comparisons.content_sum},
    "gram": {"relative": relative, "mse": mse, "sum": comparisons.gram_sum},
    "moments": {"relative": relative, "mse": mse, "sum": comparisons.squared_error},
    "wasserstein": {
        "relative": gaussians.relative_distance,
        "mse": gaussians.mean_distance,
        "sum": gaussians.gaussian_distance,
    },
    "sliced": {"relative": slices.relative_distance, "mse": slices.mean_distance, "sum": slices.distance},
}


def _compare(statistic: str, form: str) -> Compare:
    require_choice("form", form, _FORMS[statistic])
    return _FORMS[statistic][form]


def content(layer: str, *, form: Form = "relative", weight: float = 1.0, mask: str | None = None) -> Term:
    """Makes the content loss of one layer, from its maps F and the content image's P.

    Args:
        layer: a name `convB_I`.
        form: "relative", `|F - P|^2 / |P|^2`; "mse", `mean (F - P)^2`; "sum", `1/2 sum (F - P)^2` (eq. 1).
        weight: within the content loss.
        mask: name of a mask of the result, where the content is to be kept.

    Returns:
        The term "content/<layer>"; add the mask's name by `dataclasses.replace(term, name=...)` for several.

    Raises:
        InputError: an unknown form.
    """
    finish = _finish_maps_for_mean if form == "mse" else None
    return Term(
        f"content/{layer}", (layer,), _observe_maps, _compare("content", form), weight, "content", "place", finish, mask
    )


def _style_name(prefix: str, layer: str, target: str, mask: str | None) -> str:
    """Two styles, or two masks, may well ask for the same layer."""
    suffix = target.partition(":")[2]
    return f"{prefix}/{layer}" + (f":{suffix}" if suffix else "") + (f"@{mask}" if mask else "")


def gram(
    layer: str, *, form: Form = "relative", weight: float = 1.0, target: str = "style", mask: str | None = None
) -> Term:
    """Makes the style loss E_l of one layer, from the mean Gram matrices G/M of the result and A/M' of the style.

    Args:
        layer: a name `convB_I`.
        form: "relative", `|G/M - A/M'|^2 / |A/M'|^2`; "mse", `mean (G/M - A/M')^2`; "sum",
            `1/(4 N^2) sum (G/M - A/M')^2` (eq. 3 where the sizes are equal).
        weight: w_l of eq. 4.
        target: "style", or "style:1" and so on for further styles.
        mask: name of a mask of the result; G is then `F' diag(w) F` and M the sum of w (Gatys et al., "Controlling
            Perceptual Factors in Neural Style Transfer", CVPR 2017, section 4, guided Gram matrices).

    Returns:
        The term "style/<layer>", of a further style "style/<layer>:1", under a mask "style/<layer>@<mask>".

    Raises:
        InputError: an unknown form.
    """
    name, compare = _style_name("style", layer, target, mask), _compare("gram", form)
    return Term(name, (layer,), _observe_gram, compare, weight, target, "sum", None, mask)


def moments(
    layer: str, *, form: Form = "relative", weight: float = 1.0, target: str = "style", mask: str | None = None
) -> Term:
    """Makes the loss of one layer's mean and standard deviation of each filter, which hold colour and contrast.

    Args:
        layer: a name `convB_I`, or "pixels".
        form: "sum", `|mu - mu'|^2 + |sd - sd'|^2`; "mse", its mean over the 2 N entries; "relative", divided by
            `|mu'|^2 + |sd'|^2`.
        weight: within the style loss.
        target: "style", or "style:1" and so on for further styles.
        mask: name of a mask of the result.

    Returns:
        The term "moments/<layer>", named on as `gram`'s (Li et al., "Demystifying Neural Style Transfer", IJCAI 2017).

    Raises:
        InputError: an unknown form.
    """
    name, compare = _style_name("moments", layer, target, mask), _compare("moments", form)
    return Term(name, (layer,), _observe_moments, compare, weight, target, "sum", _finish_moments, mask)


def wasserstein(
    layer: str, *, form: Form = "relative", weight: float = 1.0, target: str = "style", mask: str | None = None
) -> Term:
    """Makes the loss of one layer's features taken as Gaussians, W2^2 (`jnst.losses.wasserstein`).

    Args:
        layer: a name `convB_I`.
        form: "sum", W2^2; "mse", divided by the N filters; "relative", by `|mu'|^2 + tr C'`.
        weight: within the style loss.
        target: "style", or "style:1" and so on for further styles.
        mask: name of a mask of the result.

    Returns:
        The term "wasserstein/<layer>", named on as `gram`'s (Li et al., "Demystifying Neural Style Transfer", IJCAI
        2017, on distances of distributions; Dowson and Landau 1982).

    Raises:
        InputError: an unknown form.
    """
    name, compare = _style_name("wasserstein", layer, target, mask), _compare("wasserstein", form)
    return Term(
        name, (layer,), _observe_covariance, compare, weight, target, "sum", _finish_covariance, mask, gaussians.energy
    )


def sliced(
    layer: str, *, form: Form = "relative", weight: float = 1.0, target: str = "style", mask: str | None = None
) -> Term:
    """Makes the loss of one layer's features by their distributions along random directions (`jnst.losses.sliced`).

    Args:
        layer: a name `convB_I`, or "pixels".
        form: "sum", over the directions; "mse", their mean; "relative", divided by what they see of the painting's
            mean of |f|^2.
        weight: within the style loss.
        target: "style", or "style:1" and so on for further styles.
        mask: name of a mask of the result.

    Returns:
        The term "sliced/<layer>", named on as `gram`'s (Heitz et al., "A Sliced Wasserstein Loss for Neural Texture
        Synthesis", CVPR 2021).

    Raises:
        InputError: an unknown form.
    """
    name, compare = _style_name("sliced", layer, target, mask), _compare("sliced", form)
    return Term(
        name, (layer,), slices.observe, compare, weight, target, "sum", None, mask, slices.energy,
        survey=_observe_covariance, grid=slices.grid,
    )  # fmt: skip


def neighbours(layers: tuple[str, ...], *, weight: float = 1.0, target: str = "style", mask: str | None = None) -> Term:
    """Makes the loss of every place's distance to the painting's place most like it (`jnst.losses.neighbours`).

    Args:
        layers: names `convB_I` whose features are laid side by side, one of the third block among them.
        weight: within the style loss.
        target: "style", or "style:1" and so on for further styles.
        mask: name of a mask of the result.

    Returns:
        The term "neighbours", named on as `gram`'s, whose target is found anew for the start of each scale (Kolkin et
        al., "Neural Neighbor Style Transfer", arXiv 2203.13215).

    Raises:
        InputError: no layer of the third block, which has the hypercolumns' stride.
    """
    own = next((layer for layer in layers if stride_of(layer) == HYPERCOLUMN_STRIDE), None)
    if own is None:
        raise InputError(f"`style_layers` must name a layer of block 3 for `style_loss` neighbours, got {layers}")
    ordered = (own, *(layer for layer in layers if layer != own))
    suffix = target.partition(":")[2]
    name = "neighbours" + (f":{suffix}" if suffix else "") + (f"@{mask}" if mask else "")
    return Term(
        name, ordered, _Hypercolumns(ordered), places.distance, weight, target, "place", None, mask,
        places.no_size, match=places.match,
    )  # fmt: skip


def total_variation(
    *, form: Literal["squares", "absolute"] = "squares", weight: float = 1.0, tileable: Tileable = "no"
) -> Term:
    """Makes the smoothness loss, `statistics.total_variation` of the image itself.

    Args:
        form: what is averaged of the differences: "squares", or "absolute" values.
        weight: of the term; tau weighs its group.
        tileable: along which axes the first and the last pixels are neighbours, too.

    Returns:
        The term "tv" of the group "image".
    """
    return Term("tv", (PIXELS,), _Variation(form, tileable), _compare_nothing, weight, None)


def custom(
    name: str,
    layers: str | tuple[str, ...],
    observe: Observe,
    *,
    compare: Compare = relative,
    weight: float = 1.0,
    target: str | None = "style",
    reduce: Reduce = "whole",
    finish: Finish | None = None,
    mask: str | None = None,
) -> Term:
    """Makes a term of your own functions.

    Args:
        name: unique within an objective.
        layers: a name, several names, or "pixels".
        observe: see `Term`; a function of a module, so that equal terms share a compiled program.
        compare: see `Term`.
        weight: within its group.
        target: see `Term`.
        reduce: see `Term`; "sum" and "place" must be true for windows to give the whole image's statistics.
        finish: see `Term`.
        mask: see `Term`.

    Returns:
        The term.

    Raises:
        InputError: an unknown `reduce` or target, no layers.
    """
    layers = (layers,) if isinstance(layers, str) else tuple(layers)
    return Term(name, layers, observe, compare, weight, target, reduce, finish, mask)

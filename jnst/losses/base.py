"""The data of the objective: what is minimised (`Objective`), its weights, its targets and its values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
from jax.sharding import Mesh
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jnst.errors import InputError
from jnst.losses.terms import Term
from jnst.network.architecture import PIXELS, TILEABLE, Tileable, require_choice
from jnst.network.conv import POOLS, PRECISIONS, Pooling, Precision

Gradients = Literal["shared", "separate", "normalized"]
GRADIENTS: tuple[Gradients, ...] = ("shared", "separate", "normalized")


@dataclass(frozen=True)
class Objective:
    """The static part of what is minimised: hashable, one compile each.

    Attributes:
        terms: the summands; those whose group has no weight are better left out.
        pooling: of the network, "max" or "average".
        precision: of the convolutions, see `vgg.observe`.
        checkpoint: for the gradient, compute the maps again block by block instead of keeping them.
        tile: side in pixels of the windows by which larger images are computed; 0 for none.
        style_pyramid_levels: at how many halvings of the result its style is compared, at most.
        mesh: devices over which the rows of the maps are split.
        gradients: how the groups' gradients are combined. "shared" combines them in the statistics and pulls back
            once; "separate" pulls back each by itself (the same sum to rounding, at the price of one pull-back a
            group); "normalized" gives those of content and style the length 1 before they are weighed, which makes the
            gradient of no function.
        tileable: along which axes the result, and what it keeps of the content, goes on at its opposite edge. The
            styles never do.
    """

    terms: tuple[Term, ...]
    pooling: Pooling = "max"
    precision: Precision = "float32"
    checkpoint: bool = False
    tile: int = 0
    style_pyramid_levels: int = 1
    mesh: Mesh | None = None
    gradients: Gradients = "shared"
    tileable: Tileable = "no"

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", tuple(self.terms))
        names = [term.name for term in self.terms]
        doubles = sorted({name for name in names if names.count(name) > 1})
        if doubles:
            raise InputError(f"`terms` must have different names, got {', '.join(map(repr, doubles))} twice")
        require_choice("pooling", self.pooling, POOLS)
        require_choice("precision", self.precision, PRECISIONS)
        require_choice("gradients", self.gradients, GRADIENTS)
        require_choice("tileable", self.tileable, TILEABLE)
        if self.tileable != "no" and (self.tile or self.mesh is not None):
            raise InputError(f"`tileable` {self.tileable} needs the whole image at once: give `tile` 0, no mesh")
        if self.tile < 0:
            raise InputError(f"`tile` must be at least 0, got {self.tile}")
        if self.style_pyramid_levels < 1:
            raise InputError(f"`style_pyramid_levels` must be at least 1, got {self.style_pyramid_levels}")
        whole = [term.name for term in self.terms if term.reduce == "whole" and term.layers != (PIXELS,)]
        if self.tile and whole:
            raise InputError(f"`tile` must be 0: term {whole[0]!r} (reduce='whole') needs every position at once")
        if self.tile and self.mesh is not None:
            raise InputError(f"`tile` {self.tile} and several devices: give one of the two")

    @property
    def layers(self) -> tuple[str, ...]:
        """Every VGG layer that is needed, once."""
        named = (layer for term in self.terms for layer in term.layers if layer != PIXELS)
        return tuple(dict.fromkeys(named))

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that the terms belong to, once."""
        return tuple(dict.fromkeys(term.group for term in self.terms))

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the images that targets are made of, once."""
        return tuple(dict.fromkeys(term.target for term in self.terms if term.target is not None))

    def at_level(self, level: int) -> tuple[Term, ...]:
        """Returns the terms that are compared at a level of the pyramid: all at the first, then those of style.

        Args:
            level: how many times the image has been halved.
        """
        return tuple(term for term in self.terms if level == 0 or term.group == "style")


class LossWeights(NamedTuple):
    """The weights of the losses: numbers, so that another balance needs no new compile. Scalars, or one an image.

    Attributes:
        groups: alpha ("content"), beta ("style") and tau ("image") of eq. 5, of the groups that have terms.
        terms: w_l of eq. 4, by the term's name.
    """

    groups: Mapping[str, ArrayLike]
    terms: Mapping[str, ArrayLike]


class Losses(NamedTuple):
    """The losses of each image.

    Attributes:
        total: L of eq. 5.
        groups: L_c, L_s and TV, each the weighted sum of its terms, before alpha, beta and tau; of the groups that
            have terms.
        terms: E_l by the term's name, before w_l; of style terms the mean over the pyramid's levels.
    """

    total: Float[Array, " n"]
    groups: dict[str, Float[Array, " n"]]
    terms: dict[str, Float[Array, " n"]]


class Targets(NamedTuple):
    """What the result is compared with: one pytree, every leaf with the leading axis n, so that batches stack it.

    Attributes:
        levels: the terms' target statistics by name, at each level of the style pyramid, the largest first; content in
            that one only.
        masks: the result's masks at its size (n, h, w, 1), weights in [0, 1].
    """

    levels: tuple[dict[str, Any], ...]
    masks: dict[str, Float[Array, "n h w 1"]]


def default_weights(objective: Objective) -> LossWeights:
    """Makes the weights that the terms carry themselves, each group counting once.

    Args:
        objective: what is minimised.

    Returns:
        float32 scalars.
    """
    return LossWeights(
        {group: jnp.float32(1) for group in objective.groups},
        {term.name: jnp.float32(term.weight) for term in objective.terms},
    )

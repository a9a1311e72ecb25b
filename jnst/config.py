"""The settings of a style transfer: one frozen dataclass that is the Python API and the command line at once.

`Config(iterations=200, strength=0.8)` in Python is `--iterations 200 --strength 0.8` in the shell. The groups below are
the groups of `--help`. A `Config` that exists is valid; everything here is checked before JAX is loaded.
"""

import math
import re
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_args, get_origin

import tyro

from jnst.errors import InputError
from jnst.network.architecture import check_layers

# What a user may leave open is `None`; the help says what that means.
Strength = Annotated[float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="(default: 0.93)")]
Weight = Annotated[float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="(default: from --strength)")]
Layers = Annotated[tuple[str, ...], tyro.conf.arg(metavar="LAYER ...")]
Scales = Annotated[tuple[str, ...], tyro.conf.arg(metavar="auto|N|PIXELS ...")]
Tile = Annotated[int | Literal["auto"], tyro.conf.arg(metavar="auto|N")]
LayerWeights = Annotated[
    tuple[float, ...] | None, tyro.conf.arg(metavar="FLOAT ...", help_behavior_hint="(default: equal)")
]

DEFAULT_STRENGTH = 0.93
AUTO = ("auto",)
"""layers that are to be chosen by measurement (`jnst.auto_layers`)"""


@dataclass(frozen=True, kw_only=True)
class LayerOptions:
    """Which maps of the network are matched: the main knob."""

    content_layers: Layers = ("conv4_2",)
    """layers whose maps keep the content; higher layers keep less detail; auto: by how detailed the photograph is"""
    style_layers: Layers = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    """layers whose Gram matrices carry the style; lower: colour and grain, higher: larger shapes; auto: the lower ones
    are left out where the painting is made of large flat shapes"""
    style_layer_weights: LayerWeights = None
    """weight of each style layer, 0 or more; scaled to sum to 1"""
    style_sizes: int = 3
    """compare the style at so many sizes of the picture, each half of the one before, 1 or more; 1: at its own only"""
    pooling: Literal["max", "average"] = "max"
    """pooling between the blocks of the network"""
    normalize_filters: bool = False
    """rescale the network so that every filter's mean activation over the two images is 1 (Gatys et al. 2016)"""


@dataclass(frozen=True, kw_only=True)
class BalanceOptions:
    """How content and style are weighed."""

    loss: Literal["relative", "mse", "sum"] = "relative"
    """form of the losses: relative to the targets' own norm (no unit), mean squares, or sums of squares (Gatys)"""
    strength: Strength = None
    """style against content, 0 to 1: 0.5 light, 0.8 moderate, 0.93 painted"""
    content_weight: Weight = None
    """alpha of alpha L_content + beta L_style, 0 or more, instead of --strength; alone, the other is 1"""
    style_weight: Weight = None
    """beta of alpha L_content + beta L_style, 0 or more, instead of --strength; alone, the other is 1"""
    tv_weight: float = 0.0
    """weight of the mean squared difference of neighbouring pixels, 0 or more: smooths"""


@dataclass(frozen=True, kw_only=True)
class SolverOptions:
    """How the image is found."""

    optimizer: Literal["lbfgsb", "adam", "jaxopt"] = "lbfgsb"
    """lbfgsb: bounded L-BFGS; adam: projected onto the box after each step; jaxopt: its own LBFGSB, for comparison"""
    iterations: int = 200
    """iterations of the whole run, 0 or more"""
    scales: Scales = ("auto",)
    """coarse to fine: auto, how many scales, or the longer sides of the coarse ones, increasing; 1: one scale"""
    history_size: int = 10
    """pairs that L-BFGS remembers, 1 or more; each holds two images in memory"""
    history_dtype: Literal["float32", "bfloat16"] = "float32"
    """number format of these pairs; bfloat16 halves their memory and converges a little slower at the end"""
    learning_rate: float = 0.02
    """step of adam, in pixel values (0 to 1), above 0"""
    gradients: Literal["shared", "separate", "joint", "normalized"] = "shared"
    """how the two gradients are computed: combined before one pull-back, one each, or of the sum, equal to rounding;
    normalized: each brought to length 1 before they are weighed, which is no loss's gradient, so for adam only"""
    precision: Literal["float32", "tensorfloat32", "bfloat16"] = "float32"
    """of the convolutions: the lower ones round more and are faster (on the CPU, tensorfloat32); all else is float32"""
    checkpoint: bool = False
    """compute the network's maps again instead of keeping them for the gradient: less memory, more time"""
    tile: Tile = "auto"
    """compute in overlapping windows of so many pixels a side, exactly: any size in little memory, slower; auto: only
    where the command line finds that the memory asks for it; 0: never"""
    init: str = "content"
    """start image: content, style, noise, or the path of an image (whose detail only --scales 1 keeps)"""
    seed: int = 0
    """seed of the noise start"""


@dataclass(frozen=True, kw_only=True)
class Config(LayerOptions, BalanceOptions, SolverOptions):
    """All settings of one style transfer; see the fields of its three groups.

    Raises:
        InputError: a value out of its range, in one line with what is needed.
    """

    def __post_init__(self) -> None:
        for option in fields(self):
            choices = get_args(option.type)
            if get_origin(option.type) is Literal:
                value = getattr(self, option.name)
                _need(value in choices, option.name, f"be one of {', '.join(choices)}", value)
        for name in ("content_layers", "style_layers"):
            layers = _split(getattr(self, name))
            object.__setattr__(self, name, layers)
            _need(len(layers) > 0, name, "name at least one layer", "none")
            _need(layers == AUTO or "auto" not in layers, name, "be auto or a list of layers", " ".join(layers))
            if layers != AUTO:
                check_layers(layers, "vgg19")  # VGG-16 has a few less: `vgg.features` checks again
            _need(len(set(layers)) == len(layers), name, "name each layer once", " ".join(layers))
        object.__setattr__(self, "scales", _split(self.scales))
        _check_scales(self.scales)
        auto_and_weights = self.style_layers == AUTO and self.style_layer_weights is not None
        _need(not auto_and_weights, "style_layers", "name the layers that --style-layer-weights weighs", "auto")
        _check_layer_weights(self.style_layer_weights, self.style_layers)
        for name in ("content_weight", "style_weight", "tv_weight"):
            value = getattr(self, name)
            _need(
                value is None or (math.isfinite(value) and value >= 0), name, "be a finite number of at least 0", value
            )
        if self.strength is not None:
            _need(0 <= self.strength <= 1, "strength", "be between 0 and 1", self.strength)
            for name in ("content_weight", "style_weight"):
                _need(getattr(self, name) is None, "strength", f"stand without {_flag(name)}", "both")
        weights = self.raw_weights()
        _need(weights is None or any(weights), "content_weight", "be above 0 where --style-weight is 0", "0")
        normalized = self.gradients == "normalized" and self.optimizer != "adam"
        _need(not normalized, "gradients", "be shared, separate or joint without --optimizer adam", "normalized")
        _need(self.iterations >= 0, "iterations", "be at least 0", self.iterations)
        _need(self.style_sizes >= 1, "style_sizes", "be at least 1", self.style_sizes)
        _need(self.history_size >= 1, "history_size", "be at least 1", self.history_size)
        _need(self.tile == "auto" or self.tile >= 0, "tile", "be auto or at least 0", self.tile)
        rate = self.learning_rate
        _need(math.isfinite(rate) and rate > 0, "learning_rate", "be a finite number above 0", rate)
        _need(0 <= self.seed < 2**32, "seed", f"be between 0 and {2**32 - 1}", self.seed)

    def raw_weights(self) -> tuple[float, float] | None:
        """alpha and beta of eq. 5 where either is given (the other is 1 then); None where `strength` rules."""
        if self.content_weight is None and self.style_weight is None:
            return None
        alpha, beta = self.content_weight, self.style_weight
        return (1.0 if alpha is None else alpha), (1.0 if beta is None else beta)

    def wanted(self) -> tuple[bool, bool]:
        """Whether content and style count at all: without content a texture is made, without style a reconstruction."""
        strength = DEFAULT_STRENGTH if self.strength is None else self.strength
        alpha, beta = self.raw_weights() or (1 - strength, strength)
        return alpha > 0, beta > 0

    def layer_weights(self) -> tuple[float, ...]:
        """w_l of eq. 4, which sum to 1; none where the style does not count."""
        if not self.wanted()[1]:
            return ()
        given = self.style_layer_weights or (1.0,) * len(self.style_layers)
        return tuple(weight / sum(given) for weight in given)


def check_for_batch(config: Config, *, normalized: bool) -> None:
    """Raises InputError for what is for single pictures; `normalized`: whether the network is so already."""
    if config.optimizer != "lbfgsb":
        raise InputError(f"--optimizer {config.optimizer} paints single pictures only; a batch needs lbfgsb")
    if config.tile not in ("auto", 0):
        raise InputError(f"--tile {config.tile} is for single pictures; give 0 or auto for a batch")
    if config.init not in ("content", "style", "noise"):
        raise InputError(f"--init {config.init} is for single pictures; a batch needs content, style or noise")
    if config.normalize_filters and not normalized:
        raise InputError("--normalize-filters is for single pictures; a batch needs --normalize-with FOLDER too")


def _split(layers: tuple[str, ...]) -> tuple[str, ...]:
    """Commas separate as blanks do, as users of other tools write them."""
    return tuple(name for item in layers for name in re.split(r"[,\s]+", item) if name)


def _check_scales(scales: tuple[str, ...]) -> None:
    numbers = [int(scale) for scale in scales if re.fullmatch("[0-9]+", scale)]
    known = scales == ("auto",) or (len(numbers) == len(scales) > 0 and numbers[0] > 0)
    _need(known, "scales", "be auto, a number of scales, or increasing sides in pixels", " ".join(scales) or "nothing")
    _need(numbers == sorted(set(numbers)), "scales", "increase", " ".join(scales))


def _check_layer_weights(weights: tuple[float, ...] | None, layers: tuple[str, ...]) -> None:
    if weights is None:
        return
    name = "style_layer_weights"
    _need(len(weights) == len(layers), name, f"be {len(layers)} numbers, one a style layer", len(weights))
    _need(all(math.isfinite(w) and w >= 0 for w in weights), name, "be numbers of at least 0", weights)
    _need(sum(weights) > 0, name, "hold one weight above 0", weights)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _need(good: bool, name: str, need: str, given: Any) -> None:
    if not good:
        raise InputError(f"{_flag(name)} must {need}, got {given}")

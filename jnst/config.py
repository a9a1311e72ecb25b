"""The settings of a style transfer, as one frozen dataclass. Needs neither JAX nor the command line.

A `Config` that exists is valid: types, values and combinations are checked when it is made, each by a rule of its own
(`_RULES`), and what does not fit is refused by the field's name. Comments on the fields are the help of the command
line too (`jnst.cli.settings`), which turns names in backticks into its flags.
"""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, Literal, NoReturn, cast, get_args, get_origin

from jnst.errors import InputError
from jnst.network.architecture import Tileable, check_layers

DEFAULT_STRENGTH = 0.92
INIT_NAMES = ("content", "style", "noise")
"""what `init` may name; anything else is the path of an image"""
_MOST = 2**31 - 1  # counts are int32 on the device


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of one style transfer.

    Raises:
        InputError: a value of the wrong type, out of its range, or one that another excludes; in one line.
    """

    loss: Literal["relative", "mse", "sum"] = "relative"
    """form of the losses: relative to the targets' own norm (no unit), mean squares, or sums of squares (Gatys)"""
    strength: float | None = None
    """style against content, 0 to 1: 0.7 light, 0.85 moderate, 0.92 painted, 0.97 at any price"""
    content_weight: float | None = None
    """alpha of alpha L_content + beta L_style, 0 or more, instead of `strength`; alone, the other is 1"""
    style_weight: float | None = None
    """beta of alpha L_content + beta L_style, 0 or more, instead of `strength`; alone, the other is 1"""
    tv_weight: float = 0.0125
    """weight of the mean squared difference of neighbouring pixels, 0 or more: smooths; relative losses take it
    over the painting's own, so that a busy painting is smoothed less"""
    tv_form: Literal["squares", "absolute"] = "squares"
    """of that difference: squares smooth the sharpest edges first; absolute values keep them and flatten the rest"""

    match_colors: Literal["no", "mean", "covariance", "histogram"] = "no"
    """recolour the painting before the run, so that the result has the photograph's colours: mean and deviation of each
    channel; mean and covariance; the whole distribution"""
    original_colors: bool = False
    """take only the luminance of the result, and keep the photograph's colours"""

    content_layers: tuple[str, ...] = ("conv3_2", "conv4_2")
    """layers whose maps (after the ReLU: relu3_2 is the same) keep the content; higher layers keep less detail"""
    style_layers: tuple[str, ...] = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    """layers whose statistics carry the style; lower: colour and grain, higher: larger shapes"""
    style_layer_weights: tuple[float, ...] | None = None
    """weight of each style layer, 0 or more; scaled to sum to 1"""
    style_pyramid_levels: int = 3
    """compare the style at so many sizes of the picture, each half of the one before, 1 or more; 1: at its own only"""
    style_loss: Literal["gram", "gram+moments", "gram+sliced", "wasserstein", "sliced", "neighbours"] = "gram+sliced"
    """what is compared of the features: gram: their second moments (Gatys); sliced: whole distributions along random
    directions, which keeps flats flat and colours true; gram+sliced: half of each; gram+moments: mean and deviation of
    each filter beside the Gram matrix; wasserstein: the distance of Gaussians, where weak directions count too;
    neighbours: each place is held to the one of the painting that is most like it"""
    style_unit: Literal["both", "painting"] = "both"
    """what relative style losses are relative to: both: a mean of the painting's and the photograph's own
    norms, so that a calm painting does not overrule a busy photograph; painting: its own alone"""
    pooling: Literal["max", "average"] = "max"
    """pooling between the blocks of the network"""
    normalize_filters: bool = False
    """rescale the network so that every filter's mean activation over the two images is 1 (Gatys et al. 2016)"""

    optimizer: Literal["lbfgsb", "adam", "jaxopt"] = "lbfgsb"
    """lbfgsb: bounded L-BFGS; adam: projected onto the box after each step; jaxopt: its own LBFGSB, for comparison"""
    iterations: int = 100
    """iterations of the whole run, 0 or more"""
    scales: tuple[str, ...] = ("auto",)
    """coarse to fine: auto, how many scales, or the longer sides of the coarse ones, increasing; 1: one scale"""
    history_size: int = 10
    """pairs that L-BFGS remembers, 1 or more; each holds two images in memory"""
    history_dtype: Literal["float32", "bfloat16"] = "float32"
    """number format of these pairs; bfloat16 halves their memory and converges a little slower at the end"""
    learning_rate: float = 0.02
    """step of adam, in pixel values (0 to 1), above 0"""
    gradients: Literal["shared", "separate", "normalized"] = "shared"
    """how the two gradients are computed: combined before one pull-back, or by one each, equal to rounding; normalized:
    each brought to length 1 before they are weighed, which is no loss's gradient, so for adam only"""
    precision: Literal["float32", "tensorfloat32", "bfloat16"] = "float32"
    """of the convolutions: the lower ones round more and are faster (on the CPU, tensorfloat32); all else is float32"""
    checkpoint: bool = False
    """compute the network's maps again instead of keeping them for the gradient: less memory, more time"""
    tile: int | Literal["auto"] = "auto"
    """compute in overlapping windows of so many pixels a side, exactly: any size in little memory, slower; auto: only
    where the memory is found to ask for it; 0: never"""
    init: str = "content"
    """start image: content, style, noise, or the path of an image (whose detail only `scales` 1 keeps)"""
    noise_blend: float = 0.0
    """share of noise in the start image, 0 to 1: another picture with each `seed`"""
    seed: int = 0
    """seed of the noise"""
    tileable: Tileable = "no"
    """let the picture repeat without a seam: x side by side, y one above another, xy both; its sides become multiples
    of what the network pools (16 to 64 pixels)"""

    def __post_init__(self) -> None:
        for name, rule in _RULES.items():
            object.__setattr__(self, name, rule(name, getattr(self, name)))
        _check_combinations(self)

    def explicit_weights(self) -> tuple[float, float] | None:
        """Returns alpha and beta of eq. 5 where either is given (the other is 1 then); None where `strength` rules."""
        if self.content_weight is None and self.style_weight is None:
            return None
        alpha, beta = self.content_weight, self.style_weight
        return (1.0 if alpha is None else alpha), (1.0 if beta is None else beta)

    def active_losses(self) -> tuple[bool, bool]:
        """Returns whether content and style have a weight above 0.

        Without content a texture is made, without style a reconstruction.
        """
        strength = DEFAULT_STRENGTH if self.strength is None else self.strength
        alpha, beta = self.explicit_weights() or (1 - strength, strength)
        return alpha > 0, beta > 0

    def normalized_layer_weights(self) -> tuple[float, ...]:
        """Returns w_l of eq. 4, which sum to 1; none where the style has no weight."""
        if not self.active_losses()[1]:
            return ()
        weights = self.style_layer_weights or (1.0,) * len(self.style_layers)
        return tuple(weight / sum(weights) for weight in weights)


def check_for_batch(config: Config, *, normalized: bool) -> None:
    """Refuses what only a single picture can have.

    Args:
        config: settings of a job among many.
        normalized: whether the filters are normalised already, so that `normalize_filters` asks for nothing more.

    Raises:
        InputError: windows, or filters normalised by each job's own images.
    """
    if config.tile not in ("auto", 0):
        raise InputError(f"`tile` {config.tile} is for single pictures; give 0 or auto for a batch")
    if config.normalize_filters and not normalized:
        raise InputError("`normalize_filters` is for single pictures; a batch needs `normalize_with` FOLDER too")


def check_value(name: str, value: Any) -> Any:
    """Returns the value of one field as a `Config` keeps it; which fields exclude each other is not asked.

    Args:
        name: of the field.
        value: any.

    Raises:
        InputError: a value that the field cannot have.
    """
    return _RULES[name](name, value)


Rule = Callable[[str, Any], Any]
"""(field, value) -> the value as it is kept; raises InputError where it is none"""


def _refuse(name: str, need: str, value: Any) -> NoReturn:
    raise InputError(f"`{name}` must {need}, got {_shown(value)}")


def _shown(value: Any) -> str:
    """The value in a few words on one line."""
    items = _items(value)
    try:
        if items is not None and all(isinstance(item, str) for item in items):
            text = " ".join(map(str, items)) or "nothing"
        else:
            text = str(value) if isinstance(value, Real) else repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        text = "something too large to print"
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _items(value: Any) -> list[Any] | None:
    """What a tuple or a list holds; None for anything else."""
    return list(cast("Iterable[Any]", value)) if isinstance(value, tuple | list) else None


def _choice(choices: tuple[str, ...]) -> Rule:
    def rule(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            _refuse(name, f"be one of {', '.join(choices)}", value)
        return value

    return rule


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        _refuse(name, "be True or False", value)
    return value


def _whole(low: int, high: int = _MOST) -> Rule:
    def rule(name: str, value: Any) -> int:
        number = _integer(value)
        if number is None or number < low:
            _refuse(name, f"be a whole number of at least {low}", value)
        if number > high:
            _refuse(name, f"be at most {high}", value)
        return number

    return rule


def _number(need: str, holds: Callable[[float], bool]) -> Rule:
    def rule(name: str, value: Any) -> float:
        number = _finite(value)
        if number is None or not holds(number):
            _refuse(name, need, value)
        return number

    return rule


def _integer(value: Any) -> int | None:
    """A whole number, NumPy's too; None for anything else, booleans and floats like 2.0 among it."""
    return None if isinstance(value, bool) or not isinstance(value, Integral) else int(value)


def _finite(value: Any) -> float | None:
    """A finite number as a float; None for anything else. A boolean is none, nor is one too large for a float."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _optional(rule: Rule) -> Rule:
    return lambda name, value: None if value is None else rule(name, value)


def _words(name: str, value: Any) -> tuple[str, ...]:
    """Commas separate as blanks do, as users of other tools write them."""
    items = _items(value)
    if items is None or not all(isinstance(item, str) for item in items):
        _refuse(name, "be a tuple of strings", value)
    return tuple(word for item in items for word in re.split(r"[,\s]+", item) if word)


def _layers(name: str, value: Any) -> tuple[str, ...]:
    layers = tuple(re.sub(r"^relu(?=\d_\d$)", "conv", word) for word in _words(name, value))
    if not layers:
        _refuse(name, "name at least one layer", layers)
    check_layers(layers, "vgg19")  # VGG-16 has a few less: they are checked again with the network at hand
    if len(set(layers)) != len(layers):
        _refuse(name, "name each layer once", layers)
    return layers


def _layer_weights(name: str, value: Any) -> tuple[float, ...]:
    items = _items(value)
    numbers = [None] if items is None else [_finite(item) for item in items]
    weights = tuple(number for number in numbers if number is not None and number >= 0)
    if len(weights) != len(numbers):
        _refuse(name, "be numbers of at least 0", value)
    if not 0 < sum(weights) < math.inf:
        _refuse(name, "hold one weight above 0, and a finite sum", value)
    return weights


def _scales(name: str, value: Any) -> tuple[str, ...]:
    scales = _words(name, value)
    numbers = [int(scale) for scale in scales if re.fullmatch("[0-9]{1,9}", scale)]
    if scales != ("auto",) and not (len(numbers) == len(scales) > 0 and numbers[0] > 0):
        _refuse(name, "be auto, a number of scales, or increasing sides in pixels", scales)
    if numbers != sorted(set(numbers)):
        _refuse(name, "increase", scales)
    return scales


def _tile(name: str, value: Any) -> int | str:
    if isinstance(value, str) and value == "auto":
        return value
    number = _integer(value)
    if number is None or not 0 <= number <= _MOST:
        _refuse(name, "be auto or a whole number of at least 0", value)
    return number


def _init(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        _refuse(name, "be content, style, noise or the path of an image, as a string", value)
    return value


_WEIGHT = _number("be a finite number of at least 0", lambda number: number >= 0)
_RULES: dict[str, Rule] = {
    "strength": _optional(_number("be a number between 0 and 1", lambda number: 0 <= number <= 1)),
    "content_weight": _optional(_WEIGHT),
    "style_weight": _optional(_WEIGHT),
    "tv_weight": _WEIGHT,
    "noise_blend": _number("be a number between 0 and 1", lambda number: 0 <= number <= 1),
    "content_layers": _layers,
    "style_layers": _layers,
    "style_layer_weights": _optional(_layer_weights),
    "style_pyramid_levels": _whole(1),
    "iterations": _whole(0),
    "scales": _scales,
    "history_size": _whole(1),
    "learning_rate": _number("be a finite number above 0", lambda number: number > 0),
    "tile": _tile,
    "init": _init,
    "seed": _whole(0, 2**32 - 1),
    **{field.name: _choice(get_args(field.type)) for field in fields(Config) if get_origin(field.type) is Literal},
    **{field.name: _boolean for field in fields(Config) if field.type is bool},
}


def _check_combinations(config: Config) -> None:
    """Refuses values that are good by themselves and exclude each other."""
    weights, layers = config.style_layer_weights, config.style_layers
    if weights is not None and len(weights) != len(layers):
        raise InputError(f"`style_layer_weights` must be {len(layers)} numbers, one a style layer, got {len(weights)}")
    if config.style_loss == "neighbours" and config.loss != "relative":
        _refuse("loss", "be relative for `style_loss` neighbours", config.loss)
    if config.style_loss == "neighbours" and weights is not None:
        raise InputError("`style_loss` neighbours lays its layers side by side: it takes no `style_layer_weights`")
    for name in ("content_weight", "style_weight"):
        if config.strength is not None and getattr(config, name) is not None:
            raise InputError(f"`strength` must stand without `{name}`, got both")
    if config.explicit_weights() == (0, 0):
        raise InputError("`content_weight` must be above 0 where `style_weight` is 0, got 0")
    if config.original_colors and config.match_colors != "no":
        raise InputError("`original_colors` must stand without `match_colors`, got both")
    if config.tileable != "no" and config.tile not in ("auto", 0):
        raise InputError(f"`tileable` {config.tileable} and `tile` {config.tile}: give one of the two")
    if config.gradients == "normalized" and config.optimizer != "adam":
        raise InputError("`gradients` must be shared or separate without `optimizer` adam, got normalized")

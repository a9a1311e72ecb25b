"""What the page asks for, checked: settings, orders; and settings as `Config` and recipes have them. Pure data."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from jnst.config import DEFAULT_STRENGTH, Config
from jnst.errors import InputError
from jnst.io.recipe import Recipe
from jnst.presets import QUALITIES

MOST_PAINTINGS = 8
"""in one picture"""
FORMATS = {"png": ".png", "png16": ".png", "tiff": ".tif", "jpeg": ".jpg"}
"""that a result is downloaded in, and their endings; TIFF and `png16` have 16 bits"""
_ID = re.compile("[0-9a-f]{16}")
_DIGITS = 6
"""of a strength that is read back from a recipe"""
_RATIO = DEFAULT_STRENGTH / (1 - DEFAULT_STRENGTH)
"""style weight over content weight of the defaults"""
_LARGEST = 1e300
_NOISE = 0.15
"""share of noise in the start of all pictures but those of seed 0, so that another seed is another picture"""


@dataclass(frozen=True)
class Settings:
    """What the page's controls hold."""

    strength: float = 1.0
    """0 to 2; the default style weight times 10**(2 (strength - 1))"""
    stroke: float = 1.0
    """0.25 to 2: size of the painting beside the picture (`style_scale`)"""
    quality: str = "standard"
    image_size: int = 512
    """longer side in pixels"""
    colors: str = "style"
    """style, or photograph: whose colours the picture has"""
    seed: int = 0
    """0: the start is the photograph; others: a little noise of that seed over it, for another picture"""
    format: str = "png"
    """that it is downloaded in"""

    def __post_init__(self) -> None:
        """Refuses what cannot be.

        Raises:
            InputError: by the name of the setting.
        """
        for name, (low, high) in {"strength": (0, 2), "stroke": (0.25, 2), "image_size": (64, 4096),
                                  "seed": (0, 2**32 - 1)}.items():  # fmt: skip
            value = getattr(self, name)
            kinds = int if name in ("image_size", "seed") else int | float
            if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
                kind = "a whole number" if kinds is int else "a number"
                raise InputError(f"{name} must be {kind} from {low} to {high}, got {str(value)[:40]}")
        for name, choices in {"quality": QUALITIES, "colors": ("style", "photograph"), "format": FORMATS}.items():
            if getattr(self, name) not in choices:
                shown = str(getattr(self, name))[:40]
                raise InputError(f"{name} must be one of {', '.join(choices)}, got {shown}")

    def config(self, base: Config, *, quality: str | None = None) -> Config:
        """Returns the settings of the transfer.

        Args:
            base: all that the page says nothing of.
            quality: instead of the one asked for.
        """
        ratio = _RATIO * 10 ** (2 * (self.strength - 1))
        return replace(
            base,
            strength=None if self.strength == 1 else ratio / (1 + ratio),
            iterations=QUALITIES[quality or self.quality],
            original_colors=self.colors == "photograph",
            seed=self.seed,
            noise_blend=_NOISE if self.seed else base.noise_blend,
        )


def settings_of_recipe(recipe: Recipe, name: str) -> Settings:
    """Returns the settings of a picture that jnst has painted, by the studio or not: the nearest that the page has.

    Args:
        recipe: of the picture.
        name: of its file, whose ending tells the format.
    """
    told = recipe.settings
    strength, alpha, beta = (_number(told.get(key)) for key in ("strength", "content_weight", "style_weight"))
    ratio = _RATIO
    if strength is not None:
        ratio = strength / max(1 - strength, 1e-9)
    elif (alpha, beta) != (None, None):
        ratio = (1 if beta is None else beta) / max(1e-9, 1 if alpha is None else alpha)
    iterations, stroke = _number(told.get("iterations")) or 100, _number(recipe.options.get("style_scale")) or 1.0
    asked, seed = _number(recipe.options.get("image_size")) or max(recipe.size), _number(told.get("seed")) or 0
    keeps = told.get("original_colors") is True or told.get("match_colors", "no") != "no"
    ending = Path(name).suffix.lower()
    format = {".tif": "tiff", ".tiff": "tiff", ".jpg": "jpeg", ".jpeg": "jpeg"}.get(ending, "png")
    return Settings(
        strength=round(_within(1 + math.log10(max(ratio, 1e-9) / _RATIO) / 2, 0, 2), _DIGITS),
        stroke=_within(stroke, 0.25, 2),
        quality=min(QUALITIES, key=lambda quality: abs(QUALITIES[quality] - iterations)),
        image_size=int(_within(asked, 64, 4096)),
        colors="photograph" if keeps else "style",
        seed=int(_within(seed, 0, 2**32 - 1)),
        format="png16" if format == "png" and recipe.options.get("bits") == 16 else format,
    )


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and abs(value) <= _LARGEST else None  # NaN is not, nor what no float holds


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


@dataclass(frozen=True)
class Part:
    """One painting of a picture."""

    image: str
    """its id, as are all that name images"""
    weight: float = 1.0
    mask: str | None = None


@dataclass(frozen=True)
class Order:
    """What is to be painted."""

    photograph: str
    paintings: tuple[Part, ...]
    settings: Settings = Settings()

    def public(self) -> dict[str, Any]:
        """Returns the order as JSON has it."""
        return asdict(self)


def parse_order(value: Any) -> Order:
    """Returns what a request asks for.

    Args:
        value: of JSON.

    Raises:
        InputError: what is missing or cannot be.
    """
    told = _object("the request", value, Order)
    paintings = told.get("paintings")
    if not isinstance(paintings, list) or not 1 <= len(paintings) <= MOST_PAINTINGS:
        raise InputError(f"paintings must be a list of 1 to {MOST_PAINTINGS} paintings; choose some")
    return Order(
        require_id("photograph", told.get("photograph")),
        tuple(map(_part, paintings)),
        parse_settings(told.get("settings", {})),
    )


def _part(value: Any) -> Part:
    told = _object("a painting", value, Part)
    weight = _number(told.get("weight", 1.0))
    if weight is None or not 0 < weight <= 1000:
        raise InputError("a painting's weight must be a number above 0; leave out a painting that is not meant")
    mask = told.get("mask")
    return Part(
        require_id("image", told.get("image")), float(weight), None if mask is None else require_id("mask", mask)
    )


def parse_settings(value: Any) -> Settings:
    """Returns settings.

    Args:
        value: of JSON.

    Raises:
        InputError: an unknown one, or a value that cannot be.
    """
    return Settings(**_object("settings", value, Settings))


def require_id(name: str, value: Any) -> str:
    """Returns an id.

    Args:
        name: of what it is the id of.
        value: of JSON or of an address.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise InputError(f"{name} must be an id of 16 hexadecimal digits, as the server has given it")
    return value


def _object(name: str, value: Any, kind: type) -> Mapping[str, Any]:
    known = [field.name for field in fields(kind)]
    if not isinstance(value, dict) or set(value) - set(known):
        raise InputError(f"{name} must be a JSON object with {', '.join(known)}")
    return value

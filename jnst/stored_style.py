"""A painting known by its statistics only: made once, usable wherever the painting is, without the picture."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from jnst.batching import Size
from jnst.config import Config
from jnst.errors import InputError
from jnst.io import style_file
from jnst.io.image import resize
from jnst.io.paths import AnyPath
from jnst.losses.terms import Term
from jnst.network.architecture import MIN_SIDE
from jnst.network.vgg import Params
from jnst.problem import default_terms, objective_for, total_variation_of
from jnst.programs import target_statistics

FORMS: tuple[Literal["squares", "absolute"], ...] = ("squares", "absolute")
SMALLEST, STEP = 32, math.sqrt(2)
"""the sizes at which the statistics are kept: longer sides in pixels, and the step between them"""


@dataclass(frozen=True, eq=False)
class StoredStyle:
    """The statistics of a painting at several sizes."""

    name: str
    size: Size
    """(height, width) at which it is taken, as that of a painting's array"""
    sha256: str
    """of the network's weights"""
    settings: Mapping[str, Any]
    """of `Config`, which say what the statistics are"""
    statistics: Mapping[int, Mapping[str, Any]]
    """longer side in pixels -> name of a term -> what it compares with (`target_statistics`), leaves (1, ...)"""
    variations: Mapping[int, Sequence[float]]
    """longer side -> total variation in its `FORMS`"""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the painting's array at its size."""
        return 1, *self.size, 3

    def at(self, size: Size) -> "StoredStyle":
        """Returns it as the painting resized.

        Args:
            size: (height, width) in pixels.
        """
        return replace(self, size=size)

    def levels(self, size: Size, terms: Sequence[Term], count: int) -> tuple[dict[str, Any], ...]:
        """Returns what `target_statistics` gives for the painting, from the sizes that are nearest.

        Args:
            size: (height, width) of the painting in pixels.
            terms: that are compared with it.
            count: levels of the pyramid.

        Raises:
            InputError: a term that it was not made for.
        """
        names = {term.name: _stored_name(term) for term in terms}
        lacking = sorted(set(names.values()) - set(next(iter(self.statistics.values()))))
        if lacking:
            made = " ".join(f"{name}={_shown(value)}" for name, value in self.settings.items())
            raise InputError(f"the style file of {self.name} has no statistics {lacking[0]}; it was made with {made}")
        sides = (self._nearest(max(size) / 2**level) for level in range(count))
        return tuple({name: self.statistics[side][stored] for name, stored in names.items()} for side in sides)

    def variation(self, size: Size, *, form: Literal["squares", "absolute"] = "squares") -> float:
        """Returns the painting's total variation.

        Args:
            size: (height, width) in pixels.
            form: of `Config.tv_form`.
        """
        return self.variations[self._nearest(max(size))][FORMS.index(form)]

    def _nearest(self, side: float) -> int:
        return min(self.statistics, key=lambda stored: abs(math.log(stored / side)))


def _stored_name(term: Term) -> str:
    """What the term is called for the first style, without a mask."""
    return term.name.partition("@")[0].partition(":")[0]


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def ladder(size: Size) -> list[int]:
    """Returns the longer sides at which a painting's statistics are kept, falling.

    Args:
        size: (height, width) of the painting in pixels, the first.
    """
    longer, shorter = max(size), min(size)
    steps = math.floor(2 * math.log2(longer / SMALLEST) + 1e-9)
    sides = [round(SMALLEST * STEP**k) for k in range(steps, -1, -1)]
    return list(dict.fromkeys([longer, *(side for side in sides if side * shorter / longer >= MIN_SIDE)]))


def store_style(
    image: Float[np.ndarray, "1 h w 3"],
    config: Config,
    params: Params,
    *,
    name: str = "",
    sha256: str = "",
    notify: Callable[[int, int], None] = lambda done, of: None,
) -> StoredStyle:
    """Computes the statistics of a painting at all sizes up to its own.

    Args:
        image: RGB in [0, 1].
        config: whose style terms are meant.
        params: parameters of the network.
        name: of the painting.
        sha256: of the weights.
        notify: is told how many sizes are done, and of how many.

    Returns:
        Its statistics at the sizes of `ladder`.

    Raises:
        InputError: terms that compare with the painting's places, or none.
    """
    terms = tuple(term for term in default_terms(config) if term.group == "style")
    if not terms or any(term.match for term in terms):
        raise InputError(f"`style_loss` {config.style_loss} compares with the painting itself; a style file has none")
    objective = replace(objective_for(config, terms=terms), style_pyramid_levels=1, tile=0)
    sides, found, variations = ladder(image.shape[1:3]), dict[int, Any](), dict[int, list[float]]()
    for side in sides:
        height, width = (max(MIN_SIDE, round(part * side / max(image.shape[1:3]))) for part in image.shape[1:3])
        small = resize(image, height, width)
        (level,) = target_statistics(params, small, "style", objective=objective)
        found[side], variations[side] = level, [total_variation_of(small, form=form) for form in FORMS]
        notify(len(found), len(sides))
    settings = {key: getattr(config, key) for key in ("style_loss", "loss", "style_layers", "pooling")}
    return StoredStyle(name, image.shape[1:3], sha256, settings, found, variations)


def save(stored: StoredStyle, path: AnyPath) -> None:
    """Writes a style file.

    Args:
        stored: what to write.
        path: ends in `.style.h5`.

    Raises:
        InputError: another ending, or a place that cannot be written.
    """
    sizes = {
        side: {"terms": terms, "variation": np.array(stored.variations[side], np.float32)}
        for side, terms in stored.statistics.items()
    }
    about = {"name": stored.name, "size": stored.size, "settings": dict(stored.settings)}
    style_file.write_style(path, sizes, about, sha256=stored.sha256)


def load(path: AnyPath) -> StoredStyle:
    """Reads a style file.

    Args:
        path: of a file on this machine.

    Returns:
        The statistics.

    Raises:
        InputError: no such file, or one that is damaged or none.
    """
    sizes, about, sha256 = style_file.read_style(path)
    try:
        height, width = map(int, about["size"])
        settings = {str(key): str(value) if isinstance(value, str) else tuple(map(str, value))
                    for key, value in about["settings"].items()}  # fmt: skip
        sizes = dict(sorted(sizes.items(), reverse=True))
        terms = {side: found["terms"] for side, found in sizes.items()}
        variations = {side: [float(found["variation"][k]) for k in range(len(FORMS))] for side, found in sizes.items()}
        name = str(about["name"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise InputError(f"{path} is damaged: it does not say what it holds; get the file again") from None
    if min(height, width) < MIN_SIDE or max(height, width) > 2**16 or min(sizes) < MIN_SIDE:
        raise InputError(f"{path} is damaged: a painting of {width}x{height} pixels; get the file again")
    return StoredStyle(name, (height, width), sha256, settings, terms, variations)


def check_stored(styles: Iterable[StoredStyle], record: Mapping[str, str]) -> None:
    """Refuses style files that were made by another network.

    Args:
        styles: of a run.
        record: of its weights (`Weights.record`).

    Raises:
        InputError: naming the first.
    """
    for style in styles:
        if style.sha256 != record["sha256"] or record["normalized"]:
            here = record["sha256"][:12] + (", normalised" if record["normalized"] else "")
            raise InputError(
                f"the style file of {style.name} is for the weights {style.sha256[:12]}, here are {here}; "
                "give the painting itself, or the same weights"
            )

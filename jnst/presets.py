"""Settings with names: those of the papers and of the 2017 study's figures. Pure data.

What stands here is one scale, and the style compared at one size, as the sources did it. The study's own six have in
common: content start, mean-squared losses, equal layer weights, gradients computed separately, L-BFGS with first step 1
in the box [0, 1]; they differ in layers, which is its main knob.
"""

from dataclasses import dataclass
from typing import Any

from jnst.errors import InputError

COMMON: dict[str, Any] = {
    "scales": ("1",),
    "style_pyramid_levels": 1,
    "style_unit": "painting",
    "style_loss": "gram",
    "tv_weight": 0.0,
    "iterations": 200,
}
"""what every preset sets"""
_STUDY: dict[str, Any] = {**COMMON, "loss": "mse", "strength": 0.93, "init": "content", "gradients": "separate"}
_ALL = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
_HIGH = ("conv3_1", "conv4_1", "conv5_1")


QUALITIES = {"draft": 30, "standard": 100, "fine": 300}
"""iterations of the whole run, by name"""


@dataclass(frozen=True)
class Preset:
    """Fields of `Config`, and one line on when to use them."""

    settings: dict[str, Any]
    advice: str


def _study(style_layers: tuple[str, ...], content_layer: str, advice: str) -> Preset:
    return Preset({**_STUDY, "style_layers": style_layers, "content_layers": (content_layer,)}, advice)


PRESETS = {
    "gatys2016": Preset(
        {**COMMON, "content_layers": ("conv4_2",), "style_layers": _ALL, "pooling": "average", "loss": "sum",
         "content_weight": 1e-3, "style_weight": 1.0, "init": "noise", "normalize_filters": True},
        "the CVPR paper: sums of squares, average pooling, normalized filters, alpha/beta 1e-3, from noise",
    ),
    "nikulin2016-partial": Preset(
        {**_STUDY, "content_layers": _ALL, "style_layers": ("conv3_1", "conv5_1")},
        "partial transfer: season or light of a picture of the same kind, the scene kept",
    ),
    "flower-market": _study(_HIGH, "conv4_2", "expressionist brush work, without the painting's colours and grain"),
    "mediterranean-garden": _study(_ALL, "conv5_2", "a Picasso, over a photograph whose detail may go"),
    "mountain": _study(_ALL, "conv5_2", "a Kandinsky: colour and form, over a photograph whose detail may go"),
    "cubist-tiger": _study(_ALL, "conv4_2", "a cubist painting, over a clear subject that is to stay"),
    "season-transfer": _study(_HIGH, "conv4_2", "photograph to photograph: another season"),
    "self-portrait": _study(_ALL, "conv5_2", "a painted face over a photographed one"),
}  # fmt: skip


def preset_settings(name: str) -> dict[str, Any]:
    """Returns the fields of `Config` that a preset sets.

    Args:
        name: a key of `PRESETS`.

    Raises:
        InputError: no such preset.
    """
    if name not in PRESETS:
        known = ", ".join(PRESETS)
        raise InputError(f"`preset` {name} is not known; there are {known}; see `list_presets`", field="preset")
    return dict(PRESETS[name].settings)


def quality_iterations(quality: str) -> int:
    """Returns the iterations that a quality stands for.

    Args:
        quality: a key of `QUALITIES`.

    Raises:
        InputError: no such quality.
    """
    if quality not in QUALITIES:
        raise InputError(f"`quality` must be one of {', '.join(QUALITIES)}, got {quality}", field="quality")
    return QUALITIES[quality]

"""`--style-layers auto`, `--content-layers auto`: layers by measurement, where the 2017 study chose by looking.

The study keeps the lower layers out of the style where the painting is made of large shapes (cubism), and takes conv5_2
instead of conv4_2 for a very detailed photograph. Both are read off the energy of a layer's map in its smallest
windows, 2x2 positions: how evenly it lies over the image, and its share in the whole. Thresholds: docs/layers.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jnst.config import AUTO, Config
from jnst.network.architecture import block_of
from jnst.network.vgg import Params, Region, features

STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
FLAT = 0.1  # evenness at conv1_1 below which a painting is made of large flat shapes
DETAILED = 0.69  # detail at conv3_1 above which a photograph is very detailed
NOISE_SIDE = 128  # pixels of the noise that stands for full detail


@dataclass(frozen=True)
class Choice:
    """What was measured and chosen; None where the user chose."""

    content_layers: tuple[str, ...] | None = None
    detail: float | None = None
    style_layers: tuple[str, ...] | None = None
    evenness: dict[str, float] | None = None

    def lines(self) -> list[str]:
        """The decisions and their numbers, for people."""
        found = []
        if self.style_layers and self.evenness:
            value = self.evenness["conv1_1"]
            kind = f"below {FLAT}: large flat shapes" if value < FLAT else f"at least {FLAT}: texture all over"
            found.append(f"style layers {' '.join(self.style_layers)} (evenness {value:.2f}, {kind})")
        if self.content_layers and self.detail is not None:
            many = self.detail > DETAILED
            kind = f"above {DETAILED}: very detailed" if many else f"at most {DETAILED}: not too detailed"
            found.append(f"content layer {' '.join(self.content_layers)} (detail {self.detail:.2f}, {kind})")
        return found


def choose(config: Config, params: Params, content: Any, style: Any) -> tuple[Config, Choice | None]:
    """The config with layers in place of `auto`, and why; as it is, and None, where it has none.

    Args:
        config: settings.
        params: of VGG-16 or VGG-19, plain (not from `vgg.prepare` nor `normalize.normalize_filters`).
        content, style: RGB in [0, 1], (1, h, w, 3), at the size of the run.
    """
    measured: dict[str, Any] = {}
    if config.content_layers == AUTO:
        value = detail(params, content)
        measured |= {"content_layers": for_detail(value), "detail": value}
    if config.style_layers == AUTO:
        even = evenness(params, style)
        measured |= {"style_layers": for_evenness(even["conv1_1"]), "evenness": even}
    if not measured:
        return config, None
    chosen = {name: layers for name, layers in measured.items() if name.endswith("layers")}
    return replace(config, **chosen), Choice(**measured)


def for_detail(value: float) -> tuple[str, ...]:
    """The content layer for a photograph of that detail."""
    return ("conv5_2",) if value > DETAILED else ("conv4_2",)


def for_evenness(value: float) -> tuple[str, ...]:
    """The style layers for a painting of that evenness at conv1_1."""
    return STYLE_LAYERS[2:] if value < FLAT else STYLE_LAYERS


def evenness(
    params: Params, style: Any, layers: Sequence[str] = STYLE_LAYERS, region: Region | None = None
) -> dict[str, float]:
    """How evenly fine texture lies over an image, at each layer: median over mean of the windows' energy.

    Near 1 where every place has texture, 0 where most places are flat and the energy lies in edges between them.
    `region`: where in the array the image lies, from its corner on.
    """
    return dict(zip(layers, map(float, _evenness(params, style, region, tuple(layers))), strict=True))


def detail(params: Params, content: Any, region: Region | None = None) -> float:
    """The share of the finest windows in the energy of conv3_1, over the same of white noise: 0 smooth, 1 noise."""
    noise = jax.random.uniform(jax.random.key(0), (1, NOISE_SIDE, NOISE_SIDE, 3))
    return float(_fine_share(params, content, region) / _fine_share(params, noise, None))


@partial(jax.jit, static_argnames="layers")
def _evenness(
    params: Params, image: Float[Array, "1 h w 3"], region: Region | None, layers: tuple[str, ...]
) -> Float[Array, " layers"]:
    maps = features(params, image, layers, region=region)

    def ratio(layer: str) -> Array:
        _, energy, inside = _windows(maps[layer], region, block_of(layer))
        energy = jnp.sum(energy, -1, keepdims=True)
        mean = jnp.sum(energy, where=inside) / jnp.sum(inside)
        return jnp.nanmedian(jnp.where(inside, energy, jnp.nan)) / jnp.maximum(mean, jnp.finfo(energy.dtype).tiny)

    return jnp.stack([ratio(layer) for layer in layers])


@jax.jit
def _fine_share(params: Params, image: Float[Array, "1 h w 3"], region: Region | None) -> Float[Array, ""]:
    maps = features(params, image, ["conv3_1"], region=region)["conv3_1"]
    f, energy, inside = _windows(maps, region, block_of("conv3_1"))
    count = jnp.sum(inside)
    mean = jnp.sum(f, (1, 2), keepdims=True) / (4 * count)
    whole = jnp.sum((f - mean) ** 2, where=inside.repeat(2, 1).repeat(2, 2)) / (4 * count)
    fine = (
        jnp.sum(energy, where=inside) / count * 4 / 3
    )  # of independent values a window of 4 holds 3/4 of the variance
    return fine / jnp.maximum(whole, jnp.finfo(f.dtype).tiny)


def _windows(
    f: Float[Array, "1 h w c"], region: Region | None, block: int
) -> tuple[Float[Array, "1 _h _w c"], Float[Array, "1 _h2 _w2 c"], Bool[Array, "1 _h2 _w2 1"]]:
    """The map without an odd last row or column, zero beyond the image; the variance in each of its 2x2 windows; which
    of these lie in the image.
    """
    h, w = f.shape[1] // 2, f.shape[2] // 2
    f = f[:, : 2 * h, : 2 * w]
    energy = jnp.var(f.reshape(1, h, 2, w, 2, -1), (2, 4))
    inside = jnp.ones((1, h, w, 1), bool) if region is None else region.mask(energy.shape, block + 1)
    return jnp.where(inside.repeat(2, 1).repeat(2, 2), f, 0), energy, inside

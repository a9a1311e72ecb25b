"""Layers chosen by measurement (`style_layers="auto"`, `content_layers="auto"`), where the 2017 study chose by looking.

The study keeps the lower layers out of the style where the painting is made of large shapes (cubism), and takes conv5_2
instead of conv4_2 for a very detailed photograph. Both are read off the energy of a layer's map in its smallest
windows, 2x2 positions: how evenly it lies over the image, and its share in the whole. Thresholds: docs/layers.md.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jnst.batching import bucket_sizes, pad_to
from jnst.config import AUTO, Config
from jnst.errors import InputError
from jnst.jobs import Job, Picture
from jnst.network.architecture import DEFAULT_STYLE_LAYERS, stride_of
from jnst.network.region import Region
from jnst.network.vgg import Params, features

MAX_FLAT_EVENNESS = 0.1  # evenness at conv1_1 below which a painting is made of large flat shapes
MIN_DETAIL = 0.69  # detail at conv3_1 above which a photograph is very detailed
T = TypeVar("T")

NOISE_SIDE = 128  # pixels of the noise that stands for full detail


@dataclass(frozen=True)
class Choice:
    """What was measured and chosen; None where the user chose."""

    content_layers: tuple[str, ...] | None = None
    detail: float | None = None
    style_layers: tuple[str, ...] | None = None
    evenness: dict[str, float] | None = None

    def lines(self) -> list[str]:
        """Words the decisions and their numbers.

        Returns:
            A line for each kind of layers that was chosen.
        """
        found = []
        if self.style_layers and self.evenness:
            value = self.evenness["conv1_1"]
            kind = (
                f"below {MAX_FLAT_EVENNESS}: large flat shapes"
                if value < MAX_FLAT_EVENNESS
                else f"at least {MAX_FLAT_EVENNESS}: texture all over"
            )
            found.append(f"style layers {' '.join(self.style_layers)} (evenness {value:.2f}, {kind})")
        if self.content_layers and self.detail is not None:
            many = self.detail > MIN_DETAIL
            kind = f"above {MIN_DETAIL}: very detailed" if many else f"at most {MIN_DETAIL}: not too detailed"
            found.append(f"content layer {' '.join(self.content_layers)} (detail {self.detail:.2f}, {kind})")
        return found


def choose(config: Config, params: Params, content: Any, style: Any) -> tuple[Config, Choice | None]:
    """Returns the config with layers in place of `auto`, and why; as it is, and None, where it has none.

    Args:
        config: settings.
        params: of VGG-16 or VGG-19, plain (not from `prepare_for_inference` nor `normalize_filters`).
        content, style: RGB in [0, 1], (1, h, w, 3), at the size of the run.
    """
    measured: dict[str, Any] = {}
    if config.content_layers == AUTO:
        value = detail(params, content)
        measured |= {"content_layers": content_layers_for(value), "detail": value}
    if config.style_layers == AUTO:
        even = evenness(params, style)
        measured |= {"style_layers": style_layers_for(even["conv1_1"]), "evenness": even}
    if not measured:
        return config, None
    chosen = {name: layers for name, layers in measured.items() if name.endswith("layers")}
    return replace(config, **chosen), Choice(**measured)


def choose_many(jobs: Sequence[Job], config: Config, params: Params) -> list[Job]:
    """Returns the jobs with layers in place of `auto`; each image is measured once, by programs that sizes share.

    Args:
        jobs: what to paint; those without `auto` come back as they are, and so do those whose image cannot be loaded,
            with the default layers: whoever paints them will find that.
        config: the settings of all jobs that have none of their own.
        params: as `choose` takes them.
    """
    own = [job.config or config for job in jobs]
    contents = {job.content.key: job.content for job, c in zip(jobs, own, strict=True) if c.content_layers == AUTO}
    styles = {job.style.key: job.style for job, c in zip(jobs, own, strict=True) if c.style_layers == AUTO}
    by_content = _measure(contents, lambda x, region: content_layers_for(detail(params, x, region=region)))
    by_style = _measure(
        styles, lambda x, region: style_layers_for(evenness(params, x, layers=("conv1_1",), region=region)["conv1_1"])
    )
    chosen = []
    for job, settings in zip(jobs, own, strict=True):
        layers = {}
        if settings.content_layers == AUTO:
            layers["content_layers"] = by_content.get(job.content.key, Config().content_layers)
        if settings.style_layers == AUTO:
            layers["style_layers"] = by_style.get(job.style.key, Config().style_layers)
        chosen.append(replace(job, config=replace(settings, **layers)) if layers else job)
    return chosen


def _measure(pictures: Mapping[Hashable, Picture], measure: Callable[[Any, Region], T]) -> dict[Hashable, T]:
    """What is measured of each picture that can be loaded, padded so that near sizes share a program."""
    padded = bucket_sizes(Counter(picture.size for picture in pictures.values()))
    measured = {}
    for key, picture in pictures.items():
        try:
            image = picture.load()
        except (InputError, OSError):
            continue
        measured[key] = measure(pad_to(image, padded[picture.size]), Region.full(1, *picture.size))
    return measured


def content_layers_for(value: float) -> tuple[str, ...]:
    """Returns the content layer for a photograph.

    Args:
        value: its `detail`.
    """
    return ("conv5_2",) if value > MIN_DETAIL else ("conv4_2",)


def style_layers_for(value: float) -> tuple[str, ...]:
    """Returns the style layers for a painting.

    Args:
        value: its `evenness` at conv1_1.
    """
    return DEFAULT_STYLE_LAYERS[2:] if value < MAX_FLAT_EVENNESS else DEFAULT_STYLE_LAYERS


def evenness(
    params: Params, style: Any, *, layers: Sequence[str] = DEFAULT_STYLE_LAYERS, region: Region | None = None
) -> dict[str, float]:
    """Returns how evenly fine texture lies over an image at each layer: median over mean of the windows' energy.

    The energy of a 2x2 window of positions is the variance of its values, summed over the filters. Near 1 where every
    place has texture, 0 where most places are flat and the energy lies in edges between them.

    Args:
        params: plain parameters.
        style: RGB in [0, 1], (1, h, w, 3).
        layers: where it is measured.
        region: where in the array the image lies, from its corner on.
    """
    return dict(zip(layers, map(float, _evenness(params, style, region, tuple(layers))), strict=True))


def detail(params: Params, content: Any, *, region: Region | None = None) -> float:
    """Returns the share of the finest windows in the energy of conv3_1, over that of white noise: 0 smooth, 1 noise.

    Args:
        params: plain parameters.
        content: RGB in [0, 1], (1, h, w, 3).
        region: where in the array the image lies, from its corner on.
    """
    noise = jax.random.uniform(jax.random.key(0), (1, NOISE_SIDE, NOISE_SIDE, 3))
    return float(_fine_share(params, content, region) / _fine_share(params, noise, None))


@partial(jax.jit, static_argnames="layers")
def _evenness(
    params: Params, image: Float[Array, "1 h w 3"], region: Region | None, layers: tuple[str, ...]
) -> Float[Array, " layers"]:
    maps = features(params, image, layers, region=region)

    def ratio(layer: str) -> Array:
        _, energy, inside = _windows(maps[layer], region, stride_of(layer))
        energy = jnp.sum(energy, -1, keepdims=True)
        mean = jnp.sum(energy, where=inside) / jnp.sum(inside)
        return jnp.nanmedian(jnp.where(inside, energy, jnp.nan)) / jnp.maximum(mean, jnp.finfo(energy.dtype).tiny)

    return jnp.stack([ratio(layer) for layer in layers])


@jax.jit
def _fine_share(params: Params, image: Float[Array, "1 h w 3"], region: Region | None) -> Float[Array, ""]:
    maps = features(params, image, ["conv3_1"], region=region)["conv3_1"]
    f, energy, inside = _windows(maps, region, stride_of("conv3_1"))
    count = jnp.sum(inside)
    mean = jnp.sum(f, (1, 2), keepdims=True) / (4 * count)
    whole = jnp.sum((f - mean) ** 2, where=inside.repeat(2, 1).repeat(2, 2)) / (4 * count)
    fine = (
        jnp.sum(energy, where=inside) / count * 4 / 3
    )  # of independent values a window of 4 holds 3/4 of the variance
    return fine / jnp.maximum(whole, jnp.finfo(f.dtype).tiny)


def _windows(
    f: Float[Array, "1 h w c"], region: Region | None, stride: int
) -> tuple[Float[Array, "1 _h _w c"], Float[Array, "1 _h2 _w2 c"], Bool[Array, "1 _h2 _w2 1"]]:
    """The map without an odd last row or column, zero beyond the image; the variance in each of its 2x2 windows; which
    of these lie in the image.
    """
    h, w = f.shape[1] // 2, f.shape[2] // 2
    f = f[:, : 2 * h, : 2 * w]
    energy = jnp.var(f.reshape(1, h, 2, w, 2, -1), (2, 4))
    inside = jnp.ones((1, h, w, 1), bool) if region is None else region.mask(energy.shape, 2 * stride)
    return jnp.where(inside.repeat(2, 1).repeat(2, 2), f, 0), energy, inside

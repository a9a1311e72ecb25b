"""The photograph's colours kept: paintings recoloured before a run, or the result's luminance alone taken from it.

Gatys, Bethge, Hertzmann, Shechtman, "Preserving Color in Neural Artistic Style Transfer" (arXiv 1606.05897). All on
the host, in the pixels' own values (sRGB), as there; nothing passes through 8 bits.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Float

from jnst.config import Config
from jnst.jobs import Job, Picture
from jnst.problem import check_images

HostImage = Float[np.ndarray, "1 _h _w 3"]
Match = Callable[[HostImage, HostImage], HostImage]
"""(painting, photograph) -> the painting recoloured"""
Fetch = Callable[[Picture], np.ndarray]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Y of YIQ, the paper's luminance"""
_LEAST_VARIANCE = 1e-5
"""of a colour axis of a painting, so that a flat one is not stretched to noise"""
_TURNS = 12
"""of the colour axes, after which the histograms along any axis agree"""
_LEVELS = 512
"""of a histogram"""


def luminance(image: HostImage) -> HostImage:
    """Returns an image in greys.

    Args:
        image: RGB in [0, 1].

    Returns:
        Its Y, three times.
    """
    return np.repeat((image @ LUMA)[..., None], 3, -1).astype(np.float32)


def match_luminance(style: HostImage, content: HostImage) -> HostImage:
    """Returns a painting's luminance with mean and deviation of the photograph's (section 3 of the paper).

    Args:
        style: RGB in [0, 1].
        content: RGB in [0, 1].

    Returns:
        Greys in [0, 1].
    """
    of_style, of_content = luminance(style), luminance(content)
    scale = of_content.std() / max(float(of_style.std()), _LEAST_VARIANCE**0.5)
    return np.clip((of_style - of_style.mean()) * scale + of_content.mean(), 0, 1)


def with_luminance(content: HostImage, result: HostImage) -> HostImage:
    """Returns the photograph's colours with the result's luminance.

    Colours that do not exist at a luminance lose saturation, not hue or luminance.

    Args:
        content: RGB in [0, 1].
        result: RGB in [0, 1], of the same size.

    Returns:
        RGB in [0, 1].
    """
    y = np.clip(result @ LUMA, 0, 1)[..., None]
    chroma = content - (content @ LUMA)[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(chroma > 0, (1 - y) / chroma, np.where(chroma < 0, -y / chroma, np.inf))
    return np.clip(y + chroma * np.minimum(1, room.min(-1, keepdims=True)), 0, 1).astype(np.float32)


def match_mean(style: HostImage, content: HostImage) -> HostImage:
    """Returns a painting with mean and deviation of each of the photograph's colour channels.

    Args:
        style: RGB in [0, 1].
        content: RGB in [0, 1].
    """
    deviation = np.maximum(style.std((1, 2)), _LEAST_VARIANCE**0.5)
    moved = (style - style.mean((1, 2))) * (content.std((1, 2)) / deviation) + content.mean((1, 2))
    return np.clip(moved, 0, 1).astype(np.float32)


def match_covariance(style: HostImage, content: HostImage) -> HostImage:
    """Returns a painting with mean and covariance of the photograph's colours (section 4, Image Analogies' form).

    Args:
        style: RGB in [0, 1].
        content: RGB in [0, 1].
    """
    colors, targets = (image.reshape(-1, 3).astype(np.float64) for image in (style, content))
    matrix = _power(np.cov(targets.T), 0.5) @ _power(np.cov(colors.T), -0.5)
    moved = (colors - colors.mean(0)) @ matrix.T + targets.mean(0)
    return np.clip(moved, 0, 1).reshape(style.shape).astype(np.float32)


def _power(covariance: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a symmetric matrix, whose smallest eigenvalues are lifted."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.maximum(values, _LEAST_VARIANCE) ** exponent) @ vectors.T


def match_histogram(style: HostImage, content: HostImage) -> HostImage:
    """Returns a painting with the photograph's distribution of colours (Pitie, Kokaram, Dahyot 2007).

    The histograms along three axes are matched, the axes turned, and so again.

    Args:
        style: RGB in [0, 1].
        content: RGB in [0, 1].
    """
    colors, targets = (image.reshape(-1, 3).astype(np.float64) for image in (style, content))
    rng, shares = np.random.default_rng(0), np.linspace(0, 1, _LEVELS)
    for turn in range(_TURNS):
        axes = np.eye(3) if turn == 0 else np.linalg.qr(rng.standard_normal((3, 3)))[0]
        along, wanted = colors @ axes, targets @ axes
        for k in range(3):
            levels, there = np.quantile(along[:, k], shares), np.quantile(wanted[:, k], shares)
            along[:, k] = np.interp(along[:, k], levels, there)
        colors = along @ axes.T
    return np.clip(colors, 0, 1).reshape(style.shape).astype(np.float32)


_MATCHES: dict[str, Match] = {
    "mean": match_mean, "covariance": match_covariance, "histogram": match_histogram, "luminance": match_luminance,
}  # fmt: skip


def recolored(job: Job, config: Config, fetch: Fetch) -> Job:
    """Returns a job with the pictures that the network is to see, each made when it is loaded.

    Args:
        job: as it was given.
        config: whose `match_colors` and `original_colors` count.
        fetch: loads one of the job's own pictures.
    """
    how = "luminance" if config.original_colors else config.match_colors
    if how == "no":
        return job

    def match(style: Picture) -> Picture:
        if style.stored is not None:  # of which loading says what is missing
            return replace(style, stored=None)
        load = partial(_matched, _MATCHES[how], style, job.content, fetch)
        return Picture((how, style.key, job.content.key), style.size, load)

    def grey(picture: Picture) -> Picture:
        return Picture(("grey", picture.key), picture.size, partial(_grey, picture, fetch))

    more = tuple(replace(style, picture=match(style.picture)) for style in job.more_styles)
    job = replace(job, style=match(job.style), more_styles=more)
    if not config.original_colors:
        return job
    return replace(job, content=grey(job.content), init=None if job.init is None else grey(job.init))


def _matched(match: Match, style: Picture, content: Picture, fetch: Fetch) -> HostImage:
    images = {"style": fetch(style), "content": fetch(content)}
    check_images(images)
    return match(images["style"], images["content"])


def _grey(picture: Picture, fetch: Fetch) -> HostImage:
    image = fetch(picture)
    check_images({"content": image})
    return luminance(image)

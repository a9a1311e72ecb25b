"""A picture of 48 pixels in a few seconds, which shows whether painting works here. No file is read but the weights."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SIZE = (40, 48)  # (height, width) in pixels
ITERATIONS = 6
_CONTENT, _STYLE = ("conv2_1",), ("conv1_1", "conv2_1")


@dataclass(frozen=True)
class Outcome:
    """How it went."""

    seconds: float
    """compiling included"""
    first: float
    """loss of the start"""
    last: float
    """loss of the picture"""
    fault: str
    """what is wrong with the picture, in a few words; empty where nothing is"""


def random_network(*, seed: int = 0) -> dict[str, Any]:
    """Returns the first layers of a VGG-16 that has learnt nothing, where no weights are at hand.

    Args:
        seed: of the numbers.
    """
    from jnst.network.architecture import kernel_shapes

    rng, shapes = np.random.default_rng(seed), kernel_shapes("vgg16")
    layers: dict[str, Any] = {"input": {"mean": np.full(3, 0.5, np.float32), "std": np.full(3, 0.25, np.float32)}}
    for name, shape in shapes.items():
        scale = np.sqrt(2 / np.prod(shape[:3]))  # He et al. 2015, so that the maps keep their size
        kernel = np.asarray(rng.normal(0, scale, shape), np.float32)
        layers[name] = {"kernel": kernel, "bias": np.zeros(shape[-1:], np.float32)}
        if name == _CONTENT[-1]:
            break
    return layers


def paint(params: Mapping[str, Any]) -> Outcome:
    """Paints a picture of shapes in the manner of a picture of stripes, and judges the result.

    Args:
        params: of the network.

    Returns:
        How it went.

    Raises:
        RuntimeError: of the device, as out of memory.
    """
    from jnst.config import Config
    from jnst.transfer import stylize

    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32) / 8
    content = np.stack([np.sin(x), np.cos(y), np.sin(x * y / 4)], -1)[None] * np.float32(0.3) + np.float32(0.5)
    style = np.stack([np.sin(3 * (x + y)), np.sin(3 * x), np.cos(4 * y)], -1)[None] * np.float32(0.5) + np.float32(0.5)
    config = Config(
        iterations=ITERATIONS, scales=("1",), style_pyramid_levels=1, content_layers=_CONTENT, style_layers=_STYLE,
        style_loss="gram",
    )  # fmt: skip
    began = time.perf_counter()
    result = stylize(content, style, config, dict(params))
    picture, losses = np.asarray(result.image), [row.loss for row in result.history]
    return Outcome(time.perf_counter() - began, losses[0], result.loss, fault_of(picture, losses[0], result.loss))


def fault_of(picture: np.ndarray, first: float, last: float) -> str:
    """Returns what is wrong with a picture, in a few words; empty where nothing is.

    Args:
        picture: (1, h, w, 3).
        first: loss of the start.
        last: loss of the picture.
    """
    if not (np.isfinite(picture).all() and np.isfinite([first, last]).all()):
        return "numbers that are not finite"
    if picture.min() < 0 or picture.max() > 1:
        return "pixels outside [0, 1]"
    return "" if last < first else f"a loss that does not fall ({first:.4g} to {last:.4g})"

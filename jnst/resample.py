"""Another size for an image, by Lanczos's filter of radius 3, in float on the host."""

import numpy as np
from jaxtyping import Array, Float

from jnst.losses.pyramid import RADIUS

AnyImage = Float[Array, "n _h _w 3"] | Float[np.ndarray, "n _h _w 3"]


def resize(image: AnyImage, height: int, width: int) -> Float[np.ndarray, "n {height} {width} 3"]:
    """Gives an image another size, on the host, so that no new size waits for a compiler.

    Args:
        image: in [0, 1].
        height: in pixels.
        width: in pixels.

    Returns:
        The image in float32, within [0, 1]; itself where it has that size.
    """
    pixels = np.asarray(image, np.float32)
    if pixels.shape[1:3] == (height, width):
        return pixels
    down, across = _matrix(pixels.shape[1], height), _matrix(pixels.shape[2], width)
    rows = np.tensordot(down, pixels, (1, 1))  # (height, n, _w, 3)
    columns = np.tensordot(across, rows, (1, 2))  # (width, height, n, 3)
    return np.clip(columns.transpose(2, 1, 0, 3), 0, 1)


def _matrix(old: int, new: int) -> Float[np.ndarray, "{new} {old}"]:
    """Interpolation matrix: row i holds the weights of the source pixels in output pixel i (as `jax.image.resize`)."""
    centres = (np.arange(new)[:, None] + 0.5) * old / new - 0.5
    distance = np.abs(centres - np.arange(old)[None]) / max(old / new, 1)
    kernel = np.where(distance < RADIUS, np.sinc(distance) * np.sinc(distance / RADIUS), 0)
    return (kernel / kernel.sum(1, keepdims=True)).astype(np.float32)

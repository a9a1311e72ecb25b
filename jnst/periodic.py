"""A photograph without the step where it meets its own opposite edge, which repeated pictures would show as a seam.

Moisan, "Periodic plus smooth image decomposition" (Journal of Mathematical Imaging and Vision 39, 2011): the image is
the sum of a periodic image and of a smooth one, whose Laplacian is the step at the edges and nothing else. What is
taken away changes from pixel to pixel as little as can be, so that no structure goes with it.
"""

import numpy as np
from jaxtyping import Float

from jnst.network.architecture import Tileable, wrapped_axes


def periodic_part(image: Float[np.ndarray, "n h w c"], *, tileable: Tileable) -> Float[np.ndarray, "n h w c"]:
    """Returns images less the smooth part that has the step at their edges.

    Args:
        image: in [0, 1].
        tileable: along which axes the image is to go on at its opposite edge; along the others it keeps its edges.

    Returns:
        Images in [0, 1]; the images themselves for "no".
    """
    axes = wrapped_axes(tileable)
    if not axes:
        return image
    whole = np.asarray(image, np.float64)
    for axis in {1, 2} - set(axes):  # mirrored there, it has no step
        whole = np.concatenate([whole, np.flip(whole, axis)], axis)
    smooth = _smooth_part(whole)[:, : image.shape[1], : image.shape[2]]
    return np.clip(image - smooth, 0, 1).astype(image.dtype)


def _smooth_part(image: np.ndarray) -> np.ndarray:
    """Solves Poisson's equation on the torus, with the steps at the edges as its right side."""
    steps = np.zeros_like(image)
    for axis in (1, 2):
        size = image.shape[axis]
        step = np.take(image, [size - 1], axis) - np.take(image, [0], axis)
        first, last = (tuple(slice(k, k + 1) if a == axis else slice(None) for a in range(4)) for k in (0, size - 1))
        steps[first] += step
        steps[last] -= step
    height, width = image.shape[1:3]
    down, across = np.cos(2 * np.pi * np.fft.fftfreq(height)), np.cos(2 * np.pi * np.fft.rfftfreq(width))
    laplacian = 2 * down[:, None] + 2 * across[None] - 4
    laplacian[0, 0] = 1  # the mean stays the image's own: the steps have none
    spectrum = np.fft.rfft2(steps, axes=(1, 2)) / laplacian[None, ..., None]
    return np.fft.irfft2(spectrum, s=(height, width), axes=(1, 2))

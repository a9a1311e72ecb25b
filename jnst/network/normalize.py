"""Filters of equal mean activation, the network that alpha and beta of Gatys et al. (CVPR 2016, section 2) refer to.

"We normalized the network by scaling the weights such that the mean activation of each convolutional filter over images
and positions is equal to one." ReLU, max and average pooling commute with positive factors, so each filter's map
changes by its own factor and nothing else.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.network.architecture import detect, layer_names
from jnst.network.conv import Pooling
from jnst.network.vgg import Params, observe

Means = dict[str, Float[Array, " _c"]]


@partial(jax.jit, static_argnames="pooling")
def _mean_of_one(params: Params, image: Float[Array, "1 h w 3"], pooling: Pooling) -> Means:
    readers = {layer: lambda f: jnp.mean(f, (0, 1, 2)) for layer in layer_names(detect(params))}
    return observe(params, image, readers, pooling=pooling)


def mean_activations(params: Params, images: Iterable[Any], *, pooling: Pooling = "max") -> Means:
    """Averages every filter's map over positions and images, each image as much as any other.

    Args:
        params: of VGG-16 or VGG-19.
        images: at least one, each (1, h, w, 3), RGB in [0, 1], of sides of at least 32 pixels.
        pooling: of the network that is meant.

    Returns:
        Mean of each filter, (C,) by layer.
    """
    means = [_mean_of_one(params, jnp.asarray(image), pooling) for image in images]
    return jax.tree.map(lambda *values: sum(values) / len(values), *means)


def normalize_filters(params: Params, means: Means) -> Params:
    """Scales the filters so that the maps are divided by `means`, filter by filter; a silent filter stays so.

    Each kernel takes back the factors of the layer below: `W'_io = W_io m_i / m_o`, `b'_o = b_o / m_o`.

    Args:
        params: parameters with plain kernels (not from `prepare_for_inference`).
        means: from `mean_activations`.

    Returns:
        Parameters of the same structure (Gatys et al., CVPR 2016, section 2).
    """
    scaled, below = {name: part for name, part in params.items() if name == "input"}, None
    for layer in layer_names(detect(params)):
        above = jnp.where(means[layer] > 0, means[layer], 1)
        kernel = params[layer]["kernel"] / above[None, None, None]
        kernel = kernel if below is None else kernel * below[None, None, :, None]
        scaled[layer] = {"kernel": kernel, "bias": params[layer]["bias"] / above}
        below = above
    return scaled

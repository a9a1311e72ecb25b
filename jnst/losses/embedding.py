# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The style of an image as a vector: for retrieval, clustering and maps of a collection."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jnst.losses.statistics import mean_gram
from jnst.network.architecture import DEFAULT_STYLE_LAYERS
from jnst.network.conv import Pooling
from jnst.network.vgg import Params, observe


def style_embedding(
    params: Params,
    images: Float[Array, "n h w 3"],
    *,
    layers: Sequence[str] = DEFAULT_STYLE_LAYERS,
    pooling: Pooling = "max",
) -> Float[Array, "n d"]:
    """Computes a vector of each image's style: its mean Gram matrices, each layer counting equally.

    The inner product of two vectors is the mean over the layers of the cosine between their Gram matrices.

    Args:
        params: parameters of VGG-16 or VGG-19.
        images: RGB in [0, 1]; those of other sizes in other calls give vectors that can be compared.
        layers: names `convB_I`, in any order.
        pooling: of the network.

    Returns:
        Vectors of length 1; d is the sum of N (N + 1) / 2 over the layers of N filters.

    Raises:
        InputError: an unknown layer, or an image too small for it.
    """
    return _embed(params, images, tuple(layers), pooling)


@partial(jax.jit, static_argnames=("layers", "pooling"))
def _embed(params: Params, images: Array, layers: tuple[str, ...], pooling: Pooling) -> Array:
    vectors = observe(params, images, dict.fromkeys(layers, _gram_vector), pooling=pooling)
    return jnp.concatenate([vectors[layer] for layer in layers], -1) / np.sqrt(len(layers))


def _gram_vector(maps: Array) -> Array:
    """The triangle of a mean Gram matrix, scaled so that its norm is the matrix's, at length 1."""
    gram = mean_gram(maps)
    rows, columns = np.triu_indices(gram.shape[-1])
    vector = gram[:, rows, columns] * jnp.where(rows == columns, 1, np.sqrt(2)).astype(gram.dtype)[None]
    norm = jnp.sqrt(jnp.sum(jnp.square(vector), -1, keepdims=True))
    return vector / jnp.where(norm > 0, norm, 1)

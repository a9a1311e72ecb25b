"""3x3 convolutions with fewer multiplications: Winograd's F(2x2, 3x3) and F(4x4, 3x3), for the CPU.

A tile of t x t of the result needs a window d of (t + 2) x (t + 2) of the input: `A^T [(G g G^T) * (B^T d B)] A` (Lavin
and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016), so 16 products instead of 36 for t = 2, and 36
instead of 144 for t = 4. Summed over the channels they are 16 or 36 matrix products. The matrices are those of Cook and
Toom: for t = 2 with the points 0, +-1 and infinity, as exact as a direct convolution; for t = 4 with 0, +-sqrt(1/2),
+-sqrt(2) and infinity, which round half as much as the customary 0, +-1, +-2 (Barabasz et al., "Error analysis and
improving the accuracy of Winograd convolution for deep neural networks", 2020).

The kernel is transformed once (`transform_kernel`, 1.8 or 4 times its size) and serves both directions: these points
are closed under `p -> 1/p`, so the transform of the flipped kernel is that of the kernel in another order.
"""

import math
from typing import NamedTuple

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

STRIP_BYTES = 24 * 2**20  # of the windows; more at once leaves the cache, and holds twice as much in temporaries


class _Scheme(NamedTuple):
    """The matrices for one size of tile, and those that go with `G g` to convolve with g reversed."""

    kernel: np.ndarray  # G
    output: np.ndarray  # A^T
    data: np.ndarray  # B^T
    flipped_output: np.ndarray
    flipped_data: np.ndarray


def _scheme(*points: float) -> _Scheme:
    output, kernel, data = _cook_toom(np.array(points))
    return _Scheme(kernel, output, data, *_for_flipped_kernel(output, kernel, data))


def _cook_toom(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A^T (t, t + 2), G (t + 2, 3), B^T (t + 2, t + 2) for t + 1 finite points and infinity."""
    window = len(points) + 1
    tile = window - 2
    powers = points[:, None] ** np.arange(window)
    differences = points[:, None] - points[None, :] + np.eye(len(points))
    output, kernel, data = np.zeros((tile, window)), np.zeros((window, 3)), np.zeros((window, window))
    output[:, :-1], output[-1, -1] = powers[:, :tile].T, 1
    kernel[:-1], kernel[-1, -1] = powers[:, :3] / differences.prod(1, keepdims=True), 1
    for k in range(len(points)):
        data[k, :-1] = np.poly(np.delete(points, k))[::-1]
    data[-1] = np.poly(points)[::-1]
    return output.round(15), kernel, data.round(15)


def _for_flipped_kernel(output: np.ndarray, kernel: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A^T and B^T that go with `G g` to give the convolution with g reversed.

    `G (g reversed)` at a point p is a multiple of `G g` at 1/p: rows change places and get a factor.
    """
    flipped_output, flipped_data = np.zeros_like(output), np.zeros_like(data)
    for k, row in enumerate(kernel[:, ::-1]):
        factors = kernel @ row / np.square(kernel).sum(1)
        partner = int(np.argmin(np.linalg.norm(factors[:, None] * kernel - row, axis=1)))
        flipped_output[:, partner], flipped_data[partner] = output[:, k], factors[partner] * data[k]
    return flipped_output, flipped_data


_SCHEMES = {2: _scheme(0.0, 1.0, -1.0), 4: _scheme(0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))}


def _scheme_for(transformed: Array) -> _Scheme:
    return _SCHEMES[math.isqrt(len(transformed)) - 2]


def transform_kernel(kernel: Float[Array, "3 3 i o"], tile: int) -> Float[Array, "products i o"]:
    """Transforms a kernel to `G g G^T` for every pair of channels.

    Args:
        kernel: HWIO.
        tile: 2 for tiles of 2 x 2 (16 products) or 4 for 4 x 4 (36).

    Returns:
        What `convolve` and `convolve_transposed` take.
    """
    g = _SCHEMES[tile].kernel
    both = jnp.asarray(np.kron(g, g), kernel.dtype)
    return jnp.matmul(both, kernel.reshape(9, -1), precision=lax.Precision.HIGHEST).reshape(-1, *kernel.shape[2:])


@jax.jit
def convolve(x: Float[Array, "n h w i"], transformed: Float[Array, "products i o"]) -> Float[Array, "n h w o"]:
    """Convolves, stride 1, zero padding.

    Args:
        x: maps.
        transformed: the kernel, from `transform_kernel`.

    Returns:
        Maps of the same height and width.
    """
    scheme = _scheme_for(transformed)
    return _strips(x, transformed, scheme.data, scheme.output, channel_axis=1)


@jax.jit
def convolve_transposed(
    g: Float[Array, "n h w o"], transformed: Float[Array, "products i o"]
) -> Float[Array, "n h w i"]:
    """Computes the gradient of `convolve` in x: convolves g with the kernel turned round and its channels swapped.

    Args:
        g: the gradient in the convolution's result.
        transformed: the kernel, from `transform_kernel`.

    Returns:
        The gradient in x.
    """
    scheme = _scheme_for(transformed)
    return _strips(g, transformed, scheme.flipped_data, scheme.flipped_output, channel_axis=2)


def _strips(x: Array, transformed: Array, data: np.ndarray, output: np.ndarray, *, channel_axis: int) -> Array:
    """Strips of whole tile rows one after another, each as large as the cache likes."""
    (n, h, w, _), tile = x.shape, len(output)
    rows, columns = -(-h // tile), -(-w // tile)
    windows = x.size * x.dtype.itemsize * (tile + 2) ** 2 // tile**2
    count = min(rows, -(-windows // STRIP_BYTES))
    rows = -(-rows // count)
    height = rows * tile
    x = jnp.pad(x, ((0, 0), (1, count * height + 1 - h), (1, columns * tile + 1 - w), (0, 0)))

    def strip(k: Array | int) -> Array:
        part = lax.dynamic_slice_in_dim(x, k * height, height + 2, 1)
        return _tiles(part, transformed, data, output, channel_axis)

    if count == 1:
        result = strip(0)
    else:
        result = jnp.moveaxis(lax.map(strip, jnp.arange(count)), 0, 1)
        result = result.reshape(n, count * height, columns * tile, -1)
    return result[:, :h, :w]


def _tiles(x: Array, transformed: Array, data: np.ndarray, output: np.ndarray, channel_axis: int) -> Array:
    """From (n, t rows + 2, t columns + 2, c) to (n, t rows, t columns, c')."""
    tile, window = output.shape
    n, rows, columns = x.shape[0], (x.shape[1] - 2) // tile, (x.shape[2] - 2) // tile
    starts = range(window)
    d = jnp.stack(_products(data, [x[:, k : k + tile * (rows - 1) + 1 : tile] for k in starts]))
    d = jnp.stack(_products(data, [d[:, :, :, k : k + tile * (columns - 1) + 1 : tile] for k in starts]), 1)
    products = lax.dot_general(  # d: window window n rows columns c
        d.reshape(window**2, -1, d.shape[-1]), transformed, (((2,), (channel_axis,)), ((0,), (0,))),
        precision=lax.Precision.HIGHEST,
    )  # fmt: skip
    y = products.reshape(window, window, n, rows, columns, -1)
    y = jnp.stack(_products(output, list(y)), 3)  # window n rows t columns c
    y = jnp.stack(_products(output, list(y)), 4)  # n rows t columns t c
    return y.reshape(n, tile * rows, tile * columns, -1)


def _products(matrix: np.ndarray, arrays: list[Array]) -> list[Array]:
    """The rows of `matrix @ arrays`, zeros left out."""
    sums = []
    for row in matrix:
        terms = [factor.astype(arrays[0].dtype) * array for factor, array in zip(row, arrays, strict=True) if factor]
        sums.append(sum(terms[1:], terms[0]))
    return sums

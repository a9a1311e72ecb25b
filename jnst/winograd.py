"""3x3 convolutions with a quarter of the multiplications: Winograd's F(4x4, 3x3), for the CPU.

A 4x4 tile of the result needs a 6x6 tile d of the input: `A^T [(G g G^T) * (B^T d B)] A` (Lavin and Gray, "Fast
Algorithms for Convolutional Neural Networks", 2016), so 36 products instead of 144. Summed over the channels they are
36 matrix products. The matrices are those of Cook and Toom for the points 0, +-sqrt(1/2), +-sqrt(2) and infinity, which
keep the rounding at twice that of a direct convolution (Barabasz et al., "Error analysis and improving the accuracy of
Winograd convolution for deep neural networks", 2020; the customary 0, +-1, +-2: five times).

The kernel is transformed once (`transform_kernel`, four times its size) and serves both directions: these points are
closed under `p -> 1/p`, so the transform of the flipped kernel is that of the kernel in another order.
"""

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

TILE, WINDOW = 4, 6
STRIP_BYTES = 6 * 2**20  # of the input; more at once leaves the cache, and holds 4.5 times as much in temporaries


def _cook_toom(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A^T (4, 6), G (6, 3), B^T (6, 6) for five finite points and infinity."""
    powers = points[:, None] ** np.arange(WINDOW)
    differences = points[:, None] - points[None, :] + np.eye(len(points))
    output, kernel, data = np.zeros((TILE, WINDOW)), np.zeros((WINDOW, 3)), np.zeros((WINDOW, WINDOW))
    output[:, :-1], output[-1, -1] = powers[:, :TILE].T, 1
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


_OUTPUT, _KERNEL, _DATA = _cook_toom(np.array([0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5)]))
_FLIPPED_OUTPUT, _FLIPPED_DATA = _for_flipped_kernel(_OUTPUT, _KERNEL, _DATA)


def transform_kernel(kernel: Float[Array, "3 3 i o"]) -> Float[Array, "36 i o"]:
    """`G g G^T` for every pair of channels."""
    both = jnp.asarray(np.kron(_KERNEL, _KERNEL), kernel.dtype)
    return jnp.matmul(both, kernel.reshape(9, -1), precision=lax.Precision.HIGHEST).reshape(36, *kernel.shape[2:])


@jax.jit
def convolve(x: Float[Array, "n h w i"], transformed: Float[Array, "36 i o"]) -> Float[Array, "n h w o"]:
    """The convolution of x with that kernel, stride 1, zero padding."""
    return _strips(x, transformed, _DATA, _OUTPUT, channel_axis=1)


@jax.jit
def convolve_transposed(g: Float[Array, "n h w o"], transformed: Float[Array, "36 i o"]) -> Float[Array, "n h w i"]:
    """The gradient of `convolve` in x: the convolution of g with the kernel turned by 180 degrees, channels swapped."""
    return _strips(g, transformed, _FLIPPED_DATA, _FLIPPED_OUTPUT, channel_axis=2)


def _strips(x: Array, transformed: Array, data: np.ndarray, output: np.ndarray, *, channel_axis: int) -> Array:
    """Strips of whole tile rows one after another, each as large as the cache likes."""
    n, h, w, _ = x.shape
    rows, columns = -(-h // TILE), -(-w // TILE)
    count = min(rows, -(-x.size * x.dtype.itemsize // STRIP_BYTES))
    rows = -(-rows // count)
    height = rows * TILE
    x = jnp.pad(x, ((0, 0), (1, count * height + 1 - h), (1, columns * TILE + 1 - w), (0, 0)))

    def strip(k: Array | int) -> Array:
        part = lax.dynamic_slice_in_dim(x, k * height, height + 2, 1)
        return _tiles(part, transformed, data, output, channel_axis)

    if count == 1:
        result = strip(0)
    else:
        result = jnp.moveaxis(lax.map(strip, jnp.arange(count)), 0, 1)
        result = result.reshape(n, count * height, columns * TILE, -1)
    return result[:, :h, :w]


def _tiles(x: Array, transformed: Array, data: np.ndarray, output: np.ndarray, channel_axis: int) -> Array:
    """From (n, 4 rows + 2, 4 columns + 2, c) to (n, 4 rows, 4 columns, c')."""
    n, rows, columns = x.shape[0], (x.shape[1] - 2) // TILE, (x.shape[2] - 2) // TILE
    windows = [x[:, k : k + TILE * rows - 3 : TILE] for k in range(WINDOW)]
    d = jnp.stack(_products(data, windows))  # 6 n rows w c
    windows = [d[:, :, :, k : k + TILE * columns - 3 : TILE] for k in range(WINDOW)]
    d = jnp.stack(_products(data, windows), 1)  # 6 6 n rows columns c
    products = lax.dot_general(
        d.reshape(36, -1, d.shape[-1]), transformed, (((2,), (channel_axis,)), ((0,), (0,))),
        precision=lax.Precision.HIGHEST,
    )  # fmt: skip
    y = products.reshape(WINDOW, WINDOW, n, rows, columns, -1)
    y = jnp.stack(_products(output, [y[k] for k in range(WINDOW)]), 2)  # 6 n 4 rows columns c
    y = jnp.stack(_products(output, [y[k] for k in range(WINDOW)]), 4)  # n 4 rows columns 4 c
    return jnp.moveaxis(y, 1, 2).reshape(n, TILE * rows, TILE * columns, -1)


def _products(matrix: np.ndarray, arrays: list[Array]) -> list[Array]:
    """The rows of `matrix @ arrays`, zeros left out."""
    sums = []
    for row in matrix:
        terms = [factor.astype(arrays[0].dtype) * array for factor, array in zip(row, arrays, strict=True) if factor]
        sums.append(sum(terms[1:], terms[0]))
    return sums

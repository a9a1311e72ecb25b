"""VGG-16 and VGG-19 in Flax, used only through pure functions: parameters and image in, feature maps out.

Images are float, NHWC, RGB, [0, 1]. Parameters are a pytree of arrays
`{"input": {"mean": (3,), "std": (3,)}, "conv1_1": {"kernel": HWIO, "bias": (C,)}, ...}`, always an argument: a jitted
function that captures them compiles slowly and holds a second copy. `input` says what the network was trained on,
`(image - mean) / std`; without that entry the image is taken as it comes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jnst.errors import InputError
from jnst.network import winograd
from jnst.network.architecture import BLOCKS, WIDTHS, block_of, check_layers, layer_names

Params = Mapping[str, Mapping[str, Any]]
Reader = Callable[[Array], Any]
Pooling = Literal["max", "average"]
Precision = Literal["float32", "tensorfloat32", "bfloat16"]
_PRECISIONS = {
    "float32": lax.Precision.HIGHEST, "tensorfloat32": lax.Precision.HIGH, "bfloat16": lax.Precision.DEFAULT
}  # fmt: skip
WINOGRAD_CHANNELS = 128  # in and out: with fewer, moving the data costs more than the products that are saved


def _convolve(x: Float[Array, "n h w i"], kernel: Float[Array, "3 3 i o"], precision: Precision) -> Array:
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), precision=_PRECISIONS[precision]
    )


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv3x3(
    x: Float[Array, "n h w i"], kernel: Float[Array, "3 3 i o"], precision: Precision = "float32"
) -> Float[Array, "n h w o"]:
    """A 3x3 convolution, stride 1, zero padding, whose gradient in x is again an ordinary NHWC/HWIO convolution.

    JAX's own input gradient reverses the kernel inside the convolution; inside a `while` or `scan`, XLA:CPU then leaves
    its fast path (one value-and-gradient of VGG-16, 256x192: 1.26 s against 0.28 s). Values and gradients are equal.
    """
    return _convolve(x, kernel, precision)


Residuals = tuple[Array | None, Array]
"""A convolution's input, where the kernel's gradient is wanted, and its kernel."""


def _residuals(x: Any, kernel: Any) -> Residuals:
    return x.value if kernel.perturbed else None, kernel.value


def _kernel_gradient(convolve: Callable[[Array, Array], Array], residuals: Residuals, g: Array) -> Array | None:
    x, kernel = residuals
    return None if x is None else jax.vjp(partial(convolve, x), kernel)[1](g)[0]


def dense(g: Any) -> Array:
    """A cotangent as an array: a symbolic zero as zeros."""
    return g if isinstance(g, jax.Array) else jnp.zeros(g.shape, g.dtype)  # else a SymbolicZero


def _conv3x3_forward(x: Any, kernel: Any, precision: Precision) -> tuple[Array, Residuals]:
    return _convolve(x.value, kernel.value, precision), _residuals(x, kernel)


def _conv3x3_backward(precision: Precision, residuals: Residuals, g: Array) -> tuple[Array, Array | None]:
    g = dense(g)
    flipped = residuals[1][::-1, ::-1].swapaxes(2, 3)
    kernel_gradient = _kernel_gradient(lambda x, k: _convolve(x, k, precision), residuals, g)
    return _convolve(g, flipped, precision), kernel_gradient


conv3x3.defvjp(_conv3x3_forward, _conv3x3_backward, symbolic_zeros=True)


@jax.custom_vjp
def winograd_conv3x3(x: Float[Array, "n h w i"], transformed: Float[Array, "products i o"]) -> Float[Array, "n h w o"]:
    """`conv3x3` by Winograd's algorithm, from `winograd.transform_kernel`; equal to a few float32 roundings."""
    return winograd.convolve(x, transformed)


def _winograd_forward(x: Any, transformed: Any) -> tuple[Array, Residuals]:
    return winograd.convolve(x.value, transformed.value), _residuals(x, transformed)


def _winograd_backward(residuals: Residuals, g: Array) -> tuple[Array, Array | None]:
    g = dense(g)
    return winograd.convolve_transposed(g, residuals[1]), _kernel_gradient(winograd.convolve, residuals, g)


winograd_conv3x3.defvjp(_winograd_forward, _winograd_backward, symbolic_zeros=True)


def _quarters(x: Array) -> tuple[Array, Array, Array, Array]:
    """The four pixels of every 2x2 window, in reading order; an odd last row or column is left out."""
    h, w = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    a, b = x[:, 0:h:2, 0:w:2], x[:, 0:h:2, 1:w:2]
    c, d = x[:, 1:h:2, 0:w:2], x[:, 1:h:2, 1:w:2]
    return a, b, c, d


def max_pool(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """2x2 max pooling with stride 2, floor(h / 2) x floor(w / 2).

    Four strided slices: their gradient costs a ninth of `reduce_window`'s on the CPU. As there, the first of equal
    pixels takes the whole gradient.
    """
    a, b, c, d = _quarters(x)
    top, bottom = jnp.where(b > a, b, a), jnp.where(d > c, d, c)
    return jnp.where(bottom > top, bottom, top)


def average_pool(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """2x2 average pooling with stride 2, floor(h / 2) x floor(w / 2)."""
    a, b, c, d = _quarters(x)
    return (a + b + c + d) / 4


_POOLS = {"max": max_pool, "average": average_pool}


class Region(NamedTuple):
    """Which part of an array is image, for arrays larger than their image or cut out of it: one entry an image.

    Outside every map is zero, as VGG pads, so that the maps inside are those of the image alone.
    """

    top: Int[Array, " n"]
    """position in the image of the array's first row, a multiple of 2^(block of the deepest layer - 1)"""
    left: Int[Array, " n"]
    height: Int[Array, " n"]
    """of the image, in pixels"""
    width: Int[Array, " n"]

    @classmethod
    def of(cls, count: int, height: int | Int[Array, ""], width: int | Int[Array, ""]) -> "Region":
        """`count` arrays in whose corner lies an image of that size."""
        return cls(*(jnp.full(count, value) for value in (0, 0, height, width)))

    def half(self) -> "Region":
        """Of images in the corner of their arrays, both halved."""
        return Region(self.top, self.left, self.height // 2, self.width // 2)

    def positions(self, block: int) -> Int[Array, " n"]:
        """Of each whole image's maps of this block."""
        unit = 2 ** (block - 1)
        return (self.height // unit) * (self.width // unit)

    def mask(self, shape: tuple[int, ...], block: int) -> Bool[Array, "n h w 1"]:
        """Where a map of this block and shape (n, h, w, c) lies in the image."""
        unit = 2 ** (block - 1)

        def inside(first: Array, size: Array, count: int) -> Array:
            position = (first // unit)[:, None] + jnp.arange(count)[None]
            return (position >= 0) & (position < (size // unit)[:, None])

        rows, columns = inside(self.top, self.height, shape[1]), inside(self.left, self.width, shape[2])
        return rows[:, :, None, None] & columns[:, None, :, None]


class _Input(nn.Module):
    """From RGB in [0, 1] to what the network was trained on."""

    @nn.compact
    def __call__(self, image: Array) -> Array:
        mean = self.param("mean", nn.initializers.zeros, (3,))
        std = self.param("std", nn.initializers.ones, (3,))
        return (image - jnp.expand_dims(mean, (0, 1, 2))) / jnp.expand_dims(std, (0, 1, 2))


class _Conv(nn.Module):
    """3x3 convolution, bias, ReLU."""

    width: int
    precision: Precision

    @nn.compact
    def __call__(self, x: Array) -> Array:
        bias = jnp.asarray(self.param("bias", nn.initializers.zeros, (self.width,)))
        if self.has_variable("params", "winograd"):  # from `prepare`
            transformed = self.get_variable("params", "winograd")
            y = winograd_conv3x3(x.astype(transformed.dtype), transformed)
        else:
            kernel = self.param("kernel", nn.initializers.he_normal(), (3, 3, x.shape[-1], self.width))
            kind = jnp.bfloat16 if self.precision == "bfloat16" else x.dtype
            y = jnp.asarray(conv3x3(x.astype(kind), jnp.asarray(kernel, kind), self.precision))
        return nn.relu(y + jnp.expand_dims(bias, (0, 1, 2)).astype(y.dtype))


class _Block(nn.Module):
    """Pooling, but before the first block, and the convolutions of one block."""

    names: tuple[str, ...]
    readers: tuple[tuple[str, Reader], ...] = ()
    pooling: Pooling = "max"
    precision: Precision = "float32"

    @nn.compact
    def __call__(self, x: Array, region: Region | None = None) -> tuple[Array, dict[str, Any]]:
        """The last map, and what the readers make of theirs."""
        number, readers, found = block_of(self.names[0]), dict(self.readers), {}
        x = _POOLS[self.pooling](x) if number > 1 else x
        inside = True if region is None else region.mask(x.shape, number)
        x = x if region is None else jnp.where(inside, x, 0)  # an odd last row was pooled with what lies beyond it
        for name in self.names:
            x = _Conv(WIDTHS[number - 1], self.precision, name=name)(x)
            x = x if region is None else jnp.where(inside, x, 0)
            if name in readers:
                x, found[name] = _fork(readers[name])(x)
        return x, found


def _blocks(architecture: str, layers: Sequence[str]) -> list[tuple[str, ...]]:
    """The layers of each block, up to the deepest one of `layers`."""
    names = layer_names(architecture)
    names = names[: 1 + max((names.index(layer) for layer in layers), default=-1)]
    return [tuple(block) for _, block in groupby(names, block_of)]


def _apply(block: _Block, arguments: tuple[Params, Region | None], x: Array) -> Any:
    params, region = arguments
    return block.apply({"params": params}, x, region)


def after(gradient: Any, x: Array) -> Array:
    """x, known only when the gradient is: what is computed from it waits.

    XLA:CPU computes whatever it can as early as it can, and holds it until it is used.
    """
    some = [jnp.asarray(leaf[(0,) * leaf.ndim], jnp.float32) for leaf in jax.tree.leaves(gradient)]
    nothing = sum((0 * jnp.where(jnp.isfinite(value), value, 0) for value in some), jnp.zeros(()))
    return x + nothing.astype(x.dtype)


def _fork(reader: Reader) -> Callable[[Array], tuple[Array, Any]]:
    """`x -> (x, reader(x))`, in whose gradient the reader's part is computed when the other has arrived."""

    def forward(x: Array) -> tuple[tuple[Array, Any], Array]:
        return (x, reader(x)), x

    def backward(x: Array, gradients: tuple[Array, Any]) -> tuple[Array]:
        above, read = gradients
        return (above + jax.vjp(reader, after(above, x))[1](read)[0],)

    fork = jax.custom_vjp(lambda x: (x, reader(x)))
    fork.defvjp(forward, backward)
    return fork


def _recomputed(run: Callable[[Any, Array], Any]) -> Callable[[Any, Array], Any]:
    """`run(arguments, x)`, for whose gradient nothing but its arguments is kept: `jax.checkpoint` that waits."""

    def forward(arguments: Any, x: Array) -> tuple[Any, tuple[Any, Array]]:
        return run(arguments, x), (arguments, x)

    def backward(residuals: tuple[Any, Array], g: Any) -> tuple[Any, Array]:
        arguments, x = residuals
        return jax.vjp(run, arguments, after(g, x))[1](g)

    recomputed = jax.custom_vjp(run)
    recomputed.defvjp(forward, backward)
    return recomputed


def features(
    params: Params, image: Float[Array, "n h w 3"], layers: Sequence[str], **options: Any
) -> dict[str, Float[Array, "n _h _w _c"]]:
    """The maps of the named layers `convB_I`, each after its ReLU: see `readings` for the rest.

    The map of block B has the size floor(h / 2^(B-1)) x floor(w / 2^(B-1)).
    """
    return readings(params, image, {layer: lambda x: x for layer in layers}, **options)


def readings(
    params: Params,
    image: Float[Array, "n h w 3"],
    readers: Mapping[str, Reader],
    *,
    pooling: Pooling = "max",
    precision: Precision = "float32",
    checkpoint: bool = False,
    region: Region | None = None,
) -> dict[str, Any]:
    """What each layer's reader makes of its map after the ReLU; computes nothing above the deepest layer.

    Where only a summary of a map is wanted, such as its Gram matrix, the map itself need not outlive it.

    Args:
        params: parameters of VGG-16 or VGG-19 (which of the two is read off their names).
        image: RGB in [0, 1]; a side of at least 2^(block of the deepest layer - 1) pixels.
        readers: pure functions of a map (n, h, w, c) by layer `convB_I`.
        pooling: "max" as trained, or "average", which Gatys et al. (CVPR 2016, section 2) prefer.
        precision: of the convolutions; the maps come in the image's type. "tensorfloat32" is a GPU's (a TPU takes three
            bfloat16 products, a CPU float32, but see `prepare`); "bfloat16" also keeps the maps between the layers so.
        checkpoint: for gradients, keep only what goes from block to block and compute the maps again.
        region: which part of the array is image; all of it by default.

    Raises:
        InputError: an unknown layer, or an image too small for it.
    """
    architecture, layers = architecture_of(params), tuple(readers)
    check_layers(layers, architecture)
    if layers:
        need = 2 ** (max(map(block_of, layers)) - 1)
        if min(image.shape[1:3]) < need:
            given = f"{image.shape[2]}x{image.shape[1]}"
            raise InputError(f"layer {max(layers)} needs an image of at least {need}x{need} pixels, got {given}")
    chosen = tuple((layer, _in_type(reader, image.dtype)) for layer, reader in readers.items())
    x, found = image, {}
    if "input" in params:
        x = jnp.asarray(_Input().apply({"params": params["input"]}, x))
    x = x if region is None else jnp.where(region.mask(x.shape, 1), x, 0)
    for names in _blocks(architecture, layers):
        block = partial(_apply, _Block(names, chosen, pooling, precision))
        needed = {name: params[name] for name in names}
        x, read = (_recomputed(block) if checkpoint else block)((needed, region), x)
        found |= read
    return found


def _in_type(reader: Reader, dtype: Any) -> Reader:
    return lambda x: reader(x.astype(dtype))


def prepare(params: Params, layers: Sequence[str], precision: Precision = "float32") -> Params:
    """What of the network these layers need, as fast as this machine has it, for many calls of `features`.

    On the CPU the kernels of wide layers are transformed for Winograd's convolution: in tiles of 2 for "float32" (as
    exact as a direct convolution; 91 MB for conv5_1 of VGG-19), of 4 for "tensorfloat32" (more than twice its
    rounding, 4/5 of the time; 205 MB), not for "bfloat16". The libraries of a GPU or TPU choose by themselves.
    """
    architecture = architecture_of(params)
    kept = {name: params[name] for block in _blocks(architecture, layers) for name in block}
    kept |= {"input": params["input"]} if "input" in params else {}
    if jax.default_backend() != "cpu" or precision == "bfloat16":
        return kept
    wide = [name for name in kept if name != "input" and min(kept[name]["kernel"].shape[2:]) >= WINOGRAD_CHANNELS]
    transformed = _transform({name: kept[name]["kernel"] for name in wide}, 2 if precision == "float32" else 4)
    return kept | {name: {"winograd": transformed[name], "bias": kept[name]["bias"]} for name in wide}


@partial(jax.jit, static_argnums=1)
def _transform(kernels: dict[str, Array], tile: int) -> dict[str, Array]:
    return {name: winograd.transform_kernel(kernel, tile) for name, kernel in kernels.items()}


def architecture_of(params: Params) -> str:
    """ "vgg19" where the parameters have a fourth convolution in block 3, else "vgg16"."""
    return "vgg19" if "conv3_4" in params else "vgg16"


def random_params(key: PRNGKeyArray | Array, architecture: str) -> Params:
    """He-normal parameters: for tests, and for the random networks of texture studies.

    Raises:
        InputError: an unknown architecture.
    """
    if architecture not in BLOCKS:
        raise InputError(f"unknown architecture {architecture!r}: use one of {', '.join(BLOCKS)}")
    x, params = jnp.zeros((1, 16, 16, 3)), {"input": _Input().init(key, jnp.zeros((1, 16, 16, 3)))["params"]}
    for names in _blocks(architecture, layer_names(architecture)[-1:]):
        (x, _), variables = _Block(names).init_with_output(key, x)
        params |= variables["params"]
    return params

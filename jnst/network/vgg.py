"""VGG-16 and VGG-19 in Flax, used only through pure functions: parameters and image in, feature maps out.

Images are float, NHWC, RGB, [0, 1]. Parameters are a pytree of arrays
`{"input": {"mean": (3,), "std": (3,)}, "conv1_1": {"kernel": HWIO, "bias": (C,)}, ...}`, always an argument: a jitted
function that captures them compiles slowly and holds a second copy. `input` says what the network was trained on,
`(image - mean) / std`; without that entry the image is taken as it comes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jnst.errors import InputError
from jnst.network import winograd
from jnst.network.architecture import (
    BLOCKS,
    TILEABLE,
    WIDTHS,
    Tileable,
    block_of,
    check_layers,
    detect,
    layer_names,
    require_choice,
    stride_of,
    wrapped_axes,
)  # fmt: skip
from jnst.network.conv import POOLS, PRECISIONS, Pooling, Precision, conv3x3, winograd_conv3x3
from jnst.network.region import Region
from jnst.network.scheduling import rematerialise, tap_with_barrier
from jnst.network.wrapping import convolve_wrapped

Params = Mapping[str, Mapping[str, Any]]
Reader = Callable[[Array], Any]
WINOGRAD_CHANNELS = 128  # in and out: with fewer, moving the data costs more than the products that are saved
GRADIENT_KERNEL_BYTES = 20e6  # of a kernel for tiles of 4: those of 512 to 512 channels are not worth their 38 MB


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
    tileable: Tileable = "no"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        bias = jnp.asarray(self.param("bias", nn.initializers.zeros, (self.width,)))
        if self.has_variable("params", "winograd"):  # from `prepare_for_inference`
            transformed = self.get_variable("params", "winograd")
            for_gradient = self.get_variable("params", "winograd_gradient", transformed)
            x = x.astype(transformed.dtype)
            y = convolve_wrapped(lambda x: winograd_conv3x3(x, transformed, for_gradient), x, tileable=self.tileable)
        else:
            kernel = self.param("kernel", nn.initializers.he_normal(), (3, 3, x.shape[-1], self.width))
            dtype = jnp.bfloat16 if self.precision == "bfloat16" else x.dtype
            kernel = jnp.asarray(kernel, dtype)
            y = convolve_wrapped(
                lambda x: jnp.asarray(conv3x3(x, kernel, self.precision)), x.astype(dtype), tileable=self.tileable
            )
        return nn.relu(y + jnp.expand_dims(bias, (0, 1, 2)).astype(y.dtype))


class _Block(nn.Module):
    """Pooling, but before the first block, and the convolutions of one block."""

    names: tuple[str, ...]
    readers: tuple[tuple[str, Reader], ...] = ()
    pooling: Pooling = "max"
    precision: Precision = "float32"
    tileable: Tileable = "no"

    @nn.compact
    def __call__(self, x: Array, region: Region | None = None) -> tuple[Array, dict[str, Any]]:
        """Gives the last map, and what the readers make of theirs."""
        number, readers, readings = block_of(self.names[0]), dict(self.readers), {}
        x = POOLS[self.pooling](x) if number > 1 else x
        inside = True if region is None else region.mask(x.shape, stride_of(self.names[0]))
        x = x if region is None else jnp.where(inside, x, 0)  # an odd last row was pooled with what lies beyond it
        for name in self.names:
            x = _Conv(WIDTHS[number - 1], self.precision, self.tileable, name=name)(x)
            x = x if region is None else jnp.where(inside, x, 0)
            if name in readers:
                x, readings[name] = tap_with_barrier(readers[name])(x)
        return x, readings


def _blocks(architecture: str, layers: Iterable[str]) -> list[tuple[str, ...]]:
    """The layers of each block, up to the deepest one of `layers`."""
    names = layer_names(architecture)
    names = names[: 1 + max((names.index(layer) for layer in layers), default=-1)]
    return [tuple(block) for _, block in groupby(names, block_of)]


def _apply(block: _Block, arguments: tuple[Params, Region | None], x: Array) -> Any:
    params, region = arguments
    return block.apply({"params": params}, x, region)


def features(
    params: Params,
    image: Float[Array, "n h w 3"],
    layers: Sequence[str],
    *,
    pooling: Pooling = "max",
    precision: Precision = "float32",
    checkpoint: bool = False,
    region: Region | None = None,
    tileable: Tileable = "no",
) -> dict[str, Float[Array, "n _h _w _c"]]:
    """Computes the maps of the named layers, each after its ReLU.

    Args:
        params: parameters of VGG-16 or VGG-19.
        image: RGB in [0, 1]; each side at least the stride of the deepest layer.
        layers: names `convB_I`.
        pooling: see `observe`.
        precision: see `observe`.
        checkpoint: see `observe`.
        region: see `observe`.
        tileable: see `observe`.

    Returns:
        Map by layer; that of block B has the size floor(h / 2^(B-1)) x floor(w / 2^(B-1)).

    Raises:
        InputError: as `observe`.
    """
    return observe(
        params, image, {layer: lambda maps: maps for layer in layers},
        pooling=pooling, precision=precision, checkpoint=checkpoint, region=region, tileable=tileable,
    )  # fmt: skip


def observe(
    params: Params,
    image: Float[Array, "n h w 3"],
    readers: Mapping[str, Reader],
    *,
    pooling: Pooling = "max",
    precision: Precision = "float32",
    checkpoint: bool = False,
    region: Region | None = None,
    tileable: Tileable = "no",
) -> dict[str, Any]:
    """Applies to each layer's map, after its ReLU, that layer's reader; computes nothing above the deepest layer.

    Where only a summary of a map is wanted, such as its Gram matrix, the map itself need not outlive it.

    Args:
        params: parameters of VGG-16 or VGG-19 (which of the two is read off their names).
        image: RGB in [0, 1]; each side at least the stride of the deepest layer.
        readers: pure functions of a map (n, h, w, c) by layer `convB_I`.
        pooling: "max" as trained, or "average", which Gatys et al. (CVPR 2016, section 2) prefer.
        precision: of the convolutions; the maps come in the image's type. "tensorfloat32" is a GPU's (a TPU takes three
            bfloat16 products, a CPU float32, but see `prepare_for_inference`); "bfloat16" also keeps the maps between
            the layers so.
        checkpoint: for gradients, keep only what goes from block to block and compute the maps again.
        region: which part of the array is image; all of it by default.
        tileable: along which axes the image goes on at its opposite edge; along the others it is padded with zeros.

    Returns:
        Each reader's result by layer.

    Raises:
        InputError: an image of another rank, an image too small for a layer, an unknown layer, pooling or precision; a
            side that wraps and is no multiple of the deepest layer's stride, or a region of an image that wraps.
    """
    architecture, layers = detect(params), tuple(readers)
    _check(image, layers, architecture, pooling, precision)
    _check_wrapped(image, layers, tileable, region)
    typed_readers = tuple((layer, _in_type(reader, image.dtype)) for layer, reader in readers.items())
    x, readings = image, {}
    if "input" in params:
        x = jnp.asarray(_Input().apply({"params": params["input"]}, x))
    x = x if region is None else jnp.where(region.mask(x.shape, 1), x, 0)
    for names in _blocks(architecture, layers):
        block = partial(_apply, _Block(names, typed_readers, pooling, precision, tileable))
        block_params = {name: params[name] for name in names}
        x, of_block = (rematerialise(block) if checkpoint else block)((block_params, region), x)
        readings |= of_block
    return readings


def _check(image: Array, layers: tuple[str, ...], architecture: str, pooling: str, precision: str) -> None:
    if image.ndim != 4 or image.shape[3] != 3:
        raise InputError(f"image must have the shape (n, h, w, 3), got {image.shape}")
    check_layers(layers, architecture)
    require_choice("pooling", pooling, POOLS)
    require_choice("precision", precision, PRECISIONS)
    need = max(map(stride_of, layers), default=1)
    if min(image.shape[1:3]) < need:
        given = f"{image.shape[2]}x{image.shape[1]}"
        raise InputError(f"layer {max(layers)} needs an image of at least {need}x{need} pixels, got {given}")


def _check_wrapped(image: Array, layers: tuple[str, ...], tileable: Tileable, region: Region | None) -> None:
    """A pooling that drops a last row, or an edge within the array, would part the two edges that meet."""
    require_choice("tileable", tileable, TILEABLE)
    if tileable == "no":
        return
    if region is not None:
        raise InputError(f"`tileable` {tileable} needs images that fill their arrays; give no region")
    unit = max(map(stride_of, layers), default=1)
    if any(image.shape[axis] % unit for axis in wrapped_axes(tileable)):
        given = f"{image.shape[2]}x{image.shape[1]}"
        raise InputError(f"`tileable` {tileable} needs multiples of {unit} pixels for {max(layers)}, got {given}")


def _in_type(reader: Reader, dtype: Any) -> Reader:
    return lambda maps: reader(maps.astype(dtype))


def prepare_for_inference(params: Params, layers: Sequence[str], *, precision: Precision = "float32") -> Params:
    """Keeps of the network what these layers need, as fast as this machine has it, for many calls of `features`.

    On the CPU the kernels of wide layers are transformed for Winograd's convolution. "float32": in tiles of 2, as exact
    as a direct convolution; for the gradient of some in tiles of 4, whose roundings (more than twice as large) switch
    no ReLU there; 145 MB for conv5_1 of VGG-19. "tensorfloat32": in tiles of 4, 205 MB. "bfloat16": not at all. The
    libraries of a GPU or TPU choose by themselves.

    Args:
        params: parameters of VGG-16 or VGG-19, with plain kernels.
        layers: names `convB_I`, the deepest of which decides.
        precision: of the convolutions that will be asked for.

    Returns:
        Parameters for `features`, `observe` and the objective. The transformed layers have no "kernel" any more, so
        `normalize_filters` comes before.
    """
    kept = {name: params[name] for block in _blocks(detect(params), layers) for name in block}
    kept |= {"input": params["input"]} if "input" in params else {}
    if jax.default_backend() != "cpu" or precision == "bfloat16":
        return kept
    kernels = {name: layer["kernel"] for name, layer in kept.items() if name != "input"}
    wide = {name: kernel for name, kernel in kernels.items() if min(kernel.shape[2:]) >= WINOGRAD_CHANNELS}
    both = _transform(wide, 2 if precision == "float32" else 4)
    prepared = kept | {name: {"winograd": both[name], "bias": kept[name]["bias"]} for name in wide}
    if precision == "float32":
        small = {name: kernel for name, kernel in wide.items() if 4 * kernel.nbytes <= GRADIENT_KERNEL_BYTES}
        for name, transformed in _transform(small, 4).items():
            prepared[name] = {**prepared[name], "winograd_gradient": transformed}
    return prepared


@partial(jax.jit, static_argnums=1)
def _transform(kernels: dict[str, Array], tile: int) -> dict[str, Array]:
    return {name: winograd.transform_kernel(kernel, tile) for name, kernel in kernels.items()}


def random_params(key: PRNGKeyArray | Array, architecture: str) -> Params:
    """Draws He-normal parameters: for tests, and for the random networks of texture studies.

    Args:
        key: of the random numbers.
        architecture: "vgg16" or "vgg19".

    Returns:
        Parameters of all layers, and the input's, which change nothing.

    Raises:
        InputError: an unknown architecture.
    """
    require_choice("architecture", architecture, BLOCKS)
    x, params = jnp.zeros((1, 16, 16, 3)), {"input": _Input().init(key, jnp.zeros((1, 16, 16, 3)))["params"]}
    for names in _blocks(architecture, layer_names(architecture)[-1:]):
        (x, _), variables = _Block(names).init_with_output(key, x)
        params |= variables["params"]
    return params

"""What VGG-16 and VGG-19 are (Simonyan and Zisserman, arXiv 1409.1556, table 1, columns D and E).

Five blocks of 3x3 convolutions, a ReLU after each, a 2x2 pooling after each block. A layer is called `convB_I`, the
I-th convolution of block B; the name means the map after that convolution's ReLU. Pure data: imports nothing heavy, so
that names can be checked before JAX is loaded.
"""

import re
from collections.abc import Container, Iterable
from typing import Literal

from jnst.errors import InputError

Backbone = Literal["auto", "vgg19", "vgg16"]
Tileable = Literal["no", "x", "y", "xy"]
"""along which axes an image goes on at its opposite edge: x, side by side; y, one above another"""
TILEABLE: tuple[Tileable, ...] = ("no", "x", "y", "xy")
BLOCKS: dict[str, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
WIDTHS: tuple[int, ...] = (64, 128, 256, 512, 512)
MIN_SIDE = 32  # pixels of an image: four poolings leave 2 x 2 positions in block 5
PIXELS = "pixels"
"""stands for the image itself where a layer's name is expected"""
DEFAULT_CONTENT_LAYERS: tuple[str, ...] = ("conv4_2",)
DEFAULT_STYLE_LAYERS: tuple[str, ...] = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
"""those of Gatys et al. (CVPR 2016)"""


def layer_names(architecture: str) -> tuple[str, ...]:
    """Lists all convolutions of an architecture from the image upwards.

    Args:
        architecture: "vgg16" or "vgg19".

    Returns:
        `("conv1_1", "conv1_2", "conv2_1", ...)`, 13 or 16 names.
    """
    return tuple(f"conv{b}_{i}" for b, count in enumerate(BLOCKS[architecture], 1) for i in range(1, count + 1))


def kernel_shapes(architecture: str) -> dict[str, tuple[int, int, int, int]]:
    """Gives the kernel shape (height, width, channels in, channels out) of every layer.

    Args:
        architecture: "vgg16" or "vgg19".

    Returns:
        Shape by layer, in the order of `layer_names`.
    """
    shapes, channels = {}, 3
    for name in layer_names(architecture):
        width = WIDTHS[block_of(name) - 1]
        shapes[name] = (3, 3, channels, width)
        channels = width
    return shapes


def block_of(layer: str) -> int:
    """Reads the block (1 to 5) that a layer belongs to off its name.

    Args:
        layer: a name `convB_I`.

    Returns:
        B.
    """
    return int(layer[4])


def stride_of(layer: str) -> int:
    """Gives the pixels between neighbouring positions of a layer's map, so its size is floor(side / stride).

    Args:
        layer: a name `convB_I`, or "pixels" for the image itself.

    Returns:
        2^(B - 1), that is 1, 2, 4, 8 or 16; 1 for the image.
    """
    return 1 if layer == PIXELS else 2 ** (block_of(layer) - 1)


def wrapped_axes(tileable: Tileable) -> tuple[int, ...]:
    """Gives the axes of arrays (n, h, w, c) along which an image goes on at its opposite edge.

    Args:
        tileable: "no", "x" (the width), "y" (the height) or "xy".

    Returns:
        Some of 1 and 2.
    """
    return tuple(axis for name, axis in (("y", 1), ("x", 2)) if name in tileable)


def detect(params: Container[str]) -> str:
    """Tells the two architectures apart by the names of the parameters.

    Args:
        params: parameters by layer, or anything else that holds the layers' names.

    Returns:
        "vgg19" where there is a fourth convolution in block 3, else "vgg16".
    """
    return "vgg19" if "conv3_4" in params else "vgg16"


def check_layers(layers: Iterable[str], architecture: str) -> None:
    """Refuses layers that an architecture lacks.

    Args:
        layers: names.
        architecture: "vgg16" or "vgg19".

    Raises:
        InputError: a layer that is unknown; of `relu4_2` it says that conv4_2, the map after its ReLU, is meant.
    """
    known = layer_names(architecture)
    for layer in layers:
        if layer not in known:
            alias = re.fullmatch(r"relu(\d_\d)", layer)
            if alias and f"conv{alias[1]}" in known:
                raise InputError(f"unknown layer {layer!r}: use 'conv{alias[1]}', which means the map after its ReLU")
            raise InputError(f"unknown layer {layer!r}: {architecture} has {', '.join(known)}")


def require_choice(field: str, value: object, choices: Iterable[str]) -> None:
    """Refuses a string that names no choice.

    Args:
        field: what the choice is for.
        value: what was given.
        choices: all that is known.

    Raises:
        InputError: a value that is not among the choices, which it names.
    """
    known = tuple(choices)
    if value not in known:
        raise InputError(f"unknown `{field}` {value!r}: use one of {', '.join(known)}")

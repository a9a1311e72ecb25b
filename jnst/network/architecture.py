"""What VGG-16 and VGG-19 are (Simonyan and Zisserman, arXiv 1409.1556, table 1, columns D and E).

Five blocks of 3x3 convolutions, a ReLU after each, a 2x2 pooling after each block. A layer is called `convB_I`, the
I-th convolution of block B; the name means the map after that convolution's ReLU. Pure data: imports nothing heavy, so
that the command line can check names before JAX is loaded.
"""

from typing import Literal

from jnst.errors import InputError

Backbone = Literal["auto", "vgg19", "vgg16"]
BLOCKS: dict[str, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
WIDTHS: tuple[int, ...] = (64, 128, 256, 512, 512)
MIN_SIDE = 32  # pixels of an image: four poolings leave 2 x 2 positions in block 5


def layer_names(architecture: str) -> tuple[str, ...]:
    """All convolutions of an architecture from the image upwards, `("conv1_1", "conv1_2", "conv2_1", ...)`."""
    return tuple(f"conv{b}_{i}" for b, count in enumerate(BLOCKS[architecture], 1) for i in range(1, count + 1))


def kernel_shapes(architecture: str) -> dict[str, tuple[int, int, int, int]]:
    """The HWIO kernel shape of every layer."""
    shapes, channels = {}, 3
    for name in layer_names(architecture):
        width = WIDTHS[block_of(name) - 1]
        shapes[name] = (3, 3, channels, width)
        channels = width
    return shapes


def block_of(layer: str) -> int:
    """The block (1 to 5) that a layer belongs to: its map is 2^(block - 1) times smaller than the image."""
    return int(layer[4])


def check_layers(layers: tuple[str, ...], architecture: str) -> None:
    """Raises InputError for a layer that the architecture lacks."""
    known = layer_names(architecture)
    for layer in layers:
        if layer not in known:
            raise InputError(f"unknown layer {layer!r}: {architecture} has {', '.join(known)}")

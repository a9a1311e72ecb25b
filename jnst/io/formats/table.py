"""What weight files are read into and written from: layers of arrays in a stated input convention."""

from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from jnst.errors import InputError

Input = Literal["caffe-bgr", "torch-rgb"]
INPUTS: tuple[Input, ...] = ("caffe-bgr", "torch-rgb")
OXFORD = "CC BY 4.0 (Simonyan and Zisserman, Visual Geometry Group, University of Oxford)"
TORCHVISION = "BSD-3-Clause (torchvision)"
# MatConvNet's and Caffe's mean colour, R, G, B
MEAN_COLOUR = (123.68, 116.779, 103.939)


@dataclass(frozen=True)
class Table:
    """Weights as a file holds them: `layers[name]["kernel"]` is HWIO, `layers[name]["bias"]` (O,), both float32."""

    layers: dict[str, dict[str, np.ndarray]]
    input: Input
    """which images the first layer expects, see `jnst.io.formats`"""
    source: str = ""
    license: str = ""
    sha256: str = field(default="", compare=False)
    """of the arrays (`weights.checksum`), where the file states it"""
    note: str = field(default="", compare=False)
    """one line for the user, where the file says one thing and its numbers another"""


def parse_input(path: Path, text: str) -> Input:
    """Reads the input convention that a file states.

    Args:
        path: the file, for the message.
        text: what it states.

    Returns:
        The convention.

    Raises:
        InputError: no known one.
    """
    for known in INPUTS:
        if text == known:
            return known
    message = f"{path}: the input convention is {text[:40]!r}; it must be one of {', '.join(INPUTS)}"
    raise InputError(message)


def detect_architecture(layers: Container[str]) -> str:
    """Tells VGG-19 from VGG-16 by the layers that only the former has.

    Args:
        layers: names of layers.

    Returns:
        "vgg19" or "vgg16".
    """
    return "vgg19" if any(name in layers for name in ("conv3_4", "conv4_4", "conv5_4")) else "vgg16"

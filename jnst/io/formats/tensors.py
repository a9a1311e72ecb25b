"""Layers as tensors by name: torchvision's `features.0.weight` (OIHW), or `conv1_1.weight`."""

import re
from collections.abc import Iterator

import numpy as np

from jnst.io.formats.table import Table, detect_architecture
from jnst.network.architecture import BLOCKS, block_of, layer_names


def _feature_index() -> dict[str, dict[int, str]]:
    """torchvision's numbering, `{"vgg16": {0: "conv1_1", 2: "conv1_2", 5: "conv2_1", ...}, ...}`."""
    index: dict[str, dict[int, str]] = {}
    for architecture, blocks in BLOCKS.items():
        starts = np.cumsum([0, *[2 * count + 1 for count in blocks]])
        for name in layer_names(architecture):
            number = int(starts[block_of(name) - 1]) + 2 * (int(name.split("_")[1]) - 1)
            index.setdefault(architecture, {})[number] = name
    return index


def tensors_to_layers(tensors: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Sorts tensors into layers; those of other names are left out.

    Args:
        tensors: kernels OIHW and biases, by the names of torchvision or of the layers.

    Returns:
        Kernels HWIO and biases by layer; a number that VGG does not have stays in its name.
    """
    numbers = {int(m[1]) for key in tensors if (m := re.search(r"features\.(\d+)\.weight$", key))}
    index = _feature_index()["vgg19" if 32 in numbers or 34 in numbers else "vgg16"]
    layers: dict[str, dict[str, np.ndarray]] = {}
    for key, tensor in tensors.items():
        match = re.search(r"(?:features\.(\d+)|(conv\d_\d))\.(weight|bias)$", key)
        if match:
            name = match[2] or index.get(int(match[1]), f"features.{match[1]}")
            kernel = match[3] == "weight" and tensor.ndim == 4
            array = np.asarray(tensor.transpose(2, 3, 1, 0) if kernel else tensor, np.float32)
            layers.setdefault(name, {})["kernel" if match[3] == "weight" else "bias"] = np.ascontiguousarray(array)
    return layers


def layers_to_tensors(table: Table) -> Iterator[tuple[str, np.ndarray]]:
    """Gives kernels OIHW and biases torchvision's names.

    Args:
        table: kernels HWIO and biases, of all layers.

    Yields:
        Name and tensor, layer by layer.
    """
    architecture = detect_architecture(table.layers)
    for number, name in _feature_index()[architecture].items():
        layer = table.layers[name]
        yield f"features.{number}.weight", np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1))
        yield f"features.{number}.bias", layer["bias"]

"""Layers as tensors by torchvision's names, `features.0.weight` (OIHW), as writers need them."""

from collections.abc import Iterator

import numpy as np

from jnst.io.formats.layouts import feature_index
from jnst.io.formats.table import Table, detect_architecture


def layers_to_tensors(table: Table) -> Iterator[tuple[str, np.ndarray]]:
    """Gives kernels OIHW and biases torchvision's names.

    Args:
        table: kernels HWIO and biases, of all layers.

    Yields:
        Name and tensor, layer by layer.
    """
    architecture = detect_architecture(table.layers)
    for number, name in feature_index()[architecture].items():
        layer = table.layers[name]
        yield f"features.{number}.weight", np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1))
        yield f"features.{number}.bias", layer["bias"]

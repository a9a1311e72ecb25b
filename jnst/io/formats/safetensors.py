"""Files of safetensors, with torchvision's names."""

from pathlib import Path

import safetensors
import safetensors.numpy

from jnst.io.formats.table import TORCHVISION, Table, parse_input
from jnst.io.formats.tensors import layers_to_tensors, tensors_to_layers


def read_safetensors(path: Path) -> Table:
    """Reads tensors by name; the metadata tell the input convention, torch-rgb where they do not.

    Args:
        path: the file.

    Returns:
        What it holds, unverified.

    Raises:
        InputError: an unknown input convention.
    """
    with safetensors.safe_open(path, framework="numpy") as file:
        about = file.metadata() or {}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    about = {"input": "torch-rgb", "source": "torchvision layout", "license": TORCHVISION, **about}
    return Table(tensors_to_layers(tensors), parse_input(path, about["input"]), about["source"], about["license"])


def write_safetensors(table: Table, path: Path) -> None:
    """Writes tensors under torchvision's names, with metadata.

    Args:
        table: kernels HWIO and biases, float32.
        path: the file; replaced where it exists.
    """
    about = {"input": table.input, "source": table.source, "license": table.license}
    safetensors.numpy.save_file(dict(layers_to_tensors(table)), path, metadata=about)

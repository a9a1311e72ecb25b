"""HDF5 files: jnst's own layout, `conv1_1/kernel` with attributes, and Keras's."""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jnst.errors import InputError
from jnst.io.formats.table import OXFORD, Table, detect_architecture, parse_input


def read_hdf5(path: Path) -> Table:
    """Reads a file in jnst's layout, or in that of any version of Keras.

    Args:
        path: the file.

    Returns:
        What it holds, unverified.

    Raises:
        InputError: a layer that cannot be read, or an unknown input convention.
    """
    with h5py.File(path, "r") as file:
        if "architecture" not in file.attrs:
            return _read_keras(file)
        layers: dict[str, dict[str, np.ndarray]] = {}
        for name, group in file.items():
            layers[name] = {part: _dataset(path, name, data) for part, data in group.items()}
        about = {key: str(file.attrs.get(key, "")) for key in ("input", "source", "license", "sha256")}
        return Table(layers, parse_input(path, about.pop("input")), **about)


def _read_keras(file: h5py.File) -> Table:
    """`block1_conv1/.../kernel:0` or `..._W_1:0`, of any version of Keras: the shape tells kernel from bias."""
    layers: dict[str, dict[str, np.ndarray]] = {}

    def visit(name: str, item: object) -> None:
        match = re.search(r"block(\d)_conv(\d)", name)
        if match and isinstance(item, h5py.Dataset):
            layer = f"conv{match[1]}_{match[2]}"
            part = "kernel" if item.ndim == 4 else "bias"
            layers.setdefault(layer, {})[part] = _dataset(Path(file.filename), layer, item)

    file.visititems(visit)
    stated = str(file.attrs.get("input", "caffe-bgr"))
    return Table(layers, parse_input(Path(file.filename), stated), "Keras VGG weights", OXFORD)


def _dataset(path: Path, layer: str, data: Any) -> np.ndarray:
    try:
        return np.asarray(data[()], np.float32)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: layer {layer} cannot be read ({error}); get the file again") from None


def write_hdf5(table: Table, path: Path) -> None:
    """Writes jnst's layout: a group a layer, the rest as attributes.

    Args:
        table: kernels HWIO and biases, float32.
        path: the file; replaced where it exists.
    """
    with h5py.File(path, "w") as file:
        file.attrs["architecture"] = detect_architecture(table.layers)
        for key in ("input", "source", "sha256", "license"):
            file.attrs[key] = getattr(table, key)
        for name, layer in table.layers.items():
            for part, array in layer.items():
                file[f"{name}/{part}"] = array


def write_keras(table: Table, path: Path) -> None:
    """Writes the layout of Keras's own file of VGG.

    Args:
        table: kernels HWIO and biases, float32.
        path: the file; replaced where it exists.
    """
    with h5py.File(path, "w") as file:
        names = ["block{}_conv{}".format(*re.findall(r"\d", name)) for name in table.layers]
        file.attrs["layer_names"] = [name.encode() for name in names]
        file.attrs["input"] = table.input
        for name, layer in zip(names, table.layers.values(), strict=True):
            group = file.create_group(name)
            parts = {f"{name}_{'W' if part == 'kernel' else 'b'}_1:0": array for part, array in layer.items()}
            group.attrs["weight_names"] = [part.encode() for part in parts]
            for part, array in parts.items():
                group[part] = array

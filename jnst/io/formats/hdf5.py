"""HDF5 files: jnst's own layout, `conv1_1/kernel` with attributes, and Keras's."""

import re
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from jnst.errors import InputError
from jnst.io.formats.table import OXFORD, Table, detect_architecture, parse_input

MOST_NUMBERS = 4 * 10**6
"""in one dataset: VGG's largest kernel has 2.4 million"""
DEEPEST = 12
"""groups within groups; a group that holds itself has no end"""


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
            return _read_keras(path, file)
        layers: dict[str, dict[str, np.ndarray]] = {}
        for name, data in _datasets(path, file):
            layer, _, part = name.partition("/")
            layers.setdefault(layer, {})[part] = _array(path, name, data)
        about = {key: str(file.attrs.get(key, "")) for key in ("input", "source", "license", "sha256")}
        return Table(layers, parse_input(path, about.pop("input")), **about)


def _read_keras(path: Path, file: h5py.File) -> Table:
    """`block1_conv1/.../kernel:0` or `..._W_1:0`, of any version of Keras: the shape tells kernel from bias."""
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, data in _datasets(path, file):
        match = re.search(r"block(\d)_conv(\d)", name)
        if match and "optimizer" not in name.split("/")[0]:  # Adam's moments have the kernels' names and shapes
            layer = layers.setdefault(f"conv{match[1]}_{match[2]}", {})
            part = "kernel" if data.ndim == 4 else "bias"
            if part in layer:
                raise InputError(f"{path}: {name} is a second {part} of one layer; give a file with one network")
            layer[part] = _array(path, name, data)
    stated = str(file.attrs.get("input", "caffe-bgr"))
    return Table(layers, parse_input(path, stated), "Keras VGG weights", OXFORD)


def _datasets(path: Path, group: h5py.Group, prefix: str = "") -> Iterator[tuple[str, h5py.Dataset]]:
    """The datasets of a file with their names; what leads out of the file is refused, not followed."""
    if prefix.count("/") > DEEPEST:
        raise InputError(f"{path}: {prefix} lies too deep for a layer; get the file again")
    for key in group:
        link, name = group.get(key, getlink=True), f"{prefix}{key}"
        if isinstance(link, h5py.ExternalLink):
            raise InputError(f"{path}: {name} is a link into another file; give one that holds its weights itself")
        if not isinstance(link, h5py.HardLink):
            continue
        item = group[key]
        if isinstance(item, h5py.Group):
            yield from _datasets(path, item, f"{name}/")
        elif isinstance(item, h5py.Dataset):
            yield name, item


def _array(path: Path, name: str, data: h5py.Dataset) -> np.ndarray:
    """A dataset's numbers, when they lie in this file and are no more than a layer has."""
    if data.is_virtual or data.external:
        raise InputError(f"{path}: {name} has its numbers in another file; give one that holds its weights itself")
    if data.shape is None or (data.size or 0) > MOST_NUMBERS or data.dtype.kind != "f":
        raise InputError(f"{path}: {name} is {data.dtype} of shape {data.shape}, no kernel or bias; get the file again")
    try:
        return np.asarray(data[()], np.float32)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: {name} cannot be read ({error}); get the file again") from None


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

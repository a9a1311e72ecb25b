"""Weight files of every format that users have <-> one table of arrays.

A `Table` holds each layer's kernel (HWIO) and bias as float32, in the channel order of its input convention:
`caffe-bgr`: BGR, 0 to 255, minus the mean colour (Simonyan and Zisserman's own networks);
`torch-rgb`: RGB, (image - mean) / std (torchvision's).

Reading goes by what a file holds, not by what it is called: its first bytes tell the container (`CONTAINERS`), the
names in it the layout (`layouts.LAYOUTS`), its numbers the network (`known.NETWORKS`) and so the input convention. Only
for numbers that nobody knows the file's own statement, its name and its layout count, in this order. Readers do not
judge what they find: `weights.verify` does. Writers go by the ending (`WRITERS`); what they write reads back unchanged.
"""

import dataclasses
import re
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from jnst.errors import InputError
from jnst.io.formats import hdf5, matconvnet, numpy_, pickled, safetensors, torch_, zipped
from jnst.io.formats.contents import Contents, one_line
from jnst.io.formats.known import recognise
from jnst.io.formats.layouts import Layout, find_layers
from jnst.io.formats.table import INPUTS, MEAN_COLOUR, Input, Table, detect_architecture, parse_input

__all__ = ["CONTAINERS", "ENDINGS", "INPUTS", "MEAN_COLOUR", "WRITERS", "Input", "Table", "detect_architecture", "read",
           "write"]  # fmt: skip

Opener = Callable[[Path], AbstractContextManager[Contents]]
Writer = Callable[[Table, Path], None]
CONTAINERS: dict[str, tuple[re.Pattern[bytes], Opener]] = {
    "HDF5": (re.compile(rb"(?s)(?:.{0}|.{512}|.{1024}|.{2048})\x89HDF\r\n\x1a\n"), hdf5.open_hdf5),
    "zip": (re.compile(rb"PK\x03\x04|PK\x05\x06"), zipped.open_zip),
    "MATLAB": (re.compile(rb"(?s)MATLAB.{120}(?:IM|MI)"), matconvnet.open_matconvnet),
    "safetensors": (re.compile(rb"(?s).{8}\{"), safetensors.open_safetensors),
    "NumPy": (re.compile(rb"\x93NUMPY"), pickled.open_pickle),
    "pickle": (re.compile(rb"\x80[\x00-\x05]|[(}\]c]"), pickled.open_pickle),
}
"""kind of file -> its first bytes, and who reads it; the first one that fits counts"""
WRITERS: dict[str, Writer] = {
    ".keras.h5": hdf5.write_keras,
    ".h5": hdf5.write_hdf5,
    ".hdf5": hdf5.write_hdf5,
    ".mat": matconvnet.write_matconvnet,
    ".safetensors": safetensors.write_safetensors,
    ".pth": torch_.write_pth,
    ".pt": torch_.write_pth,
    ".npz": numpy_.write_npz,
    ".npy": numpy_.write_npy,
    ".ckpt": numpy_.write_lpips,
}
"""ending -> writer; the first ending that fits counts"""
NAMES: dict[Input, tuple[str, ...]] = {"caffe-bgr": torch_.CAFFE_NAMES, "torch-rgb": ("dcbb9e9d", "397923af")}
"""parts of names that tell the input convention: what neural-style-pt's files are called, and torchvision's"""
ENDINGS = (*WRITERS, ".keras", ".pth.tar", ".bin")
"""what weight files are called where they are looked for"""
_SNIFFED = 2056


def read(path: Path, *, input: Input | None = None) -> Table:
    """Reads the convolutions of a weight file.

    Args:
        path: the file, whatever it is called.
        input: the input convention, where the user knows better than file and numbers.

    Returns:
        What it holds, unverified; with a `note` where the file says one thing of its input and its numbers another.

    Raises:
        InputError: no such file, one of an unknown kind, a damaged one, or one that holds no VGG convolution.
    """
    try:
        if not path.is_file():
            raise InputError(f"{path}: no such weight file; give an existing one")
        kind, opener = _container(path)
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}; give a file that can be read") from None
    try:
        with opener(path) as contents:
            layers, layout = find_layers(path, contents)
    except InputError:
        raise
    except Exception as error:  # each library raises its own on damaged files
        text = one_line(str(error)) or type(error).__name__
        size = path.stat().st_size
        message = f"{path} ({size} bytes) cannot be read as {kind} weights: {text}; get the file again"
        raise InputError(message) from None
    if layout is None:
        known = "conv1_1, block1_conv1 or features.0"
        raise InputError(f"{path} holds no layer of VGG (none is called {known}); give VGG-16 or VGG-19 weights")
    return _settle(path, layers, layout, contents, input)


def _container(path: Path) -> tuple[str, Opener]:
    with path.open("rb") as file:
        head = file.read(_SNIFFED)
    size = path.stat().st_size
    for kind, (begin, opener) in CONTAINERS.items():
        if begin.match(head) and (kind != "safetensors" or struct.unpack("<Q", head[:8])[0] < size):
            return kind, opener
    known = "HDF5, NumPy, PyTorch, safetensors and MATLAB files"
    raise InputError(f"{path} ({size} bytes) is of no known kind; weights are read from {known}")


def _settle(
    path: Path, layers: dict[str, dict[str, np.ndarray]], layout: Layout, contents: Contents, given: Input | None
) -> Table:
    """The table with its input convention: the user's word before the numbers', these before the file's."""
    about = {key: one_line(str(value), limit=500) for key, value in contents.about.items()}
    if about.get("input"):
        said, by = parse_input(path, about["input"]), "its own note"
    elif named := _named_input(path):
        said, by = named, "its name"
    else:
        said, by = layout.input, ""  # a layout says nothing, it is only what most people's files are
    source, license = about.get("source", f"{layout.name} layout"), about.get("license", layout.license)
    table = Table(layers, given or said, source, license, about.get("sha256", ""))
    found = recognise(layers)
    if found is None:
        return table
    network, turned = found
    if turned:
        layers["conv1_1"]["kernel"] = np.ascontiguousarray(layers["conv1_1"]["kernel"][:, :, ::-1])
    note, said = "", given or said
    if said != network.input and (given or by):
        how = "it is read as" if given else f"{by} says"
        note = f"{path.name} holds the numbers of {network.name}, which are {network.input}; {how} {said}"
        note += ", as asked" if given else ": the numbers count"
    sha256 = "" if turned else table.sha256  # it is over the arrays in their other order
    table = dataclasses.replace(table, input=given or network.input, note=note, sha256=sha256)
    return table if "source" in about else dataclasses.replace(table, source=network.name, license=network.license)


def _named_input(path: Path) -> Input | None:
    return next((known for known in INPUTS if any(mark in path.name for mark in NAMES[known])), None)


def write(table: Table, path: Path) -> None:
    """Writes a table in the format of the file's ending.

    Args:
        table: kernels HWIO and biases, float32.
        path: the file; replaced where it exists.

    Raises:
        InputError: an unknown ending, or a convention that the format cannot state.
    """
    for suffix, writer in WRITERS.items():
        if path.name.lower().endswith(suffix):
            return writer(table, path)
    raise InputError(f"{path} has no known ending; weights are written to {', '.join(WRITERS)} files")

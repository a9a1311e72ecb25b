"""Weight files of every format that users have <-> one table of arrays.

A `Table` holds each layer's kernel (HWIO) and bias as float32, in the channel order of its input convention:
`caffe-bgr`: BGR, 0 to 255, minus the mean colour (Simonyan and Zisserman's own networks);
`torch-rgb`: RGB, (image - mean) / std (torchvision's).
Readers take what a file holds and do not judge it: `weights.verify` does. Every writer's file reads back to identical
arrays. A new format is a module with a reader and a writer, and a line in `FORMATS`.
"""

from collections.abc import Callable
from pathlib import Path

from jnst.errors import InputError
from jnst.io.formats import hdf5, matconvnet, numpy_, safetensors, torch_
from jnst.io.formats.table import INPUTS, MEAN_COLOUR, Input, Table, detect_architecture

__all__ = ["FORMATS", "INPUTS", "MEAN_COLOUR", "Input", "Table", "detect_architecture", "read", "write"]

Reader = Callable[[Path], Table]
Writer = Callable[[Table, Path], None]
FORMATS: dict[str, tuple[Reader, Writer]] = {
    ".keras.h5": (hdf5.read_hdf5, hdf5.write_keras),
    ".h5": (hdf5.read_hdf5, hdf5.write_hdf5),
    ".hdf5": (hdf5.read_hdf5, hdf5.write_hdf5),
    ".mat": (matconvnet.read_matconvnet, matconvnet.write_matconvnet),
    ".safetensors": (safetensors.read_safetensors, safetensors.write_safetensors),
    ".pth": (torch_.read_pth, torch_.write_pth),
    ".pt": (torch_.read_pth, torch_.write_pth),
    ".npz": (numpy_.read_npz, numpy_.write_npz),
    ".npy": (numpy_.read_npy, numpy_.write_npy),
    ".ckpt": (numpy_.read_lpips, numpy_.write_lpips),
}
"""ending -> reader and writer; the first ending that fits counts"""


def read(path: Path) -> Table:
    """Reads the convolutions of a weight file in any of the formats of `FORMATS`.

    Args:
        path: the file; its ending tells the format.

    Returns:
        What it holds, unverified.

    Raises:
        InputError: no such file, an unknown ending, a damaged file, or one that holds no VGG convolution.
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
    """Writes a table in the format of the file's ending.

    Args:
        table: kernels HWIO and biases, float32.
        path: the file; replaced where it exists.

    Raises:
        InputError: an unknown ending, or a convention that the format cannot state.
    """
    _, writer = _format(path)
    writer(table, path)


def _format(path: Path) -> tuple[Reader, Writer]:
    for suffix, pair in FORMATS.items():
        if path.name.lower().endswith(suffix):
            return pair
    raise InputError(f"{path} has no known ending; weights are read from {', '.join(FORMATS)} files")
